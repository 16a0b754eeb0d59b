/* The operations of the reference in double precision: plain loops over dense matrices, held column by column.
 *
 * Read `gram_rules` at the end first: a row per operation. A dropped entry adds nothing to any sum or maximum, whatever
 * it meets, so what sums asks gram_kept() before it looks at a value. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../runtime/doubles.h"
#include "reference.h"

/* Scalar operations: out[i] from a, b, c at steps of 0 or 1; the ones an operation does not have repeat the first. */

typedef void scalar_loop(int64_t n, const double *const x[3], const int64_t step[3], double *out);

#define OP(id, name, result, operands, vector, reference, range, ...) \
    static void loop_##id(int64_t n, const double *const x[3], const int64_t step[3], double *out) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            double a = x[0][i * step[0]], b = x[1][i * step[1]], c = x[2][i * step[2]]; \
            (void)b, (void)c; \
            out[i] = (reference); \
        } \
    }
#include "../runtime/ops.def"
#undef OP

static scalar_loop *const scalar_loops[GRAM_OP_COUNT] = {
#define OP(id, name, result, operands, vector, reference, range, ...) [GRAM_OP_##id] = loop_##id,
#include "../runtime/ops.def"
#undef OP
};

static void elementwise(gram_work *work)
{
    const gram_operand *x = work->x, *out = &work->out;
    int64_t step[3];
    for (int k = 0; k < 3; k++)
        step[k] = x[k < work->nx ? k : 0].row;
    for (int64_t j = 0; j < out->cols; j++) {
        const double *columns[3];
        for (int k = 0; k < 3; k++)
            columns[k] = gram_column(&x[k < work->nx ? k : 0], j);
        scalar_loops[work->node->op](out->rows, columns, step, gram_column(out, j));
    }
}

double gram_reference_call(const char *fn, double a)
{
    const double *const x[3] = {&a, &a, &a};
    const int64_t step[3] = {0};
    double result = NAN;
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++)
        if (strcmp(gram_ops[op].name, fn) == 0)
            scalar_loops[op](1, x, step, &result);
    return result;
}

/* Leaves. */

static void fill(gram_work *work, double start, double by_row, double by_col)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++)
            gram_column(&work->out, j)[i] = start + by_row * (double)i + by_col * (double)j;
}

static void input(gram_work *work)
{
    const gram_view *view = &work->inputs[work->node->input->index];
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++)
            gram_column(&work->out, j)[i] =
                view->data[work->item * view->batch + work->head * view->head + i * view->row + j * view->col];
}

static void number(gram_work *work)
{
    fill(work, work->node->number, 0, 0);
}

static void size(gram_work *work)
{
    fill(work, (double)gram_size_of(work->spec, work->sizes, work->node->dim), 0, 0);
}

static void row_index(gram_work *work)
{
    fill(work, 0, 1, 0);
}

static void col_index(gram_work *work)
{
    fill(work, 0, 0, 1);
}

static void head_index(gram_work *work)
{
    fill(work, work->head, 0, 0);
}

static void loop_index(gram_work *work)
{
    fill(work, (double)work->loop, 0, 0);
}

/* The operand's value for each column, in which what is the same for all is computed once. */
static void over(gram_work *work)
{
    gram_output output = {.name = "column", .node = work->node->args[0]};
    gram_spec spec = *work->spec;
    int heads = output.node->heads > 0 ? output.node->heads : 1;
    int head = output.node->heads > 0 ? work->head * heads / (work->node->heads > 0 ? work->node->heads : 1) : 0;
    int64_t rows = work->out.rows, cols = work->out.cols;
    double *all = calloc((size_t)(rows * cols * heads) + 1, sizeof *all);
    gram_view view = {.data = all, .batch = rows, .head = rows * cols, .row = 1};
    spec.outputs = &output;
    spec.noutputs = 1;
    if (all) {
        gram_reference_loop(work->ctx, &spec, work->item, cols, work->sizes, work->inputs, &view);
        memcpy(work->out.data, all + head * rows * cols, (size_t)(rows * cols) * sizeof *all);
    }
    free(all);
}

