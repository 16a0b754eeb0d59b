/* The passes, in order. gram.c calls them; each is one file, and what it returns can be printed. */
#ifndef GRAM_PASSES_H
#define GRAM_PASSES_H

#include "ir.h"

/* What a person asks for besides the spec. */
typedef struct gram_setting {
    const char *name;
    double value;
} gram_setting;

typedef struct gram_request {
    const char *file; /* the spec's name in errors; files it requires are looked for beside it */
    const char *text; /* its source */
    int nsettings;
    const gram_setting *settings; /* --set NAME=VALUE */
    const struct gram_real_type *real;
    /* The sandbox: Lua instructions, bytes, seconds of wall clock; 0: the defaults (50 million, 256 MiB, 1 s). */
    int64_t max_steps, max_bytes;
    double max_seconds;
    int nderivatives; /* the derivative, in place of the outputs */
    const struct gram_derivative *derivatives;
    bool with_gradient;  /* emitted files have NAME_backward too, whether the spec says so or not */
    const char *command; /* the command line that emitted text names */
} gram_request;

/* trace.c: runs the spec in its sandbox. */
gram_spec *gram_trace(gram_ctx *ctx, const gram_request *request);

/* simplify.c: the same outputs from fewer operations. */
gram_spec *gram_simplify(gram_ctx *ctx, const gram_spec *spec);

/* plan.c: which loops compute it. */
struct gram_plan;
struct gram_plan *gram_plan_make(gram_ctx *ctx, const gram_spec *spec, const struct gram_real_type *real);
void gram_plan_print(gram_ctx *ctx, const struct gram_plan *plan, gram_text *out);

/* emit.c: C. TCC's text calls the runtime's tile primitives; C and its HEADER are self-contained, ONE_FILE is both. */
typedef enum gram_target { GRAM_TARGET_TCC, GRAM_TARGET_C, GRAM_TARGET_HEADER, GRAM_TARGET_ONE_FILE } gram_target;
const char *gram_emit(gram_ctx *ctx, const gram_spec *traced, struct gram_plan *plan, gram_target target,
                      const gram_request *request);

/* reference.c: the traced graph in double precision, operation by operation. inputs[k] and outputs[k] are of
 * spec->inputs[k] and spec->outputs[k]; batch is the number of items and sizes the runtime sizes' values. */
typedef struct gram_view {
    double *data;                  /* integers too */
    int64_t batch, head, row, col; /* strides in elements; 0 repeats */
} gram_view;
void gram_reference(gram_ctx *ctx, const gram_spec *spec, int64_t batch, const int64_t *sizes, const gram_view *inputs,
                    const gram_view *outputs);

#endif
