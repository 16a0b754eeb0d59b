/* Chains of matrix products: common ends taken out of sums, and the cheapest order of multiplication.
 *
 * The low rank of every even order of eq. (3.2) comes from here: Y' A Y Y' B Y is a chain whose cheapest order never
 * makes an n x n matrix but the last, so order 8 costs what order 2 costs. */
#include <string.h>

#include "chain.h"
#include "simplify.h"

enum { MAX_FACTORS = 32 };

typedef struct chain {
    int n;
    gram_node *factor[MAX_FACTORS];
    gram_node *scale; /* a number in front, or NULL */
} chain;

double gram_dim_nominal(gram_dim a)
{
    double sum = (double)a.number;
    for (int s = 0; s < GRAM_SIZES; s++)
        sum += (double)a.times[s] * GRAM_MANY;
    return sum;
}

bool gram_is_pair(const gram_node *a)
{
    return !gram_dim_known(a->rows) && !gram_dim_known(a->cols);
}

/* Is it a matrix over pairs, other than as a product of others, or a product with one? */
static bool holds_pairs(const gram_node *a)
{
    return a->op == GRAM_OP_MATMUL ? holds_pairs(a->args[0]) || holds_pairs(a->args[1]) : gram_is_pair(a);
}

/* Does a chain make a matrix over pairs, or multiply with one? */
static bool is_over_pairs(const gram_node *product)
{
    return gram_is_pair(product) || holds_pairs(product);
}

/* Is a product taken apart here? Not one that several formulas share: that is computed once. But where the chain has a
 * matrix over pairs, a shared projection is: (W X) P may be W (X P), and what X P costs is far more than what W
 * does. */
static bool opens(const gram_node *a, bool pairs)
{
    return a->op == GRAM_OP_MATMUL && (!a->shared || (pairs && !holds_pairs(a)));
}

static void flatten(gram_node *a, chain *list, bool pairs)
{
    if (opens(a, pairs) && list->n < MAX_FACTORS - 2) {
        flatten(a->args[0], list, pairs);
        flatten(a->args[1], list, pairs);
    } else if (list->n < MAX_FACTORS) {
        list->factor[list->n++] = a;
    }
}

/* How many factors a chain would have; MAX_FACTORS + 1 where that is too many to take apart. */
static int count_factors(const gram_node *a, int budget, bool pairs)
{
    if (!opens(a, pairs) || budget <= 0)
        return 1;
    int left = count_factors(a->args[0], budget - 1, pairs);
    return left > MAX_FACTORS ? left : left + count_factors(a->args[1], budget - left, pairs);
}

/* a as number x chain; n = 0 where it is no product. */
static chain chain_of(gram_node *a)
{
    chain list = {0};
    if (a->op == GRAM_OP_MUL && gram_dim_is(a->args[0]->rows, 1) && gram_dim_is(a->args[0]->cols, 1)) {
        list.scale = a->args[0];
        a = a->args[1];
    }
    bool pairs = is_over_pairs(a);
    if (opens(a, pairs) && count_factors(a, MAX_FACTORS, pairs) < MAX_FACTORS - 2)
        flatten(a, &list, pairs);
    return list;
}

static gram_node *product(gram_ctx *ctx, const gram_node *like, gram_builder build, gram_node *const *factor, int n)
{
    gram_node *result = factor[0];
    for (int k = 1; k < n; k++)
        result = build(ctx, like, GRAM_OP_MATMUL, result, factor[k]);
    return result;
}

/* What is left of a chain between the common ends, with its number; the identity where nothing is. */
static gram_node *middle(gram_ctx *ctx, const gram_node *like, gram_builder build, const chain *c, int from, int to)
{
    gram_node *mid;
    if (from == to) {
        gram_node shape = {.rows = c->factor[from - (from == c->n)]->rows};
        if (from == c->n)
            shape.rows = c->factor[from - 1]->cols;
        shape.cols = shape.rows;
        mid = gram_node_make(ctx, like->loc, GRAM_OP_IDENTITY, 0, NULL, &shape);
    } else {
        mid = product(ctx, like, build, c->factor + from, to - from);
    }
    return c->scale ? build(ctx, like, GRAM_OP_MUL, c->scale, mid) : mid;
}

