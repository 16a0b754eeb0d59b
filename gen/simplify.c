/* Simplify: the same outputs from fewer operations.
 *
 * The graph is rebuilt from its leaves upward through `build`, which makes a node and then offers it to the rules of
 * its operation, each a function below with the law it uses on the line above it. A rule answers with an equal, simpler
 * node (itself made by `build`, so already simple) or with NULL. What the rules aim at:
 *   - transposes stand at the leaves, where they are only a way to read an array;
 *   - scalars and per-column factors leave a product, so that what stays is a pure chain of matrices;
 *   - blocks of zeros and identities vanish (the paper's A = [0 I; 0 0]);
 *   - sums of products with common ends become one product: every even order of eq. (3.2) is Y' M Y.
 * Then chain.c orders each chain of products by its cost. */
#include <math.h>
#include <string.h>

#include "../runtime/doubles.h"
#include "chain.h"
#include "circulant.h"
#include "simplify_rules.h"

gram_node *gram_transposed(gram_ctx *ctx, gram_node *a)
{
    return build1(ctx, a, GRAM_OP_TRANSPOSE, a);
}

gram_node *gram_simplified(gram_ctx *ctx, gram_node *a)
{
    return gram_transposed(ctx, gram_transposed(ctx, a));
}

/* --- transposition ------------------------------------------------------------------------------------------------ */

/* (f(A, B))' = f(A', B'), and likewise for whatever works entry by entry or head by head. */
static gram_node *transpose_each(gram_ctx *ctx, const gram_node *a)
{
    gram_node *args[8], like = *a;
    if (a->nargs > 8)
        return NULL;
    for (int k = 0; k < a->nargs; k++)
        args[k] = a->op == GRAM_OP_GATHER && k == 0 ? a->args[k] : gram_transposed(ctx, a->args[k]);
    like.rows = a->cols;
    like.cols = a->rows;
    return gram_build(ctx, &like, a->op, a->nargs, args);
}

/* (A B)' = B' A', and a distance is the same from either side. */
static gram_node *transpose_pairs(gram_ctx *ctx, const gram_node *a)
{
    if (a->op != GRAM_OP_MATMUL)
        return build2(ctx, a, a->op, a->args[1], a->args[0]);
    gram_node *turned = build2(ctx, a, a->op, gram_transposed(ctx, a->args[1]), gram_transposed(ctx, a->args[0]));
    turned->shared |= a->shared;
    return turned;
}

/* [A B]' = [A'; B']. */
static gram_node *transpose_blocks(gram_ctx *ctx, const gram_node *a)
{
    gram_op op = a->op == GRAM_OP_HCAT ? GRAM_OP_VCAT : GRAM_OP_HCAT;
    return build2(ctx, a, op, gram_transposed(ctx, a->args[0]), gram_transposed(ctx, a->args[1]));
}

/* The index of a row, transposed, is the index of a column. */
static gram_node *transpose_index(gram_ctx *ctx, const gram_node *a)
{
    gram_node like = *a;
    like.rows = a->cols;
    like.cols = a->rows;
    return gram_build(ctx, &like, a->op == GRAM_OP_ROW ? GRAM_OP_COL : GRAM_OP_ROW, 0, NULL);
}

static gram_node *transpose(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0];
    if (is_one_by_one(a) || a->op == GRAM_OP_IDENTITY || a->op == GRAM_OP_DIAG)
        return a;
    if (gram_op_is_scalar(a->op))
        return transpose_each(ctx, a);
    switch (a->op) {
    case GRAM_OP_TRANSPOSE:
        return a->args[0];
    case GRAM_OP_EXPAND:
    case GRAM_OP_KEEP:
    case GRAM_OP_GATHER:
    case GRAM_OP_HEAD_AT:
    case GRAM_OP_STACK_HEADS:
    case GRAM_OP_SUM_HEADS:
        return transpose_each(ctx, a);
    case GRAM_OP_MATMUL:
    case GRAM_OP_SQDIST:
    case GRAM_OP_DIST1:
        return transpose_pairs(ctx, a);
    case GRAM_OP_HCAT:
    case GRAM_OP_VCAT:
        return transpose_blocks(ctx, a);
    case GRAM_OP_ROW:
    case GRAM_OP_COL:
        return transpose_index(ctx, a);
    default:
        return NULL;
    }
}

