/* The language: what an expression's shape, heads and dropped entries are, and which two expressions must have
 * the same value. The values are the reference's, so an equation tests tracing, not arithmetic. A new test is a
 * row in a table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "passes.h"
#include "test.h"

/* Every expression may use these. n = 5, m = 4, k = 3; two batch items. */
static const char prelude[] =
    "local Q = tokens('Q', 6, 'n', { heads = 4 })\n"
    "local K = tokens('K', 6, 'm', { heads = 2 })\n"
    "local X, Y, Z = tokens('X', 6, 'n'), tokens('Y', 6, 'n'), tokens('Z', 6, 'k')\n"
    "local W, M = matrix('W', 6, 6), matrix('M', 6, 6, { heads = 4 })\n"
    "local v, c, a = vector('v', 6), scalar('c'), scalar('a', { heads = 4 })\n"
    "local bias, doc, len = scores('bias', 'm', 'n'), ids('doc', 'n', { below = 3 }), count('len', { below = 5 })\n"
    "local tab = vector('tab', 7, { heads = 4 })\n"
    "local S, A = K:t() * Q, X:t() * Y\n"
    "local kept = keep(causal, A)\n";

typedef struct fixture {
    const char *text; /* the whole spec */
    gram_spec *spec;
    const char *result; /* of describe */
    double *values[2]; /* of the outputs */
    size_t counts[2];
} fixture;

static void trace(gram_ctx *ctx, fixture *f)
{
    gram_request request = {.file = "test.lua", .text = f->text, .max_seconds = 20};
    f->spec = gram_trace(ctx, &request);
}

static char *spec_text(gram_ctx *ctx, const char *left, const char *right)
{
    return gram_format(ctx, "%sreturn kernel('test', { L = %s, R = %s })\n", prelude, left, right);
}

/* ---- shapes ---- */

static void describe(gram_ctx *ctx, void *data)
{
    fixture *f = data;
    trace(ctx, f);
    const gram_node *node = f->spec->outputs[0].node;
    f->result =
        gram_format(ctx, "%s%s%s%s%s", gram_shape_text(ctx, node),
                    node->heads ? gram_format(ctx, ", %d heads", node->heads) : "", node->batched ? ", batched" : "",
                    node->keep ? "; keep " : "", node->keep ? gram_node_text(ctx, node->keep) : "");
}

