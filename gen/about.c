/* About: what an emitted file says of itself, and what gram show prints of a plan: the steps with their cost as
 * formulas in the sizes, and for each matrix over pairs why it is or is not built. */
#include <string.h>

#include "chain.h"
#include "cost.h"
#include "emit.h"
#include "print.h"
#include "scan.h"

/* --- cost --------------------------------------------------------------------------------------------------------- */

static int64_t heads_of(int heads)
{
    return heads > 1 ? heads : 1;
}

/* How many parts of that size cover n. */
static int64_t parts_of(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* Operations on each entry of a step's tile: a scalar operation counts as one. */
static int64_t scalars(const gram_step *step)
{
    int64_t n = step->softmax ? 3 : step->nstats;
    for (int k = 0; k < step->program.n; k++)
        n += step->program.instr[k].kind == GRAM_I_OP && step->program.instr[k].rate == GRAM_RATE_PAIR;
    return n;
}

/* What a step runs inside of: the heads, the batch, and the columns of scans. */
enum { MOST_SCANS = 4, MOST_DIMS = 5 };
typedef struct around {
    int64_t heads;
    bool batched;
    int n;
    gram_dim columns[MOST_SCANS];
} around;

static void add_times(gram_cost *cost, const around *in, int64_t factor, const gram_dim *dims, int n)
{
    gram_dim all[MOST_DIMS + MOST_SCANS];
    memcpy(all, dims, (size_t)n * sizeof *all);
    memcpy(all + n, in->columns, (size_t)in->n * sizeof *all);
    gram_cost_add(cost, factor * in->heads, in->batched, all, n + in->n);
}

/* How many matrices stand for a linear step's keys before a block. */
static int64_t matrices_of(const gram_step *step)
{
    return step->linear->slope.root >= 0 ? 2 : 1;
}

static void add_flops(gram_cost *cost, const gram_step *given, around in);

/* The steps of a scan's column for each, but for those that are run once; a walk within one back is gone through
 * twice. */
static void add_walk(gram_cost *cost, const gram_step *step, const gram_walk *walk, const around *in)
{
    for (int k = 0; walk && k < walk->plan->nsteps; k++) {
        gram_step inner = *walk->plan->steps[k];
        around own = *in;
        if (inner.batched && own.n < MOST_SCANS)
            own.columns[own.n++] = step->queries;
        inner.batched = false;
        add_flops(cost, &inner, own);
    }
}

/* The operations of a step; those of its dropped entries too. Of a linear one: the keys of one block as pairs, and
 * twice the matrix that stands for those before. */
static void add_flops(gram_cost *cost, const gram_step *given, around in)
{
    gram_dim inner[3 * GRAM_MOST];
    gram_step own = *given;
    const gram_step *step = &own;
    in.heads *= heads_of(given->heads);
    in.batched = in.batched || given->batched;
    if (given->walk) {
        around twice = in;
        twice.heads *= 2;
        add_walk(cost, given, given->walk, &in);
        add_walk(cost, given, given->walk->before, &twice);
        return;
    }
    if (gram_is_linear(given)) {
        own.lanes = gram_dim_number(GRAM_FEW_QUERIES);
        for (int k = 0; k < step->nsums; k++)
            add_times(cost, &in, 4 * matrices_of(given),
                      (gram_dim[]){step->queries, step->leaves[0].inner, step->sums[k].rows, step->each}, 4);
    }
    const int n = gram_pair_products(step, inner);
    for (int k = 0; k < n; k++)
        add_times(cost, &in, 2, (gram_dim[]){step->queries, step->lanes, inner[k], step->outer, step->each}, 5);
    if (scalars(step) > 0)
        add_times(cost, &in, scalars(step), (gram_dim[]){step->queries, step->lanes, step->outer, step->each}, 4);
}

static const char *flops(gram_ctx *ctx, const gram_step *step)
{
    gram_cost cost = {.ctx = ctx};
    add_flops(&cost, step, (around){.heads = 1});
    return gram_cost_text(&cost);
}

/* Integers of an array have 4 bytes, whatever the reals have. */
static void add_bytes(gram_cost *cost, const gram_plan *plan, const gram_buffer *b)
{
    const int64_t bytes = b->half ? 2 : b->type == GRAM_REAL ? plan->real_bits / 8 : 4;
    gram_cost_add(cost, bytes * heads_of(b->heads), b->batched, (gram_dim[]){b->rows, b->cols, b->each}, 3);
}

/* What the kernel must read and write at the least: its arrays, once. */
static const char *bytes(gram_ctx *ctx, const gram_plan *plan)
{
    gram_cost cost = {.ctx = ctx};
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_INPUT || plan->buffers[k].storage == GRAM_AT_OUTPUT)
            add_bytes(&cost, plan, &plan->buffers[k]);
    return gram_cost_text(&cost);
}

