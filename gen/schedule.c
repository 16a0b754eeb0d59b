/* Schedule: when packs are made, and which arrays of the workspace take turns in one room.
 *
 * An array of the workspace lives from the phase that first writes it to the one that last reads it; arrays whose lives
 * do not meet may stand in the same room, which is as large as its largest. Sizes are known only when the kernel runs,
 * so large ones by their nominal size choose first, and each takes the first room that is free while it lives. What
 * grows with a runtime size shares no room with what does not. The caller's array of an output is a room too, until the
 * output is written, for what lies as the output does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "plan.h"
#include "scan.h"

/* --- what a step reads -------------------------------------------------------------------------------------------- */

int gram_buffer_base(const gram_plan *plan, int buffer)
{
    while (plan->buffers[buffer].storage == GRAM_AT_VIEW)
        buffer = plan->buffers[buffer].base;
    return buffer;
}

static bool loads(const gram_program *program, int buffer)
{
    for (int k = 0; k < program->n; k++)
        if ((program->instr[k].kind == GRAM_I_LOAD || program->instr[k].kind == GRAM_I_GATHER) &&
            program->instr[k].buffer == buffer)
            return true;
    return false;
}

/* When a step reads a buffer: whatever the sizes are; also in a loop of few queries alone; also as a pack of it. */
typedef enum when { ALWAYS, FEW_TOO, PACKED_TOO } when;

static bool reads_factor(const gram_step *step, int pack, when when)
{
    if (pack < 0 || step->few == GRAM_FEW_ALWAYS || gram_is_linear(step))
        return true;
    return when == PACKED_TOO || (when == FEW_TOO && step->few == GRAM_FEW_PERHAPS);
}

static bool reads(const gram_step *step, int buffer, when when)
{
    bool read = loads(&step->program, buffer);
    for (int k = 0; k < step->nleaves; k++) {
        const gram_leaf *leaf = &step->leaves[k];
        read |= leaf->right == buffer && reads_factor(step, leaf->same ? leaf->pack : -1, when);
        read |= leaf->left == buffer && reads_factor(step, leaf->pack, when);
    }
    for (int k = 0; k < step->nsums; k++)
        read |= step->sums[k].left == buffer && reads_factor(step, step->sums[k].pack, when);
    for (int k = 0; k < step->nsides; k++)
        read |= step->sides[k].left == buffer && reads_factor(step, step->sides[k].pack, when);
    for (int k = 0; k < step->nstores; k++)
        read |= loads(&step->stores[k].program, buffer);
    if (step->linear)
        read |= loads(&step->linear->exponent.program, buffer) || loads(&step->linear->slope.program, buffer) ||
                loads(&step->linear->keys.program, buffer) || loads(&step->linear->queries.program, buffer);
    return read;
}

bool gram_reads(const gram_step *step, int buffer)
{
    return reads(step, buffer, PACKED_TOO);
}

bool gram_is_read(const gram_plan *plan, int buffer)
{
    for (int k = 0; k < plan->nsteps; k++)
        if (gram_reads(plan->steps[k], buffer))
            return true;
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer && gram_is_read(plan, k))
            return true;
    return false;
}

bool gram_is_optional(const gram_plan *plan, int buffer)
{
    const int base = gram_buffer_base(plan, buffer);
    return !plan->spec->scan && plan->buffers[base].storage == GRAM_AT_OUTPUT && !gram_is_read(plan, base) &&
           !gram_overwrites(plan, base);
}

/* --- order -------------------------------------------------------------------------------------------------------- */

bool gram_writes(const gram_step *step, int buffer)
{
    for (int k = 0; k < step->nstores; k++)
        if (step->stores[k].buffer == buffer)
            return true;
    for (int k = 0; k < step->nsides; k++)
        if (step->sides[k].buffer == buffer)
            return true;
    return false;
}

