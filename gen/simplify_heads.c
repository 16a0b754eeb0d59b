/* Simplify's rules of sums over heads; simplify_rules.h says what each does. */
#include "chain.h"
#include "simplify_rules.h"

/* (A B) C = A (B C): the same product with its first factor apart. */
static gram_node *first_apart(gram_ctx *ctx, gram_node *x)
{
    while (x->op == GRAM_OP_MATMUL && x->args[0]->op == GRAM_OP_MATMUL && !x->args[0]->keep) {
        gram_node *ab = x->args[0];
        x = gram_node_binary(ctx, x->loc, GRAM_OP_MATMUL, ab->args[0],
                             gram_node_binary(ctx, x->loc, GRAM_OP_MATMUL, ab->args[1], x->args[1]));
    }
    return x;
}

/* v (A B) = A (v B) and where(v, 0, A B) = A where(v, 0, B), of one v for each column. */
static gram_node *columns_within(gram_ctx *ctx, gram_node *x)
{
    const int last = x->nargs - 1;
    bool columns = x->op == GRAM_OP_MUL || (x->op == GRAM_OP_WHERE && is_zero(x->args[1]));
    if (!columns || !gram_dim_is(x->args[0]->rows, 1) || !same_shape(x, x->args[last]))
        return x;
    gram_node *ab = columns_within(ctx, x->args[last]), *args[] = {x->args[0], NULL, NULL};
    if (ab->op != GRAM_OP_MATMUL)
        return x;
    args[1] = gram_node_number(ctx, x->loc, GRAM_REAL, 0);
    args[last] = ab->args[1];
    return gram_node_binary(ctx, x->loc, GRAM_OP_MATMUL, ab->args[0], gram_build(ctx, x, x->op, x->nargs, args));
}

gram_node *gram_sum_heads_product(gram_ctx *ctx, const gram_node *node)
{
    gram_node *x = first_apart(ctx, columns_within(ctx, node->args[0]));
    if (x->op != GRAM_OP_MATMUL || !gram_dim_known(x->args[0]->cols))
        return NULL;
    if (x->args[0]->heads != x->heads || x->args[1]->heads != x->heads || x->args[0]->keep || x->args[1]->keep)
        return NULL;
    gram_node *a = build1(ctx, node, GRAM_OP_CONCAT_HEADS, gram_transposed(ctx, x->args[0]));
    gram_node *b = build1(ctx, node, GRAM_OP_CONCAT_HEADS, x->args[1]);
    return build2(ctx, node, GRAM_OP_MATMUL, gram_transposed(ctx, a), b);
}

/* A product, or a sum of products, with numbers in front of them. */
static bool is_product(const gram_node *a)
{
    if (a->op == GRAM_OP_ADD || a->op == GRAM_OP_SUB)
        return is_product(a->args[0]) && is_product(a->args[1]);
    return a->op == GRAM_OP_MATMUL || (a->op == GRAM_OP_MUL && is_one_by_one(a->args[0]) && is_product(a->args[1]));
}

gram_node *gram_sum_heads_apart(gram_ctx *ctx, const gram_node *node)
{
    gram_node *x = node->args[0], *a = x->nargs == 2 ? x->args[0] : NULL, *b = a ? x->args[1] : NULL;
    bool sum = x->op == GRAM_OP_ADD || x->op == GRAM_OP_SUB;
    if (!b || x->keep || b->heads != x->heads || gram_is_pair(x) || !same_shape(x, b))
        return NULL;
    if (x->op == GRAM_OP_MUL && is_one_by_one(a) && !a->heads && b->op == GRAM_OP_MATMUL)
        return build2(ctx, node, GRAM_OP_MUL, a, build1(ctx, node, GRAM_OP_SUM_HEADS, b));
    if (!sum || a->heads != x->heads || !same_shape(x, a) || !is_product(a) || !is_product(b))
        return NULL;
    return build2(ctx, node, x->op, build1(ctx, node, GRAM_OP_SUM_HEADS, a), build1(ctx, node, GRAM_OP_SUM_HEADS, b));
}

static gram_node *head_at(gram_ctx *ctx, const gram_node *node, gram_node *a, int head)
{
    gram_node like = *node;
    like.index = head;
    return build1(ctx, &like, GRAM_OP_HEAD_AT, a);
}

gram_node *gram_sum_heads_each(gram_ctx *ctx, const gram_node *node)
{
    gram_node *x = node->args[0];
    if (x->keep && x->keep->heads)
        x = gram_node_filled(ctx, node->loc, x);
    gram_node *sum = head_at(ctx, node, x, 0);
    for (int h = 1; h < x->heads; h++)
        sum = build2(ctx, node, GRAM_OP_ADD, sum, head_at(ctx, node, x, h));
    return sum;
}
