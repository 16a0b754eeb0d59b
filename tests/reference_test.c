/* The reference against loops written by hand: small graphs made node by node, with the corners where an evaluator goes
 * wrong (dropped entries beside NaN, columns with nothing left, sizes of 0, grouped heads, items that share a value).
 *
 * To add a test: write a function that makes nodes from bench's inputs, calls evaluate, and checks with equal();
 * add it to `tests` at the end. Every array here is [batch][head][column][row]. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../gen/passes.h"
#include "test.h"

enum { N, M, MOST_INPUTS = 8, MOST_OUTPUTS = 2 };

typedef struct bench {
    gram_ctx *ctx;
    gram_tally *tally;
    gram_spec spec;
    int64_t batch, sizes[2];
    gram_input *inputs[MOST_INPUTS];
    gram_view views[MOST_INPUTS];
    gram_output outputs[MOST_OUTPUTS];
    gram_view results[MOST_OUTPUTS];
    uint32_t seed;
    size_t test; /* the one under way, in `tests` */
} bench;

static const gram_loc here = {"test", 1};

static int64_t value_of(const bench *b, gram_dim dim)
{
    return dim.number + dim.times[N] * b->sizes[N] + dim.times[M] * b->sizes[M];
}

static gram_dim number(int64_t n)
{
    return gram_dim_number(n);
}

static gram_dim size(int s)
{
    return gram_dim_size(s);
}

static int64_t head_count(int heads)
{
    return heads ? heads : 1;
}

/* An array of the arena and its view, not batched or headed where batch or heads is 0. */
static gram_view array(bench *b, int64_t batch, int heads, gram_dim rows, gram_dim cols)
{
    int64_t r = value_of(b, rows), c = value_of(b, cols);
    size_t count = (size_t)(head_count((int)batch) * head_count(heads) * r * c);
    gram_view view = {.data = gram_alloc(b->ctx, (count + 1) * sizeof(double)), .row = 1, .col = r};
    view.head = heads ? r * c : 0;
    view.batch = batch ? head_count(heads) * r * c : 0;
    for (size_t p = 0; p < count; p++) {
        b->seed = b->seed * 1664525 + 1013904223;
        view.data[p] = (double)(b->seed >> 8) / (1 << 23) - 1;
    }
    return view;
}

static gram_node *declare(bench *b, gram_type type, gram_dim rows, gram_dim cols, int heads, bool batched)
{
    int k = b->spec.ninputs++;
    b->inputs[k] = gram_alloc(b->ctx, sizeof(gram_input));
    *b->inputs[k] = (gram_input){.name = "input", .rows = rows, .cols = cols, .heads = heads, .batched = batched};
    b->inputs[k]->index = k;
    b->views[k] = array(b, batched ? b->batch : 0, heads, rows, cols);
    gram_node like = {.type = type, .rows = rows, .cols = cols, .heads = heads, .batched = batched};
    like.input = b->inputs[k];
    return gram_node_make(b->ctx, here, GRAM_OP_INPUT, 0, NULL, &like);
}

static gram_node *tokens(bench *b, gram_dim rows, gram_dim cols, int heads)
{
    return declare(b, GRAM_REAL, rows, cols, heads, true);
}

static gram_node *unary(bench *b, gram_op op, gram_node *a)
{
    return gram_node_unary(b->ctx, here, op, a);
}

static gram_node *binary(bench *b, gram_op op, gram_node *a, gram_node *c)
{
    return gram_node_binary(b->ctx, here, op, a, c);
}

static gram_node *real(bench *b, double value)
{
    return gram_node_number(b->ctx, here, GRAM_REAL, value);
}

static gram_node *leaf(bench *b, gram_op op, gram_dim rows, gram_dim cols)
{
    gram_node like = {.rows = rows, .cols = cols};
    return gram_node_make(b->ctx, here, op, 0, NULL, &like);
}

