/* What later passes ask of the simplifier. */
#ifndef GRAM_SIMPLIFY_H
#define GRAM_SIMPLIFY_H

#include "passes.h"

/* a', simplified: transposes stand at the leaves. */
gram_node *gram_transposed(gram_ctx *ctx, gram_node *a);

#endif
