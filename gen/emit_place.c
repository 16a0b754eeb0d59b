/* Emit's places: where each array lies, as the lines of NAME_place. The caller's have his pointers and strides, or
 * dense ones; a view is a formula over another; those of the workspace are carved from it, and where several take turns
 * in one room (schedule.c), the room is carved first, as large as the largest of them. */
#include <string.h>

#include "emit.h"
#include "layout.h"

static void add_tensor(emitter *e, const char *name, const char *type, const char *place)
{
    gram_template_begin(e->L, NULL);
    set(e, "name", name);
    set(e, "type", type);
    set(e, "place", place);
    gram_template_end(e->L);
}

/* "job->batch * 8 * 64 * job->n": the numbers of as many arrays of `one` as a buffer has heads and items. */
static const char *count(emitter *e, const gram_buffer *b, const char *one)
{
    return gram_format(e->ctx, "%s%s", gram_emit_items(e, b->heads, b->batched, b->each), one);
}

/* The same for a step. */
static const char *count_of(emitter *e, const gram_step *step, const char *one)
{
    return gram_format(e->ctx, "%s%s", gram_emit_items(e, step->heads, step->batched, step->each), one);
}

/* --- the caller's ------------------------------------------------------------------------------------------------- */

/* An axis of ragged tokens has those of all items. */
static const char *axis_size(emitter *e, gram_dim size)
{
    for (int s = 0; s < e->spec->nsizes; s++)
        if (e->spec->starts[s] && gram_dim_equal(size, gram_dim_size(s)))
            return gram_format(e->ctx, "args->%s", e->spec->sizes[s]);
    return dim(e, size);
}

/* The dense strides of an array with these axes, as a gram_tensor's members. */
static const char *dense(emitter *e, const gram_axes *axes, const gram_buffer *b)
{
    const char *of[4] = {"0", "0", "0", "0"};
    gram_text product = {.ctx = e->ctx};
    gram_put(&product, "1");
    for (int k = axes->n - 1; k >= 0; k--) {
        const char *letter = strchr("bhrc", axes->axis[k].letter);
        of[letter - "bhrc"] = 0;
        of[strlen("bhrc") - strlen(letter)] = gram_strdup(e->ctx, product.data);
        if (axes->axis[k].letter != 'b') {
            bool one = !strcmp(product.data, "1");
            const char *size = axis_size(e, axes->axis[k].size), *before = product.data;
            product = (gram_text){.ctx = e->ctx};
            gram_put(&product, one ? "%s%s" : "%s * %s", one ? "" : before, size);
        }
    }
    return gram_format(e->ctx, "{NULL, %s, %s, %s, %s}", b->batched ? of[0] : "0", of[1], of[2], of[3]);
}

/* An array's type in the job; with it begin the names of what is done to its places, but for those of reals. */
static const char *type_of(const gram_buffer *b)
{
    return b->type == GRAM_INT ? "gram_ids" : b->half ? "gram_halves" : "gram_tensor";
}

static const char *prefix_of(const gram_buffer *b)
{
    return b->type == GRAM_INT || b->half ? type_of(b) : "gram";
}

static const char *place_given(emitter *e, const gram_buffer *b, const char *name, const gram_axes *axes)
{
    const char *type = type_of(b);
    const char *strides = dense(e, axes, b);
    if (gram_axes_strided(axes))
        return gram_format(e->ctx, "job->%s = %s_strided(args->%s, args->%s_stride, (%s)%s);", b->name, prefix_of(b),
                           name, name, type, strides);
    const char *cast = b->type == GRAM_INT ? "" : b->half ? "(uint16_t *)" : "(gram_real *)";
    return gram_format(e->ctx, "job->%s = (%s)%s;\njob->%s.data = %sargs->%s;", b->name, type, strides, b->name, cast,
                       name);
}

/* Where items have sizes of their own, each is placed by itself: what finds this one's part of an array of the
 * caller's, which may be NULL. */
static const char *to_item(emitter *e, const gram_buffer *b, const char *name, const gram_input *starts)
{
    const char *prefix = prefix_of(b);
    if (starts) {
        const char *from = gram_format(e->ctx, "args->%s[item]", starts->name);
        const bool rows = gram_dim_is_ragged(e->spec, b->rows);
        return gram_format(e->ctx, "\njob->%s = %s_part(job->%s, 0, %s, %s);", b->name, prefix, b->name,
                           rows ? from : "0", rows ? "0" : from);
    }
    if (!gram_is_ragged(e->spec) || !b->batched)
        return "";
    return gram_format(e->ctx, "\nif (args->%s) {\n    job->%s.data = %s_at(&job->%s, item, 0);\n}", name, b->name,
                       prefix, b->name);
}

