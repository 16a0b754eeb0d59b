/* Products with coefficients that are linear in the tokens and normalised, made ready for reverse mode:
 *
 *     A where(z = 0, 0, P / z) = (A P) r,    r = where(z = 0, 0, 1 / z), a number for each column
 *
 * What r gets is a sum down A P's columns, which are as short as a token, in place of one over pairs; and what P gets
 * is a product and a number for each column, and so as linear as P is. */
#include "chain.h"
#include "grad_rules.h"
#include "simplify.h"

typedef struct pass {
    gram_ctx *ctx;
    gram_node **done; /* by node id; NULL: not yet */
} pass;

static bool of_column(const gram_node *a)
{
    return gram_dim_is(a->rows, 1) && !a->keep;
}

/* where(c, 0, P / z) over pairs, c and z of its columns? */
static bool is_normalised(const gram_node *a)
{
    if (a->op != GRAM_OP_WHERE || !gram_is_pair(a) || !of_column(a->args[0]) || a->args[2]->op != GRAM_OP_DIV)
        return false;
    const gram_node *zero = a->args[1], *P = a->args[2]->args[0];
    return zero->op == GRAM_OP_NUMBER && zero->number == 0 && of_column(a->args[2]->args[1]) && gram_is_pair(P);
}

/* (A P) r. */
static gram_node *normalised_after(gram_ctx *ctx, gram_node *A, const gram_node *where)
{
    gram_node *ratio = where->args[2], *one = gram_node_number(ctx, where->loc, GRAM_REAL, 1);
    gram_node *r = gram_node_binary(ctx, where->loc, GRAM_OP_DIV, one, ratio->args[1]);
    r = gram_node_ternary(ctx, where->loc, GRAM_OP_WHERE, where->args[0], where->args[1], r);
    return gram_node_binary(ctx, where->loc, GRAM_OP_MUL,
                            gram_node_binary(ctx, where->loc, GRAM_OP_MATMUL, A, ratio->args[0]), r);
}

static gram_node *made_ready(pass *p, gram_node *node)
{
    if (!node->nargs || p->done[node->id])
        return node->nargs ? p->done[node->id] : node;
    gram_node **args = gram_alloc(p->ctx, (size_t)node->nargs * sizeof *args);
    for (int k = 0; k < node->nargs; k++)
        args[k] = made_ready(p, node->args[k]);
    bool normalised = node->op == GRAM_OP_MATMUL && is_normalised(args[1]) &&
                      gram_is_linear_in_tokens(p->ctx, args[1]->args[2]->args[0]);
    return p->done[node->id] = normalised ? normalised_after(p->ctx, args[0], args[1])
                                          : gram_node_make(p->ctx, node->loc, node->op, node->nargs, args, node);
}

gram_spec *gram_normalisations_out(gram_ctx *ctx, const gram_spec *spec)
{
    int most = 0;
    for (int k = 0; k < spec->noutputs; k++)
        most = spec->outputs[k].node->id > most ? spec->outputs[k].node->id : most;
    for (int k = 0; k < spec->ngiven; k++)
        most = spec->given[k].node->id > most ? spec->given[k].node->id : most;
    pass p = {ctx, gram_alloc(ctx, ((size_t)most + 1) * sizeof *p.done)};
    gram_spec *out = gram_alloc(ctx, sizeof *out);
    *out = *spec;
    out->outputs = gram_alloc(ctx, (size_t)(spec->noutputs + 1) * sizeof *out->outputs);
    out->given = gram_alloc(ctx, (size_t)(spec->ngiven + 1) * sizeof *out->given);
    for (int k = 0; k < spec->noutputs; k++) {
        out->outputs[k] = spec->outputs[k];
        out->outputs[k].node = made_ready(&p, spec->outputs[k].node);
    }
    for (int k = 0; k < spec->ngiven; k++)
        out->given[k] = (gram_given){made_ready(&p, spec->given[k].node), spec->given[k].input};
    return out;
}
