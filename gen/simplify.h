/* What later passes ask of the simplifier. */
#ifndef GRAM_SIMPLIFY_H
#define GRAM_SIMPLIFY_H

#include "passes.h"

/* a', simplified: transposes stand at the leaves. */
gram_node *gram_transposed(gram_ctx *ctx, gram_node *a);
/* A predicate with its transposes at the leaves (turned twice: each way pushes them down). */
gram_node *gram_simplified(gram_ctx *ctx, gram_node *a);
/* Are a product's coefficients G over pairs a sum of products of keys and queries, so that the product is linear in the
 * tokens? */
bool gram_is_linear_in_tokens(gram_ctx *ctx, gram_node *G);

#endif
