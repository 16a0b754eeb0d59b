/* Simplify's rules of products; simplify_rules.h says what each does. */
#include "chain.h"
#include "simplify_rules.h"

gram_node *gram_product_special(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (a->keep || b->keep)
        return NULL;
    if (is_zero(a) || is_zero(b))
        return zeros(ctx, node->loc, node->rows, node->cols);
    if (a->op == GRAM_OP_IDENTITY)
        return b;
    if (b->op == GRAM_OP_IDENTITY)
        return a;
    if (a->op == GRAM_OP_DIAG)
        return build2(ctx, node, GRAM_OP_MUL, a->args[0], b);
    if (b->op == GRAM_OP_DIAG)
        return build2(ctx, node, GRAM_OP_MUL, a, gram_transposed(ctx, b->args[0]));
    return NULL;
}

/* Is f a factor that may leave a product on this side: one number, or one per row (left) or column (right)? */
static bool leaves(const gram_node *f, bool left)
{
    return !f->keep && (left ? gram_dim_is(f->cols, 1) : gram_dim_is(f->rows, 1));
}

/* A number made of a size n that scales a product over n terms, such as 1 / n: with n = 0 the product is 0, so the
 * number must not be infinite. */
static gram_node *scale_of(gram_ctx *ctx, const gram_node *product, gram_node *c)
{
    enum { DEEPEST = 8 };
    gram_node *args[3];
    if (c->op == GRAM_OP_SIZE && gram_dim_equal(c->dim, product->args[0]->cols))
        return gram_node_binary(ctx, c->loc, GRAM_OP_IMAX, c, gram_node_number(ctx, c->loc, GRAM_INT, 1));
    if (!gram_op_is_scalar(c->op) || !is_one_by_one(c) || c->depth > DEEPEST)
        return c;
    for (int k = 0; k < c->nargs; k++)
        args[k] = scale_of(ctx, product, c->args[k]);
    return gram_build(ctx, c, c->op, c->nargs, args);
}

gram_node *gram_product_factor(gram_ctx *ctx, const gram_node *node)
{
    for (int side = 0; side < 2; side++) {
        gram_node *x = node->args[side];
        int factor = -1;
        if (x->op == GRAM_OP_NEG)
            return build1(ctx, node, GRAM_OP_NEG,
                          build2(ctx, node, GRAM_OP_MATMUL, side ? node->args[0] : x->args[0],
                                 side ? x->args[0] : node->args[1]));
        if (x->op == GRAM_OP_DIV && leaves(x->args[1], side == 0))
            factor = 1;
        else if (x->op == GRAM_OP_MUL)
            factor = leaves(x->args[0], side == 0) ? 0 : leaves(x->args[1], side == 0) ? 1 : -1;
        if (factor < 0 || !same_shape(x, x->args[!factor]))
            continue;
        gram_node *rest = x->args[!factor];
        gram_node *product =
            build2(ctx, node, GRAM_OP_MATMUL, side ? node->args[0] : rest, side ? rest : node->args[1]);
        gram_node *c = scale_of(ctx, node, x->args[factor]);
        return factor ? build2(ctx, node, x->op, product, c) : build2(ctx, node, x->op, c, product);
    }
    return NULL;
}

gram_node *gram_product_where(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (b->op != GRAM_OP_WHERE || !leaves(b->args[0], false) || !is_number(b->args[1], 0) || !same_shape(b, b->args[2]))
        return NULL;
    return gram_build(ctx, node, GRAM_OP_WHERE, 3,
                      (gram_node *[]){b->args[0], b->args[1], build2(ctx, node, GRAM_OP_MATMUL, a, b->args[2])});
}

gram_node *gram_product_of_stack(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (a->op == GRAM_OP_VCAT && gram_dim_known(a->rows))
        return build2(ctx, node, GRAM_OP_VCAT, build2(ctx, node, GRAM_OP_MATMUL, a->args[0], b),
                      build2(ctx, node, GRAM_OP_MATMUL, a->args[1], b));
    if (b->op == GRAM_OP_HCAT && gram_dim_known(b->cols))
        return build2(ctx, node, GRAM_OP_HCAT, build2(ctx, node, GRAM_OP_MATMUL, a, b->args[0]),
                      build2(ctx, node, GRAM_OP_MATMUL, a, b->args[1]));
    return NULL;
}

gram_node *gram_product_of_blocks(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (b->op == GRAM_OP_VCAT && (has_zero_block(b) || has_zero_block(a))) {
        gram_node *top = b->args[0], *bottom = b->args[1], *at = gram_transposed(ctx, a);
        gram_node *left = gram_transposed(ctx, slice(ctx, at, gram_dim_number(0), top->rows));
        gram_node *right = gram_transposed(ctx, slice(ctx, at, top->rows, bottom->rows));
        return build2(ctx, node, GRAM_OP_ADD, build2(ctx, node, GRAM_OP_MATMUL, left, top),
                      build2(ctx, node, GRAM_OP_MATMUL, right, bottom));
    }
    if (a->op == GRAM_OP_HCAT && has_zero_block(a)) {
        gram_node *left = a->args[0], *right = a->args[1];
        return build2(ctx, node, GRAM_OP_ADD,
                      build2(ctx, node, GRAM_OP_MATMUL, left, slice(ctx, b, gram_dim_number(0), left->cols)),
                      build2(ctx, node, GRAM_OP_MATMUL, right, slice(ctx, b, left->cols, right->cols)));
    }
    return NULL;
}

/* Is a sum of products, so that multiplying it out leaves only chains? */
static bool is_linear(const gram_node *a)
{
    if (a->keep)
        return false;
    if (a->op == GRAM_OP_ADD || a->op == GRAM_OP_SUB)
        return is_linear(a->args[0]) && is_linear(a->args[1]);
    if (a->op == GRAM_OP_MUL)
        return is_one_by_one(a->args[0]) && is_linear(a->args[1]);
    return a->op == GRAM_OP_MATMUL && gram_is_pair(a);
}

gram_node *gram_product_distribute(gram_ctx *ctx, const gram_node *node)
{
    for (int side = 0; side < 2; side++) {
        gram_node *sum = node->args[side], *other = node->args[!side];
        if ((sum->op != GRAM_OP_ADD && sum->op != GRAM_OP_SUB) || !is_linear(sum) || gram_is_pair(node))
            continue;
        gram_node *term[2];
        for (int k = 0; k < 2; k++)
            term[k] = build2(ctx, node, GRAM_OP_MATMUL, side ? other : sum->args[k], side ? sum->args[k] : other);
        return build2(ctx, node, sum->op, term[0], term[1]);
    }
    return NULL;
}
