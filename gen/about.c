/* About: what an emitted file says of itself, and what gram show prints of a plan: the steps with their cost as formulas
 * in the sizes, and for each matrix over pairs why it is or is not built. */
#include <string.h>

#include "chain.h"
#include "emit.h"
#include "print.h"

/* --- cost ---------------------------------------------------------------------------------------------------------- */

/* "2 * batch * 8 * n * m * 64" */
static const char *product(gram_ctx *ctx, int factor, const gram_step *step, const gram_dim *dims, int n)
{
    gram_text text = {.ctx = ctx};
    int64_t number = factor * (step->heads > 1 ? step->heads : 1);
    for (int k = 0; k < n; k++)
        number *= gram_dim_known(dims[k]) ? dims[k].number : 1;
    gram_put(&text, "%lld%s", (long long)number, step->batched ? " batch" : "");
    for (int k = 0; k < n; k++)
        if (!gram_dim_known(dims[k])) {
            const char *dim = gram_dim_text(ctx, dims[k]);
            gram_put(&text, strchr(dim, ' ') ? " (%s)" : " %s", dim);
        }
    return text.data;
}

/* The operations of a step's products; scalar operations over its tiles are counted as one each. */
static void put_flops(gram_ctx *ctx, const gram_step *step, gram_text *out)
{
    int terms = 0, scalars = 0;
    for (int k = 0; k < step->nleaves; k++) {
        const gram_dim dims[] = {step->queries, step->lanes, step->leaves[k].inner};
        gram_put(out, "%s%s", terms++ ? " + " : "", product(ctx, 2, step, dims, 3));
    }
    for (int k = 0; k < step->nsums; k++) {
        const gram_dim dims[] = {step->queries, step->lanes, step->sums[k].rows};
        gram_put(out, "%s%s", terms++ ? " + " : "", product(ctx, 2, step, dims, 3));
    }
    for (int k = 0; k < step->program.n; k++)
        scalars += step->program.instr[k].kind == GRAM_I_OP && step->program.instr[k].rate == GRAM_RATE_PAIR;
    scalars += step->softmax ? 3 : step->nstats;
    if (scalars) {
        const gram_dim dims[] = {step->queries, step->lanes};
        gram_put(out, "%s%s", terms++ ? " + " : "", product(ctx, scalars, step, dims, 2));
    }
    if (!terms)
        gram_put(out, "0");
}

static const char *entries(gram_ctx *ctx, const gram_buffer *b)
{
    gram_step like = {.heads = b->heads, .batched = b->batched};
    const gram_dim dims[] = {b->rows, b->cols};
    return product(ctx, 1, &like, dims, 2);
}

/* Bytes that the kernel must read and write at the least: its arrays, once. */
static void put_bytes(gram_ctx *ctx, const gram_plan *plan, gram_text *out)
{
    int terms = 0;
    gram_put(out, "%d (", plan->real_bits / 8);
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_INPUT || plan->buffers[k].storage == GRAM_AT_OUTPUT)
            gram_put(out, "%s%s", terms++ ? " + " : "", entries(ctx, &plan->buffers[k]));
    gram_put(out, ")");
}

static void put_workspace(gram_ctx *ctx, const gram_plan *plan, gram_text *out)
{
    int terms = 0;
    gram_put(out, "%d (", plan->real_bits / 8);
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_WORK)
            gram_put(out, "%s%s", terms++ ? " + " : "", entries(ctx, &plan->buffers[k]));
    for (int k = 0; k < plan->npacks; k++)
        gram_put(out, "%s%s", terms++ ? " + " : "", entries(ctx, &plan->buffers[plan->packs[k].buffer]));
    gram_put(out, "%sa thread's blocks)", terms ? " + " : "");
}

