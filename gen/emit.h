/* What emit.c takes from about.c. */
#ifndef GRAM_EMIT_H
#define GRAM_EMIT_H

#include "passes.h"
#include "plan.h"

/* The comment that opens an emitted file: the formula, the spec's name and hash, the shapes, the plan with its cost, the
 * command that made it. */
const char *gram_emit_about(gram_ctx *ctx, const gram_spec *spec, const gram_plan *plan, const gram_request *request);

#endif