/* a, where key i <= query j is kept */
static gram_node *causal(bench *b, gram_node *a)
{
    gram_node *i = leaf(b, GRAM_OP_ROW, a->rows, number(1)), *j = leaf(b, GRAM_OP_COL, number(1), a->cols);
    return binary(b, GRAM_OP_KEEP, a, binary(b, GRAM_OP_ILE, i, j));
}

/* Runs the reference on one or two outputs (`second` may be NULL); results hold what it wrote. */
static void evaluate(bench *b, gram_node *first, gram_node *second)
{
    gram_node *nodes[MOST_OUTPUTS] = {first, second};
    b->spec.noutputs = second ? 2 : 1;
    b->spec.outputs = b->outputs;
    b->spec.inputs = b->inputs;
    b->spec.nsizes = 2;
    for (int k = 0; k < b->spec.noutputs; k++) {
        b->outputs[k] = (gram_output){.name = "output", .node = nodes[k]};
        b->results[k] = array(b, nodes[k]->batched ? b->batch : 0, nodes[k]->heads, nodes[k]->rows, nodes[k]->cols);
    }
    gram_reference(b->ctx, &b->spec, b->batch, b->sizes, b->views, b->results);
}

static double at(const gram_view *view, int64_t batch, int64_t head, int64_t i, int64_t j)
{
    return view->data[batch * view->batch + head * view->head + i * view->row + j * view->col];
}

static void equal(bench *b, const char *what, double got, double wanted)
{
    bool same = got == wanted || (isnan(got) && isnan(wanted)) || fabs(got - wanted) <= 1e-12 * (1 + fabs(wanted));
    CHECK(b->tally, same, "%s: %.17g, not %.17g", what, got, wanted);
}

/* V softmax(causal 2 tanh(K'Q / 2)) and its logsumexp; 4 query heads on 2 key heads, 2 items */
static void test_grouped_softcap(bench *b)
{
    enum { D = 3, H = 4, G = 2 };
    gram_node *q = tokens(b, number(D), size(N), H), *k = tokens(b, number(D), size(M), G);
    gram_node *v = tokens(b, number(D), size(M), G);
    gram_node *s = binary(b, GRAM_OP_MATMUL, unary(b, GRAM_OP_TRANSPOSE, k), q);
    s = binary(b, GRAM_OP_MUL, real(b, 2), unary(b, GRAM_OP_TANH, binary(b, GRAM_OP_DIV, s, real(b, 2))));
    s = causal(b, s);
    evaluate(b, binary(b, GRAM_OP_MATMUL, v, unary(b, GRAM_OP_SOFTMAX, s)), unary(b, GRAM_OP_LOGSUMEXP, s));
    for (int64_t item = 0; item < b->batch; item++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t j = 0; j < b->sizes[N]; j++) {
                double sum = 0, out[D] = {0};
                for (int64_t i = 0; i <= j && i < b->sizes[M]; i++) {
                    double score = 0;
                    for (int64_t p = 0; p < D; p++)
                        score += at(&b->views[1], item, h / 2, p, i) * at(&b->views[0], item, h, p, j);
                    double weight = exp(2 * tanh(score / 2));
                    sum += weight;
                    for (int64_t p = 0; p < D; p++)
                        out[p] += weight * at(&b->views[2], item, h / 2, p, i);
                }
                for (int64_t p = 0; p < D; p++)
                    equal(b, "output", at(&b->results[0], item, h, p, j), sum > 0 ? out[p] / sum : 0);
                equal(b, "logsumexp", at(&b->results[1], item, h, 0, j), log(sum));
            }
}