static const struct {
    const char *expression, *shape;
} shapes[] = {
    {"S", "m x n, 4 heads, batched"},
    {"Q * softmax(K:t() * X):t()", "6 x m, 4 heads, batched"},
    {"W * X + v", "6 x n, batched"},
    {"W + v:t()", "6 x 6"},
    {"M[2]", "6 x 6"},
    {"a * X", "6 x n, 4 heads, batched"},
    {"-X / 2", "6 x n, batched"},
    {"diag(v)", "6 x 6"},
    {"identity('n')", "n x n"},
    {"identity(4)", "4 x 4"},
    {"hcat(X, Z)", "6 x n + k, batched"},
    {"vcat(X, Y, X)", "18 x n, batched"},
    {"rows(X, 2, 3)", "3 x n, batched"},
    {"rows(vcat(X:t(), Z:t()), 'n', 'k')", "k x 6, batched"},
    {"inverse(W)", "6 x 6"},
    {"expm(M)", "6 x 6, 4 heads"},
    {"stack_heads { W, M[0], M[3] }", "6 x 6, 3 heads"},
    {"split_heads(X, 3)", "2 x n, 3 heads, batched"},
    {"concat_heads(Q)", "24 x n, batched"},
    {"sum_heads(Q)", "6 x n, batched"},
    {"each(X, 3, function(T) return T:t() end)", "6 x n, batched"},
    {"each(X, 3, function(T) return sum(T) end)", "3 x n, batched"},
    {"each(W, 2, function(T) return inner(T, T) end)", "4 x 6, batched"},
    {"each(keep(causal, X), 3, function(T) return T end)", "6 x n, batched; keep stack(cut(le(i, j), 3))"},
    {"sum(X)", "1 x n, batched"},
    {"sum_tokens(X)", "6 x 1, batched"},
    {"mean_tokens(Q)", "6 x 1, 4 heads, batched"},
    {"max_tokens(X)", "6 x 1, batched"},
    {"cumsum(X)", "6 x n, batched"},
    {"softmax(kept)", "n x n, batched; keep le(i, j)"},
    {"logsumexp(kept)", "1 x n, batched"},
    {"kept:t()", "n x n, batched; keep le(i, j):t()"},
    {"2 * kept + A", "n x n, batched; keep le(i, j)"},
    {"kept + keep(causal, A:t())", "n x n, batched; keep le(i, j)"},
    {"map(function() return 1 end, kept)", "n x n; keep le(i, j)"},
    {"keep(window(1, 1), kept)", "n x n, batched; keep le(i, j) & (le(j - 1, i) & le(i, j + 1))"},
    {"hadamard(keep(prefix(2), A), kept)", "n x n, batched; keep lt(i, 2) & le(i, j)"},
    {"hcat(kept, A)", "n x 2 n, batched; keep hcat(le(i, j), eq(0, 0))"},
    {"rows(vcat(kept, X), 0, 'n')", "n x n, batched; keep rows(vcat(le(i, j), eq(0, 0)), 0, n)"},
    {"concat_heads(keep(causal, Q))", "24 x n, batched; keep concat_heads(le(i, j) & eq(h, h))"},
    {"keep(causal, M)[3]", "6 x 6; keep le(i, j)"},
    {"sum_heads(keep(causal, Q))", "6 x n, batched; keep le(i, j)"},
    {"X * kept", "6 x n, batched"},
    {"map(function(s, i) return s * i end, W)", "6 x 6"},
    {"map(function(s, i, j, h) return h end, M)", "6 x 6, 4 heads"},
    {"map(function(s, i, j, h, b) return b end, X)", "6 x n, batched"},
    {"map(function(s, i, j, h, b, rows, cols) return rows / cols end, X)", "6 x n"},
    {"map(function(s, i, j) return s + tab(i) end, X)", "6 x n, 4 heads, batched"},
    {"map(function(s, i, j) return s * c() + a() end, W)", "6 x 6, 4 heads"},
    {"map(max, X, Y, 0)", "6 x n, batched"},
    {"map(function(x, w) return x + w end, X, v)", "6 x n, batched"},
    {"keep(function(i, j) return lt(j, len) end, A)", "n x n, batched; keep lt(j, len)"},
    {"keep(all_of(causal, documents(doc)), A)", "n x n, batched; keep le(i, j) & eq(doc(i, 0), doc(j, 0))"},
    {"keep(none_of(causal, dilated(2)), A)", "n x n, batched; keep ~(le(i, j) | eq((i - j) % 2, 0))"},
    {"keep(causal_end, S)", "m x n, 4 heads, batched; keep le(i - m, j - n)"},
    {"rbf(Z, X, 0.5)", "k x n, batched"},
    {"laplace(Z, X, c)", "k x n, batched"},
    {"cosine(K, Q)", "m x n, 4 heads, batched"},
    {"poly(Z, X, 3, 1)", "k x n, batched"},
    {"pairs_of(function(z, x) return exp(dot(z, x)) / (1 + sqnorm(z)) end, Z, X)", "k x n, batched"},
    {"pairs_of(function(z, x) return z[2] end, Z, X)", "k x n, batched"},
    {"coefficient { Y, order = 6, heads = 2, sigma = softmax }", "n x n, 2 heads, batched"},
    {"sinusoidal(6, 'n')", "6 x n"},
    {"rope(Q, 10000, { offset = 3, dims = 4 })", "6 x n, 4 heads, batched"},
    {"layer_norm(X, v, v, 1e-5)", "6 x n, batched"},
    {"map(alibi(4), S)", "m x n, 4 heads, batched"},
    {"map(relative_bias(tab), A)", "n x n, 4 heads, batched"},
    {"map(softcap(30), kept)", "n x n, batched; keep le(i, j)"},
    {"normalize(A, relu)", "n x n, batched"},
    {"X(2, 1)", "1 x 1, batched"},
    {"X / size('n')", "6 x n, batched"},
    {"2 * X * size('n') // 2", NULL},
    {"X * (size('n') // 2)", "6 x n, batched"},
};

static void test_shapes(gram_tally *tally)
{
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        gram_ctx *ctx = gram_ctx_new();
        fixture f = {.text = spec_text(ctx, shapes[k].expression, "X")};
        int failed = gram_try(ctx, describe, &f);
        if (shapes[k].shape)
            CHECK(tally, !failed && strcmp(f.result, shapes[k].shape) == 0, "%s\n    expected %s\n    got      %s",
                  shapes[k].expression, shapes[k].shape, failed ? ctx->message : f.result);
        else
            CHECK(tally, failed, "%s is no error", shapes[k].expression);
        gram_ctx_free(ctx);
    }
}

