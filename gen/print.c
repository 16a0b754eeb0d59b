/* Print: a program's instructions as C.
 *
 * For a C compiler, instructions of one rate are fused into one loop of vector expressions; tiles are written only
 * where a primitive or the next loop reads them. For TinyCC, which neither inlines nor vectorises, each instruction is
 * one call of the runtime's primitive. In both, a value's name tells its rate: c one number, q per query, k per lane, t
 * a tile. */
#include <math.h>
#include <string.h>

#include "layout.h"
#include "printer.h"

const gram_print_type gram_print_types[] = {
    [GRAM_REAL] = {"gram_real", "gram_vreal", "gram_v_load", "gram_v_store", "gram_v_splat"},
    [GRAM_INT] = {"gram_int", "gram_vint", "gram_v_loadi", "gram_v_storei", "gram_v_splati"},
    [GRAM_BOOL] = {"gram_bits", "gram_mask", "gram_v_loadm", "gram_v_storem", "gram_v_splatm"},
};

/* --- names -------------------------------------------------------------------------------------------------------- */

const char *gram_print_dim(gram_ctx *ctx, const gram_spec *spec, gram_dim dim)
{
    gram_text text = {.ctx = ctx};
    int terms = 0;
    for (int s = 0; s < spec->nsizes; s++)
        for (int k = 0; k < dim.times[s]; k++)
            gram_put(&text, "%sjob->%s", terms++ ? " + " : "", spec->sizes[s]);
    if (dim.number || !terms)
        gram_put(&text, "%s%lld", terms++ ? " + " : "", (long long)dim.number);
    return terms > 1 ? gram_format(ctx, "(%s)", text.data) : text.data;
}

const char *gram_print_head(gram_ctx *ctx, const gram_step *step, int heads)
{
    if (step->heads <= 1 || heads <= 1)
        return "0";
    return heads == step->heads ? "head" : gram_format(ctx, "head / %d", step->heads / heads);
}

static bool has_items(gram_dim each)
{
    return !gram_dim_is(each, 1);
}

/* Which of an array's items the step is at: the step's own, or the batch's where the array has no others. */
const char *gram_print_item(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, gram_dim each, bool batched)
{
    if (has_items(step->each) && !has_items(each))
        return batched ? gram_format(ctx, "batch / %s", gram_print_dim(ctx, spec, step->each)) : "0";
    return step->batched ? "batch" : "0";
}

/* The index of the batch's item: one kernel after the other runs where items have sizes of their own. */
const char *gram_print_batch(gram_ctx *ctx, const gram_spec *spec, const gram_step *step)
{
    return gram_is_ragged(spec) ? "job->item" : gram_print_item(ctx, spec, step, gram_dim_number(1), true);
}

/* Which of the items that `each` makes. */
const char *gram_print_part(gram_ctx *ctx, const gram_spec *spec, const gram_step *step)
{
    return has_items(step->each) ? gram_format(ctx, "batch %% %s", gram_print_dim(ctx, spec, step->each)) : "0";
}

const char *gram_print_at(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_buffer *buffer,
                          const char *suffix)
{
    const char *at = buffer->type == GRAM_INT ? "gram_ids_at" : "gram_at";
    return gram_format(ctx, "%s(&job->%s%s, %s, %s)", buffer->half && !*suffix ? "gram_halves_at" : at, buffer->name,
                       suffix, gram_print_item(ctx, plan->spec, step, buffer->each, buffer->batched),
                       gram_print_head(ctx, step, buffer->heads));
}

static const char *number(gram_printer *p, const gram_instr *instr)
{
    if (instr->type == GRAM_INT)
        return gram_format(p->ctx, "%lld", (long long)instr->number);
    if (isinf(instr->number))
        return instr->number > 0 ? "INFINITY" : "-INFINITY";
    if (isnan(instr->number))
        return "NAN";
    const char *text = gram_format(p->ctx, p->plan->real_bits == 32 ? "%.9g" : "%.17g", instr->number);
    const char *point = strpbrk(text, ".en") ? "" : ".0";
    return gram_format(p->ctx, "%s%s%s", text, point, p->plan->real_bits == 32 ? "f" : "");
}