/* The states of the walk within a walk back, before every segment of columns. */
static void add_kept_states(gram_cost *cost, const gram_step *step, int64_t bytes)
{
    const gram_scan *scan = step->walk->before->scan;
    for (int k = 0; k < scan->nstates; k++)
        if (gram_dim_known(scan->inputs[k]->rows))
            gram_cost_add(
                cost,
                parts_of(bytes * scan->inputs[k]->rows.number * scan->inputs[k]->cols.number, GRAM_SEGMENT_COLUMNS),
                step->batched, &step->queries, 1);
}

/* What a step keeps between its phases: a linear one a matrix for every 1,024 tokens; one of few queries the state of
 * every part of its keys; one with sides all sums that cannot be added up in place; a walk back what the walk within it
 * was before every 64th column. Where queries are few only perhaps, nothing: there are packs in place of parts. */
static void add_states(gram_cost *cost, const gram_plan *plan, const gram_step *step)
{
    const int64_t bytes = plan->real_bits / 8 * heads_of(step->heads);
    int64_t width = 2 * step->softmax + step->nstats;
    if (gram_walk_before(step)) {
        add_kept_states(cost, step, bytes);
        return;
    }
    for (int k = 0; k < step->nsums; k++)
        width += gram_dim_known(step->sums[k].rows) ? step->sums[k].rows.number : 0;
    if (step->nsides && gram_sums_in_place(plan, step))
        width = step->nstats;
    for (int k = 0; k < step->nsides && !gram_sides_in_place(plan, step); k++)
        gram_cost_add(cost, bytes, step->batched, (gram_dim[]){step->lanes, step->sides[k].rows, step->each}, 3);
    if (step->nsides)
        gram_cost_add(cost, bytes * width, step->batched, (gram_dim[]){step->queries, step->each}, 2);
    if (gram_is_linear(step))
        gram_cost_add(cost, bytes * parts_of(step->leaves[0].inner.number * width * matrices_of(step), 1024),
                      step->batched, (gram_dim[]){step->queries, step->each}, 2);
    else if (step->few == GRAM_FEW_ALWAYS)
        gram_cost_add(cost, parts_of(bytes * step->queries.number * width, 1024), step->batched,
                      (gram_dim[]){step->lanes, step->each}, 2);
}

/* Panels have whole tiles of rows. */
static void add_pack(gram_cost *cost, const gram_plan *plan, const gram_pack *pack)
{
    gram_buffer like = plan->buffers[pack->buffer];
    const int64_t whole = pack->kind != GRAM_PACK_PADDED ? GRAM_FEW_QUERIES : 512 / plan->real_bits;
    if (pack->kind == GRAM_PACK_PLANES)
        like.cols = pack->inner;
    if (gram_dim_known(like.rows))
        like.rows.number = parts_of(like.rows.number, whole) * whole;
    add_bytes(cost, plan, &like);
}

static gram_cost life_cost(gram_ctx *ctx, const gram_plan *plan, const gram_life *life)
{
    gram_cost cost = {.ctx = ctx};
    if (life->kind == GRAM_LIFE_BUFFER)
        add_bytes(&cost, plan, &plan->buffers[life->index]);
    else if (life->kind == GRAM_LIFE_PACK)
        add_pack(&cost, plan, &plan->packs[life->index]);
    else
        add_states(&cost, plan, plan->steps[life->index]);
    return cost;
}

