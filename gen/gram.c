/* gram in one screen: a spec becomes a graph, a smaller graph, a plan, C, and a kernel.
 *
 *     trace.c      the spec's Lua is run; what it computes with are symbols, and the trace is a graph (ir.h)
 *     grad.c       for a derivative: the graph's reverse mode, a graph too, and (tangent.c) its forward mode
 *     simplify.c   the same outputs from fewer operations: products reassociated, low rank kept
 *     plan.c       which loops compute it, over which tiles, with what hoisted and packed (plan.h)
 *     emit.c       those loops as C, from the templates in templates/
 *     jit_tcc.c    C to code in a millisecond: it schedules tile primitives that were compiled ahead
 *     jit_cc.c     C to code in a second, by the system's compiler
 *     reference.c  none of this: the graph as traced, in double, one operation at a time; what all else is checked by
 *
 * Each pass is a function from one value to the next, and every value can be printed (gram show). */
#include "compile.h"

#include <time.h>

#include "../runtime/jit_tcc.h"
#include "../runtime/tiles.h"
#include "grad.h"
#include "plan.h"

/* Seconds since *start, which becomes now. */
static double lap(double *start)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec, passed = now - *start;
    *start = now;
    return passed;
}

static struct gram_plan *make_plan(gram_ctx *ctx, gram_build *build)
{
    double clock = 0;
    lap(&clock);
    const gram_spec *simple = gram_simplify(ctx, build->spec);
    build->times.simplify = lap(&clock);
    struct gram_plan *plan = gram_plan_make(ctx, simple, build->request.real);
    build->times.plan = lap(&clock);
    return plan;
}

static const char *emit(gram_ctx *ctx, gram_build *build, gram_target target)
{
    if (!build->plan)
        build->plan = make_plan(ctx, build);
    return gram_emit(ctx, build->spec, build->plan, target, &build->request);
}

/* ---- the back ends ---- */

static int compile_tcc(const gram_build *build, const char *text, gram_module **module, char *message, size_t size)
{
    int bits = build->plan->real_bits;
    const gram_symbol *tables[] = {gram_tiles(bits, build->plan->wide ? 64 : bits, NULL), NULL};
    return gram_tcc_compile(text, tables, module, message, size);
}

static int compile_cc(const gram_build *build, const char *text, gram_module **module, char *message, size_t size)
{
    return gram_cc_compile(text, &build->cc, module, message, size);
}

static const struct {
    gram_target target;
    int (*compile)(const gram_build *build, const char *text, gram_module **module, char *message, size_t size);
} backends[] = {
    [GRAM_JIT_TCC] = {GRAM_TARGET_TCC, compile_tcc},
    [GRAM_JIT_CC] = {GRAM_TARGET_ONE_FILE, compile_cc},
};

/* ---- the whole ---- */

void gram_compile(gram_ctx *ctx, gram_build *build)
{
    char message[GRAM_MESSAGE_SIZE];
    double clock = 0;
    lap(&clock);
    build->spec = gram_trace(ctx, &build->request);
    for (int k = 0; k < build->request.nderivatives; k++) {
        const gram_derivative *by = &build->request.derivatives[k];
        build->spec = by->forward ? gram_tangent(ctx, build->spec, by->n, by->names)
                                  : gram_gradient(ctx, build->spec, by->n, by->names, by->given);
    }
    build->times.trace = lap(&clock);
    if (build->jit == GRAM_JIT_REFERENCE)
        return;
    build->plan = make_plan(ctx, build);
    lap(&clock);
    const char *text = emit(ctx, build, backends[build->jit].target);
    build->times.emit = lap(&clock);
    build->compiling = true;
    if (backends[build->jit].compile(build, text, &build->module, message, sizeof message) != 0)
        gram_fail(ctx, (gram_loc){0}, "%s", message);
    build->times.compile = lap(&clock);
}

const char *gram_compile_text(gram_ctx *ctx, gram_build *build, gram_text_kind kind)
{
    gram_text text = {.ctx = ctx};
    switch (kind) {
    case GRAM_TEXT_IR:
        gram_spec_print(ctx, build->spec, &text);
        break;
    case GRAM_TEXT_PLAN:
        if (!build->plan)
            build->plan = make_plan(ctx, build);
        gram_plan_print(ctx, build->plan, &text);
        break;
    case GRAM_TEXT_SOURCE:
        return emit(ctx, build, GRAM_TARGET_C);
    case GRAM_TEXT_HEADER:
        return emit(ctx, build, GRAM_TARGET_HEADER);
    }
    return text.data ? text.data : "";
}