/* ---- values ---- */

static double random_number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 0x1p52 - 1;
}

static gram_view view_of(gram_ctx *ctx, int64_t batch, int64_t heads, int64_t rows, int64_t cols, size_t *count)
{
    int64_t size = rows * cols;
    *count = (size_t)((batch ? batch : 1) * (heads ? heads : 1) * size);
    return (gram_view){.data = gram_alloc(ctx, *count * sizeof(double)),
                       .batch = batch ? (heads ? heads : 1) * size : 0,
                       .head = heads ? size : 0,
                       .row = cols,
                       .col = 1};
}

static gram_view random_input(gram_ctx *ctx, const gram_input *input, int64_t batch, const int64_t *sizes,
                              uint64_t *state)
{
    size_t count;
    gram_view view = view_of(ctx, input->batched ? batch : 0, input->heads, gram_dim_value(input->rows, sizes),
                             gram_dim_value(input->cols, sizes), &count);
    for (size_t k = 0; k < count; k++) {
        double x = random_number(state);
        view.data[k] = input->below ? floor((x + 1) / 2 * (double)input->below) : x;
    }
    return view;
}

static void evaluate(gram_ctx *ctx, void *data)
{
    enum { BATCH = 2 };
    fixture *f = data;
    int64_t sizes[GRAM_SIZES];
    gram_view inputs[64], outputs[2];
    uint64_t state = 1;
    trace(ctx, f);
    const gram_spec *spec = f->spec;
    for (int s = 0; s < spec->nsizes; s++)
        sizes[s] = strcmp(spec->sizes[s], "n") == 0 ? 5 : strcmp(spec->sizes[s], "m") == 0 ? 4 : 3;
    for (int k = 0; k < spec->ninputs; k++)
        inputs[k] = random_input(ctx, spec->inputs[k], BATCH, sizes, &state);
    for (int k = 0; k < 2; k++) {
        const gram_node *node = spec->outputs[k].node;
        outputs[k] = view_of(ctx, node->batched ? BATCH : 0, node->heads, gram_dim_value(node->rows, sizes),
                             gram_dim_value(node->cols, sizes), &f->counts[k]);
        f->values[k] = outputs[k].data;
    }
    gram_reference(ctx, spec, BATCH, sizes, inputs, outputs);
}

