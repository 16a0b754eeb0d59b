/* Emit: the plan as C.
 *
 * The plan is put into a Lua table, the model, and the templates are rendered over it: a function for each pack and step,
 * then the frame around them. Lines that depend on the formula come from print.c. A file for any compiler carries the
 * parts of the runtime that it uses (library.c); the text for TinyCC declares them. */
#include <ctype.h>
#include <string.h>

#include "emit.h"
#include "grad.h"
#include "layout.h"
#include "library.h"
#include "passes.h"
#include "print.h"
#include "template.h"
#include "wrap.h"

extern const char gram_template_pack[], gram_template_block[], gram_template_map[], gram_template_stream[],
    gram_template_scatter[], gram_template_items[], gram_template_whole[], gram_template_codes[], gram_template_args[],
    gram_template_declare[], gram_template_kernel[], gram_template_header[], gram_template_file[], gram_template_jit[];

typedef struct emitter {
    gram_ctx *ctx;
    const gram_spec *spec;
    const gram_plan *plan;
    const gram_request *request;
    bool tcc;
    struct lua_State *L;
    gram_text bodies;
} emitter;

static const char *dim(emitter *e, gram_dim d)
{
    return gram_print_dim(e->ctx, e->spec, d);
}

static void set(emitter *e, const char *key, const char *value)
{
    gram_template_set(e->L, key, value);
}

static void render_body(emitter *e, const char *template, const char *name)
{
    gram_put(&e->bodies, "%s", gram_template_render(e->ctx, e->L, template, name));
}

/* "job->batch * 8 * " before a count of blocks: the heads and items that a step runs over. */
static const char *items(emitter *e, int heads, bool batched)
{
    const char *heads_text = heads > 1 ? gram_format(e->ctx, "%d * ", heads) : "";
    return gram_format(e->ctx, "%s%s", batched ? "job->batch * " : "", heads_text);
}

/* --- packs --------------------------------------------------------------------------------------------------------- */

static const char *pack_name(emitter *e, const gram_pack *pack)
{
    return gram_format(e->ctx, "%s_%s", e->plan->buffers[pack->buffer].name, pack->panels ? "panels" : "rows");
}

static void add_pack(emitter *e, const gram_pack *pack)
{
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    gram_step like = {.heads = b->heads, .batched = b->batched};
    set(e, "buffer", b->name);
    set(e, "pack", pack_name(e, pack));
    set(e, "items", items(e, b->heads, b->batched));
    set(e, "count", dim(e, pack->panels ? b->rows : b->cols));
    set(e, "inner", dim(e, pack->panels ? b->cols : b->rows));
    set(e, "from", gram_print_at(e->ctx, &like, b, ""));
    set(e, "to", gram_print_at(e->ctx, &like, b, pack->panels ? "_panels" : "_rows"));
    gram_template_set_number(e->L, "heads", b->heads > 1 ? b->heads : 1);
    gram_template_set_flag(e->L, "batched", b->batched);
    gram_template_set_flag(e->L, "panels", pack->panels);
    gram_template_set_flag(e->L, "contiguous", gram_buffer_contiguous(e->plan, pack->buffer));
    render_body(e, gram_template_pack, "pack.c.in");
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

/* Is the buffer, or a view of it, read by a step or packed? */
static bool is_read_in(const gram_program *program, int buffer)
{
    for (int k = 0; k < program->n; k++)
        if ((program->instr[k].kind == GRAM_I_LOAD || program->instr[k].kind == GRAM_I_GATHER) &&
            program->instr[k].buffer == buffer)
            return true;
    return false;
}

static bool is_read_by(const gram_step *step, int buffer)
{
    bool read = is_read_in(&step->program, buffer);
    for (int k = 0; k < step->nleaves; k++)
        read |= step->leaves[k].left == buffer || step->leaves[k].right == buffer;
    for (int k = 0; k < step->nsums; k++)
        read |= step->sums[k].left == buffer;
    for (int k = 0; k < step->nstores; k++)
        read |= is_read_in(&step->stores[k].program, buffer);
    return read;
}

static bool is_read(const gram_plan *plan, int buffer)
{
    for (int k = 0; k < plan->nsteps; k++)
        if (is_read_by(plan->steps[k], buffer))
            return true;
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer && is_read(plan, k))
            return true;
    return false;
}

