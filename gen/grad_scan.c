/* The gradient of a scan is a scan the other way: its state is the gradient of the state, and it walks the states
 * before each column, kept by another walk of f, with f's columns and the gradients of its output columns. What f
 * captured gets a sum over columns: where each column adds a product a b', of what is kept for all columns, it is one
 * product A B'. */
#include "grad_rules.h"
#include "scan.h"

enum { MOST_TERMS = 256 };

/* A term of what a captured matrix gets: outputs a and b of the walk, whose columns' products are summed; b is -1 where
 * the columns a are summed as they are. */
typedef struct term {
    int operand, a, b;
} term;

typedef struct back {
    gram_reverse *r, inner; /* over the kernel, and over f */
    gram_node *node;        /* of the scan */
    const gram_scan *scan;
    gram_node **to; /* what stands for f's inputs in the walk back */
    gram_scan_draft draft;
    gram_node **outputs; /* the draft's, after its next states */
    int noutputs;
    int *gives; /* by f's input: the state or output that it gets; -1: none */
    int nterms;
    term terms[MOST_TERMS];
} back;

static gram_node *zeros(const back *b, const gram_node *like)
{
    gram_node *zero = gram_node_number(b->r->ctx, b->r->loc, GRAM_REAL, 0);
    return gram_node_expand(b->r->ctx, b->r->loc, zero, like->rows, like->cols);
}

static gram_node *leaf(const back *b, gram_dim rows, gram_dim cols)
{
    return gram_scan_stand_in(b->r->ctx, b->r->loc, "gradient", rows, cols, true);
}

static gram_node *shaped(const back *b, gram_node *a, gram_dim rows, gram_dim cols)
{
    gram_node like = {.rows = rows, .cols = cols, .each = gram_dim_number(1)};
    return gram_dim_equal(a->cols, cols) ? a : gram_node_make(b->r->ctx, b->r->loc, GRAM_OP_RESHAPE, 1, &a, &like);
}

static gram_dim numbers_of(const gram_node *a)
{
    return gram_dim_times(a->rows, a->cols.number);
}

/* The gradient that result k of the scan has got, or NULL. */
static gram_node *gradient_of(const back *b, int k)
{
    const gram_reverse *r = b->r;
    for (int i = 0; i < r->nlive; i++)
        if (gram_of_one_scan(r->live[i], b->node) && r->live[i]->index == k)
            return r->grad[r->live[i]->id] ? gram_filled(b->r, r->grad[r->live[i]->id]) : NULL;
    return NULL;
}

/* --- the draft ---------------------------------------------------------------------------------------------------- */

static void add_state(back *b, gram_node *first, gram_node *stand_in)
{
    b->draft.states[b->draft.nstates] = first;
    b->draft.state_ins[b->draft.nstates++] = stand_in;
}

static void add_column(back *b, gram_node *matrix, gram_node *stand_in)
{
    b->draft.columns[b->draft.ncolumns] = matrix;
    b->draft.column_ins[b->draft.ncolumns++] = stand_in;
}

/* The output that is the column: one that is there, if it can be. */
static int add_output(back *b, gram_node *column)
{
    int k = 0;
    b->outputs[b->noutputs] = gram_scan_replaced(b->r->ctx, column, b->scan->ninputs, b->scan->inputs, b->to);
    while (b->outputs[k] != b->outputs[b->noutputs])
        k++;
    b->noutputs += k == b->noutputs;
    return k;
}

