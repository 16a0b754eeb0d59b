/* The gradient of a spec, as a spec. */
#ifndef GRAM_GRAD_H
#define GRAM_GRAD_H

#include "ir.h"

/* Reverse mode: the spec NAME_backward, whose inputs are spec's and then dO for each output O (NULL counts as zeros), and
 * whose outputs are dX for each of the n inputs X named: sum over the outputs of dO times the derivative of O by X, of
 * X's shape, summed over the batch where X has none. Fails where X is no input or holds integers. */
gram_spec *gram_gradient(gram_ctx *ctx, const gram_spec *spec, int n, const char *const *names);

#endif
