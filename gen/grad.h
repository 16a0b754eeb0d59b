/* The derivatives of a spec, as specs. */
#ifndef GRAM_GRAD_H
#define GRAM_GRAD_H

#include "ir.h"

/* Reverse mode: the spec NAME_backward, whose inputs are spec's and then dO for each output O (NULL counts as zeros),
 * and whose outputs are dX for each of the n inputs X named: sum over the outputs of dO times the derivative of O by X,
 * of X's shape, summed over the batch where X has none. n 0: those that the spec's `grad` names, or all that take
 * floats. With `given` the outputs O are inputs too, before their dO, and are not computed again. Fails where X is no
 * input or holds integers, or where a name dX or dO is taken. */
gram_spec *gram_gradient(gram_ctx *ctx, const gram_spec *spec, int n, const char *const *names, bool given);

/* Forward mode: the spec NAME_forward, whose inputs are spec's and then tX for each of the n inputs X named (NULL
 * counts as zeros), and whose outputs are tO for each output O: the derivative of O along the tX. n 0 and failures as
 * above. */
gram_spec *gram_tangent(gram_ctx *ctx, const gram_spec *spec, int n, const char *const *names);

#endif
