/* Schedule: in which order packs and steps run, and which arrays of the workspace take turns in one room.
 *
 * A pack is made when it is first read. An array of the workspace lives from the phase that first writes it to the one
 * that last reads it; arrays whose lives do not meet may stand in the same room, which is as large as its largest. Sizes
 * are known only when the kernel runs, so large ones by their nominal size choose first, and each takes the first room
 * that is free while it lives. What grows with a runtime size shares no room with what does not. */
#include <stdlib.h>

#include "chain.h"
#include "plan.h"

/* --- what a step reads --------------------------------------------------------------------------------------------- */

static bool loads(const gram_program *program, int buffer)
{
    for (int k = 0; k < program->n; k++)
        if ((program->instr[k].kind == GRAM_I_LOAD || program->instr[k].kind == GRAM_I_GATHER) &&
            program->instr[k].buffer == buffer)
            return true;
    return false;
}

/* Is a factor that has a pack read where it lies too? */
static bool reads_in_place(const gram_step *step, int pack)
{
    return pack < 0 || step->few != GRAM_FEW_NEVER || gram_is_linear(step);
}

/* Does the step read the buffer itself? With `packed`, or a pack of it? */
static bool reads(const gram_step *step, int buffer, bool packed)
{
    bool read = loads(&step->program, buffer);
    for (int k = 0; k < step->nleaves; k++) {
        const gram_leaf *leaf = &step->leaves[k];
        read |= leaf->right == buffer || (leaf->left == buffer && (packed || reads_in_place(step, leaf->pack)));
    }
    for (int k = 0; k < step->nsums; k++)
        read |= step->sums[k].left == buffer && (packed || reads_in_place(step, step->sums[k].pack));
    for (int k = 0; k < step->nstores; k++)
        read |= loads(&step->stores[k].program, buffer);
    return read;
}

bool gram_is_read(const gram_plan *plan, int buffer)
{
    for (int k = 0; k < plan->nsteps; k++)
        if (reads(plan->steps[k], buffer, true))
            return true;
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer && gram_is_read(plan, k))
            return true;
    return false;
}

bool gram_is_optional(const gram_plan *plan, int buffer)
{
    while (plan->buffers[buffer].storage == GRAM_AT_VIEW)
        buffer = plan->buffers[buffer].base;
    return plan->buffers[buffer].storage == GRAM_AT_OUTPUT && !gram_is_read(plan, buffer);
}

/* --- order --------------------------------------------------------------------------------------------------------- */

static void set_order(gram_ctx *ctx, gram_plan *plan)
{
    char *made = gram_alloc(ctx, (size_t)plan->npacks + 1);
    plan->order = gram_alloc(ctx, (size_t)(plan->npacks + plan->nsteps + 1) * sizeof *plan->order);
    for (int k = 0; k < plan->nsteps; k++) {
        for (int pack = 0; pack < plan->npacks; pack++)
            if (!made[pack] && gram_reads_pack(plan->steps[k], pack)) {
                made[pack] = 1;
                plan->order[plan->norder++] = (gram_phase){pack, -1};
            }
        plan->order[plan->norder++] = (gram_phase){-1, k};
    }
}

/* --- lives --------------------------------------------------------------------------------------------------------- */

typedef struct lives {
    gram_plan *plan;
    gram_life *buffers, *packs, *states; /* parts of plan->lives */
} lives;

static void extend(gram_life *life, int phase)
{
    life->first = life->last < 0 ? phase : life->first;
    life->last = phase;
}

static bool writes(const gram_step *step, int buffer)
{
    for (int k = 0; k < step->nstores; k++)
        if (step->stores[k].buffer == buffer)
            return true;
    return false;
}

static void follow_phase(lives *l, int phase)
{
    const gram_plan *plan = l->plan;
    const int pack = plan->order[phase].pack, at = plan->order[phase].step;
    const gram_step *step = at >= 0 ? plan->steps[at] : NULL;
    for (int k = 0; k < plan->nbuffers; k++) {
        int base = k;
        while (plan->buffers[base].storage == GRAM_AT_VIEW)
            base = plan->buffers[base].base;
        bool used = step ? reads(step, k, false) || writes(step, k) : plan->packs[pack].buffer == k;
        if (used && plan->buffers[base].storage == GRAM_AT_WORK)
            extend(&l->buffers[base], phase);
    }
    for (int k = 0; k < plan->npacks; k++)
        if (step ? gram_reads_pack(step, k) : k == pack)
            extend(&l->packs[k], phase);
    if (step && (gram_is_linear(step) || step->few != GRAM_FEW_NEVER))
        extend(&l->states[at], phase);
}

static gram_life life_of(gram_life_kind kind, int index, gram_dim rows, gram_dim cols, int heads)
{
    return (gram_life){.kind = kind,
                       .index = index,
                       .first = -1,
                       .last = -1,
                       .room = -1,
                       .nominal = gram_dim_nominal(rows) * gram_dim_nominal(cols) * (heads > 1 ? heads : 1),
                       .grows = !gram_dim_known(rows) || !gram_dim_known(cols)};
}

static void set_lives(gram_ctx *ctx, gram_plan *plan)
{
    plan->nlives = plan->nbuffers + plan->npacks + plan->nsteps;
    plan->lives = gram_alloc(ctx, (size_t)(plan->nlives + 1) * sizeof *plan->lives);
    lives l = {plan, plan->lives, plan->lives + plan->nbuffers, plan->lives + plan->nbuffers + plan->npacks};
    for (int k = 0; k < plan->nbuffers; k++) {
        const gram_buffer *b = &plan->buffers[k];
        l.buffers[k] = life_of(GRAM_LIFE_BUFFER, k, b->rows, b->cols, b->heads);
    }
    for (int k = 0; k < plan->npacks; k++) {
        const gram_buffer *b = &plan->buffers[plan->packs[k].buffer];
        l.packs[k] = life_of(GRAM_LIFE_PACK, k, b->rows, b->cols, b->heads);
    }
    for (int k = 0; k < plan->nsteps; k++) {
        const gram_step *step = plan->steps[k];
        gram_dim rows = step->nsums ? step->sums[0].rows : gram_dim_number(1);
        l.states[k] = life_of(GRAM_LIFE_STATES, k, rows, step->queries, step->heads);
        l.states[k].grows = true;
    }
    for (int phase = 0; phase < plan->norder; phase++)
        follow_phase(&l, phase);
}

/* --- rooms --------------------------------------------------------------------------------------------------------- */

static int largest_first(const void *a, const void *b)
{
    const gram_life *x = a, *y = b;
    if (x->nominal != y->nominal)
        return x->nominal < y->nominal ? 1 : -1;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : x->index - y->index;
}

static bool meet(const gram_life *a, const gram_life *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static bool is_free(const gram_plan *plan, int room, const gram_life *life)
{
    for (int k = 0; k < plan->nlives; k++)
        if (plan->lives[k].room == room && (meet(&plan->lives[k], life) || plan->lives[k].grows != life->grows))
            return false;
    return true;
}

void gram_schedule(gram_ctx *ctx, gram_plan *plan)
{
    set_order(ctx, plan);
    set_lives(ctx, plan);
    qsort(plan->lives, (size_t)plan->nlives, sizeof *plan->lives, largest_first);
    for (int k = 0; k < plan->nlives; k++) {
        gram_life *life = &plan->lives[k];
        int room = 0;
        while (life->last >= 0 && !is_free(plan, room, life))
            room++;
        life->room = life->last >= 0 ? room : -1;
        plan->nrooms = life->room >= plan->nrooms ? life->room + 1 : plan->nrooms;
    }
}