/* A dense array that starts at `place`. */
static const char *place_dense(emitter *e, const gram_buffer *b, const char *place)
{
    const char *rows = dim(e, b->rows), *cols = dim(e, b->cols);
    const char *heads = b->heads > 1 ? gram_format(e->ctx, "%d * ", b->heads) : "";
    const char *batch = b->batched ? gram_format(e->ctx, "%s%s * %s", heads, rows, cols) : "0";
    if (b->flat)
        return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s, 1, %s%s};", b->name, place, batch, rows, heads,
                           rows);
    if (b->type == GRAM_INT)
        return gram_format(e->ctx, "job->%s = (gram_ids){(const int32_t *)(const void *)(%s), %s, %s * %s, 1, %s};",
                           b->name, place, batch, rows, cols, rows);
    return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s * %s, 1, %s};", b->name, place, batch, rows, cols,
                       rows);
}

static const char *place_view(emitter *e, const gram_buffer *b)
{
    const char *base = e->plan->buffers[b->base].name, *from = dim(e, b->from);
    const char *prefix = prefix_of(b);
    switch (b->view) {
    case GRAM_VIEW_TRANSPOSE:
        return gram_format(e->ctx, "job->%s = %s_turned(job->%s);", b->name, prefix, base);
    case GRAM_VIEW_ROWS:
        return gram_format(e->ctx, "job->%s = %s_part(job->%s, 0, %s, 0);", b->name, prefix, base, from);
    case GRAM_VIEW_COLS:
        return gram_format(e->ctx, "job->%s = %s_part(job->%s, 0, 0, %s);", b->name, prefix, base, from);
    case GRAM_VIEW_SHAPE:
        return place_dense(e, b, gram_format(e->ctx, "job->%s.data", base));
    case GRAM_VIEW_HEAD:
        return gram_format(e->ctx, "job->%s = %s_part(job->%s, %d, 0, 0);", b->name, prefix, base, b->index);
    default:
        return gram_format(e->ctx, "job->%s = %s_split(job->%s, %s);", b->name, prefix, base, dim(e, b->rows));
    }
}

/* --- sizes in the workspace --------------------------------------------------------------------------------------- */

const char *gram_emit_count(emitter *e, const gram_buffer *b)
{
    return count(e, b, gram_format(e->ctx, "%s * %s", dim(e, b->rows), dim(e, b->cols)));
}

static const char *buffer_size(emitter *e, const gram_buffer *b)
{
    return gram_format(e->ctx, "%s%s", gram_emit_count(e, b), b->read_beyond ? " + GRAM_PAD" : "");
}

const char *gram_pack_suffix(gram_pack_kind kind)
{
    static const char *const suffixes[] = {"padded", "panels", "planes"};
    return suffixes[kind];
}

const char *gram_emit_pack_name(emitter *e, const gram_pack *pack)
{
    return gram_format(e->ctx, "%s_%s", e->plan->buffers[pack->buffer].name, gram_pack_suffix(pack->kind));
}

const char *gram_emit_pack_when(emitter *e, int pack)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < e->plan->nsteps; k++) {
        const gram_step *step = e->plan->steps[k];
        if (!gram_reads_pack(step, pack))
            continue;
        if (step->few == GRAM_FEW_NEVER)
            return "";
        const char *many = gram_format(e->ctx, "%s > GRAM_BLOCK", dim(e, step->queries));
        if (!text.data || !strstr(text.data, many))
            gram_put(&text, "%s%s", text.data ? " || " : "", many);
    }
    return text.data;
}

/* The numbers of a pack for one head and item. */
static const char *pack_each(emitter *e, const gram_pack *pack)
{
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    if (pack->kind != GRAM_PACK_PADDED && gram_dim_known(b->rows))
        return gram_format(e->ctx, "%lld * %s", (long long)(b->rows.number + 63) / 64 * 64, dim(e, pack->inner));
    if (pack->kind != GRAM_PACK_PADDED)
        return gram_format(e->ctx, "gram_parts(%s, GRAM_TILE) * GRAM_TILE * %s", dim(e, b->rows), dim(e, pack->inner));
    return gram_format(e->ctx, "%s * GRAM_PADDED(%s)", dim(e, b->cols), dim(e, b->rows));
}

static const char *pack_size(emitter *e, int index)
{
    const gram_pack *pack = &e->plan->packs[index];
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    const char *when = gram_emit_pack_when(e, index), *size = count(e, b, pack_each(e, pack));
    return *when ? gram_format(e->ctx, "%s ? %s : 0", when, size) : size;
}

