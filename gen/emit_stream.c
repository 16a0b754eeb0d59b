/* Emit's streams: the predicate over ranges, the epilogue, and the loops over tiles, which come twice: over all blocks
 * of queries, with keys packed beforehand; and, where the queries fit one block when the kernel runs (a decoding step,
 * a short sequence), over keys where they lie. */
#include <ctype.h>
#include <string.h>

#include "emit.h"

extern const gram_script gram_template_range, gram_template_epilogue, gram_template_start, gram_template_queries,
    gram_template_tile, gram_template_tiles, gram_template_decode;

/* Does the C text have this word? */
static bool mentions(const char *text, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += size) {
        char before = at == text ? ' ' : at[-1], after = at[size];
        if (!isalnum((unsigned char)before) && before != '_' && !isalnum((unsigned char)after) && after != '_')
            return true;
    }
    return false;
}

/* Parameters of a function, each where its body mentions it, and the arguments of a call from where they have the same
 * names. */
typedef struct parameter {
    const char *name, *declared;
} parameter;

static const char *set_parameters(emitter *e, const char *key, const char *body, const parameter *all, int n)
{
    gram_text parameters = {.ctx = e->ctx}, arguments = {.ctx = e->ctx};
    for (int k = 0; k < n; k++)
        if (mentions(body, all[k].name)) {
            gram_put(&parameters, "%s%s", parameters.data ? ", " : "",
                     gram_format(e->ctx, all[k].declared, e->spec->name));
            gram_put(&arguments, "%s%s", arguments.data ? ", " : "", all[k].name);
        }
    set(e, gram_format(e->ctx, "%s_parameters", key), parameters.data ? parameters.data : "");
    set(e, gram_format(e->ctx, "%s_arguments", key), arguments.data ? arguments.data : "");
    return arguments.data ? arguments.data : "";
}

const char *gram_emit_range(emitter *e, const gram_step *step)
{
    static const parameter all[] = {{"job", "const %s_job *job"},
                                    {"batch", "int64_t batch"},
                                    {"head", "int64_t head"},
                                    {"column", "int64_t column"}};
    const char *range = step->keep ? gram_print_range(e->ctx, e->spec, step, step->keep) : "gram_range_of(0, 1)";
    bool decided = strcmp(range, "gram_range_of(0, 1)") != 0;
    set_parameters(e, "range", range, all, sizeof all / sizeof *all);
    if (decided)
        set(e, "range", range);
    else
        gram_template_set_flag(e->L, "range", 0);
    gram_template_set_flag(e->L, "seeks", !step->in_place);
    set(e, "range_functions", decided ? render(e, &gram_template_range) : "");
    return range;
}

/* --- the epilogue ------------------------------------------------------------------------------------------------- */

static int add_stores(emitter *e, const gram_step *step)
{
    int tiles = 0;
    gram_template_begin(e->L, "stores");
    for (int k = 0; k < step->nstores; k++) {
        const gram_store_plan *store = &step->stores[k];
        const gram_buffer *b = &e->plan->buffers[store->buffer];
        if (gram_is_stored_in_place(e->plan, step, store))
            continue;
        gram_lines lines = gram_print_program(e->ctx, e->plan, step, &store->program, store->root, store->mask, e->tcc);
        gram_template_begin(e->L, NULL);
        gram_emit_lines(e, &lines);
        set(e, "out", b->name);
        bool outer = !gram_dim_is(step->outer, 1);
        const char *to = gram_print_at(e->ctx, e->plan, step, b, "");
        set(e, "to", outer ? gram_format(e->ctx, "%s + column * job->%s.col", to, b->name) : to);
        set(e, "store", gram_format(e->ctx, "gram_store%s", gram_half(e->plan, store->buffer)));
        set(e, "query_step", outer ? "row" : "col");
        set(e, "lane_step", outer ? "col" : "row");
        set(e, "lanes", dim(e, store->lanes));
        gram_template_set_flag(e->L, "guard", gram_is_optional(e->plan, store->buffer));
        gram_template_set_flag(e->L, "direct", lines.sum >= 0 && store->mask < 0);
        gram_template_set_number(e->L, "sum", lines.sum);
        gram_template_end(e->L);
        tiles = lines.tiles > tiles ? lines.tiles : tiles;
    }
    gram_template_end(e->L);
    return tiles;
}

