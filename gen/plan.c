/* Plan: which loops compute the outputs.
 *
 * Walking from the outputs, a node whose value is needed as an array gets a buffer and a step that computes it. A product
 * V P with P a formula over pairs is not a product of arrays but a sum over P's rows: it becomes a stream, and all sums
 * over the same P share one. How a formula's tiles are computed is program.c's part. */
#include <math.h>
#include <string.h>

#include "chain.h"
#include "circulant.h"
#include "layout.h"
#include "plan.h"
#include "simplify.h"

/* --- questions about nodes ----------------------------------------------------------------------------------------- */

/* Computed entry by entry from other matrices, so that a tile of it can be made where it is used. */
static bool is_formula(const gram_node *a)
{
    if (a->op == GRAM_OP_TRANSPOSE)
        return a->args[0]->op == GRAM_OP_SOFTMAX;
    return gram_op_is_scalar(a->op) || a->op == GRAM_OP_KEEP || a->op == GRAM_OP_SOFTMAX || a->op == GRAM_OP_EXPAND ||
           a->op == GRAM_OP_GATHER || a->op == GRAM_OP_IDENTITY || a->op == GRAM_OP_DIAG || a->op == GRAM_OP_SQDIST ||
           a->op == GRAM_OP_DIST1;
}

/* So many rows have room for their sums in a cache near the core, for a block of queries. */
enum { GRAM_MOST_SUMMED = 1024 };

static double entries(const gram_node *a)
{
    return gram_dim_nominal(a->rows) * gram_dim_nominal(a->cols);
}

bool gram_holds_product(gram_planner *p, const gram_node *a)
{
    if (a->id < p->known && p->computed[a->id])
        return false;
    if (a->op == GRAM_OP_MATMUL)
        return !gram_is_stream(p, a);
    if (a->op == GRAM_OP_SQDIST || a->op == GRAM_OP_DIST1)
        return true;
    bool holds = false;
    for (int k = 0; is_formula(a) && k < a->nargs && !holds; k++)
        holds = gram_holds_product(p, a->args[k]);
    return holds;
}

/* Should P, as the right factor of a product with this many entries, be made tile by tile and forgotten? Yes over pairs;
 * and where P is larger than what it is summed into (a feed-forward layer's hidden features). */
static bool is_streamed(gram_planner *p, const gram_node *P, double result)
{
    bool used_once = P->id >= p->known || p->users[P->id] <= 1;
    if (!is_formula(P) || (P->id < p->known && p->computed[P->id]))
        return false;
    return gram_is_pair(P) || (used_once && entries(P) > result && gram_holds_product(p, P));
}

/* Is it a product that sums over tokens, whatever it multiplies: few rows, each as long as the sequence? */
static bool sums_tokens(const gram_node *node)
{
    return node->op == GRAM_OP_MATMUL && !gram_dim_known(node->args[0]->cols) && gram_dim_known(node->rows) &&
           node->rows.number <= GRAM_MOST_SUMMED;
}

bool gram_is_stream(gram_planner *p, const gram_node *node)
{
    if (node->op == GRAM_OP_SUM || node->op == GRAM_OP_MAXIMUM || node->op == GRAM_OP_LOGSUMEXP || sums_tokens(node))
        return true;
    return node->op == GRAM_OP_MATMUL && is_streamed(p, node->args[1], entries(node));
}

/* The matrix whose tiles a stream makes or reads. */
static gram_node *streamed(const gram_node *node)
{
    return node->args[node->nargs - 1];
}

/* --- buffers ------------------------------------------------------------------------------------------------------- */

static void *grow(gram_ctx *ctx, void *old, int n, size_t size)
{
    char *more = old;
    if ((n & (n + 1)) == 0) {
        more = gram_alloc(ctx, (size_t)(2 * n + 2) * size);
        if (n)
            memcpy(more, old, (size_t)n * size);
    }
    return more;
}

static int add_buffer(gram_planner *p, gram_buffer b)
{
    gram_plan *plan = p->plan;
    if (!b.name)
        b.name = gram_format(p->ctx, "work%d", ++p->names);
    plan->buffers = grow(p->ctx, plan->buffers, plan->nbuffers, sizeof b);
    plan->buffers[plan->nbuffers] = b;
    return plan->nbuffers++;
}

static gram_buffer buffer_like(const gram_node *node)
{
    return (gram_buffer){.node = node,
                         .storage = GRAM_AT_WORK,
                         .type = node->type,
                         .rows = node->rows,
                         .cols = node->cols,
                         .heads = node->heads,
                         .batched = node->batched};
}

