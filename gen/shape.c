/* The rules of shape: one row per operation says what its operands must be and what the result is. Everything an error
 * says about shapes is said here; it begins with the expression as the spec would write it. */
#include "shape.h"

#include <string.h>

#include "scan.h"

typedef struct rule {
    gram_ctx *ctx;
    gram_loc loc;
    gram_node *node;
} rule;

#define FAIL(r, format, ...) \
    gram_fail((r)->ctx, (r)->loc, "%s: " format, gram_node_text((r)->ctx, (r)->node), __VA_ARGS__)

static gram_node *operand(const rule *r, int k)
{
    return r->node->args[k];
}

static const char *shape_text(const rule *r, int k)
{
    return gram_shape_text(r->ctx, operand(r, k));
}

static const char *dim_text(const rule *r, gram_dim dim)
{
    return gram_dim_text(r->ctx, dim);
}

/* Sizes that can only be compared when the kernel runs are noted once. */
static void note_check(const rule *r, gram_dim a, gram_dim b)
{
    gram_spec *spec = r->ctx->spec;
    if (!spec || gram_dim_equal(a, b))
        return;
    for (int k = 0; k < spec->nchecks; k++)
        if (gram_dim_equal(spec->checks[k].a, a) && gram_dim_equal(spec->checks[k].b, b))
            return;
    if (spec->nchecks == spec->check_capacity) {
        spec->check_capacity = spec->check_capacity ? 2 * spec->check_capacity : 8;
        gram_check *grown = gram_alloc(r->ctx, (size_t)spec->check_capacity * sizeof *grown);
        if (spec->nchecks)
            memcpy(grown, spec->checks, (size_t)spec->nchecks * sizeof *grown);
        spec->checks = grown;
    }
    spec->checks[spec->nchecks++] = (gram_check){a, b, r->loc};
}

/* The one of two equal sizes that says most. */
static gram_dim simpler(gram_dim a, gram_dim b)
{
    return gram_dim_known(a) ? a : gram_dim_known(b) || gram_dim_is_sum(a) ? b : a;
}

/* The size that both are; `how` says in the error how the operands k and l come together, `what` which sizes differ. */
static gram_dim meet(const rule *r, int k, int l, gram_dim a, gram_dim b, const char *how, const char *what)
{
    if (!gram_dim_meets(a, b))
        FAIL(r, "%s %s %s: %s %s and %s differ", shape_text(r, k), how, shape_text(r, l), what, dim_text(r, a),
             dim_text(r, b));
    note_check(r, a, b);
    return simpler(a, b);
}

static gram_dim broadcast(const rule *r, int k, int l, gram_dim a, gram_dim b)
{
    if (gram_dim_is(a, 1) || gram_dim_is(b, 1))
        return gram_dim_is(a, 1) ? b : a;
    return meet(r, k, l, a, b, "and", "sizes");
}

static gram_dim sum_of_dims(const rule *r, gram_dim a, gram_dim b)
{
    if (!gram_dim_fits(a, b))
        FAIL(r, "%s plus %s is too large a size", dim_text(r, a), dim_text(r, b));
    return gram_dim_add(a, b);
}

static void set(const rule *r, gram_type type, gram_dim rows, gram_dim cols)
{
    r->node->type = type;
    r->node->rows = rows;
    r->node->cols = cols;
}

/* ---- leaves: what they are is given ---- */

static void leaf(const rule *r)
{
    (void)r;
}

static void one_by_one(const rule *r)
{
    set(r, r->node->type, gram_dim_number(1), gram_dim_number(1));
}

static void integer(const rule *r)
{
    set(r, GRAM_INT, gram_dim_number(1), gram_dim_number(1));
}

static void row_index(const rule *r)
{
    set(r, GRAM_INT, r->node->rows, gram_dim_number(1));
}

static void column_index(const rule *r)
{
    set(r, GRAM_INT, gram_dim_number(1), r->node->cols);
}

static void batch_index(const rule *r)
{
    integer(r);
    r->node->batched = true;
}

/* ---- elementwise ---- */

static void broadcast_operands(const rule *r)
{
    gram_dim rows = operand(r, 0)->rows, cols = operand(r, 0)->cols;
    for (int k = 1; k < r->node->nargs; k++) {
        rows = broadcast(r, 0, k, rows, operand(r, k)->rows);
        cols = broadcast(r, 0, k, cols, operand(r, k)->cols);
    }
    set(r, operand(r, 0)->type, rows, cols);
}

