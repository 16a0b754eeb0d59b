/* Which loop a stream's sums have, once its program is known:
 *
 *   linear  the coefficients are products kept where they are causal, perhaps with a decay (plan_linear.c): (K'Q) summed
 *           with V is V K' times Q, so that all keys before a block of queries come in as one matrix, and the cost is
 *           linear in the tokens
 *   few     the queries fit one block, which may be known only when the kernel runs: keys are read where they lie, once
 *           for all heads that share them, and cut into parts for the threads
 *
 * and else blocks of queries over keys that are packed beforehand. */
#include <string.h>

#include "planner.h"

/* Of bits, which are packed beforehand? */
static bool holds_bits(const gram_step *step)
{
    bool bits = false;
    for (int k = 0; k < step->nleaves; k++)
        bits |= step->leaves[k].bits;
    return bits;
}

static gram_few few(const gram_step *step)
{
    if (gram_dim_known(step->lanes) || !gram_dim_is(step->outer, 1))
        return GRAM_FEW_NEVER;
    if (!gram_dim_known(step->queries))
        return step->nleaves ? GRAM_FEW_PERHAPS : GRAM_FEW_NEVER;
    return step->queries.number <= GRAM_FEW_QUERIES ? GRAM_FEW_ALWAYS : GRAM_FEW_NEVER;
}

void gram_choose_loop(gram_planner *p, gram_step *step)
{
    step->linear = holds_bits(step) ? NULL : gram_linear_of(p, step);
    if (holds_bits(step))
        step->few = GRAM_FEW_NEVER;
    else if (step->linear)
        step->template = "linear";
    else
        step->few = step->nsides ? GRAM_FEW_NEVER : few(step);
}

bool gram_is_linear(const gram_step *step)
{
    return step->linear != NULL;
}

bool gram_is_direct(const gram_plan *plan, const gram_step *step)
{
    return !strcmp(step->template, "map") && step->mask < 0 && step->program.instr[step->root].kind == GRAM_I_LEAF &&
           !plan->buffers[step->stores[0].buffer].half;
}

bool gram_has_parts(const gram_step *step)
{
    bool few_keys = gram_dim_known(step->lanes) && step->lanes.number <= GRAM_PART_KEYS;
    return step->few != GRAM_FEW_NEVER && !few_keys && !gram_dim_equal(step->queries, step->lanes);
}

/* Can rows of vectors be added up in the array where they lie? */
static bool holds_vectors(const gram_plan *plan, int buffer, gram_dim rows)
{
    return gram_buffer_contiguous(plan, buffer) && !*gram_half(plan, buffer) && gram_is_whole_vectors(plan, rows);
}

/* The sum that a store takes as it is, or -1. */
static int stored_sum(const gram_store_plan *store)
{
    const gram_instr *root = &store->program.instr[store->root];
    return root->kind == GRAM_I_SUM_OF && store->mask < 0 ? root->index : -1;
}

bool gram_sums_in_place(const gram_plan *plan, const gram_step *step)
{
    int direct = 0;
    if (!step->nsides || !step->nsums)
        return false;
    for (int k = 0; k < step->nstores; k++) {
        const gram_store_plan *store = &step->stores[k];
        const int sum = stored_sum(store);
        direct += sum >= 0 && holds_vectors(plan, store->buffer, step->sums[sum].rows);
        for (int i = 0; i < store->program.n && sum < 0; i++)
            if (store->program.instr[i].kind == GRAM_I_SUM_OF)
                return false;
    }
    return direct == step->nsums;
}

bool gram_sides_in_place(const gram_plan *plan, const gram_step *step)
{
    bool all = step->nsides > 0;
    for (int k = 0; k < step->nsides && all; k++)
        all = step->sides[k].left < 0 || holds_vectors(plan, step->sides[k].buffer, step->sides[k].rows);
    return all;
}

bool gram_is_stored_in_place(const gram_plan *plan, const gram_step *step, const gram_store_plan *store)
{
    return gram_sums_in_place(plan, step) && stored_sum(store) >= 0;
}

const gram_walk *gram_walk_before(const gram_step *step)
{
    return step->walk ? step->walk->before : NULL;
}

bool gram_has_states(const gram_plan *plan, const gram_step *step)
{
    if (step->walk)
        return step->walk->before != NULL;
    if (step->nsides)
        return step->nstats || !gram_sides_in_place(plan, step) || (step->nsums && !gram_sums_in_place(plan, step));
    return gram_is_linear(step) || step->few != GRAM_FEW_NEVER;
}

int gram_pair_products(const gram_step *step, gram_dim *dims)
{
    int n = 0;
    for (int k = 0; k < step->nleaves; k++)
        dims[n++] = step->leaves[k].inner;
    for (int k = 0; k < step->nsums; k++)
        dims[n++] = step->sums[k].rows;
    for (int k = 0; k < step->nsides; k++)
        dims[n++] = step->sides[k].rows;
    return n;
}

bool gram_reads_pack(const gram_step *step, int pack)
{
    bool reads = false;
    for (int k = 0; k < step->nleaves; k++)
        reads |= step->leaves[k].pack == pack;
    for (int k = 0; k < step->nsums; k++)
        reads |= step->sums[k].pack == pack;
    for (int k = 0; k < step->nsides; k++)
        reads |= step->sides[k].pack == pack;
    return reads && step->few != GRAM_FEW_ALWAYS && !gram_is_linear(step);
}
