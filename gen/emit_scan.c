/* Emit's scans: the steps of a column as functions of a job of their own, and the walk that calls them. A walk back may
 * have a walk forth within it (gram_walk of plan.h), whose steps are functions of another such job. */
#include <string.h>

#include "emit.h"
#include "scan.h"

extern const gram_script gram_template_column, gram_template_walked;

/* What a walk does: before its first column, for each, and after the last. */
typedef enum part { START, COLUMN, LAST } part;

/* An array of the walk's kernel, and the array of a column that it goes to or comes from. */
static void add_pair(emitter *e, const gram_step *step, int outside, const gram_buffer *own, bool column, bool to)
{
    const gram_buffer *b = &e->plan->buffers[outside];
    const char *at = gram_print_at(e->ctx, e->plan, step, b, ""), *col = gram_format(e->ctx, "job->%s.col", b->name);
    gram_template_begin(e->L, NULL);
    set(e, "own", own->name);
    set(e, "buffer", b->name);
    set(e, "half", gram_half(e->plan, outside));
    set(e, "at", column ? gram_format(e->ctx, "%s + column * %s", at, col) : at);
    set(e, "col", column ? "0" : col);
    set(e, "rows", dim(e, own->rows));
    set(e, "cols", column ? "1" : dim(e, own->cols));
    gram_template_set_flag(e->L, "guard", to && gram_is_optional(e->plan, outside));
    gram_template_end(e->L);
}

static bool is_column(const gram_scan *scan, int input)
{
    return input >= scan->nstates && input < scan->nstates + scan->ncolumns;
}

/* f's inputs: those that are set for each item, or for each column; but for what the walk within makes. */
static void add_inputs(emitter *e, const gram_step *step, const gram_walk *walk, part part)
{
    gram_template_begin(e->L, "filled");
    for (int k = 0; k < walk->scan->ninputs && part != LAST; k++) {
        const int outside = step->sums[walk->first + k].left;
        if (is_column(walk->scan, k) == (part == COLUMN) && outside >= 0)
            add_pair(e, step, outside, &walk->plan->buffers[k], part == COLUMN, false);
    }
    gram_template_end(e->L);
}

/* The array of f's output for result k. */
static const gram_buffer *output_of(const gram_walk *walk, int result)
{
    const gram_node *node = walk->scan->results[result];
    const gram_spec *f = walk->plan->spec;
    int k = 0;
    while (f->outputs[k].traced != node || (result < walk->scan->nstates && k < result))
        k++;
    return &walk->plan->buffers[f->ninputs + k];
}

static const char *size_of(emitter *e, const gram_buffer *b)
{
    return gram_format(e->ctx, "%s * %s", dim(e, b->rows), dim(e, b->cols));
}

static void add_states(emitter *e, const gram_walk *walk, part part)
{
    gram_template_begin(e->L, "moved");
    for (int k = 0; k < walk->scan->nstates && part == COLUMN; k++) {
        const gram_buffer *own = &walk->plan->buffers[k];
        gram_template_begin(e->L, NULL);
        set(e, "own", own->name);
        set(e, "next", output_of(walk, k)->name);
        set(e, "size", size_of(e, own));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

/* What is stored: states after the last column, or output columns. */
static void add_results(emitter *e, const gram_step *step, const gram_walk *walk, part part)
{
    gram_template_begin(e->L, "stored");
    for (int k = 0; k < step->nstores && part != START && walk == step->walk; k++) {
        const int result = walk->result[k];
        const bool state = result < walk->scan->nstates;
        if (state == (part == LAST))
            add_pair(e, step, step->stores[k].buffer, state ? &walk->plan->buffers[result] : output_of(walk, result),
                     !state, true);
    }
    gram_template_end(e->L);
}

/* A part of a walk, as the lines that do it. */
static const char *part_of(emitter *e, const gram_step *step, const gram_walk *walk, part part)
{
    set(e, "own", walk == step->walk ? "own" : "before");
    gram_template_set_flag(e->L, "first", part == START);
    gram_template_set_flag(e->L, "each", part == COLUMN);
    add_inputs(e, step, walk, part);
    add_results(e, step, walk, part);
    add_states(e, walk, part);
    return render(e, &gram_template_walked);
}

/* The job of f's plan and its functions, whose names begin with this one; its phases into the model. */
static const char *frame(emitter *e, const gram_walk *walk, const char *name)
{
    gram_spec spec = *walk->plan->spec;
    gram_plan plan = *walk->plan;
    emitter inner = *e;
    spec.name = name;
    plan.spec = &spec;
    plan.wide = e->plan->wide;
    inner.spec = &spec;
    inner.plan = &plan;
    inner.bodies = (gram_text){.ctx = e->ctx};
    set(e, "name", name);
    gram_emit_frame(&inner);
    set(e, "name", e->spec->name);
    set(e, "walk", name);
    return render(e, &gram_template_column);
}

/* The numbers of the first n states. */
static const char *width_of(emitter *e, const gram_walk *walk, int n)
{
    gram_text width = {.ctx = e->ctx};
    for (int k = 0; k < n; k++)
        gram_put(&width, "%s%s", k ? " + " : "", size_of(e, &walk->plan->buffers[k]));
    return width.data;
}

/* The states of the walk within: where each is kept among them, and for which column array of the walk back. */
static void add_kept(emitter *e, const gram_walk *walk, const gram_walk *before)
{
    gram_template_begin(e->L, "kept_states");
    for (int k = 0; k < before->scan->nstates; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "state", before->plan->buffers[k].name);
        set(e, "size", size_of(e, &before->plan->buffers[k]));
        set(e, "from", k ? gram_format(e->ctx, " + %s", width_of(e, before, k)) : "");
        if (before->column[k] >= 0)
            set(e, "column", walk->plan->buffers[before->column[k]].name);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    set(e, "kept_width", width_of(e, before, before->scan->nstates));
}

const char *gram_emit_kept_states(emitter *e, const gram_step *step)
{
    const gram_walk *before = gram_walk_before(step);
    return gram_format(e->ctx, "gram_parts(%s, GRAM_SEGMENT) * (%s)", dim(e, step->queries),
                       width_of(e, before, before->scan->nstates));
}

const char *gram_emit_scan(emitter *e, const gram_step *step)
{
    const gram_walk *walk = step->walk, *before = walk->before;
    const char *name = gram_format(e->ctx, "%s_%s", e->spec->name, step->name);
    const char *frames = "";
    gram_template_set_flag(e->L, "again", before != NULL);
    if (before) {
        frames = frame(e, before, gram_format(e->ctx, "%s_before", name));
        set(e, "start_before", part_of(e, step, before, START));
        set(e, "column_before", part_of(e, step, before, COLUMN));
        add_kept(e, walk, before);
    }
    set(e, "frames", gram_format(e->ctx, "%s%s", frames, frame(e, walk, name)));
    gram_emit_set_step(e, step);
    set(e, "columns", dim(e, step->queries));
    gram_template_set_flag(e->L, "backwards", walk->scan->backwards);
    set(e, "start", part_of(e, step, walk, START));
    set(e, "column", part_of(e, step, walk, COLUMN));
    set(e, "last", part_of(e, step, walk, LAST));
    return gram_format(e->ctx, "%s_room(job)", name);
}
