/* What the parts of emit have in common: emit.c makes the frame, emit_place.c the places of arrays, emit_step.c the
 * steps, emit_stream.c those that stream, emit_linear.c those that walk over blocks, about.c the opening comment. */
#ifndef GRAM_EMIT_H
#define GRAM_EMIT_H

#include "passes.h"
#include "plan.h"
#include "print.h"
#include "template.h"

typedef struct gram_emitter {
    gram_ctx *ctx;
    const gram_spec *spec;
    const gram_plan *plan;
    const gram_request *request;
    bool tcc;
    lua_State *L;     /* the model */
    gram_text bodies; /* the functions of packs and steps */
} gram_emitter;

typedef gram_emitter emitter;

static inline const char *dim(emitter *e, gram_dim d)
{
    return gram_print_dim(e->ctx, e->spec, d);
}

/* model.key = value, and a template's text over the model, as in template.h. */
static inline void set(emitter *e, const char *key, const char *value)
{
    gram_template_set(e->L, key, value);
}

static inline const char *render(emitter *e, const gram_script *template)
{
    return gram_template_render(e->ctx, e->L, template);
}

/* The comment that opens an emitted file: the formula, the spec's name and hash, the shapes, the plan with its cost,
 * the command that made it. */
const char *gram_emit_about(gram_ctx *ctx, const gram_spec *spec, const gram_plan *plan, const gram_request *request);

/* Adds the step's functions to the bodies; the room of scratch, in numbers, that a thread of it needs. */
const char *gram_emit_step(gram_emitter *e, const gram_step *step);
/* What steps have in common, into the model. */
void gram_emit_set_step(gram_emitter *e, const gram_step *step);
/* All that a plan's frame has: its functions, arrays and phases, into the model. */
void gram_emit_frame(gram_emitter *e);
/* The steps of a scan's column and the walk, into the model; the room of scratch. */
const char *gram_emit_scan(gram_emitter *e, const gram_step *step);
/* What a scan's walk back keeps of the walk within it, for each head and item: in numbers. */
const char *gram_emit_kept_states(gram_emitter *e, const gram_step *step);
/* The range of the step's predicate, as C, and functions that walk over tiles by it, into the model;
 * "gram_range_of(0, 1)" where nothing is known of it. */
const char *gram_emit_range(gram_emitter *e, const gram_step *step);
/* A stream's functions but the one over blocks, into the model: first the epilogue, which tells the arguments of its
 * call and how many tiles it needs; then the rest, where room is what the loop over blocks needs of scratch and last
 * how many tiles the epilogue. The room of all. */
const char *gram_emit_epilogue(gram_emitter *e, const gram_step *step, int *tiles);
const char *gram_emit_stream(gram_emitter *e, const gram_step *step, const char *arguments, const char *room, int last);
/* The parts of a linear step's walk, likewise. */
const char *gram_emit_linear(gram_emitter *e, const gram_step *step, const gram_lines *lines, int last);
/* The numbers of a row of a linear step's sums. */
const char *gram_emit_linear_width(gram_emitter *e, const gram_step *step);
/* Into how many runs a linear step's walks are cut, and the room for the sums of each. */
const char *gram_emit_linear_runs(gram_emitter *e, const gram_step *step);
const char *gram_emit_linear_room(gram_emitter *e, const gram_step *step);

/* Where every array lies, the caller's and those of the workspace, into the model (emit_place.c). */
void gram_emit_tensors(gram_emitter *e);
/* "padded", "panels", "planes": how a pack's name ends. */
const char *gram_pack_suffix(gram_pack_kind kind);
/* How many numbers a buffer has. */
const char *gram_emit_count(emitter *e, const gram_buffer *b);
const char *gram_emit_pack_name(gram_emitter *e, const gram_pack *pack);
/* When a pack is made, as a condition: a loop of few queries needs none. "": always, NULL: never. */
const char *gram_emit_pack_when(gram_emitter *e, int pack);

/* Places in a thread's scratch, one after the other: their declarations, the room they take, where the next is. */
typedef struct gram_places {
    gram_text text, room;
    const char *at;
} gram_places;

void gram_emit_take(gram_emitter *e, gram_places *p, const char *name, const char *size);
/* Panels for what the step's products read along lanes, and rows for sums that read padded columns. */
void gram_emit_take_keys(gram_emitter *e, gram_places *p, const gram_step *step);
/* Tiles t0, t1, ...; `last`, how many the epilogue needs from `tiles` on, which are the same. */
void gram_emit_take_tiles(gram_emitter *e, gram_places *p, int tiles, int last);
/* The same of those that a group's heads do not have a tile each of. */
void gram_emit_take_shared_tiles(gram_emitter *e, gram_places *p, const gram_lines *lines, int last);
/* A stream's sums side by side, padded; and what the state of a part of the keys takes for each head. */
const char *gram_emit_width(gram_emitter *e, const gram_sum *sums, int n);
const char *gram_emit_state_size(gram_emitter *e, const gram_step *step, const char *queries, const char *width);
/* Of a step with sides: how many parts its queries, and its lanes, are in; the rows of a block of queries; and the
 * numbers that a block keeps from turn to turn, "" where all are in place. */
const char *gram_emit_side_parts(gram_emitter *e, const gram_step *step);
const char *gram_emit_block_rows(const gram_step *step);
const char *gram_emit_block_state(gram_emitter *e, const gram_step *step);
/* A program's lines, into the model. */
void gram_emit_lines(gram_emitter *e, const gram_lines *lines);
/* "3 * size", or "size". */
const char *gram_emit_times(gram_emitter *e, int n, const char *size);
/* "job->batch * 8 * ", before a count: the heads and items that something runs over. */
const char *gram_emit_items(gram_emitter *e, int heads, bool batched, gram_dim each);
/* "job->batch * 8", by themselves. */
const char *gram_emit_all_items(gram_emitter *e, const gram_step *step);

#endif
