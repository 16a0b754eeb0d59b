/* Streams: a product V P with P a formula over pairs is not a product of arrays but a sum over P's rows, whose tiles
 * are made and forgotten; so are sums, maxima and logsumexps down P's columns. All over the same P share one loop, and
 * a formula over their results follows in its epilogue. */
#include <string.h>

#include "chain.h"
#include "planner.h"
#include "simplify.h"

/* --- questions about nodes ---------------------------------------------------------------------------------------- */

/* Computed entry by entry from other matrices, so that a tile of it can be made where it is used. */
bool gram_is_formula(const gram_node *a)
{
    if (a->op == GRAM_OP_TRANSPOSE)
        return a->args[0]->op == GRAM_OP_SOFTMAX;
    return gram_op_is_scalar(a->op) || a->op == GRAM_OP_KEEP || a->op == GRAM_OP_SOFTMAX || a->op == GRAM_OP_EXPAND ||
           a->op == GRAM_OP_GATHER || a->op == GRAM_OP_IDENTITY || a->op == GRAM_OP_DIAG || a->op == GRAM_OP_SQDIST ||
           a->op == GRAM_OP_DIST1;
}

/* So many rows have room for their sums in a cache near the core, for a block of queries. */
enum { GRAM_MOST_SUMMED = 1024 };

double gram_entries(const gram_node *a)
{
    return gram_dim_nominal(a->rows) * gram_dim_nominal(a->cols);
}

/* The walk numbered `visit` sees a node once: a formula may be exponentially longer than its graph. */
static bool holds_product(gram_planner *p, const gram_node *a, int visit)
{
    if (p->computed[a->id] || p->seen[a->id] == visit)
        return false;
    p->seen[a->id] = visit;
    if (a->op == GRAM_OP_MATMUL)
        return !gram_is_stream(p, a);
    if (a->op == GRAM_OP_SQDIST || a->op == GRAM_OP_DIST1)
        return true;
    bool holds = false;
    for (int k = 0; gram_is_formula(a) && k < a->nargs && !holds; k++)
        holds = holds_product(p, a->args[k], visit);
    return holds;
}

bool gram_holds_product(gram_planner *p, const gram_node *node)
{
    gram_plan_know(p, node->id);
    return holds_product(p, node, ++p->visits);
}

/* Is node made of P's tiles once, and smaller than P? */
static bool sums_up(const gram_node *node, const gram_node *P)
{
    return (node->op == GRAM_OP_MATMUL || node->op == GRAM_OP_SUM) && gram_entries(node) < gram_entries(P) &&
           node->heads == P->heads && node->batched == P->batched && gram_dim_equal(node->each, P->each);
}

/* Is all that is made of P such? In a derivative its tiles are then made for each of them: what a hidden layer has of the
 * tokens would be the largest array of all, kept from the forward to the backward part. */
static bool is_summed(const gram_planner *p, const gram_node *P)
{
    bool summed = gram_is_derivative(p->plan->spec) && (!gram_dim_known(P->rows) || !gram_dim_known(P->cols));
    for (int k = 0; k < p->nlive && summed; k++)
        for (int a = 0; a < p->live[k]->nargs; a++)
            summed &= p->live[k]->args[a] != P || sums_up(p->live[k], P);
    return summed;
}

/* Should P, as the right factor of a product with this many entries, be made tile by tile and forgotten? Yes over
 * pairs; and where P is larger than what it is summed into (a feed-forward layer's hidden features). */
bool gram_is_streamed(gram_planner *p, const gram_node *P, double result)
{
    bool used_once = P->id >= p->known || p->users[P->id] <= 1;
    if (!gram_is_formula(P) || (P->id < p->known && p->computed[P->id]))
        return false;
    bool items = !gram_dim_is(P->each, 1) && P->op == GRAM_OP_SOFTMAX; /* small, but one for each item */
    return gram_is_pair(P) || items ||
           (gram_entries(P) > result && gram_holds_product(p, P) && (used_once || is_summed(p, P)));
}

/* Is it a product that sums over tokens, whatever it multiplies: few rows, each as long as the sequence? */
static bool sums_tokens(const gram_node *node)
{
    return node->op == GRAM_OP_MATMUL && !gram_dim_known(node->args[0]->cols) && gram_dim_known(node->rows) &&
           node->rows.number <= GRAM_MOST_SUMMED;
}

/* Is it what a softmax knows of its column? */
static bool is_of_softmax(const gram_node *node)
{
    return node->op == GRAM_OP_LOGSUMEXP || node->op == GRAM_OP_PEAK || node->op == GRAM_OP_LOGSUM;
}

bool gram_is_stream(gram_planner *p, const gram_node *node)
{
    if (node->op == GRAM_OP_SUM || node->op == GRAM_OP_MAXIMUM || is_of_softmax(node) || sums_tokens(node))
        return true;
    return node->op == GRAM_OP_MATMUL && gram_is_streamed(p, node->args[1], gram_entries(node));
}

