/* Scans are closed here: f's graph, as it was traced over nodes of the kernel, becomes a graph over leaves of its own.
 * What does not depend on the state is no part of the recurrence, so it is made for all columns at once where that
 * pays. */
#include "scan.h"

#include <string.h>

/* What a node is made of: columns, states, what the kernel has; a product of either of the first two. LOOP counts as a
 * state, so that no sum over a third token is taken apart. KNOWN: it is worked out. */
enum { OF_COLUMN = 1, OF_STATE = 2, OF_KERNEL = 4, PRODUCT = 8, KNOWN = 16 };
enum { YES = 1, NO = 2 };

typedef struct closing {
    gram_ctx *ctx;
    gram_loc loc;
    const gram_scan_draft *draft;
    int size; /* of the tables below, by node id */
    char *makings;
    char *columnwise;   /* YES or NO, once it is asked */
    gram_node **source; /* the node that a columnwise one is simple arithmetic of, once it is asked */
    gram_node **inside; /* the node as f has it */
    gram_node **wide;   /* the node for all columns */
    int ncolumns, ncaptured;
    gram_node **columns, **column_ins, **captured, **captured_ins;
} closing;

gram_node *gram_scan_stand_in(gram_ctx *ctx, gram_loc loc, const char *name, gram_dim rows, gram_dim cols, bool batched)
{
    gram_input *in = gram_alloc(ctx, sizeof *in);
    *in = (gram_input){.name = name, .kind = GRAM_TOKENS, .rows = rows, .cols = cols, .batched = batched, .loc = loc};
    gram_node leaf = {.input = in, .type = GRAM_REAL, .rows = rows, .cols = cols, .batched = batched};
    return gram_node_make(ctx, loc, GRAM_OP_INPUT, 0, NULL, &leaf);
}

/* --- replacing ---------------------------------------------------------------------------------------------------- */

typedef struct replacing {
    gram_ctx *ctx;
    int n;
    gram_node *const *from, *const *to;
    gram_node **made;
} replacing;

static gram_node *remade(gram_ctx *ctx, gram_node *node, gram_node **args)
{
    bool same = true;
    for (int k = 0; k < node->nargs; k++)
        same = same && args[k] == node->args[k];
    return same ? node : gram_node_make(ctx, node->loc, node->op, node->nargs, args, node);
}

static gram_node *replaced(replacing *r, gram_node *node)
{
    if (r->made[node->id])
        return r->made[node->id];
    for (int k = 0; k < r->n; k++)
        if (r->from[k] == node)
            return r->made[node->id] = r->to[k];
    gram_node **args = gram_alloc(r->ctx, (size_t)(node->nargs + 1) * sizeof *args);
    for (int k = 0; k < node->nargs; k++)
        args[k] = replaced(r, node->args[k]);
    return r->made[node->id] = remade(r->ctx, node, args);
}

gram_node *gram_scan_replaced(gram_ctx *ctx, gram_node *node, int n, gram_node *const *from, gram_node *const *to)
{
    replacing r = {ctx, n, from, to, gram_alloc(ctx, (size_t)(node->id + 1) * sizeof *r.made)};
    return replaced(&r, node);
}

/* --- what depends on what ----------------------------------------------------------------------------------------- */

static int find(gram_node *const *nodes, int n, const gram_node *node)
{
    for (int k = 0; k < n; k++)
        if (nodes[k] == node)
            return k;
    return -1;
}

/* What lies beside node: the entry of `beside` where nodes has it, or NULL. */
static gram_node *entry_beside(gram_node *const *nodes, int n, const gram_node *node, gram_node *const *beside)
{
    int k = find(nodes, n, node);
    return k >= 0 ? beside[k] : NULL;
}

static int leaf_of(const closing *c, const gram_node *node)
{
    static const bool constant[GRAM_OP_COUNT] = {[GRAM_OP_NUMBER] = true,
                                                 [GRAM_OP_SIZE] = true,
                                                 [GRAM_OP_ROW] = true,
                                                 [GRAM_OP_COL] = true,
                                                 [GRAM_OP_IDENTITY] = true};
    const gram_scan_draft *d = c->draft;
    if (node->op == GRAM_OP_LOOP || find(d->state_ins, d->nstates, node) >= 0)
        return OF_STATE;
    if (find(d->column_ins, d->ncolumns, node) >= 0)
        return OF_COLUMN;
    return constant[node->op] ? 0 : OF_KERNEL;
}

