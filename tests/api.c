/* The library as a caller meets it: loading, questions, strides, batches, types, errors, threads. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gram.h"
#include "test.h"

static const char softmax_spec[] = "local X, Z = tokens('X', 4, 'n', {heads = 2}), tokens('Z', 4, 'm')\n"
                                   "local v = vector('v', 4, {batch = true})\n"
                                   "return kernel('k', {O = Z * softmax(Z:t() * X) + v, l = logsumexp(Z:t() * X)})\n";

enum { D = 4, HEADS = 2, MOST = 4096 };
static const char *const jits[] = {"tcc", "reference"};

static gram_kernel *load(gram_tally *t, const char *jit, int bits, int threads)
{
    char message[GRAM_MESSAGE_SIZE] = "";
    gram_load_options options = {.jit = jit, .dtype = bits == 64 ? "f64" : "f32", .threads = threads};
    gram_kernel *kernel;
    gram_status status = gram_load_text("k.lua", softmax_spec, &options, &kernel, message, sizeof message);
    CHECK(t, status == GRAM_OK && kernel, "%s: %s", jit, message);
    return kernel;
}

static void fill(double *data, int n, double seed)
{
    for (int i = 0; i < n; i++)
        data[i] = sin(seed + 1.7 * i);
}

/* O and l of one item and head, from the formula. */
static void expect(int n, int m, const double *X, const double *Z, const double *v, double *O, double *l)
{
    for (int j = 0; j < n; j++) {
        double weights[64], sum = 0;
        for (int i = 0; i < m; i++) {
            double score = 0;
            for (int p = 0; p < D; p++)
                score += Z[i * D + p] * X[j * D + p];
            sum += weights[i] = exp(score);
        }
        l[j] = log(sum);
        for (int p = 0; p < D; p++) {
            O[j * D + p] = v[p];
            for (int i = 0; i < m; i++)
                O[j * D + p] += Z[i * D + p] * weights[i] / sum;
        }
    }
}

