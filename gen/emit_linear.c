/* Emit's linear steps: the walk over blocks of tokens, and the formulas of what weighs keys and queries in it. */
#include <string.h>

#include "emit.h"

extern const gram_script gram_template_tile;

/* The sums, with a column for the coefficients' own. */
static const char *width_of_sums(emitter *e, const gram_step *step)
{
    const char *sums = gram_emit_width(e, step->sums, step->nsums), *and = step->nsums ? " + " : "";
    return step->nstats ? gram_format(e->ctx, "%s%sGRAM_PAD", sums, and) : sums;
}

const char *gram_emit_linear_width(emitter *e, const gram_step *step)
{
    const char *sums = width_of_sums(e, step);
    return step->linear->slope.root >= 0 ? gram_format(e->ctx, "2 * (%s)", sums) : sums;
}

const char *gram_emit_linear_runs(emitter *e, const gram_step *step)
{
    const char *queries = dim(e, step->queries), *lanes = dim(e, step->lanes);
    const char *both = gram_format(e->ctx, "gram_most(%s, %s)", queries, lanes);
    return gram_format(e->ctx, "gram_runs(%s, %s, job->threads)", gram_emit_all_items(e, step),
                       step->linear->backwards ? both : queries);
}

const char *gram_emit_linear_room(emitter *e, const gram_step *step)
{
    const char *runs = gram_emit_linear_runs(e, step);
    return gram_format(e->ctx, "%s > 1 ? %s%s * (%s * (%s) + GRAM_PAD) : 0", runs,
                       gram_emit_items(e, step->heads, step->batched, step->each), runs, dim(e, step->leaves[0].inner),
                       gram_emit_linear_width(e, step));
}

/* A part's formula as a function; how many tiles it needs. */
static int add_part(emitter *e, const gram_step *step, const gram_part *part, const char *name, const char *what)
{
    if (part->root < 0)
        return 0;
    gram_lines lines = gram_print_program(e->ctx, e->plan, step, &part->program, part->root, -1, e->tcc);
    gram_places places = {{.ctx = e->ctx}, {.ctx = e->ctx}, "tiles"};
    gram_emit_take_tiles(e, &places, lines.tiles, 0);
    gram_template_begin(e->L, NULL);
    gram_emit_lines(e, &lines);
    set(e, "name", name);
    set(e, "what", what);
    set(e, "places", places.text.data);
    gram_template_end(e->L);
    return lines.tiles;
}

/* The formulas; the most tiles that one needs. */
static int add_parts(emitter *e, const gram_step *step)
{
    const struct {
        const gram_part *part;
        const char *name, *what;
    } parts[] = {{&step->linear->exponent, "exponents", "The exponents of the decay"},
                 {&step->linear->slope, "slopes", "The slopes"},
                 {&step->linear->keys, "key_factors", "What weighs keys"},
                 {&step->linear->queries, "query_factors", "What weighs queries"}};
    int most = 0;
    gram_template_begin(e->L, "parts");
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        int tiles = add_part(e, step, parts[k].part, parts[k].name, parts[k].what);
        most = tiles > most ? tiles : most;
    }
    gram_template_end(e->L);
    gram_template_set_flag(e->L, "exponent", step->linear->exponent.root >= 0);
    gram_template_set_flag(e->L, "slope", step->linear->slope.root >= 0);
    gram_template_set_flag(e->L, "key_factors", step->linear->keys.root >= 0);
    gram_template_set_flag(e->L, "query_factors", step->linear->queries.root >= 0);
    return most;
}

/* Where a thread has its block, keys, values, sums and tiles; the room of all. */
static const char *add_places(emitter *e, const gram_step *step, int tiles, int last)
{
    gram_places p = {{.ctx = e->ctx}, {.ctx = e->ctx}, "scratch"};
    const char *inner = dim(e, step->leaves[0].inner), *width = gram_emit_linear_width(e, step);
    const char *sums = gram_format(e->ctx, "%s * (%s) + GRAM_PAD", inner, width);
    gram_emit_take(e, &p, "own", sums);
    gram_emit_take(e, &p, "passed", sums);
    gram_emit_take(e, &p, "joined", sums);
    gram_emit_take(e, &p, "keys0", gram_format(e->ctx, "GRAM_TILE * %s", inner));
    gram_emit_take(e, &p, "sum0", gram_format(e->ctx, "GRAM_BLOCK * (%s)", width));
    for (int k = 0; k < step->nsums; k++)
        if (step->sums[k].pack >= 0)
            gram_emit_take(e, &p, gram_format(e->ctx, "values%d", k),
                           gram_format(e->ctx, "GRAM_TILE * GRAM_PADDED(%s)", dim(e, step->sums[k].rows)));
    for (int k = 1; k < step->nsums; k++)
        gram_put(&p.text, "gram_real *const sum%d = sum%d + GRAM_PADDED(%s);\n", k, k - 1,
                 dim(e, step->sums[k - 1].rows));
    gram_emit_take(e, &p, "block0", gram_format(e->ctx, "GRAM_PADDED(GRAM_BLOCK * %s)", inner));
    gram_emit_take_tiles(e, &p, tiles, last);
    set(e, "linear_places", p.text.data);
    return p.room.data;
}

const char *gram_emit_linear(emitter *e, const gram_step *step, const gram_lines *lines, int last)
{
    int parts = add_parts(e, step);
    gram_emit_lines(e, lines);
    gram_template_set_flag(e->L, "few", 1);
    gram_template_set_flag(e->L, "range", 0);
    gram_template_set_number(e->L, "group", 1);
    gram_template_set_flag(e->L, "backwards", step->linear->backwards);
    set(e, "state_name", gram_format(e->ctx, "%s_states", step->name));
    set(e, "inner", dim(e, step->leaves[0].inner));
    set(e, "half", width_of_sums(e, step));
    set(e, "body", render(e, &gram_template_tile));
    return add_places(e, step, lines->tiles, last > parts || !parts ? last : parts);
}
