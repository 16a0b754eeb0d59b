/* Steps that compute a node's value into a buffer, but for streams: maps over tiles, parts side by side, what is done
 * to a whole matrix at once, what is added up where indices say, sums over the batch's items. */
#include <math.h>
#include <string.h>

#include "chain.h"
#include "planner.h"
#include "simplify.h"

/* --- steps -------------------------------------------------------------------------------------------------------- */

gram_step *gram_plan_new_step(gram_planner *p, const char *template, const gram_node *shape)
{
    gram_step *step = gram_alloc(p->ctx, sizeof *step);
    step->template = template;
    step->heads = shape->heads;
    step->batched = shape->batched;
    step->each = shape->each;
    step->lanes = shape->rows;
    step->queries = shape->cols;
    step->outer = gram_dim_number(1);
    step->mask = -1;
    step->root = -1;
    return step;
}

void gram_plan_add_step(gram_planner *p, gram_step *step)
{
    gram_plan *plan = p->plan;
    plan->steps = gram_plan_grow(p->ctx, plan->steps, plan->nsteps, sizeof *plan->steps);
    plan->steps[plan->nsteps++] = step;
}

const gram_node *gram_kept_value(const gram_node *node)
{
    while (node->op == GRAM_OP_KEEP)
        node = node->args[0];
    return node;
}

/* node's tiles as the root of a program, and its predicate's as the mask. */
void gram_plan_root(gram_planner *p, gram_step *step, gram_program *program, gram_node *value, const gram_node *keep,
                    int *root, int *mask)
{
    *root = gram_program_spread(p, program, gram_program_add(p, step, program, (gram_node *)gram_kept_value(value)));
    if (keep)
        *mask = gram_program_spread(p, program, gram_program_add(p, step, program, (gram_node *)keep));
}

/* A step that computes node, a formula or a product of arrays, into a buffer of its shape. */
void gram_plan_map(gram_planner *p, gram_node *node, int buffer)
{
    if (gram_dim_is(node->rows, 1) && !gram_dim_is(node->cols, 1)) {
        gram_buffer *b = &p->plan->buffers[buffer];
        int turned = gram_plan_view(p, buffer, GRAM_VIEW_TRANSPOSE, b->cols, b->rows, gram_dim_number(0));
        gram_plan_map(p, gram_transposed(p->ctx, node), turned);
        return;
    }
    gram_step *step = gram_plan_new_step(p, "map", node);
    step->what = node;
    step->keep = node->keep ? gram_simplified(p->ctx, node->keep) : NULL;
    gram_node *value = node;
    step->in_place = gram_plan_change(p, buffer, node, &value, &step->keep);
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->each = p->plan->buffers[buffer].each;
    gram_plan_root(p, step, &step->program, value, step->keep, &step->root, &step->mask);
    step->stores[step->nstores++] = (gram_store_plan){step->program, step->root, step->mask, node->rows, buffer};
    p->plan->dense |= gram_is_pair(node) && p->plan->buffers[buffer].storage == GRAM_AT_WORK;
    gram_plan_add_step(p, step);
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

/* [A B], [A; B], stacked or joined heads: each part into its place. */
void gram_plan_parts(gram_planner *p, gram_node *node, int buffer)
{
    gram_dim at = gram_dim_number(0);
    for (int k = 0; k < node->nargs; k++) {
        gram_node *part = node->args[k];
        int place;
        if (node->op == GRAM_OP_STACK_HEADS) {
            place = gram_plan_head_view(p, buffer, k);
        } else if (node->op == GRAM_OP_CONCAT_HEADS) {
            place = gram_plan_split_view(p, buffer, part->heads, part->rows);
        } else {
            bool over = node->op == GRAM_OP_VCAT;
            place = gram_plan_view(p, buffer, over ? GRAM_VIEW_ROWS : GRAM_VIEW_COLS, part->rows, part->cols, at);
            at = gram_dim_add(at, over ? part->rows : part->cols);
        }
        if (!p->computed[part->id] || p->buffer[part->id] - 1 != place)
            gram_plan_into(p, part, place);
    }
}

bool gram_is_parts(const gram_node *node)
{
    return node->op == GRAM_OP_HCAT || node->op == GRAM_OP_VCAT || node->op == GRAM_OP_STACK_HEADS ||
           node->op == GRAM_OP_CONCAT_HEADS;
}

/* --- other steps -------------------------------------------------------------------------------------------------- */

/* Does it look at every entry of a column, so that one that does not count must be -inf to it? */
static bool takes_all(const gram_node *node)
{
    return node->op == GRAM_OP_THRESHOLD || node->op == GRAM_OP_LOG2_CEIL || node->op == GRAM_OP_TOP;
}

bool gram_is_whole(const gram_node *node)
{
    return node->op == GRAM_OP_INVERSE || node->op == GRAM_OP_EXPM || node->op == GRAM_OP_CUMSUM ||
           node->op == GRAM_OP_CUMSUM_LOST || takes_all(node);
}

/* A step for what is done to a whole matrix at once. */
void gram_plan_whole(gram_planner *p, gram_node *node, int buffer)
{
    gram_ctx *ctx = p->ctx;
    gram_node *a = node->args[0];
    if (takes_all(node) && a->keep)
        a = gram_node_ternary(ctx, node->loc, GRAM_OP_WHERE, a->keep, (gram_node *)gram_kept_value(a),
                              gram_node_number(ctx, node->loc, GRAM_REAL, -INFINITY));
    gram_step *step = gram_plan_new_step(p, "whole", node);
    step->what = node;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->each = p->plan->buffers[buffer].each;
    step->sums[step->nsums++] = (gram_sum){.node = node, .left = gram_plan_reals(p, a), .pack = -1};
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    p->plan->dense |= gram_is_pair(a) && p->plan->buffers[step->sums[0].left].storage == GRAM_AT_WORK;
    gram_plan_add_step(p, step);
}

void gram_plan_fft(gram_planner *p, gram_node *node, int buffer)
{
    gram_step *step = gram_plan_new_step(p, "fft", node);
    step->what = node;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->each = p->plan->buffers[buffer].each;
    for (int k = 0; k < node->nargs; k++)
        step->sums[step->nsums++] = (gram_sum){.node = node, .left = gram_plan_reals(p, node->args[k]), .pack = -1};
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    gram_plan_add_step(p, step);
}

static gram_dim larger(gram_dim a, gram_dim b)
{
    return gram_dim_is(a, 1) ? b : a;
}

/* A step that adds a formula's tiles up where its indices say. */
void gram_plan_scatter(gram_planner *p, gram_node *node, int buffer)
{
    const gram_node *a = node->args[0], *i = node->args[1], *j = node->args[2];
    gram_step *step = gram_plan_new_step(p, "scatter", node);
    step->what = gram_kept_value(a);
    step->lanes = larger(a->rows, larger(i->rows, j->rows));
    step->queries = larger(a->cols, larger(i->cols, j->cols));
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->each = p->plan->buffers[buffer].each;
    step->root = gram_program_scatter(p, step, node, buffer);
    step->stores[step->nstores++] =
        (gram_store_plan){.root = step->root, .mask = -1, .lanes = step->lanes, .buffer = buffer};
    gram_plan_add_step(p, step);
}

/* A step that sums a batched array over its items. */
void gram_plan_sum_items(gram_planner *p, gram_node *node, int buffer)
{
    gram_step *step = gram_plan_new_step(p, "items", node);
    step->what = node;
    step->batched = false;
    step->sums[step->nsums++] = (gram_sum){.node = node, .left = gram_plan_reals(p, node), .pack = -1};
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    gram_plan_add_step(p, step);
}