/* What rounding takes from a running sum, read as a reads the sum; NULL: a is something else. */
static gram_node *lost_in(gram_ctx *ctx, const gram_node *a)
{
    if (a->op == GRAM_OP_CUMSUM)
        return gram_node_unary(ctx, a->loc, GRAM_OP_CUMSUM_LOST, a->args[0]);
    bool reads = a->op == GRAM_OP_GATHER || a->op == GRAM_OP_EXPAND || a->op == GRAM_OP_TRANSPOSE;
    gram_node *lost = reads ? lost_in(ctx, a->args[0]) : NULL;
    if (!lost)
        return NULL;
    gram_node **args = gram_alloc(ctx, (size_t)a->nargs * sizeof *args);
    memcpy(args, a->args, (size_t)a->nargs * sizeof *args);
    args[0] = lost;
    return gram_node_make(ctx, a->loc, a->op, a->nargs, args, a);
}

/* c_j - c_i of running sums is c_j + (-c_i) and what rounding took from both, so that it is as exact as the sum of what
 * lies between, however long the sums are. (It is no difference any more, so it is not changed again.) */
static gram_node *difference_of_sums(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = lost_in(ctx, node->args[0]), *b = lost_in(ctx, node->args[1]);
    if (!a || !b)
        return NULL;
    gram_node *minus = gram_node_unary(ctx, node->loc, GRAM_OP_NEG, node->args[1]);
    return gram_node_binary(ctx, node->loc, GRAM_OP_ADD,
                            gram_node_binary(ctx, node->loc, GRAM_OP_ADD, node->args[0], minus),
                            gram_node_binary(ctx, node->loc, GRAM_OP_SUB, a, b));
}

/* What stands in for a node in gradients is of no account in its value. */
static gram_node *surrogate_value(gram_ctx *ctx, const gram_node *node)
{
    (void)ctx;
    return node->keep == node->args[0]->keep ? node->args[0] : NULL;
}

/* --- sums --------------------------------------------------------------------------------------------------------- */

/* A + 0 = A. */
static gram_node *sum_zero(gram_ctx *ctx, const gram_node *node)
{
    (void)ctx;
    for (int k = 0; k < 2; k++)
        if (is_zero(node->args[k]) && same_shape(node, node->args[!k]) && node->heads == node->args[!k]->heads)
            return node->args[!k];
    return NULL;
}

/* k 1 = k for integers. */
static gram_node *integer_times_one(gram_ctx *ctx, const gram_node *node)
{
    (void)ctx;
    for (int k = 0; k < 2; k++)
        if (is_number(node->args[k], 1) && same_shape(node, node->args[!k]) && node->heads == node->args[!k]->heads)
            return node->args[!k];
    return NULL;
}

/* [A B] + [C D] = [A + C, B + D] where they are cut alike, and likewise for [A; B]. */
static gram_node *sum_blocks(gram_ctx *ctx, const gram_node *node)
{
    const gram_node *a = node->args[0], *b = node->args[1];
    if ((a->op != GRAM_OP_HCAT && a->op != GRAM_OP_VCAT) || a->op != b->op || !same_shape(a->args[0], b->args[0]) ||
        !same_shape(a->args[1], b->args[1]))
        return NULL;
    return build2(ctx, node, a->op, build2(ctx, node, GRAM_OP_ADD, a->args[0], b->args[0]),
                  build2(ctx, node, GRAM_OP_ADD, a->args[1], b->args[1]));
}