/* Of a step with sides: their sums, and the states of all blocks of queries, where there are turns between them. */
static const char *side_states_size(emitter *e, const gram_step *step)
{
    const char *state = gram_emit_block_state(e, step), *blocks = "0", *sides = "";
    if (*state)
        blocks = gram_format(e->ctx, "(%s > 1 ? %s : 0)", gram_emit_side_parts(e, step),
                             count_of(e, step,
                                      gram_format(e->ctx, "gram_parts(%s, %s) * %s", dim(e, step->queries),
                                                  gram_emit_block_rows(step), state)));
    if (!gram_sides_in_place(e->plan, step))
        sides = count_of(e, step,
                         gram_format(e->ctx, "%s * (%s)%s", dim(e, step->lanes),
                                     gram_emit_width(e, step->sides, step->nsides), *state ? " + " : ""));
    return gram_format(e->ctx, "%s%s", sides, *state ? blocks : "");
}

/* The states of a step's parts, or of the threads where there is one part only; the sums of a linear one's runs; what a
 * step with sides keeps, or a walk back. */
static const char *states_size(emitter *e, const gram_step *step)
{
    const char *queries = dim(e, step->queries), *lanes = dim(e, step->lanes);
    if (gram_is_linear(step))
        return gram_emit_linear_room(e, step);
    if (step->walk)
        return count_of(e, step, gram_emit_kept_states(e, step));
    if (step->nsides)
        return side_states_size(e, step);
    const char *width = gram_emit_width(e, step->sums, step->nsums);
    const char *parts = count_of(e, step, gram_format(e->ctx, "gram_parts(%s, GRAM_PART)", lanes));
    const char *threads = step->heads > 1 ? gram_format(e->ctx, "%d * threads", step->heads) : "threads";
    const char *number =
        gram_has_parts(step) ? gram_format(e->ctx, "(%s > GRAM_PART ? %s : %s)", lanes, parts, threads) : threads;
    const char *size =
        gram_format(e->ctx, "%s * (%s) + GRAM_BLOCK", number, gram_emit_state_size(e, step, queries, width));
    bool always = step->few == GRAM_FEW_ALWAYS;
    return always ? size : gram_format(e->ctx, "%s <= GRAM_BLOCK ? %s : 0", queries, size);
}

/* --- rooms -------------------------------------------------------------------------------------------------------- */

static const char *life_name(emitter *e, const gram_life *life)
{
    switch (life->kind) {
    case GRAM_LIFE_BUFFER:
        return e->plan->buffers[life->index].name;
    case GRAM_LIFE_PACK:
        return gram_emit_pack_name(e, &e->plan->packs[life->index]);
    default:
        return gram_format(e->ctx, "%s_states", e->plan->steps[life->index]->name);
    }
}

static const char *life_size(emitter *e, const gram_life *life)
{
    switch (life->kind) {
    case GRAM_LIFE_BUFFER:
        return buffer_size(e, &e->plan->buffers[life->index]);
    case GRAM_LIFE_PACK:
        return pack_size(e, life->index);
    default:
        return states_size(e, e->plan->steps[life->index]);
    }
}

/* The output whose array is the room, or NULL. */
static const gram_life *room_output(const gram_plan *plan, int room)
{
    for (int k = 0; k < plan->nlives; k++)
        if (plan->lives[k].room == room && gram_is_output(plan, &plan->lives[k]))
            return &plan->lives[k];
    return NULL;
}

/* How many arrays take turns in a room of the workspace; 0 for a caller's array. */
static int turns(const gram_plan *plan, int room)
{
    int n = 0;
    if (room_output(plan, room))
        return 0;
    for (int k = 0; k < plan->nlives; k++)
        n += plan->lives[k].room == room;
    return n;
}

/* The room's number among those that several arrays share, which have a variable. */
static int shared_number(const gram_plan *plan, int room)
{
    int n = 0;
    for (int k = 0; k <= room; k++)
        n += turns(plan, k) > 1;
    return n;
}

/* Where the array must have a place of its own, as a condition: loops of few queries still need what stood in the room
 * before. NULL: nowhere. */
