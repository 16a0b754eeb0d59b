/* What the rules of simplify.c are made of, and those that simplify_product.c, simplify_heads.c and simplify_linear.c
 * have. */
#ifndef GRAM_SIMPLIFY_RULES_H
#define GRAM_SIMPLIFY_RULES_H

#include "simplify.h"

/* --- small questions ---------------------------------------------------------------------------------------------- */

static inline bool is_one_by_one(const gram_node *a)
{
    return gram_dim_is(a->rows, 1) && gram_dim_is(a->cols, 1);
}

static inline bool same_shape(const gram_node *a, const gram_node *b)
{
    return gram_dim_equal(a->rows, b->rows) && gram_dim_equal(a->cols, b->cols) && gram_dim_equal(a->each, b->each);
}

static inline bool is_number(const gram_node *a, double value)
{
    return a->op == GRAM_OP_NUMBER && a->number == value;
}

static inline bool is_zero(const gram_node *a)
{
    return is_number(a, 0) || (a->op == GRAM_OP_EXPAND && is_number(a->args[0], 0));
}

/* A block matrix some block of which is zeros, so that multiplying it block by block saves work. */
static inline bool has_zero_block(const gram_node *a)
{
    if (a->op != GRAM_OP_HCAT && a->op != GRAM_OP_VCAT)
        return is_zero(a);
    return has_zero_block(a->args[0]) || has_zero_block(a->args[1]);
}

static inline gram_node *zeros(gram_ctx *ctx, gram_loc loc, gram_dim rows, gram_dim cols)
{
    return gram_node_expand(ctx, loc, gram_node_number(ctx, loc, GRAM_REAL, 0), rows, cols);
}

/* --- building ----------------------------------------------------------------------------------------------------- */

/* A node, or what the rules make of it. */
gram_node *gram_build(gram_ctx *ctx, const gram_node *like, gram_op op, int nargs, gram_node *const *args);

static inline gram_node *build1(gram_ctx *ctx, const gram_node *like, gram_op op, gram_node *a)
{
    return gram_build(ctx, like, op, 1, (gram_node *[]){a});
}

static inline gram_node *build2(gram_ctx *ctx, const gram_node *like, gram_op op, gram_node *a, gram_node *b)
{
    return gram_build(ctx, like, op, 2, (gram_node *[]){a, b});
}

/* Rows [from, from + count) of a. */
static inline gram_node *slice(gram_ctx *ctx, gram_node *a, gram_dim from, gram_dim count)
{
    gram_node like = *a;
    like.dim = from;
    like.rows = count;
    return build1(ctx, &like, GRAM_OP_ROWS, a);
}

/* --- products: each an equal, simpler node, or NULL --------------------------------------------------------------- */

/* I A = A, 0 A = 0, diag(v) A = v A row by row; and on the other side. */
gram_node *gram_product_special(gram_ctx *ctx, const gram_node *node);
/* (c A) B = c (A B), (A / c) B = (A B) / c, where c is a number or one per row of A; and likewise from the right. */
gram_node *gram_product_factor(gram_ctx *ctx, const gram_node *node);
/* A where(c, 0, B) = where(c, 0, A B) where c is one per column. (A normalisation's columns of zeros.) */
gram_node *gram_product_where(gram_ctx *ctx, const gram_node *node);
/* [A; B] C = [A C; B C] and A [B C] = [A B, A C], where what is cut is of number size (weights, not tokens). */
gram_node *gram_product_of_stack(gram_ctx *ctx, const gram_node *node);
/* A [B; C] = A_left B + A_right C where a block is zero: the product loses that block's work. */
gram_node *gram_product_of_blocks(gram_ctx *ctx, const gram_node *node);
/* X (A + B) = X A + X B where A and B are products over pairs: an n x n matrix is never built for the identity σ. */
gram_node *gram_product_distribute(gram_ctx *ctx, const gram_node *node);

/* --- sums over heads ---------------------------------------------------------------------------------------------- */

/* sum_h (A_h + B_h) = sum_h A_h + sum_h B_h, and sum_h c A_h = c sum_h A_h, where what is left are products over the
 * tokens. */
gram_node *gram_sum_heads_apart(gram_ctx *ctx, const gram_node *node);
/* sum_h A_h B_h is one product: the heads' columns of A side by side times the heads' rows of B; a number per column
 * goes with B. */
gram_node *gram_sum_heads_product(gram_ctx *ctx, const gram_node *node);
/* Otherwise the heads are added one by one; what one drops and another does not is 0 there. */
gram_node *gram_sum_heads_each(gram_ctx *ctx, const gram_node *node);

/* --- sums over coefficients that are linear in the tokens --------------------------------------------------------- */

/* A (P + Q) = A P + A Q where P and Q are linear in the tokens as P + Q is not: a product of keys and queries each,
 * kept where causal. What has no such product is one of ones. */
gram_node *gram_product_linear(gram_ctx *ctx, const gram_node *node);
/* The sum down the columns of (A'B) P, entry by entry, is that of B (A P): where P is linear, so is that. */
gram_node *gram_sum_linear(gram_ctx *ctx, const gram_node *node);

/* --- inside `each` (items.c) -------------------------------------------------------------------------------------- */

/* What looks at one column at a time by way of all items' columns side by side; NULL where columns of an item meet. */
gram_node *gram_items_beside(gram_ctx *ctx, const gram_node *node);
/* RESHAPE of a RESHAPE is one, or none. */
gram_node *gram_items_again(gram_ctx *ctx, const gram_node *node);

#endif