static bool is_named(const gram_plan *plan, const char *name)
{
    for (int k = 0; k < plan->nbuffers; k++)
        if (!strcmp(plan->buffers[k].name, name))
            return true;
    return false;
}

/* "K_turned", and with a number where a name like that is taken. */
static const char *view_name(gram_planner *p, int base, gram_view_of view)
{
    static const char *const suffixes[] = {"turned", "rows", "cols", "head", "heads", "joined"};
    const char *name = gram_format(p->ctx, "%s_%s", p->plan->buffers[base].name, suffixes[view]);
    for (int k = 2; is_named(p->plan, name); k++)
        name = gram_format(p->ctx, "%s_%s%d", p->plan->buffers[base].name, suffixes[view], k);
    return name;
}

static int add_view(gram_planner *p, int base, gram_view_of view, gram_dim rows, gram_dim cols, gram_dim from)
{
    gram_buffer b = p->plan->buffers[base];
    b.name = view_name(p, base, view);
    b.node = NULL;
    b.storage = GRAM_AT_VIEW;
    b.base = base;
    b.view = view;
    b.rows = rows;
    b.cols = cols;
    b.from = from;
    b.flat = false;
    return add_buffer(p, b);
}

static int add_head_view(gram_planner *p, int base, int head)
{
    const gram_buffer *b = &p->plan->buffers[base];
    int view = add_view(p, base, GRAM_VIEW_HEAD, b->rows, b->cols, gram_dim_number(0));
    p->plan->buffers[view].index = head;
    p->plan->buffers[view].heads = 0;
    return view;
}

/* (H rows) x cols as H heads of rows x cols. */
static int add_split_view(gram_planner *p, int base, int heads, gram_dim rows)
{
    int view = add_view(p, base, GRAM_VIEW_SPLIT, rows, p->plan->buffers[base].cols, gram_dim_number(0));
    p->plan->buffers[view].heads = heads;
    return view;
}

bool gram_buffer_contiguous(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    if (b->storage != GRAM_AT_VIEW)
        return !b->weights;
    if (b->view == GRAM_VIEW_TRANSPOSE)
        return plan->buffers[b->base].weights && plan->buffers[b->base].storage != GRAM_AT_VIEW;
    return gram_buffer_contiguous(plan, b->base);
}

int gram_plan_pack(gram_planner *p, int buffer, bool panels)
{
    gram_plan *plan = p->plan;
    for (int k = 0; k < plan->npacks; k++)
        if (plan->packs[k].buffer == buffer && plan->packs[k].panels == panels)
            return k;
    plan->packs = grow(p->ctx, plan->packs, plan->npacks, sizeof *plan->packs);
    plan->packs[plan->npacks] = (gram_pack){buffer, panels};
    return plan->npacks++;
}

/* --- the table of what has a buffer -------------------------------------------------------------------------------- */

static void make_room(gram_planner *p, int id)
{
    int size = p->known;
    if (id < size)
        return;
    p->known = 2 * id + 16;
    int *buffer = gram_alloc(p->ctx, (size_t)p->known * sizeof *buffer);
    char *computed = gram_alloc(p->ctx, (size_t)p->known);
    int *users = gram_alloc(p->ctx, (size_t)p->known * sizeof *users);
    if (size) {
        memcpy(buffer, p->buffer, (size_t)size * sizeof *buffer);
        memcpy(computed, p->computed, (size_t)size);
        memcpy(users, p->users, (size_t)size * sizeof *users);
    }
    p->buffer = buffer;
    p->computed = computed;
    p->users = users;
}

static int set_buffer(gram_planner *p, const gram_node *node, int buffer)
{
    make_room(p, node->id);
    p->buffer[node->id] = buffer + 1;
    p->computed[node->id] = 1;
    return buffer;
}

