/* One run of a kernel: its arguments are bound, the args struct is filled slot by slot, and the entry points are
 * called. Runs share only the kernel, which they do not change, and one kept workspace. */
#include <stdio.h>
#include <stdlib.h>

#include "bind.h"
#include "compile.h"
#include "plan.h"

enum { ALIGNMENT = 64 };

/* Operations that take about as long as waking the other threads. */
static const double WORTH_A_TEAM = 500e3;

/* A workspace: its bytes follow this header. */
struct gram_block {
    _Alignas(ALIGNMENT) size_t size;
};

/* A member of the args struct, or a third of its strides. */
typedef union slot {
    const void *pointer;
    int64_t number;
} slot;

/* One call of gram_run, gram_run_on or gram_run_cost. */
typedef struct run {
    gram_kernel *kernel;
    int narguments;
    const gram_argument *arguments;
    bool own_team; /* on the kernel's threads; else on `team` */
    const gram_team *team;
    gram_binding binding;
    gram_block *block;
    gram_cost *cost; /* not NULL: only this is asked for */
} run;

static gram_block *take_block(gram_kernel *kernel, size_t size)
{
    gram_block *block = atomic_exchange(&kernel->spare, NULL);
    if (block && block->size >= size)
        return block;
    free(block);
    if (size > SIZE_MAX - 2 * ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    block = aligned_alloc(ALIGNMENT, sizeof *block + size);
    if (block)
        block->size = size;
    return block;
}

static void give_block(gram_kernel *kernel, gram_block *block)
{
    if (block)
        free(atomic_exchange(&kernel->spare, block));
}

void gram_run_forget(gram_kernel *kernel)
{
    free(atomic_exchange(&kernel->spare, NULL));
}

/* ---- the compiled kernel ---- */

/* An array's address. An empty array may have none, but a NULL input is an error and a NULL output is skipped. */
static const void *address(const gram_bound *bound)
{
    static const double nothing;
    return bound->array.data || !bound->argument ? bound->array.data : &nothing;
}

static void fill_strides(slot *word, gram_view view)
{
    word[0].number = view.batch;
    word[1].number = view.head;
    word[2].number = view.col;
}

static void fill_slot(const gram_binding *b, const gram_slot *s, slot *word)
{
    switch (s->kind) {
    case GRAM_SLOT_INPUT:
        word->pointer = address(&b->inputs[s->index]);
        break;
    case GRAM_SLOT_OUTPUT:
        word->pointer = address(&b->outputs[s->index]);
        break;
    case GRAM_SLOT_BATCH:
        word->number = b->batch;
        break;
    case GRAM_SLOT_SIZE:
        word->number = b->sizes[s->index];
        break;
    case GRAM_SLOT_INPUT_STRIDES:
        fill_strides(word, b->inputs[s->index].strides);
        break;
    case GRAM_SLOT_OUTPUT_STRIDES:
        fill_strides(word, b->outputs[s->index].strides);
        break;
    }
}

static gram_function *entry(gram_ctx *ctx, const gram_kernel *kernel, const char *suffix)
{
    const char *name = gram_format(ctx, "%s%s", kernel->build.spec->name, suffix);
    gram_function *function = gram_module_symbol(kernel->build.module, name);
    if (!function)
        gram_fail(ctx, (gram_loc){0}, "the compiled kernel has no function %s", name);
    return function;
}

void gram_run_prepare(gram_ctx *ctx, gram_kernel *kernel)
{
    kernel->workspace = (gram_workspace_function *)entry(ctx, kernel, "_workspace");
    kernel->run = (gram_kernel_function *)entry(ctx, kernel, "");
}

/* The error codes of emitted C (templates/header.h.in). */
static const char *refusal(int code)
{
    static const char *const texts[] = {"", "an input is missing", "the workspace is missing",
                                        "a size is out of range: 2^30 or more", "sizes that have to agree do not"};
    return code > 0 && code < (int)(sizeof texts / sizeof texts[0]) ? texts[code] : "failed";
}

/* About how many operations a step takes: products, and one for each scalar operation. A linear one pairs a query with
 * the keys of its block, and twice with the matrix that stands for all others. */
static double step_work(const gram_step *step, const gram_binding *b)
{
    const bool linear = gram_is_linear(step);
    double each = 1 + step->program.n, others = 0;
    gram_dim inner[3 * GRAM_MOST];
    const int n = gram_pair_products(step, inner);
    for (int k = 0; k < n; k++)
        each += 2 * (double)gram_dim_value(inner[k], b->sizes);
    for (int k = 0; linear && k < step->nsums; k++)
        others += 4 * (double)step->leaves[0].inner.number * (double)gram_dim_value(step->sums[k].rows, b->sizes);
    const double lanes = linear ? GRAM_FEW_QUERIES : (double)gram_dim_value(step->lanes, b->sizes);
    const double queries =
        (double)gram_dim_value(step->queries, b->sizes) * (double)gram_dim_value(step->each, b->sizes);
    return (each * lanes + others) * queries * (step->heads > 0 ? step->heads : 1) *
           (step->batched ? (double)b->batch : 1);
}

static double plan_work(const gram_plan *plan, const gram_binding *b)
{
    double work = 0;
    gram_binding mean = *b;
    if (plan)
        gram_mean_sizes(plan->spec, b->batch, b->sizes, mean.sizes);
    for (int k = 0; plan && k < plan->nsteps; k++)
        work += step_work(plan->steps[k], &mean);
    return work;
}

/* NULL where the caller alone is done sooner. */
static const gram_team *team_for(const run *r)
{
    const gram_pool *pool = r->kernel->pool;
    if (!r->own_team)
        return r->team;
    return pool && plan_work(r->kernel->build.plan, &r->binding) > WORTH_A_TEAM ? gram_pool_team(pool) : NULL;
}

static void run_compiled(gram_ctx *ctx, run *r)
{
    gram_kernel *kernel = r->kernel;
    const gram_team *team = team_for(r);
    slot *args = gram_alloc(ctx, (size_t)kernel->layout.nwords * sizeof(slot));
    for (int i = 0; i < kernel->layout.nslots; i++) {
        const gram_slot *s = &kernel->layout.slots[i];
        fill_slot(&r->binding, s, args + s->word);
        if (r->cost && s->kind == GRAM_SLOT_OUTPUT && !args[s->word].pointer)
            args[s->word].pointer = r; /* any: it counts as there, and is not looked at */
    }
    size_t workspace = kernel->workspace(args, team ? team->threads : 1);
    if (r->cost) {
        r->cost->workspace = workspace;
        return;
    }
    r->block = take_block(kernel, workspace);
    if (!r->block)
        gram_fail(ctx, (gram_loc){0}, "out of memory for a workspace of %zu bytes", workspace);
    int code = kernel->run(args, r->block + 1, team);
    if (code != 0)
        gram_fail(ctx, (gram_loc){0}, "%s: %s", kernel->build.spec->name, refusal(code));
}

static double bytes_of(const gram_bound *bound, int n)
{
    double bytes = 0;
    for (int i = 0; i < n; i++) {
        const gram_array *a = &bound[i].array;
        if (bound[i].argument)
            bytes += (double)gram_array_count(a->dtype, a->ndim, a->shape) * (double)gram_dtype_size(a->dtype);
    }
    return bytes;
}

static void find_cost(const run *r)
{
    const gram_spec *spec = r->kernel->build.spec;
    r->cost->operations = plan_work(r->kernel->build.plan, &r->binding);
    r->cost->bytes = bytes_of(r->binding.inputs, spec->ninputs) + bytes_of(r->binding.outputs, spec->noutputs);
}

/* ---- the reference ---- */

static gram_view full_view(const gram_bound *bound)
{
    gram_view view = bound->strides;
    view.data = bound->array.data;
    return view;
}

/* The reference computes every output: those that nobody asked for go to memory of the context. */
static gram_view unwanted(gram_ctx *ctx, const gram_spec *spec, const gram_binding *b, const gram_node *node)
{
    int64_t rows = gram_dim_value(node->rows, b->sizes), cols = gram_dim_value(node->cols, b->sizes);
    int64_t heads = node->heads > 0 ? node->heads : 1, shape[] = {b->batch, heads, cols, rows};
    int64_t count = rows < 0 || cols < 0 ? -1 : gram_array_count(GRAM_F8, 4, shape);
    if (count < 0)
        gram_fail(ctx, (gram_loc){0}, "an output of %s would be too large", spec->name);
    double *data = gram_alloc(ctx, (size_t)count * sizeof(double));
    return (gram_view){data, heads * cols * rows, cols * rows, 1, rows};
}

static void run_reference(gram_ctx *ctx, run *r)
{
    const gram_spec *spec = r->kernel->build.spec;
    gram_view *inputs = gram_alloc(ctx, (size_t)spec->ninputs * sizeof *inputs);
    gram_view *outputs = gram_alloc(ctx, (size_t)spec->noutputs * sizeof *outputs);
    for (int i = 0; i < spec->ninputs; i++)
        inputs[i] = full_view(&r->binding.inputs[i]);
    for (int i = 0; i < spec->noutputs; i++) {
        const gram_bound *bound = &r->binding.outputs[i];
        outputs[i] = bound->argument ? full_view(bound) : unwanted(ctx, spec, &r->binding, spec->outputs[i].node);
    }
    gram_reference(ctx, spec, r->binding.batch, r->binding.sizes, inputs, outputs);
}

/* ---- the run ---- */

static void run_all(gram_ctx *ctx, void *data)
{
    run *r = data;
    bool reference = r->kernel->build.jit == GRAM_JIT_REFERENCE;
    gram_dtype real = r->kernel->build.request.real->dtype;
    r->binding.real = reference ? GRAM_F8 : real;
    r->binding.integer = reference ? GRAM_F8 : GRAM_I4;
    r->binding.made = real;
    gram_bind(ctx, r->kernel->build.spec, r->narguments, r->arguments, &r->binding);
    if (r->cost)
        find_cost(r);
    if (!reference)
        run_compiled(ctx, r);
    else if (!r->cost)
        run_reference(ctx, r);
    if (!r->cost)
        gram_bind_finish(ctx, r->kernel->build.spec, &r->binding);
}

static gram_status run_once(run *r, char *message, size_t size)
{
    gram_ctx *ctx = gram_ctx_new();
    if (!ctx) {
        snprintf(message, size, "error: out of memory");
        return GRAM_NO_MEMORY;
    }
    ctx->spec = r->kernel->build.spec; /* names the sizes in messages */
    int failed = gram_try(ctx, run_all, r);
    if (failed)
        snprintf(message, size, "%s", ctx->message);
    give_block(r->kernel, r->block);
    gram_bind_free(r->kernel->build.spec, &r->binding, failed || r->cost);
    gram_ctx_free(ctx);
    return failed ? GRAM_BAD_ARRAYS : GRAM_OK;
}

gram_status gram_run(gram_kernel *kernel, int narguments, const gram_argument *arguments, char *message, size_t size)
{
    run r = {.kernel = kernel, .narguments = narguments, .arguments = arguments, .own_team = true};
    return run_once(&r, message, size);
}

gram_status gram_run_on(gram_kernel *kernel, const gram_team *team, int narguments, const gram_argument *arguments,
                        char *message, size_t size)
{
    run r = {.kernel = kernel, .narguments = narguments, .arguments = arguments, .team = team};
    return run_once(&r, message, size);
}

gram_status gram_run_cost(gram_kernel *kernel, int narguments, const gram_argument *arguments, gram_cost *cost,
                          char *message, size_t size)
{
    run r = {.kernel = kernel, .narguments = narguments, .arguments = arguments, .own_team = true, .cost = cost};
    *cost = (gram_cost){0};
    return run_once(&r, message, size);
}