/* Is the middle no more than the ends, so that adding middles is cheap? */
static bool is_small(const chain *c, int from, int to)
{
    gram_node *first = c->factor[from < c->n ? from : c->n - 1], *last = c->factor[to > 0 ? to - 1 : 0];
    return gram_dim_known(from < c->n ? first->rows : first->cols) || gram_dim_known(to > 0 ? last->cols : last->rows);
}

gram_node *gram_chain_factor(gram_ctx *ctx, const gram_node *node, gram_builder build)
{
    chain a = chain_of(node->args[0]), b = chain_of(node->args[1]);
    int least = a.n < b.n ? a.n : b.n, head = 0, tail = 0;
    while (head < least && a.factor[head] == b.factor[head])
        head++;
    while (tail < least - head && a.factor[a.n - 1 - tail] == b.factor[b.n - 1 - tail])
        tail++;
    if (least < 2 || head + tail == 0 || !is_small(&a, head, a.n - tail) || !is_small(&b, head, b.n - tail))
        return NULL;
    gram_node *sum = build(ctx, node, GRAM_OP_ADD, middle(ctx, node, build, &a, head, a.n - tail),
                           middle(ctx, node, build, &b, head, b.n - tail));
    if (head)
        sum = build(ctx, node, GRAM_OP_MATMUL, product(ctx, node, build, a.factor, head), sum);
    if (tail)
        sum = build(ctx, node, GRAM_OP_MATMUL, sum, product(ctx, node, build, a.factor + a.n - tail, tail));
    return sum;
}

/* --- the cheapest order ------------------------------------------------------------------------------------------- */

typedef struct order {
    gram_ctx *ctx;
    gram_node **done;
    int size;    /* of done */
    bool closed; /* shared projections are not taken apart */
} order;

typedef struct table {
    double cost[MAX_FACTORS][MAX_FACTORS];
    int split[MAX_FACTORS][MAX_FACTORS];
} table;

/* How often the product of factors i to j is made for an item of the batch. */
static double items_of(const chain *c, int i, int j)
{
    double items = 1;
    for (int k = i; k <= j; k++)
        items = gram_dim_is(c->factor[k]->each, 1) ? items : gram_dim_nominal(c->factor[k]->each);
    return items;
}

/* What the product of factors i to k with those to j counts beside what it costs. A product with a matrix over pairs,
 * which is by far the most of a chain, is to be one that other chains have too: so each factor more of what is multiplied
 * with it counts as a fiftieth of it. W (X P) and V (X P) have their sum over pairs in common. */
static double weight_of(const chain *c, int i, int k, int j)
{
    if (k + 1 == j && gram_is_pair(c->factor[j]))
        return 1 + 0.02 * (k - i);
    return k == i && gram_is_pair(c->factor[i]) ? 1 + 0.02 * (j - k - 1) : 1;
}

static void fill(table *t, const chain *c)
{
    for (int width = 1; width < c->n; width++)
        for (int i = 0, j = width; j < c->n; i++, j++) {
            t->cost[i][j] = -1;
            for (int k = i; k < j; k++) {
                double cost = t->cost[i][k] + t->cost[k + 1][j] +
                              2 * gram_dim_nominal(c->factor[i]->rows) * gram_dim_nominal(c->factor[k]->cols) *
                                  gram_dim_nominal(c->factor[j]->cols) * items_of(c, i, j) * weight_of(c, i, k, j);
                if (t->cost[i][j] < 0 || cost < t->cost[i][j]) {
                    t->cost[i][j] = cost;
                    t->split[i][j] = k;
                }
            }
        }
}