/* An output that its caller may leave out, and which nothing else needs. */
static bool is_optional(const gram_plan *plan, int buffer)
{
    while (plan->buffers[buffer].storage == GRAM_AT_VIEW)
        buffer = plan->buffers[buffer].base;
    return plan->buffers[buffer].storage == GRAM_AT_OUTPUT && !is_read(plan, buffer);
}

static void set_lines(emitter *e, const gram_lines *lines)
{
    set(e, "item", lines->item.data);
    set(e, "block", lines->block.data);
    set(e, "tile", lines->tile.data);
    set(e, "mask", lines->mask.data);
    set(e, "root", lines->root);
    if (lines->kept)
        set(e, "kept", lines->kept);
    else
        gram_template_set_flag(e->L, "kept", 0);
}

static int add_stores(emitter *e, const gram_step *step)
{
    int tiles = 0;
    gram_template_begin(e->L, "stores");
    for (int k = 0; k < step->nstores; k++) {
        const gram_store_plan *store = &step->stores[k];
        const gram_buffer *b = &e->plan->buffers[store->buffer];
        gram_lines lines = gram_print_program(e->ctx, e->plan, step, &store->program, store->root, store->mask, e->tcc);
        gram_template_begin(e->L, NULL);
        set_lines(e, &lines);
        bool outer = !gram_dim_is(step->outer, 1);
        const char *to = gram_print_at(e->ctx, step, b, "");
        set(e, "out", b->name);
        set(e, "to", outer ? gram_format(e->ctx, "%s + column * job->%s.col", to, b->name) : to);
        set(e, "query_step", outer ? "row" : "col");
        set(e, "lane_step", outer ? "col" : "row");
        set(e, "lanes", dim(e, store->lanes));
        gram_template_set_flag(e->L, "guard", is_optional(e->plan, store->buffer));
        gram_template_set_flag(e->L, "direct", lines.sum >= 0 && store->mask < 0);
        gram_template_set_number(e->L, "sum", lines.sum);
        gram_template_end(e->L);
        tiles = lines.tiles > tiles ? lines.tiles : tiles;
    }
    gram_template_end(e->L);
    return tiles;
}

static const char *add_sums(emitter *e, const gram_step *step)
{
    gram_text width = {.ctx = e->ctx};
    gram_template_begin(e->L, "sums");
    for (int k = 0; k < step->nsums; k++) {
        const gram_sum *sum = &step->sums[k];
        const gram_buffer *b = &e->plan->buffers[sum->left];
        const char *rows = dim(e, sum->rows);
        gram_template_begin(e->L, NULL);
        set(e, "rows", rows);
        set(e, "left", sum->pack < 0 ? b->name : gram_format(e->ctx, "%s_rows", b->name));
        set(e, "from", gram_print_at(e->ctx, step, b, sum->pack < 0 ? "" : "_rows"));
        gram_template_end(e->L);
        gram_put(&width, "%sGRAM_PADDED(%s)", k ? " + " : "", rows);
    }
    gram_template_end(e->L);
    return width.data;
}

