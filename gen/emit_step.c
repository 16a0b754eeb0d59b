/* Emit's steps: puts what a step's template needs into the model, and renders it. */
#include <string.h>

#include "circulant.h"
#include "emit.h"

extern const gram_script gram_template_block, gram_template_queries, gram_template_map, gram_template_stream,
    gram_template_linear, gram_template_scatter, gram_template_items, gram_template_whole, gram_template_fft,
    gram_template_scan;

static void render_body(emitter *e, const gram_script *template)
{
    gram_put_string(&e->bodies, render(e, template));
}

const char *gram_emit_times(emitter *e, int n, const char *size)
{
    return n == 1 ? size : gram_format(e->ctx, "%d * %s", n, size);
}

const char *gram_emit_items(emitter *e, int heads, bool batched, gram_dim each)
{
    const char *heads_text = heads > 1 ? gram_format(e->ctx, "%d * ", heads) : "";
    const char *each_text = gram_dim_is(each, 1) ? "" : gram_format(e->ctx, "%s * ", dim(e, each));
    return gram_format(e->ctx, "%s%s%s", batched ? "job->batch * " : "", each_text, heads_text);
}

const char *gram_emit_all_items(emitter *e, const gram_step *step)
{
    const char *items = gram_emit_items(e, step->heads, step->batched, step->each);
    return *items ? gram_format(e->ctx, "%.*s", (int)(strlen(items) - strlen(" * ")), items) : "1";
}

void gram_emit_lines(emitter *e, const gram_lines *lines)
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

const char *gram_emit_width(emitter *e, const gram_sum *sums, int n)
{
    gram_text width = {.ctx = e->ctx};
    for (int k = 0; k < n; k++)
        gram_put(&width, "%sGRAM_PADDED(%s)", k ? " + " : "", dim(e, sums[k].rows));
    return width.data ? width.data : "";
}

const char *gram_emit_side_parts(emitter *e, const gram_step *step)
{
    return gram_format(e->ctx, "gram_side_parts(%s, %s)", gram_emit_all_items(e, step), dim(e, step->queries));
}

/* Of a tile that is kept in part, less is made for nothing. */
const char *gram_emit_block_rows(const gram_step *step)
{
    return strcmp(step->template, "map") && step->keep ? "GRAM_BLOCK / 2" : "GRAM_BLOCK";
}

const char *gram_emit_block_state(emitter *e, const gram_step *step)
{
    bool sums = step->nsums && !gram_sums_in_place(e->plan, step);
    const char *width = sums ? gram_emit_width(e, step->sums, step->nsums) : "",
               *and = sums && step->nstats ? " + " : "";
    if (!sums && !step->nstats)
        return "";
    return gram_format(e->ctx, step->nstats ? "%s * (%s%s%d)" : "%s * (%s%s)", gram_emit_block_rows(step), width, and,
                       step->nstats);
}

/* Where the blocks' states start among those of the step: behind the sides' sums. */
static const char *states_of_blocks(emitter *e, const gram_step *step)
{
    const char *all = gram_format(e->ctx, "job->%s_states.data", step->name);
    return gram_sides_in_place(e->plan, step)
               ? all
               : gram_format(e->ctx, "%s + %s%s * side_width", all,
                             gram_emit_items(e, step->heads, step->batched, step->each), dim(e, step->lanes));
}

/* The left factor of a sum, where it lies and as it is packed. */
static void set_left(emitter *e, const gram_step *step, const gram_sum *sum)
{
    const gram_buffer *b = &e->plan->buffers[sum->left];
    set(e, "left", sum->pack < 0 ? b->name : gram_format(e->ctx, "%s_padded", b->name));
    set(e, "from", gram_print_at(e->ctx, e->plan, step, b, sum->pack < 0 ? "" : "_padded"));
    set(e, "unpacked", b->name);
    set(e, "source", gram_print_at(e->ctx, e->plan, step, b, ""));
    set(e, "half", gram_half(e->plan, sum->left));
    gram_template_set_flag(e->L, "packed", sum->pack >= 0);
}

