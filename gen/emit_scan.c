/* Emit's scans: the steps of a column as functions of a job of their own, and the walk that calls them. */
#include <string.h>

#include "emit.h"
#include "scan.h"

/* An array of the walk's kernel, and the array of a column that it goes to or comes from. */
static void add_pair(emitter *e, const gram_step *step, int outside, const gram_buffer *own, const char *at)
{
    const gram_buffer *b = &e->plan->buffers[outside];
    gram_template_begin(e->L, NULL);
    set(e, "own", own->name);
    set(e, "buffer", b->name);
    set(e, "half", gram_half(e->plan, outside));
    set(e, at, gram_print_at(e->ctx, e->plan, step, b, ""));
    set(e, "rows", dim(e, own->rows));
    set(e, "cols", dim(e, own->cols));
    gram_template_set_flag(e->L, "guard", !strcmp(at, "to") && gram_is_optional(e->plan, outside));
    gram_template_end(e->L);
}

static bool is_column(const gram_scan *scan, int input)
{
    return input >= scan->nstates && input < scan->nstates + scan->ncolumns;
}

/* f's inputs: those that are set for each item, or for each column. */
static void add_inputs(emitter *e, const gram_step *step, const char *key, bool columns)
{
    const gram_walk *walk = step->walk;
    gram_template_begin(e->L, key);
    for (int k = 0; k < walk->scan->ninputs; k++)
        if (is_column(walk->scan, k) == columns)
            add_pair(e, step, step->sums[k].left, &walk->plan->buffers[k], "from");
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

static void add_states(emitter *e, const gram_walk *walk)
{
    gram_template_begin(e->L, "states");
    for (int k = 0; k < walk->scan->nstates; k++) {
        const gram_buffer *own = &walk->plan->buffers[k];
        gram_template_begin(e->L, NULL);
        set(e, "own", own->name);
        set(e, "next", output_of(walk, k)->name);
        set(e, "rows", dim(e, own->rows));
        set(e, "cols", dim(e, own->cols));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

/* What is stored: states after the last column, or output columns. */
static void add_results(emitter *e, const gram_step *step, const char *key, bool states)
{
    const gram_walk *walk = step->walk;
    gram_template_begin(e->L, key);
    for (int k = 0; k < step->nstores; k++) {
        int result = walk->result[k];
        if ((result < walk->scan->nstates) == states)
            add_pair(e, step, step->stores[k].buffer, states ? &walk->plan->buffers[result] : output_of(walk, result),
                     "to");
    }
    gram_template_end(e->L);
}

/* The frame of f's plan into the model. */
static void add_frame(emitter *e, const gram_step *step, const char *name)
{
    gram_spec spec = *step->walk->plan->spec;
    gram_plan plan = *step->walk->plan;
    emitter inner = *e;
    spec.name = name;
    plan.spec = &spec;
    plan.wide = e->plan->wide;
    inner.spec = &spec;
    inner.plan = &plan;
    inner.bodies = (gram_text){.ctx = e->ctx};
    set(e, "name", name);
    gram_emit_frame(&inner);
}

const char *gram_emit_scan(emitter *e, const gram_step *step)
{
    const char *name = gram_format(e->ctx, "%s_%s", e->spec->name, step->name);
    add_frame(e, step, name);
    set(e, "name", e->spec->name);
    set(e, "walk", name);
    gram_emit_set_step(e, step);
    set(e, "columns", dim(e, step->queries));
    gram_template_set_flag(e->L, "backwards", step->walk->scan->backwards);
    add_inputs(e, step, "matrices", false);
    add_inputs(e, step, "walked", true);
    add_states(e, step->walk);
    add_results(e, step, "outputs", false);
    add_results(e, step, "last", true);
    return gram_format(e->ctx, "%s_room(job)", name);
}