static void scalar(const rule *r)
{
    static const char letters[] = {[GRAM_REAL] = 'R', [GRAM_INT] = 'I', [GRAM_BOOL] = 'B'};
    const gram_op_info *info = &gram_ops[r->node->op];
    for (int k = 0; k < r->node->nargs; k++)
        if (letters[operand(r, k)->type] != info->operands[k])
            FAIL(r, "operand %d of %s has the wrong type", k + 1, info->name);
    broadcast_operands(r);
    r->node->type = info->result;
}

static void keep(const rule *r)
{
    if (operand(r, 1)->type != GRAM_BOOL)
        FAIL(r, "%s is not a predicate", gram_node_text(r->ctx, operand(r, 1)));
    broadcast_operands(r);
    gram_node *a = operand(r, 0);
    if (!gram_dim_equal(r->node->rows, a->rows) || !gram_dim_equal(r->node->cols, a->cols))
        FAIL(r, "the predicate is %s where the matrix is %s", shape_text(r, 1), shape_text(r, 0));
}

static void surrogate(const rule *r)
{
    gram_node *a = operand(r, 0), *b = operand(r, 1);
    set(r, GRAM_REAL, meet(r, 0, 1, a->rows, b->rows, "and", "row counts"),
        meet(r, 0, 1, a->cols, b->cols, "and", "column counts"));
}

static void expand(const rule *r)
{
    gram_node *a = operand(r, 0);
    gram_dim rows = r->node->rows, cols = r->node->cols;
    if (!(gram_dim_is(a->rows, 1) || gram_dim_meets(a->rows, rows)) ||
        !(gram_dim_is(a->cols, 1) || gram_dim_meets(a->cols, cols)))
        FAIL(r, "%s does not repeat to %s x %s", shape_text(r, 0), dim_text(r, rows), dim_text(r, cols));
    set(r, a->type, rows, cols);
}

static void gather(const rule *r)
{
    gram_node *row = operand(r, 1), *col = operand(r, 2);
    if (row->type != GRAM_INT || col->type != GRAM_INT)
        FAIL(r, "%s is not an integer", gram_node_text(r->ctx, row->type != GRAM_INT ? row : col));
    set(r, operand(r, 0)->type, broadcast(r, 1, 2, row->rows, col->rows), broadcast(r, 1, 2, row->cols, col->cols));
}

static void each_column(const rule *r)
{
    gram_node *a = operand(r, 0);
    set(r, GRAM_REAL, a->rows, r->node->cols);
}

/* The result's shape inside, or a column of it for each that is walked. */
static void scan(const rule *r)
{
    const gram_scan *scan = r->node->scan;
    const gram_node *result = scan->results[r->node->index];
    for (int k = scan->nstates; k < scan->nstates + scan->ncolumns; k++)
        meet(r, k, scan->nstates, r->node->dim, operand(r, k)->cols, "and", "column counts");
    set(r, GRAM_REAL, result->rows, r->node->index < scan->nstates ? result->cols : r->node->dim);
}

/* The result's sizes are given; the entries and their places broadcast among themselves. */
static void scatter(const rule *r)
{
    gram_node *row = operand(r, 1), *col = operand(r, 2);
    if (row->type != GRAM_INT || col->type != GRAM_INT)
        FAIL(r, "%s is not an integer", gram_node_text(r->ctx, row->type != GRAM_INT ? row : col));
    set(r, GRAM_REAL, r->node->rows, r->node->cols);
}

/* ---- products, distances, sums ---- */

/* The shape of K, where K:t() is the factor: the expression beside it shows that it is turned. */
static const char *factor_text(const rule *r, const gram_node *node)
{
    return gram_shape_text(r->ctx, node->op == GRAM_OP_TRANSPOSE ? node->args[0] : node);
}

static void matmul(const rule *r)
{
    gram_node *a = operand(r, 0), *b = operand(r, 1);
    if (!gram_dim_meets(a->cols, b->rows))
        FAIL(r, "%s times %s: inner sizes %s and %s differ", factor_text(r, a), factor_text(r, b), dim_text(r, a->cols),
             dim_text(r, b->rows));
    meet(r, 0, 1, a->cols, b->rows, "times", "inner sizes");
    set(r, GRAM_REAL, a->rows, b->cols);
}