static void add_stats(emitter *e, const gram_step *step)
{
    gram_template_begin(e->L, "stats");
    for (int k = 0; k < step->nstats; k++) {
        gram_template_begin(e->L, NULL);
        gram_template_set_flag(e->L, "maximum", step->stats[k].op == GRAM_OP_MAXIMUM);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static void add_leaves(emitter *e, const gram_step *step)
{
    gram_template_begin(e->L, "leaves");
    for (int k = 0; k < step->nleaves; k++) {
        const gram_leaf *leaf = &step->leaves[k];
        const gram_buffer *right = &e->plan->buffers[leaf->right];
        gram_template_begin(e->L, NULL);
        gram_template_set_number(e->L, "index", k);
        set(e, "right", right->name);
        set(e, "from", gram_print_at(e->ctx, step, right, ""));
        set(e, "inner", dim(e, leaf->inner));
        set(e, "scale", gram_print_scale(e->ctx, e->plan, step, leaf, e->tcc));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

/* Where a thread's blocks, accumulators and tiles lie in its scratch; the room they take. */
static const char *add_places(emitter *e, const gram_step *step, const char *width, int tiles)
{
    gram_text places = {.ctx = e->ctx}, room = {.ctx = e->ctx};
    const char *at = "scratch", *tile = e->plan->wide ? "2 * GRAM_BLOCK * GRAM_TILE" : "GRAM_BLOCK * GRAM_TILE";
    gram_put(&room, "0");
    for (int k = 0; k < step->nleaves; k++) {
        const char *size = gram_format(e->ctx, "GRAM_BLOCK * %s", dim(e, step->leaves[k].inner));
        gram_put(&places, "gram_real *const block%d = %s;\n", k, at);
        gram_put(&room, " + %s", size);
        at = gram_format(e->ctx, "block%d + %s", k, size);
    }
    for (int k = 0; k < step->nsums; k++) {
        gram_put(&places, "gram_real *const sum%d = %s;\n", k, at);
        at = gram_format(e->ctx, "sum%d + GRAM_PADDED(%s)", k, dim(e, step->sums[k].rows));
    }
    if (step->nsums) {
        at = gram_format(e->ctx, "sum0 + GRAM_BLOCK * (%s)", width);
        gram_put(&room, " + GRAM_BLOCK * (%s)", width);
    }
    for (int k = 0; k < tiles; k++) {
        gram_put(&places, "gram_real *const t%d = %s;\n", k, at);
        at = gram_format(e->ctx, "t%d + %s", k, tile);
        gram_put(&room, " + %s", tile);
    }
    set(e, "places", places.data);
    return room.data;
}

/* The parameters that a predicate over ranges needs beside its tile. */
static void set_range(emitter *e, const gram_step *step)
{
    static const struct {
        const char *name, *type;
    } all[] = {{"job", "const %s_job *job, "}, {"batch", "int64_t batch, "}, {"head", "int64_t head, "}, {"column", "int64_t column, "}};
    gram_text parameters = {.ctx = e->ctx}, arguments = {.ctx = e->ctx};
    if (!step->keep) {
        gram_template_set_flag(e->L, "range", 0);
        return;
    }
    const char *range = gram_print_range(e->ctx, e->spec, step, step->keep);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (strstr(range, all[k].name)) {
            gram_put(&parameters, all[k].type, e->spec->name);
            gram_put(&arguments, "%s, ", all[k].name);
        }
    bool decided = strcmp(range, "gram_range_of(0, 1)") != 0;
    set(e, "range_parameters", parameters.data);
    set(e, "range_arguments", arguments.data);
    if (decided)
        set(e, "range", range);
    else
        gram_template_set_flag(e->L, "range", 0);
}

static const char *what(emitter *e, const gram_step *step)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < step->nstores; k++) {
        const gram_buffer *b = &e->plan->buffers[step->stores[k].buffer];
        const gram_node *node =
            step->nstores == 1 && step->what && !step->nsums && !step->nstats ? step->what : b->node;
        gram_put(&text, "%s%s = %s", k ? "; " : "", b->name, node ? gram_node_text(e->ctx, node) : "...");
    }
    return text.data;
}

static const char *why(emitter *e, const gram_step *step)
{
    const char *shape = gram_shape_text(e->ctx, step->what);
    if (step->softmax)
        return gram_format(
            e->ctx, " * The scores (%s) are made a tile at a time, with a running maximum and sum, and not kept.",
            shape);
    return gram_format(e->ctx, " * The coefficients (%s) are made a tile at a time and not kept.", shape);
}

/* A step over tiles, rendered by its template; the room of scratch it needs. */
static const char *add_tiles(emitter *e, const gram_step *step)
{
    bool stream = !strcmp(step->template, "stream");
    gram_lines lines = gram_print_program(e->ctx, e->plan, step, &step->program, step->root, step->mask, e->tcc);
    int tiles = stream ? add_stores(e, step) : 0;
    const gram_buffer *out = &e->plan->buffers[step->stores[0].buffer];
    const char *width = add_sums(e, step);
    add_stats(e, step);
    add_leaves(e, step);
    set_lines(e, &lines);
    set_range(e, step);
    set(e, "why", stream ? why(e, step) : "");
    set(e, "width", stream ? width : "");
    set(e, "queries", dim(e, step->queries));
    set(e, "lanes", dim(e, step->lanes));
    gram_template_set_flag(e->L, "outer", !gram_dim_is(step->outer, 1));
    set(e, "columns", dim(e, step->outer));
    set(e, "out", out->name);
    set(e, "to", gram_print_at(e->ctx, step, out, ""));
    set(e, "rows", dim(e, out->rows));
    set(e, "cols", dim(e, out->cols));
    gram_template_set_flag(e->L, "softmax", step->softmax);
    bool maximum = step->nstats && step->stats[0].op == GRAM_OP_MAXIMUM;
    set(e, "dropped", step->softmax || maximum ? "-INFINITY" : "0");
    const char *room = add_places(e, step, width, tiles > lines.tiles ? tiles : lines.tiles);
    gram_template_set_flag(e->L, "scratch", strcmp(room, "0") != 0);
    set(e, "head_of_block", gram_template_render(e->ctx, e->L, gram_template_block, "block.c.in"));
    return room;
}

/* A step that sums an array over the batch's items. */
static const char *add_items(emitter *e, const gram_step *step)
{
    const gram_buffer *in = &e->plan->buffers[step->sums[0].left], *out = &e->plan->buffers[step->stores[0].buffer];
    gram_step like = *step;
    like.batched = true;
    set(e, "in_", in->name);
    set(e, "out", out->name);
    set(e, "rows", dim(e, in->rows));
    set(e, "cols", dim(e, in->cols));
    set(e, "to", gram_print_at(e->ctx, step, out, ""));
    set(e, "from", gram_print_at(e->ctx, &like, in, ""));
    return "0";
}

/* A step over whole matrices: one call of the runtime for each head and item. */
static const char *add_whole(emitter *e, const gram_step *step)
{
    static const struct {
        gram_op op;
        const char *call, *room; /* r, c: the sizes of the operand */
    } calls[] = {
        {GRAM_OP_INVERSE,
         "gram_whole_inverse(to, job->%s.row, job->%s.col, from, job->%s.row, job->%s.col, %s, scratch)",
         "2 * %s * %s"},
        {GRAM_OP_EXPM, "gram_whole_expm(to, job->%s.row, job->%s.col, from, job->%s.row, job->%s.col, %s, scratch)",
         "3 * %s * %s"},
        {GRAM_OP_CUMSUM,
         "gram_whole_cumsum(to, job->%s.row, job->%s.col, from, job->%s.row, job->%s.col, %s, %s, scratch)", "%s"},
        {GRAM_OP_THRESHOLD, NULL, NULL},
    };
    const gram_buffer *in = &e->plan->buffers[step->sums[0].left], *out = &e->plan->buffers[step->stores[0].buffer];
    const char *rows = dim(e, in->rows), *cols = dim(e, in->cols), *room = "", *call = NULL;
    const gram_node *node = step->what;
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
        if (calls[k].op == node->op && calls[k].call) {
            call = gram_format(e->ctx, calls[k].call, out->name, out->name, in->name, in->name, rows, cols);
            room = gram_format(e->ctx, calls[k].room, rows, cols);
            room = gram_format(e->ctx, "GRAM_PADDED((int64_t)(sizeof(double) / sizeof(gram_real)) * %s)", room);
        }
    gram_template_set_flag(e->L, "threshold", 0);
    if (node->op == GRAM_OP_THRESHOLD) {
        call = gram_format(e->ctx,
                           "gram_whole_threshold(to, job->%s.col, from, job->%s.row, job->%s.col, %s, %s, %s_%s_f)",
                           out->name, in->name, in->name, rows, cols, e->spec->name, step->name);
        set(e, "threshold", node->fn);
        set(e, "threshold_of_v", gram_format(e->ctx, "gram_v_%s(v)", node->fn));
    }
    set(e, "call", call);
    set(e, "room", room);
    set(e, "to", gram_print_at(e->ctx, step, out, ""));
    set(e, "from", gram_print_at(e->ctx, step, in, ""));
    gram_template_set_flag(e->L, "tcc", e->tcc);
    return *room ? room : "0";
}

/* The loop structures: a step names its template; `add` puts what the template needs into the model and returns the
 * scratch that a thread of it needs. */
static const struct {
    const char *name, *text, *file;
    const char *(*add)(emitter *e, const gram_step *step);
} structures[] = {
    {"map", gram_template_map, "map.c.in", add_tiles},
    {"stream", gram_template_stream, "stream.c.in", add_tiles},
    {"scatter", gram_template_scatter, "scatter.c.in", add_tiles},
    {"whole", gram_template_whole, "whole.c.in", add_whole},
    {"items", gram_template_items, "items.c.in", add_items},
};

static const char *add_step(emitter *e, const gram_step *step)
{
    set(e, "step", gram_format(e->ctx, "%s_%s", e->spec->name, step->name));
    set(e, "what", what(e, step));
    set(e, "items", items(e, step->heads, step->batched));
    gram_template_set_number(e->L, "heads", step->heads > 1 ? step->heads : 1);
    gram_template_set_flag(e->L, "batched", step->batched);
    gram_template_set_flag(e->L, "guard", step->nstores == 1 && is_optional(e->plan, step->stores[0].buffer));
    set(e, "out", e->plan->buffers[step->stores[0].buffer].name);
    for (size_t k = 0; k < sizeof structures / sizeof *structures; k++)
        if (!strcmp(structures[k].name, step->template)) {
            const char *room = structures[k].add(e, step);
            render_body(e, structures[k].text, structures[k].file);
            return room;
        }
    gram_fail(e->ctx, (gram_loc){0}, "no loop structure %s", step->template);
}

/* --- the frame ----------------------------------------------------------------------------------------------------- */

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
            const char *size = dim(e, axes->axis[k].size), *before = product.data;
            product = (gram_text){.ctx = e->ctx};
            gram_put(&product, one ? "%s%s" : "%s * %s", one ? "" : before, size);
        }
    }
    return gram_format(e->ctx, "{NULL, %s, %s, %s, %s}", b->batched ? of[0] : "0", of[1], of[2], of[3]);
}

