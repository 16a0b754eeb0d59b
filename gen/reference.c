/* The reference: the traced graph in double precision, one operation at a time, in plain loops. It is what every back
 * end is checked against, so it shares nothing with the passes after tracing and prefers being obviously right.
 *
 * A node's matrix for one head and one item is a *slice*. gram_reference finds the nodes (collect) and slices
 * (link_slices) that the outputs need and checks that their sizes fit, then walks items, heads and outputs and
 * computes each slice when it is first asked for, once its operands are there (demand). A slice counts its uses and is
 * freed after the last one, so few n x n matrices are alive at a time; what does not differ between items is computed
 * once for all of them. Inside an OVER, its columns take the place of items. The operations themselves are in
 * reference_ops.c. */
#include "reference.h"

#include <stdlib.h>

#include "layout.h"

typedef struct slice {
    const gram_node *node; /* NULL: no output needs it */
    int head, part;        /* part: which of node.each items */
    int noperands;
    int *operands; /* pairs: the slice with the values, the slice with the predicate that keeps them or -1 */
    int64_t uses;  /* by other slices and outputs; of one that differs between turns, for one */
    int64_t left;  /* uses still to come */
    double *data;  /* NULL: not computed, or free again */
} slice;

typedef struct run {
    gram_ctx *ctx;
    const gram_spec *spec;
    const int64_t *sizes;
    const gram_view *inputs, *outputs;
    bool by_loop;        /* turns are the columns of an OVER, else the batch's items */
    int64_t turns, turn; /* how many, and the one under way */
    int64_t first_turn;
    bool *differs; /* by node id: is it another in each turn? */
    int nnodes;
    const gram_node **nodes; /* those that the outputs need */
    int *first;              /* by node id: the slice of its first head; -1: not needed */
    int nslices;
    slice *slices;      /* those of a node lie together */
    int *queue, queued; /* the slices that are needed */
    int *stack;         /* of slices being demanded */
    gram_work work;
} run;

static int64_t size_of(const run *run, gram_dim dim)
{
    return gram_size_of(run->spec, run->sizes, dim);
}

static int heads_of(const gram_node *node)
{
    return node->heads > 0 ? node->heads : 1;
}

static int parts_of(const run *run, const gram_node *node)
{
    return (int)size_of(run, node->each);
}

/* Do the sizes fit? Only a sum of sizes is still open after tracing, which meets a name now. */

static bool fits(const run *run, gram_dim result, gram_dim operand)
{
    return gram_dim_is(operand, 1) || size_of(run, operand) == size_of(run, result);
}

static void expect(const run *run, const gram_node *node, gram_dim a, gram_dim b, const char *what)
{
    if (!fits(run, a, b))
        gram_fail(run->ctx, node->loc, "%s: %s %lld and %lld differ", gram_node_text(run->ctx, node), what,
                  (long long)size_of(run, a), (long long)size_of(run, b));
}

static void check_sides(const run *run, const gram_node *node, const gram_node *a, bool rows, bool cols)
{
    if (rows)
        expect(run, node, node->rows, a->rows, "numbers of rows");
    if (cols)
        expect(run, node, node->cols, a->cols, "numbers of columns");
}