const char *gram_emit_epilogue(emitter *e, const gram_step *step, int *tiles)
{
    enum { FIXED = 9 };
    parameter all[FIXED + GRAM_MOST] = {
        {"job", "const %s_job *job"}, {"batch", "int64_t batch"},      {"head", "int64_t head"},
        {"query", "int64_t query"},   {"queries", "int64_t queries"},  {"tiles", "gram_real *tiles"},
        {"sum0", "gram_real *sum0"},  {"max", "const gram_real *max"}, {"column", "int64_t column"}};
    int n = FIXED;
    *tiles = add_stores(e, step);
    if (step->softmax)
        all[n++] = (parameter){"sum", "const gram_real *sum"};
    for (int k = 0; k < step->nstats && !step->softmax; k++, n++)
        all[n] = (parameter){gram_format(e->ctx, "stat%d", k), gram_format(e->ctx, "gram_real *stat%d", k)};
    gram_places places = {{.ctx = e->ctx}, {.ctx = e->ctx}, "tiles"};
    gram_emit_take_tiles(e, &places, *tiles, 0);
    set(e, "tile_places", places.text.data ? places.text.data : "");
    const char *body = render(e, &gram_template_epilogue);
    set(e, "epilogue", body);
    return set_parameters(e, "finish", body, all, n);
}

/* --- few queries -------------------------------------------------------------------------------------------------- */

/* The greatest common divisor. */
static int common(int a, int b)
{
    return b ? common(b, a % b) : a;
}

/* How many heads, one after the other, share everything that belongs to keys. Blocks that are scaled by what is
 * computed for each head are made with it. */
static int sharing(emitter *e, const gram_step *step)
{
    int heads = step->heads > 1 ? step->heads : 1, group = heads;
    for (int k = 0; k < step->nleaves; k++)
        if (step->leaves[k].scale >= 0 && step->program.instr[step->leaves[k].scale].kind != GRAM_I_NUMBER)
            return 1;
    for (int k = 0; k < step->nleaves + step->nsums; k++) {
        int left = k < step->nleaves ? step->leaves[k].left : step->sums[k - step->nleaves].left;
        int own = e->plan->buffers[left].heads;
        group = common(group, own > 1 ? heads / own : heads);
    }
    return group > 1 ? group : 1;
}

/* The sums of a head's part, and what else it has a number of for each query, by their names. A group's heads have
 * theirs one below the other, all sums first. */
static const char *state_places(emitter *e, const gram_step *step, int group, const char *where)
{
    gram_text text = {.ctx = e->ctx};
    const char *head = "(head - first) * queries", *at = "states", *all = "queries";
    if (group > 1) {
        all = "rows";
        at = gram_format(e->ctx, "states + %s * width", head);
    }
    for (int k = 0; k < step->nsums; k++) {
        if (mentions(where, gram_format(e->ctx, "sum%d", k)))
            gram_put(&text, "gram_real *const sum%d = %s;\n", k, at);
        at = gram_format(e->ctx, "%s + GRAM_PADDED(%s)", at, dim(e, step->sums[k].rows));
    }
    int columns = step->softmax ? 2 : step->nstats;
    for (int k = 0; k < columns; k++) {
        const char *name = step->softmax ? (k ? "sum" : "max") : gram_format(e->ctx, "stat%d", k);
        if (!mentions(where, name))
            continue;
        gram_put(&text, "gram_real *const %s = states", name);
        if (step->nsums)
            gram_put(&text, " + %s * width", all);
        if (k == 1)
            gram_put(&text, " + %s", all);
        else if (k)
            gram_put(&text, " + %d * %s", k, all);
        gram_put(&text, "%s%s;\n", group > 1 ? " + " : "", group > 1 ? head : "");
    }
    return text.data ? text.data : "";
}

/* Where a thread's blocks, panels, rows and tiles lie in its scratch; the room they take. A head's block and tiles are
 * parts of its group's. */
static const char *few_places(emitter *e, const gram_step *step, int group, const gram_lines *lines, int last)
{
    gram_places p = {{.ctx = e->ctx}, {.ctx = e->ctx}, "scratch"};
    gram_text blocks = {.ctx = e->ctx}, tiles = {.ctx = e->ctx};
    for (int k = 0; k < step->nleaves; k++) {
        const char *inner = dim(e, step->leaves[k].inner);
        gram_emit_take(e, &p, gram_format(e->ctx, "block%s%d", group > 1 ? "s" : "", k),
                       gram_emit_times(e, group, gram_format(e->ctx, "GRAM_BLOCK * %s", inner)));
        gram_put(&blocks, "gram_real *const block%d = blocks%d + (head - first) * queries * %s;\n", k, k, inner);
    }
    gram_emit_take_keys(e, &p, step);
    for (int k = 0; k < lines->tiles && group > 1; k++) {
        if (!lines->of_group[k])
            continue;
        gram_emit_take(e, &p, gram_format(e->ctx, "all%d", k),
                       gram_format(e->ctx, "%d * GRAM_BLOCK * GRAM_TILE", group));
        gram_put(&tiles, "gram_real *const t%d = all%d + (head - first) * queries * GRAM_TILE;\n", k, k);
    }
    gram_emit_take_shared_tiles(e, &p, lines, last);
    set(e, "few_places", p.text.data);
    set(e, "blocks", blocks.data ? blocks.data : "");
    set(e, "group_tiles", tiles.data ? tiles.data : "");
    return p.room.data;
}