static bool writes(const gram_plan *plan, const gram_step *step, int base)
{
    for (int k = 0; k < plan->nbuffers; k++)
        if (gram_buffer_base(plan, k) == base && gram_writes(step, k))
            return true;
    return false;
}

/* Does step k finish an array of the workspace that is read from now on as packs only, blocks of queries being many? */
static bool finishes(const gram_plan *plan, int k, int buffer)
{
    const int base = gram_buffer_base(plan, buffer);
    if (plan->buffers[base].storage != GRAM_AT_WORK || !writes(plan, plan->steps[k], base))
        return false;
    for (int later = k + 1; later < plan->nsteps; later++) {
        if (writes(plan, plan->steps[later], base))
            return false;
        for (int b = 0; b < plan->nbuffers; b++)
            if (gram_buffer_base(plan, b) == base && reads(plan->steps[later], b, ALWAYS))
                return false;
    }
    return true;
}

static bool is_packed(const gram_plan *plan, int pack)
{
    for (int k = 0; k < plan->nsteps; k++)
        if (gram_reads_pack(plan->steps[k], pack))
            return true;
    return false;
}

/* A pack is made when it is first read; or, where what it packs is not needed any more, at once. */
static void set_order(gram_ctx *ctx, gram_plan *plan)
{
    char *made = gram_alloc(ctx, (size_t)plan->npacks + 1);
    plan->order = gram_alloc(ctx, (size_t)(plan->npacks + plan->nsteps + 1) * sizeof *plan->order);
    for (int k = 0; k < 2 * plan->nsteps; k++) {
        const gram_step *step = plan->steps[k / 2];
        for (int pack = 0; pack < plan->npacks; pack++) {
            bool now = k % 2 ? is_packed(plan, pack) && finishes(plan, k / 2, plan->packs[pack].buffer)
                             : gram_reads_pack(step, pack);
            if (now && !made[pack])
                plan->order[plan->norder++] = (gram_phase){pack, -1};
            made[pack] |= now;
        }
        if (k % 2 == 0)
            plan->order[plan->norder++] = (gram_phase){-1, k / 2};
    }
}

/* --- lives -------------------------------------------------------------------------------------------------------- */

typedef struct lives {
    gram_plan *plan;
    gram_life *buffers, *packs, *states; /* parts of plan->lives */
} lives;

static void extend(gram_life *life, int phase)
{
    life->first = life->last < 0 ? phase : life->first;
    life->last = phase;
}

/* Where two loops of few queries go by different sizes, one of them may run though the other does not. */
static void extend_few(gram_life *life, int phase, gram_dim queries)
{
    if (life->few_last >= 0 && !gram_dim_equal(life->few, queries))
        extend(life, phase);
    life->few_last = phase;
    life->few = queries;
}

static void follow_phase(lives *l, int phase)
{
    const gram_plan *plan = l->plan;
    const int pack = plan->order[phase].pack, at = plan->order[phase].step;
    const gram_step *step = at >= 0 ? plan->steps[at] : NULL;
    for (int k = 0; k < plan->nbuffers; k++) {
        const int base = gram_buffer_base(plan, k);
        if (plan->buffers[base].storage != GRAM_AT_WORK && plan->buffers[base].storage != GRAM_AT_OUTPUT)
            continue;
        if (step ? reads(step, k, ALWAYS) || writes(plan, step, base) : plan->packs[pack].buffer == k)
            extend(&l->buffers[base], phase);
        else if (step && reads(step, k, FEW_TOO))
            extend_few(&l->buffers[base], phase, step->queries);
    }
    for (int k = 0; k < plan->npacks; k++)
        if (step ? gram_reads_pack(step, k) : k == pack)
            extend(&l->packs[k], phase);
    if (step && gram_has_states(plan, step))
        extend(&l->states[at], phase);
}