static double distance(const double *a, const double *b, int n)
{
    double worst = 0;
    for (int i = 0; i < n; i++)
        worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* X of two items against a Z of one that serves both, given in a layout with gaps and its axes swapped. */
static void strides_and_batches(gram_tally *t, const char *jit)
{
    enum { B = 2, N = 5, M = 3 };
    char message[GRAM_MESSAGE_SIZE] = "";
    double X[B * HEADS * N * D], turned[N * HEADS * B * D * 2], Z[M * D], v[B * D];
    double O[B * HEADS * N * D], l[B * HEADS * N];
    gram_kernel *kernel = load(t, jit, 64, 1);
    fill(X, B * HEADS * N * D, 1);
    fill(Z, M * D, 2);
    fill(v, B * D, 3);
    gram_array x = gram_array_dense(GRAM_F8, 4, (int64_t[]){B, HEADS, N, D}, turned), out = {0}, lse = {0};
    int64_t stride[4] = {D, B * D, HEADS * B * D, 2 * N * HEADS * B * D};
    for (int last = 0; last < 2 && kernel; last++) {
        memcpy(x.stride, stride, sizeof stride);
        x.stride[3] = last ? 1 : N * HEADS * B * D / D; /* contiguous, or not */
        if (!last)
            memcpy(x.stride, (int64_t[]){1, B, B * HEADS, B * HEADS * N}, sizeof stride);
        gram_array dense = gram_array_dense(GRAM_F8, 4, x.shape, X);
        gram_array_assign(&x, &dense, message, sizeof message);
        gram_array z = gram_array_dense(GRAM_F8, 2, (int64_t[]){M, D}, Z);
        gram_array bias = gram_array_dense(GRAM_F8, 2, (int64_t[]){B, D}, v);
        gram_argument arguments[] = {{"O", &out, NULL}, {"X", &x, NULL}, {"Z", &z, NULL}, {"v", &bias, NULL}, {"l", &lse, NULL}};
        gram_status status = gram_run(kernel, 5, arguments, message, sizeof message);
        CHECK(t, status == GRAM_OK, "%s: %s", jit, message);
        for (int k = 0; k < B * HEADS; k++)
            expect(N, M, X + k * N * D, Z, v + k / HEADS * D, O + k * N * D, l + k * N);
        CHECK(t, status || distance(out.data, O, B * HEADS * N * D) < 1e-12, "%s: O differs", jit);
        CHECK(t, status || distance(lse.data, l, B * HEADS * N) < 1e-12, "%s: l differs", jit);
        CHECK(t, out.ndim == 4 && out.shape[0] == B && out.shape[3] == D && lse.ndim == 3, "%s: shapes", jit);
        gram_array_free(&out);
        gram_array_free(&lse);
        out = lse = (gram_array){0};
    }
    gram_free(kernel);
}

/* No batch axis, half precision in, only one output, into the caller's array with gaps between tokens. */
static void caller_output(gram_tally *t, const char *jit)
{
    enum { N = 3, M = 2, GAP = 7 };
    char message[GRAM_MESSAGE_SIZE] = "";
    uint16_t half[HEADS * N * D];
    double X[HEADS * N * D], Z[M * D], v[D], O[HEADS * N * D], l[HEADS * N];
    float out[HEADS * N * GAP];
    gram_kernel *kernel = load(t, jit, 32, 1);
    fill(X, HEADS * N * D, 4);
    fill(Z, M * D, 5);
    fill(v, D, 6);
    for (int i = 0; i < HEADS * N * D; i++) {
        half[i] = gram_f16_from_double(X[i]);
        X[i] = (double)gram_f16_to_float(half[i]);
    }
    for (int i = 0; i < HEADS * N * GAP; i++)
        out[i] = 77;
    gram_array x = gram_array_dense(GRAM_F2, 3, (int64_t[]){HEADS, N, D}, half);
    gram_array z = gram_array_dense(GRAM_F8, 2, (int64_t[]){M, D}, Z);
    gram_array bias = gram_array_dense(GRAM_F8, 1, (int64_t[]){D}, v);
    gram_array o = gram_array_dense(GRAM_F4, 3, (int64_t[]){HEADS, N, D}, out);
    o.stride[0] = N * GAP;
    o.stride[1] = GAP;
    gram_argument arguments[] = {{"X", &x, NULL}, {"Z", &z, NULL}, {"v", &bias, NULL}, {"O", &o, NULL}};
    gram_status status = kernel ? gram_run(kernel, 4, arguments, message, sizeof message) : GRAM_BAD_SPEC;
    CHECK(t, status == GRAM_OK, "%s: %s", jit, message);
    double worst = 0;
    int touched = 0;
    for (int k = 0; k < HEADS; k++)
        expect(N, M, X + k * N * D, Z, v, O + k * N * D, l + k * N);
    for (int i = 0; i < HEADS * N * GAP; i++) {
        if (i % GAP < D)
            worst = fmax(worst, fabs((double)out[i] - O[i / GAP * D + i % GAP]));
        else
            touched += out[i] != 77;
    }
    CHECK(t, worst < 1e-6 && touched == 0, "%s: off by %g, %d gaps touched", jit, worst, touched);
    gram_free(kernel);
}

static void questions(gram_tally *t)
{
    char message[GRAM_MESSAGE_SIZE] = "";
    const gram_port *ports;
    const char *const *sizes, *text = "";
    gram_kernel *kernel = load(t, "tcc", 0, 1);
    if (!kernel)
        return;
    CHECK(t, strcmp(gram_name(kernel), "k") == 0, "name %s", gram_name(kernel));
    CHECK(t, gram_inputs(kernel, &ports) == 3 && strcmp(ports[0].shape, "[batch, 2, n, 4]") == 0, "%s", ports[0].shape);
    CHECK(t, strcmp(ports[1].kind, "tokens") == 0 && !ports[1].integer, "%s", ports[1].kind);
    CHECK(t, gram_outputs(kernel, &ports) == 2 && strcmp(ports[1].name, "l") == 0, "%s", ports[1].name);
    CHECK(t, strcmp(ports[1].shape, "[batch, 2, n]") == 0, "%s", ports[1].shape);
    CHECK(t, gram_sizes(kernel, &sizes) == 2 && strcmp(sizes[1], "m") == 0, "%s", sizes[1]);
    CHECK(t, gram_real_bits(kernel) == 32 && gram_compile_times(kernel).compile > 0, "bits, times");
    for (int kind = GRAM_TEXT_IR; kind <= GRAM_TEXT_HEADER; kind++) {
        gram_status status = gram_kernel_text(kernel, (gram_text_kind)kind, &text, message, sizeof message);
        CHECK(t, status == GRAM_OK && strlen(text) > 20, "text %d: %s", kind, message);
    }
    gram_free(kernel);
    gram_free(NULL);
}

/* Tokens of one number and weights of one row keep their axis of 1; vectors and sums have none. */
static void axes_of_one(gram_tally *t)
{
    static const char spec[] = "local X, w = tokens('X', 1, 'n'), matrix('w', 1, 3)\n"
                               "local Z, v = tokens('Z', 3, 'n'), vector('v', 3)\n"
                               "return kernel('one', {a = X * softmax(X:t() * X), b = w * Z, c = tanh(w),\n"
                               "    d = sum(X), e = v:t() * Z, f = mean_tokens(Z), g = v + 1, h = w * v,\n"
                               "    i = Z(0, 0) + sum(w * v)})\n";
    static const char *const shapes[] = {"[batch, n, 1]", "[batch, n, 1]", "[1, 3]", "[batch, n]",
                                         "[batch, n]",    "[batch, 3]",    "[3]",    "[]",
                                         "[batch]"};
    char message[GRAM_MESSAGE_SIZE] = "";
    gram_kernel *kernel;
    gram_status status = gram_load_text("one.lua", spec, NULL, &kernel, message, sizeof message);
    CHECK(t, status == GRAM_OK, "%s", message);
    const gram_port *ports;
    int n = status == GRAM_OK ? gram_outputs(kernel, &ports) : 0;
    for (int k = 0; k < n; k++)
        CHECK(t, strcmp(ports[k].shape, shapes[k]) == 0, "%s is %s, not %s", ports[k].name, ports[k].shape, shapes[k]);
    gram_free(kernel);
}

static void errors(gram_tally *t)
{
    static const struct {
        const char *spec, *jit;
        gram_status status;
        const char *message;
    } cases[] = {
        {"return 1", "tcc", GRAM_BAD_SPEC, "e.lua:1: error:"},
        {"local X = tokens('X', 4, 'n') return kernel('e', {O = X * X})", "tcc", GRAM_BAD_SPEC, "e.lua:1: error: X * X"},
        {softmax_spec, "gpu", GRAM_BAD_SPEC, "error: there is no back end 'gpu'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[GRAM_MESSAGE_SIZE] = "";
        gram_kernel *kernel;
        gram_load_options options = {.jit = cases[i].jit};
        gram_status status = gram_load_text("e.lua", cases[i].spec, &options, &kernel, message, sizeof message);
        CHECK(t, status == cases[i].status && !kernel, "case %zu: status %d", i, (int)status);
        CHECK(t, strncmp(message, cases[i].message, strlen(cases[i].message)) == 0, "case %zu: %s", i, message);
    }
    char message[8] = "";
    gram_kernel *kernel;
    CHECK(t, gram_load_file("no/such.lua", NULL, &kernel, message, sizeof message) == GRAM_BAD_SPEC && !kernel, "file");
    CHECK(t, strcmp(message, "error: ") == 0, "a short message is cut: %s", message);
}

/* ---- many threads, one kernel ---- */

typedef struct caller {
    gram_kernel *kernel;
    int n;
    int wrong;
} caller;

static void *call_often(void *data)
{
    enum { M = 9 };
    caller *c = data;
    char message[GRAM_MESSAGE_SIZE];
    double X[HEADS * 50 * D], Z[M * D], v[D], O[HEADS * 50 * D], l[HEADS * 50];
    fill(X, HEADS * c->n * D, c->n);
    fill(Z, M * D, 2 * c->n);
    fill(v, D, 3 * c->n);
    for (int k = 0; k < HEADS; k++)
        expect(c->n, M, X + k * c->n * D, Z, v, O + k * c->n * D, l + k * c->n);
    for (int i = 0; i < 50; i++) {
        gram_array x = gram_array_dense(GRAM_F8, 3, (int64_t[]){HEADS, c->n, D}, X), out = {0};
        gram_array z = gram_array_dense(GRAM_F8, 2, (int64_t[]){M, D}, Z);
        gram_array bias = gram_array_dense(GRAM_F8, 1, (int64_t[]){D}, v);
        gram_argument arguments[] = {{"X", &x, NULL}, {"Z", &z, NULL}, {"v", &bias, NULL}, {"O", &out, NULL}};
        if (gram_run(c->kernel, 4, arguments, message, sizeof message) != GRAM_OK ||
            distance(out.data, O, HEADS * c->n * D) > 1e-12)
            c->wrong++;
        gram_array_free(&out);
    }
    return NULL;
}

static void many_callers(gram_tally *t, int threads)
{
    enum { CALLERS = 6 };
    pthread_t callers[CALLERS];
    caller data[CALLERS];
    gram_kernel *kernel = load(t, "tcc", 64, threads);
    for (int i = 0; i < CALLERS && kernel; i++) {
        data[i] = (caller){kernel, 3 + 9 * i, 0};
        pthread_create(&callers[i], NULL, call_often, &data[i]);
    }
    for (int i = 0; i < CALLERS && kernel; i++) {
        pthread_join(callers[i], NULL);
        CHECK(t, data[i].wrong == 0, "caller %d of a kernel of %d threads: %d wrong", i, threads, data[i].wrong);
    }
    gram_free(kernel);
}

int main(void)
{
    gram_tally tally = {0};
    for (int i = 0; i < 2; i++) {
        strides_and_batches(&tally, jits[i]);
        caller_output(&tally, jits[i]);
    }
    questions(&tally);
    axes_of_one(&tally);
    errors(&tally);
    many_callers(&tally, 1);
    many_callers(&tally, 3);
    return gram_tally_end(&tally);
}