const char *gram_emit_state_size(emitter *e, const gram_step *step, const char *queries, const char *width)
{
    int columns = step->softmax ? 2 : step->nstats;
    const char *and = step->nsums && columns ? " + " : "", *rest = columns ? gram_format(e->ctx, "%d", columns) : "";
    return gram_format(e->ctx, "%s * (%s%s%s)", queries, step->nsums ? width : "", and, rest);
}

/* The loop over tiles, its body and what comes before it; of few queries or of a block. */
static void set_loop(emitter *e, bool few, int group)
{
    gram_template_set_flag(e->L, "few", few);
    gram_template_set_number(e->L, "group", group);
    set(e, "body", render(e, &gram_template_tile));
    set(e, "start", render(e, &gram_template_start));
}

/* The functions for few queries; the room of scratch they need. */
static const char *add_few(emitter *e, const gram_step *step, const char *range, const char *arguments, int last)
{
    int heads = step->heads > 1 ? step->heads : 1, group = mentions(range, "head") ? 1 : sharing(e, step);
    gram_template_set_flag(e->L, "many", step->few == GRAM_FEW_PERHAPS);
    gram_lines lines = gram_print_few(e->ctx, e->plan, step, group > 1, e->tcc);
    gram_emit_lines(e, &lines);
    set(e, "leaf_lines", lines.leaves.data ? lines.leaves.data : "");
    set_loop(e, true, group);
    const char *start = render(e, &gram_template_start), *body = render(e, &gram_template_tile);
    set(e, "load_queries", render(e, &gram_template_queries));
    const char *room = few_places(e, step, group, &lines, last);
    const char *all = gram_format(e->ctx, "%s%s%s", start, body, arguments);
    gram_template_set_number(e->L, "groups", heads / group);
    gram_template_set_flag(e->L, "splits", gram_has_parts(step));
    set(e, "group_items", gram_emit_items(e, heads / group, step->batched, step->each));
    set(e, "state_name", gram_format(e->ctx, "%s_states", step->name));
    set(e, "state_size", gram_emit_state_size(e, step, group > 1 ? "rows" : "queries", "width"));
    set(e, "state", state_places(e, step, group, group > 1 ? body : all));
    set(e, "state_start", state_places(e, step, group, start));
    set(e, "state_end", state_places(e, step, group, arguments));
    set(e, "loop", render(e, &gram_template_tiles));
    set(e, "few_functions", render(e, &gram_template_decode));
    return room;
}

static const char *why(emitter *e, const gram_step *step)
{
    const char *shape = gram_shape_text(e->ctx, step->what);
    if (step->softmax)
        return gram_format(
            e->ctx, " * The scores (%s) are made a tile at a time, with a running maximum and sum, and not kept.",
            shape);
    if (step->program.instr[step->root].kind == GRAM_I_LOAD)
        return gram_format(e->ctx, " * Summed over %s, a tile at a time.", gram_dim_text(e->ctx, step->lanes));
    return gram_format(e->ctx, " * The coefficients (%s) are made a tile at a time and not kept.", shape);
}

const char *gram_emit_stream(emitter *e, const gram_step *step, const char *arguments, const char *room, int last)
{
    const char *range = gram_emit_range(e, step), *few = "0";
    set(e, "why", why(e, step));
    set(e, "few_functions", "");
    gram_lines lines = gram_print_program(e->ctx, e->plan, step, &step->program, step->root, step->mask, e->tcc);
    if (step->few != GRAM_FEW_NEVER)
        few = add_few(e, step, range, arguments, last);
    gram_emit_lines(e, &lines);
    set_loop(e, false, 1);
    set(e, "loop", render(e, &gram_template_tiles));
    gram_template_set_flag(e->L, "many", step->few != GRAM_FEW_ALWAYS);
    return step->few == GRAM_FEW_NEVER    ? room
           : step->few == GRAM_FEW_ALWAYS ? few
                                          : gram_format(e->ctx, "gram_most(%s, %s)", room, few);
}