static int makings(closing *c, const gram_node *node)
{
    if (c->makings[node->id])
        return c->makings[node->id];
    int of = node->nargs ? 0 : leaf_of(c, node);
    for (int k = 0; k < node->nargs; k++)
        of |= makings(c, node->args[k]);
    of |= node->op == GRAM_OP_MATMUL && of & (OF_COLUMN | OF_STATE) ? PRODUCT : 0;
    return c->makings[node->id] = (char)(of | KNOWN);
}

static int depends(closing *c, const gram_node *node)
{
    return makings(c, node) & (OF_COLUMN | OF_STATE);
}

/* Is node a column made of columns entry by entry, by sums down them and by products with what is captured? Then it is
 * the same formula for all columns side by side. */
static bool is_columnwise(closing *c, const gram_node *node)
{
    static const bool down[GRAM_OP_COUNT] = {
        [GRAM_OP_SUM] = true,       [GRAM_OP_MAXIMUM] = true, [GRAM_OP_SOFTMAX] = true,
        [GRAM_OP_LOGSUMEXP] = true, [GRAM_OP_EXPAND] = true,  [GRAM_OP_ROWS] = true};
    int of = depends(c, node);
    if (!gram_dim_is(node->cols, 1) || of & OF_STATE || node->keep)
        return false;
    if (!of || !node->nargs)
        return true;
    if (c->columnwise[node->id])
        return c->columnwise[node->id] == YES;
    bool product = node->op == GRAM_OP_MATMUL && !depends(c, node->args[0]);
    bool all = product || down[node->op] || gram_op_is_scalar(node->op);
    for (int k = product; k < node->nargs && all; k++)
        all = is_columnwise(c, node->args[k]);
    c->columnwise[node->id] = all ? YES : NO;
    return all;
}

/* The node of which this one is no more than sums, differences and products, with numbers and what is captured: 1 - z is
 * of z. Itself, where it is something else, or of several. */
static gram_node *source_of(closing *c, gram_node *node)
{
    static const bool simple[GRAM_OP_COUNT] = {
        [GRAM_OP_ADD] = true, [GRAM_OP_SUB] = true, [GRAM_OP_MUL] = true, [GRAM_OP_NEG] = true};
    gram_node **source = &c->source[node->id], *only = NULL;
    if (*source)
        return *source;
    *source = node;
    for (int k = 0; simple[node->op] && k < node->nargs; k++) {
        gram_node *of = depends(c, node->args[k]) ? source_of(c, node->args[k]) : only;
        if (only && of != only)
            return node;
        only = of;
    }
    return *source = only ? only : node;
}

