/* Simplify's rules of sums over coefficients that are linear in the tokens; simplify_rules.h says what each does.
 *
 * Coefficients that are a product of keys and queries, kept where causal or all, are summed up in time linear in the
 * tokens (factors.c says which). Derivatives have sums of such coefficients, products of two, and some without any. */
#include "chain.h"
#include "factors.h"
#include "simplify_rules.h"

enum { MOST_TERMS = 8, MOST_PARTS = 16, DEEPEST = 8 };

typedef struct term {
    int n, products, last;       /* parts, products among them, and which part is the last product */
    gram_node *part[MOST_PARTS]; /* what varies with the key */
    gram_node *front;            /* what does not, and so leaves the sum; NULL: 1 */
    bool minus;
} term;

/* What is summed up, term by term: with A from the left, or, without A, down the columns. */
typedef struct sums {
    gram_ctx *ctx;
    const gram_node *like;
    gram_node *A, *G, *keep; /* keep NULL: all of G */
    int n;
    term term[MOST_TERMS];
} sums;

/* --- coefficients as terms ---------------------------------------------------------------------------------------- */

static bool is_product(const gram_node *a)
{
    return a->op == GRAM_OP_MATMUL && gram_is_pair(a);
}

/* A formula may be exponentially longer than its graph: no deeper than this. */
static bool holds_product(const gram_node *a, int depth)
{
    static const bool opens[GRAM_OP_COUNT] = {
        [GRAM_OP_KEEP] = true, [GRAM_OP_EXPAND] = true, [GRAM_OP_NEG] = true, [GRAM_OP_MUL] = true,
        [GRAM_OP_DIV] = true,  [GRAM_OP_ADD] = true,    [GRAM_OP_SUB] = true};
    bool holds = is_product(a);
    for (int k = 0; opens[a->op] && depth > 0 && k < a->nargs && !holds; k++)
        holds = holds_product(a->args[k], depth - 1);
    return holds;
}

/* A sum of products; a difference of numbers of queries and of keys stays whole, so that it is exact. */
static bool is_sum(const gram_node *a)
{
    return (a->op == GRAM_OP_ADD || a->op == GRAM_OP_SUB) &&
           (holds_product(a->args[0], DEEPEST) || holds_product(a->args[1], DEEPEST));
}

static bool add_part(sums *s, term *t, gram_node *a)
{
    if (gram_dim_is(a->rows, 1)) {
        t->front = t->front ? build2(s->ctx, s->like, GRAM_OP_MUL, t->front, a) : a;
        return true;
    }
    if (t->n == MOST_PARTS)
        return false;
    if (is_product(a)) {
        t->products++;
        t->last = t->n;
    }
    t->part[t->n++] = a;
    return true;
}

static gram_node *reciprocal(const sums *s, gram_node *a)
{
    return build2(s->ctx, a, GRAM_OP_DIV, gram_node_number(s->ctx, a->loc, GRAM_REAL, 1), a);
}

static bool multiply(sums *s, gram_node *a);

/* (x + y) times each term. */
static bool multiply_sum(sums *s, const gram_node *a)
{
    sums other = *s;
    if (!multiply(s, a->args[0]) || !multiply(&other, a->args[1]) || s->n + other.n > MOST_TERMS)
        return false;
    for (int k = 0; k < other.n; k++) {
        s->term[s->n] = other.term[k];
        s->term[s->n++].minus ^= a->op == GRAM_OP_SUB;
    }
    return true;
}

/* Multiplies each term by a; false where there are too many. */
static bool multiply(sums *s, gram_node *a)
{
    while (a->op == GRAM_OP_KEEP || a->op == GRAM_OP_EXPAND || (a->op == GRAM_OP_NEG && gram_is_pair(a))) {
        for (int k = 0; k < s->n && a->op == GRAM_OP_NEG; k++)
            s->term[k].minus ^= true;
        a = a->args[0];
    }
    if (gram_is_pair(a) && a->op == GRAM_OP_MUL)
        return multiply(s, a->args[0]) && multiply(s, a->args[1]);
    if (gram_is_pair(a) && a->op == GRAM_OP_DIV && !gram_is_pair(a->args[1]))
        return multiply(s, a->args[0]) && multiply(s, reciprocal(s, a->args[1]));
    if (is_sum(a))
        return multiply_sum(s, a);
    bool all = true;
    for (int k = 0; k < s->n && all; k++)
        all = add_part(s, &s->term[k], a);
    return all;
}

/* --- and the sum over them ---------------------------------------------------------------------------------------- */

static gram_node *row_of_ones(const sums *s, gram_dim cols)
{
    return gram_node_expand(s->ctx, s->like->loc, gram_node_number(s->ctx, s->like->loc, GRAM_REAL, 1),
                            gram_dim_number(1), cols);
}

/* A term's product of keys and queries that is not part `without`: of ones, if it has none. */
static gram_node *product_of(const sums *s, const term *t, int without)
{
    for (int k = 0; k < t->n; k++)
        if (k != without && is_product(t->part[k]))
            return t->part[k];
    return build2(s->ctx, s->like, GRAM_OP_MATMUL, gram_transposed(s->ctx, row_of_ones(s, s->G->rows)),
                  row_of_ones(s, s->G->cols));
}