static void batch_index(gram_work *work)
{
    fill(work, (double)work->item, 0, 0);
}

static void identity(gram_work *work)
{
    for (int64_t i = 0; i < work->out.rows; i++)
        gram_column(&work->out, i)[i] = 1;
}

/* Rearrangements. */

/* out(i, j) = a(i + from, j); also what repeats a: its steps are then 0. */
static void copy_rows(gram_work *work, int64_t from)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++)
            gram_column(&work->out, j)[i] = gram_entry(work->x, i + from, j);
}

static void copy(gram_work *work)
{
    copy_rows(work, 0);
}

static void rows(gram_work *work)
{
    copy_rows(work, gram_size_of(work->spec, work->sizes, work->node->dim));
}

static void split_heads(gram_work *work)
{
    copy_rows(work, work->head * work->out.rows);
}

static int64_t clamp(double index, int64_t n)
{
    return index > 0 ? index < (double)n ? (int64_t)index : n - 1 : 0;
}

/* out(i, j) = a(b(i, j), c(i, j)); 0 where that is dropped, or a has no entries. */
static void gather(gram_work *work)
{
    const gram_operand *a = work->x, *b = work->x + 1, *c = work->x + 2;
    if (a->rows == 0 || a->cols == 0)
        return;
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++) {
            int64_t p = clamp(gram_entry(b, i, j), a->rows), q = clamp(gram_entry(c, i, j), a->cols);
            gram_column(&work->out, j)[i] = gram_kept(a, p, q) ? gram_entry(a, p, q) : 0;
        }
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* out(b(i, j), c(i, j)) += a(i, j) over what is kept of a; the three broadcast. */
static void scatter(gram_work *work)
{
    const gram_operand *a = work->x, *b = work->x + 1, *c = work->x + 2;
    int64_t rows = longer(a->rows, longer(b->rows, c->rows)), cols = longer(a->cols, longer(b->cols, c->cols));
    bool none = !a->rows || !a->cols || !b->rows || !b->cols || !c->rows || !c->cols;
    if (none || work->out.rows == 0 || work->out.cols == 0)
        return;
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++) {
            int64_t p = clamp(gram_entry(b, i, j), work->out.rows), q = clamp(gram_entry(c, i, j), work->out.cols);
            gram_column(&work->out, q)[p] += gram_kept(a, i, j) ? gram_entry(a, i, j) : 0;
        }
}

static void transpose(gram_work *work)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++)
            gram_column(&work->out, j)[i] = gram_entry(work->x, j, i);
}

static void diag(gram_work *work)
{
    for (int64_t i = 0; i < work->out.rows; i++)
        gram_column(&work->out, i)[i] = gram_kept(work->x, i, 0) ? gram_entry(work->x, i, 0) : 0;
}

static void put(gram_work *work, const gram_operand *a, int64_t from_row, int64_t from_col)
{
    for (int64_t j = 0; j < a->cols; j++)
        for (int64_t i = 0; i < a->rows; i++)
            gram_column(&work->out, from_col + j)[from_row + i] = gram_entry(a, i, j);
}

static void hcat(gram_work *work)
{
    int64_t from = 0;
    for (int k = 0; k < work->nx; from += work->x[k++].cols)
        put(work, &work->x[k], 0, from);
}

static void vcat(gram_work *work)
{
    int64_t from = 0;
    for (int k = 0; k < work->nx; from += work->x[k++].rows)
        put(work, &work->x[k], from, 0);
}

static void concat_heads(gram_work *work)
{
    for (int h = 0; h < work->nx; h++)
        put(work, &work->x[h], h * work->x[h].rows, 0);
}

/* An entry of a column, round about; a dropped one is 0. */
static double round_about(const gram_operand *a, int64_t i, int64_t n)
{
    i = (i % n + n) % n;
    return gram_kept(a, i, 0) ? gram_entry(a, i, 0) : 0;
}