/* What is dropped in either operand of a product adds nothing, even beside NaN; a dropped output is 0. */
static void test_dropped_entries(bench *b)
{
    gram_node *a = tokens(b, size(N), size(M), 0), *v = tokens(b, number(2), size(N), 0);
    for (int64_t i = 1; i < b->sizes[N]; i++)
        b->views[0].data[i] = NAN;
    b->views[1].data[2 * (b->sizes[N] - 1)] = INFINITY;
    gram_node *kept = causal(b, a);
    evaluate(b, binary(b, GRAM_OP_MATMUL, v, kept), kept);
    for (int64_t j = 0; j < b->sizes[M]; j++) {
        double sum[2] = {0};
        for (int64_t i = 0; i <= j && i < b->sizes[N]; i++)
            for (int64_t p = 0; p < 2; p++)
                sum[p] += at(&b->views[1], 0, 0, p, i) * at(&b->views[0], 0, 0, i, j);
        for (int64_t p = 0; p < 2; p++)
            equal(b, "product", at(&b->results[0], 0, 0, p, j), sum[p]);
        for (int64_t i = 0; i < b->sizes[N]; i++)
            equal(b, "output", at(&b->results[1], 0, 0, i, j), i <= j ? at(&b->views[0], 0, 0, i, j) : 0);
    }
}

/* The left operand's dropped entries, through a transposition. */
static void test_dropped_left(bench *b)
{
    gram_node *a = tokens(b, size(N), size(N), 0), *v = tokens(b, size(N), number(1), 0);
    gram_node *left = unary(b, GRAM_OP_TRANSPOSE, causal(b, a));
    for (int64_t i = 1; i < b->sizes[N]; i++)
        b->views[0].data[i] = NAN;
    evaluate(b, binary(b, GRAM_OP_MATMUL, left, v), unary(b, GRAM_OP_SUM, causal(b, a)));
    for (int64_t j = 0; j < b->sizes[N]; j++) {
        double product = 0, sum = 0;
        for (int64_t i = 0; i <= j; i++) {
            product += at(&b->views[0], 0, 0, i, j) * at(&b->views[1], 0, 0, i, 0);
            sum += at(&b->views[0], 0, 0, i, j);
        }
        equal(b, "product", at(&b->results[0], 0, 0, j, 0), product);
        equal(b, "sum", at(&b->results[1], 0, 0, 0, j), sum);
    }
}

/* Columns: finite; all -inf; with +inf; with NaN; nothing left. */
static void test_softmax_corners(bench *b)
{
    gram_node *a = declare(b, GRAM_REAL, number(2), number(5), 0, false);
    const double given[10] = {0, 0, -INFINITY, -INFINITY, INFINITY, 1, NAN, 1, 5, 6};
    memcpy(b->views[0].data, given, sizeof given);
    gram_node *below = gram_node_number(b->ctx, here, GRAM_INT, 4);
    gram_node *j = leaf(b, GRAM_OP_COL, number(1), number(5));
    gram_node *kept = binary(b, GRAM_OP_KEEP, a, binary(b, GRAM_OP_ILT, j, below));
    evaluate(b, unary(b, GRAM_OP_SOFTMAX, kept), unary(b, GRAM_OP_LOGSUMEXP, kept));
    const double softmax[10] = {0.5, 0.5, 0, 0, NAN, NAN, NAN, NAN, 0, 0};
    const double lse[5] = {log(2), -INFINITY, INFINITY, NAN, -INFINITY};
    for (int p = 0; p < 10; p++)
        equal(b, "softmax", b->results[0].data[p], softmax[p]);
    for (int p = 0; p < 5; p++)
        equal(b, "logsumexp", b->results[1].data[p], lse[p]);
    evaluate(b, unary(b, GRAM_OP_MAXIMUM, kept), NULL);
    const double maximum[5] = {0, -INFINITY, INFINITY, NAN, -INFINITY};
    for (int p = 0; p < 5; p++)
        equal(b, "maximum", b->results[0].data[p], maximum[p]);
}