const char *gram_print_array(gram_printer *p, int k)
{
    static const char letters[] = "cqqt"; /* by rate; lanes are k */
    const gram_instr *instr = &p->program->instr[k];
    if (instr->kind == GRAM_I_STAT)
        return gram_format(p->ctx, "stat%d", instr->index);
    if (instr->kind == GRAM_I_SUM_OF)
        return gram_format(p->ctx, "sum%d", instr->index);
    if (instr->rate == GRAM_RATE_PAIR)
        return gram_format(p->ctx, "t%d", p->tile[k]);
    return gram_format(p->ctx, "%c%d", instr->rate == GRAM_RATE_LANE ? 'k' : letters[instr->rate], k);
}

/* --- which instruction goes where --------------------------------------------------------------------------------- */

static void mark(gram_printer *p, int k)
{
    if (k < 0 || p->for_root[k])
        return;
    p->for_root[k] = true;
    const gram_instr *instr = &p->program->instr[k];
    for (int a = 0; a < instr->nargs; a++)
        mark(p, instr->args[a]);
    if (instr->kind == GRAM_I_LEAF)
        mark(p, p->step->leaves[instr->index].scale);
}

/* A call reads arrays, so it stands a level above what it reads. */
static void set_levels(gram_printer *p)
{
    for (int k = 0; k < p->program->n; k++) {
        const gram_instr *instr = &p->program->instr[k];
        bool call = is_call(p, instr);
        p->level[k] = 0;
        for (int a = 0; a < instr->nargs; a++) {
            const gram_instr *arg = &p->program->instr[instr->args[a]];
            int above = arg->rate == instr->rate ? p->level[instr->args[a]] + (call && !is_call(p, arg)) : 0;
            p->level[k] = above > p->level[k] ? above : p->level[k];
        }
    }
}

/* Is k read as an array: by a call, by another rate's loop, by a later level, or after the program? */
bool gram_print_is_array(const gram_printer *p, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    if (is_call(p, instr) || p->is_root[k] || k == p->mask)
        return true;
    for (int u = k + 1; u < p->program->n; u++) {
        const gram_instr *user = &p->program->instr[u];
        for (int a = 0; a < user->nargs; a++)
            if (user->args[a] == k && (is_call(p, user) || user->rate != instr->rate || p->level[u] != p->level[k] ||
                                       p->for_root[u] != p->for_root[k]))
                return true;
    }
    return false;
}

/* --- one instruction's text --------------------------------------------------------------------------------------- */

static const char *one_number(gram_printer *p, const gram_instr *instr)
{
    switch (instr->kind) {
    case GRAM_I_NUMBER:
        return number(p, instr);
    case GRAM_I_SIZE:
        return gram_format(p->ctx, "(gram_int)%s", gram_print_dim(p->ctx, p->plan->spec, instr->dim));
    case GRAM_I_HEAD:
        return gram_format(p->ctx, "(gram_int)(%s)", gram_print_head(p->ctx, p->step, instr->heads));
    case GRAM_I_LOOP:
        return "(gram_int)column";
    case GRAM_I_BATCH:
        return gram_format(p->ctx, "(gram_int)(%s)", gram_print_batch(p->ctx, p->plan->spec, p->step));
    case GRAM_I_ITEM:
        return gram_format(p->ctx, "(gram_int)(%s)", gram_print_part(p->ctx, p->plan->spec, p->step));
    default:
        return gram_format(p->ctx, "*%s",
                           gram_print_at(p->ctx, p->plan, p->step, &p->plan->buffers[instr->buffer], ""));
    }
}

/* How many rows and lanes an array of this rate has, and the step from one to the next of an operand of rate `of`. */
static const char *extent(int rate)
{
    static const char *const extents[] = {"1, 1", "1, lanes", "1, queries", "queries, lanes"};
    return extents[rate];
}

