/* The gradient of a sum over third tokens, S[i, j] = sum over k of F(k, i, j), F a formula of one entry.
 *
 * F reads matrices, each along two of the three indices at most: Y'Y[k, i], say, and Y'Y[k, j]. What such an entry gets
 * is the sum of F's derivative over the index that the matrix does not have: a sum over third tokens again, in which
 * the three indices have other places. So a derivative of a derivative is made alike. */
#include "grad_rules.h"
#include "scan.h"

enum { MOST_LEAVES = 256 };

/* An index of F; and the place that it has in an OVER: along the rows, which are summed, the columns, or as the loop.
 * In F as it was traced, k is along the rows, i along the columns, and j the loop. */
typedef enum place { NOWHERE, ROWS, COLS, LOOP } place;
enum { K = ROWS, I = COLS, J = LOOP };

/* Places of NOWHERE, k, i and j under which the sum is over k, over i, over j. */
static const place over_k[] = {NOWHERE, ROWS, COLS, LOOP};
static const place over_i[] = {NOWHERE, COLS, ROWS, LOOP};
static const place over_j[] = {NOWHERE, COLS, LOOP, ROWS};

/* What F reads: a matrix whose rows are along one index and whose columns are along another, or nowhere where it has
 * but one. */
typedef struct leaf {
    gram_node *matrix;
    int rows, cols;
} leaf;

typedef struct third {
    gram_reverse *r, inner;
    gram_node *node, *pairs;   /* the OVER; all pairs (k, i) for one j */
    gram_node *formula, *keep; /* F, and which of its entries count */
    int n;
    leaf leaves[MOST_LEAVES];
    gram_node *nodes[MOST_LEAVES], *stand_ins[MOST_LEAVES]; /* the leaves in F, and in F as it is derived */
} third;

static gram_node *turned(const third *t, gram_node *a)
{
    return gram_node_unary(t->r->ctx, t->r->loc, GRAM_OP_TRANSPOSE, a);
}

/* --- what F reads ------------------------------------------------------------------------------------------------- */

/* All pairs, whatever the leaf has: what it gets is then summed once, when it is known. */
static gram_node *stand_in(const third *t, const gram_node *node)
{
    gram_input *in = gram_alloc(t->r->ctx, sizeof *in);
    *in = (gram_input){.name = "entry", .kind = GRAM_SCORES, .rows = t->pairs->rows, .cols = t->pairs->cols};
    gram_node like = {.input = in, .type = node->type, .rows = in->rows, .cols = in->cols};
    in->heads = like.heads = t->node->heads;
    in->batched = like.batched = t->node->batched;
    in->index = t->n;
    return gram_node_make(t->r->ctx, t->r->loc, GRAM_OP_INPUT, 0, NULL, &like);
}

static void add_leaf(third *t, gram_node *node, gram_node *matrix, int rows, int cols)
{
    if (t->n == MOST_LEAVES)
        gram_fail(t->r->ctx, t->r->loc, "the gradient of a sum over third tokens: it reads more than %d entries",
                  MOST_LEAVES);
    t->nodes[t->n] = node;
    t->stand_ins[t->n] = stand_in(t, node);
    t->leaves[t->n] =
        (leaf){matrix, gram_dim_is(matrix->rows, 1) ? NOWHERE : rows, gram_dim_is(matrix->cols, 1) ? NOWHERE : cols};
    t->n++;
}

/* Is it column j of a matrix? */
static bool is_column(const third *t, const gram_node *node)
{
    return node->op == GRAM_OP_GATHER && node->args[2]->op == GRAM_OP_LOOP &&
           !gram_node_loops(t->r->ctx, node->args[0]) &&
           (node->args[1]->op == GRAM_OP_ROW || gram_dim_is(node->args[0]->rows, 1));
}

static bool is_one_by_one(const gram_node *node)
{
    return gram_dim_is(node->rows, 1) && gram_dim_is(node->cols, 1);
}

static gram_node *index_of(const third *t, gram_op op)
{
    gram_node like = {.type = GRAM_INT, .rows = t->pairs->rows, .cols = t->pairs->cols};
    *(op == GRAM_OP_ROW ? &like.cols : &like.rows) = gram_dim_number(1);
    return gram_node_make(t->r->ctx, t->r->loc, op, 0, NULL, &like);
}

static void find_leaves(third *t, gram_node *node)
{
    for (int k = 0; k < t->n; k++)
        if (t->nodes[k] == node)
            return;
    bool through = gram_op_is_scalar(node->op) || node->op == GRAM_OP_EXPAND;
    if (node->op == GRAM_OP_LOOP)
        add_leaf(t, node, index_of(t, GRAM_OP_COL), NOWHERE, J);
    else if (is_column(t, node))
        add_leaf(t, node, node->args[0], K, J);
    else if (node->op == GRAM_OP_TRANSPOSE && is_column(t, node->args[0]))
        add_leaf(t, node, node->args[0]->args[0], I, J);
    else if (!through && gram_node_loops(t->r->ctx, node))
        gram_fail(t->r->ctx, node->loc, "%s has no gradient", gram_node_text(t->r->ctx, node));
    else if (!through && (t->r->wanted[node->id] || !is_one_by_one(node)))
        add_leaf(t, node, node, K, I);
    for (int k = 0; k < node->nargs && through; k++)
        find_leaves(t, node->args[k]);
}

/* Its matrix, that is: what is made of no numbers has no gradient. */
static bool is_wanted(const third *t, const leaf *l)
{
    return l->matrix->type == GRAM_REAL && t->r->wanted[l->matrix->id];
}

