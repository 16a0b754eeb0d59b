/* Streams that are linear in the tokens: those over coefficients as in factors.c,
 *
 *     g_ij = (k_i' q_j) u_i w_j exp(x_ij) y_ij,   x_ij = c_j - c_i,   kept where i <= j (or i >= j: backwards)
 *
 * All keys before a block of queries come in as one matrix, the sum of u_i exp(x_ij) v_i k_i' with the block's first
 * query for j; what another query makes of it is exp(c_j - c_first), and that is x's own difference at any key. So x is
 * never taken apart, and its value is as exact as the formula's. A slope y has a matrix more, the same sum times y_ij:
 * to it the other query adds y_j - y_first times the first matrix. */
#include "chain.h"
#include "factors.h"
#include "planner.h"
#include "simplify.h"

/* Nothing but sums, over one product, of sizes that are known; the coefficients' own may be among them (a
 * normalisation). */
static bool sums_products(const gram_step *step)
{
    bool own =
        !step->nstats || (step->nstats == 1 && step->stats[0].op == GRAM_OP_SUM && step->stats[0].root == step->root);
    bool sums = !step->softmax && !step->nsides && own && step->nsums + step->nstats && step->nleaves == 1 &&
                gram_dim_is(step->outer, 1) && step->leaves[0].op == GRAM_OP_MATMUL &&
                gram_dim_known(step->leaves[0].inner);
    for (int k = 0; k < step->nsums; k++)
        sums &= gram_dim_known(step->sums[k].rows) && step->sums[k].root == step->root;
    return sums;
}

bool gram_is_linear_sum(gram_planner *p, const gram_node *sum)
{
    const gram_node *g = sum->op == GRAM_OP_MATMUL || sum->op == GRAM_OP_SUM ? sum->args[sum->nargs - 1] : NULL;
    gram_factors f = {.ctx = p->ctx};
    bool backwards;
    return g && g->keep && gram_dim_known(sum->rows) && gram_is_causal(gram_simplified(p->ctx, g->keep), &backwards) &&
           gram_add_factors(&f, g) && f.products == 1;
}

static const gram_node *product_of(const gram_step *step)
{
    for (int k = 0; k < step->program.n; k++)
        if (step->program.instr[k].kind == GRAM_I_LEAF)
            return step->program.instr[k].node;
    return NULL;
}

static gram_part part(gram_planner *p, gram_step *step, gram_node *node)
{
    gram_part part = {.root = -1};
    if (node)
        part.root = gram_program_spread(p, &part.program, gram_program_add(p, step, &part.program, node));
    return part;
}

gram_linear *gram_linear_of(gram_planner *p, gram_step *step)
{
    gram_factors f = {.ctx = p->ctx, .product = product_of(step)};
    bool backwards;
    if (!gram_is_causal(step->keep, &backwards) || !sums_products(step) || !gram_add_factors(&f, step->what) ||
        f.products != 1)
        return NULL;
    gram_linear *linear = gram_alloc(p->ctx, sizeof *linear);
    linear->backwards = backwards;
    linear->exponent = part(p, step, f.exponent);
    linear->slope = part(p, step, f.slope);
    linear->keys = part(p, step, f.keys);
    linear->queries = part(p, step, f.queries);
    return linear;
}