static bool is_callers(const gram_plan *plan, int room)
{
    for (int k = 0; k < plan->nlives; k++)
        if (plan->lives[k].room == room && gram_is_output(plan, &plan->lives[k]))
            return true;
    return false;
}

/* The greatest of what takes turns in the room, where sizes can tell: added to the cost; else as max(...) to
 * the text. */
static void add_room(gram_ctx *ctx, const gram_plan *plan, int room, gram_cost *cost, gram_text *text)
{
    gram_cost *each = gram_alloc(ctx, (size_t)(plan->nlives + 1) * sizeof *each);
    int n = 0;
    for (int k = 0; k < plan->nlives; k++) {
        bool covered = plan->lives[k].room != room;
        gram_cost own = life_cost(ctx, plan, &plan->lives[k]);
        for (int i = 0; i < n && !covered; i++)
            covered = gram_cost_covers(&each[i], &own);
        for (int i = n - 1; i >= 0 && !covered; i--)
            if (gram_cost_covers(&own, &each[i]))
                each[i] = each[--n];
        if (!covered)
            each[n++] = own;
    }
    if (n == 1)
        gram_cost_sum(cost, &each[0]);
    for (int i = 0; i < n && n > 1; i++)
        gram_put(text, "%s%s%s", i ? ", " : "max(", gram_cost_text(&each[i]), i == n - 1 ? ") + " : "");
}

