/* Products with circulant matrices, by way of simplify: A C, with C made of a column w alone, becomes the convolution
 * of A's rows with w, which a Fourier transform does in n log n; and the gradient by w, sums along the wrapped
 * diagonals of a product, becomes their correlation. */
#include "circulant.h"
#include "simplify.h"

static bool is_index(const gram_node *a, gram_op op)
{
    return a->op == op && a->type == GRAM_INT;
}

/* i <= j of a row i and a column j, where `first` is the row's index; with the column's, i >= j. */
static bool is_ordered(const gram_node *keep, gram_op first)
{
    gram_op second = first == GRAM_OP_ROW ? GRAM_OP_COL : GRAM_OP_ROW;
    return keep->op == GRAM_OP_ILE && is_index(keep->args[0], first) && is_index(keep->args[1], second);
}

/* Of C[i, j] = w[(j - i) mod n], w[(i - j) mod n], or either of these where the difference is not below 0 and dropped
 * elsewhere, or the softmax of w[j - i], i <= j, or its transpose: its mode, and w in *column. -1: it is none of
 * them. */
static int mode_of(gram_node *C, gram_node **column)
{
    const gram_node *keep = NULL;
    int mode = GRAM_FFT_REVERSED, weights = C->op == GRAM_OP_SOFTMAX ? GRAM_FFT_SOFTMAX : 0;
    if (C->op == GRAM_OP_TRANSPOSE && C->args[0]->op == GRAM_OP_SOFTMAX) {
        mode = mode_of(C->args[0], column);
        return mode < 0 ? mode : mode | GRAM_FFT_REVERSED;
    }
    if (weights)
        C = C->args[0];
    if (C->op == GRAM_OP_KEEP) {
        keep = C->args[1];
        C = C->args[0];
    }
    if (C->op == GRAM_OP_TRANSPOSE) {
        mode = 0;
        C = C->args[0];
    }
    if (C->op != GRAM_OP_CIRCULANT || C->args[0]->keep)
        return -1;
    *column = C->args[0];
    if (keep && !is_ordered(keep, mode == GRAM_FFT_REVERSED ? GRAM_OP_COL : GRAM_OP_ROW))
        return -1;
    mode |= keep ? GRAM_FFT_CAUSAL : 0;
    return weights && mode != GRAM_FFT_CAUSAL ? -1 : mode | weights;
}

static gram_node *pair(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a, gram_node *b, int mode)
{
    gram_node like = {.index = mode};
    return gram_node_make(ctx, loc, op, 2, (gram_node *[]){a, b}, &like);
}

gram_node *gram_circulant_product(gram_ctx *ctx, const gram_node *node)
{
    gram_node *w = NULL;
    int mode = mode_of(node->args[1], &w);
    if (mode >= 0)
        return pair(ctx, node->loc, GRAM_OP_CONVOLVE, node->args[0], w, mode);
    mode = mode_of(node->args[0], &w); /* C B = (B' C')', and C' is C in the other direction */
    if (mode < 0)
        return NULL;
    gram_node *turned = gram_transposed(ctx, node->args[1]);
    return gram_node_unary(ctx, node->loc, GRAM_OP_TRANSPOSE,
                           pair(ctx, node->loc, GRAM_OP_CONVOLVE, turned, w, mode ^ GRAM_FFT_REVERSED));
}

gram_node *gram_circulant_softmax(gram_ctx *ctx, const gram_node *node)
{
    const gram_node *C = node->args[0];
    if (C->op != GRAM_OP_CIRCULANT || C->args[0]->keep)
        return NULL;
    return gram_node_unary(ctx, node->loc, GRAM_OP_CIRCULANT,
                           gram_node_unary(ctx, node->loc, GRAM_OP_SOFTMAX, C->args[0]));
}

static gram_node *kept_value(gram_node *a)
{
    while (a->op == GRAM_OP_KEEP)
        a = a->args[0];
    return a;
}

/* Of P' (M - m) entry by entry, P a causal circulant softmax: its lags. That is what z gets in softmax's gradient, with
 * M the product of the query's gradient and the key's value, and m its mean. */
static gram_node *softmax_lags(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = kept_value(node->args[0]), *z = NULL;
    if (a->op != GRAM_OP_MUL || mode_of(a->args[0], &z) != (GRAM_FFT_SOFTMAX | GRAM_FFT_CAUSAL | GRAM_FFT_REVERSED))
        return NULL;
    gram_node *difference = kept_value(a->args[1]);
    gram_node *M = difference->op == GRAM_OP_SUB ? kept_value(difference->args[0]) : NULL;
    if (!M || M->op != GRAM_OP_MATMUL || M->args[0]->keep || M->args[1]->keep ||
        !gram_dim_is(difference->args[1]->cols, 1))
        return NULL;
    gram_node *args[] = {gram_transposed(ctx, M->args[0]), M->args[1], z, difference->args[1]};
    gram_node like = {.index = GRAM_FFT_SOFTMAX | GRAM_FFT_CAUSAL};
    return gram_node_make(ctx, node->loc, GRAM_OP_LAGS, 4, args, &like);
}

gram_node *gram_circulant_wrap(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *weighted = softmax_lags(ctx, node);
    int mode = 0;
    if (weighted)
        return weighted;
    if (a->op == GRAM_OP_KEEP && is_ordered(a->args[1], GRAM_OP_COL)) {
        a = a->args[0];
        mode = GRAM_FFT_CAUSAL;
    }
    if (a->op != GRAM_OP_MATMUL || a->keep || a->args[0]->keep || a->args[1]->keep)
        return NULL;
    return pair(ctx, node->loc, GRAM_OP_LAGS, gram_transposed(ctx, a->args[0]), a->args[1], mode);
}

gram_node *gram_circulant_entries(gram_ctx *ctx, const gram_node *node)
{
    gram_node rows = {.type = GRAM_INT, .rows = node->args[0]->rows, .cols = gram_dim_number(1)};
    gram_node cols = {.type = GRAM_INT, .rows = gram_dim_number(1), .cols = rows.rows}, size = {.dim = rows.rows};
    gram_node *i = gram_node_make(ctx, node->loc, GRAM_OP_ROW, 0, NULL, &rows);
    gram_node *j = gram_node_make(ctx, node->loc, GRAM_OP_COL, 0, NULL, &cols);
    gram_node *n = gram_dim_known(rows.rows) ? gram_node_number(ctx, node->loc, GRAM_INT, (double)rows.rows.number)
                                             : gram_node_make(ctx, node->loc, GRAM_OP_SIZE, 0, NULL, &size);
    gram_op way = node->op == GRAM_OP_CIRCULANT ? GRAM_OP_ISUB : GRAM_OP_IADD;
    gram_node *at = gram_node_binary(ctx, node->loc, GRAM_OP_IMOD, gram_node_binary(ctx, node->loc, way, i, j), n);
    if (node->op == GRAM_OP_CIRCULANT)
        return gram_node_ternary(ctx, node->loc, GRAM_OP_GATHER, node->args[0], at,
                                 gram_node_number(ctx, node->loc, GRAM_INT, 0));
    gram_node *lags = gram_node_ternary(ctx, node->loc, GRAM_OP_GATHER, node->args[0], at, i);
    return gram_transposed(ctx, gram_node_unary(ctx, node->loc, GRAM_OP_SUM, lags));
}