static const char *place_given(emitter *e, const gram_buffer *b, const char *name, const gram_axes *axes)
{
    const char *type = b->type == GRAM_INT ? "gram_ids" : "gram_tensor",
               *f = b->type == GRAM_INT ? "gram_ids_strided" : "gram_strided";
    const char *strides = dense(e, axes, b);
    if (gram_axes_strided(axes))
        return gram_format(e->ctx, "job->%s = %s(args->%s, args->%s_stride, (%s)%s);", b->name, f, name, name, type,
                           strides);
    const char *cast = b->type == GRAM_INT ? "" : "(gram_real *)";
    return gram_format(e->ctx, "job->%s = (%s)%s;\njob->%s.data = %sargs->%s;", b->name, type, strides, b->name, cast,
                       name);
}

static const char *work_size(emitter *e, const gram_buffer *b)
{
    return gram_format(e->ctx, "%s%s%s * %s", b->batched ? "job->batch * " : "",
                       b->heads > 1 ? gram_format(e->ctx, "%d * ", b->heads) : "", dim(e, b->rows), dim(e, b->cols));
}

static const char *place_work(emitter *e, const gram_buffer *b)
{
    const char *rows = dim(e, b->rows), *cols = dim(e, b->cols),
               *heads = gram_format(e->ctx, "%d", b->heads ? b->heads : 1);
    const char *place = gram_format(e->ctx, "gram_carve(workspace, &used, %s)", work_size(e, b));
    const char *batch = b->batched ? gram_format(e->ctx, "%s * %s * %s", heads, rows, cols) : "0";
    if (b->flat)
        return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s, 1, %s * %s};", b->name, place, batch, rows,
                           heads, rows);
    return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s * %s, 1, %s};", b->name, place, batch, rows, cols,
                       rows);
}

