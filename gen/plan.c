/* Plan: which loops compute the outputs.
 *
 * Walking from the outputs, a node whose value is needed as an array gets a buffer and a step that computes it. A
 * product V P with P a formula over pairs is not a product of arrays but a sum over P's rows: it becomes a stream, and
 * all sums over the same P share one. How a formula's tiles are computed is program.c's part; planner.h lists the
 * others. */
#include <string.h>

#include "chain.h"
#include "circulant.h"
#include "layout.h"
#include "planner.h"
#include "simplify.h"

/* --- from a node to the steps that compute it --------------------------------------------------------------------- */

/* Node's value into a buffer of its shape, which may be a part of another's. */
void gram_plan_into(gram_planner *p, gram_node *node, int buffer)
{
    gram_plan_know(p, node->id);
    const gram_buffer *place = &p->plan->buffers[buffer];
    bool done = p->computed[node->id] && p->buffer[node->id] - 1 != buffer;
    if (!done && !gram_is_parts(node) && !gram_buffer_is_like(place, node)) {
        p->buffer[node->id] = 0; /* its own array first, then repeated over the place's heads and items */
        gram_plan_buffer(p, node);
        done = true;
    }
    if (!done && gram_is_parts(node)) {
        gram_plan_parts(p, node, buffer);
    } else if (!done && node->op == GRAM_OP_OVER) {
        gram_plan_over(p, node, buffer);
    } else if (!done && node->op == GRAM_OP_SCAN) {
        gram_plan_scan(p, node, buffer);
    } else if (!done && node->op == GRAM_OP_SCATTER) {
        gram_plan_scatter(p, node, buffer);
    } else if (!done && (node->op == GRAM_OP_CONVOLVE || node->op == GRAM_OP_LAGS)) {
        gram_plan_fft(p, node, buffer);
    } else if (!done && gram_is_whole(node)) {
        gram_plan_whole(p, node, buffer);
    } else if (!done && gram_is_stream(p, node)) {
        gram_plan_stream(p, node, buffer);
    } else if (done || !gram_plan_fused(p, node, buffer)) {
        gram_plan_map(p, node, buffer);
    }
    if (!p->computed[node->id] && p->users[node->id] > 1)
        gram_plan_hold(p, node, buffer); /* others read the part that it is */
}

/* A way to look at an array that is there: nothing is computed. */
static int view_of(gram_planner *p, gram_node *node)
{
    gram_node *a = node->args[0];
    switch (node->op) {
    case GRAM_OP_TRANSPOSE:
        return gram_plan_view(p, gram_plan_buffer(p, a), GRAM_VIEW_TRANSPOSE, node->rows, node->cols,
                              gram_dim_number(0));
    case GRAM_OP_ROWS:
        return gram_plan_view(p, gram_plan_buffer(p, a), GRAM_VIEW_ROWS, node->rows, node->cols, node->dim);
    case GRAM_OP_HEAD_AT:
        return gram_plan_head_view(p, gram_plan_buffer(p, a), node->index);
    case GRAM_OP_RESHAPE:
        return gram_plan_shape_view(p, gram_plan_copy(p, a, gram_buffer_dense), node);
    default:
        return gram_plan_split_view(p, gram_plan_buffer(p, a), node->heads, node->rows);
    }
}

static bool is_view(const gram_node *node)
{
    return (node->op == GRAM_OP_TRANSPOSE && !gram_is_formula(node)) || node->op == GRAM_OP_ROWS ||
           node->op == GRAM_OP_HEAD_AT || node->op == GRAM_OP_SPLIT_HEADS || node->op == GRAM_OP_RESHAPE;
}

/* A matrix of tokens is held a token after the other: one that stands transposed is computed as it lies, and seen
 * turned. */
static bool lies_turned(const gram_node *node)
{
    return !gram_dim_known(node->rows) && gram_dim_known(node->cols) && !gram_dim_is(node->cols, 1) &&
           node->op != GRAM_OP_TRANSPOSE && node->op != GRAM_OP_INPUT && node->op != GRAM_OP_SOFTMAX;
}

int gram_plan_buffer(gram_planner *p, gram_node *node)
{
    gram_plan_know(p, node->id);
    if (p->computed[node->id])
        return p->buffer[node->id] - 1;
    if (gram_node_loops(p->ctx, node)) /* no array can hold it */
        gram_fail(p->ctx, node->loc, "%s: of the third token a formula may use dot, sqdist, dist1 and z[p]",
                  gram_node_text(p->ctx, node));
    if (lies_turned(node) && !p->buffer[node->id]) {
        gram_node *turned = gram_transposed(p->ctx, node);
        gram_plan_know(p, turned->id);
        if (turned->op != GRAM_OP_TRANSPOSE)
            return gram_plan_hold(p, node,
                                  gram_plan_view(p, gram_plan_buffer(p, turned), GRAM_VIEW_TRANSPOSE, node->rows,
                                                 node->cols, gram_dim_number(0)));
    }
    if (is_view(node))
        return gram_plan_hold(p, node, view_of(p, node));
    int buffer = gram_plan_place(p, node);
    gram_plan_into(p, node, buffer);
    return gram_plan_hold(p, node, buffer);
}

