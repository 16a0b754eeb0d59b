/* The runtime's text as generated code carries it: only what a kernel uses. */
#ifndef GRAM_LIBRARY_H
#define GRAM_LIBRARY_H

#include "util.h"

/* What of the runtime's headers, kernel.h to fft.h, the code in `text` uses, directly or through itself, in their
 * order. `calls`: the tile primitives, and what ops.def makes, stand in the runtime and are declared only. */
const char *gram_library_for(gram_ctx *ctx, const char *text, int calls, int real_bits, int wide);

#endif