static void check(const run *run, const gram_node *node)
{
    gram_op op = node->op;
    bool all = gram_op_is_scalar(op) || op == GRAM_OP_EXPAND || op == GRAM_OP_KEEP || op == GRAM_OP_SOFTMAX;
    bool rows = all || op == GRAM_OP_HCAT || op == GRAM_OP_CUMSUM, cols = all || op == GRAM_OP_VCAT;
    for (int k = 0; k < node->nargs; k++)
        check_sides(run, node, node->args[k], rows || (op == GRAM_OP_GATHER && k > 0),
                    cols || (op == GRAM_OP_GATHER && k > 0));
    if (op == GRAM_OP_MATMUL)
        expect(run, node, node->args[0]->cols, node->args[1]->rows, "inner sizes");
    if (op == GRAM_OP_SQDIST || op == GRAM_OP_DIST1)
        expect(run, node, node->args[0]->rows, node->args[1]->rows, "numbers of rows");
    if (op == GRAM_OP_ROWS && size_of(run, node->dim) + size_of(run, node->rows) > size_of(run, node->args[0]->rows))
        gram_fail(run->ctx, node->loc, "%s: rows from %lld on, %lld of them, of only %lld",
                  gram_node_text(run->ctx, node), (long long)size_of(run, node->dim),
                  (long long)size_of(run, node->rows), (long long)size_of(run, node->args[0]->rows));
    if (node->keep)
        check_sides(run, node, node->keep, true, true);
}

/* Which nodes, which slices, and how often each is used. */

static void *allocate_table(const run *run, size_t count, size_t size)
{
    return gram_alloc(run->ctx, (count + 1) * size);
}

static void need(run *run, const gram_node *node)
{
    if (!node || run->first[node->id] >= 0)
        return;
    run->first[node->id] = run->nslices;
    run->differs[node->id] = run->by_loop ? gram_node_loops(run->ctx, node) : node->batched;
    run->nslices += heads_of(node) * parts_of(run, node);
    run->nodes[run->nnodes++] = node;
}

/* Is output k asked for? */
static bool wanted(const run *run, int k)
{
    return run->outputs[k].data != NULL;
}

/* The nodes that are needed, breadth first from the outputs; operands have smaller ids than their users. */
static void collect(run *run)
{
    int ids = 0;
    for (int k = 0; k < run->spec->noutputs; k++)
        if (run->spec->outputs[k].node->id >= ids)
            ids = run->spec->outputs[k].node->id + 1;
    run->first = allocate_table(run, (size_t)ids, sizeof *run->first);
    run->nodes = allocate_table(run, (size_t)ids, sizeof *run->nodes);
    run->differs = allocate_table(run, (size_t)ids, sizeof *run->differs);
    for (int id = 0; id < ids; id++)
        run->first[id] = -1;
    for (int k = 0; k < run->spec->noutputs; k++)
        if (wanted(run, k))
            need(run, run->spec->outputs[k].node);
    for (int n = 0; n < run->nnodes; n++) {
        check(run, run->nodes[n]);
        need(run, run->nodes[n]->keep);
        for (int k = 0; k < run->nodes[n]->nargs; k++)
            need(run, run->nodes[n]->args[k]);
    }
}

/* Head `head` of `heads` of the users of `node`: a group of heads shares one of the node's; and the user's item, which
 * one without items does not see. */
typedef struct meeting {
    const gram_node *node;
    int head, heads, part;
} meeting;

static int slice_at(const run *run, meeting met)
{
    int parts = parts_of(run, met.node), head = (int)((int64_t)met.head * heads_of(met.node) / met.heads);
    return run->first[met.node->id] + head * parts + (gram_dim_is(met.node->each, 1) ? 0 : met.part);
}

/* Notes one more use, in each turn or once for all, and returns the slice; -1 for no node. A slice used for the
 * first time joins the queue. */
static int use(run *run, meeting met, bool each_turn)
{
    if (!met.node)
        return -1;
    int s = slice_at(run, met), parts = parts_of(run, met.node);
    slice *slice = &run->slices[s];
    if (!slice->node) {
        slice->node = met.node;
        slice->head = (s - run->first[met.node->id]) / parts;
        slice->part = (s - run->first[met.node->id]) % parts;
        run->queue[run->queued++] = s;
    }
    slice->uses += each_turn && !run->differs[met.node->id] ? run->turns : 1;
    return s;
}