/* Where node's value will stand: an output's array reserved for it, or a new one. */
static int reserve(gram_planner *p, const gram_node *node)
{
    make_room(p, node->id);
    int buffer = p->buffer[node->id] ? p->buffer[node->id] - 1 : add_buffer(p, buffer_like(node));
    return set_buffer(p, node, buffer);
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

static gram_step *new_step(gram_planner *p, const char *template, const gram_node *shape)
{
    gram_step *step = gram_alloc(p->ctx, sizeof *step);
    step->template = template;
    step->heads = shape->heads;
    step->batched = shape->batched;
    step->lanes = shape->rows;
    step->queries = shape->cols;
    step->outer = gram_dim_number(1);
    step->mask = -1;
    step->root = -1;
    return step;
}

static bool is_step(const gram_plan *plan, const char *name)
{
    for (int k = 0; k < plan->nsteps; k++)
        if (!strcmp(plan->steps[k]->name, name))
            return true;
    return false;
}

/* Appends the step, named after what it computes; a second one into the same array gets a number. */
static void add_step(gram_planner *p, gram_step *step, const char *name)
{
    gram_plan *plan = p->plan;
    step->name = gram_format(p->ctx, "%s_%s", step->template, name);
    for (int k = 2; is_step(plan, step->name); k++)
        step->name = gram_format(p->ctx, "%s_%s_%d", step->template, name, k);
    plan->steps = grow(p->ctx, plan->steps, plan->nsteps, sizeof *plan->steps);
    plan->steps[plan->nsteps++] = step;
}

static const gram_node *value_of(const gram_node *node)
{
    while (node->op == GRAM_OP_KEEP)
        node = node->args[0];
    return node;
}

/* node's tiles as the root of a program, and its predicate's as the mask. */
static void set_root(gram_planner *p, gram_step *step, gram_program *program, gram_node *value, const gram_node *keep,
                     int *root, int *mask)
{
    *root = gram_program_spread(p, program, gram_program_add(p, step, program, (gram_node *)value_of(value)));
    if (keep)
        *mask = gram_program_spread(p, program, gram_program_add(p, step, program, (gram_node *)keep));
}

/* A step that computes node, a formula or a product of arrays, into a buffer of its shape. */
static void map_into(gram_planner *p, gram_node *node, int buffer)
{
    if (gram_dim_is(node->rows, 1) && !gram_dim_is(node->cols, 1)) {
        gram_buffer *b = &p->plan->buffers[buffer];
        int turned = add_view(p, buffer, GRAM_VIEW_TRANSPOSE, b->cols, b->rows, gram_dim_number(0));
        map_into(p, gram_transposed(p->ctx, node), turned);
        return;
    }
    gram_step *step = new_step(p, "map", node);
    step->what = node;
    step->keep = node->keep ? gram_simplified(p->ctx, node->keep) : NULL;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    set_root(p, step, &step->program, node, step->keep, &step->root, &step->mask);
    step->stores[step->nstores++] = (gram_store_plan){step->program, step->root, step->mask, node->rows, buffer};
    p->plan->dense |= gram_is_pair(node) && p->plan->buffers[buffer].storage == GRAM_AT_WORK;
    add_step(p, step, p->plan->buffers[buffer].name);
}

/* --- streams ------------------------------------------------------------------------------------------------------- */

/* Does it need the running maximum and sum of its tiles: a product with a softmax, or a logsumexp? */
static bool over_softmax(const gram_node *node)
{
    return node->op == GRAM_OP_LOGSUMEXP || (node->op == GRAM_OP_MATMUL && streamed(node)->op == GRAM_OP_SOFTMAX);
}

/* Two sums stream together where their tiles are the same: over one P, or the softmax of S and its logsumexp. */
static const gram_node *tiles_of(const gram_node *node)
{
    const gram_node *P = streamed(node);
    return node->op == GRAM_OP_MATMUL && P->op == GRAM_OP_SOFTMAX ? P->args[0] : P;
}

static bool streams_with(gram_planner *p, const gram_node *a, const gram_node *b)
{
    return gram_is_stream(p, b) && tiles_of(a) == tiles_of(b) && over_softmax(a) == over_softmax(b) &&
           a->heads == b->heads && a->batched == b->batched && !p->computed[b->id] &&
           (a->op == GRAM_OP_MAXIMUM) == (b->op == GRAM_OP_MAXIMUM);
}

/* Does node's value need any of the group's first? */
static bool depends(const gram_node *node, gram_node *const *group, int n, char *seen)
{
    if (seen[node->id])
        return seen[node->id] == 2;
    seen[node->id] = 1;
    for (int k = 0; k < n; k++)
        if (node == group[k])
            return seen[node->id] = 2, true;
    for (int k = 0; k < node->nargs; k++)
        if (depends(node->args[k], group, n, seen))
            return seen[node->id] = 2, true;
    return false;
}

static bool depends_on(gram_planner *p, const gram_node *node, gram_node *const *group, int n)
{
    char *seen = gram_alloc(p->ctx, (size_t)p->known);
    return depends(node, group, n, seen);
}

/* Is it in a group whose stream is being planned, or does its left factor need one that is? */
static bool waits(gram_planner *p, const gram_node *node)
{
    bool waits = false;
    for (const gram_group *under_way = p->under_way; under_way && !waits; under_way = under_way->outer) {
        waits = depends_on(p, node->args[0], under_way->member, under_way->n);
        for (int k = 0; k < under_way->n; k++)
            waits |= under_way->member[k] == node;
    }
    return waits;
}

/* All sums that stream with node and whose left factors need none of them first. */
static int collect_group(gram_planner *p, gram_node *node, gram_node **group)
{
    int n = 0;
    gram_node *weights = gram_node_unary(p->ctx, node->loc, GRAM_OP_SOFTMAX, (gram_node *)tiles_of(node));
    make_room(p, weights->id); /* a left factor of these very weights needs their logsumexp first */
    group[n++] = node;
    for (int k = 0; k < p->nlive && n < GRAM_MOST; k++) {
        gram_node *other = p->live[k];
        if (other != node && streams_with(p, node, other) && !depends_on(p, other->args[0], group, n) &&
            !depends_on(p, other->args[0], &weights, 1) && !waits(p, other))
            group[n++] = other;
    }
    return n;
}

/* Can columns of so many rows be read as whole vectors where they lie? What a vector reads beyond its column goes into
 * sums that are not stored: the next columns, and after the last of the workspace's arrays some room. */
static bool reads_vectors(gram_planner *p, int buffer, gram_dim rows)
{
    const int pad = p->plan->real_bits == 64 ? 8 : 16;
    gram_buffer *base = &p->plan->buffers[buffer];
    bool whole = gram_dim_known(rows) && rows.number % pad == 0;
    while (base->storage == GRAM_AT_VIEW)
        base = &p->plan->buffers[base->base];
    if (!gram_buffer_contiguous(p->plan, buffer) || (!whole && base->storage != GRAM_AT_WORK))
        return false;
    base->read_beyond |= !whole;
    return true;
}

static void add_sum(gram_planner *p, gram_step *step, gram_node *node)
{
    gram_sum sum = {.node = node, .pack = -1, .rows = node->rows, .left = gram_plan_buffer(p, node->args[0])};
    if (!reads_vectors(p, sum.left, sum.rows))
        sum.pack = gram_plan_pack(p, sum.left, false);
    step->sums[step->nsums++] = sum;
}

static gram_step *start_stream(gram_planner *p, gram_node *node)
{
    gram_node *tiles = (gram_node *)tiles_of(node);
    gram_step *step = new_step(p, "stream", tiles);
    step->heads = node->heads;
    step->batched = node->batched;
    step->softmax = over_softmax(node);
    step->what = tiles;
    step->keep = tiles->keep ? gram_simplified(p->ctx, tiles->keep) : NULL;
    set_root(p, step, &step->program, tiles, step->keep, &step->root, &step->mask);
    return step;
}

static void add_store(gram_planner *p, gram_step *step, gram_node *node, int buffer)
{
    gram_store_plan store = {.mask = -1, .lanes = node->rows, .buffer = buffer};
    set_root(p, step, &store.program, node, node->keep ? gram_simplified(p->ctx, node->keep) : NULL, &store.root,
             &store.mask);
    step->stores[step->nstores++] = store;
}

/* How often the formula uses node, seen down to the group's members. */
static int uses_within(const gram_node *formula, const gram_node *node, gram_node *const *group, int n, char *seen)
{
    int uses = 0;
    if (seen[formula->id])
        return 0;
    seen[formula->id] = 1;
    for (int k = 0; k < n; k++)
        if (formula == group[k])
            return 0;
    for (int k = 0; is_formula(formula) && k < formula->nargs; k++)
        uses += (formula->args[k] == node) + uses_within(formula->args[k], node, group, n, seen);
    return uses;
}

bool gram_used_only_in(gram_planner *p, const gram_node *formula, const gram_node *node)
{
    char *seen = gram_alloc(p->ctx, (size_t)p->known);
    return formula->id < p->known && uses_within(formula, node, NULL, 0, seen) >= p->users[node->id];
}

static bool is_output(gram_planner *p, const gram_node *node)
{
    for (int k = 0; k < p->plan->spec->noutputs; k++)
        if (p->plan->spec->outputs[k].node == node)
            return true;
    return false;
}

/* The stream of the group, and then, block by block, `last` (a formula over its sums, into buffer) where there is one. */
static void stream_into(gram_planner *p, gram_node **group, int n, gram_node *last, int buffer)
{
    gram_group under_way = {group, n, p->under_way};
    p->under_way = &under_way;
    gram_step *step = start_stream(p, group[0]);
    for (int k = 0; k < n; k++) {
        if (group[k]->op == GRAM_OP_MATMUL)
            add_sum(p, step, group[k]);
        else
            step->stats[step->nstats++] = (gram_stat){group[k], group[k]->op};
    }
    for (int k = 0; k < n; k++) {
        char *seen = gram_alloc(p->ctx, (size_t)p->known);
        if (last && last != group[k] && !is_output(p, group[k]) &&
            uses_within(last, group[k], group, n, seen) == p->users[group[k]->id])
            continue;
        add_store(p, step, group[k], last == group[k] ? buffer : reserve(p, group[k]));
    }
    if (last && is_formula(last))
        add_store(p, step, last, buffer);
    p->under_way = under_way.outer;
    gram_choose_loop(step);
    add_step(p, step, p->plan->buffers[step->stores[0].buffer].name);
}

/* --- a formula over a stream's sums, done in its epilogue ---------------------------------------------------------- */

typedef struct fusion {
    gram_planner *p;
    const gram_node *formula;
    gram_node *first; /* the first sum met */
    bool possible;
} fusion;

/* Looks for sums in a formula; a product in it, or sums of two streams, rule the fusion out. */
static void look_for_sums(fusion *f, gram_node *node, char *seen)
{
    if (seen[node->id] || f->p->computed[node->id])
        return;
    seen[node->id] = 1;
    if (gram_is_stream(f->p, node)) {
        if (!f->first)
            f->first = node;
        f->possible &= streams_with(f->p, f->first, node);
    } else if (node != f->formula && gram_is_shared(f->p, node)) {
        return; /* read from an array of its own */
    } else if (is_formula(node) && node->op != GRAM_OP_SOFTMAX && node->op != GRAM_OP_TRANSPOSE &&
               node->op != GRAM_OP_SQDIST && node->op != GRAM_OP_DIST1 && node->op != GRAM_OP_GATHER) {
        for (int k = 0; k < node->nargs; k++)
            look_for_sums(f, node->args[k], seen);
    } else {
        bool matrix = !gram_dim_is(node->rows, 1) && !gram_dim_is(node->cols, 1);
        bool tiles = node->op == GRAM_OP_MATMUL || node->op == GRAM_OP_SQDIST || node->op == GRAM_OP_DIST1;
        f->possible &= node->op != GRAM_OP_SOFTMAX && node->op != GRAM_OP_TRANSPOSE && !(tiles && matrix);
    }
}

/* Every part of the formula that is not entry by entry must be there before the stream starts. */
static bool ready_before(gram_planner *p, const gram_node *formula, gram_node *node, gram_node *const *group, int n)
{
    for (int k = 0; k < n; k++)
        if (node == group[k])
            return true;
    if (p->computed[node->id])
        return true;
    if (!is_formula(node) || (node != formula && gram_is_shared(p, node)))
        return !depends_on(p, node, group, n);
    bool ready = true;
    for (int k = 0; k < node->nargs && ready; k++)
        ready = ready_before(p, formula, node->args[k], group, n);
    return ready;
}

/* A formula of one column is made at the rate of its rows, not in the pass over columns that a stream makes. */
static bool fuse_into(gram_planner *p, gram_node *node, int buffer)
{
    bool column = gram_dim_is(node->cols, 1);
    fusion f = {.p = p, .formula = node, .possible = node->id < p->known && !gram_dim_is(node->rows, 1) && !column};
    gram_node *group[GRAM_MOST];
    if (f.possible)
        look_for_sums(&f, node, gram_alloc(p->ctx, (size_t)p->known));
    if (!f.possible || !f.first || node->heads != f.first->heads || node->batched != f.first->batched ||
        !gram_dim_equal(node->cols, f.first->cols) || gram_is_pair(node))
        return false;
    int n = collect_group(p, f.first, group);
    if (!ready_before(p, node, node, group, n))
        return false;
    stream_into(p, group, n, node, buffer);
    return true;
}

/* --- from a node to the steps that compute it ---------------------------------------------------------------------- */

static void compute_into(gram_planner *p, gram_node *node, int buffer);

/* [A B], [A; B], stacked or joined heads: each part into its place. */
static void parts_into(gram_planner *p, gram_node *node, int buffer)
{
    gram_dim at = gram_dim_number(0);
    for (int k = 0; k < node->nargs; k++) {
        gram_node *part = node->args[k];
        int place;
        if (node->op == GRAM_OP_STACK_HEADS) {
            place = add_head_view(p, buffer, k);
        } else if (node->op == GRAM_OP_CONCAT_HEADS) {
            place = add_split_view(p, buffer, part->heads, part->rows);
        } else {
            bool over = node->op == GRAM_OP_VCAT;
            place = add_view(p, buffer, over ? GRAM_VIEW_ROWS : GRAM_VIEW_COLS, part->rows, part->cols, at);
            at = gram_dim_add(at, over ? part->rows : part->cols);
        }
        compute_into(p, part, place);
    }
}

static bool is_parts(const gram_node *node)
{
    return node->op == GRAM_OP_HCAT || node->op == GRAM_OP_VCAT || node->op == GRAM_OP_STACK_HEADS ||
           node->op == GRAM_OP_CONCAT_HEADS;
}

/* Does it look at every entry of a column, so that one that does not count must be -inf to it? */
static bool takes_all(const gram_node *node)
{
    return node->op == GRAM_OP_THRESHOLD || node->op == GRAM_OP_LOG2_CEIL || node->op == GRAM_OP_TOP;
}

bool gram_is_whole(const gram_node *node)
{
    return node->op == GRAM_OP_INVERSE || node->op == GRAM_OP_EXPM || node->op == GRAM_OP_CUMSUM || takes_all(node);
}

/* A step for what is done to a whole matrix at once. */
static void whole_into(gram_planner *p, gram_node *node, int buffer)
{
    gram_ctx *ctx = p->ctx;
    gram_node *a = node->args[0];
    if (takes_all(node) && a->keep)
        a = gram_node_ternary(ctx, node->loc, GRAM_OP_WHERE, a->keep, (gram_node *)value_of(a),
                              gram_node_number(ctx, node->loc, GRAM_REAL, -INFINITY));
    gram_step *step = new_step(p, "whole", node);
    step->what = node;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->sums[step->nsums++] = (gram_sum){.node = node, .left = gram_plan_buffer(p, a), .pack = -1};
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    p->plan->dense |= gram_is_pair(a) && p->plan->buffers[step->sums[0].left].storage == GRAM_AT_WORK;
    add_step(p, step, p->plan->buffers[buffer].name);
}

/* A stream for each column of the result: the sums over k of a formula of k, i and the column, down that column. */
static void over_into(gram_planner *p, gram_node *node, int buffer)
{
    gram_node *sum = node->args[0]->op == GRAM_OP_TRANSPOSE ? node->args[0]->args[0] : node->args[0];
    if (sum->op != GRAM_OP_SUM)
        gram_fail(p->ctx, node->loc, "a sum over third tokens is not a sum of pairs");
    gram_step *step = start_stream(p, sum);
    step->outer = node->cols;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->stats[step->nstats++] = (gram_stat){sum, GRAM_OP_SUM};
    add_store(p, step, sum, buffer);
    add_step(p, step, p->plan->buffers[buffer].name);
    p->plan->dense |= p->plan->buffers[buffer].storage == GRAM_AT_WORK;
}

/* A step for products with circulant matrices. */
static void fft_into(gram_planner *p, gram_node *node, int buffer)
{
    gram_step *step = new_step(p, "fft", node);
    step->what = node;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    for (int k = 0; k < 2; k++)
        step->sums[step->nsums++] =
            (gram_sum){.node = node, .left = gram_plan_buffer(p, node->args[k]), .pack = -1};
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    add_step(p, step, p->plan->buffers[buffer].name);
}

static gram_dim larger(gram_dim a, gram_dim b)
{
    return gram_dim_is(a, 1) ? b : a;
}

/* A step that adds a formula's tiles up where its indices say. */
static void scatter_into(gram_planner *p, gram_node *node, int buffer)
{
    const gram_node *a = node->args[0], *i = node->args[1], *j = node->args[2];
    gram_step *step = new_step(p, "scatter", node);
    step->what = value_of(a);
    step->lanes = larger(a->rows, larger(i->rows, j->rows));
    step->queries = larger(a->cols, larger(i->cols, j->cols));
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->root = gram_program_scatter(p, step, node, buffer);
    step->stores[step->nstores++] =
        (gram_store_plan){.root = step->root, .mask = -1, .lanes = step->lanes, .buffer = buffer};
    add_step(p, step, p->plan->buffers[buffer].name);
}

/* A step that sums a batched array over its items. */
static void sum_items_into(gram_planner *p, gram_node *node, int buffer)
{
    gram_step *step = new_step(p, "items", node);
    step->what = node;
    step->batched = false;
    step->sums[step->nsums++] = (gram_sum){.node = node, .left = gram_plan_buffer(p, node), .pack = -1};
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    add_step(p, step, p->plan->buffers[buffer].name);
}

/* Node's value into a buffer of its shape, which may be a part of another's. */
static void compute_into(gram_planner *p, gram_node *node, int buffer)
{
    make_room(p, node->id);
    gram_node *group[GRAM_MOST];
    const gram_buffer *place = &p->plan->buffers[buffer];
    bool done = p->computed[node->id] && p->buffer[node->id] - 1 != buffer;
    if (!done && !is_parts(node) && (place->heads != node->heads || place->batched != node->batched)) {
        p->buffer[node->id] = 0; /* its own array first, then repeated over the place's heads and items */
        gram_plan_buffer(p, node);
        done = true;
    }
    if (!done && is_parts(node)) {
        parts_into(p, node, buffer);
    } else if (!done && node->op == GRAM_OP_OVER) {
        over_into(p, node, buffer);
    } else if (!done && node->op == GRAM_OP_SCATTER) {
        scatter_into(p, node, buffer);
    } else if (!done && (node->op == GRAM_OP_CONVOLVE || node->op == GRAM_OP_LAGS)) {
        fft_into(p, node, buffer);
    } else if (!done && gram_is_whole(node)) {
        whole_into(p, node, buffer);
    } else if (!done && gram_is_stream(p, node)) {
        p->computed[node->id] = 0;
        int n = collect_group(p, node, group);
        stream_into(p, group, n, node, buffer);
        p->computed[node->id] = p->buffer[node->id] != 0;
    } else if (done || !fuse_into(p, node, buffer)) {
        map_into(p, node, buffer);
    }
}

/* A way to look at an array that is there: nothing is computed. */
static int view_of(gram_planner *p, gram_node *node)
{
    gram_node *a = node->args[0];
    switch (node->op) {
    case GRAM_OP_TRANSPOSE:
        return add_view(p, gram_plan_buffer(p, a), GRAM_VIEW_TRANSPOSE, node->rows, node->cols, gram_dim_number(0));
    case GRAM_OP_ROWS:
        return add_view(p, gram_plan_buffer(p, a), GRAM_VIEW_ROWS, node->rows, node->cols, node->dim);
    case GRAM_OP_HEAD_AT:
        return add_head_view(p, gram_plan_buffer(p, a), node->index);
    default:
        return add_split_view(p, gram_plan_buffer(p, a), node->heads, node->rows);
    }
}

static bool is_view(const gram_node *node)
{
    return (node->op == GRAM_OP_TRANSPOSE && !is_formula(node)) || node->op == GRAM_OP_ROWS ||
           node->op == GRAM_OP_HEAD_AT || node->op == GRAM_OP_SPLIT_HEADS;
}

static bool holds_loop(const gram_node *node, char *seen)
{
    bool holds = node->op == GRAM_OP_LOOP;
    if (seen[node->id])
        return false;
    seen[node->id] = 1;
    for (int k = 0; k < node->nargs && !holds && node->op != GRAM_OP_OVER; k++)
        holds = holds_loop(node->args[k], seen);
    return holds;
}

/* Does node's value depend on the column that an OVER makes, so that no array can hold it? */
static bool varies(gram_planner *p, const gram_node *node)
{
    return holds_loop(node, gram_alloc(p->ctx, (size_t)node->id + 1));
}

/* A matrix of tokens is held a token after the other: one that stands transposed is computed as it lies, and seen turned. */
static bool lies_turned(const gram_node *node)
{
    return !gram_dim_known(node->rows) && gram_dim_known(node->cols) && !gram_dim_is(node->cols, 1) &&
           node->op != GRAM_OP_TRANSPOSE && node->op != GRAM_OP_INPUT && node->op != GRAM_OP_SOFTMAX;
}

int gram_plan_buffer(gram_planner *p, gram_node *node)
{
    make_room(p, node->id);
    if (p->computed[node->id])
        return p->buffer[node->id] - 1;
    if (varies(p, node))
        gram_fail(p->ctx, node->loc, "%s: of the third token a formula may use dot, sqdist, dist1 and z[p]",
                  gram_node_text(p->ctx, node));
    if (lies_turned(node) && !p->buffer[node->id]) {
        gram_node *turned = gram_transposed(p->ctx, node);
        make_room(p, turned->id);
        if (turned->op != GRAM_OP_TRANSPOSE)
            return set_buffer(p, node,
                              add_view(p, gram_plan_buffer(p, turned), GRAM_VIEW_TRANSPOSE, node->rows, node->cols,
                                       gram_dim_number(0)));
    }
    if (is_view(node))
        return set_buffer(p, node, view_of(p, node));
    int buffer = p->buffer[node->id] ? p->buffer[node->id] - 1 : add_buffer(p, buffer_like(node));
    compute_into(p, node, buffer);
    return set_buffer(p, node, buffer);
}

/* --- the pass ------------------------------------------------------------------------------------------------------ */

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
    make_room(p, most);
    char *seen = gram_alloc(p->ctx, (size_t)p->known);
    p->live = gram_alloc(p->ctx, (size_t)p->known * sizeof *p->live);
    p->nlive = 0;
    memset(p->users, 0, (size_t)p->known * sizeof *p->users); /* NOLINT(*NonNull*): there is room for node 0 at least */
    for (int k = 0; k < spec->noutputs; k++) {
        visit(p, spec->outputs[k].node, seen);
        p->users[spec->outputs[k].node->id]++;
    }
}

