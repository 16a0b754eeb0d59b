/* Derivatives of scalar operations, from ops.def. */
#ifndef GRAM_DERIVE_H
#define GRAM_DERIVE_H

#include "ir.h"

/* What operand k of the scalar operation node gets of g, the gradient of node's value: the formula in ops.def's row as
 * nodes. NULL: nothing (an integer, a predicate, or a derivative of 0). */
gram_node *gram_derive(gram_ctx *ctx, gram_node *node, int k, gram_node *g);

#endif