static const char *apart_when(emitter *e, const gram_life *life)
{
    gram_text text = {.ctx = e->ctx};
    const char *pack_when = life->kind == GRAM_LIFE_PACK ? gram_emit_pack_when(e, life->index) : "";
    for (int k = 0; k < e->plan->nlives; k++) {
        const gram_life *other = &e->plan->lives[k];
        if (other == life || other->room != life->room || other->last > life->first || other->few_last < life->first)
            continue;
        const char *few = dim(e, other->few), *when = gram_format(e->ctx, "%s <= GRAM_BLOCK", few);
        bool absent = !strcmp(pack_when, gram_format(e->ctx, "%s > GRAM_BLOCK", few));
        if (!absent && (!text.data || !strstr(text.data, when)))
            gram_put(&text, "%s%s", text.data ? " || " : "", when);
    }
    return text.data;
}

static const gram_life *life_of(const gram_plan *plan, gram_life_kind kind, int index)
{
    const gram_life *life = plan->lives;
    while (life->kind != kind || life->index != index)
        life++;
    return life;
}

/* Where an array of the workspace starts. */
static const char *place_of(emitter *e, gram_life_kind kind, int index)
{
    const gram_life *life = life_of(e->plan, kind, index);
    const char *own = gram_format(e->ctx, "gram_carve(workspace, &used, %s)", life_size(e, life));
    if (turns(e->plan, life->room) < 2)
        return own;
    const char *room = gram_format(e->ctx, "room%d", shared_number(e->plan, life->room)), *apart = apart_when(e, life);
    return apart ? gram_format(e->ctx, "%s ? %s : %s", apart, own, room) : room;
}

/* Of the room's arrays, in order of time, the names and the sizes, equal ones once. */
static void add_turns(emitter *e, int room)
{
    gram_text said = {.ctx = e->ctx}, names = {.ctx = e->ctx};
    gram_template_begin(e->L, "sizes");
    for (int phase = 0; phase < e->plan->norder; phase++)
        for (int k = 0; k < e->plan->nlives; k++) {
            const gram_life *life = &e->plan->lives[k];
            if (life->room != room || life->first != phase)
                continue;
            const char *size = life_size(e, life), *line = gram_format(e->ctx, "\n%s\n", size);
            gram_put(&names, "%s%s", names.data ? ", " : "", life_name(e, life));
            if (said.data && strstr(said.data, line))
                continue;
            gram_put(&said, "%s", line);
            gram_template_begin(e->L, NULL);
            set(e, "text", size);
            gram_template_end(e->L);
        }
    gram_template_end(e->L);
    set(e, "names", names.data);
}