/* Heads that are stacked are added head by head, so that zeros beside a gradient's one head (that of A[h]) vanish. */
static gram_node *sum_stacks(gram_ctx *ctx, const gram_node *node)
{
    const gram_node *a = node->args[0], *b = node->args[1];
    if (a->op != GRAM_OP_STACK_HEADS || b->op != GRAM_OP_STACK_HEADS || a->nargs != b->nargs || !same_shape(a, b))
        return NULL;
    gram_node **heads = gram_alloc(ctx, (size_t)a->nargs * sizeof *heads);
    for (int h = 0; h < a->nargs; h++)
        heads[h] = build2(ctx, a->args[h], GRAM_OP_ADD, a->args[h], b->args[h]);
    return gram_build(ctx, a, GRAM_OP_STACK_HEADS, a->nargs, heads);
}

/* [0 0] = 0. */
static gram_node *blocks_of_zeros(gram_ctx *ctx, const gram_node *node)
{
    if (!is_zero(node->args[0]) || !is_zero(node->args[1]))
        return NULL;
    return zeros(ctx, node->loc, node->rows, node->cols);
}

/* P A R + P B R = P (A + B) R: sums of quadratic forms of any order become one. */
static gram_node *sum_factor(gram_ctx *ctx, const gram_node *node)
{
    return gram_chain_factor(ctx, node, build2);
}

/* --- scalars ------------------------------------------------------------------------------------------------------ */

/* 1 A = A, 0 I = 0, a (b A) = (a b) A with the number first. */
static gram_node *scale(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (b->op == GRAM_OP_NUMBER && a->op != GRAM_OP_NUMBER)
        return build2(ctx, node, GRAM_OP_MUL, b, a);
    if (is_number(a, 1) && same_shape(node, b))
        return b;
    if (is_number(a, 0) && b->op == GRAM_OP_IDENTITY)
        return zeros(ctx, node->loc, node->rows, node->cols);
    if (a->op == GRAM_OP_NUMBER && b->op == GRAM_OP_MUL && b->args[0]->op == GRAM_OP_NUMBER)
        return build2(ctx, node, GRAM_OP_MUL,
                      gram_node_number(ctx, node->loc, GRAM_REAL, a->number * b->args[0]->number), b->args[1]);
    return NULL;
}

/* c 0 = 0, and c [A 0] = [c A, 0], so that blocks are added and taken apart as such. */
static gram_node *scale_blocks(gram_ctx *ctx, const gram_node *node)
{
    gram_node *c = node->args[0], *b = node->args[1];
    if (c->op != GRAM_OP_NUMBER || b->keep || !has_zero_block(b))
        return NULL;
    if (is_zero(b))
        return zeros(ctx, node->loc, node->rows, node->cols);
    return build2(ctx, node, b->op, build2(ctx, node, GRAM_OP_MUL, c, b->args[0]),
                  build2(ctx, node, GRAM_OP_MUL, c, b->args[1]));
}

/* A / c = (1 / c) A for a number c; and where A is a product, for one that the sizes tell, so that the product may be
 * added to others. */
static gram_node *divide(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *c = node->args[1], *one = gram_node_number(ctx, node->loc, GRAM_REAL, 1);
    if (c->op == GRAM_OP_NUMBER && c->number != 0)
        return build2(ctx, node, GRAM_OP_MUL, gram_node_number(ctx, node->loc, GRAM_REAL, 1 / c->number), a);
    bool scaled = a->op == GRAM_OP_MUL && is_one_by_one(a->args[0]);
    gram_node *product = scaled ? a->args[1] : a;
    if (!is_one_by_one(c) || is_one_by_one(a) || product->op != GRAM_OP_MATMUL || product->keep)
        return NULL;
    return build2(ctx, node, GRAM_OP_MUL, build2(ctx, node, GRAM_OP_DIV, scaled ? a->args[0] : one, c), product);
}