static const char *strides(int rate, int of)
{
    static const char *const within_pair[] = {"0, 0", "0, 1", "1, 0", "GRAM_TILE, 1"};
    return rate == GRAM_RATE_PAIR ? within_pair[of] : of == GRAM_RATE_ONE ? "0, 0" : "0, 1";
}

static const char *room(int rate)
{
    static const char *const rooms[] = {"GRAM_PAD", "GRAM_TILE", "GRAM_BLOCK", ""};
    return rooms[rate];
}

void gram_print_declare(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    if (instr->rate != GRAM_RATE_PAIR)
        gram_put(out, "%s %s[%s];\n", gram_print_types[instr->type].scalar, gram_print_array(p, k), room(instr->rate));
}

const char *gram_print_tile(gram_printer *p, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    if (instr->rate == GRAM_RATE_ONE && !p->tcc)
        return gram_format(p->ctx, "c%d_at", k);
    if (instr->rate == GRAM_RATE_PAIR && instr->type != GRAM_REAL)
        return gram_format(p->ctx, "(%s *)%s", gram_print_types[instr->type].scalar, gram_print_array(p, k));
    if (instr->kind == GRAM_I_SUM_OF)
        return gram_format(p->ctx, "%s + lane", gram_print_array(p, k));
    return gram_print_array(p, k);
}

static const char *operand_strides(gram_printer *p, int rate, int k)
{
    const gram_instr *arg = &p->program->instr[k];
    if (arg->kind == GRAM_I_SUM_OF)
        return "width, 1";
    return strides(rate, arg->rate);
}

static void put_load(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    const gram_buffer *b = &p->plan->buffers[instr->buffer];
    const char *at = gram_print_at(p->ctx, p->plan, p->step, b, ""),
               *load = gram_format(p->ctx, "gram_load%s", gram_half(p->plan, instr->buffer)),
               *call = b->type == GRAM_INT ? "gram_loadi" : load;
    const char *to = gram_print_tile(p, k);
    if (instr->rate == GRAM_RATE_ONE)
        gram_put(out, "%s(%s, %s, 0, 0, 1, 1);\n", call, to, at);
    else if (instr->rate == GRAM_RATE_LANE)
        gram_put(out, "%s(%s, %s + lane * job->%s.row, 0, job->%s.row, 1, lanes);\n", call, to, at, b->name, b->name);
    else if (instr->rate == GRAM_RATE_QUERY)
        gram_put(out, "%s(%s, %s + query * job->%s.col, 0, job->%s.col, 1, queries);\n", call, to, at, b->name,
                 b->name);
    else
        gram_put(out,
                 "%s(%s, %s + query * job->%s.col + lane * job->%s.row, job->%s.col, job->%s.row, queries, lanes);\n",
                 call, to, at, b->name, b->name, b->name, b->name);
}

/* The sizes, known when generating, whose products are summed in double. */
enum { SMALL = 128 };

static bool is_small(gram_dim d)
{
    return gram_dim_known(d) && d.number <= SMALL;
}

/* Is it a product of small matrices, in float? Errors multiply along a chain of them, and double costs next to nothing,
 * but where a scan makes it for every column. */
static bool is_fine(const gram_printer *p, const gram_leaf *leaf)
{
    return p->plan->real_bits == 32 && !p->plan->spec->scan && leaf->op == GRAM_OP_MATMUL && is_small(leaf->inner) &&
           is_small(p->step->lanes) && is_small(p->step->queries);
}