/* The k-th operand of a node's head, for one of its items. */
static meeting operand_at(const gram_node *node, int head, int part, int k)
{
    switch (gram_rules[node->op].heads) {
    case GRAM_ALL_HEADS:
        return (meeting){node->args[0], k, heads_of(node->args[0]), part};
    case GRAM_ONE_HEAD:
        return (meeting){node->args[k], node->index, heads_of(node->args[k]), part};
    case GRAM_AS_HEADS:
        return (meeting){node->args[head], 0, 1, part};
    case GRAM_ALL_ITEMS:
        return (meeting){node->args[0], 0, 1, k};
    default:
        return (meeting){node->args[k], head, heads_of(node), part};
    }
}

static int operands_of(const run *run, const gram_node *node)
{
    switch (gram_rules[node->op].heads) {
    case GRAM_ALL_HEADS:
        return heads_of(node->args[0]);
    case GRAM_AS_HEADS:
        return 1;
    case GRAM_NO_HEADS:
        return 0;
    case GRAM_ALL_ITEMS:
        return parts_of(run, node->args[0]);
    default:
        return node->nargs;
    }
}

static void link_operands(run *run, slice *slice)
{
    bool keeps = gram_rules[slice->node->op].keeps, differs = run->differs[slice->node->id];
    slice->noperands = operands_of(run, slice->node);
    slice->operands = allocate_table(run, (size_t)slice->noperands * 2, sizeof(int));
    for (int k = 0; k < slice->noperands; k++) {
        meeting met = operand_at(slice->node, slice->head, slice->part, k);
        slice->operands[2 * k] = use(run, met, differs);
        met.node = keeps ? met.node->keep : NULL;
        slice->operands[2 * k + 1] = use(run, met, differs);
    }
}

/* Is an output written in each turn? */
static bool is_written_again(const run *run, const gram_node *node)
{
    return run->by_loop || node->batched;
}

static void use_output(run *run, const gram_node *node)
{
    for (int h = 0; h < heads_of(node); h++) {
        use(run, (meeting){node, h, heads_of(node), 0}, is_written_again(run, node));
        use(run, (meeting){node->keep, h, heads_of(node), 0}, is_written_again(run, node));
    }
}

static void link_slices(run *run)
{
    int most = 0;
    run->slices = allocate_table(run, (size_t)run->nslices, sizeof *run->slices);
    run->queue = allocate_table(run, (size_t)run->nslices, sizeof *run->queue);
    run->stack = allocate_table(run, (size_t)run->nslices, sizeof *run->stack);
    for (int k = 0; k < run->spec->noutputs; k++)
        if (wanted(run, k))
            use_output(run, run->spec->outputs[k].node);
    for (int k = 0; k < run->queued; k++) {
        slice *slice = &run->slices[run->queue[k]];
        link_operands(run, slice);
        most = slice->noperands > most ? slice->noperands : most;
    }
    run->work.x = allocate_table(run, (size_t)most, sizeof *run->work.x);
}

/* Memory. An error does not come back, so it frees what there is first. */

static void free_all(run *run)
{
    for (int s = 0; s < run->nslices; s++)
        free(run->slices[s].data);
    free(run->work.scratch);
}

static double *allocate(run *run, const gram_node *node, int64_t rows, int64_t cols)
{
    size_t count = 0;
    double *data = NULL;
    if (!__builtin_mul_overflow((size_t)rows, (size_t)cols, &count))
        data = calloc(count ? count : 1, sizeof(double));
    if (!data) {
        free_all(run);
        gram_fail(run->ctx, node->loc, "out of memory for %s: %lld x %lld", gram_node_text(run->ctx, node),
                  (long long)rows, (long long)cols);
    }
    return data;
}

static void release(run *run, int s)
{
    if (s < 0 || --run->slices[s].left > 0)
        return;
    free(run->slices[s].data);
    run->slices[s].data = NULL;
}

/* Computing. */

/* A size that is the number 1 repeats. */
static int64_t step_of(gram_dim dim, int64_t step)
{
    return gram_dim_is(dim, 1) ? 0 : step;
}