static gram_node *multiply(gram_ctx *ctx, gram_loc loc, const table *t, const chain *c, int i, int j)
{
    if (i == j)
        return c->factor[i];
    int k = t->split[i][j];
    return gram_node_binary(ctx, loc, GRAM_OP_MATMUL, multiply(ctx, loc, t, c, i, k),
                            multiply(ctx, loc, t, c, k + 1, j));
}

static bool takes_apart(const order *o, const gram_node *node)
{
    return !o->closed && is_over_pairs(node);
}

static gram_node *ordered(order *o, gram_node *node);

static gram_node *ordered_chain(order *o, gram_node *node)
{
    chain c = {0};
    table *t = gram_alloc(o->ctx, sizeof *t);
    flatten(node->args[0], &c, takes_apart(o, node));
    flatten(node->args[1], &c, takes_apart(o, node));
    for (int k = 0; k < c.n; k++)
        c.factor[k] = ordered(o, c.factor[k]);
    fill(t, &c);
    return multiply(o->ctx, node->loc, t, &c, 0, c.n - 1);
}

static gram_node *ordered_args(order *o, gram_node *node)
{
    gram_node **args = gram_alloc(o->ctx, (size_t)(node->nargs + 1) * sizeof *args);
    for (int k = 0; k < node->nargs; k++)
        args[k] = ordered(o, node->args[k]);
    return gram_node_make(o->ctx, node->loc, node->op, node->nargs, args, node);
}

/* A product of not too many factors? */
static bool is_chain(const order *o, const gram_node *node)
{
    if (node->op != GRAM_OP_MATMUL)
        return false;
    bool pairs = takes_apart(o, node);
    int left = count_factors(node->args[0], MAX_FACTORS, pairs);
    return left + count_factors(node->args[1], MAX_FACTORS, pairs) < MAX_FACTORS - 2;
}

/* S' as it follows from S, where S is ordered already: then one pass can make the tiles of both. */
static gram_node *ordered_turned(order *o, gram_node *node)
{
    gram_node *turned = node->op == GRAM_OP_MATMUL && gram_is_pair(node) ? gram_transposed(o->ctx, node) : node;
    bool done = turned->id < o->size && o->done[turned->id];
    return done ? gram_transposed(o->ctx, o->done[turned->id]) : NULL;
}

static gram_node *ordered(order *o, gram_node *node)
{
    if (node->nargs == 0 || node->id >= o->size)
        return node;
    if (!o->done[node->id])
        o->done[node->id] = ordered_turned(o, node);
    if (!o->done[node->id]) {
        o->done[node->id] = is_chain(o, node) ? ordered_chain(o, node) : ordered_args(o, node);
        o->done[node->id]->shared |= node->shared;
    }
    return o->done[node->id];
}

/* --- sums over pairs that their users make for less --------------------------------------------------------------- */

/* By node: how many rows or columns its users leave of it, each of which multiplies it with another matrix. */
typedef struct remains {
    gram_ctx *ctx;
    int size;
    double *left;
    char *seen;
} remains;

/* What a user leaves of a product over pairs: A (X P), which might be (A X) P, has as many rows as A. */
static double left_by(const gram_node *user, const gram_node *product)
{
    if (user->op != GRAM_OP_MATMUL || user->args[0] == user->args[1])
        return gram_dim_nominal(product->rows) + gram_dim_nominal(product->cols);
    return gram_dim_nominal(user->args[0] == product ? user->args[1]->cols : user->args[0]->rows);
}

static void count_remains(remains *r, const gram_node *node)
{
    if (r->seen[node->id])
        return;
    r->seen[node->id] = 1;
    for (int k = 0; k < node->nargs; k++) {
        r->left[node->args[k]->id] += left_by(node, node->args[k]);
        count_remains(r, node->args[k]);
    }
}