/* Where a sum is added up in place. */
static void set_sum_place(emitter *e, const gram_step *step, int sum)
{
    for (int k = 0; k < step->nstores; k++) {
        const gram_store_plan *store = &step->stores[k];
        const gram_buffer *out = &e->plan->buffers[store->buffer];
        if (!gram_is_stored_in_place(e->plan, step, store) || store->program.instr[store->root].index != sum)
            continue;
        bool guard = gram_is_optional(e->plan, store->buffer);
        const char *at =
            gram_format(e->ctx, "%s + query * job->%s.col", gram_print_at(e->ctx, e->plan, step, out, ""), out->name);
        set(e, "place", guard ? gram_format(e->ctx, "job->%s.data ? %s : NULL", out->name, at) : at);
        set(e, "stride", gram_format(e->ctx, "job->%s.col", out->name));
        gram_template_set_flag(e->L, "guard", guard);
    }
}

static void add_sums(emitter *e, const gram_step *step, const gram_lines *lines)
{
    gram_template_begin(e->L, "sums");
    for (int k = 0; k < step->nsums; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "rows", dim(e, step->sums[k].rows));
        set(e, "root", lines->sums[k]);
        set(e, "stride", "width");
        set_left(e, step, &step->sums[k]);
        set_sum_place(e, step, k);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static void add_sides(emitter *e, const gram_step *step, const gram_lines *lines)
{
    bool in_place = gram_sides_in_place(e->plan, step);
    gram_template_set_flag(e->L, "sides_in_place", in_place);
    gram_template_begin(e->L, "sides");
    for (int k = 0; k < step->nsides; k++) {
        const gram_sum *side = &step->sides[k];
        const gram_buffer *out = &e->plan->buffers[side->buffer];
        gram_template_begin(e->L, NULL);
        set(e, "rows", dim(e, side->rows));
        set(e, "root", lines->sides[k]);
        set(e, "out", out->name);
        set(e, "stride", in_place ? gram_format(e->ctx, "job->%s.col", out->name) : "side_width");
        set(e, "to", gram_print_at(e->ctx, e->plan, step, out, ""));
        gram_template_set_flag(e->L, "product", side->left >= 0);
        set(e, "store", gram_format(e->ctx, "gram_store%s", gram_half(e->plan, side->buffer)));
        gram_template_set_flag(e->L, "guard", gram_is_optional(e->plan, side->buffer));
        if (side->left >= 0)
            set_left(e, step, side);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    set(e, "side_width", gram_emit_width(e, step->sides, step->nsides));
}

static void add_stats(emitter *e, const gram_step *step, const gram_lines *lines)
{
    gram_template_begin(e->L, "stats");
    for (int k = 0; k < step->nstats; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "root", lines->stats[k]);
        set(e, "op", gram_ops[step->stats[k].op].name);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static void add_leaves(emitter *e, const gram_step *step)
{
    gram_template_begin(e->L, "leaves");
    for (int k = 0; k < step->nleaves; k++) {
        const gram_leaf *leaf = &step->leaves[k];
        const gram_buffer *left = &e->plan->buffers[leaf->left], *right = &e->plan->buffers[leaf->right];
        gram_template_begin(e->L, NULL);
        gram_template_set_number(e->L, "index", k);
        set(e, "left", left->name);
        gram_template_set_flag(e->L, "same", leaf->same && !gram_is_linear(step));
        gram_template_set_flag(e->L, "product", leaf->op == GRAM_OP_MATMUL && step->few != GRAM_FEW_NEVER);
        set(e, "half", gram_half(e->plan, leaf->left));
        set(e, "right_half", gram_half(e->plan, leaf->right));
        set(e, "source", gram_print_at(e->ctx, e->plan, step, left, ""));
        set(e, "panels", gram_print_at(e->ctx, e->plan, step, left, leaf->bits ? "_planes" : "_panels"));
        gram_template_set_flag(e->L, "packed", leaf->pack >= 0);
        gram_template_set_flag(e->L, "bits", leaf->bits);
        set(e, "terms", dim(e, leaf->terms));
        set(e, "right", right->name);
        set(e, "from", gram_print_at(e->ctx, e->plan, step, right, ""));
        set(e, "inner", dim(e, leaf->inner));
        set(e, "scale", gram_print_scale(e->ctx, e->plan, step, leaf, e->tcc));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

void gram_emit_take(emitter *e, gram_places *p, const char *name, const char *size)
{
    gram_put(&p->text, "gram_real *const %s = %s;\n", name, p->at);
    gram_put(&p->room, "%s%s", p->room.data ? " + " : "", size);
    p->at = gram_format(e->ctx, "%s + %s", name, size);
}

void gram_emit_take_keys(emitter *e, gram_places *p, const gram_step *step)
{
    for (int k = 0; k < step->nleaves; k++)
        gram_emit_take(e, p, gram_format(e->ctx, "panel%d", k),
                       gram_format(e->ctx, "GRAM_TILE * %s", dim(e, step->leaves[k].inner)));
    for (int k = 0; k < step->nsums; k++)
        if (step->sums[k].pack >= 0)
            gram_emit_take(e, p, gram_format(e->ctx, "rows%d", k),
                           gram_format(e->ctx, "GRAM_TILE * GRAM_PADDED(%s)", dim(e, step->sums[k].rows)));
}

static void take_tiles(emitter *e, gram_places *p, int tiles, const bool *without, int last)
{
    const char *at = p->at, *size = e->plan->wide ? "2 * GRAM_BLOCK * GRAM_TILE" : "GRAM_BLOCK * GRAM_TILE";
    int taken = 0;
    if (last) {
        gram_put(&p->text, "gram_real *const tiles = %s;\n", at);
        at = "tiles";
    }
    for (int k = 0; k < tiles; k++) {
        if (without && without[k])
            continue;
        gram_put(&p->text, "gram_real *const t%d = %s;\n", k, at);
        at = gram_format(e->ctx, "t%d + %s", k, size);
        taken++;
    }
    if (taken || last)
        gram_put(&p->room, "%s%s", p->room.data ? " + " : "", gram_emit_times(e, taken > last ? taken : last, size));
}

void gram_emit_take_tiles(emitter *e, gram_places *p, int tiles, int last)
{
    take_tiles(e, p, tiles, NULL, last);
}

void gram_emit_take_shared_tiles(emitter *e, gram_places *p, const gram_lines *lines, int last)
{
    take_tiles(e, p, lines->tiles, lines->of_group, last);
}

/* Where a thread's blocks, accumulators and tiles lie in its scratch; the room they take. */
static const char *add_places(emitter *e, const gram_step *step, const char *width, int tiles, int last)
{
    gram_places p = {{.ctx = e->ctx}, {.ctx = e->ctx}, "scratch"};
    for (int k = 0; k < step->nleaves; k++)
        gram_emit_take(e, &p, gram_format(e->ctx, "block%d", k),
                       gram_format(e->ctx, "GRAM_BLOCK * %s", dim(e, step->leaves[k].inner)));
    const char *state = step->nsides ? gram_emit_block_state(e, step) : "";
    if (*state)
        gram_emit_take(e, &p, "own", state);
    else if (step->nsums && !step->nsides)
        gram_emit_take(e, &p, "sum0", gram_format(e->ctx, "GRAM_BLOCK * (%s)", width));
    for (int k = 1; k < step->nsums && !step->nsides; k++)
        gram_put(&p.text, "gram_real *const sum%d = sum%d + GRAM_PADDED(%s);\n", k, k - 1,
                 dim(e, step->sums[k - 1].rows));
    gram_emit_take_tiles(e, &p, tiles, last);
    set(e, "places", p.text.data ? p.text.data : "");
    return p.room.data ? p.room.data : "0";
}

static const char *what(emitter *e, const gram_step *step)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < step->nstores + step->nsides; k++) {
        bool side = k >= step->nstores;
        const gram_buffer *b = &e->plan->buffers[side ? step->sides[k - step->nstores].buffer : step->stores[k].buffer];
        const gram_node *node =
            step->nstores == 1 && step->what && !step->nsums && !step->nstats ? step->what : b->node;
        gram_put(&text, "%s%s = %s", k ? "; " : "", b->name, node ? gram_node_text(e->ctx, node) : "...");
    }
    return text.data;
}

/* Where the root of the program is stored. */
static void add_store(emitter *e, const gram_step *step, const gram_lines *lines)
{
    const gram_buffer *out = &e->plan->buffers[step->stores[0].buffer];
    const bool integers = out->type == GRAM_INT;
    const char *to = gram_print_at(e->ctx, e->plan, step, out, ""), *half = gram_half(e->plan, step->stores[0].buffer);
    set(e, "out", out->name);
    set(e, "rows", dim(e, out->rows));
    set(e, "cols", dim(e, out->cols));
    set(e, "to", integers ? gram_format(e->ctx, "(int32_t *)%s", to) : to);
    set(e, "store", integers ? "gram_storei" : gram_format(e->ctx, "gram_store%s", half));
    set(e, "stored", integers ? gram_format(e->ctx, "(gram_int *)%s", lines->root) : lines->root);
}

/* What kind of loop it is. */
static void add_kind(emitter *e, const gram_step *step)
{
    const bool maximum = step->nstats && step->stats[0].op == GRAM_OP_MAXIMUM;
    gram_template_set_flag(e->L, "softmax", step->softmax);
    gram_template_set_flag(e->L, "in_place", step->in_place);
    gram_template_set_flag(e->L, "sums_in_place", gram_sums_in_place(e->plan, step));
    gram_template_set_flag(e->L, "direct", gram_is_direct(e->plan, step));
    gram_template_set_flag(e->L, "outer", !gram_dim_is(step->outer, 1));
    gram_template_set_flag(e->L, "few", false);
    set(e, "dropped", step->softmax || maximum ? "-INFINITY" : "0");
    set(e, "columns", dim(e, step->outer));
    set(e, "queries", dim(e, step->queries));
    set(e, "lanes", dim(e, step->lanes));
    set(e, "state_size", step->nsides ? gram_emit_block_state(e, step) : "");
    set(e, "states", states_of_blocks(e, step));
    set(e, "range_functions", "");
    if (step->in_place)
        gram_emit_range(e, step);
}

/* The lines that begin a block of queries. */
static void add_block(emitter *e, const gram_step *step)
{
    const char *rows = gram_emit_block_rows(step);
    set(e, "block_rows", rows);
    set(e, "block_of", strchr(rows, '/') ? gram_format(e->ctx, "(%s)", rows) : rows);
    set(e, "load_queries", render(e, &gram_template_queries));
    set(e, "head_of_block", render(e, &gram_template_block));
}

/* A step over tiles, rendered by its template; the room of scratch it needs. */
static const char *add_tiles(emitter *e, const gram_step *step)
{
    const bool linear = gram_is_linear(step), stream = linear || !strcmp(step->template, "stream");
    gram_lines lines = gram_print_program(e->ctx, e->plan, step, &step->program, step->root, step->mask, e->tcc);
    const char *width = linear ? gram_emit_linear_width(e, step) : gram_emit_width(e, step->sums, step->nsums);
    int last = 0;
    set(e, "width", stream ? width : "");
    add_sums(e, step, &lines);
    add_stats(e, step, &lines);
    add_sides(e, step, &lines);
    add_leaves(e, step);
    gram_emit_lines(e, &lines);
    add_store(e, step, &lines);
    add_kind(e, step);
    const char *arguments = stream ? gram_emit_epilogue(e, step, &last) : NULL;
    const char *room = add_places(e, step, width, lines.tiles, last);
    gram_template_set_flag(e->L, "scratch", strcmp(room, "0") != 0);
    add_block(e, step);
    if (linear)
        return gram_emit_linear(e, step, &lines, last);
    return stream ? gram_emit_stream(e, step, arguments, room, last) : room;
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
    set(e, "to", gram_print_at(e->ctx, e->plan, step, out, ""));
    set(e, "from", gram_print_at(e->ctx, e->plan, &like, in, ""));
    set(e, "half", gram_half(e->plan, step->stores[0].buffer));
    gram_template_set_flag(e->L, "guard", gram_is_optional(e->plan, step->stores[0].buffer));
    return out->half ? gram_format(e->ctx, "GRAM_PADDED(%s)", dim(e, in->rows)) : "0";
}

/* A step over whole matrices: one call of the runtime for each head and item. */
static const char *add_whole(emitter *e, const gram_step *step)
{
    static const struct {
        gram_op op;
        const char *room; /* in doubles, of an operand of r rows and c columns */
    } calls[] = {
        {GRAM_OP_INVERSE, "2 * %s * %s"}, {GRAM_OP_EXPM, "3 * %s * %s"}, {GRAM_OP_CUMSUM, "%s"},
        {GRAM_OP_CUMSUM_LOST, "%s"},      {GRAM_OP_TOP, "%s"},           {GRAM_OP_LOG2_CEIL, "GRAM_SHIFTS"},
        {GRAM_OP_THRESHOLD, NULL},
    };
    const gram_buffer *in = &e->plan->buffers[step->sums[0].left], *out = &e->plan->buffers[step->stores[0].buffer];
    const char *rows = dim(e, in->rows), *cols = dim(e, in->cols), *room = "";
    const gram_node *node = step->what;
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
        if (calls[k].op == node->op && calls[k].room) {
            room = gram_format(e->ctx, calls[k].room, rows, cols);
            room = gram_format(e->ctx, "GRAM_PADDED((int64_t)(sizeof(double) / sizeof(gram_real)) * %s)", room);
        }
    gram_template_set_flag(e->L, "threshold", 0);
    if (node->op == GRAM_OP_THRESHOLD) {
        set(e, "threshold", node->fn);
        set(e, "threshold_of_v", gram_format(e->ctx, "gram_v_%s(v)", node->fn));
    }
    set(e, "operation", gram_ops[node->op].name);
    set(e, "in_", in->name);
    set(e, "rows", rows);
    set(e, "cols", cols);
    set(e, "most", dim(e, node->dim));
    set(e, "room", room);
    set(e, "to", gram_print_at(e->ctx, e->plan, step, out, ""));
    set(e, "from", gram_print_at(e->ctx, e->plan, step, in, ""));
    gram_template_set_flag(e->L, "tcc", e->tcc);
    return *room ? room : "0";
}

/* A convolution with a column, or the lags between two matrices of tokens. */
static const char *add_fft(emitter *e, const gram_step *step)
{
    const gram_node *node = step->what;
    static const char *const arrays[] = {"first", "second", "third", "fourth"}, *const places[] = {"a", "b", "c", "d"};
    const gram_buffer *out = &e->plan->buffers[step->stores[0].buffer];
    const char *n = dim(e, node->args[0]->cols), *mode = gram_format(e->ctx, "%d", node->index);
    gram_template_set_flag(e->L, "convolves", 0);
    gram_template_set_flag(e->L, "weighs", node->index & GRAM_FFT_SOFTMAX);
    if (node->op == GRAM_OP_CONVOLVE)
        set(e, "convolves", node->index & GRAM_FFT_SOFTMAX ? "softmax" : "convolve");
    set(e, "n", n);
    set(e, "mode", mode);
    set(e, "channels", e->plan->real_bits == 64 ? "16" : "32");
    set(e, "rows", dim(e, node->args[0]->rows));
    set(e, "to", gram_print_at(e->ctx, e->plan, step, out, ""));
    for (int k = 0; k < step->nsums; k++) {
        const gram_buffer *array = &e->plan->buffers[step->sums[k].left];
        set(e, arrays[k], array->name);
        set(e, places[k], gram_print_at(e->ctx, e->plan, step, array, ""));
    }
    return gram_format(e->ctx, "gram_fft_room(%s, %s)", n, mode);
}

/* The loop structures: a step names its template; `add` puts what the template needs into the model and returns the
 * scratch that a thread of it needs. */
static const struct {
    const char *name;
    const gram_script *template;
    const char *(*add)(emitter *e, const gram_step *step);
} structures[] = {
    {"map", &gram_template_map, add_tiles},       {"stream", &gram_template_stream, add_tiles},
    {"linear", &gram_template_linear, add_tiles}, {"scatter", &gram_template_scatter, add_tiles},
    {"whole", &gram_template_whole, add_whole},   {"items", &gram_template_items, add_items},
    {"fft", &gram_template_fft, add_fft},         {"scan", &gram_template_scan, gram_emit_scan},
};

void gram_emit_set_step(emitter *e, const gram_step *step)
{
    gram_template_set_flag(e->L, "guard", step->nstores == 1 && gram_is_optional(e->plan, step->stores[0].buffer));
    set(e, "out", e->plan->buffers[step->stores[0].buffer].name);
    set(e, "step_name", step->name);
    set(e, "step", gram_format(e->ctx, "%s_%s", e->spec->name, step->name));
    set(e, "what", what(e, step));
    set(e, "items", gram_emit_items(e, step->heads, step->batched, step->each));
    gram_template_set_number(e->L, "heads", step->heads > 1 ? step->heads : 1);
    gram_template_set_flag(e->L, "batched", step->batched);
}

const char *gram_emit_step(emitter *e, const gram_step *step)
{
    gram_emit_set_step(e, step);
    for (size_t k = 0; k < sizeof structures / sizeof *structures; k++)
        if (!strcmp(structures[k].name, step->template)) {
            const char *room = structures[k].add(e, step);
            render_body(e, structures[k].template);
            return room;
        }
    gram_fail(e->ctx, (gram_loc){0}, "no loop structure %s", step->template);
}