static void distance(const rule *r)
{
    gram_node *a = operand(r, 0), *b = operand(r, 1);
    meet(r, 0, 1, a->rows, b->rows, "and", "the tokens' sizes");
    set(r, GRAM_REAL, a->cols, b->cols);
}

static void transpose(const rule *r)
{
    gram_node *a = operand(r, 0);
    set(r, a->type, a->cols, a->rows);
}

static void to_row(const rule *r)
{
    set(r, GRAM_REAL, gram_dim_number(1), operand(r, 0)->cols);
}

static void same(const rule *r)
{
    set(r, GRAM_REAL, operand(r, 0)->rows, operand(r, 0)->cols);
}

/* ---- small matrices, and matrices made of others ---- */

static void square(const rule *r)
{
    gram_node *a = operand(r, 0);
    if (!gram_dim_equal(a->rows, a->cols))
        FAIL(r, "%s is not square", shape_text(r, 0));
    if (!gram_dim_known(a->rows))
        FAIL(r, "%s: the size must be a number, known when the kernel is generated", shape_text(r, 0));
    same(r);
}

static void identity(const rule *r)
{
    set(r, GRAM_REAL, r->node->rows, r->node->rows);
}

static void diagonal(const rule *r)
{
    gram_node *a = operand(r, 0);
    if (!gram_dim_is(a->cols, 1))
        FAIL(r, "%s is not a column", shape_text(r, 0));
    set(r, a->type, a->rows, a->rows);
}

static void beside(const rule *r)
{
    gram_node *a = operand(r, 0), *b = operand(r, 1);
    gram_dim rows = meet(r, 0, 1, a->rows, b->rows, "beside", "row counts");
    set(r, a->type, rows, sum_of_dims(r, a->cols, b->cols));
}

static void over(const rule *r)
{
    gram_node *a = operand(r, 0), *b = operand(r, 1);
    gram_dim cols = meet(r, 0, 1, a->cols, b->cols, "over", "column counts");
    set(r, a->type, sum_of_dims(r, a->rows, b->rows), cols);
}

/* Rows that are there whatever the runtime sizes: checked here, so never when the kernel runs. */
static void some_rows(const rule *r)
{
    gram_node *a = operand(r, 0);
    gram_dim end = sum_of_dims(r, r->node->dim, r->node->rows);
    bool inside = end.number <= a->rows.number;
    for (int s = 0; s < GRAM_SIZES; s++)
        inside = inside && end.times[s] <= a->rows.times[s];
    if (!inside)
        FAIL(r, "%s has %s rows, not %s", shape_text(r, 0), dim_text(r, a->rows), dim_text(r, end));
    set(r, a->type, r->node->rows, a->cols);
}

static void circulant(const rule *r)
{
    gram_node *w = operand(r, 0);
    if (!gram_dim_is(w->cols, 1))
        FAIL(r, "%s is not a column", shape_text(r, 0));
    set(r, GRAM_REAL, w->rows, w->rows);
}

static void wrap(const rule *r)
{
    gram_node *a = operand(r, 0);
    set(r, GRAM_REAL, meet(r, 0, 0, a->rows, a->cols, "and", "sizes"), gram_dim_number(1));
}

/* Made by simplify, of matrices whose sizes have met. */
static void lags(const rule *r)
{
    set(r, GRAM_REAL, operand(r, 0)->cols, gram_dim_number(1));
}

/* As many entries in another shape; who makes the node says which. */
static void reshape(const rule *r)
{
    gram_node *a = operand(r, 0);
    if (a->heads)
        FAIL(r, "%s has %d heads", gram_node_text(r->ctx, a), a->heads);
    set(r, a->type, r->node->rows, r->node->cols);
    r->node->batched = r->node->batched || !gram_dim_is(r->node->each, 1);
}

/* ---- heads: these say what `heads` becomes, after join_heads ---- */

static void head_at(const rule *r)
{
    gram_node *a = operand(r, 0);
    if (r->node->index < 0 || r->node->index >= a->heads)
        FAIL(r, "%s has %s", gram_node_text(r->ctx, a),
             a->heads ? gram_format(r->ctx, "heads 0 to %d", a->heads - 1) : "no heads");
    set(r, a->type, a->rows, a->cols);
    r->node->heads = 0;
}