/* Its coefficients but for part `without`, where some are dropped. */
static gram_node *coefficients(const sums *s, const term *t, int without)
{
    gram_node *all = t->products - (without >= 0) == 0 ? product_of(s, t, without) : NULL;
    for (int k = 0; k < t->n; k++)
        if (k != without)
            all = all ? build2(s->ctx, s->like, GRAM_OP_MUL, all, t->part[k]) : t->part[k];
    return build2(s->ctx, s->like, GRAM_OP_KEEP, all, s->keep);
}

/* Of the columns' sum of two products, A'B entry by entry with P, that of B (A P) is made. */
static int taken_out(const sums *s, const term *t)
{
    return !s->A && t->products > 1 ? t->last : -1;
}

static bool is_linear(const sums *s, const term *t)
{
    const int out = taken_out(s, t);
    gram_factors f = {.ctx = s->ctx};
    if ((out >= 0 && !gram_dim_known(t->part[out]->args[0]->cols)) || t->products - (out >= 0) > 1)
        return false;
    if (s->keep)
        return gram_add_factors(&f, coefficients(s, t, out)) && f.products == 1;
    bool linear = gram_dim_known(product_of(s, t, out)->args[0]->cols);
    for (int k = 0; k < t->n && linear; k++)
        linear = is_product(t->part[k]) || gram_dim_is(t->part[k]->cols, 1);
    return linear;
}

/* A times a term's coefficients. Where none are dropped, what weighs keys goes to A: a chain of products is left. */
static gram_node *weighed(const sums *s, const term *t, gram_node *A, int without)
{
    if (s->keep)
        return build2(s->ctx, s->like, GRAM_OP_MATMUL, A, coefficients(s, t, without));
    for (int k = 0; k < t->n; k++)
        if (!is_product(t->part[k]))
            A = build2(s->ctx, s->like, GRAM_OP_MUL, A, gram_transposed(s->ctx, t->part[k]));
    return build2(s->ctx, s->like, GRAM_OP_MATMUL, A, product_of(s, t, without));
}

static gram_node *sum_of(const sums *s, const term *t)
{
    const int out = taken_out(s, t);
    if (s->A)
        return weighed(s, t, s->A, out);
    if (out < 0)
        return s->keep ? build1(s->ctx, s->like, GRAM_OP_SUM, coefficients(s, t, out))
                       : weighed(s, t, row_of_ones(s, s->G->rows), out);
    const gram_node *P = t->part[out];
    gram_node *sum = weighed(s, t, gram_transposed(s->ctx, P->args[0]), out);
    return build1(s->ctx, s->like, GRAM_OP_SUM, build2(s->ctx, s->like, GRAM_OP_MUL, P->args[1], sum));
}

/* The terms' sums, one after the other. */
static gram_node *sum_of_all(const sums *s)
{
    gram_node *total = NULL;
    for (int k = 0; k < s->n; k++) {
        const term *t = &s->term[k];
        gram_node *sum = sum_of(s, t);
        sum = t->front ? build2(s->ctx, s->like, GRAM_OP_MUL, t->front, sum) : sum;
        if (total)
            total = build2(s->ctx, s->like, t->minus ? GRAM_OP_SUB : GRAM_OP_ADD, total, sum);
        else
            total = t->minus ? build1(s->ctx, s->like, GRAM_OP_NEG, sum) : sum;
    }
    return total;
}

/* Takes G apart; false where it is not linear. */
static bool take_apart(sums *s)
{
    bool backwards, linear = gram_is_pair(s->G) && gram_dim_is(s->like->each, 1);
    s->keep = s->G->keep && linear ? gram_simplified(s->ctx, s->G->keep) : NULL;
    linear = linear && (!s->keep || gram_is_causal(s->keep, &backwards)) && multiply(s, s->G);
    for (int k = 0; k < s->n && linear; k++)
        linear = is_linear(s, &s->term[k]);
    return linear;
}

/* Is it as it should be, or is that the business of other rules? */
static bool is_done(const sums *s)
{
    const term *only = &s->term[0];
    bool plain = true;
    for (int k = 0; k < s->n; k++)
        plain &= s->term[k].products == 1;
    return s->keep ? s->n == 1 && !only->front && !only->minus && taken_out(s, only) < 0 &&
                         coefficients(s, only, -1) == s->G
                   : plain;
}

/* The sum over G's rows, weighed by A or, without A, as they are; NULL where it is not linear or is done. */
static gram_node *linear_sum(gram_ctx *ctx, const gram_node *like, gram_node *A, gram_node *G)
{
    sums s = {.ctx = ctx, .like = like, .A = A, .G = G, .n = 1};
    bool few = !A || (gram_dim_known(A->rows) && !A->keep);
    return few && take_apart(&s) && !is_done(&s) ? sum_of_all(&s) : NULL;
}

gram_node *gram_product_linear(gram_ctx *ctx, const gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (gram_is_pair(b))
        return linear_sum(ctx, node, a, b);
    gram_node *turned =
        gram_is_pair(a) ? linear_sum(ctx, node, gram_transposed(ctx, b), gram_transposed(ctx, a)) : NULL;
    return turned ? gram_transposed(ctx, turned) : NULL;
}

gram_node *gram_sum_linear(gram_ctx *ctx, const gram_node *node)
{
    return linear_sum(ctx, node, NULL, node->args[0]);
}

bool gram_is_linear_in_tokens(gram_ctx *ctx, gram_node *G)
{
    gram_node *simple = gram_simplified(ctx, G);
    sums s = {.ctx = ctx, .like = simple, .A = simple, .G = simple, .n = 1};
    return take_apart(&s);
}