/* X P, of which all users together leave less than it has, is not computed for itself but taken apart by each. */
static void unshare(remains *r, gram_node *node)
{
    if (r->seen[node->id] == 2)
        return;
    r->seen[node->id] = 2;
    for (int k = 0; k < node->nargs; k++)
        unshare(r, node->args[k]);
    if (!node->shared || !holds_pairs(node))
        return;
    double rows = gram_dim_nominal(node->rows), cols = gram_dim_nominal(node->cols);
    gram_node *turned = gram_transposed(r->ctx, node);
    double left = r->left[node->id] + (turned != node && turned->id < r->size ? r->left[turned->id] : 0);
    node->shared = turned->shared = left >= (rows < cols ? rows : cols);
}

static void unshare_all(order *o, const gram_spec *spec)
{
    const size_t size = (size_t)o->size + 1;
    remains r = {o->ctx, o->size, gram_alloc(o->ctx, size * sizeof *r.left), gram_alloc(o->ctx, size)};
    for (int k = 0; k < spec->noutputs; k++) {
        count_remains(&r, spec->outputs[k].node);
        r.left[spec->outputs[k].node->id] += GRAM_MANY;
    }
    for (int k = 0; k < spec->noutputs; k++)
        unshare(&r, spec->outputs[k].node);
}

/* --- all of a spec ------------------------------------------------------------------------------------------------ */

/* What the products below node cost that were not seen before, for an item of the batch. */
static double flops_of(char *seen, const gram_node *node)
{
    if (seen[node->id])
        return 0;
    seen[node->id] = 1;
    double flops = 0, items = gram_dim_nominal(node->each) * (node->heads > 1 ? node->heads : 1);
    for (int k = 0; k < node->nargs; k++)
        flops += flops_of(seen, node->args[k]);
    if (node->op == GRAM_OP_MATMUL)
        flops += 2 * gram_dim_nominal(node->rows) * gram_dim_nominal(node->args[0]->cols) *
                 gram_dim_nominal(node->cols) * items;
    return flops;
}

/* The outputs with their products in the cheapest orders, and what these cost together. */
static double order_outputs(order *o, const gram_spec *spec, gram_node **outputs)
{
    int known = 0;
    double flops = 0;
    o->done = gram_alloc(o->ctx, (size_t)(o->size + 1) * sizeof *o->done);
    for (int k = 0; k < spec->noutputs; k++) {
        outputs[k] = ordered(o, spec->outputs[k].node);
        known = outputs[k]->id >= known ? outputs[k]->id + 1 : known;
    }
    char *seen = gram_alloc(o->ctx, (size_t)known + 1);
    for (int k = 0; k < spec->noutputs; k++)
        flops += flops_of(seen, outputs[k]);
    return flops;
}

/* A projection that is needed as it is costs nothing more where it is used again, which no chain knows by itself: so
 * both are tried, with shared projections taken apart and without. In a derivative what is shared lives from the
 * forward to the backward part: there it is to be taken apart where that costs about the same. */
void gram_chain_order(gram_ctx *ctx, gram_spec *spec)
{
    order open = {.ctx = ctx}, closed = {.ctx = ctx, .closed = true};
    gram_node **outputs = gram_alloc(ctx, 2 * (size_t)(spec->noutputs + 1) * sizeof *outputs);
    for (int k = 0; k < spec->noutputs; k++)
        open.size = closed.size = spec->outputs[k].node->id >= open.size ? spec->outputs[k].node->id + 1 : open.size;
    unshare_all(&open, spec);
    const double apart = order_outputs(&open, spec, outputs) * (gram_is_derivative(spec) ? 0.99 : 1);
    if (order_outputs(&closed, spec, outputs + spec->noutputs) < apart)
        outputs += spec->noutputs;
    for (int k = 0; k < spec->noutputs; k++)
        spec->outputs[k].node = outputs[k];
}
