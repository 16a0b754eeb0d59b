/* Circulant matrices: the rules that simplify offers them to, and what they are entry by entry. */
#ifndef GRAM_CIRCULANT_H
#define GRAM_CIRCULANT_H

#include "ir.h"

/* The mode of a CONVOLVE or LAGS: which matrix its column stands for, as in runtime/fft.h. */
enum { GRAM_FFT_REVERSED = 1, GRAM_FFT_CAUSAL = 2, GRAM_FFT_SOFTMAX = 4 };

/* node = A C or C B with C circulant: as a CONVOLVE; NULL where neither is. */
gram_node *gram_circulant_product(gram_ctx *ctx, const gram_node *node);
/* softmax(circulant(z)) = circulant(softmax(z)): each column has the same entries. */
gram_node *gram_circulant_softmax(gram_ctx *ctx, const gram_node *node);
/* node = the WRAP of a product, which may be kept where i >= j: as LAGS, without the n x n matrix. */
gram_node *gram_circulant_wrap(gram_ctx *ctx, const gram_node *node);

/* A CIRCULANT or WRAP that no rule took, by reading entries. Of a WRAP, row k reads (i + k, i) over all i. */
gram_node *gram_circulant_entries(gram_ctx *ctx, const gram_node *node);

#endif