static void stack_heads(const rule *r)
{
    gram_node *a = operand(r, 0);
    gram_dim rows = a->rows, cols = a->cols;
    for (int k = 0; k < r->node->nargs; k++) {
        if (operand(r, k)->heads)
            FAIL(r, "%s has %d heads of its own", gram_node_text(r->ctx, operand(r, k)), operand(r, k)->heads);
        rows = meet(r, 0, k, rows, operand(r, k)->rows, "and", "row counts");
        cols = meet(r, 0, k, cols, operand(r, k)->cols, "and", "column counts");
    }
    set(r, a->type, rows, cols);
    r->node->heads = r->node->nargs;
}

static void split_heads(const rule *r)
{
    gram_node *a = operand(r, 0);
    int heads = r->node->heads;
    bool even = heads > 0 && a->rows.number % heads == 0;
    gram_dim rows = gram_dim_number(even ? a->rows.number / heads : 0);
    for (int s = 0; s < GRAM_SIZES && even; s++) {
        even = a->rows.times[s] % heads == 0;
        rows.times[s] = (uint8_t)(a->rows.times[s] / heads);
    }
    if (a->heads)
        FAIL(r, "%s has %d heads already", gram_node_text(r->ctx, a), a->heads);
    if (!even)
        FAIL(r, "%s rows do not split into %d heads", dim_text(r, a->rows), heads);
    set(r, a->type, rows, a->cols);
}

static void need_heads(const rule *r)
{
    if (!operand(r, 0)->heads)
        FAIL(r, "%s has no heads", gram_node_text(r->ctx, operand(r, 0)));
}

static void concat_heads(const rule *r)
{
    need_heads(r);
    gram_node *a = operand(r, 0);
    gram_dim rows = {0};
    for (int h = 0; h < a->heads; h++)
        rows = sum_of_dims(r, rows, a->rows);
    set(r, a->type, rows, a->cols);
    r->node->heads = 0;
}

static void sum_heads(const rule *r)
{
    need_heads(r);
    same(r);
    r->node->heads = 0;
}

/* A declared vector, a number, and what is made of them; a sum over rows; a matrix times a vector. Tokens of one number
 * and weights of one row are matrices still. */
static bool is_vector(const rule *r)
{
    static const bool sums[GRAM_OP_COUNT] = {
        [GRAM_OP_SUM] = true,  [GRAM_OP_MAXIMUM] = true, [GRAM_OP_LOGSUMEXP] = true,
        [GRAM_OP_PEAK] = true, [GRAM_OP_LOGSUM] = true,  [GRAM_OP_THRESHOLD] = true};
    static const bool arrays[] = {
        [GRAM_VECTOR] = true, [GRAM_SCALAR] = true, [GRAM_IDS] = true, [GRAM_COUNT] = true, [GRAM_TOKENS_FLAT] = false};
    const gram_node *node = r->node;
    if (node->input)
        return arrays[node->input->kind];
    if (node->op == GRAM_OP_MATMUL)
        return (gram_dim_is(node->rows, 1) && operand(r, 0)->vector) ||
               (gram_dim_is(node->cols, 1) && operand(r, 1)->vector);
    if (node->op == GRAM_OP_SCAN) /* a state is as its first value */
        return node->index < node->scan->nstates && operand(r, node->index)->vector;
    bool all = node->op != GRAM_OP_IDENTITY && node->op != GRAM_OP_DIAG && node->op != GRAM_OP_RESHAPE;
    for (int k = node->op == GRAM_OP_GATHER; k < node->nargs; k++) /* an entry is as its indices are */
        all = all && operand(r, k)->vector;
    return all || sums[node->op];
}

/* What a node has of its operands. Heads meet where one count divides the other; one without heads is shared. Leaves
 * and SPLIT_HEADS say their own. */
static void join_heads(const rule *r)
{
    gram_node *node = r->node;
    node->of_matrix = node->input && node->input->kind == GRAM_MATRIX;
    if (node->nargs == 0)
        return;
    int given = node->heads;
    node->heads = 0;
    node->batched = false;
    for (int k = 0; k < node->nargs; k++) {
        int mine = node->heads, theirs = operand(r, k)->heads;
        if (mine && theirs && mine % theirs != 0 && theirs % mine != 0)
            FAIL(r, "%d heads and %d heads do not meet: one must divide the other", mine, theirs);
        node->heads = mine > theirs ? mine : theirs;
        node->batched = node->batched || operand(r, k)->batched;
        node->of_matrix = node->of_matrix || operand(r, k)->of_matrix;
    }
    if (node->op == GRAM_OP_SPLIT_HEADS)
        node->heads = given;
}