static gram_operand operand_of(const run *run, int values, int predicate)
{
    const gram_node *node = run->slices[values].node;
    gram_operand x = {.data = run->slices[values].data};
    x.rows = size_of(run, node->rows);
    x.cols = size_of(run, node->cols);
    x.row = step_of(node->rows, 1);
    x.col = step_of(node->cols, x.rows);
    if (predicate >= 0) {
        const gram_node *keep = run->slices[predicate].node;
        x.keep = run->slices[predicate].data;
        x.keep_row = step_of(keep->rows, 1);
        x.keep_col = step_of(keep->cols, size_of(run, keep->rows));
    }
    return x;
}

static void compute(run *run, int s)
{
    slice *slice = &run->slices[s];
    const gram_node *node = slice->node;
    const gram_rule *rule = &gram_rules[node->op];
    gram_work *work = &run->work;
    work->node = node;
    work->head = slice->head;
    work->part = slice->part;
    work->nx = slice->noperands;
    for (int k = 0; k < slice->noperands; k++)
        work->x[k] = operand_of(run, slice->operands[2 * k], slice->operands[2 * k + 1]);
    slice->data = allocate(run, node, size_of(run, node->rows), size_of(run, node->cols));
    work->out = operand_of(run, s, -1);
    if (rule->scratch)
        work->scratch = allocate(run, node, rule->scratch * work->out.rows, work->out.cols);
    rule->compute(work);
    free(work->scratch);
    work->scratch = NULL;
    for (int k = 0; k < 2 * slice->noperands; k++)
        release(run, slice->operands[k]);
}

/* An operand of s that is not computed yet, or -1. */
static int missing_operand(const run *run, int s)
{
    for (int k = 0; k < 2 * run->slices[s].noperands; k++) {
        int operand = run->slices[s].operands[k];
        if (operand >= 0 && !run->slices[operand].data)
            return operand;
    }
    return -1;
}

/* Computes a slice after all it needs, depth first; the stack is our own since a formula may be very deep. */
static void demand(run *run, int s)
{
    int depth = 0;
    if (s >= 0 && !run->slices[s].data)
        run->stack[depth++] = s;
    while (depth > 0) {
        int missing = missing_operand(run, run->stack[depth - 1]);
        if (missing >= 0)
            run->stack[depth++] = missing;
        else
            compute(run, run->stack[--depth]);
    }
}

static void write_output(run *run, const gram_view *view, int values, int predicate, bool add)
{
    gram_operand x = operand_of(run, values, predicate);
    double *to = view->data + run->turn * view->batch + run->slices[values].head * view->head;
    for (int64_t j = 0; j < x.cols; j++)
        for (int64_t i = 0; i < x.rows; i++) {
            bool kept = !x.keep || x.keep[i * x.keep_row + j * x.keep_col] != 0;
            double value = kept ? x.data[i * x.row + j * x.col] : 0, *at = &to[i * view->row + j * view->col];
            *at = add ? *at + value : value;
        }
}

/* One head of one output, for the turn under way. */
static void output_head(run *run, int k, int head)
{
    const gram_node *node = run->spec->outputs[k].node, *keep = node->keep;
    int values = run->first[node->id] + head;
    int predicate = keep ? run->first[keep->id] + (int)((int64_t)head * heads_of(keep) / heads_of(node)) : -1;
    demand(run, values);
    demand(run, predicate);
    write_output(run, &run->outputs[k], values, predicate, run->spec->outputs[k].summed && run->turn > 0);
    release(run, values);
    release(run, predicate);
}