/* --- the pass ----------------------------------------------------------------------------------------------------- */

static void visit(gram_planner *p, gram_node *node, char *seen)
{
    if (seen[node->id])
        return;
    seen[node->id] = 1;
    for (int k = 0; k < node->nargs; k++) {
        p->users[node->args[k]->id]++;
        visit(p, node->args[k], seen);
    }
    if (node->keep)
        visit(p, node->keep, seen);
    p->live[p->nlive++] = node;
}

static void list_live(gram_planner *p)
{
    const gram_spec *spec = p->plan->spec;
    int most = 0;
    for (int k = 0; k < spec->noutputs; k++)
        most = spec->outputs[k].node->id > most ? spec->outputs[k].node->id : most;
    gram_plan_know(p, most);
    char *seen = gram_alloc(p->ctx, (size_t)p->known);
    p->live = gram_alloc(p->ctx, (size_t)p->known * sizeof *p->live);
    p->nlive = 0;
    memset(p->users, 0, (size_t)p->known * sizeof *p->users); /* NOLINT(*NonNull*): there is room for node 0 at least */
    for (int k = 0; k < spec->noutputs; k++) {
        visit(p, spec->outputs[k].node, seen);
        p->users[spec->outputs[k].node->id]++;
    }
}

static bool is_live(const gram_planner *p, const gram_node *node)
{
    for (int k = 0; k < p->nlive; k++)
        if (p->live[k] == node)
            return true;
    return false;
}

/* A softmax inside a formula over pairs needs the log-sum-exp of its scores, which may then be summed up together with
 * what is summed with the softmax itself; and where it stands transposed, the scores so. */
static void list_parts_of_softmax(gram_planner *p)
{
    gram_node **users = p->live;
    const int n = p->nlive;
    p->live = gram_alloc(p->ctx, (size_t)(2 * n + 1) * sizeof *p->live);
    memcpy(p->live, users, (size_t)n * sizeof *users);
    for (int k = 0; k < n; k++)
        for (int a = 0; a < users[k]->nargs; a++) {
            gram_node *weights = users[k]->args[a];
            if (weights->op != GRAM_OP_SOFTMAX || (users[k]->op == GRAM_OP_MATMUL && a == 1))
                continue;
            gram_node *total = gram_node_unary(p->ctx, weights->loc, GRAM_OP_LOGSUMEXP, weights->args[0]);
            gram_plan_know(p, users[k]->op == GRAM_OP_TRANSPOSE ? gram_transposed(p->ctx, weights->args[0])->id : 0);
            gram_plan_know(p, total->id);
            p->users[total->id]++;
            if (!is_live(p, total) && p->nlive < 2 * n)
                p->live[p->nlive++] = total;
        }
}

/* A B with A a formula over pairs is (B' A')': sums run down the columns of the streamed factor. What is left of
 * circulant matrices is read entry by entry. */
static gram_node *oriented(gram_planner *p, gram_node *node, gram_node **done)
{
    gram_ctx *ctx = p->ctx;
    if (done[node->id] || !node->nargs)
        return done[node->id] ? done[node->id] : node;
    gram_node **args = gram_alloc(ctx, (size_t)node->nargs * sizeof *args);
    for (int k = 0; k < node->nargs; k++)
        args[k] = oriented(p, node->args[k], done);
    gram_node *result = gram_node_make(ctx, node->loc, node->op, node->nargs, args, node);
    if (node->op == GRAM_OP_CIRCULANT || node->op == GRAM_OP_WRAP)
        result = gram_circulant_entries(ctx, result);
    double size = gram_entries(node);
    if (node->op == GRAM_OP_MATMUL && gram_is_streamed(p, node->args[0], size) &&
        !gram_is_streamed(p, node->args[1], size)) {
        gram_node *turned = gram_node_binary(ctx, node->loc, GRAM_OP_MATMUL, gram_transposed(ctx, args[1]),
                                             gram_transposed(ctx, args[0]));
        result = gram_node_unary(ctx, node->loc, GRAM_OP_TRANSPOSE, turned);
    }
    return done[node->id] = result;
}

static void orient(gram_planner *p, gram_spec *spec)
{
    for (int k = 0; k < spec->ngiven; k++)
        gram_plan_know(p, spec->given[k].node->id);
    gram_node **done = gram_alloc(p->ctx, (size_t)p->known * sizeof *done);
    for (int k = 0; k < spec->noutputs; k++)
        spec->outputs[k].node = oriented(p, spec->outputs[k].node, done);
    for (int k = 0; k < spec->ngiven; k++)
        spec->given[k].node = oriented(p, spec->given[k].node, done);
}

static bool is_weights(const gram_input *in)
{
    return in->kind == GRAM_MATRIX;
}