/* Items meet where they are cut alike; RESHAPE says its own. */
static void join_each(const rule *r)
{
    gram_node *node = r->node;
    for (int k = 0; k < node->nargs && node->op != GRAM_OP_RESHAPE; k++) {
        gram_dim each = operand(r, k)->each;
        if (!gram_dim_is(each, 1) && !gram_dim_is(node->each, 1) && !gram_dim_equal(each, node->each))
            FAIL(r, "items for %s columns and for %s do not meet", dim_text(r, node->each), dim_text(r, each));
        node->each = gram_dim_is(each, 1) ? node->each : each;
    }
    if ((node->op == GRAM_OP_OVER || node->op == GRAM_OP_SCAN) && !gram_dim_is(node->each, 1))
        FAIL(r, "%s inside each are not available", node->op == GRAM_OP_OVER ? "sums over third tokens" : "scans");
}

static void (*const rules[GRAM_OP_COUNT])(const rule *) = {
    [GRAM_OP_INPUT] = leaf,
    [GRAM_OP_NUMBER] = one_by_one,
    [GRAM_OP_SIZE] = integer,
    [GRAM_OP_ROW] = row_index,
    [GRAM_OP_COL] = column_index,
    [GRAM_OP_HEAD] = integer,
    [GRAM_OP_LOOP] = integer,
    [GRAM_OP_OVER] = each_column,
    [GRAM_OP_SCAN] = scan,
    [GRAM_OP_BATCH] = batch_index,
    [GRAM_OP_ITEM] = batch_index,
    [GRAM_OP_RESHAPE] = reshape,
    [GRAM_OP_EXPAND] = expand,
    [GRAM_OP_KEEP] = keep,
    [GRAM_OP_SURROGATE] = surrogate,
    [GRAM_OP_GATHER] = gather,
    [GRAM_OP_SCATTER] = scatter,
    [GRAM_OP_MATMUL] = matmul,
    [GRAM_OP_TRANSPOSE] = transpose,
    [GRAM_OP_SQDIST] = distance,
    [GRAM_OP_DIST1] = distance,
    [GRAM_OP_SUM] = to_row,
    [GRAM_OP_MAXIMUM] = to_row,
    [GRAM_OP_SOFTMAX] = same,
    [GRAM_OP_LOGSUMEXP] = to_row,
    [GRAM_OP_PEAK] = to_row,
    [GRAM_OP_LOGSUM] = to_row,
    [GRAM_OP_THRESHOLD] = to_row,
    [GRAM_OP_LOG2_CEIL] = to_row,
    [GRAM_OP_TOP] = same,
    [GRAM_OP_CUMSUM] = same,
    [GRAM_OP_CIRCULANT] = circulant,
    [GRAM_OP_WRAP] = wrap,
    [GRAM_OP_CONVOLVE] = same,
    [GRAM_OP_LAGS] = lags,
    [GRAM_OP_CUMSUM_LOST] = same,
    [GRAM_OP_INVERSE] = square,
    [GRAM_OP_EXPM] = square,
    [GRAM_OP_IDENTITY] = identity,
    [GRAM_OP_DIAG] = diagonal,
    [GRAM_OP_HCAT] = beside,
    [GRAM_OP_VCAT] = over,
    [GRAM_OP_ROWS] = some_rows,
    [GRAM_OP_HEAD_AT] = head_at,
    [GRAM_OP_STACK_HEADS] = stack_heads,
    [GRAM_OP_SPLIT_HEADS] = split_heads,
    [GRAM_OP_CONCAT_HEADS] = concat_heads,
    [GRAM_OP_SUM_HEADS] = sum_heads,
};

void gram_shape_of(gram_ctx *ctx, gram_loc loc, gram_node *node)
{
    rule r = {ctx, loc, node};
    join_heads(&r);
    join_each(&r);
    (gram_op_is_scalar(node->op) ? scalar : rules[node->op])(&r);
    node->vector = is_vector(&r);
}