/* The states before each column, a state's numbers as a column. */
static gram_node **kept_states(const back *b)
{
    const gram_scan *scan = b->scan;
    gram_ctx *ctx = b->r->ctx;
    size_t most = (size_t)scan->ninputs + (size_t)scan->nresults + 1;
    gram_node **fresh = gram_alloc(ctx, most * sizeof *fresh), **results = gram_alloc(ctx, most * sizeof *results);
    const int columns = scan->nstates + scan->ncolumns;
    for (int k = 0; k < scan->ninputs; k++)
        fresh[k] = k < columns ? leaf(b, scan->inputs[k]->rows, scan->inputs[k]->cols) : b->node->args[k];
    for (int k = 0; k < scan->nstates; k++) {
        results[k] = gram_scan_replaced(ctx, scan->results[k], scan->ninputs, scan->inputs, fresh);
        results[scan->nstates + k] = shaped(b, fresh[k], numbers_of(fresh[k]), gram_dim_number(1));
    }
    gram_scan_draft draft = {.backwards = scan->backwards,
                             .cols = b->node->dim,
                             .nstates = scan->nstates,
                             .ncolumns = scan->ncolumns,
                             .nresults = 2 * scan->nstates,
                             .states = b->node->args,
                             .state_ins = fresh,
                             .columns = b->node->args + scan->nstates,
                             .column_ins = fresh + scan->nstates,
                             .results = results};
    return gram_scan_make(ctx, b->r->loc, &draft) + scan->nstates;
}

/* What stands for f's inputs: kept states in their shape, columns, and what is captured as it is. */
static void add_inputs(back *b)
{
    const gram_scan *scan = b->scan;
    gram_node **kept = kept_states(b);
    for (int k = 0; k < scan->ninputs; k++) {
        gram_node *in = scan->inputs[k];
        if (k >= scan->nstates + scan->ncolumns) {
            b->to[k] = b->node->args[k];
            continue;
        }
        gram_node *stand_in = leaf(b, k < scan->nstates ? numbers_of(in) : in->rows, gram_dim_number(1));
        add_column(b, k < scan->nstates ? kept[k] : b->node->args[k], stand_in);
        b->to[k] = k < scan->nstates ? shaped(b, stand_in, in->rows, in->cols) : stand_in;
    }
}

/* f's reverse mode, from leaves for the gradients of its results. */
static void reverse(back *b)
{
    const gram_scan *scan = b->scan;
    gram_ctx *ctx = b->r->ctx;
    gram_node **got = gram_alloc(ctx, (size_t)(scan->nresults + 1) * sizeof *got);
    const gram_input **by = gram_alloc(ctx, (size_t)(scan->ninputs + 1) * sizeof *by);
    int n = 0;
    for (int k = 0; k < scan->nresults; k++) {
        gram_node *g = gradient_of(b, k);
        got[k] = g || k < scan->nstates ? leaf(b, scan->results[k]->rows, scan->results[k]->cols) : NULL;
        if (k < scan->nstates)
            add_state(b, g ? g : zeros(b, scan->results[k]), got[k]);
        else if (g)
            add_column(b, g, got[k]);
    }
    for (int k = 0; k < scan->ninputs; k++)
        if (k < scan->nstates || b->r->wanted[b->node->args[k]->id])
            by[n++] = scan->inputs[k]->input;
    b->inner = (gram_reverse){.ctx = ctx, .loc = b->r->loc, .spec = gram_scan_spec(ctx, b->r->spec, scan, "f", NULL)};
    gram_reverse_run(&b->inner, by, n, got);
}

/* --- what is captured --------------------------------------------------------------------------------------------- */

static bool is_column(const gram_node *a)
{
    return gram_dim_is(a->cols, 1);
}

/* Adds g, what a column gives to operand k, as terms: false where it is no sum of products a b'. */
static bool add_terms(back *b, int k, const gram_node *g, bool turned)
{
    if (g->op == GRAM_OP_TRANSPOSE)
        return add_terms(b, k, g->args[0], !turned);
    if (g->op == GRAM_OP_ADD && !g->keep)
        return add_terms(b, k, g->args[0], turned) && add_terms(b, k, g->args[1], turned);
    if (g->op != GRAM_OP_MATMUL || g->args[1]->op != GRAM_OP_TRANSPOSE || !is_column(g->args[0]) ||
        b->nterms == MOST_TERMS)
        return false;
    int left = add_output(b, g->args[0]), right = add_output(b, g->args[1]->args[0]);
    b->terms[b->nterms++] = (term){k, turned ? right : left, turned ? left : right};
    return true;
}