static void add_rooms(emitter *e)
{
    gram_template_begin(e->L, "rooms");
    for (int room = 0; room < e->plan->nrooms; room++) {
        if (turns(e->plan, room) < 2)
            continue;
        gram_template_begin(e->L, NULL);
        add_turns(e, room);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

/* --- the workspace's ---------------------------------------------------------------------------------------------- */

/* A sum over items that each have sizes of their own: all but the first are added to what is there. */
static const char *place_sum(emitter *e, const gram_buffer *b, const gram_output *output)
{
    if (!output->summed || !gram_is_ragged(e->spec))
        return "";
    if (b->half)
        gram_fail(e->ctx, output->node->loc, "%s is a sum over items of ragged tokens: it needs f32 or f64, not %s",
                  output->name, e->plan->real->name);
    return gram_format(e->ctx,
                       "\nif (item > 0 && args->%s) { /* added to what the items before it gave */\n    job->%s.data = "
                       "gram_carve(workspace, &used, %s);\n}",
                       output->name, b->name, buffer_size(e, b));
}

static const char *place_output(emitter *e, int buffer)
{
    const gram_buffer *b = &e->plan->buffers[buffer];
    const gram_output *output = &e->spec->outputs[b->index];
    gram_axes axes = gram_output_axes(output);
    const char *name = output->over ? output->over->name : output->name;
    const char *given = gram_format(e->ctx, "%s%s%s", place_given(e, b, name, &axes),
                                    to_item(e, b, name, gram_output_starts(output)), place_sum(e, b, output));
    if (!gram_is_read(e->plan, buffer) || output->over)
        return given;
    const char *own = gram_format(e->ctx, "gram_carve(workspace, &used, %s)", buffer_size(e, b));
    return gram_format(e->ctx, "%s\nif (!args->%s) { /* others need it */\n    %s\n}", given,
                       e->spec->outputs[b->index].name, place_dense(e, b, own));
}

/* As many zeros as the array has numbers, those of all items. */
static const char *zeros(emitter *e, const gram_buffer *b)
{
    const char *size = count(e, b, gram_format(e->ctx, "%s * %s", axis_size(e, b->rows), axis_size(e, b->cols)));
    return gram_format(e->ctx, "%sgram_carve_zeros(workspace, &used, %s%s)", b->half ? "(uint16_t *)(void *)" : "",
                       size, b->read_beyond ? " + GRAM_PAD" : "");
}

static const char *place_input(emitter *e, const gram_buffer *b)
{
    const gram_input *input = e->spec->inputs[b->index];
    gram_axes axes = gram_input_axes(input);
    const char *given =
        gram_format(e->ctx, "%s%s", place_given(e, b, b->name, &axes), to_item(e, b, b->name, input->starts));
    if (!input->optional)
        return given;
    return gram_format(e->ctx, "%s\nif (!args->%s) { /* counts as zeros */\n    job->%s.data = %s;\n}", given, b->name,
                       b->name, zeros(e, b));
}

/* In the workspace; or in an output's array until that is written, where the caller gave one. */
static const char *place_work(emitter *e, int buffer)
{
    const gram_buffer *b = &e->plan->buffers[buffer];
    const gram_life *output = room_output(e->plan, life_of(e->plan, GRAM_LIFE_BUFFER, buffer)->room);
    const char *own = place_dense(e, b, place_of(e, GRAM_LIFE_BUFFER, buffer));
    if (!output)
        return own;
    const char *host = e->plan->buffers[output->index].name;
    return gram_format(e->ctx, "job->%s = job->%s; /* until that is written */\nif (!args->%s) {\n    %s\n}", b->name,
                       host, e->spec->outputs[e->plan->buffers[output->index].index].name, own);
}

static const char *place_buffer(emitter *e, int buffer)
{
    const gram_buffer *b = &e->plan->buffers[buffer];
    if (e->spec->scan && (b->storage == GRAM_AT_INPUT || b->storage == GRAM_AT_OUTPUT)) /* no caller's */
        return place_dense(e, b, gram_format(e->ctx, "gram_carve(workspace, &used, %s)", buffer_size(e, b)));
    switch (b->storage) {
    case GRAM_AT_INPUT:
        return place_input(e, b);
    case GRAM_AT_OUTPUT:
        return place_output(e, buffer);
    case GRAM_AT_VIEW:
        return place_view(e, b);
    default:
        return place_work(e, buffer);
    }
}

static const char *place_pack(emitter *e, int index)
{
    const gram_pack *pack = &e->plan->packs[index];
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    const char *each = pack_each(e, pack);
    const char *col =
        pack->kind != GRAM_PACK_PADDED ? dim(e, pack->inner) : gram_format(e->ctx, "GRAM_PADDED(%s)", dim(e, b->rows));
    const char *heads = gram_emit_items(e, b->heads, false, gram_dim_number(1));
    const char *batch = b->batched ? gram_format(e->ctx, "%s%s", heads, each) : "0";
    return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s, 1, %s};", gram_emit_pack_name(e, pack),
                       place_of(e, GRAM_LIFE_PACK, index), batch, each, col);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static bool is_used(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    bool counted = b->node == NULL && b->storage == GRAM_AT_INPUT && b->type == GRAM_INT;
    if (b->storage == GRAM_AT_INPUT && plan->spec->inputs[b->index]->kind == GRAM_STARTS)
        return false;
    for (int k = 0; k < plan->nsteps; k++)
        if (gram_writes(plan->steps[k], buffer))
            return true;
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer && is_used(plan, k))
            return true;
    bool given = plan->spec->scan && b->storage == GRAM_AT_INPUT;
    return gram_is_read(plan, buffer) || b->storage == GRAM_AT_OUTPUT || counted || given;
}

void gram_emit_tensors(emitter *e)
{
    const gram_plan *plan = e->plan;
    add_rooms(e);
    gram_template_begin(e->L, "tensors");
    for (int k = 0; k < plan->nbuffers; k++)
        if (is_used(plan, k))
            add_tensor(e, plan->buffers[k].name, type_of(&plan->buffers[k]), place_buffer(e, k));
    for (int k = 0; k < plan->npacks; k++)
        if (gram_emit_pack_when(e, k))
            add_tensor(e, gram_emit_pack_name(e, &plan->packs[k]), "gram_tensor", place_pack(e, k));
    for (int k = 0; k < plan->nsteps; k++) {
        if (!gram_has_states(plan, plan->steps[k]))
            continue;
        const char *name = gram_format(e->ctx, "%s_states", plan->steps[k]->name);
        add_tensor(e, name, "gram_tensor",
                   gram_format(e->ctx, "job->%s.data = %s;", name, place_of(e, GRAM_LIFE_STATES, k)));
    }
    gram_template_end(e->L);
}
