/* A scan's step: its operands as arrays, and what f makes of a column as a plan of its own, whose arrays each thread
 * has in its scratch. All results of a scan that are used come from one walk. */
#include <string.h>

#include "passes.h"
#include "planner.h"
#include "scan.h"

static void add_result(gram_planner *p, gram_step *step, const gram_node *node, int buffer, bool *wanted)
{
    if (step->nstores == GRAM_MOST)
        gram_fail(p->ctx, node->loc, "scan: more than %d results", GRAM_MOST);
    step->walk->result[step->nstores] = node->index;
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    wanted[node->index] = true;
}

static void add_operands(gram_planner *p, gram_step *step, gram_node *node)
{
    if (node->nargs > GRAM_MOST)
        gram_fail(p->ctx, node->loc, "scan: more than %d states, matrices and what f reads besides", GRAM_MOST);
    for (int k = 0; k < node->nargs; k++)
        step->sums[step->nsums++] =
            (gram_sum){.node = node, .left = gram_plan_buffer(p, node->args[k]), .pack = -1, .root = -1};
}

void gram_plan_scan(gram_planner *p, gram_node *node, int buffer)
{
    const gram_scan *scan = node->scan;
    bool *wanted = gram_alloc(p->ctx, (size_t)scan->nresults + 1);
    gram_step *step = gram_plan_new_step(p, "scan", node);
    step->what = node;
    step->queries = node->dim;
    step->walk = gram_alloc(p->ctx, sizeof *step->walk);
    step->walk->scan = scan;
    memset(wanted, true, (size_t)scan->nstates);
    add_operands(p, step, node);
    add_result(p, step, node, buffer, wanted);
    for (int k = 0; k < p->nlive; k++)
        if (p->live[k] != node && gram_of_one_scan(p->live[k], node) && !p->computed[p->live[k]->id])
            add_result(p, step, p->live[k], gram_plan_reserve(p, p->live[k]), wanted);
    const gram_spec *f = gram_scan_spec(p->ctx, p->plan->spec, scan, p->plan->spec->name, wanted);
    step->walk->plan = gram_plan_make(p->ctx, gram_simplify(p->ctx, f), gram_real_type_within(p->plan->real));
    p->plan->wide |= step->walk->plan->wide;
    p->plan->dense |= step->walk->plan->dense;
    gram_plan_add_step(p, step);
}