#define OP(id, name, result, operands, vector, reference, range, ...) \
    static double fold_##name(double a, double b, double c) \
    { \
        (void)a, (void)b, (void)c; \
        return reference; \
    }
#include "../runtime/ops.def"
#undef OP

static double (*const folds[GRAM_OP_COUNT])(double, double, double) = {
#define OP(id, name, result, operands, vector, reference, range, ...) [GRAM_OP_##id] = fold_##name,
#include "../runtime/ops.def"
#undef OP
};

/* f(1, 2) is a number. */
static gram_node *fold(gram_ctx *ctx, const gram_node *node)
{
    double x[3] = {0};
    if (node->type == GRAM_BOOL)
        return NULL;
    for (int k = 0; k < node->nargs; k++) {
        if (node->args[k]->op != GRAM_OP_NUMBER)
            return NULL;
        x[k] = node->args[k]->number;
    }
    return gram_node_number(ctx, node->loc, node->type, folds[node->op](x[0], x[1], x[2]));
}

/* p & p = p; (p & q) & q = p & q. */
static gram_node *both(gram_ctx *ctx, const gram_node *node)
{
    (void)ctx;
    gram_node *a = node->args[0], *b = node->args[1];
    if (a == b || (a->op == GRAM_OP_AND && (a->args[0] == b || a->args[1] == b)))
        return a;
    return b->op == GRAM_OP_AND && (b->args[0] == a || b->args[1] == a) ? b : NULL;
}

/* A + 0 head, as a gradient is repeated over heads or items, beside an operand that has them anyway: A will do. */
static gram_node *operand_repeated(gram_ctx *ctx, const gram_node *node)
{
    for (int side = 0; side < 2; side++) {
        gram_node *x = node->args[side], *zero = x->op == GRAM_OP_ADD ? x->args[1] : x;
        bool repeats = x->op == GRAM_OP_ADD && zero->op == GRAM_OP_MUL && is_number(zero->args[0], 0) &&
                       zero->args[1]->op == GRAM_OP_REAL && !x->keep && same_shape(x, x->args[0]);
        const gram_node *of = repeats ? zero->args[1]->args[0] : x;
        if (!repeats || (of->op != GRAM_OP_HEAD && of->op != GRAM_OP_BATCH))
            continue;
        gram_node *args[] = {side ? node->args[0] : x->args[0], side ? x->args[0] : node->args[1]};
        gram_node *plain = gram_build(ctx, node, node->op, 2, args);
        if (plain->heads == node->heads && plain->batched == node->batched)
            return plain;
    }
    return NULL;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* Rows of [A; B] that lie in one of them, rows of A B are rows of A times B, all the rows are the matrix. */
static gram_node *rows_of(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0];
    if (gram_dim_is(node->dim, 0) && gram_dim_equal(node->rows, a->rows))
        return a;
    if (a->op == GRAM_OP_MATMUL)
        return build2(ctx, node, GRAM_OP_MATMUL, slice(ctx, a->args[0], node->dim, node->rows), a->args[1]);
    if (is_zero(a))
        return zeros(ctx, node->loc, node->rows, node->cols);
    if (a->op != GRAM_OP_VCAT || !gram_dim_known(node->dim) || !gram_dim_known(node->rows) ||
        !gram_dim_known(a->args[0]->rows))
        return NULL;
    int64_t cut = a->args[0]->rows.number, from = node->dim.number;
    if (from + node->rows.number <= cut)
        return slice(ctx, a->args[0], node->dim, node->rows);
    if (from >= cut)
        return slice(ctx, a->args[1], gram_dim_number(from - cut), node->rows);
    return NULL;
}

/* The sum down the columns of A B is (the sum of A's columns) B. */
static gram_node *sum_of_product(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0];
    if (a->op != GRAM_OP_MATMUL || a->keep || a->args[0]->keep || a->args[1]->keep || !gram_is_pair(a))
        return NULL;
    return build2(ctx, node, GRAM_OP_MATMUL, build1(ctx, node, GRAM_OP_SUM, a->args[0]), a->args[1]);
}