/* The numbers among the weights: matrices, vectors and scalars that every item shares. */
static const char *parameters(gram_ctx *ctx, const gram_spec *spec)
{
    gram_text text = {.ctx = ctx};
    int64_t known = 0;
    for (int k = 0; k < spec->ninputs; k++) {
        const gram_input *in = spec->inputs[k];
        if (in->batched || (in->kind != GRAM_MATRIX && in->kind != GRAM_VECTOR && in->kind != GRAM_SCALAR))
            continue;
        int64_t heads = in->heads ? in->heads : 1;
        if (gram_dim_known(in->rows) && gram_dim_known(in->cols))
            known += heads * in->rows.number * in->cols.number;
        else
            gram_put(&text, " + %s (%lld x %s x %s: depends on a runtime size)", in->name, (long long)heads,
                     gram_dim_text(ctx, in->rows), gram_dim_text(ctx, in->cols));
    }
    return gram_format(ctx, "%lld%s", (long long)known, text.data ? text.data : "");
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

static const char *step_line(gram_ctx *ctx, const gram_plan *plan, const gram_step *step)
{
    gram_text text = {.ctx = ctx};
    for (int k = 0; k < step->nstores; k++)
        gram_put(&text, "%s%s", k ? ", " : "", plan->buffers[step->stores[k].buffer].name);
    gram_put(&text, "  %s of %s x %s", step->template, gram_dim_text(ctx, step->lanes), gram_dim_text(ctx, step->queries));
    if (step->heads)
        gram_put(&text, ", %d heads", step->heads);
    return text.data;
}

static void put_reason(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, gram_text *out)
{
    bool stream = !strcmp(step->template, "stream");
    const gram_buffer *b = &plan->buffers[step->stores[0].buffer];
    if (!stream && !gram_is_pair(step->what)) {
        gram_put(out, "         %s\n", gram_node_text(ctx, step->what));
        return;
    }
    const char *why = stream ? "not built: made tile by tile and summed up over its rows"
                      : b->storage == GRAM_AT_OUTPUT ? "built: it is an output"
                                                     : "built: a product needs all of it, since it is a nonlinear function of pairs inside another";
    gram_put(out, "         %s (%s): %s\n", gram_node_text(ctx, step->what), gram_shape_text(ctx, step->what), why);
    if (stream && step->keep)
        gram_put(out, "         kept where %s: tiles are skipped, checked or free by intervals\n",
                 gram_node_text(ctx, step->keep));
}

void gram_plan_print(gram_ctx *ctx, const struct gram_plan *plan, gram_text *out)
{
    gram_text bytes = {.ctx = ctx}, workspace = {.ctx = ctx};
    put_bytes(ctx, plan, &bytes);
    put_workspace(ctx, plan, &workspace);
    gram_put(out, "%s: %s, f%d\n", plan->spec->name, plan->dense ? "dense" : "streamed", plan->real_bits);
    for (int k = 0; k < plan->nsteps; k++) {
        gram_text flops = {.ctx = ctx};
        put_flops(ctx, plan->steps[k], &flops);
        gram_put(out, "step %-3d %s\n", k + 1, step_line(ctx, plan, plan->steps[k]));
        put_reason(ctx, plan, plan->steps[k], out);
        gram_put(out, "         flops %s\n", flops.data);
    }
    gram_put(out, "bytes      %s\nworkspace  %s\nparameters %s\n", bytes.data, workspace.data, parameters(ctx, plan->spec));
}

/* --- the opening comment ------------------------------------------------------------------------------------------- */

static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; text && *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

/* text as lines of a comment; what would end it is broken up. */
static void put_comment(gram_text *out, const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start)
            gram_put(out, *text == '\n' ? " *" : " * ");
        gram_put(out, text[0] == '*' && text[1] == '/' ? "* " : "%c", *text);
        start = *text == '\n';
    }
    if (!start)
        gram_put(out, "\n");
}

const char *gram_emit_about(gram_ctx *ctx, const gram_spec *spec, const gram_plan *plan, const gram_request *request)
{
    gram_text out = {.ctx = ctx}, body = {.ctx = ctx};
    gram_put(&body, "%s%s%s\n\n", spec->name, spec->doc ? ": " : "", spec->doc ? spec->doc : "");
    for (int k = 0; k < spec->noutputs; k++)
        gram_put(&body, "    %s = %s\n", spec->outputs[k].name, gram_node_text(ctx, spec->outputs[k].node));
    gram_put(&body, "\n");
    for (int k = 0; k < spec->ninputs; k++) {
        const gram_input *in = spec->inputs[k];
        gram_put(&body, "    %-8s %s x %s", in->name, gram_dim_text(ctx, in->rows), gram_dim_text(ctx, in->cols));
        gram_put(&body, in->heads ? ", %d heads\n" : "\n", in->heads);
    }
    gram_put(&body, "\nPlan (batch, sizes as in the arguments):\n");
    gram_plan_print(ctx, plan, &body);
    gram_put(&body, "\nFrom spec %016llx%s%s", (unsigned long long)hash(spec->text), request->command ? ", by: " : "",
             request->command ? request->command : "");
    gram_put(&out, "/*\n");
    put_comment(&out, body.data);
    gram_put(&out, " */");
    return out.data;
}