static gram_life life_of(gram_life_kind kind, int index, gram_dim rows, gram_dim cols, gram_dim each, int heads)
{
    return (gram_life){.kind = kind,
                       .index = index,
                       .first = -1,
                       .last = -1,
                       .few_last = -1,
                       .room = -1,
                       .nominal = gram_dim_nominal(rows) * gram_dim_nominal(cols) * gram_dim_nominal(each) *
                                  (heads > 1 ? heads : 1),
                       .grows = !gram_dim_known(rows) || !gram_dim_known(cols) || !gram_dim_known(each)};
}

/* In a scan's plan, what is the same for all columns is made before the first, and read to the last. */
static void hold_captured(const gram_plan *plan, gram_life *life)
{
    if (life->kind == GRAM_LIFE_STATES || life->last < 0)
        return;
    const int buffer = life->kind == GRAM_LIFE_PACK ? plan->packs[life->index].buffer : life->index;
    if (!plan->buffers[buffer].batched) {
        life->first = 0;
        life->last = plan->norder;
    }
}

/* The numbers that a step with sides keeps: its sums, and its sides', where they are not in place. */
static double side_states(const gram_plan *plan, const gram_step *step)
{
    const int pad = gram_pad(plan);
    double sums = 0, sides = 0;
    for (int k = 0; k < step->nsums && !gram_sums_in_place(plan, step); k++)
        sums += ceil(gram_dim_nominal(step->sums[k].rows) / pad) * pad;
    for (int k = 0; k < step->nsides && !gram_sides_in_place(plan, step); k++)
        sides += ceil(gram_dim_nominal(step->sides[k].rows) / pad) * pad;
    return ((sums + step->nstats) * gram_dim_nominal(step->queries) + sides * gram_dim_nominal(step->lanes)) *
           gram_dim_nominal(step->each) * (step->heads > 1 ? step->heads : 1);
}

/* The numbers that a walk back keeps of the walk within it. */
static double kept_states(const gram_step *step)
{
    const gram_walk *before = gram_walk_before(step);
    double width = 0;
    for (int k = 0; before && k < before->scan->nstates; k++)
        width += gram_dim_nominal(before->scan->inputs[k]->rows) * gram_dim_nominal(before->scan->inputs[k]->cols);
    return width * gram_dim_nominal(step->queries) / GRAM_SEGMENT_COLUMNS * (step->heads > 1 ? step->heads : 1);
}

static void set_lives(gram_ctx *ctx, gram_plan *plan)
{
    plan->nlives = plan->nbuffers + plan->npacks + plan->nsteps;
    plan->lives = gram_alloc(ctx, (size_t)(plan->nlives + 1) * sizeof *plan->lives);
    lives l = {plan, plan->lives, plan->lives + plan->nbuffers, plan->lives + plan->nbuffers + plan->npacks};
    for (int k = 0; k < plan->nbuffers; k++) {
        const gram_buffer *b = &plan->buffers[k];
        l.buffers[k] = life_of(GRAM_LIFE_BUFFER, k, b->rows, b->cols, b->each, b->heads);
    }
    for (int k = 0; k < plan->npacks; k++) {
        const gram_buffer *b = &plan->buffers[plan->packs[k].buffer];
        l.packs[k] = life_of(GRAM_LIFE_PACK, k, b->rows, b->cols, b->each, b->heads);
    }
    for (int k = 0; k < plan->nsteps; k++) {
        const gram_step *step = plan->steps[k];
        gram_dim rows = step->nsums ? step->sums[0].rows : gram_dim_number(1);
        l.states[k] = life_of(GRAM_LIFE_STATES, k, rows, step->queries, step->each, step->heads);
        l.states[k].grows = true;
        if (step->nsides)
            l.states[k].nominal = side_states(plan, step);
        else if (gram_walk_before(step))
            l.states[k].nominal = kept_states(step);
        l.states[k].alone = step->few == GRAM_FEW_PERHAPS;
    }
    for (int phase = 0; phase < plan->norder; phase++)
        follow_phase(&l, phase);
    for (int k = 0; k < plan->nlives && plan->spec->scan; k++)
        hold_captured(plan, &plan->lives[k]);
}

