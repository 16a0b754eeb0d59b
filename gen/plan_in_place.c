/* Outputs in place: one whose array is an input's. A cache of keys grows by where(j = length, new, old): of that only
 * what is new is stored, and tiles without any are passed over. Any other formula may read its input as well, at the
 * very entry that it stores; nothing else may, for when that is overwritten depends on the order of the steps. */
#include <string.h>

#include "planner.h"

const gram_input *gram_overwrites(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    return b->storage == GRAM_AT_OUTPUT ? plan->spec->outputs[b->index].over : NULL;
}

static bool is_input(const gram_node *node, const gram_input *input)
{
    return node->op == GRAM_OP_INPUT && node->input->index == input->index;
}

bool gram_plan_change(gram_planner *p, int buffer, gram_node *node, gram_node **value, const gram_node **keep)
{
    const gram_input *old = gram_overwrites(p->plan, buffer);
    if (!old || node->op != GRAM_OP_WHERE || node->keep)
        return false;
    const bool last = is_input(node->args[2], old);
    if (!last && !is_input(node->args[1], old))
        return false;
    *value = node->args[last ? 1 : 2];
    *keep = last ? node->args[0] : gram_node_unary(p->ctx, node->loc, GRAM_OP_NOT, node->args[0]);
    return true;
}

/* Does the step read the input only where it stores? */
static bool reads_own(const gram_plan *plan, const gram_step *step, int input, int output)
{
    gram_step others = *step;
    bool own = !strcmp(step->template, "map") && step->stores[0].buffer == output;
    for (int k = 0; k < step->program.n; k++) {
        const gram_instr *instr = &step->program.instr[k];
        own &= instr->buffer != input || instr->kind != GRAM_I_GATHER;
    }
    others.program.n = others.stores[0].program.n = 0;
    return own && !gram_reads(&others, input) && plan->buffers[input].storage == GRAM_AT_INPUT;
}

static void check_output(gram_planner *p, int output)
{
    const gram_plan *plan = p->plan;
    const gram_input *old = gram_overwrites(plan, output);
    for (int b = 0; b < plan->nbuffers; b++)
        for (int k = 0; k < plan->nsteps && gram_buffer_base(plan, b) == old->index; k++)
            if (gram_reads(plan->steps[k], b) && !reads_own(plan, plan->steps[k], b, output))
                gram_fail(
                    p->ctx, plan->buffers[output].node->loc,
                    "kernel: inplace: %s overwrites %s, which is read for something else too: that has to read %s",
                    plan->buffers[output].name, old->name, plan->buffers[output].name);
}

void gram_plan_check_in_place(gram_planner *p)
{
    for (int b = 0; b < p->plan->nbuffers; b++)
        if (gram_overwrites(p->plan, b))
            check_output(p, b);
}
