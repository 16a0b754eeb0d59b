/* Is a stream linear in the tokens? Its coefficients must be products of keys and queries, kept where they are causal,
 *
 *     g_ij = (k_i' q_j) u_i w_j exp(x_ij),   x_ij = c_j - c_i,   kept where i <= j (or i >= j: the walk goes backwards)
 *
 * with one factor for each key, one for each query, and a decay whose exponent is a difference of running sums or the
 * like. Then all keys before a block of queries come in as one matrix, the sum of u_i exp(x_ij) v_i k_i' with the
 * block's first query for j; what another query makes of it is exp(c_j - c_first), and that is x's own difference at
 * any key. So x is never taken apart, and its value is as exact as the formula's. */
#include "chain.h"
#include "planner.h"
#include "simplify.h"

typedef struct factors {
    gram_ctx *ctx;
    const gram_node *product; /* what the step's leaf computes; NULL: any product */
    int products;
    gram_node *keys, *queries, *exponent; /* NULL: none */
} factors;

static const gram_node *inside(const gram_node *a)
{
    while (a->op == GRAM_OP_KEEP || a->op == GRAM_OP_EXPAND)
        a = a->args[0];
    return a;
}

static bool is_number(const gram_node *a)
{
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

static gram_node *joined(factors *f, gram_op op, gram_node *a, gram_node *b)
{
    return a ? gram_node_binary(f->ctx, b->loc, op, a, b) : b;
}

/* Sorts the factors of a; false where one is of another kind. */
static bool factorise(factors *f, const gram_node *a)
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
    return a->op == GRAM_OP_MUL && factorise(f, a->args[0]) && factorise(f, a->args[1]);
}

/* i <= j or i < j of a row i and a column j; backwards: i >= j or i > j. */
static bool is_causal(const gram_node *keep, bool *backwards)
{
    if (!keep || (keep->op != GRAM_OP_ILE && keep->op != GRAM_OP_ILT))
        return false;
    *backwards = keep->args[0]->op == GRAM_OP_COL;
    return keep->args[*backwards]->op == GRAM_OP_ROW && keep->args[!*backwards]->op == GRAM_OP_COL;
}

/* Nothing but sums, over one product, of sizes that are known; the coefficients' own may be among them (a
 * normalisation). */
static bool sums_products(const gram_step *step)
{
    bool own =
        !step->nstats || (step->nstats == 1 && step->stats[0].op == GRAM_OP_SUM && step->stats[0].root == step->root);
    bool sums = !step->softmax && !step->nsides && own && step->nsums && step->nleaves == 1 &&
                gram_dim_is(step->outer, 1) && step->leaves[0].op == GRAM_OP_MATMUL &&
                gram_dim_known(step->leaves[0].inner);
    for (int k = 0; k < step->nsums; k++)
        sums &= gram_dim_known(step->sums[k].rows) && step->sums[k].root == step->root;
    return sums;
}

bool gram_is_linear_sum(gram_planner *p, const gram_node *sum)
{
    const gram_node *g = sum->op == GRAM_OP_MATMUL ? sum->args[1] : NULL;
    factors f = {.ctx = p->ctx};
    bool backwards;
    return g && g->keep && gram_dim_known(sum->rows) && is_causal(gram_simplified(p->ctx, g->keep), &backwards) &&
           factorise(&f, g) && f.products == 1;
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
    factors f = {.ctx = p->ctx, .product = product_of(step)};
    bool backwards;
    if (!is_causal(step->keep, &backwards) || !sums_products(step) || !factorise(&f, step->what) || f.products != 1)
        return NULL;
    gram_linear *linear = gram_alloc(p->ctx, sizeof *linear);
    linear->backwards = backwards;
    linear->exponent = part(p, step, f.exponent);
    linear->keys = part(p, step, f.keys);
    linear->queries = part(p, step, f.queries);
    return linear;
}