static void circulant(gram_work *work)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++)
            gram_column(&work->out, j)[i] = round_about(work->x, i - j, work->out.rows);
}

static void wrap(gram_work *work)
{
    const gram_operand *a = work->x;
    for (int64_t j = 0; j < a->cols; j++)
        for (int64_t i = 0; i < a->rows; i++)
            if (gram_kept(a, i, j))
                work->out.data[(i - j + a->rows) % a->rows] += gram_entry(a, i, j);
}

/* Products, distances and sums. A dropped entry adds nothing, whatever it meets. */

/* to[i] += a(i, p) * factor */
static void add_multiple(double *restrict to, const gram_operand *a, int64_t p, double factor)
{
    const double *restrict from = gram_column(a, p);
    for (int64_t i = 0; i < a->rows && !a->keep; i++)
        to[i] += from[i] * factor;
    for (int64_t i = 0; i < a->rows && a->keep; i++)
        to[i] += gram_kept(a, i, p) ? from[i] * factor : 0;
}

/* out (r x c) = a (r x k) b (k x c), some columns of a at a time, which stay in the cache for all columns of b */
static void matmul(gram_work *work)
{
    const gram_operand *a = work->x, *b = work->x + 1;
    const int64_t block = 16;
    for (int64_t first = 0; first < b->rows; first += block)
        for (int64_t j = 0; j < b->cols; j++)
            for (int64_t p = first; p < b->rows && p < first + block; p++)
                if (gram_kept(b, p, j))
                    add_multiple(gram_column(&work->out, j), a, p, gram_entry(b, p, j));
}

static double square(double a)
{
    return a * a;
}

/* out (r x c): the sum of f(a_pi - b_pj) over p, of a (k x r) and b (k x c) */
static void distance(gram_work *work, double (*f)(double))
{
    const gram_operand *a = work->x, *b = work->x + 1;
    for (int64_t j = 0; j < b->cols; j++)
        for (int64_t i = 0; i < a->cols; i++)
            for (int64_t p = 0; p < a->rows; p++)
                if (gram_kept(a, p, i) && gram_kept(b, p, j))
                    gram_column(&work->out, j)[i] += f(gram_entry(a, p, i) - gram_entry(b, p, j));
}

static void sqdist(gram_work *work)
{
    distance(work, square);
}

static void dist1(gram_work *work)
{
    distance(work, fabs);
}

static void sum(gram_work *work)
{
    const gram_operand *a = work->x;
    for (int64_t j = 0; j < a->cols; j++)
        for (int64_t i = 0; i < a->rows; i++)
            if (gram_kept(a, i, j))
                gram_column(&work->out, j)[0] += gram_entry(a, i, j);
}

static void sum_heads(gram_work *work)
{
    for (int h = 0; h < work->nx; h++)
        for (int64_t j = 0; j < work->out.cols; j++)
            for (int64_t i = 0; i < work->out.rows; i++)
                if (gram_kept(&work->x[h], i, j))
                    gram_column(&work->out, j)[i] += gram_entry(&work->x[h], i, j);
}

static void cumsum(gram_work *work)
{
    const gram_operand *a = work->x;
    for (int64_t j = 0; j < a->cols; j++)
        for (int64_t i = 0; i < a->rows; i++)
            gram_column(&work->out, j)[i] =
                (j > 0 ? gram_column(&work->out, j - 1)[i] : 0) + (gram_kept(a, i, j) ? gram_entry(a, i, j) : 0);
}

/* In double a running sum is what it is. */
static void cumsum_lost(gram_work *work)
{
    (void)work;
}

/* Small square matrices, n x n, column by column. */

static void load_square(const gram_operand *a, double *to)
{
    for (int64_t j = 0; j < a->cols; j++)
        for (int64_t i = 0; i < a->rows; i++)
            to[i + j * a->rows] = gram_kept(a, i, j) ? gram_entry(a, i, j) : 0;
}