/* a(i - 2, j + 1), clamped; a dropped entry reads as 0 */
static void test_gather(bench *b)
{
    gram_node *a = tokens(b, size(N), size(M), 0);
    gram_node *i = leaf(b, GRAM_OP_ROW, size(N), number(1)), *j = leaf(b, GRAM_OP_COL, number(1), size(M));
    i = binary(b, GRAM_OP_ISUB, i, gram_node_number(b->ctx, here, GRAM_INT, 2));
    j = binary(b, GRAM_OP_IADD, j, gram_node_number(b->ctx, here, GRAM_INT, 1));
    evaluate(b, gram_node_ternary(b->ctx, here, GRAM_OP_GATHER, causal(b, a), i, j), NULL);
    for (int64_t q = 0; q < b->sizes[M]; q++)
        for (int64_t p = 0; p < b->sizes[N]; p++) {
            int64_t row = p < 2 ? 0 : p - 2, col = q + 1 < b->sizes[M] ? q + 1 : q;
            equal(b, "entry", at(&b->results[0], 1, 0, p, q), row <= col ? at(&b->views[0], 1, 0, row, col) : 0);
        }
}

static void test_distances(bench *b)
{
    gram_node *z = tokens(b, number(3), size(M), 0), *x = tokens(b, number(3), size(N), 0);
    evaluate(b, binary(b, GRAM_OP_SQDIST, z, x), binary(b, GRAM_OP_DIST1, z, x));
    for (int64_t j = 0; j < b->sizes[N]; j++)
        for (int64_t i = 0; i < b->sizes[M]; i++) {
            double squares = 0, absolutes = 0;
            for (int64_t p = 0; p < 3; p++) {
                double difference = at(&b->views[0], 1, 0, p, i) - at(&b->views[1], 1, 0, p, j);
                squares += difference * difference;
                absolutes += fabs(difference);
            }
            equal(b, "sqdist", at(&b->results[0], 1, 0, i, j), squares);
            equal(b, "dist1", at(&b->results[1], 1, 0, i, j), absolutes);
        }
}

static void test_cumsum(bench *b)
{
    gram_node *a = tokens(b, size(N), size(M), 0);
    evaluate(b, unary(b, GRAM_OP_CUMSUM, a), unary(b, GRAM_OP_CUMSUM, causal(b, a)));
    for (int64_t i = 0; i < b->sizes[N]; i++) {
        double all = 0, kept = 0;
        for (int64_t j = 0; j < b->sizes[M]; j++) {
            all += at(&b->views[0], 0, 0, i, j);
            kept += i <= j ? at(&b->views[0], 0, 0, i, j) : 0;
            equal(b, "cumsum", at(&b->results[0], 0, 0, i, j), all);
            equal(b, "cumsum of kept", at(&b->results[1], 0, 0, i, j), kept);
        }
    }
}

/* A M = I, with a pivot of 0 to step around; exp of a rotation by 20 radians. */
static void test_small_matrices(bench *b)
{
    gram_node *m = declare(b, GRAM_REAL, number(4), number(4), 2, false);
    b->views[0].data[0] = 0;
    evaluate(b, binary(b, GRAM_OP_MATMUL, m, unary(b, GRAM_OP_INVERSE, m)), NULL);
    for (int64_t p = 0; p < 32; p++)
        equal(b, "M inverse(M)", b->results[0].data[p], p % 16 % 5 == 0);
    gram_node *a = declare(b, GRAM_REAL, number(2), number(2), 0, false);
    const double angle = 20, turn[4] = {0, angle, -angle, 0};
    memcpy(b->views[1].data, turn, sizeof turn);
    evaluate(b, unary(b, GRAM_OP_EXPM, a), NULL);
    const double wanted[4] = {cos(angle), sin(angle), -sin(angle), cos(angle)};
    for (int p = 0; p < 4; p++)
        equal(b, "expm", b->results[0].data[p], wanted[p]);
}