static void put_leaf(gram_printer *p, gram_text *out, int k)
{
    static const struct {
        gram_op op;
        const char *call;
    } calls[] = {
        {GRAM_OP_MATMUL, "gram_tile_mul"}, {GRAM_OP_SQDIST, "gram_tile_sqdist"}, {GRAM_OP_DIST1, "gram_tile_dist1"}};
    const int index = p->program->instr[k].index;
    const gram_leaf *leaf = &p->step->leaves[index];
    const bool direct = gram_is_direct(p->plan, p->step) && k == p->root && p->program == &p->step->program;
    const char *tile = p->group ? gram_format(p->ctx, "all%d", p->tile[k]) : gram_print_array(p, k);
    const char *to = direct ? "tile, apart" : gram_format(p->ctx, "%s, GRAM_TILE", tile);
    const char *inner = gram_print_dim(p->ctx, p->plan->spec, leaf->inner);
    const char *blocks = p->group ? "blocks" : "block", *rows = p->group ? "rows" : "queries";
    bool turned = !p->few || leaf->op != GRAM_OP_MATMUL;
    if (leaf->bits) {
        gram_put(out, "gram_tile_bits(%s, block%d, panel%d, queries, %s, GRAM_PADDED(lanes), %s);\n", to, index, index,
                 inner, gram_print_scale(p->ctx, p->plan, p->step, leaf, p->tcc));
        return;
    }
    const gram_buffer *left = &p->plan->buffers[leaf->left];
    const char *keys = left->half ? gram_format(p->ctx, "panel%d, %s", index, inner)
                                  : gram_format(p->ctx, "keys%d, job->%s.row", index, left->name);
    const char *apart = leaf->pack < 0 && !p->few ? gram_format(p->ctx, "job->%s.col", left->name) : "GRAM_TILE";
    if (!turned)
        gram_put(out, "if (in_place%d) {\n    gram_tile_dots(%s, %s%d, %s, %s, %s, %s, lanes);\n} else {\n    ", index,
                 to, blocks, index, inner, keys, rows, inner);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        if (calls[c].op == leaf->op)
            gram_put(out, "%s%s(%s, %s%d, %s, panel%d, %s, %s, %s, GRAM_PADDED(lanes), 0);\n", calls[c].call,
                     is_fine(p, leaf) ? "_fine" : "", to, blocks, index, inner, index, apart, rows, inner);
    if (!turned)
        gram_put(out, "}\n");
}

/* Does index k grow by one from lane to lane: i, i - j, i + a constant? */
static bool steps_by_one(const gram_printer *p, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    if (instr->kind != GRAM_I_OP || (instr->op != GRAM_OP_IADD && instr->op != GRAM_OP_ISUB))
        return instr->kind == GRAM_I_ROW;
    bool first = p->program->instr[instr->args[0]].rate & GRAM_RATE_LANE;
    bool second = p->program->instr[instr->args[1]].rate & GRAM_RATE_LANE;
    return (first && !second && steps_by_one(p, instr->args[0])) ||
           (second && !first && instr->op == GRAM_OP_IADD && steps_by_one(p, instr->args[1]));
}

/* Entries of a vector one after the other. */
static bool is_run(const gram_printer *p, const gram_instr *instr, const gram_buffer *b)
{
    return b->type == GRAM_REAL && !b->half && instr->rate == GRAM_RATE_PAIR && gram_dim_is(b->cols, 1) &&
           steps_by_one(p, instr->args[0]);
}

static void put_gather(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    const gram_buffer *b = &p->plan->buffers[instr->buffer];
    const char *dim[2] = {gram_print_dim(p->ctx, p->plan->spec, b->rows),
                          gram_print_dim(p->ctx, p->plan->spec, b->cols)};
    static const char *const step[2] = {"row", "col"};
    if (is_run(p, instr, b)) {
        const char *rows = operand_strides(p, instr->rate, instr->args[0]);
        gram_put(out, "gram_gather_runs(%s, queries, lanes, %s, job->%s.row, %s, %s, %.*s);\n", gram_print_tile(p, k),
                 gram_print_at(p->ctx, p->plan, p->step, b, ""), b->name, dim[0], gram_print_tile(p, instr->args[0]),
                 (int)strcspn(rows, ","), rows);
        return;
    }
    const char *gather = gram_format(p->ctx, "gram_gather%s", gram_half(p->plan, instr->buffer));
    gram_put(out, "%s(%s, %s, %s", b->type == GRAM_INT ? "gram_gatheri" : gather, gram_print_tile(p, k),
             extent(instr->rate), gram_print_at(p->ctx, p->plan, p->step, b, ""));
    for (int a = 0; a < 2; a++)
        gram_put(out, ", job->%s.%s, %s, %s, %s", b->name, step[a], dim[a], gram_print_tile(p, instr->args[a]),
                 operand_strides(p, instr->rate, instr->args[a]));
    gram_put(out, ");\n");
}