/* The sum down the columns of P (A B), entry by entry with P = softmax(S), is that of B (A'P): a softmax's gradient has
 * it, and A'P is summed in the pass over the scores that their log-sum-exp needs anyway. */
static gram_node *sum_of_weighted(gram_ctx *ctx, const gram_node *node)
{
    const gram_node *a = node->args[0];
    for (int side = 0; side < 2 && a->op == GRAM_OP_MUL; side++) {
        gram_node *P = a->args[side], *AB = a->args[!side];
        if (AB->op == GRAM_OP_KEEP && AB->keep == P->keep)
            AB = AB->args[0];
        if (P->op != GRAM_OP_SOFTMAX || AB->op != GRAM_OP_MATMUL || AB->keep || a->keep != P->keep ||
            !gram_is_pair(AB) || !gram_dim_known(AB->args[0]->cols))
            continue;
        gram_node *mean = build2(ctx, node, GRAM_OP_MATMUL, gram_transposed(ctx, AB->args[0]), P);
        return build1(ctx, node, GRAM_OP_SUM, build2(ctx, node, GRAM_OP_MUL, AB->args[1], mean));
    }
    return NULL;
}

/* --- the rules' table --------------------------------------------------------------------------------------------- */

typedef gram_node *(*gram_rule)(gram_ctx *ctx, const gram_node *node);
static const struct {
    gram_op op;
    gram_rule rule;
} rules[] = {
    {GRAM_OP_TRANSPOSE, transpose},
    {GRAM_OP_SURROGATE, surrogate_value},
    {GRAM_OP_MATMUL, operand_repeated},
    {GRAM_OP_MUL, operand_repeated},
    {GRAM_OP_MATMUL, gram_circulant_product},
    {GRAM_OP_SOFTMAX, gram_circulant_softmax},
    {GRAM_OP_WRAP, gram_circulant_wrap},
    {GRAM_OP_MATMUL, gram_product_special},
    {GRAM_OP_MATMUL, gram_product_factor},
    {GRAM_OP_MATMUL, gram_product_where},
    {GRAM_OP_MATMUL, gram_product_of_blocks},
    {GRAM_OP_MATMUL, gram_product_of_stack},
    {GRAM_OP_MATMUL, gram_product_distribute},
    {GRAM_OP_MATMUL, gram_product_linear},
    {GRAM_OP_SUB, difference_of_sums},
    {GRAM_OP_ADD, sum_zero},
    {GRAM_OP_IADD, sum_zero},
    {GRAM_OP_IMUL, integer_times_one},
    {GRAM_OP_ADD, sum_blocks},
    {GRAM_OP_ADD, sum_stacks},
    {GRAM_OP_HCAT, blocks_of_zeros},
    {GRAM_OP_VCAT, blocks_of_zeros},
    {GRAM_OP_ADD, sum_factor},
    {GRAM_OP_MUL, scale},
    {GRAM_OP_MUL, scale_blocks},
    {GRAM_OP_DIV, divide},
    {GRAM_OP_AND, both},
    {GRAM_OP_SUM_HEADS, gram_sum_heads_apart},
    {GRAM_OP_SUM_HEADS, gram_sum_heads_product},
    {GRAM_OP_SUM_HEADS, gram_sum_heads_each},
    {GRAM_OP_ROWS, rows_of},
    {GRAM_OP_SUM, sum_of_product},
    {GRAM_OP_SUM, sum_of_weighted},
    {GRAM_OP_SUM, gram_sum_linear},
    {GRAM_OP_RESHAPE, gram_items_again},
};

static gram_node *apply_rules(gram_ctx *ctx, gram_node *node)
{
    gram_node *simpler = gram_op_is_scalar(node->op) ? fold(ctx, node) : NULL;
    if (!simpler)
        simpler = gram_items_beside(ctx, node);
    for (size_t k = 0; !simpler && k < sizeof rules / sizeof *rules; k++)
        if (rules[k].op == node->op)
            simpler = rules[k].rule(ctx, node);
    return simpler && gram_dim_equal(simpler->each, node->each) ? simpler : node;
}

