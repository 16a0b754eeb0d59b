/* Names of arrays and steps, for the reader of emitted C, given when the plan is made. An array of the workspace that
 * is a product of what has a name is named after its factors (WK_X), any other after the operation that gives it; a
 * view after what it looks at, a step after what it computes. A number tells apart what would be named alike, in order
 * of the steps. */
#include <string.h>

#include "planner.h"

enum { LONGEST = 14 };

static bool is_named(const gram_plan *plan, const char *name)
{
    static const char *const fields[] = {"args", "scratch", "scratch_size", "batch", "threads"}; /* of the job struct */
    bool named = false;
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
        named |= !strcmp(fields[k], name);
    for (int k = 0; k < plan->spec->nsizes; k++)
        named |= !strcmp(plan->spec->sizes[k], name);
    for (int k = 0; k < plan->nbuffers; k++)
        named |= plan->buffers[k].name && !strcmp(plan->buffers[k].name, name);
    for (int k = 0; k < plan->nsteps; k++)
        named |= plan->steps[k]->name && !strcmp(plan->steps[k]->name, name);
    return named;
}

/* name, with a number where that is taken. */
static const char *free_name(gram_planner *p, const char *name)
{
    const char *free = name;
    for (int k = 2; is_named(p->plan, free); k++)
        free = gram_format(p->ctx, "%s%d", name, k);
    return free;
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

/* "WK_X" of WK X, whichever way its factors are turned; NULL where a factor is a formula that has no array. */
static const char *factor_name(gram_planner *p, const gram_node *node)
{
    const char *own =
        node->id < p->known && p->computed[node->id] ? p->plan->buffers[p->buffer[node->id] - 1].name : NULL;
    if (node->op == GRAM_OP_INPUT)
        return node->input->name;
    if (node->op == GRAM_OP_TRANSPOSE || node->op == GRAM_OP_HEAD_AT || node->op == GRAM_OP_CONCAT_HEADS)
        return factor_name(p, node->args[0]);
    if (node->op != GRAM_OP_MATMUL)
        return own;
    const char *left = factor_name(p, node->args[0]), *right = factor_name(p, node->args[1]);
    bool both = left && right && strlen(left) + strlen(right) < LONGEST;
    return both ? gram_format(p->ctx, "%s_%s", left, right) : own;
}

/* "tanh_values" of a scalar operation that is not in the table, by its name in ops.def. */
static const char *operation_name(gram_ctx *ctx, const gram_node *node)
{
    static const struct {
        gram_op op;
        const char *name;
    } names[] = {
        {GRAM_OP_MATMUL, "product"},      {GRAM_OP_SQDIST, "distances"},
        {GRAM_OP_DIST1, "distances"},     {GRAM_OP_SUM, "sums"},
        {GRAM_OP_MAXIMUM, "maxima"},      {GRAM_OP_SOFTMAX, "weights"},
        {GRAM_OP_PEAK, "peaks"},          {GRAM_OP_LOGSUM, "logsums"},
        {GRAM_OP_LOGSUMEXP, "logsumexp"}, {GRAM_OP_THRESHOLD, "thresholds"},
        {GRAM_OP_CUMSUM, "running_sums"}, {GRAM_OP_CUMSUM_LOST, "lost_sums"},
        {GRAM_OP_EXPM, "exponential"},    {GRAM_OP_INVERSE, "inverse"},
        {GRAM_OP_HCAT, "beside"},         {GRAM_OP_VCAT, "stacked"},
        {GRAM_OP_CONCAT_HEADS, "joined"}, {GRAM_OP_STACK_HEADS, "heads"},
        {GRAM_OP_SCATTER, "scattered"},   {GRAM_OP_OVER, "over_tokens"},
        {GRAM_OP_SCAN, "walked"},         {GRAM_OP_EXPAND, "repeated"},
        {GRAM_OP_GATHER, "gathered"},     {GRAM_OP_ADD, "added"},
        {GRAM_OP_SUB, "difference"},      {GRAM_OP_MUL, "scaled"},
        {GRAM_OP_DIV, "quotient"},        {GRAM_OP_WHERE, "chosen"},
    };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (names[k].op == node->op)
            return names[k].name;
    return gram_format(ctx, "%s_values", gram_ops[node->op].name);
}

static const char *array_name(gram_planner *p, const gram_node *node)
{
    while (node->op == GRAM_OP_TRANSPOSE || node->op == GRAM_OP_KEEP || node->op == GRAM_OP_CONCAT_HEADS)
        node = node->args[0];
    if (node->op == GRAM_OP_MATMUL && node->args[1]->op == GRAM_OP_SOFTMAX)
        return "attended"; /* tokens weighted by a softmax, which is what most formulas are about */
    if (node->op == GRAM_OP_INPUT)
        return gram_format(p->ctx, "%s_copy", node->input->name);
    const char *factors = node->op == GRAM_OP_MATMUL ? factor_name(p, node) : NULL;
    return factors ? factors : operation_name(p->ctx, node);
}

static void name_array(gram_planner *p, int buffer)
{
    gram_buffer *b = &p->plan->buffers[buffer];
    while (b->storage == GRAM_AT_VIEW)
        b = &p->plan->buffers[b->base];
    if (!b->name)
        b->name = free_name(p, array_name(p, b->node));
}

static void name_view(gram_planner *p, gram_buffer *view)
{
    static const char *const suffixes[] = {"turned", "rows", "cols", "head", "heads", "joined", "shaped"};
    const char *base = p->plan->buffers[view->base].name;
    view->name = free_name(p, gram_format(p->ctx, "%s_%s", base, suffixes[view->view]));
}

void gram_plan_names(gram_planner *p)
{
    gram_plan *plan = p->plan;
    for (int k = 0; k < plan->nsteps; k++)
        for (int s = 0; s < plan->steps[k]->nstores; s++)
            name_array(p, plan->steps[k]->stores[s].buffer);
    for (int k = 0; k < plan->nbuffers; k++)
        name_array(p, k);
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW)
            name_view(p, &plan->buffers[k]);
    for (int k = 0; k < plan->nsteps; k++) {
        gram_step *step = plan->steps[k];
        step->name =
            free_name(p, gram_format(p->ctx, "%s_%s", step->template, plan->buffers[step->stores[0].buffer].name));
    }
}