static void put_scatter(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    const gram_buffer *b = &p->plan->buffers[instr->buffer];
    gram_put(out, "gram_scatter(%s, job->%s.row, %s, job->%s.col, %s, queries, lanes",
             gram_print_at(p->ctx, p->plan, p->step, b, ""), b->name, gram_print_dim(p->ctx, p->plan->spec, b->rows),
             b->name, gram_print_dim(p->ctx, p->plan->spec, b->cols));
    for (int a = 0; a < instr->nargs; a++)
        gram_put(out, ", %s, %s", gram_print_tile(p, instr->args[a]),
                 operand_strides(p, GRAM_RATE_PAIR, instr->args[a]));
    gram_put(out, ");\n");
}

static void put_map_call(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    gram_put(out, "gram_map_%s(%s, %s", gram_ops[instr->op].name, gram_print_tile(p, k), extent(instr->rate));
    for (int a = 0; a < instr->nargs; a++)
        gram_put(out, ", %s, %s", gram_print_tile(p, instr->args[a]), operand_strides(p, instr->rate, instr->args[a]));
    gram_put(out, ");\n");
}

/* Is a number, of rate ONE, read by a primitive? */
static bool is_lookup(const gram_printer *p, const gram_instr *instr)
{
    return instr->kind == GRAM_I_GATHER || (instr->kind == GRAM_I_LOAD && p->plan->buffers[instr->buffer].half);
}

/* One instruction as a call that fills its array. */
static void put_call(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    if (instr->rate == GRAM_RATE_ONE && instr->kind != GRAM_I_OP && !is_lookup(p, instr)) {
        gram_put(out, "const %s %s[GRAM_PAD] = {%s};\n", gram_print_types[instr->type].scalar, gram_print_array(p, k),
                 one_number(p, instr));
        return;
    }
    gram_print_declare(p, out, k);
    if (instr->kind == GRAM_I_OP)
        put_map_call(p, out, k);
    else if (instr->kind == GRAM_I_LOAD)
        put_load(p, out, k);
    else if (instr->kind == GRAM_I_LEAF)
        put_leaf(p, p->group ? &p->lines.leaves : out, k);
    else if (instr->kind == GRAM_I_GATHER)
        put_gather(p, out, k);
    else if (instr->kind == GRAM_I_SCATTER)
        put_scatter(p, out, k);
    else
        gram_put(out, "gram_iota(%s, 1, %s, %s, 0, 1);\n", gram_print_tile(p, k),
                 instr->kind == GRAM_I_ROW ? "lanes" : "queries", instr->kind == GRAM_I_ROW ? "lane" : "query");
}

/* --- the sections ------------------------------------------------------------------------------------------------- */

/* Is k an operand of a primitive, a lookup's index or a product's factor, which take arrays? */
static bool is_read_by_call(const gram_printer *p, int k)
{
    for (int u = k + 1; u < p->program->n; u++) {
        const gram_instr *user = &p->program->instr[u];
        if (user->kind == GRAM_I_LEAF && p->step->leaves[user->index].scale == k &&
            p->program->instr[k].kind != GRAM_I_NUMBER)
            return true;
        for (int a = 0; (user->kind == GRAM_I_GATHER || user->kind == GRAM_I_SCATTER) && a < user->nargs; a++)
            if (user->args[a] == k)
                return true;
    }
    return false;
}