/* --- rooms -------------------------------------------------------------------------------------------------------- */

bool gram_is_output(const gram_plan *plan, const gram_life *life)
{
    return life->kind == GRAM_LIFE_BUFFER && plan->buffers[life->index].storage == GRAM_AT_OUTPUT;
}

static int largest_first(const void *a, const void *b)
{
    const gram_life *x = a, *y = b;
    if (x->nominal != y->nominal)
        return x->nominal < y->nominal ? 1 : -1;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : x->index - y->index;
}

/* Does a step of blocks of queries read the buffer in no other way than as its blocks, or, where what it stores lies
 * under what it read, tile by tile? Then its result may take the buffer's place. */
static bool reads_blocks(const gram_step *step, int buffer)
{
    gram_step others = *step;
    bool map = !strcmp(step->template, "map");
    for (int k = 0; k < others.nleaves; k++)
        if (others.leaves[k].right == buffer)
            others.leaves[k].right = -1;
    if (map && step->nstores == 1)
        others.program.n = others.stores[0].program.n = 0;
    for (int k = 0; map && k < step->program.n; k++) {
        const gram_instr *instr = &step->program.instr[k];
        if (instr->buffer == buffer && (instr->kind == GRAM_I_GATHER || instr->rate != GRAM_RATE_PAIR))
            return false;
    }
    return !reads(&others, buffer, FEW_TOO);
}

/* Does a scan read the buffer as columns alone, each before what is made of it is stored? */
static bool reads_columns(const gram_step *step, int buffer)
{
    bool columns = true;
    for (int k = 0; k < step->nsums; k++) {
        const int input = k - step->walk->scan->nstates;
        columns &= step->sums[k].left != buffer || (input >= 0 && input < step->walk->scan->ncolumns);
    }
    return columns;
}

/* May an array that has views be laid otherwise, and overwritten by the step? They are the array turned, and the step
 * reads none. */
static bool views_allow(const gram_plan *plan, const gram_step *step, int buffer)
{
    bool allow = true;
    for (int k = 0; k < plan->nbuffers && allow; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer)
            allow =
                plan->buffers[k].view == GRAM_VIEW_TRANSPOSE && !reads(step, k, FEW_TOO) && views_allow(plan, step, k);
    return allow;
}

/* What the step stores into the array: that itself, or the view of it as heads; NULL: another view, or nothing. */
static gram_buffer *stored(const gram_plan *plan, const gram_step *step, int buffer)
{
    for (int k = 0; k < step->nstores; k++) {
        gram_buffer *to = &plan->buffers[step->stores[k].buffer];
        bool split = to->storage == GRAM_AT_VIEW && to->view == GRAM_VIEW_SPLIT && to->base == buffer;
        if (split || step->stores[k].buffer == buffer)
            return to;
    }
    return NULL;
}

/* Has what the step stores the shape of the array, and a column for each of the step's queries? */
static bool is_stored_alike(const gram_step *step, const gram_buffer *from, const gram_buffer *to)
{
    return to->type == from->type && gram_dim_equal(to->rows, from->rows) && gram_dim_equal(to->cols, from->cols) &&
           gram_dim_equal(to->cols, step->queries) && to->heads == from->heads && to->heads == step->heads &&
           to->batched == from->batched && to->batched == step->batched && gram_dim_equal(to->each, from->each) &&
           gram_dim_equal(to->each, step->each);
}

/* Does the step store each part of its result after the last look at that part of the array? */
static bool reads_in_turn(const gram_plan *plan, const gram_step *step, int buffer)
{
    if (step->walk)
        return reads_columns(step, buffer);
    bool blocks = !strcmp(step->template, "map") || !strcmp(step->template, "stream");
    return blocks && gram_dim_is(step->outer, 1) && !gram_sums_in_place(plan, step) && reads_blocks(step, buffer);
}

/* Is b made where a, made before, is last read, block by block or column by column in a's place? Heads of a then lie as
 * those of b do. */