static const char *place_view(emitter *e, const gram_buffer *b)
{
    const char *base = e->plan->buffers[b->base].name, *from = dim(e, b->from);
    const char *ids = b->type == GRAM_INT ? "_ids" : "";
    switch (b->view) {
    case GRAM_VIEW_TRANSPOSE:
        return gram_format(e->ctx, "job->%s = gram%s_turned(job->%s);", b->name, ids, base);
    case GRAM_VIEW_ROWS:
        return gram_format(e->ctx, "job->%s = gram_part(job->%s, 0, %s, 0);", b->name, base, from);
    case GRAM_VIEW_COLS:
        return gram_format(e->ctx, "job->%s = gram_part(job->%s, 0, 0, %s);", b->name, base, from);
    case GRAM_VIEW_HEAD:
        return gram_format(e->ctx, "job->%s = gram_part(job->%s, %d, 0, 0);", b->name, base, b->index);
    default:
        return gram_format(e->ctx, "job->%s = gram_split(job->%s, %s);", b->name, base, dim(e, b->rows));
    }
}

static const char *place_output(emitter *e, int buffer)
{
    const gram_buffer *b = &e->plan->buffers[buffer];
    gram_axes axes = gram_output_axes(&e->spec->outputs[b->index]);
    const char *given = place_given(e, b, e->spec->outputs[b->index].name, &axes);
    if (!is_read(e->plan, buffer))
        return given;
    return gram_format(e->ctx, "%s\nif (!args->%s) { /* others need it */\n    %s\n}", given,
                       e->spec->outputs[b->index].name, place_work(e, b));
}

