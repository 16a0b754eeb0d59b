/* Arrays of 16-bit floats, which only a caller holds. Most loops read an input as it lies: loads, packs, blocks
 * and rows of it are widened as they are made. What else reads one takes a copy of reals; what an output holds
 * is computed as reals, which others may need, and rounded by a step of its own, or where nothing else reads
 * it, when it is stored. */
#include <string.h>

#include "planner.h"

int gram_plan_copy(gram_planner *p, gram_node *node, bool (*serves)(const gram_plan *plan, int buffer))
{
    int buffer = gram_plan_buffer(p, node);
    if (serves(p->plan, buffer))
        return buffer;
    for (int k = 0; k < p->plan->nbuffers; k++)
        if (p->plan->buffers[k].node == node && serves(p->plan, k))
            return k;
    int copy = gram_plan_new_buffer(p, gram_buffer_like(node));
    gram_plan_map(p, node, copy);
    return copy;
}

static bool holds_reals(const gram_plan *plan, int buffer)
{
    return !plan->buffers[buffer].half;
}

int gram_plan_reals(gram_planner *p, gram_node *node)
{
    return gram_plan_copy(p, node, holds_reals);
}

const char *gram_half(const gram_plan *plan, int buffer)
{
    return plan->buffers[buffer].half ? plan->real->half : "";
}

/* --- stores without a step of their own --------------------------------------------------------------------------- */

static bool is_alike(const gram_buffer *a, const gram_buffer *b)
{
    return a->heads == b->heads && a->batched == b->batched && gram_dim_equal(a->each, b->each);
}

/* The array that the step copies, entry by entry, into the output; -1: it does something else. */
static int copied(const gram_plan *plan, const gram_step *step, int output)
{
    const gram_instr *root = &step->program.instr[step->root];
    if (strcmp(step->template, "map") != 0 || step->mask >= 0 ||
        gram_buffer_base(plan, step->stores[0].buffer) != output)
        return -1;
    if (gram_is_spread(root))
        root = &step->program.instr[root->args[0]];
    if (root->kind != GRAM_I_LOAD)
        return -1;
    const gram_buffer *from = &plan->buffers[root->buffer], *to = &plan->buffers[step->stores[0].buffer];
    bool views = from->storage == GRAM_AT_VIEW && to->storage == GRAM_AT_VIEW && from->view == GRAM_VIEW_TRANSPOSE &&
                 to->view == GRAM_VIEW_TRANSPOSE && to->base == output;
    bool whole = from->storage == GRAM_AT_WORK && to->storage == GRAM_AT_OUTPUT;
    int source = views ? from->base : root->buffer;
    return (views || whole) && is_alike(&plan->buffers[source], &plan->buffers[output]) ? source : -1;
}

/* Does some step write the array otherwise than as tiles, or is it seen in another shape? */
static bool is_bound(const gram_plan *plan, int array)
{
    bool bound = plan->buffers[array].storage != GRAM_AT_WORK;
    for (int b = 0; b < plan->nbuffers; b++) {
        const gram_buffer *view = &plan->buffers[b];
        if (gram_buffer_base(plan, b) != array)
            continue;
        bound |= view->storage == GRAM_AT_VIEW && view->view == GRAM_VIEW_SHAPE;
        for (int k = 0; k < plan->nsteps; k++) {
            const char *by = plan->steps[k]->template;
            bool tiles = !strcmp(by, "map") || !strcmp(by, "stream") || !strcmp(by, "linear") || !strcmp(by, "scan");
            bound |= gram_writes(plan->steps[k], b) && !tiles;
        }
    }
    return bound;
}

/* What is written into the array goes into the output. */
static void redirect(gram_plan *plan, int array, int output)
{
    for (int b = 0; b < plan->nbuffers; b++)
        plan->buffers[b].half |= gram_buffer_base(plan, b) == array && b != array;
    for (int b = 0; b < plan->nbuffers; b++)
        if (plan->buffers[b].storage == GRAM_AT_VIEW && plan->buffers[b].base == array)
            plan->buffers[b].base = output;
    for (int k = 0; k < plan->nsteps; k++) {
        gram_step *step = plan->steps[k];
        for (int s = 0; s < step->nstores; s++)
            if (step->stores[s].buffer == array)
                step->stores[s].buffer = output;
        for (int s = 0; s < step->nsides; s++)
            if (step->sides[s].buffer == array)
                step->sides[s].buffer = output;
    }
}

/* Does any step but k read the array, or a view of it? */
static bool is_read_besides(const gram_plan *plan, int array, int k)
{
    for (int b = 0; b < plan->nbuffers; b++)
        for (int other = 0; other < plan->nsteps && gram_buffer_base(plan, b) == array; other++)
            if (other != k && gram_reads(plan->steps[other], b))
                return true;
    return false;
}

/* Takes out step k where it copies what nothing else reads. */
static bool store_at_once(gram_plan *plan, int k, int output)
{
    const int array = copied(plan, plan->steps[k], output);
    if (array < 0 || is_bound(plan, array) || is_read_besides(plan, array, k))
        return false;
    plan->nsteps--;
    memmove(plan->steps + k, plan->steps + k + 1, (size_t)(plan->nsteps - k) * sizeof *plan->steps);
    redirect(plan, array, output);
    return true;
}

void gram_plan_store_at_once(gram_plan *plan, int first)
{
    for (int output = first; output < first + plan->spec->noutputs; output++)
        for (int k = plan->nsteps - 1; k >= 0 && plan->buffers[output].half; k--)
            if (store_at_once(plan, k, output))
                break;
}