/* rows 1.. of [A | I; diag(v) | A] */
static void test_blocks(bench *b)
{
    gram_node *a = tokens(b, number(3), number(3), 0), *v = tokens(b, number(3), number(1), 0);
    gram_node *top = binary(b, GRAM_OP_HCAT, a, leaf(b, GRAM_OP_IDENTITY, number(3), number(3)));
    gram_node *bottom = binary(b, GRAM_OP_HCAT, unary(b, GRAM_OP_DIAG, v), a);
    gram_node *all = binary(b, GRAM_OP_VCAT, top, bottom);
    gram_node like = {.rows = number(4), .dim = number(1)};
    evaluate(b, gram_node_make(b->ctx, here, GRAM_OP_ROWS, 1, &all, &like), NULL);
    for (int64_t j = 0; j < 6; j++)
        for (int64_t i = 1; i < 5; i++) {
            bool diagonal = i % 3 == j % 3;
            double block = i < 3 ? diagonal : diagonal ? at(&b->views[1], 1, 0, j % 3, 0) : 0;
            double wanted = (i < 3) == (j < 3) ? at(&b->views[0], 1, 0, i % 3, j % 3) : block;
            equal(b, "entry", at(&b->results[0], 1, 0, i - 1, j), wanted);
        }
}

static void test_heads(bench *b)
{
    enum { H = 3 };
    gram_node *a = tokens(b, number(2), size(N), H), *one[H], *wide = unary(b, GRAM_OP_CONCAT_HEADS, a);
    for (int h = 0; h < H; h++) {
        gram_node like = {.index = H - 1 - h};
        one[h] = gram_node_make(b->ctx, here, GRAM_OP_HEAD_AT, 1, &a, &like);
    }
    gram_node split = {.heads = H};
    gram_node *turned = gram_node_make(b->ctx, here, GRAM_OP_STACK_HEADS, H, one, NULL);
    gram_node *again = gram_node_make(b->ctx, here, GRAM_OP_SPLIT_HEADS, 1, &wide, &split);
    evaluate(b, binary(b, GRAM_OP_SUB, turned, again), unary(b, GRAM_OP_SUM_HEADS, a));
    for (int64_t j = 0; j < b->sizes[N]; j++)
        for (int64_t i = 0; i < 2; i++) {
            double sum = 0;
            for (int64_t h = 0; h < H; h++) {
                double mine = at(&b->views[0], 1, h, i, j), other = at(&b->views[0], 1, H - 1 - h, i, j);
                equal(b, "turned heads", at(&b->results[0], 1, h, i, j), other - mine);
                sum += mine;
            }
            equal(b, "sum of heads", at(&b->results[1], 1, 0, i, j), sum);
        }
}

/* relu's threshold is sparsemax's (Martins and Astudillo 2016): found there by sorting, here for two entries. */
static void test_threshold(bench *b)
{
    gram_node *a = tokens(b, number(2), size(N), 0), *kept = causal(b, a);
    gram_node like = {.fn = "relu"};
    evaluate(b, gram_node_make(b->ctx, here, GRAM_OP_THRESHOLD, 1, &kept, &like), NULL);
    for (int64_t j = 0; j < b->sizes[N]; j++) {
        double x = at(&b->views[0], 0, 0, 0, j), y = at(&b->views[0], 0, 0, 1, j);
        double both = (x + y - 1) / 2, wanted = j > 0 && both < fmin(x, y) ? both : j > 0 ? fmax(x, y) - 1 : x - 1;
        equal(b, "threshold", at(&b->results[0], 0, 0, 0, j), wanted);
    }
}

