/* Chains of matrix products: common ends taken out of sums, and the cheapest order of multiplication.
 *
 * The low rank of every even order of eq. (3.2) comes from here: Y' A Y Y' B Y is a chain whose cheapest order never
 * makes an n x n matrix but the last, so order 8 costs what order 2 costs. */
#include <string.h>

#include "chain.h"

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

/* Is a product taken apart here? Not one that several formulas share: that is computed once. */
static bool opens(const gram_node *a)
{
    return a->op == GRAM_OP_MATMUL && !a->shared;
}

static void flatten(gram_node *a, chain *list)
{
    if (opens(a) && list->n < MAX_FACTORS - 2) {
        flatten(a->args[0], list);
        flatten(a->args[1], list);
    } else if (list->n < MAX_FACTORS) {
        list->factor[list->n++] = a;
    }
}

/* How many factors a chain would have; MAX_FACTORS + 1 where that is too many to take apart. */
static int count_factors(const gram_node *a, int budget)
{
    if (!opens(a) || budget <= 0)
        return 1;
    int left = count_factors(a->args[0], budget - 1);
    return left > MAX_FACTORS ? left : left + count_factors(a->args[1], budget - left);
}

/* a as number x chain; n = 0 where it is no product. */
static chain chain_of(gram_node *a)
{
    chain list = {0};
    if (a->op == GRAM_OP_MUL && gram_dim_is(a->args[0]->rows, 1) && gram_dim_is(a->args[0]->cols, 1)) {
        list.scale = a->args[0];
        a = a->args[1];
    }
    if (opens(a) && count_factors(a, MAX_FACTORS) < MAX_FACTORS - 2)
        flatten(a, &list);
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
    int size; /* of done */
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

static void fill(table *t, const chain *c)
{
    for (int width = 1; width < c->n; width++)
        for (int i = 0, j = width; j < c->n; i++, j++) {
            t->cost[i][j] = -1;
            for (int k = i; k < j; k++) {
                double cost = t->cost[i][k] + t->cost[k + 1][j] +
                              2 * gram_dim_nominal(c->factor[i]->rows) * gram_dim_nominal(c->factor[k]->cols) *
                                  gram_dim_nominal(c->factor[j]->cols) * items_of(c, i, j);
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

static gram_node *ordered(order *o, gram_node *node);

static gram_node *ordered_chain(order *o, gram_node *node)
{
    chain c = {0};
    table *t = gram_alloc(o->ctx, sizeof *t);
    flatten(node->args[0], &c);
    flatten(node->args[1], &c);
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

static gram_node *ordered(order *o, gram_node *node)
{
    if (node->nargs == 0 || node->id >= o->size)
        return node;
    if (!o->done[node->id]) {
        bool whole =
            node->op == GRAM_OP_MATMUL &&
            count_factors(node->args[0], MAX_FACTORS) + count_factors(node->args[1], MAX_FACTORS) < MAX_FACTORS - 2;
        o->done[node->id] = whole ? ordered_chain(o, node) : ordered_args(o, node);
        o->done[node->id]->shared |= node->shared;
    }
    return o->done[node->id];
}

void gram_chain_order(gram_ctx *ctx, gram_spec *spec)
{
    order o = {.ctx = ctx};
    for (int k = 0; k < spec->noutputs; k++)
        o.size = spec->outputs[k].node->id >= o.size ? spec->outputs[k].node->id + 1 : o.size;
    o.done = gram_alloc(ctx, (size_t)(o.size + 1) * sizeof *o.done);
    for (int k = 0; k < spec->noutputs; k++)
        spec->outputs[k].node = ordered(&o, spec->outputs[k].node);
}