/* A B with A a formula over pairs is (B' A')': sums run down the columns of the streamed factor. What is left of circulant
 * matrices is read entry by entry. */
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
    double size = entries(node);
    if (node->op == GRAM_OP_MATMUL && is_streamed(p, node->args[0], size) && !is_streamed(p, node->args[1], size)) {
        gram_node *turned = gram_node_binary(ctx, node->loc, GRAM_OP_MATMUL, gram_transposed(ctx, args[1]),
                                             gram_transposed(ctx, args[0]));
        result = gram_node_unary(ctx, node->loc, GRAM_OP_TRANSPOSE, turned);
    }
    return done[node->id] = result;
}

static void orient(gram_planner *p, gram_spec *spec)
{
    gram_node **done = gram_alloc(p->ctx, (size_t)p->known * sizeof *done);
    for (int k = 0; k < spec->noutputs; k++)
        spec->outputs[k].node = oriented(p, spec->outputs[k].node, done);
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
        bool integer = in->kind == GRAM_IDS || in->kind == GRAM_PAIR_IDS || in->kind == GRAM_COUNT;
        add_buffer(p, (gram_buffer){.name = in->name,
                                    .storage = GRAM_AT_INPUT,
                                    .type = integer ? GRAM_INT : GRAM_REAL,
                                    .index = k,
                                    .rows = in->rows,
                                    .cols = in->cols,
                                    .heads = in->heads,
                                    .batched = in->batched,
                                    .weights = is_weights(in),
                                    .flat = in->kind == GRAM_TOKENS_FLAT});
    }
    for (int k = 0; k < p->nlive; k++)
        if (p->live[k]->op == GRAM_OP_INPUT)
            set_buffer(p, p->live[k], p->live[k]->input->index);
}

