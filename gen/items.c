/* Items: a part of simplify. Inside `each` a matrix has few columns, and there is one for each column outside. W T,
 * gelu(T), a norm down the columns: what looks at one column at a time is the same for the columns of all items side by
 * side, which is one large matrix in place of many small ones, and how the array lies anyway. Only where columns of an
 * item meet, in scores and in products with them, are items computed one by one. */
#include "simplify_rules.h"

/* a's entries in another shape: the one they had before, or one RESHAPE of it. */
static gram_node *shaped(gram_ctx *ctx, gram_loc loc, gram_node *a, const gram_node *like)
{
    for (; a->op == GRAM_OP_RESHAPE; a = a->args[0])
        if (gram_dim_equal(a->rows, like->rows) && gram_dim_equal(a->cols, like->cols) &&
            gram_dim_equal(a->each, like->each))
            return a;
    bool same = gram_dim_equal(a->rows, like->rows) && gram_dim_equal(a->cols, like->cols) &&
                gram_dim_equal(a->each, like->each);
    return same ? a : gram_node_make(ctx, loc, GRAM_OP_RESHAPE, 1, &a, like);
}

gram_node *gram_items_again(gram_ctx *ctx, const gram_node *node)
{
    gram_node *result = shaped(ctx, node->loc, node->args[0], node);
    return result->op == GRAM_OP_RESHAPE && result->args[0] == node->args[0] ? NULL : result;
}

/* Columns of items that are an array, which may be seen in another shape. */
static bool is_cut(const gram_node *a, gram_dim cols)
{
    bool array = a->op == GRAM_OP_RESHAPE || a->op == GRAM_OP_CONCAT_HEADS;
    return array && !gram_dim_is(a->each, 1) && !a->keep && gram_dim_equal(a->cols, cols);
}

/* The same for every column of every item. */
static bool is_given(const gram_node *a)
{
    return gram_dim_is(a->each, 1) && gram_dim_is(a->cols, 1) && !a->keep;
}

/* Does a column of node come from that column of the items, and what is the same for all? */
static bool is_by_column(const gram_node *node)
{
    static const bool sums[GRAM_OP_COUNT] = {
        [GRAM_OP_SUM] = true, [GRAM_OP_MAXIMUM] = true, [GRAM_OP_LOGSUMEXP] = true};
    const gram_node *a = node->nargs ? node->args[0] : NULL;
    if (sums[node->op])
        return is_cut(a, node->cols);
    if (node->op == GRAM_OP_MATMUL)
        return gram_dim_is(a->each, 1) && !a->keep && is_cut(node->args[1], node->cols);
    bool by_column = gram_op_is_scalar(node->op);
    for (int k = 0; k < node->nargs; k++)
        by_column = by_column && (is_cut(node->args[k], node->cols) || is_given(node->args[k]));
    return by_column;
}

gram_node *gram_items_beside(gram_ctx *ctx, const gram_node *node)
{
    enum { MOST_OPERANDS = 3 };
    if (gram_dim_is(node->each, 1) || node->heads || node->keep || !gram_dim_known(node->cols) || !is_by_column(node))
        return NULL;
    gram_dim cols = gram_dim_times(node->each, node->cols.number);
    if (gram_dim_is(cols, 0))
        return NULL;
    gram_node *args[MOST_OPERANDS];
    for (int k = 0; k < node->nargs; k++) {
        gram_node *a = node->args[k], like = {.rows = a->rows, .cols = cols, .each = gram_dim_number(1)};
        args[k] = gram_dim_is(a->each, 1) ? a : shaped(ctx, node->loc, a, &like);
    }
    return shaped(ctx, node->loc, gram_build(ctx, node, node->op, node->nargs, args), node);
}