/* --- in other places ---------------------------------------------------------------------------------------------- */

static gram_node *loop_of(const third *t)
{
    return gram_node_make(t->r->ctx, t->r->loc, GRAM_OP_LOOP, 0, NULL, &(gram_node){.cols = t->node->cols});
}

static gram_node *column(const third *t, gram_node *a)
{
    gram_node like = {.type = GRAM_INT, .rows = a->rows, .cols = gram_dim_number(1)};
    gram_node *row = gram_dim_is(a->rows, 1) ? gram_node_number(t->r->ctx, t->r->loc, GRAM_INT, 0)
                                             : gram_node_make(t->r->ctx, t->r->loc, GRAM_OP_ROW, 0, NULL, &like);
    return gram_node_ternary(t->r->ctx, t->r->loc, GRAM_OP_GATHER, a, row, loop_of(t));
}

/* The leaf with its indices in these places. */
static gram_node *placed(const third *t, const leaf *l, const place *places)
{
    place rows = places[l->rows], cols = places[l->cols];
    bool index = l->matrix->op == GRAM_OP_ROW || l->matrix->op == GRAM_OP_COL;
    if (rows != LOOP && cols != LOOP)
        return rows == COLS || cols == ROWS ? turned(t, l->matrix) : l->matrix;
    if (index)
        return loop_of(t);
    gram_node *picked = column(t, rows == LOOP ? turned(t, l->matrix) : l->matrix);
    return (rows == LOOP ? cols : rows) == COLS ? turned(t, picked) : picked;
}

/* The sum of a formula of stand-ins over what is along the rows under these places. */
static gram_node *sum(const third *t, gram_node *formula, const place *places)
{
    gram_ctx *ctx = t->r->ctx;
    gram_node *to[MOST_LEAVES];
    for (int k = 0; k < t->n; k++)
        to[k] = placed(t, &t->leaves[k], places);
    gram_node *terms = gram_scan_replaced(ctx, formula, t->n, t->stand_ins, to);
    terms = gram_node_expand(ctx, t->r->loc, terms, t->pairs->rows, t->pairs->cols);
    if (t->keep)
        terms = gram_node_binary(ctx, t->r->loc, GRAM_OP_KEEP, terms,
                                 gram_scan_replaced(ctx, t->keep, t->n, t->stand_ins, to));
    gram_node *sums = turned(t, gram_node_unary(ctx, t->r->loc, GRAM_OP_SUM, terms));
    return gram_node_make(ctx, t->r->loc, GRAM_OP_OVER, 1, &sums, &(gram_node){.cols = t->node->cols});
}

/* What the leaf's matrix gets of this derivative by the leaf; what it does not vary along is summed by gram_collect. */
static gram_node *share(const third *t, const leaf *l, gram_node *derivative)
{
    bool k = l->rows == K, i = l->rows == I || l->cols == I;
    gram_node *total = sum(t, derivative, k && i ? over_j : k ? over_i : over_k);
    return !k && l->cols == I ? turned(t, total) : total;
}

/* --- handing on --------------------------------------------------------------------------------------------------- */

/* F and its predicate with the stand-ins for what they read; the leaf of the gradient g is the last. */
static void open_formula(third *t, gram_node *g)
{
    find_leaves(t, t->formula);
    if (t->keep)
        find_leaves(t, t->keep);
    g = gram_filled(t->r, g);
    add_leaf(t, turned(t, column(t, g)), g, I, J);
    t->formula = gram_scan_replaced(t->r->ctx, t->formula, t->n, t->nodes, t->stand_ins);
    if (t->keep)
        t->keep = gram_scan_replaced(t->r->ctx, t->keep, t->n, t->nodes, t->stand_ins);
}

/* Reverse mode through F alone, by the leaves that are wanted. */
static void reverse(third *t)
{
    gram_spec *spec = gram_alloc(t->r->ctx, sizeof *spec);
    gram_output *output = gram_alloc(t->r->ctx, sizeof *output);
    const gram_input *by[MOST_LEAVES];
    int n = 0;
    *output = (gram_output){.name = "terms", .node = t->formula};
    *spec = (gram_spec){.name = "terms", .noutputs = 1, .outputs = output};
    for (int k = 0; k < t->n - 1; k++)
        if (is_wanted(t, &t->leaves[k]))
            by[n++] = t->stand_ins[k]->input;
    t->inner = (gram_reverse){.ctx = t->r->ctx, .loc = t->r->loc, .spec = spec};
    gram_reverse_run(&t->inner, by, n, &t->stand_ins[t->n - 1]);
}

void gram_hand_over_on(gram_reverse *r, gram_node *node, gram_node *g)
{
    third t = {.r = r, .node = node};
    gram_node *sum = node->args[0]->op == GRAM_OP_TRANSPOSE ? node->args[0]->args[0] : node->args[0];
    if (sum->op != GRAM_OP_SUM)
        gram_fail(r->ctx, node->loc, "%s has no gradient", gram_node_text(r->ctx, node));
    t.pairs = t.formula = sum->args[0];
    t.keep = t.pairs->keep;
    while (t.formula->op == GRAM_OP_KEEP)
        t.formula = t.formula->args[0];
    open_formula(&t, g);
    reverse(&t);
    for (int k = 0; k < t.n - 1; k++) {
        gram_node *d = is_wanted(&t, &t.leaves[k]) ? gram_reverse_of(&t.inner, t.stand_ins[k]->input) : NULL;
        if (d)
            gram_collect(r, t.leaves[k].matrix, share(&t, &t.leaves[k], d));
    }
}