static bool takes_over(const gram_plan *plan, const gram_life *a, const gram_life *b)
{
    if (a->first >= b->first || a->last != b->first || a->kind != GRAM_LIFE_BUFFER || b->kind != GRAM_LIFE_BUFFER ||
        plan->order[b->first].step < 0)
        return false;
    const gram_step *step = plan->steps[plan->order[b->first].step];
    const gram_buffer *from = &plan->buffers[a->index], *to = stored(plan, step, b->index);
    return to && is_stored_alike(step, from, to) && views_allow(plan, step, a->index) &&
           reads_in_turn(plan, step, a->index);
}

/* Puts a's heads inside a token where what takes over has them there, or is itself taken over so. */
static void lay_as_successor(const gram_plan *plan, const gram_life *a)
{
    for (int k = 0; k < plan->nlives; k++) {
        const gram_life *b = &plan->lives[k];
        if (a->room < 0 || a->room != b->room || !takes_over(plan, a, b))
            continue;
        const gram_buffer *to = &plan->buffers[b->index];
        gram_buffer *from = &plan->buffers[a->index];
        from->flat = to->heads != from->heads || (to->flat && to->storage == GRAM_AT_WORK);
    }
}

/* Later arrays first: those that take over are laid out when what they take over is. */
static void lay_alike(gram_plan *plan)
{
    for (int phase = plan->norder - 1; phase >= 0; phase--)
        for (int k = 0; k < plan->nlives; k++)
            if (plan->lives[k].last == phase)
                lay_as_successor(plan, &plan->lives[k]);
}

static bool meet(const gram_plan *plan, const gram_life *a, const gram_life *b)
{
    return a->first <= b->last && b->first <= a->last && !takes_over(plan, a, b) && !takes_over(plan, b, a);
}

/* May the array stand in the caller's array of an output, until that is written? The strides are the caller's. */
static bool fits_output(const gram_plan *plan, const gram_life *life, const gram_life *output)
{
    const gram_buffer *a = &plan->buffers[life->index], *b = &plan->buffers[output->index];
    return life->kind == GRAM_LIFE_BUFFER && a->type == b->type && !b->half && !gram_overwrites(plan, output->index) &&
           gram_dim_equal(a->rows, b->rows) && gram_dim_equal(a->cols, b->cols) && a->heads == b->heads &&
           a->batched == b->batched && gram_dim_equal(a->each, b->each) && !b->weights && !a->read_beyond &&
           life->few_last <= life->last;
}

static bool may_share(const gram_plan *plan, const gram_life *life, const gram_life *other)
{
    if (gram_is_output(plan, other) && (plan->spec->scan || !fits_output(plan, life, other)))
        return false;
    return !other->alone && !life->alone && other->grows == life->grows && !meet(plan, other, life);
}

static void choose_room(gram_plan *plan, gram_life *life)
{
    bool free = false;
    while (!free) {
        free = true;
        life->room++;
        for (int k = 0; k < plan->nlives && free; k++)
            free =
                &plan->lives[k] == life || plan->lives[k].room != life->room || may_share(plan, life, &plan->lives[k]);
    }
    plan->nrooms = life->room >= plan->nrooms ? life->room + 1 : plan->nrooms;
}

void gram_schedule(gram_ctx *ctx, gram_plan *plan)
{
    gram_order_steps(ctx, plan);
    set_order(ctx, plan);
    set_lives(ctx, plan);
    qsort(plan->lives, (size_t)plan->nlives, sizeof *plan->lives, largest_first);
    for (int k = 0; k < plan->nlives; k++)
        if (gram_is_output(plan, &plan->lives[k])) {
            plan->lives[k].last = plan->norder;
            plan->lives[k].room = plan->nrooms++;
        }
    for (int k = 0; k < plan->nlives; k++)
        if (plan->lives[k].last >= 0 && plan->lives[k].room < 0)
            choose_room(plan, &plan->lives[k]);
    lay_alike(plan);
}