static void swap_rows(double *m, int64_t n, int64_t p, int64_t q)
{
    for (int64_t j = 0; j < n; j++) {
        double value = m[p + j * n];
        m[p + j * n] = m[q + j * n];
        m[q + j * n] = value;
    }
}

/* One step of Gauss-Jordan: divides row p by the pivot and subtracts it from row i `factors[i]` times. */
static void eliminate(double *m, int64_t n, int64_t p, double pivot, const double *factors)
{
    for (int64_t j = 0; j < n; j++) {
        double *to = m + j * n;
        to[p] /= pivot;
        for (int64_t i = 0; i < n; i++)
            to[i] -= i == p ? 0 : factors[i] * to[p];
    }
}

/* Gauss-Jordan with row pivoting; a singular matrix gives infinities and NaN. */
static void inverse(gram_work *work)
{
    int64_t n = work->out.rows;
    double *left = work->scratch, *factors = left + n * n, *right = work->out.data;
    load_square(work->x, left);
    identity(work);
    for (int64_t p = 0; p < n; p++) {
        int64_t best = p;
        for (int64_t i = p + 1; i < n; i++)
            if (fabs(left[i + p * n]) > fabs(left[best + p * n]))
                best = i;
        swap_rows(left, n, p, best);
        swap_rows(right, n, p, best);
        memcpy(factors, left + p * n, (size_t)n * sizeof(double));
        eliminate(left, n, p, factors[p], factors);
        eliminate(right, n, p, factors[p], factors);
    }
}

/* to = a b * factor */
static void multiply_square(int64_t n, const double *a, const double *b, double factor, double *to)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) {
            double value = 0;
            for (int64_t p = 0; p < n; p++)
                value += a[i + p * n] * b[p + j * n];
            to[i + j * n] = value * factor;
        }
}

/* How often a must be halved until the sum of its entries' magnitudes, a bound of its norm, is below 1/2. */
static int halvings_of(const double *a, int64_t entries)
{
    double norm = 0;
    int halvings = 0;
    for (int64_t p = 0; p < entries; p++)
        norm += fabs(a[p]);
    for (; norm >= 0.5 && isfinite(norm); norm /= 2)
        halvings++;
    return halvings;
}

/* exp(a) = exp(a / 2^s)^(2^s), the inner one by its Taylor series (|a / 2^s| < 1/2: 20 terms are beyond double). */
static void expm(gram_work *work)
{
    int64_t n = work->out.rows, entries = n * n;
    size_t bytes = (size_t)entries * sizeof(double);
    double *a = work->scratch, *term = a + entries, *next = term + entries, *total = work->out.data;
    load_square(work->x, a);
    int halvings = halvings_of(a, entries);
    identity(work);
    memcpy(term, total, bytes);
    for (int k = 1; k <= 20; k++) {
        multiply_square(n, a, term, ldexp(1, -halvings) / k, next);
        memcpy(term, next, bytes);
        for (int64_t p = 0; p < entries; p++)
            total[p] += term[p];
    }
    for (int k = 0; k < halvings; k++) {
        multiply_square(n, total, total, 1, next);
        memcpy(total, next, bytes);
    }
}

static void item_index(gram_work *work)
{
    work->out.data[0] = (double)work->part;
}

/* The entries in order: of item `part`, those that follow the ones of the items before it. */
static void reshape(gram_work *work)
{
    const gram_operand *out = &work->out;
    int64_t size = work->nx ? work->x[0].rows * work->x[0].cols : 0, at = work->part * out->rows * out->cols;
    for (int64_t k = 0; k < out->rows * out->cols; k++, at++) {
        const gram_operand *x = &work->x[at / size];
        out->data[k] = x->data[at % size % x->rows * x->row + at % size / x->rows * x->col];
    }
}