static bool is_read(const gram_printer *p, int k)
{
    if (p->is_root[k] || k == p->mask || is_read_by_call(p, k))
        return true;
    for (int u = k + 1; u < p->program->n; u++)
        for (int a = 0; a < p->program->instr[u].nargs; a++)
            if (p->program->instr[u].args[a] == k)
                return true;
    return false;
}

static void put_one_lookup(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    gram_put(out, "%s c%d_at[GRAM_PAD];\n", gram_print_types[instr->type].scalar, k);
    if (instr->kind == GRAM_I_LOAD)
        put_load(p, out, k);
    else
        put_gather(p, out, k);
    gram_put(out, "const %s c%d = %s(c%d_at[0]);\n", gram_print_types[instr->type].vector, k,
             gram_print_types[instr->type].splat, k);
}

/* One number as a vector all of whose lanes are it, and as an array where a primitive reads it. */
static void put_one(gram_printer *p, gram_text *out, int k)
{
    const gram_instr *instr = &p->program->instr[k];
    if (is_lookup(p, instr)) {
        put_one_lookup(p, out, k);
        return;
    }
    if (instr->kind == GRAM_I_OP)
        gram_print_compute(p, out, k, "");
    else
        gram_put(out, "const %s c%d = %s(%s);\n", gram_print_types[instr->type].vector, k,
                 gram_print_types[instr->type].splat, one_number(p, instr));
    if (is_read_by_call(p, k))
        gram_put(out, "%s c%d_at[GRAM_PAD];\n%s(c%d_at, c%d);\n", gram_print_types[instr->type].scalar, k,
                 gram_print_types[instr->type].store, k, k);
}

static void put_ones(gram_printer *p, gram_text *out)
{
    for (int k = 0; k < p->program->n; k++) {
        if (p->program->instr[k].rate != GRAM_RATE_ONE || !is_read(p, k))
            continue;
        if (p->tcc)
            put_call(p, out, k);
        else
            put_one(p, out, k);
    }
}

const char *gram_print_scale(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_leaf *leaf,
                             bool tcc)
{
    gram_printer p = {.ctx = ctx, .plan = plan, .step = step, .program = &step->program, .tcc = tcc};
    if (leaf->scale < 0)
        return "1";
    const gram_instr *instr = &step->program.instr[leaf->scale];
    return instr->kind == GRAM_I_NUMBER ? number(&p, instr)
                                        : gram_format(ctx, "%s[0]", gram_print_tile(&p, leaf->scale));
}

/* All of one rate and purpose, level by level: first the calls of the level, then its loop. */
static void put_rate(gram_printer *p, gram_text *out, int rate, bool for_root)
{
    int most = 0;
    for (int k = 0; k < p->program->n; k++)
        most = p->level[k] > most ? p->level[k] : most;
    for (int level = 0; level <= most; level++) {
        for (int k = 0; k < p->program->n; k++) {
            const gram_instr *instr = &p->program->instr[k];
            if (is_call(p, instr) && !is_given(instr) && instr->rate == rate && p->level[k] == level &&
                p->for_root[k] == for_root)
                put_call(p, out, k);
        }
        gram_print_loop(p, out, rate, level, for_root);
    }
}

/* Tile buffers: each array of pairs has its own until its last reader; then the next may have it. */
static void give_tiles(gram_printer *p)
{
    for (int k = 0; k < p->program->n; k++) {
        const gram_instr *instr = &p->program->instr[k];
        bool needs = instr->rate == GRAM_RATE_PAIR && !is_given(instr) && instr->kind != GRAM_I_SCATTER &&
                     gram_print_is_array(p, k);
        p->tile[k] = needs ? p->lines.tiles++ : -1;
    }
}

static void put_mask(gram_printer *p)
{
    gram_text *out = &p->lines.mask;
    put_rate(p, out, GRAM_RATE_LANE, false);
    put_rate(p, out, GRAM_RATE_PAIR, false);
}