static const struct {
    const char *left, *right;
} equations[] = {
    {"map(function(x, i, j) return X(i, j) end, X)", "X"},
    {"rows(vcat(X, Y), 6, 6)", "Y"},
    {"hcat(X, Z) * vcat(Y:t(), Z:t())", "X * Y:t() + Z * Z:t()"},
    {"concat_heads(split_heads(X, 3))", "X"},
    {"stack_heads { W, 2 * W }[1]", "W + W"},
    {"sum_heads(M)", "M[0] + M[1] + M[2] + M[3]"},
    {"diag(v) * X", "hadamard(X, v)"},
    {"identity(6) * X", "X"},
    {"inverse(W) * W * X", "X"},
    {"expm(W) * expm(-W) * X", "X"},
    {"sum_tokens(X)", "sum(X:t()):t()"},
    {"mean_tokens(X) * size('n')", "sum_tokens(X)"},
    {"mean_tokens(keep(function(i, j) return lt(j, 2) end, X))",
     "map(function(_, i) return (X(i, 0) + X(i, 1)) / 2 end, v)"},
    {"cumsum(X)", "X * map(function(s, i, j) return where(le(i, j), 1, 0) end, A)"},
    {"max_tokens(keep(function(i, j) return eq(j, 3) end, X))", "map(function(_, i) return X(i, 3) end, v)"},
    {"softmax(A)", "normalize(map(exp, A), 'sum')"},
    {"logsumexp(A)", "log(sum(exp(A)))"},
    {"sum(hadamard(normalize(X, 'l2'), normalize(X, 'l2')))", "1 + 0 * sum(X)"},
    {"sum(abs(normalize(X, 'l1')))", "1 + 0 * sum(X)"},
    {"sum(normalize(X, relu))", "1 + 0 * sum(X)"},
    {"max_tokens(abs(normalize(X, 'max')):t())", "1 + 0 * sum(X):t()"},
    {"normalize(0 * X, 'l2')", "0 * X"},
    {"inner(Z, X)", "Z:t() * X"},
    {"sqdist(Z, X)", "pairs_of(function(z, x) return sqnorm(z) - 2 * dot(z, x) + sqnorm(x) end, Z, X)"},
    {"sqdist(Z, X)", "pairs_of(function(z, x) return sqdist(x, z) end, Z, X)"},
    {"dist1(Z, X)",
     "pairs_of(function(z, x)\n local s = 0\n for p = 0, 5 do s = s + abs(z[p] - x[p]) end\n return s end, Z, X)"},
    {"pairs_of(function(z, x) return dot(W * z, x) end, Z, X)", "(W * Z):t() * X"},
    {"pairs_of(function(z, x) return sqdist(W * x, x) end, Z, X)",
     "sum(map(function(d) return d * d end, W * X - X)) + 0 * inner(Z, X)"},
    {"rbf(Z, X, 0.3)", "map(function(s) return exp(-0.3 * s) end, sqdist(Z, X))"},
    {"cosine(Z, X)", "pairs_of(function(z, x) return dot(z, x) / sqrt(sqnorm(z) * sqnorm(x)) end, Z, X)"},
    {"poly(Z, X, 3, 1)", "map(function(s) return (s + 1) * (s + 1) * (s + 1) end, inner(Z, X))"},
    {"keep(window(1, 0), A) * X:t()", "keep(function(i, j) return eq(i, j) | eq(i, j - 1) end, A) * X:t()"},
    {"sum(keep(causal_end, S))", "sum(keep(function(i, j) return le(i, j - 1) end, S))"},
    {"sum(keep(any_of(prefix(1), global(2)), A))", "sum(keep(function(i, j) return lt(i, 2) | lt(j, 2) end, A))"},
    {"map(softcap(2), A)", "2 * tanh(A / 2)"},
    {"map(alibi(4), A + 0 * a)",
     "map(function(s, i, j, h) return s - exp2(-2 * (h + 1)) * max(i - j, j - i) end, A + 0 * a)"},
    {"map(relative_bias(tab), A)", "map(function(s, i, j) return s + tab(clamp(i - j + 3, 0, 6)) end, A)"},
    {"sum(hadamard(rope(X, 100), rope(X, 100)))", "sum(hadamard(X, X))"},
    {"rope(X, 100, { offset = -1 }):t() * rope(Y, 100, { offset = -1 })", "rope(X, 100):t() * rope(Y, 100)"},
    {"rows(rope(X, 100, { dims = 4 }), 4, 2)", "rows(X, 4, 2)"},
    {"rows(rope(X, 100, { interleaved = true }), 0, 2)", "rope(rows(X, 0, 2), 100)"},
    {"rows(rope(X, 1e300, { offset = 2 }), 0, 1)",
     "map(function(x, i, j) return x * cos(j + 2) - X(3, j) * sin(j + 2) end, rows(X, 0, 1))"},
    {"rows(sinusoidal(6, 'n'), 2, 1)",
     "map(function(x, i, j) return sin((j + 1) / size('n')^(4 / 6)) end, rows(X, 2, 1))"},
    {"sum(layer_norm(X, nil, nil, 1e-5)) / 6", "0 * sum(X)"},
    {"rms_norm(X, v, 0)", "hadamard(v, sqrt(6) * normalize(X, 'l2'))"},
    {"permutation_equivariant { Y = X, psi1 = function(k, i) return exp(dot(i, W * k)) end,"
     " rho1 = function(i, s) local e = exp(dot(i, W * i)) return e / (e + s) end,"
     " psi2 = function(k, i, j) return exp(dot(i, W * k)) end,"
     " rho2 = function(i, j, s) local e = exp(dot(i, W * j)) return e / (exp(dot(i, W * i)) + e + s) end }",
     "softmax((X:t() * W * X):t()):t() + 0 * A"},
    {"permutation_equivariant { Y = X, psi1 = function(k, i) return dot(k, i) end, rho1 = function(i, s) return s end,"
     " psi2 = function(k, i, j) return dot(k, j) end, rho2 = function(i, j, s) return s end }",
     "map(function(s, i, j) local G = X:t() * X\n return where(eq(i, j), 0, -s) + sum(G)(j) - G(j, j) end, X:t() * X)"},
    {"map(function(q, i, j, h) return q * (h // 2) end, Q)",
     "map(function(q, i, j, h) return where(ge(h, 2), q, 0) end, Q)"},
    {"map(function(x, i) return x * (i // 0 + i % 0) end, X)", "0 * X"},
    {"map(function(s, i) return (i - 3) // 2 end, X)", "map(function(s, i) return floor((i - 3) / 2) end, X)"},
    {"map(function(s, i) return where(lt(i, 3) & ~eq(i, 1), 1, 0) end, X)",
     "map(function(s, i) return where(eq(i, 0) | eq(i, 2), 1, 0) end, X)"},
};