static void add_outputs(gram_planner *p)
{
    const gram_spec *spec = p->plan->spec;
    for (int k = 0; k < spec->noutputs; k++) {
        gram_node *node = spec->outputs[k].node;
        gram_buffer b = buffer_like(node);
        b.heads = spec->outputs[k].traced->heads;
        b.batched = spec->outputs[k].traced->batched;
        b.name = spec->outputs[k].name;
        b.storage = GRAM_AT_OUTPUT;
        b.index = k;
        const gram_input *like = spec->outputs[k].like;
        b.batched &= !spec->outputs[k].summed;
        b.flat = like && like->kind == GRAM_TOKENS_FLAT;
        b.weights = like ? is_weights(like)
                         : gram_is_weights(spec->outputs[k].traced) && !gram_dim_is(node->rows, 1) &&
                               !gram_dim_is(node->cols, 1);
        int buffer = add_buffer(p, b);
        if (!is_view(node) && !p->buffer[node->id] && b.heads == node->heads && b.batched == node->batched)
            p->buffer[node->id] = buffer + 1;
    }
}

static void compute_outputs(gram_planner *p, int first)
{
    const gram_spec *spec = p->plan->spec;
    for (int k = 0; k < spec->noutputs; k++) {
        int has = gram_plan_buffer(p, spec->outputs[k].node);
        if (spec->outputs[k].summed)
            sum_items_into(p, spec->outputs[k].node, first + k);
        else if (has != first + k)
            map_into(p, spec->outputs[k].node, first + k);
    }
}

gram_plan *gram_plan_make(gram_ctx *ctx, const gram_spec *spec, int real_bits)
{
    gram_planner p = {.ctx = ctx, .plan = gram_alloc(ctx, sizeof *p.plan)};
    gram_spec *own = gram_alloc(ctx, sizeof *own);
    *own = *spec;
    own->outputs = gram_alloc(ctx, (size_t)(spec->noutputs + 1) * sizeof *own->outputs);
    memcpy(own->outputs, spec->outputs, (size_t)spec->noutputs * sizeof *own->outputs);
    p.plan->spec = own;
    p.plan->real_bits = real_bits;
    list_live(&p);
    orient(&p, own);
    list_live(&p);
    add_inputs(&p);
    int first = p.plan->nbuffers;
    add_outputs(&p);
    compute_outputs(&p, first);
    gram_schedule(ctx, p.plan);
    p.plan->wide = real_bits == 32 && gram_is_wide(ctx, own);
    return p.plan;
}