gram_node *gram_build(gram_ctx *ctx, const gram_node *like, gram_op op, int nargs, gram_node *const *args)
{
    return apply_rules(ctx, gram_node_make(ctx, like->loc, op, nargs, args, like));
}

/* --- the pass ----------------------------------------------------------------------------------------------------- */

typedef struct rebuild {
    gram_ctx *ctx;
    gram_node **done; /* by the old node's id */
    int *users;       /* how many nodes use it */
} rebuild;

static void count_users(rebuild *r, const gram_node *node, char *seen)
{
    if (seen[node->id])
        return;
    seen[node->id] = 1;
    for (int k = 0; k < node->nargs; k++) {
        const gram_node *a = node->args[k];
        count_users(r, a, seen);
        r->users[a->id]++;
    }
}

/* A product that several formulas use, perhaps with a number in front, is computed once. */
static void mark_shared(gram_node *node)
{
    while (node->op == GRAM_OP_MUL && is_one_by_one(node->args[0]))
        node = node->args[1];
    node->shared |= node->op == GRAM_OP_MATMUL && !gram_is_pair(node);
}

static gram_node *rebuilt(rebuild *r, gram_node *node)
{
    gram_node **args = gram_alloc(r->ctx, (size_t)(node->nargs + 1) * sizeof *args);
    if (r->done[node->id])
        return r->done[node->id];
    for (int k = 0; k < node->nargs; k++)
        args[k] = rebuilt(r, node->args[k]);
    gram_node *result = node->nargs ? gram_build(r->ctx, node, node->op, node->nargs, args) : node;
    if (r->users[node->id] > 1)
        mark_shared(result);
    return r->done[node->id] = result;
}

/* What is given was made simpler as outputs are, after the outputs. */
static void take_given(gram_ctx *ctx, gram_spec *simple, const gram_spec *spec)
{
    simple->given = gram_alloc(ctx, (size_t)(spec->ngiven + 1) * sizeof *simple->given);
    simple->noutputs = spec->noutputs;
    for (int k = 0; k < spec->ngiven; k++)
        simple->given[k] = (gram_given){simple->outputs[spec->noutputs + k].node, spec->given[k].input};
}

gram_spec *gram_simplify(gram_ctx *ctx, const gram_spec *spec)
{
    int most = 0;
    for (int k = 0; k < spec->noutputs; k++)
        most = spec->outputs[k].node->id > most ? spec->outputs[k].node->id : most;
    for (int k = 0; k < spec->ngiven; k++)
        most = spec->given[k].node->id > most ? spec->given[k].node->id : most;
    size_t n = (size_t)most + 1;
    rebuild r = {ctx, gram_alloc(ctx, n * sizeof *r.done), gram_alloc(ctx, n * sizeof *r.users)};
    char *seen = gram_alloc(ctx, n);
    for (int k = 0; k < spec->noutputs; k++)
        count_users(&r, spec->outputs[k].node, seen);
    gram_spec *simple = gram_alloc(ctx, sizeof *simple);
    *simple = *spec;
    simple->outputs = gram_alloc(ctx, (size_t)(spec->noutputs + spec->ngiven + 1) * sizeof *simple->outputs);
    for (int k = 0; k < spec->noutputs; k++) {
        simple->outputs[k] = spec->outputs[k];
        simple->outputs[k].node = rebuilt(&r, spec->outputs[k].node);
        simple->outputs[k].traced = spec->outputs[k].node;
    }
    for (int k = 0; k < spec->ngiven; k++)
        simple->outputs[simple->noutputs++].node = rebuilt(&r, spec->given[k].node);
    gram_chain_order(ctx, simple);
    take_given(ctx, simple, spec);
    return simple;
}