static double difference(const fixture *f)
{
    double largest = f->counts[0] == f->counts[1] ? 0 : INFINITY;
    for (size_t k = 0; k < f->counts[0] && k < f->counts[1]; k++) {
        double d = fabs(f->values[0][k] - f->values[1][k]);
        largest = d <= largest ? largest : d;
    }
    return largest;
}

static void test_equations(gram_tally *tally)
{
    for (size_t k = 0; k < sizeof equations / sizeof *equations; k++) {
        gram_ctx *ctx = gram_ctx_new();
        fixture f = {.text = spec_text(ctx, equations[k].left, equations[k].right)};
        int failed = gram_try(ctx, evaluate, &f);
        CHECK(tally, !failed && difference(&f) < 1e-10, "%s\n    is not %s\n    %s (difference %g)", equations[k].left,
              equations[k].right, failed ? ctx->message : "", failed ? 0 : difference(&f));
        gram_ctx_free(ctx);
    }
}

/* ---- the rest ---- */

static void trace_only(gram_ctx *ctx, void *data)
{
    trace(ctx, data);
}

/* What a declaration and kernel's options become. */
static void test_spec(gram_tally *tally)
{
    static const char text[] = "local X = tokens('X', 32.0, 'n', { layout = 'token', heads = 2, key = 'layer.0' })\n"
                               "local P, D = matrix('P', 'n', 3), ids('D', 'm', 'n', { below = 9 })\n"
                               "return kernel('test', { b = X, a = P }, { doc = 'A test.', tolerance = 1e-3,\n"
                               "    symmetry = { orthogonal = { 'X' }, permutation = { 'X', 'D' } } })\n";
    gram_ctx *ctx = gram_ctx_new();
    fixture f = {.text = text};
    int failed = gram_try(ctx, trace_only, &f);
    const gram_spec *s = f.spec;
    CHECK(tally, !failed, "%s", ctx->message);
    CHECK(tally, !failed && s->ninputs == 3 && s->nsizes == 2 && strcmp(s->sizes[1], "m") == 0, "inputs and sizes");
    CHECK(tally, !failed && s->inputs[0]->kind == GRAM_TOKENS_FLAT && gram_dim_is(s->inputs[0]->rows, 32),
          "layout, size");
    CHECK(tally, !failed && strcmp(s->inputs[0]->key, "layer.0") == 0 && s->inputs[2]->kind == GRAM_PAIR_IDS,
          "key, ids");
    CHECK(tally, !failed && s->noutputs == 2 && strcmp(s->outputs[0].name, "a") == 0, "outputs sorted");
    CHECK(tally, !failed && s->northogonal == 1 && s->npermutation == 2 && s->tolerance == 1e-3, "symmetry, tolerance");
    CHECK(tally, !failed && strcmp(s->doc, "A test.") == 0 && s->nparameters_with_size == 1, "doc, parameters");
    gram_ctx_free(ctx);
}

/* An option's value, as the spec sees it, through the only thing that is told of it: an error. */
static void test_options(gram_tally *tally)
{
    static const gram_setting settings[] = {{"d", 32}, {"scale", 2}};
    static const char text[] = "error(option('d', 64) .. ' ' .. option('scale', 0.5) .. ' ' .. option('w', 7))";
    gram_request request = {.file = "test.lua", .text = text, .nsettings = 2, .settings = settings};
    gram_ctx *ctx = gram_ctx_new();
    jmp_buf catch_;
    ctx->catch_ = &catch_;
    if (setjmp(catch_) == 0)
        gram_trace(ctx, &request);
    CHECK(tally, strcmp(ctx->message, "test.lua:1: error: 32 2.0 7") == 0, "%s", ctx->message);
    gram_ctx_free(ctx);
}

int main(void)
{
    gram_tally tally = {0};
    test_shapes(&tally);
    test_equations(&tally);
    test_spec(&tally);
    test_options(&tally);
    return gram_tally_end(&tally);
}
