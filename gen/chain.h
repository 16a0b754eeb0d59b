/* Chains of matrix products: A B C D, taken as a list of factors. */
#ifndef GRAM_CHAIN_H
#define GRAM_CHAIN_H

#include "ir.h"

/* What a runtime size counts as where costs are compared: tokens are many. */
enum { GRAM_MANY = 4096 };
double gram_dim_nominal(gram_dim a);
/* Has the node one entry per pair of tokens: both sizes known only when the kernel runs? */
bool gram_is_pair(const gram_node *a);

typedef gram_node *(*gram_builder)(gram_ctx *ctx, const gram_node *like, gram_op op, gram_node *a, gram_node *b);
/* node = A + B with A and B products that begin or end with the same factors: the one product that it equals, made
 * through build; NULL where they have no end in common. */
gram_node *gram_chain_factor(gram_ctx *ctx, const gram_node *node, gram_builder build);

/* Rebuilds every chain of the spec's outputs in the order that costs least (matrix-chain ordering, Cormen et al. 15.2,
 * with runtime sizes at GRAM_MANY). */
void gram_chain_order(gram_ctx *ctx, gram_spec *spec);

#endif