const gram_rule gram_rules[GRAM_OP_COUNT] = {
    [GRAM_OP_INPUT] = {.compute = input},
    [GRAM_OP_NUMBER] = {.compute = number},
    [GRAM_OP_SIZE] = {.compute = size},
    [GRAM_OP_ROW] = {.compute = row_index},
    [GRAM_OP_COL] = {.compute = col_index},
    [GRAM_OP_LOOP] = {.compute = loop_index},
    [GRAM_OP_SCAN] = {.compute = gram_reference_scan},
    [GRAM_OP_OVER] = {.compute = over, .heads = GRAM_NO_HEADS},
    [GRAM_OP_HEAD] = {.compute = head_index},
    [GRAM_OP_BATCH] = {.compute = batch_index},
    [GRAM_OP_ITEM] = {.compute = item_index},
    [GRAM_OP_RESHAPE] = {.compute = reshape, .heads = GRAM_ALL_ITEMS},
    [GRAM_OP_EXPAND] = {.compute = copy},
    [GRAM_OP_KEEP] = {.compute = copy},
    [GRAM_OP_SURROGATE] = {.compute = copy},
    [GRAM_OP_GATHER] = {.compute = gather, .keeps = true},
    [GRAM_OP_SCATTER] = {.compute = scatter, .keeps = true},
    [GRAM_OP_MATMUL] = {.compute = matmul, .keeps = true},
    [GRAM_OP_TRANSPOSE] = {.compute = transpose},
    [GRAM_OP_SQDIST] = {.compute = sqdist, .keeps = true},
    [GRAM_OP_DIST1] = {.compute = dist1, .keeps = true},
    [GRAM_OP_SUM] = {.compute = sum, .keeps = true},
    [GRAM_OP_MAXIMUM] = {.compute = gram_reference_maximum, .keeps = true},
    [GRAM_OP_SOFTMAX] = {.compute = gram_reference_softmax, .keeps = true},
    [GRAM_OP_LOGSUMEXP] = {.compute = gram_reference_logsumexp, .keeps = true},
    [GRAM_OP_THRESHOLD] = {.compute = gram_reference_threshold, .keeps = true},
    [GRAM_OP_LOG2_CEIL] = {.compute = gram_reference_log2_ceil, .keeps = true},
    [GRAM_OP_TOP] = {.compute = gram_reference_top, .keeps = true},
    [GRAM_OP_CUMSUM] = {.compute = cumsum, .keeps = true},
    [GRAM_OP_CIRCULANT] = {.compute = circulant, .keeps = true},
    [GRAM_OP_WRAP] = {.compute = wrap, .keeps = true},
    [GRAM_OP_CUMSUM_LOST] = {.compute = cumsum_lost, .keeps = true},
    [GRAM_OP_INVERSE] = {.compute = inverse, .keeps = true, .scratch = 2},
    [GRAM_OP_EXPM] = {.compute = expm, .keeps = true, .scratch = 3},
    [GRAM_OP_IDENTITY] = {.compute = identity},
    [GRAM_OP_DIAG] = {.compute = diag, .keeps = true},
    [GRAM_OP_HCAT] = {.compute = hcat},
    [GRAM_OP_VCAT] = {.compute = vcat},
    [GRAM_OP_ROWS] = {.compute = rows},
    [GRAM_OP_HEAD_AT] = {.compute = copy, .heads = GRAM_ONE_HEAD},
    [GRAM_OP_STACK_HEADS] = {.compute = copy, .heads = GRAM_AS_HEADS},
    [GRAM_OP_SPLIT_HEADS] = {.compute = split_heads},
    [GRAM_OP_CONCAT_HEADS] = {.compute = concat_heads, .heads = GRAM_ALL_HEADS},
    [GRAM_OP_SUM_HEADS] = {.compute = sum_heads, .heads = GRAM_ALL_HEADS, .keeps = true},
#define OP(id, name, result, operands, vector, reference, range, ...) [GRAM_OP_##id] = {.compute = elementwise},
#include "../runtime/ops.def"
#undef OP
};
