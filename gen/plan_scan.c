/* A scan's step: its operands as arrays, and what f makes of a column as a plan of its own, whose arrays each thread
 * has in its scratch. All results of a scan that are used come from one walk.
 *
 * A gradient's walk goes back over the states before each column of the walk forth. Where they are larger than all else
 * that it reads, and read by nothing else, they are no array: the walk forth is part of the step, and is gone through
 * again a segment of columns at a time (gram_walk of plan.h). */
#include <string.h>

#include "chain.h"
#include "passes.h"
#include "planner.h"
#include "scan.h"

/* --- states that are made again ----------------------------------------------------------------------------------- */

/* The state of a scan that node has before each column, or -1: node is something else. */
static int kept_state(const gram_node *node)
{
    if (node->op != GRAM_OP_SCAN || node->index < node->scan->nstates)
        return -1;
    const gram_node *column = node->scan->results[node->index];
    for (int k = 0; k < node->scan->nstates; k++)
        if (column == node->scan->inputs[k] ||
            (column->op == GRAM_OP_RESHAPE && column->args[0] == node->scan->inputs[k]))
            return k;
    return -1;
}

/* Is operand k of the scan used in that alone? */
static bool is_used_once(const gram_planner *p, const gram_node *node, int k)
{
    int uses = 0;
    for (int i = 0; i < p->nlive; i++)
        for (int a = 0; a < p->live[i]->nargs && gram_of_one_scan(p->live[i], node); a++)
            uses += p->live[i]->args[a] == node->args[k];
    return uses == p->users[node->args[k]->id] && !p->computed[node->args[k]->id];
}

static bool is_column(const gram_scan *scan, int input)
{
    return input >= scan->nstates && input < scan->nstates + scan->ncolumns;
}

/* Is operand k a column of states before each column of this scan the other way, that may be made again? */
static bool is_made_again(const gram_planner *p, const gram_node *node, int k, const gram_node *forth)
{
    return is_column(node->scan, k) && kept_state(node->args[k]) >= 0 && gram_of_one_scan(node->args[k], forth) &&
           node->scan->backwards != forth->scan->backwards && is_used_once(p, node, k);
}

/* Are the operands chosen all that is needed of the scan? */
static bool are_all(const gram_planner *p, const gram_node *node, const bool *again, const gram_node *forth)
{
    bool all = true;
    for (int i = 0; i < p->nlive && all; i++) {
        bool chosen = !gram_of_one_scan(p->live[i], forth);
        for (int k = 0; k < node->nargs; k++)
            chosen |= again[k] && node->args[k] == p->live[i];
        all = chosen;
    }
    return all;
}

/* A scan whose states before each column are to be made again for this one, as these operands: they are more than what
 * else it reads. NULL: none. */
static const gram_node *made_again(const gram_planner *p, const gram_node *node, bool *again)
{
    const gram_node *forth = NULL;
    double states = 0, rest = 0;
    for (int k = 0; k < node->nargs && !forth; k++)
        if (node->args[k]->op == GRAM_OP_SCAN && is_made_again(p, node, k, node->args[k]))
            forth = node->args[k];
    for (int k = 0; k < node->nargs && forth; k++) {
        again[k] = is_made_again(p, node, k, forth);
        if (is_column(node->scan, k))
            *(again[k] ? &states : &rest) += gram_dim_nominal(node->args[k]->rows);
    }
    bool pays = forth && states > rest && forth->nargs + node->nargs <= GRAM_MOST && are_all(p, node, again, forth);
    return pays ? forth : NULL;
}

/* --- the step ----------------------------------------------------------------------------------------------------- */

static void add_result(gram_planner *p, gram_step *step, const gram_node *node, int buffer, bool *wanted)
{
    if (step->nstores == GRAM_MOST)
        gram_fail(p->ctx, node->loc, "scan: more than %d results", GRAM_MOST);
    step->walk->result[step->nstores] = node->index;
    step->stores[step->nstores++] = (gram_store_plan){.root = -1, .mask = -1, .lanes = node->rows, .buffer = buffer};
    wanted[node->index] = true;
}

/* The operands of a walk, but for those made again. */
static void add_operands(gram_planner *p, gram_step *step, const gram_node *node, const bool *again)
{
    if (node->nargs > GRAM_MOST)
        gram_fail(p->ctx, node->loc, "scan: more than %d states, matrices and what f reads besides", GRAM_MOST);
    for (int k = 0; k < node->nargs; k++) {
        int left = again && again[k] ? -1 : gram_plan_buffer(p, node->args[k]);
        step->sums[step->nsums++] = (gram_sum){.node = node, .left = left, .pack = -1, .root = -1};
    }
}

/* The walk with the plan of f's results that are wanted; its states all are. */
static void plan_walk(gram_planner *p, gram_walk *walk, const gram_scan *scan, bool *wanted)
{
    memset(wanted, true, (size_t)scan->nstates);
    const gram_spec *f = gram_scan_spec(p->ctx, p->plan->spec, scan, p->plan->spec->name, wanted);
    walk->scan = scan;
    walk->plan = gram_plan_make(p->ctx, gram_simplify(p->ctx, f), gram_real_type_within(p->plan->real));
    p->plan->wide |= walk->plan->wide;
    p->plan->dense |= walk->plan->dense;
}

static void add_before(gram_planner *p, gram_step *step, const gram_node *node, const gram_node *forth,
                       const bool *again)
{
    gram_walk *before = step->walk->before = gram_alloc(p->ctx, sizeof *before);
    before->first = step->nsums;
    for (int state = 0; state < forth->scan->nstates; state++)
        before->column[state] = -1;
    for (int k = 0; k < node->nargs; k++)
        if (again[k])
            before->column[kept_state(node->args[k])] = k;
    add_operands(p, step, forth, NULL);
    plan_walk(p, before, forth->scan, gram_alloc(p->ctx, (size_t)forth->scan->nresults + 1));
}

void gram_plan_scan(gram_planner *p, gram_node *node, int buffer)
{
    bool *wanted = gram_alloc(p->ctx, (size_t)node->scan->nresults + 1);
    bool *again = gram_alloc(p->ctx, (size_t)node->nargs + 1);
    const gram_node *forth = made_again(p, node, again);
    gram_step *step = gram_plan_new_step(p, "scan", node);
    step->what = node;
    step->queries = node->dim;
    step->walk = gram_alloc(p->ctx, sizeof *step->walk);
    add_operands(p, step, node, forth ? again : NULL);
    if (forth)
        add_before(p, step, node, forth, again);
    add_result(p, step, node, buffer, wanted);
    for (int k = 0; k < p->nlive; k++)
        if (p->live[k] != node && gram_of_one_scan(p->live[k], node) && !p->computed[p->live[k]->id])
            add_result(p, step, p->live[k], gram_plan_reserve(p, p->live[k]), wanted);
    plan_walk(p, step->walk, node->scan, wanted);
    gram_plan_add_step(p, step);
}