static const char *workspace(gram_ctx *ctx, const gram_plan *plan)
{
    gram_cost cost = {.ctx = ctx};
    gram_text text = {.ctx = ctx};
    for (int room = 0; room < plan->nrooms; room++)
        if (!is_callers(plan, room))
            add_room(ctx, plan, room, &cost, &text);
    return gram_format(ctx, "%s%s%sthe threads' blocks", cost.terms ? gram_cost_text(&cost) : "",
                       cost.terms ? " + " : "", text.data ? text.data : "");
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

/* --- steps -------------------------------------------------------------------------------------------------------- */

static const char *step_line(gram_ctx *ctx, const gram_plan *plan, const gram_step *step)
{
    gram_text text = {.ctx = ctx};
    for (int k = 0; k < step->nstores; k++)
        gram_put(&text, "%s%s", k ? ", " : "", plan->buffers[step->stores[k].buffer].name);
    for (int k = 0; k < step->nsides; k++)
        gram_put(&text, ", %s", plan->buffers[step->sides[k].buffer].name);
    gram_put(&text, "  %s of %s x %s", step->template, gram_dim_text(ctx, step->lanes),
             gram_dim_text(ctx, step->queries));
    if (step->heads)
        gram_put(&text, ", %d heads", step->heads);
    if (!gram_dim_is(step->each, 1))
        gram_put(&text, ", for each of %s", gram_dim_text(ctx, step->each));
    return text.data;
}

/* Text with a label before it, broken at spaces so that no line is longer than WIDTH. */
enum { WIDTH = 116, MARGIN = 11 };
static void put_wrapped(gram_text *out, const char *label, const char *text)
{
    int at = MARGIN;
    gram_put(out, "%-*s", MARGIN, label);
    for (const char *end; *text; text = end) {
        end = text + strspn(text, " ");
        end += strcspn(end, " ");
        if (at > MARGIN && at + (int)(end - text) > WIDTH) {
            text += strspn(text, " ");
            gram_put(out, "\n%*s", MARGIN, "");
            at = MARGIN;
        }
        gram_put(out, "%.*s", (int)(end - text), text);
        at += (int)(end - text);
    }
    gram_put(out, "\n");
}

static const char *linear_reason(gram_ctx *ctx, const gram_step *step)
{
    const int64_t rows = step->leaves[0].inner.number;
    const char *matrix = !step->nsums
                             ? gram_format(ctx, "one column of %lld", (long long)rows)
                             : gram_format(ctx, "one %lld x %lld matrix%s", (long long)rows,
                                           (long long)step->sums[0].rows.number, step->nstats ? " and their sum" : "");
    return gram_format(ctx, "not built: a causal product%s, so all keys %s a block are %s",
                       step->linear->exponent.root >= 0 ? " with a decay" : "",
                       step->linear->backwards ? "after" : "before", matrix);
}

static void put_reason(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, gram_text *out)
{
    bool stream = !strcmp(step->template, "stream"), linear = gram_is_linear(step);
    const gram_buffer *b = &plan->buffers[step->stores[0].buffer];
    bool made = stream && step->program.instr[step->root].kind != GRAM_I_LOAD;
    const char *formula = gram_node_text(ctx, step->nsums && !made ? step->sums[0].node : step->what);
    if (!made && !gram_is_pair(step->what)) {
        put_wrapped(out, "", formula);
        if (!strcmp(step->template, "fft"))
            put_wrapped(out, "", "a circulant matrix, not built: Fourier transforms along the tokens, n log n");
        return;
    }
    put_wrapped(out, "", gram_format(ctx, "%s, %s", formula, gram_shape_text(ctx, step->what)));
    put_wrapped(out, "",
                stream                         ? "not built: made tile by tile, and summed down its columns"
                : linear                       ? linear_reason(ctx, step)
                : b->storage == GRAM_AT_OUTPUT ? "built: it is an output"
                                               : "built: a nonlinear function of pairs inside another needs all of it");
    if (stream && step->keep)
        put_wrapped(out, "",
                    gram_format(ctx, "kept where %s: tiles are skipped, checked or free by intervals",
                                gram_node_text(ctx, step->keep)));
    if (step->nsides)
        put_wrapped(out, "", "summed along its rows in the same pass, by one part of the columns after the other");
    if (step->few != GRAM_FEW_NEVER)
        put_wrapped(out, "",
                    gram_format(ctx, "%s: keys are read where they lie%s",
                                step->few == GRAM_FEW_ALWAYS ? "few queries"
                                                             : gram_format(ctx, "at most %d queries", GRAM_FEW_QUERIES),
                                gram_has_parts(step) ? ", in parts of 1,024" : ""));
}

/* What a scan makes for each column, in order. */
static void put_walk(gram_ctx *ctx, const gram_walk *walk, const char *each, gram_text *out)
{
    gram_text text = {.ctx = ctx};
    const gram_plan *column = walk->plan;
    for (int k = 0; k < column->nsteps; k++)
        gram_put(&text, "%s%s", k ? ", " : each, column->buffers[column->steps[k]->stores[0].buffer].name);
    put_wrapped(out, "", text.data ? text.data : "");
}

static void put_step(gram_ctx *ctx, const gram_plan *plan, int k, gram_text *out)
{
    const gram_step *step = plan->steps[k];
    put_wrapped(out, gram_format(ctx, "step %d", k + 1), step_line(ctx, plan, step));
    put_reason(ctx, plan, step, out);
    if (step->walk)
        put_walk(ctx, step->walk, "each column: ", out);
    if (gram_walk_before(step))
        put_walk(ctx, gram_walk_before(step), "its states before each column, made again 64 at a time: ", out);
    const char *count = flops(ctx, step);
    if (strcmp(count, "0") != 0)
        put_wrapped(out, "", gram_format(ctx, "%s%s flops", step->keep ? "at most " : "", count));
}

void gram_plan_print(gram_ctx *ctx, const struct gram_plan *plan, gram_text *out)
{
    gram_put(out, "%s: %s, %s\n", plan->spec->name, plan->dense ? "dense" : "streamed", plan->real->name);
    for (int k = 0; k < plan->nsteps; k++)
        put_step(ctx, plan, k, out);
    put_wrapped(out, "bytes", bytes(ctx, plan));
    put_wrapped(out, "workspace", workspace(ctx, plan));
    put_wrapped(out, "parameters", parameters(ctx, plan->spec));
}

/* --- the opening comment ------------------------------------------------------------------------------------------ */

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