/* One value for each operation where doubles are delicate. */
static void test_scalars(bench *b)
{
    static const struct {
        gram_op op;
        double a, b, wanted;
    } cases[] = {
        {GRAM_OP_MAX, NAN, 1, NAN},          {GRAM_OP_MAX, 1, NAN, NAN},
        {GRAM_OP_MIN, NAN, 1, NAN},          {GRAM_OP_MIN, 1, NAN, NAN},
        {GRAM_OP_MIN, 2, 1, 1},              {GRAM_OP_MAX, 2, 1, 2},
        {GRAM_OP_FDIV, 1, 0, 0},             {GRAM_OP_FMOD, 1, 0, 0},
        {GRAM_OP_FDIV, -7, 2, -4},           {GRAM_OP_FMOD, -7, 2, 1},
        {GRAM_OP_RELU, NAN, 0, NAN},         {GRAM_OP_GELU, -INFINITY, 0, 0},
        {GRAM_OP_SILU, -INFINITY, 0, 0},     {GRAM_OP_SOFTPLUS, 1000, 0, 1000},
        {GRAM_OP_SIGMOID, -INFINITY, 0, 0},  {GRAM_OP_ROUND, 2.5, 0, 2},
        {GRAM_OP_SIGN, -3, 0, -1},           {GRAM_OP_SIGN, NAN, 0, NAN},
        {GRAM_OP_GELU, 1, 0, 0.84134474606854293},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        gram_node *args[2] = {real(b, cases[k].a), real(b, cases[k].b)};
        int nargs = (int)strlen(gram_ops[cases[k].op].operands);
        evaluate(b, gram_node_make(b->ctx, here, cases[k].op, nargs, args, NULL), NULL);
        equal(b, gram_ops[cases[k].op].name, b->results[0].data[0], cases[k].wanted);
    }
}

/* where's other side never matters; the head's and the item's index; what no item changes is shared by all */
static void test_where_and_indices(bench *b)
{
    gram_node head_like = {.heads = 2};
    gram_node *head = gram_node_make(b->ctx, here, GRAM_OP_HEAD, 0, NULL, &head_like);
    gram_node *item = leaf(b, GRAM_OP_BATCH, number(1), number(1));
    gram_node *shared = declare(b, GRAM_REAL, number(1), size(N), 0, false);
    gram_node *odd = binary(b, GRAM_OP_IEQ, head, item);
    gram_node *bad = binary(b, GRAM_OP_DIV, real(b, 0), real(b, 0));
    evaluate(b, gram_node_ternary(b->ctx, here, GRAM_OP_WHERE, odd, shared, bad), shared);
    for (int64_t t = 0; t < b->batch; t++)
        for (int64_t h = 0; h < 2; h++)
            for (int64_t j = 0; j < b->sizes[N]; j++)
                equal(b, "where", at(&b->results[0], t, h, 0, j), t == h ? at(&b->views[0], 0, 0, 0, j) : NAN);
    for (int64_t j = 0; j < b->sizes[N]; j++)
        equal(b, "not batched", at(&b->results[1], 0, 0, 0, j), at(&b->views[0], 0, 0, 0, j));
}

/* Sizes of 0 in every place, and no items at all. */
static void test_empty(bench *b)
{
    for (int zeros = 1; zeros < 8; zeros++) {
        b->sizes[N] = zeros & 1 ? 0 : 2;
        b->sizes[M] = zeros & 2 ? 0 : 3;
        b->batch = zeros & 4 ? 0 : 2;
        b->spec.ninputs = 0;
        gram_node *k = tokens(b, number(2), size(M), 0), *q = tokens(b, number(2), size(N), 0);
        gram_node *s = causal(b, binary(b, GRAM_OP_MATMUL, unary(b, GRAM_OP_TRANSPOSE, k), q));
        gram_node *lse = unary(b, GRAM_OP_LOGSUMEXP, s), *i = leaf(b, GRAM_OP_ROW, size(N), number(1));
        gram_node *o = binary(b, GRAM_OP_MATMUL, k, unary(b, GRAM_OP_SOFTMAX, s));
        evaluate(b, o, lse);
        bool written = b->sizes[N] > 0 && b->batch > 0;
        for (int64_t j = 0; written && j < b->sizes[N]; j++)
            equal(b, "no keys", at(&b->results[1], 1, 0, 0, j), -INFINITY);
        evaluate(b, gram_node_ternary(b->ctx, here, GRAM_OP_GATHER, k, i, i), NULL);
        for (int64_t j = 0; written && b->sizes[M] == 0 && j < b->sizes[N]; j++)
            equal(b, "read of nothing", at(&b->results[0], 1, 0, j, 0), 0);
    }
}