/* Is node made for all columns at once? Columns are arrays: what is simple arithmetic of another is made of that one. */
static bool is_made_outside(closing *c, gram_node *node)
{
    return node->type == GRAM_REAL && makings(c, node) & PRODUCT && is_columnwise(c, node) &&
           source_of(c, node) == node;
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

/* A columnwise node for all columns. */
static gram_node *widened(closing *c, gram_node *node)
{
    int column = find(c->draft->column_ins, c->draft->ncolumns, node);
    gram_node like = *node;
    if (column >= 0)
        return c->draft->columns[column];
    if (!depends(c, node) || c->wide[node->id])
        return depends(c, node) ? c->wide[node->id] : node;
    gram_node **args = gram_alloc(c->ctx, (size_t)(node->nargs + 1) * sizeof *args);
    for (int k = 0; k < node->nargs; k++)
        args[k] = widened(c, node->args[k]);
    like.cols = c->draft->cols;
    return c->wide[node->id] = gram_node_make(c->ctx, node->loc, node->op, node->nargs, args, &like);
}

static gram_node **grown(gram_ctx *ctx, gram_node **old, int n)
{
    gram_node **more = gram_alloc(ctx, (size_t)(n + 1) * sizeof *more);
    if (n)
        memcpy(more, old, (size_t)n * sizeof *more);
    return more;
}

static gram_node *add_column(closing *c, gram_node *matrix, gram_node *stand_in)
{
    c->columns = grown(c->ctx, c->columns, c->ncolumns);
    c->column_ins = grown(c->ctx, c->column_ins, c->ncolumns);
    c->columns[c->ncolumns] = matrix;
    c->column_ins[c->ncolumns++] = stand_in;
    return stand_in;
}

static gram_node *capture(closing *c, gram_node *node)
{
    gram_node *known = entry_beside(c->captured, c->ncaptured, node, c->captured_ins);
    if (known)
        return known;
    c->captured = grown(c->ctx, c->captured, c->ncaptured);
    c->captured_ins = grown(c->ctx, c->captured_ins, c->ncaptured);
    c->captured[c->ncaptured] = node;
    return c->captured_ins[c->ncaptured++] =
               gram_scan_stand_in(c->ctx, node->loc, "captured", node->rows, node->cols, false);
}

static void refuse_heads(closing *c, const gram_node *node)
{
    static const bool moves[GRAM_OP_COUNT] = {[GRAM_OP_HEAD_AT] = true,
                                              [GRAM_OP_STACK_HEADS] = true,
                                              [GRAM_OP_SPLIT_HEADS] = true,
                                              [GRAM_OP_CONCAT_HEADS] = true,
                                              [GRAM_OP_SUM_HEADS] = true};
    if (moves[node->op])
        gram_fail(c->ctx, node->loc, "scan: %s inside f: f works on one head at a time", gram_node_text(c->ctx, node));
}

/* An integer of the kernel's, which comes in as a real. */
static gram_node *captured_integer(closing *c, gram_node *node)
{
    gram_node *real = gram_node_unary(c->ctx, node->loc, GRAM_OP_REAL, node);
    return gram_node_unary(c->ctx, node->loc, GRAM_OP_INT, capture(c, real));
}

static gram_node *closed(closing *c, gram_node *node);

static gram_node *closed_operands(closing *c, gram_node *node)
{
    gram_node **args = gram_alloc(c->ctx, (size_t)(node->nargs + 1) * sizeof *args);
    for (int k = 0; k < node->nargs; k++)
        args[k] = closed(c, node->args[k]);
    return gram_node_make(c->ctx, node->loc, node->op, node->nargs, args, node);
}

/* node as f has it, over its own leaves. */
static gram_node *closed(closing *c, gram_node *node)
{
    int on = depends(c, node);
    gram_node **made = &c->inside[node->id];
    if (*made)
        return *made;
    if (!(makings(c, node) & ~(PRODUCT | KNOWN)) || (on && !node->nargs))
        return *made = node;
    if (!on && node->type == GRAM_REAL && !node->keep)
        return *made = capture(c, node);
    if (!on && !node->nargs)
        return *made = captured_integer(c, node);
    if (is_made_outside(c, node))
        return *made = add_column(c, widened(c, node),
                                  gram_scan_stand_in(c->ctx, node->loc, "column", node->rows, node->cols, true));
    refuse_heads(c, node);
    return *made = closed_operands(c, node);
}

/* What f gives must differ between columns, for they are a batch's items to it. */
static gram_node *by_column(closing *c, gram_node *node)
{
    gram_node *item = gram_node_make(c->ctx, c->loc, GRAM_OP_BATCH, 0, NULL, NULL);
    gram_node *zero = gram_node_binary(c->ctx, c->loc, GRAM_OP_MUL, gram_node_number(c->ctx, c->loc, GRAM_REAL, 0),
                                       gram_node_unary(c->ctx, c->loc, GRAM_OP_REAL, item));
    return node->batched ? node : gram_node_binary(c->ctx, c->loc, GRAM_OP_ADD, node, zero);
}

/* --- the scan of a closed graph ----------------------------------------------------------------------------------- */

static bool is_used(gram_ctx *ctx, const gram_scan *scan, gram_node *leaf)
{
    bool found = false;
    for (int k = 0; k < scan->nresults && !found; k++)
        found = gram_node_needs(ctx, scan->results[k], &leaf, 1);
    return found;
}

static const char *name_of(const gram_scan *scan, int k, const gram_node *operand, gram_ctx *ctx)
{
    const char *own = operand->op == GRAM_OP_INPUT ? operand->input->name : NULL;
    if (k < scan->nstates)
        return "state";
    if (k < scan->nstates + scan->ncolumns)
        return own ? gram_format(ctx, "%s_column", own) : "column";
    return own ? own : "captured";
}

static bool is_taken(const gram_ctx *ctx, const gram_scan *scan, int n, const char *name)
{
    bool taken = false;
    for (int k = 0; k < n; k++)
        taken = taken || !strcmp(scan->inputs[k]->input->name, name);
    for (int k = 0; k < ctx->spec->nsizes; k++)
        taken = taken || !strcmp(ctx->spec->sizes[k], name);
    return taken;
}

static void add_input(gram_ctx *ctx, gram_scan *scan, gram_node **args, gram_node *leaf, gram_node *operand)
{
    int k = scan->ninputs;
    gram_input *in = (gram_input *)leaf->input;
    const char *name = name_of(scan, k, operand, ctx), *free = name;
    for (int copy = 2; is_taken(ctx, scan, k, free); copy++)
        free = gram_format(ctx, "%s%d", name, copy);
    in->name = free;
    in->index = k;
    args[k] = operand;
    scan->inputs[scan->ninputs++] = leaf;
}

/* The matrix whose columns a leaf of f stands for, or NULL. */
static gram_node *matrix_of(const closing *c, const gram_node *leaf)
{
    gram_node *given = entry_beside(c->draft->column_ins, c->draft->ncolumns, leaf, c->draft->columns);
    return given ? given : entry_beside(c->column_ins, c->ncolumns, leaf, c->columns);
}

/* Result k where it needs no walk: what is the same for all columns, or was made for all; else NULL. */
static gram_node *result_without(closing *c, int k)
{
    gram_node *node = c->draft->results[k];
    if (k < c->draft->nstates)
        return NULL;
    return depends(c, node) ? matrix_of(c, closed(c, node))
                            : gram_node_expand(c->ctx, c->loc, node, node->rows, c->draft->cols);
}

/* The operands, in the order of the inputs, which are named after them. */
static gram_node **add_inputs(closing *c, gram_scan *scan)
{
    const gram_scan_draft *d = c->draft;
    size_t most = (size_t)d->nstates + (size_t)d->ncolumns + (size_t)c->ncolumns + (size_t)c->ncaptured + 1;
    gram_node **args = gram_alloc(c->ctx, most * sizeof *args);
    scan->inputs = gram_alloc(c->ctx, most * sizeof *scan->inputs);
    for (int k = 0; k < d->nstates; k++)
        add_input(c->ctx, scan, args, d->state_ins[k], d->states[k]);
    for (int k = 0; k < d->ncolumns + c->ncolumns; k++) {
        bool given = k < d->ncolumns;
        gram_node *leaf = given ? d->column_ins[k] : c->column_ins[k - d->ncolumns];
        if (!is_used(c->ctx, scan, leaf))
            continue;
        scan->ncolumns++;
        add_input(c->ctx, scan, args, leaf, given ? d->columns[k] : c->columns[k - d->ncolumns]);
    }
    for (int k = 0; k < c->ncaptured; k++)
        add_input(c->ctx, scan, args, c->captured_ins[k], c->captured[k]);
    return args;
}

static gram_node **make(closing *c)
{
    const gram_scan_draft *d = c->draft;
    gram_scan *scan = gram_alloc(c->ctx, sizeof *scan);
    gram_node **out = gram_alloc(c->ctx, (size_t)(d->nresults + 1) * sizeof *out);
    scan->backwards = d->backwards;
    scan->nstates = d->nstates;
    scan->results = gram_alloc(c->ctx, (size_t)(d->nresults + 1) * sizeof *scan->results);
    for (int k = 0; k < d->nresults; k++) {
        out[k] = result_without(c, k);
        if (!out[k])
            scan->results[scan->nresults++] = by_column(c, closed(c, d->results[k]));
    }
    gram_node **args = add_inputs(c, scan);
    gram_node like = {.scan = scan, .dim = d->cols};
    for (int k = 0; k < d->nresults; k++)
        if (!out[k]) {
            out[k] = gram_node_make(c->ctx, c->loc, GRAM_OP_SCAN, scan->ninputs, args, &like);
            like.index++;
        }
    return out;
}

/* The draft without states that stay as they are: f reads their first values. */
static gram_scan_draft without_still(gram_ctx *ctx, const gram_scan_draft *draft)
{
    gram_scan_draft d = *draft;
    size_t most = (size_t)draft->nresults + 1;
    d.states = gram_alloc(ctx, most * sizeof *d.states);
    d.state_ins = gram_alloc(ctx, most * sizeof *d.state_ins);
    d.results = gram_alloc(ctx, most * sizeof *d.results);
    gram_node **still = gram_alloc(ctx, most * sizeof *still), **first = gram_alloc(ctx, most * sizeof *first);
    int nstill = 0;
    d.nstates = d.nresults = 0;
    for (int k = 0; k < draft->nresults; k++) {
        bool state = k < draft->nstates;
        if (state && draft->results[k] == draft->state_ins[k]) {
            still[nstill] = draft->state_ins[k];
            first[nstill++] = draft->states[k];
            continue;
        }
        if (state) {
            d.states[d.nstates] = draft->states[k];
            d.state_ins[d.nstates++] = draft->state_ins[k];
        }
        d.results[d.nresults++] = draft->results[k];
    }
    for (int k = 0; k < d.nresults && nstill; k++)
        d.results[k] = gram_scan_replaced(ctx, d.results[k], nstill, still, first);
    return d;
}

gram_node **gram_scan_make(gram_ctx *ctx, gram_loc loc, const gram_scan_draft *draft)
{
    gram_scan_draft d = without_still(ctx, draft);
    closing c = {.ctx = ctx, .loc = loc, .draft = &d};
    gram_node **out = gram_alloc(ctx, (size_t)(draft->nresults + 1) * sizeof *out);
    for (int k = 0; k < d.nresults; k++)
        c.size = d.results[k]->id >= c.size ? d.results[k]->id + 1 : c.size;
    c.makings = gram_alloc(ctx, (size_t)c.size);
    c.columnwise = gram_alloc(ctx, (size_t)c.size);
    c.source = gram_alloc(ctx, (size_t)c.size * sizeof *c.source);
    c.inside = gram_alloc(ctx, (size_t)c.size * sizeof *c.inside);
    c.wide = gram_alloc(ctx, (size_t)c.size * sizeof *c.wide);
    gram_node **made = make(&c);
    for (int k = 0; k < draft->nresults; k++) {
        bool still = k < draft->nstates && draft->results[k] == draft->state_ins[k];
        out[k] = still ? draft->states[k] : *made++;
    }
    return out;
}

bool gram_of_one_scan(const gram_node *a, const gram_node *b)
{
    return a->op == GRAM_OP_SCAN && a->scan == b->scan && a->nargs == b->nargs &&
           !memcmp(a->args, b->args, (size_t)a->nargs * sizeof *a->args);
}

gram_spec *gram_scan_spec(gram_ctx *ctx, const gram_spec *outer, const gram_scan *scan, const char *name,
                          const bool *wanted)
{
    gram_spec *spec = gram_alloc(ctx, sizeof *spec);
    *spec = (gram_spec){.name = name, .file = outer->file, .text = "", .nsizes = outer->nsizes, .scan = scan};
    memcpy(spec->sizes, outer->sizes, sizeof spec->sizes);
    spec->ninputs = scan->ninputs;
    spec->inputs = gram_alloc(ctx, (size_t)(scan->ninputs + 1) * sizeof *spec->inputs);
    for (int k = 0; k < scan->ninputs; k++)
        spec->inputs[k] = (gram_input *)scan->inputs[k]->input;
    spec->outputs = gram_alloc(ctx, (size_t)(scan->nresults + 1) * sizeof *spec->outputs);
    for (int k = 0; k < scan->nresults; k++)
        if (!wanted || wanted[k])
            spec->outputs[spec->noutputs++] =
                (gram_output){.name = k < scan->nstates ? gram_format(ctx, "next_%s", scan->inputs[k]->input->name)
                                                        : gram_format(ctx, k > scan->nstates ? "output%d" : "output",
                                                                      k - scan->nstates + 1),
                              .node = scan->results[k],
                              .traced = scan->results[k]};
    return spec;
}
