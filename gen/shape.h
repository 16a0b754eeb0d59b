/* What ir.c asks of shape.c while it makes a node. */
#ifndef GRAM_SHAPE_H
#define GRAM_SHAPE_H

#include "ir.h"

/* Fills in node's rows, cols, type, heads and batched from its op, operands and attributes; fails at loc where the
 * operands do not fit. */
void gram_shape_of(gram_ctx *ctx, gram_loc loc, gram_node *node);
/* The predicate of node's dropped entries, from its operands' (of a shape that broadcasts to node's); NULL: none. */
gram_node *gram_keep_of(gram_ctx *ctx, gram_loc loc, const gram_node *node);

#endif