static void set_root(gram_printer *p, int k)
{
    p->is_root[k] = true;
    mark(p, k);
}

static gram_printer start(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_program *program,
                          int root, int mask, bool tcc)
{
    size_t n = (size_t)program->n + 1;
    gram_printer p = {
        .ctx = ctx, .plan = plan, .step = step, .program = program, .tcc = tcc, .root = root, .mask = mask};
    p.for_root = gram_alloc(ctx, n * sizeof *p.for_root);
    p.is_root = gram_alloc(ctx, n * sizeof *p.is_root);
    p.level = gram_alloc(ctx, n * sizeof *p.level);
    p.tile = gram_alloc(ctx, n * sizeof *p.tile);
    p.lines.item = p.lines.block = p.lines.tile = p.lines.mask = p.lines.leaves = (gram_text){.ctx = ctx};
    p.lines.sum = -1;
    set_root(&p, root);
    for (int k = 0; program == &step->program && k < step->nsums; k++)
        set_root(&p, step->sums[k].root);
    for (int k = 0; program == &step->program && k < step->nsides; k++)
        set_root(&p, step->sides[k].root);
    for (int k = 0; program == &step->program && k < step->nstats; k++)
        set_root(&p, step->stats[k].root);
    return p;
}

/* The tiles of a stream's sums, sides and statistics. */
static void set_tiles(gram_printer *p)
{
    const gram_step *step = p->step;
    p->lines.sums = gram_alloc(p->ctx, GRAM_MOST * sizeof *p->lines.sums);
    p->lines.sides = gram_alloc(p->ctx, GRAM_MOST * sizeof *p->lines.sides);
    p->lines.stats = gram_alloc(p->ctx, GRAM_MOST * sizeof *p->lines.stats);
    for (int k = 0; p->program == &step->program && k < step->nsums; k++)
        p->lines.sums[k] = gram_print_array(p, step->sums[k].root);
    for (int k = 0; p->program == &step->program && k < step->nsides; k++)
        p->lines.sides[k] = gram_print_array(p, step->sides[k].root);
    for (int k = 0; p->program == &step->program && k < step->nstats; k++)
        p->lines.stats[k] = gram_print_array(p, step->stats[k].root);
}

static gram_lines print(gram_printer p)
{
    const gram_instr *result = &p.program->instr[p.root];
    set_levels(&p);
    give_tiles(&p);
    put_ones(&p, &p.lines.item);
    put_rate(&p, &p.lines.block, GRAM_RATE_QUERY, true);
    put_rate(&p, &p.lines.block, GRAM_RATE_QUERY, false);
    put_rate(&p, &p.lines.tile, GRAM_RATE_LANE, true);
    put_rate(&p, &p.lines.tile, GRAM_RATE_PAIR, true);
    if (p.mask >= 0)
        put_mask(&p);
    if (result->kind == GRAM_I_SUM_OF)
        p.lines.sum = result->index;
    else if (result->kind != GRAM_I_SCATTER)
        p.lines.root = gram_print_array(&p, p.root);
    set_tiles(&p);
    p.lines.kept = p.mask >= 0 ? gram_print_array(&p, p.mask) : NULL;
    return p.lines;
}

gram_lines gram_print_program(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_program *program,
                              int root, int mask, bool tcc)
{
    return print(start(ctx, plan, step, program, root, mask, tcc));
}

gram_lines gram_print_few(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, bool group, bool tcc)
{
    gram_printer p = start(ctx, plan, step, &step->program, step->root, step->mask, tcc);
    p.few = true;
    p.group = group;
    gram_lines lines = print(p);
    if (group)
        lines.of_group = gram_alloc(ctx, (size_t)(lines.tiles + 1) * sizeof *lines.of_group);
    for (int k = 0; k < step->program.n && group; k++)
        if (p.tile[k] >= 0 && (p.is_root[k] || step->program.instr[k].kind == GRAM_I_LEAF))
            lines.of_group[p.tile[k]] = true;
    return lines;
}
