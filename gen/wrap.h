/* Long lines of emitted C, broken. */
#ifndef GRAM_WRAP_H
#define GRAM_WRAP_H

#include "util.h"

/* text with no line over 120 columns where a comma, a plus or, in a comment, a space lets it break: the rest goes on a
 * line of its own, indented by four more. */
const char *gram_wrap(gram_ctx *ctx, const char *text);

#endif