static void add_tensor(emitter *e, const char *name, const char *type, const char *place)
{
    gram_template_begin(e->L, NULL);
    set(e, "name", name);
    set(e, "type", type);
    set(e, "place", place);
    gram_template_end(e->L);
}

static void add_pack_tensor(emitter *e, const gram_pack *pack)
{
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    const char *inner = dim(e, pack->panels ? b->cols : b->rows), *count = dim(e, pack->panels ? b->rows : b->cols);
    const char *head = pack->panels ? gram_format(e->ctx, "gram_parts(%s, GRAM_TILE) * GRAM_TILE * %s", count, inner)
                                    : gram_format(e->ctx, "%s * GRAM_PADDED(%s)", count, inner);
    const char *heads = gram_format(e->ctx, "%d", b->heads ? b->heads : 1), *name = pack_name(e, pack);
    const char *col = pack->panels ? inner : gram_format(e->ctx, "GRAM_PADDED(%s)", inner);
    add_tensor(e, name, "gram_tensor",
               gram_format(e->ctx,
                           "job->%s = (gram_tensor){gram_carve(workspace, &used, %s%s * %s), %s%s%s, %s, 1, %s};", name,
                           b->batched ? "job->batch * " : "", heads, head, b->batched ? heads : "0",
                           b->batched ? " * " : "", b->batched ? head : "", head, col));
}

static bool is_used(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    for (int k = 0; k < plan->nsteps; k++)
        for (int s = 0; s < plan->steps[k]->nstores; s++)
            if (plan->steps[k]->stores[s].buffer == buffer)
                return true;
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer && is_used(plan, k))
            return true;
    return is_read(plan, buffer) || b->storage == GRAM_AT_OUTPUT;
}

static void add_tensors(emitter *e)
{
    gram_template_begin(e->L, "tensors");
    for (int k = 0; k < e->plan->nbuffers; k++) {
        const gram_buffer *b = &e->plan->buffers[k];
        const char *place;
        bool counted = b->node == NULL && b->storage == GRAM_AT_INPUT && b->type == GRAM_INT;
        if (!is_used(e->plan, k) && !counted)
            continue;
        if (b->storage == GRAM_AT_INPUT) {
            gram_axes axes = gram_input_axes(e->spec->inputs[b->index]);
            place = place_given(e, b, b->name, &axes);
            if (e->spec->inputs[b->index]->optional)
                place = gram_format(e->ctx,
                                    "%s\nif (!args->%s) { /* counts as zeros */\n    job->%s.data = "
                                    "gram_carve_zeros(workspace, &used, %s);\n}",
                                    place, b->name, b->name, work_size(e, b));
        } else if (b->storage == GRAM_AT_OUTPUT) {
            place = place_output(e, k);
        } else {
            place = b->storage == GRAM_AT_VIEW ? place_view(e, b) : place_work(e, b);
        }
        add_tensor(e, b->name, b->type == GRAM_INT ? "gram_ids" : "gram_tensor", place);
    }
    for (int k = 0; k < e->plan->npacks; k++)
        add_pack_tensor(e, &e->plan->packs[k]);
    gram_template_end(e->L);
}