/* All outputs of a turn, head by head, so that what they share is freed before the next head. */
static void run_turn(run *run)
{
    int heads = 1;
    for (int k = 0; k < run->spec->noutputs; k++)
        if (heads_of(run->spec->outputs[k].node) > heads)
            heads = heads_of(run->spec->outputs[k].node);
    for (int s = 0; s < run->nslices; s++)
        if (run->slices[s].node && (run->turn == run->first_turn || run->differs[run->slices[s].node->id]))
            run->slices[s].left = run->slices[s].uses;
    for (int h = 0; h < heads; h++)
        for (int k = 0; k < run->spec->noutputs; k++) {
            const gram_node *node = run->spec->outputs[k].node;
            bool now = is_written_again(run, node) ? run->turns > 0 : run->turn == run->first_turn;
            if (now && wanted(run, k) && h < heads_of(node))
                output_head(run, k, h);
        }
}

static void run_all(run *run, int64_t item, int64_t turns)
{
    run->turns = turns;
    run->first_turn = run->turn;
    run->work = (gram_work){.ctx = run->ctx, .spec = run->spec, .sizes = run->sizes, .inputs = run->inputs};
    collect(run);
    link_slices(run);
    do {
        run->work.item = run->by_loop ? item : run->turn;
        run->work.loop = run->by_loop ? run->turn : -1;
        run_turn(run);
    } while (++run->turn < run->first_turn + turns);
    free_all(run);
}

void gram_reference_loop(gram_ctx *ctx, const gram_spec *spec, int64_t item, int64_t columns, const int64_t *sizes,
                         const gram_view *inputs, const gram_view *outputs)
{
    run run = {.ctx = ctx, .spec = spec, .sizes = sizes, .inputs = inputs, .outputs = outputs, .by_loop = true};
    run_all(&run, item, columns);
}

/* The view from token `start` on, where tokens lie end to end. */
static gram_view from_token(gram_view view, const gram_spec *spec, gram_dim rows, int64_t start)
{
    view.data += start * (gram_dim_is_ragged(spec, rows) ? view.row : view.col);
    view.batch = 0;
    return view;
}

/* One item, whose sizes are its own. */
static void run_ragged(gram_ctx *ctx, const gram_spec *spec, int64_t item, const int64_t *all, const gram_view *inputs,
                       const gram_view *outputs)
{
    int64_t *sizes = gram_alloc(ctx, GRAM_SIZES * sizeof *sizes);
    gram_view *in = gram_alloc(ctx, (size_t)spec->ninputs * sizeof *in);
    gram_view *out = gram_alloc(ctx, (size_t)spec->noutputs * sizeof *out);
    for (int s = 0; s < spec->nsizes; s++) {
        const double *starts = spec->starts[s] ? inputs[spec->starts[s]->index].data + item : NULL;
        sizes[s] = starts ? (int64_t)(starts[1] - starts[0]) : all[s];
    }
    for (int k = 0; k < spec->ninputs; k++) {
        const gram_input *input = spec->inputs[k], *starts = input->starts;
        in[k] =
            starts ? from_token(inputs[k], spec, input->rows, (int64_t)inputs[starts->index].data[item]) : inputs[k];
    }
    for (int k = 0; k < spec->noutputs; k++) {
        const gram_input *starts = gram_output_starts(&spec->outputs[k]);
        const gram_dim rows = spec->outputs[k].node->rows;
        out[k] = starts ? from_token(outputs[k], spec, rows, (int64_t)inputs[starts->index].data[item]) : outputs[k];
    }
    run run = {.ctx = ctx, .spec = spec, .sizes = sizes, .inputs = in, .outputs = out, .turn = item};
    run_all(&run, item, 1);
}

void gram_reference(gram_ctx *ctx, const gram_spec *spec, int64_t batch, const int64_t *sizes, const gram_view *inputs,
                    const gram_view *outputs)
{
    run run = {.ctx = ctx, .spec = spec, .sizes = sizes, .inputs = inputs, .outputs = outputs};
    for (int64_t item = 0; item < batch && gram_is_ragged(spec); item++)
        run_ragged(ctx, spec, item, sizes, inputs, outputs);
    if (batch == 0 || !gram_is_ragged(spec))
        run_all(&run, 0, batch);
}
