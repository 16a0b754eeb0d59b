/* Is a matrix over pairs linear in the tokens? Then it is a product of keys and queries, kept where it is causal,
 *
 *     g_ij = (k_i' q_j) u_i w_j exp(x_ij) y_ij,   x_ij = c_j - c_i,   kept where i <= j (or i >= j: backwards)
 *
 * with one factor for each key, one for each query, a decay whose exponent is a difference of running sums or the like,
 * and at most one such difference as a factor, its slope: that of a decay's derivatives. (plan_linear.c says what is
 * made of it.) */
#include "factors.h"

#include "chain.h"
#include "simplify.h"

static const gram_node *inside(const gram_node *a)
{
    while (a->op == GRAM_OP_KEEP || a->op == GRAM_OP_EXPAND)
        a = a->args[0];
    return a;
}

/* One number, repeated perhaps. */
static bool is_number(const gram_node *a)
{
    a = inside(a);
    return gram_dim_is(a->rows, 1) && gram_dim_is(a->cols, 1);
}

/* The terms of an exponent, each of the key or of the query alone, and whether it is taken away. */
enum { MOST_TERMS = 16 };
typedef struct terms {
    gram_ctx *ctx;
    int n;
    const gram_node *term[MOST_TERMS];
    bool minus[MOST_TERMS];
} terms;

/* Made of indices, sizes and numbers by sums and products alone, so that it is finite. */
static bool is_finite(const gram_node *a)
{
    bool finite = a->type == GRAM_INT ? a->op != GRAM_OP_INPUT && a->op != GRAM_OP_INT
                                      : a->op == GRAM_OP_NUMBER || a->op == GRAM_OP_REAL || a->op == GRAM_OP_ADD ||
                                            a->op == GRAM_OP_SUB || a->op == GRAM_OP_MUL || a->op == GRAM_OP_NEG;
    for (int k = 0; k < a->nargs && finite; k++)
        finite = is_finite(a->args[k]);
    return finite;
}

static bool is_difference(gram_ctx *ctx, const gram_node *a);

static bool add_terms(terms *t, const gram_node *a, bool minus)
{
    a = inside(a);
    if (a->op == GRAM_OP_NEG || a->op == GRAM_OP_INEG)
        return add_terms(t, a->args[0], !minus);
    if (gram_dim_is(a->rows, 1) || gram_dim_is(a->cols, 1)) {
        if (is_number(a) || is_finite(a))
            return true;
        if (t->n == MOST_TERMS)
            return false;
        t->term[t->n] = a;
        t->minus[t->n++] = minus;
        return true;
    }
    switch (a->op) {
    case GRAM_OP_ADD:
    case GRAM_OP_IADD:
        return add_terms(t, a->args[0], minus) && add_terms(t, a->args[1], minus);
    case GRAM_OP_SUB:
    case GRAM_OP_ISUB:
        return add_terms(t, a->args[0], minus) && add_terms(t, a->args[1], !minus);
    case GRAM_OP_REAL:
        return add_terms(t, a->args[0], minus);
    case GRAM_OP_MUL:
    case GRAM_OP_IMUL:
        return (is_number(a->args[0]) && is_difference(t->ctx, a->args[1])) ||
               (is_number(a->args[1]) && is_difference(t->ctx, a->args[0]));
    case GRAM_OP_DIV:
        return is_number(a->args[1]) && is_difference(t->ctx, a->args[0]);
    default:
        return false;
    }
}

/* Is there a term that is to its token what this one is to its own, with the other sign? */
static bool has_opposite(const terms *t, int k)
{
    const gram_node *turned = gram_transposed(t->ctx, (gram_node *)t->term[k]);
    for (int other = 0; other < t->n; other++)
        if (t->term[other] == turned && t->minus[other] != t->minus[k])
            return true;
    return false;
}

/* Is it a difference c_j - c_i of what queries and keys have alike (running sums, positions)? Then a token that makes
 * it infinite makes it NaN with itself too, so that the walk may see the sums from any token; other sums may shut
 * single keys or queries out, through which the walk could not see. */
static bool is_difference(gram_ctx *ctx, const gram_node *a)
{
    terms t = {.ctx = ctx};
    bool difference = add_terms(&t, a, false);
    for (int k = 0; k < t.n && difference; k++)
        difference = has_opposite(&t, k);
    return difference;
}

/* 1 / a. */
static gram_node *reciprocal(gram_ctx *ctx, gram_node *a)
{
    return gram_node_binary(ctx, a->loc, GRAM_OP_DIV, gram_node_number(ctx, a->loc, GRAM_REAL, 1), a);
}

static gram_node *joined(gram_factors *f, gram_op op, gram_node *a, gram_node *b)
{
    return a ? gram_node_binary(f->ctx, b->loc, op, a, b) : b;
}

bool gram_add_factors(gram_factors *f, const gram_node *a)
{
    a = inside(a);
    if (a == f->product || (!f->product && a->op == GRAM_OP_MATMUL && gram_is_pair(a)))
        return f->products++ == 0 && (f->product || gram_dim_known(a->args[0]->cols));
    if (gram_dim_is(a->rows, 1)) {
        f->queries = joined(f, GRAM_OP_MUL, f->queries, (gram_node *)a);
        return true;
    }
    if (gram_dim_is(a->cols, 1)) {
        f->keys = joined(f, GRAM_OP_MUL, f->keys, (gram_node *)a);
        return true;
    }
    if (a->op == GRAM_OP_EXP && is_difference(f->ctx, a->args[0])) {
        f->exponent = joined(f, GRAM_OP_ADD, f->exponent, a->args[0]);
        return true;
    }
    if (!f->slope && is_difference(f->ctx, a)) {
        f->slope = (gram_node *)a;
        return true;
    }
    if (a->op == GRAM_OP_DIV && !gram_is_pair(a->args[1]))
        return gram_add_factors(f, a->args[0]) && gram_add_factors(f, reciprocal(f->ctx, a->args[1]));
    return a->op == GRAM_OP_MUL && gram_add_factors(f, a->args[0]) && gram_add_factors(f, a->args[1]);
}

bool gram_is_causal(const gram_node *keep, bool *backwards)
{
    if (!keep || (keep->op != GRAM_OP_ILE && keep->op != GRAM_OP_ILT))
        return false;
    *backwards = keep->args[0]->op == GRAM_OP_COL;
    return keep->args[*backwards]->op == GRAM_OP_ROW && keep->args[!*backwards]->op == GRAM_OP_COL;
}