static void add_names(emitter *e)
{
    gram_template_begin(e->L, "sizes");
    for (int k = 0; k < e->spec->nsizes; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "name", e->spec->sizes[k]);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    gram_template_begin(e->L, "inputs");
    for (int k = 0; k < e->spec->ninputs; k++) {
        if (e->spec->inputs[k]->optional)
            continue;
        gram_template_begin(e->L, NULL);
        set(e, "name", e->spec->inputs[k]->name);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *argument_dim(emitter *e, gram_dim d)
{
    gram_text text = {.ctx = e->ctx};
    gram_put(&text, "%lld", (long long)d.number);
    for (int s = 0; s < e->spec->nsizes; s++)
        for (int k = 0; k < d.times[s]; k++)
            gram_put(&text, " + args->%s", e->spec->sizes[s]);
    return text.data;
}

static void add_checks(emitter *e)
{
    gram_template_begin(e->L, "checks");
    for (int k = 0; k < e->spec->nchecks; k++) {
        const gram_check *check = &e->spec->checks[k];
        gram_template_begin(e->L, NULL);
        set(e, "condition", gram_format(e->ctx, "%s != %s", argument_dim(e, check->a), argument_dim(e, check->b)));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static void add_slots(emitter *e)
{
    gram_layout layout = gram_layout_make(e->ctx, e->spec, e->plan->real_bits);
    gram_template_begin(e->L, "slots");
    for (int k = 0; k < layout.nslots; k++) {
        const gram_slot *slot = &layout.slots[k];
        bool strides = slot->kind == GRAM_SLOT_INPUT_STRIDES || slot->kind == GRAM_SLOT_OUTPUT_STRIDES;
        const char *gap = slot->type[strlen(slot->type) - 1] == '*' ? "" : " ", *comment = "";
        if (slot->kind == GRAM_SLOT_INPUT) {
            gram_axes axes = gram_input_axes(e->spec->inputs[slot->index]);
            comment = gram_format(e->ctx, " /* %s */", gram_axes_text(e->ctx, &axes));
        } else if (slot->kind == GRAM_SLOT_OUTPUT) {
            gram_axes axes = gram_output_axes(&e->spec->outputs[slot->index]);
            comment = gram_format(e->ctx, " /* %s, or NULL */", gram_axes_text(e->ctx, &axes));
        } else if (strides) {
            comment = " /* batch, head, token, in elements; all 0: dense */";
        }
        gram_template_begin(e->L, NULL);
        set(e, "text", gram_format(e->ctx, "%s%s%s%s;%s", slot->type, gap, slot->name, strides ? "[3]" : "", comment));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *upper(gram_ctx *ctx, const char *name)
{
    char *text = gram_strdup(ctx, name);
    for (char *c = text; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return text;
}

static void add_phases(emitter *e)
{
    gram_template_begin(e->L, "phases");
    for (int k = 0; k < e->plan->norder; k++) {
        const gram_phase *phase = &e->plan->order[k];
        gram_template_begin(e->L, NULL);
        if (phase->pack >= 0)
            set(e, "name",
                gram_format(e->ctx, "%s_pack_%s", e->spec->name, pack_name(e, &e->plan->packs[phase->pack])));
        else
            set(e, "name", gram_format(e->ctx, "%s_%s", e->spec->name, e->plan->steps[phase->step]->name));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *kernel_body(emitter *e)
{
    const char **rooms = gram_alloc(e->ctx, (size_t)(e->plan->nsteps + 1) * sizeof *rooms);
    bool scratch = false;
    for (int k = 0; k < e->plan->npacks; k++)
        add_pack(e, &e->plan->packs[k]);
    for (int k = 0; k < e->plan->nsteps; k++) {
        rooms[k] = add_step(e, e->plan->steps[k]);
        scratch |= strcmp(rooms[k], "0") != 0;
    }
    gram_template_begin(e->L, "steps");
    for (int k = 0; k < e->plan->nsteps; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "scratch", rooms[k]);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    add_checks(e);
    gram_template_set_flag(e->L, "scratch", scratch);
    add_tensors(e);
    add_phases(e);
    set(e, "bodies", e->bodies.data);
    return gram_template_render(e->ctx, e->L, gram_template_kernel, "kernel.c.in");
}

/* --- the whole text ------------------------------------------------------------------------------------------------ */

/* One kernel of the text: the spec's, or that of its gradient. */
typedef struct kernel {
    const gram_spec *spec;
    const gram_plan *plan;
} kernel;

static bool is_gradient(const gram_spec *spec)
{
    return spec->noutputs && spec->outputs[0].like;
}

/* "attention_args"; of the gradient attention_backward, "attention_grad_args". */
static const char *args_name(emitter *e)
{
    const char *end = strstr(e->spec->name, "_backward");
    int size = (int)(end && is_gradient(e->spec) ? end - e->spec->name : (ptrdiff_t)strlen(e->spec->name));
    return gram_format(e->ctx, "%.*s%s", size, e->spec->name, is_gradient(e->spec) ? "_grad_args" : "_args");
}

/* Turns the emitter and the model to this kernel. */
static void start_kernel(emitter *e, const kernel *k)
{
    e->spec = k->spec;
    e->plan = k->plan;
    e->bodies = (gram_text){.ctx = e->ctx};
    set(e, "name", e->spec->name);
    set(e, "args", args_name(e));
    gram_template_set_flag(e->L, "gradient", is_gradient(e->spec));
    add_names(e);
    add_slots(e);
    set(e, "struct", gram_template_render(e->ctx, e->L, gram_template_args, "args.h.in"));
}

static const char *all_declarations(emitter *e, const kernel *kernels, int n)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < n; k++) {
        start_kernel(e, &kernels[k]);
        gram_put(&text, "%s", gram_template_render(e->ctx, e->L, gram_template_declare, "declare.h.in"));
    }
    return text.data;
}

static const char *all_bodies(emitter *e, const kernel *kernels, int n)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < n; k++) {
        start_kernel(e, &kernels[k]);
        gram_put(&text, "%s%s", k ? "\n" : "", kernel_body(e));
    }
    return text.data;
}

static const char *header(emitter *e, const kernel *kernels, int n)
{
    set(e, "codes", gram_template_render(e->ctx, e->L, gram_template_codes, "codes.h.in"));
    set(e, "kernels", all_declarations(e, kernels, n));
    start_kernel(e, &kernels[0]);
    return gram_template_render(e->ctx, e->L, gram_template_header, "header.h.in");
}

/* For TinyCC: types and declarations in place of headers, and one kernel. */
static const char *jit_text(emitter *e, const kernel *k)
{
    const char *prelude = gram_template_render(e->ctx, e->L, gram_template_jit, "jit.c.in");
    const char *codes = gram_template_render(e->ctx, e->L, gram_template_codes, "codes.h.in");
    start_kernel(e, k);
    const char *args = gram_template_render(e->ctx, e->L, gram_template_args, "args.h.in"), *body = kernel_body(e);
    return gram_format(e->ctx, "%s%s%s%s%s", prelude,
                       gram_library_for(e->ctx, body, true, k->plan->real_bits, k->plan->wide), codes, args, body);
}

static const char *file_text(emitter *e, const kernel *kernels, int n)
{
    set(e, "header", header(e, kernels, n));
    const char *top = gram_template_render(e->ctx, e->L, gram_template_file, "file.c.in"),
               *body = all_bodies(e, kernels, n);
    return gram_format(e->ctx, "%s%s%s", top,
                       gram_library_for(e->ctx, body, false, kernels[0].plan->real_bits, kernels[0].plan->wide), body);
}

static const char *whole(emitter *e, gram_target target, const kernel *kernels, int n)
{
    set(e, "name", kernels[0].spec->name);
    set(e, "upper", upper(e->ctx, kernels[0].spec->name));
    set(e, "about", gram_emit_about(e->ctx, kernels[0].spec, kernels[0].plan, e->request));
    gram_template_set_number(e->L, "bits", kernels[0].plan->real_bits);
    gram_template_set_flag(e->L, "wide", kernels[0].plan->wide);
    gram_template_set_flag(e->L, "include", target == GRAM_TARGET_C);
    if (target == GRAM_TARGET_TCC)
        return jit_text(e, kernels);
    return gram_wrap(e->ctx, target == GRAM_TARGET_HEADER ? header(e, kernels, n) : file_text(e, kernels, n));
}

/* The kernels that a file holds: where the spec asks for its gradient, that one too. */
static int list_kernels(gram_ctx *ctx, const gram_spec *traced, gram_plan *plan, gram_target target, kernel *kernels)
{
    bool file = target == GRAM_TARGET_C || target == GRAM_TARGET_HEADER;
    kernels[0] = (kernel){traced, plan};
    if (!file || !traced->ngrad)
        return 1;
    const gram_spec *gradient = gram_gradient(ctx, traced, traced->ngrad, traced->grad);
    gram_plan *backward = gram_plan_make(ctx, gram_simplify(ctx, gradient), plan->real_bits);
    plan->wide = backward->wide = plan->wide || backward->wide;
    kernels[1] = (kernel){gradient, backward};
    return 2;
}

const char *gram_emit(gram_ctx *ctx, const gram_spec *traced, gram_plan *plan, gram_target target,
                      const gram_request *request)
{
    emitter e = {.ctx = ctx, .request = request, .tcc = target == GRAM_TARGET_TCC};
    kernel kernels[2];
    int n = list_kernels(ctx, traced, plan, target, kernels);
    e.L = gram_template_open(ctx);
    const char *text = whole(&e, target, kernels, n);
    gram_template_close(e.L);
    return text;
}