/* The matrix whose tiles a stream makes or reads. */
static gram_node *streamed(const gram_node *node)
{
    return node->args[node->nargs - 1];
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

/* Does it need the running maximum and sum of its tiles? */
static bool over_softmax(const gram_node *node)
{
    return is_of_softmax(node) || (node->op == GRAM_OP_MATMUL && streamed(node)->op == GRAM_OP_SOFTMAX);
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
           a->heads == b->heads && a->batched == b->batched && gram_dim_equal(a->each, b->each) &&
           !p->computed[b->id] && (a->op == GRAM_OP_MAXIMUM) == (b->op == GRAM_OP_MAXIMUM);
}

/* Is it in a group whose stream is being planned, or does it need one that is? */
static bool waits(gram_planner *p, const gram_node *node)
{
    bool waits = false;
    for (const gram_group *under_way = p->under_way; under_way && !waits; under_way = under_way->outer)
        waits = gram_node_needs(p->ctx, node, under_way->member, under_way->n);
    return waits;
}

/* The products over pairs that a formula's tiles are made of. */
typedef struct products {
    gram_planner *p;
    char *seen;
    int n;
    const gram_node *found[GRAM_MOST];
} products;

static void find_products(products *f, const gram_node *a)
{
    if (a->op == GRAM_OP_TRANSPOSE && a->args[0]->op == GRAM_OP_SOFTMAX) /* the softmax along rows of S' */
        a = gram_transposed(f->p->ctx, a->args[0]->args[0]);
    if (a->id >= f->p->known || f->seen[a->id])
        return;
    f->seen[a->id] = 1;
    bool product = a->op == GRAM_OP_MATMUL || a->op == GRAM_OP_SQDIST || a->op == GRAM_OP_DIST1;
    if (product && gram_is_pair(a) && f->n < GRAM_MOST)
        f->found[f->n++] = a;
    for (int k = 0; !product && gram_is_formula(a) && k < a->nargs; k++)
        find_products(f, a->args[k]);
}

static products products_of(gram_planner *p, const gram_node *tiles)
{
    products all = {.p = p, .seen = gram_alloc(p->ctx, (size_t)p->known)};
    find_products(&all, tiles);
    return all;
}

static bool share_products(gram_planner *p, const gram_node *a, const gram_node *b)
{
    products of_a = products_of(p, a), of_b = products_of(p, b);
    for (int k = 0; k < of_a.n; k++)
        for (int i = 0; i < of_b.n; i++)
            if (of_a.found[k] == of_b.found[i])
                return true;
    return false;
}

static const gram_node *kept_by(gram_planner *p, const gram_node *tiles)
{
    return tiles->keep ? gram_simplified(p->ctx, tiles->keep) : NULL;
}

/* The tiles of a sum, as a stream over them turned makes them. */
static const gram_node *turned_tiles(gram_planner *p, const gram_node *sum)
{
    gram_node *turned = gram_transposed(p->ctx, (gram_node *)tiles_of(sum));
    gram_plan_know(p, turned->id);
    return turned;
}

/* Sums over tiles that differ are made in one pass where the tiles share a product over pairs and what they drop: P and
 * P (dP - D), say. Then what both need is made once. A side is a sum over the tiles' columns, of them turned. */
static bool shares_tiles(gram_planner *p, const gram_node *a, const gram_node *b, bool side)
{
    if (!gram_is_stream(p, b) || p->computed[b->id] || waits(p, b) || over_softmax(a) || over_softmax(b) ||
        !gram_is_pair(tiles_of(b)) || gram_is_linear_sum(p, a) || gram_is_linear_sum(p, b))
        return false;
    const gram_node *A = tiles_of(a), *B = side ? turned_tiles(p, b) : tiles_of(b);
    return gram_is_pair(A) && gram_dim_equal(A->rows, B->rows) && gram_dim_equal(A->cols, B->cols) &&
           a->heads == b->heads && a->batched == b->batched && a->op != GRAM_OP_MAXIMUM && b->op != GRAM_OP_MAXIMUM &&
           kept_by(p, A) == kept_by(p, B) && share_products(p, A, B);
}

static bool is_one_of(const gram_node *node, gram_node *const *group, int n)
{
    for (int k = 0; k < n; k++)
        if (node == group[k])
            return true;
    return false;
}

/* Does any of the group need node first, or node any of the group? */
static bool in_order(gram_planner *p, gram_node *node, gram_node *const *group, int n)
{
    bool order = gram_node_needs(p->ctx, node, group, n);
    for (int k = 0; k < n && !order; k++)
        order = gram_node_needs(p->ctx, group[k], &node, 1);
    return order;
}

/* Adds the sums that share products with the first of the group, from it on. */
static int add_sharing(gram_planner *p, gram_node **group, int n, bool side)
{
    for (int k = 0; k < p->nlive && n < GRAM_MOST; k++)
        if (!is_one_of(p->live[k], group, n) && shares_tiles(p, group[0], p->live[k], side) &&
            !in_order(p, p->live[k], group, n))
            group[n++] = p->live[k];
    return n;
}

/* Do others use the weights than the sums of the group, so that they are made as a formula too? */
static bool used_elsewhere(gram_planner *p, const gram_node *weights, gram_node *const *group, int n)
{
    int users = p->users[weights->id];
    for (int k = 0; k < n; k++)
        users -= group[k]->op == GRAM_OP_MATMUL && group[k]->args[1] == weights;
    return users > 0;
}

/* What the formula of a softmax needs of its columns streams with the other sums over it. */
static int add_column_terms(gram_planner *p, gram_node *weights, gram_node **group, int n)
{
    static const gram_op terms[] = {GRAM_OP_PEAK, GRAM_OP_LOGSUM};
    for (size_t t = 0; t < sizeof terms / sizeof *terms && n < GRAM_MOST; t++) {
        gram_node *term = gram_node_unary(p->ctx, weights->loc, terms[t], weights->args[0]);
        gram_plan_know(p, term->id);
        p->users[term->id] = 1;
        if (term != group[0] && !p->computed[term->id] && !waits(p, term))
            group[n++] = term;
    }
    return n;
}

/* All sums that stream with node, none of which needs another first; then those that share its products, and from
 * *sides on those that do so turned. */
static int collect_group(gram_planner *p, gram_node *node, gram_node **group, int *sides)
{
    int n = 0;
    gram_node *weights = gram_node_unary(p->ctx, node->loc, GRAM_OP_SOFTMAX, (gram_node *)tiles_of(node));
    gram_plan_know(p, weights->id); /* a left factor of these very weights needs their logsumexp first */
    group[n++] = node;
    for (int k = 0; k < p->nlive && n < GRAM_MOST; k++) {
        gram_node *other = p->live[k];
        if (other != node && streams_with(p, node, other) && !in_order(p, other, group, n) &&
            !gram_node_needs(p->ctx, other->args[0], &weights, 1) && !waits(p, other))
            group[n++] = other;
    }
    bool given = gram_plan_is_given(p, gram_node_unary(p->ctx, node->loc, GRAM_OP_LOGSUMEXP, weights->args[0]));
    if (!given && over_softmax(node) && used_elsewhere(p, weights, group, n))
        n = add_column_terms(p, weights, group, n);
    *sides = add_sharing(p, group, n, false);
    bool turns = !p->plan->spec->scan; /* a scan's column has no phases to take turns in */
    return turns ? add_sharing(p, group, *sides, true) : *sides;
}

/* The instruction that makes these tiles of the stream. */
static int root_of(gram_planner *p, gram_step *step, const gram_node *tiles)
{
    if (tiles == step->what)
        return step->root;
    return gram_program_spread(p, &step->program,
                               gram_program_add(p, step, &step->program, (gram_node *)gram_kept_value(tiles)));
}

/* A sum of products with the tiles that instruction `root` makes. */
static gram_sum sum_of(gram_planner *p, gram_node *node, int root)
{
    gram_sum sum = {
        .node = node, .pack = -1, .rows = node->rows, .left = gram_plan_buffer(p, node->args[0]), .root = root};
    if (!gram_plan_reads_vectors(p, sum.left, sum.rows))
        sum.pack = gram_plan_pack(p, sum.left, GRAM_PACK_PADDED, sum.rows);
    return sum;
}

static void add_sum(gram_planner *p, gram_step *step, gram_node *node)
{
    int root = root_of(p, step, tiles_of(node));
    if (node->op == GRAM_OP_MATMUL)
        step->sums[step->nsums++] = sum_of(p, node, root);
    else
        step->stats[step->nstats++] = (gram_stat){node, node->op, root};
}

static void add_side(gram_planner *p, gram_step *step, gram_node *node)
{
    int root = root_of(p, step, turned_tiles(p, node));
    gram_sum side = {.node = node, .left = -1, .pack = -1, .rows = node->rows, .root = root};
    side = node->op == GRAM_OP_MATMUL ? sum_of(p, node, root) : side;
    side.buffer = gram_plan_reserve(p, node);
    step->sides[step->nsides++] = side;
}

static gram_step *start_stream(gram_planner *p, gram_node *node)
{
    gram_node *tiles = (gram_node *)tiles_of(node);
    gram_step *step = gram_plan_new_step(p, "stream", tiles);
    step->heads = node->heads;
    step->batched = node->batched;
    step->each = node->each;
    step->softmax = over_softmax(node);
    step->what = tiles;
    step->keep = kept_by(p, tiles);
    gram_plan_root(p, step, &step->program, tiles, step->keep, &step->root, &step->mask);
    return step;
}

static void add_store(gram_planner *p, gram_step *step, gram_node *node, int buffer)
{
    gram_store_plan store = {.mask = -1, .lanes = node->rows, .buffer = buffer};
    step->stored = gram_kept_value(node);
    gram_plan_root(p, step, &store.program, node, node->keep ? gram_simplified(p->ctx, node->keep) : NULL, &store.root,
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
    for (int k = 0; gram_is_formula(formula) && k < formula->nargs; k++)
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

/* The stream of the group, and then, block by block, `last` (a formula over its sums, into buffer) where there
 * is one. */
static void stream_into(gram_planner *p, gram_node **group, int sides, int n, gram_node *last, int buffer)
{
    gram_group under_way = {group, n, p->under_way};
    p->under_way = &under_way;
    gram_step *step = start_stream(p, group[0]);
    for (int k = 0; k < sides; k++)
        add_sum(p, step, group[k]);
    for (int k = sides; k < n; k++)
        add_side(p, step, group[k]);
    for (int k = 0; k < sides; k++) {
        char *seen = gram_alloc(p->ctx, (size_t)p->known);
        if (last && last != group[k] && !is_output(p, group[k]) &&
            uses_within(last, group[k], group, n, seen) == p->users[group[k]->id])
            continue;
        add_store(p, step, group[k], last == group[k] ? buffer : gram_plan_reserve(p, group[k]));
    }
    if (last && gram_is_formula(last))
        add_store(p, step, last, buffer);
    gram_choose_loop(p, step);
    p->under_way = under_way.outer;
    gram_plan_add_step(p, step);
}

void gram_plan_stream(gram_planner *p, gram_node *node, int buffer)
{
    gram_node *group[GRAM_MOST];
    p->computed[node->id] = 0;
    int sides, n = collect_group(p, node, group, &sides);
    stream_into(p, group, sides, n, node, buffer);
    p->computed[node->id] = p->buffer[node->id] != 0;
}

/* --- a formula over a stream's sums, done in its epilogue --------------------------------------------------------- */

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
    } else if (gram_is_formula(node) && node->op != GRAM_OP_SOFTMAX && node->op != GRAM_OP_TRANSPOSE &&
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
    if (!gram_is_formula(node) || (node != formula && gram_is_shared(p, node)))
        return !gram_node_needs(p->ctx, node, group, n);
    bool ready = true;
    for (int k = 0; k < node->nargs && ready; k++)
        ready = ready_before(p, formula, node->args[k], group, n);
    return ready;
}

/* A formula of one column is made at the rate of its rows, not in the pass over columns that a stream makes; and one of
 * one row over statistics at the rate of its columns, all in one tile. */
bool gram_plan_fused(gram_planner *p, gram_node *node, int buffer)
{
    bool column = gram_dim_is(node->cols, 1);
    fusion f = {.p = p, .formula = node, .possible = node->id < p->known && !column && node->type == GRAM_REAL};
    gram_node *group[GRAM_MOST];
    if (f.possible)
        look_for_sums(&f, node, gram_alloc(p->ctx, (size_t)p->known));
    bool statistics = f.first && f.first->op != GRAM_OP_MATMUL && gram_dim_is(node->rows, 1);
    if (!f.possible || !f.first || statistics || node->heads != f.first->heads || node->batched != f.first->batched ||
        !gram_dim_equal(node->each, f.first->each) || !gram_dim_equal(node->cols, f.first->cols) || gram_is_pair(node))
        return false;
    int sides, n = collect_group(p, f.first, group, &sides);
    if (!ready_before(p, node, node, group, n))
        return false;
    stream_into(p, group, sides, n, node, buffer);
    return true;
}

/* A stream for each column of the result: the sums over k of a formula of k, i and the column, down that column. */
void gram_plan_over(gram_planner *p, gram_node *node, int buffer)
{
    gram_node *sum = node->args[0]->op == GRAM_OP_TRANSPOSE ? node->args[0]->args[0] : node->args[0];
    if (sum->op != GRAM_OP_SUM)
        gram_fail(p->ctx, node->loc, "a sum over third tokens is not a sum of pairs");
    gram_step *step = start_stream(p, sum);
    step->outer = node->cols;
    step->heads = p->plan->buffers[buffer].heads;
    step->batched = p->plan->buffers[buffer].batched;
    step->each = p->plan->buffers[buffer].each;
    step->stats[step->nstats++] = (gram_stat){sum, GRAM_OP_SUM, step->root};
    add_store(p, step, sum, buffer);
    gram_plan_add_step(p, step);
    p->plan->dense |= p->plan->buffers[buffer].storage == GRAM_AT_WORK;
}