/* What operand k, captured, gets of each column: as terms, or as a sum that is part of the state. */
static void add_captured(back *b, int k, gram_node *g)
{
    const int nterms = b->nterms, noutputs = b->noutputs;
    if (add_terms(b, k, g, false))
        return;
    b->nterms = nterms;
    b->noutputs = noutputs;
    if (is_column(g) && b->nterms < MOST_TERMS) {
        b->terms[b->nterms++] = (term){k, add_output(b, g), -1};
        return;
    }
    gram_node *sum = leaf(b, g->rows, g->cols);
    b->gives[k] = b->draft.nstates;
    add_state(b, zeros(b, g), sum);
    g = gram_scan_replaced(b->r->ctx, g, b->scan->ninputs, b->scan->inputs, b->to);
    b->draft.results[b->gives[k]] = gram_node_binary(b->r->ctx, b->r->loc, GRAM_OP_ADD, sum, g);
}

static void add_results(back *b)
{
    const gram_scan *scan = b->scan;
    for (int k = 0; k < scan->ninputs; k++) {
        gram_node *g = gram_reverse_of(&b->inner, scan->inputs[k]->input);
        b->gives[k] = -1;
        if (k < scan->nstates) {
            g = g ? gram_filled(&b->inner, g) : zeros(b, scan->inputs[k]);
            b->draft.results[b->gives[k] = k] = gram_scan_replaced(b->r->ctx, g, scan->ninputs, scan->inputs, b->to);
        } else if (g && k < scan->nstates + scan->ncolumns) {
            b->gives[k] = add_output(b, gram_filled(&b->inner, g));
        } else if (g) {
            add_captured(b, k, gram_filled(&b->inner, g));
        }
    }
}

/* --- handing on --------------------------------------------------------------------------------------------------- */

static gram_node *turned(const back *b, gram_node *a)
{
    return gram_node_unary(b->r->ctx, b->r->loc, GRAM_OP_TRANSPOSE, a);
}

static void hand_terms_on(back *b, gram_node *const *outputs)
{
    for (int k = 0; k < b->nterms; k++) {
        const term *t = &b->terms[k];
        gram_node *a = outputs[t->a], *sum;
        if (t->b >= 0)
            sum = gram_node_binary(b->r->ctx, b->r->loc, GRAM_OP_MATMUL, a, turned(b, outputs[t->b]));
        else
            sum = turned(b, gram_node_unary(b->r->ctx, b->r->loc, GRAM_OP_SUM, turned(b, a)));
        gram_collect(b->r, b->node->args[t->operand], sum);
    }
}

static void allocate(back *b)
{
    size_t most = 2 * ((size_t)b->scan->ninputs + (size_t)b->scan->nresults + MOST_TERMS) + 1;
    gram_node ***lists[] = {
        &b->to,           &b->outputs, &b->draft.states, &b->draft.state_ins, &b->draft.columns, &b->draft.column_ins,
        &b->draft.results};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        *lists[k] = gram_alloc(b->r->ctx, most * sizeof(gram_node *));
    b->gives = gram_alloc(b->r->ctx, most * sizeof *b->gives);
}

void gram_hand_scan_on(gram_reverse *r, gram_node *node)
{
    back b = {.r = r, .node = node, .scan = node->scan};
    allocate(&b);
    b.draft.backwards = !b.scan->backwards;
    b.draft.cols = node->dim;
    add_inputs(&b);
    reverse(&b);
    add_results(&b);
    b.draft.nresults = b.draft.nstates + b.noutputs;
    for (int k = 0; k < b.noutputs; k++)
        b.draft.results[b.draft.nstates + k] = b.outputs[k];
    gram_node **made = gram_scan_make(r->ctx, r->loc, &b.draft), **outputs = made + b.draft.nstates;
    for (int k = 0; k < b.scan->ninputs; k++) {
        bool column = k >= b.scan->nstates && k < b.scan->nstates + b.scan->ncolumns;
        if (b.gives[k] >= 0 && r->wanted[node->args[k]->id])
            gram_collect(r, node->args[k], (column ? outputs : made)[b.gives[k]]);
    }
    hand_terms_on(&b, outputs);
}
