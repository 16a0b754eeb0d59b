/* The runtime's text for one width of numbers. */
#ifndef GRAM_RESOLVE_H
#define GRAM_RESOLVE_H

#include <stdbool.h>

#include "util.h"

/* The first `size` bytes of text with what depends on GRAM_F64 and GRAM_INT64 decided: of each #if that asks for them the
 * branch that holds, of each GRAM_PICK(single, double) the one that is meant. `wide`: GRAM_INT64 is defined. */
const char *gram_resolve(gram_ctx *ctx, const char *text, size_t size, int real_bits, bool wide);

#endif