static void add_inputs(gram_planner *p)
{
    const gram_spec *spec = p->plan->spec;
    for (int k = 0; k < spec->ninputs; k++) {
        const gram_input *in = spec->inputs[k];
        bool integer = gram_input_is_integer(in);
        gram_plan_new_buffer(p, (gram_buffer){.name = in->name,
                                              .storage = GRAM_AT_INPUT,
                                              .type = integer ? GRAM_INT : GRAM_REAL,
                                              .index = k,
                                              .rows = in->rows,
                                              .cols = in->cols,
                                              .each = gram_dim_number(1),
                                              .heads = in->heads,
                                              .batched = in->batched,
                                              .half = !integer && *p->plan->real->half,
                                              .weights = is_weights(in),
                                              .flat = in->kind == GRAM_TOKENS_FLAT});
    }
    for (int k = 0; k < p->nlive; k++)
        if (p->live[k]->op == GRAM_OP_INPUT)
            gram_plan_hold(p, p->live[k], p->live[k]->input->index);
}

/* What an input gives needs no step. */
static void add_given(gram_planner *p)
{
    for (int k = 0; k < p->plan->spec->ngiven; k++) {
        const gram_node *node = p->plan->spec->given[k].node;
        const gram_input *in = p->plan->spec->given[k].input;
        bool lies = gram_dim_equal(node->rows, in->rows) && gram_dim_equal(node->cols, in->cols);
        gram_plan_know(p, node->id);
        if (!p->computed[node->id])
            gram_plan_hold(
                p, node,
                lies ? in->index
                     : gram_plan_view(p, in->index, GRAM_VIEW_TRANSPOSE, node->rows, node->cols, gram_dim_number(0)));
    }
}

static void add_outputs(gram_planner *p)
{
    const gram_spec *spec = p->plan->spec;
    for (int k = 0; k < spec->noutputs; k++) {
        gram_node *node = spec->outputs[k].node;
        gram_buffer b = gram_buffer_like(node);
        b.heads = spec->outputs[k].traced->heads;
        b.batched = spec->outputs[k].traced->batched;
        b.name = spec->outputs[k].name;
        b.storage = GRAM_AT_OUTPUT;
        b.index = k;
        const gram_input *over = spec->outputs[k].over, *like = over ? over : spec->outputs[k].like;
        b.batched &= !spec->outputs[k].summed;
        const bool ragged = spec->outputs[k].starts, line = gram_dim_is(node->rows, 1) || gram_dim_is(node->cols, 1);
        b.flat = like ? like->kind == GRAM_TOKENS_FLAT : ragged && !node->vector;
        b.weights = like ? is_weights(like) : gram_is_weights(spec->outputs[k].traced) && !line && !ragged;
        b.half = *p->plan->real->half;
        int buffer = gram_plan_new_buffer(p, b);
        if ((!b.half || over) && !is_view(node) && !p->buffer[node->id] && b.heads == node->heads &&
            b.batched == node->batched)
            p->buffer[node->id] = buffer + 1;
    }
}

/* What overwrites an input is computed before what may read it. */
static void compute_outputs(gram_planner *p, int first)
{
    const gram_spec *spec = p->plan->spec;
    for (int k = 0; k < spec->noutputs; k++)
        if (spec->outputs[k].over)
            gram_plan_buffer(p, spec->outputs[k].node);
    for (int k = 0; k < spec->noutputs; k++) {
        int has = gram_plan_buffer(p, spec->outputs[k].node);
        if (spec->outputs[k].summed)
            gram_plan_sum_items(p, spec->outputs[k].node, first + k);
        else if (has != first + k)
            gram_plan_map(p, spec->outputs[k].node, first + k);
    }
}

gram_plan *gram_plan_make(gram_ctx *ctx, const gram_spec *spec, const gram_real_type *real)
{
    gram_planner p = {.ctx = ctx, .plan = gram_alloc(ctx, sizeof *p.plan)};
    gram_spec *own = gram_alloc(ctx, sizeof *own);
    *own = *spec;
    own->outputs = gram_alloc(ctx, (size_t)(spec->noutputs + 1) * sizeof *own->outputs);
    memcpy(own->outputs, spec->outputs, (size_t)spec->noutputs * sizeof *own->outputs);
    own->given = gram_alloc(ctx, (size_t)(spec->ngiven + 1) * sizeof *own->given);
    for (int k = 0; k < spec->ngiven; k++)
        own->given[k] = spec->given[k];
    p.plan->spec = own;
    p.plan->real = real;
    p.plan->real_bits = real->bits;
    list_live(&p);
    orient(&p, own);
    list_live(&p);
    list_parts_of_softmax(&p);
    add_inputs(&p);
    int first = p.plan->nbuffers;
    add_outputs(&p);
    add_given(&p);
    compute_outputs(&p, first);
    gram_plan_store_at_once(p.plan, first);
    gram_plan_check_in_place(&p);
    gram_plan_names(&p);
    gram_schedule(ctx, p.plan);
    p.plan->wide |= real->bits == 32 && gram_is_wide(ctx, own);
    return p.plan;
}
