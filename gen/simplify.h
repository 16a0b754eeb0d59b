/* What later passes ask of the simplifier. */
#ifndef GRAM_SIMPLIFY_H
#define GRAM_SIMPLIFY_H

#include "passes.h"

/* a', simplified: transposes stand at the leaves. */
gram_node *gram_transposed(gram_ctx *ctx, gram_node *a);
/* A predicate with its transposes at the leaves (turned twice: each way pushes them down). */
gram_node *gram_simplified(gram_ctx *ctx, gram_node *a);

#endif