/* A formula of 9,000 operations, each on top of the last; an output that is not asked for is not written. */
static void test_deep_and_skipped(bench *b)
{
    gram_node *x = tokens(b, number(1), size(N), 0), *sum = x;
    for (int k = 0; k < 9000; k++)
        sum = binary(b, GRAM_OP_ADD, sum, real(b, 1));
    evaluate(b, sum, x);
    equal(b, "sum", at(&b->results[0], 1, 0, 0, 1), 9000 + at(&b->views[0], 1, 0, 0, 1));
    b->results[0].data = NULL;
    b->results[1].data[0] = 7;
    gram_reference(b->ctx, &b->spec, b->batch, b->sizes, b->views, b->results);
    equal(b, "the other output", b->results[1].data[0], b->views[0].data[0]);
}

static void evaluate_prepared(gram_ctx *ctx, void *data)
{
    bench *b = data;
    gram_reference(ctx, &b->spec, b->batch, b->sizes, b->views, b->results);
}

/* Too large a matrix, and a sum of sizes that does not meet its name, are errors with a line. */
static void test_errors(bench *b)
{
    gram_node *x = tokens(b, number(1), size(N), 0), *wide = tokens(b, number(1), size(M), 0);
    gram_node *huge = gram_node_expand(b->ctx, here, real(b, 1), number((int64_t)1 << 40), number((int64_t)1 << 40));
    gram_node *sum = binary(b, GRAM_OP_ADD, binary(b, GRAM_OP_HCAT, x, x), wide);
    gram_node *bad[] = {unary(b, GRAM_OP_SUM, huge), sum};
    const char *wanted[] = {"out of memory", "numbers of columns"};
    for (int k = 0; k < 2; k++) {
        evaluate(b, x, NULL);
        b->outputs[0].node = bad[k];
        int failed = gram_try(b->ctx, evaluate_prepared, b);
        CHECK(b->tally, failed && strstr(b->ctx->message, wanted[k]), "%s: %s", wanted[k], b->ctx->message);
        CHECK(b->tally, strncmp(b->ctx->message, "test:1: error: ", 15) == 0, "no line: %s", b->ctx->message);
    }
}

static const struct {
    const char *name;
    void (*run)(bench *);
} tests[] = {
    {"grouped soft cap", test_grouped_softcap},
    {"dropped entries", test_dropped_entries},
    {"dropped entries on the left", test_dropped_left},
    {"softmax corners", test_softmax_corners},
    {"gather", test_gather},
    {"distances", test_distances},
    {"cumsum", test_cumsum},
    {"small matrices", test_small_matrices},
    {"blocks", test_blocks},
    {"heads", test_heads},
    {"threshold", test_threshold},
    {"scalars", test_scalars},
    {"where and indices", test_where_and_indices},
    {"empty", test_empty},
    {"deep and skipped", test_deep_and_skipped},
    {"errors", test_errors},
};

static void run_test(gram_ctx *ctx, void *data)
{
    bench *b = data;
    (void)ctx;
    tests[b->test].run(b);
}

int main(void)
{
    gram_tally tally = {0};
    for (size_t k = 0; k < sizeof tests / sizeof *tests; k++) {
        bench b = {.ctx = gram_ctx_new(), .tally = &tally, .batch = 2, .sizes = {5, 7}, .test = k};
        int failed = gram_try(b.ctx, run_test, &b);
        CHECK(&tally, !failed, "%s: %s", tests[k].name, b.ctx->message);
        gram_ctx_free(b.ctx);
    }
    return gram_tally_end(&tally);
}
