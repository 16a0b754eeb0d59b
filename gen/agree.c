/* Agree: which sizes must be equal when the kernel runs.
 *
 * While tracing, a sum of sizes (from hcat) may meet any other; here those meetings are found again, as pairs of sizes
 * that the kernel compares before it starts. */
#include "emit.h"

typedef struct meetings {
    gram_ctx *ctx;
    gram_agreement *list;
    int n;
    char *seen;
} meetings;

static void meet(meetings *m, gram_dim a, gram_dim b)
{
    if (gram_dim_equal(a, b) || gram_dim_is(a, 1) || gram_dim_is(b, 1))
        return;
    for (int k = 0; k < m->n; k++)
        if (gram_dim_equal(m->list[k].a, a) && gram_dim_equal(m->list[k].b, b))
            return;
    gram_agreement *more = gram_alloc(m->ctx, (size_t)(m->n + 1) * sizeof *more);
    for (int k = 0; k < m->n; k++)
        more[k] = m->list[k];
    more[m->n++] = (gram_agreement){a, b};
    m->list = more;
}

static bool is_entry_by_entry(const gram_node *node)
{
    return gram_op_is_scalar(node->op) || node->op == GRAM_OP_KEEP;
}

static void find(meetings *m, const gram_node *node)
{
    if (m->seen[node->id])
        return;
    m->seen[node->id] = 1;
    for (int k = 0; k < node->nargs; k++) {
        const gram_node *a = node->args[k], *b = node->args[node->nargs - 1];
        find(m, a);
        if (is_entry_by_entry(node)) {
            meet(m, a->rows, node->rows);
            meet(m, a->cols, node->cols);
        } else if (node->op == GRAM_OP_MATMUL && k == 0) {
            meet(m, a->cols, b->rows);
        } else if (node->op == GRAM_OP_HCAT || node->op == GRAM_OP_SQDIST || node->op == GRAM_OP_DIST1) {
            meet(m, a->rows, b->rows);
        } else if (node->op == GRAM_OP_VCAT) {
            meet(m, a->cols, b->cols);
        }
    }
    if (node->keep)
        find(m, node->keep);
}

const gram_agreement *gram_agreements(gram_ctx *ctx, const gram_spec *spec, int *n)
{
    int most = 0;
    for (int k = 0; k < spec->noutputs; k++)
        most = spec->outputs[k].node->id > most ? spec->outputs[k].node->id : most;
    meetings m = {.ctx = ctx, .seen = gram_alloc(ctx, (size_t)most + 1)};
    for (int k = 0; k < spec->noutputs; k++)
        find(&m, spec->outputs[k].node);
    *n = m.n;
    return m.list;
}
