/* Gradients of gradients, what is stated of kinks, and what is an error. (First derivatives of every spec are in
 * grad.sh.)
 *
 *   grad [SPEC ...]     the specs named, or those listed below
 *
 * A kernel, here the gradient of a spec by all its inputs, is differentiated again: reverse mode in double
 * against central differences of its outputs along random directions of each input, and the back ends against
 * reverse mode in double. The scalar that is differentiated is the sum of each output times a random array, so
 * every output takes part. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../gen/gram.h"
#include "test.h"

enum { MOST = 48, DIRECTIONS = 3 };

typedef struct bench {
    gram_tally *tally;
    const char *spec;
    gram_kernel *forward, *backward;
    int64_t n, m, batch;
    const gram_port *inputs, *outputs;
    int ninputs, noutputs;
    gram_array in[MOST], dout[MOST];
    uint64_t seed;
} bench;

static double uniform(bench *b)
{
    b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(b->seed >> 11) / 9007199254740992.0 * 2 - 1;
}

/* The axes of "[batch, 8, n, 64]" at the bench's sizes; any name but batch, m and sums is n. */
static int read_shape(const bench *b, const char *text, int64_t *shape)
{
    int dims = 0;
    for (const char *at = text + 1; *at && *at != ']'; at += strcspn(at, ",]"), at += *at == ',') {
        at += strspn(at, " ");
        shape[dims++] = *at >= '0' && *at <= '9' ? atoll(at) : !strncmp(at, "batch", 5) ? b->batch : *at == 'm' ? b->m : b->n;
    }
    return dims;
}

static gram_array random_array(bench *b, const gram_port *port)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array a;
    int64_t shape[GRAM_MAX_DIMS];
    int dims = read_shape(b, port->shape, shape);
    if (gram_array_new(&a, port->integer ? GRAM_I4 : GRAM_F8, dims, shape, message, sizeof message))
        exit(1);
    int64_t count = gram_array_count(a.dtype, dims, shape);
    for (int64_t i = 0; i < count; i++) {
        if (port->integer)
            ((int32_t *)a.data)[i] = (int32_t)((uniform(b) + 1) * 3);
        else
            ((double *)a.data)[i] = uniform(b);
    }
    return a;
}

static bool run(bench *b, gram_kernel *kernel, gram_argument *arguments, int n)
{
    char message[GRAM_MESSAGE_SIZE];
    if (gram_run(kernel, n, arguments, message, sizeof message) == GRAM_OK)
        return true;
    CHECK(b->tally, false, "%s: %s", b->spec, message);
    return false;
}

static double dot(const gram_array *a, const gram_array *b)
{
    double sum = 0;
    for (int64_t i = 0; i < gram_array_count(a->dtype, a->ndim, a->shape); i++)
        sum += ((const double *)a->data)[i] * ((const double *)b->data)[i];
    return sum;
}

/* sum over the outputs of <dO, O> at the present inputs. */
static double objective(bench *b)
{
    gram_argument arguments[2 * MOST];
    gram_array out[MOST];
    double sum = 0;
    int n = 0;
    memset(out, 0, sizeof out);
    for (int k = 0; k < b->ninputs; k++)
        arguments[n++] = (gram_argument){b->inputs[k].name, &b->in[k], NULL};
    for (int k = 0; k < b->noutputs; k++)
        arguments[n++] = (gram_argument){b->outputs[k].name, &out[k], NULL};
    if (!run(b, b->forward, arguments, n))
        return NAN;
    for (int k = 0; k < b->noutputs; k++) {
        sum += dot(&out[k], &b->dout[k]);
        gram_array_free(&out[k]);
    }
    return sum;
}

/* The slope of the objective along a random direction of input k, by central differences and by its gradient. */
static void compare(bench *b, int k, const gram_array *gradient)
{
    int64_t count = gram_array_count(GRAM_F8, b->in[k].ndim, b->in[k].shape);
    double *x = b->in[k].data, *start = malloc((size_t)(count + 1) * 8), *way = malloc((size_t)(count + 1) * 8), step = 1e-5;
    for (int round = 0; round < DIRECTIONS; round++) {
        double slope = 0, size = 0;
        for (int64_t i = 0; i < count; i++) {
            start[i] = x[i];
            way[i] = uniform(b);
            slope += way[i] * ((const double *)gradient->data)[i];
            size += fabs(way[i] * ((const double *)gradient->data)[i]);
        }
        for (int64_t i = 0; i < count; i++)
            x[i] = start[i] + step * way[i];
        double high = objective(b);
        for (int64_t i = 0; i < count; i++)
            x[i] = start[i] - step * way[i];
        double low = objective(b), expected = (high - low) / (2 * step);
        for (int64_t i = 0; i < count; i++)
            x[i] = start[i];
        double off = fabs(slope - expected) / (size + fabs(expected) + 0.5);
        CHECK(b->tally, off < 1e-6, "%s: d%s: slope %g, by differences %g", b->spec, b->inputs[k].name, slope, expected);
    }
    free(start);
    free(way);
}

/* The gradients from one back end. */
static bool gradients(bench *b, gram_kernel *kernel, gram_array *grad, const int *by, int n)
{
    gram_argument arguments[3 * MOST];
    int count = 0;
    char names[2 * MOST][64];
    for (int k = 0; k < b->ninputs; k++)
        arguments[count++] = (gram_argument){b->inputs[k].name, &b->in[k], NULL};
    for (int k = 0; k < b->noutputs; k++) {
        snprintf(names[k], sizeof names[k], "d%s", b->outputs[k].name);
        arguments[count++] = (gram_argument){names[k], &b->dout[k], NULL};
    }
    for (int k = 0; k < n; k++) {
        snprintf(names[MOST + k], sizeof names[k], "d%s", b->inputs[by[k]].name);
        arguments[count++] = (gram_argument){names[MOST + k], &grad[k], NULL};
    }
    return run(b, kernel, arguments, count);
}

static gram_kernel *load(bench *b, const char *jit, int bits, const char *const *names, int n)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_kernel *kernel = NULL;
    gram_derivative by[2] = {{0}, {.n = n, .names = names}};
    gram_load_options options = {
        .jit = jit, .dtype = bits == 64 ? "f64" : "f32", .threads = 2, .nderivatives = n > 0 ? 2 : 1, .derivatives = by};
    if (gram_load_file(b->spec, &options, &kernel, message, sizeof message) != GRAM_OK)
        CHECK(b->tally, false, "%s: %s", b->spec, message);
    return kernel;
}

static void against(bench *b, const char *jit, const char *const *names, const int *by, int n, const gram_array *expected)
{
    gram_kernel *kernel = load(b, jit, 64, names, n);
    gram_array grad[MOST];
    memset(grad, 0, sizeof grad);
    if (kernel && gradients(b, kernel, grad, by, n)) {
        double largest = 0; /* a gradient that is 0 by symmetry has only roundings, to be held against the others */
        for (int k = 0; k < n; k++)
            largest = fmax(largest, dot(&expected[k], &expected[k]));
        for (int k = 0; k < n; k++) {
            double off = 0, norm = 1e-6 * largest + 1e-300;
            for (int64_t i = 0; i < gram_array_count(GRAM_F8, grad[k].ndim, grad[k].shape); i++) {
                double x = ((double *)grad[k].data)[i], y = ((double *)expected[k].data)[i];
                off += (x - y) * (x - y);
                norm += y * y;
            }
            CHECK(b->tally, sqrt(off / norm) < 1e-8, "%s: %s: d%s is off by %g", b->spec, jit, names[k], sqrt(off / norm));
            gram_array_free(&grad[k]);
        }
    }
    gram_free(kernel);
}

static void test_at(bench *b)
{
    const char *names[MOST];
    int by[MOST], n = 0;
    gram_array grad[MOST];
    memset(grad, 0, sizeof grad);
    for (int k = 0; k < b->ninputs; k++) {
        b->in[k] = random_array(b, &b->inputs[k]);
        if (!b->inputs[k].integer) {
            by[n] = k;
            names[n++] = b->inputs[k].name;
        }
    }
    for (int k = 0; k < b->noutputs; k++)
        b->dout[k] = random_array(b, &b->outputs[k]);
    b->backward = load(b, "reference", 64, names, n);
    if (b->backward && gradients(b, b->backward, grad, by, n)) {
        for (int k = 0; k < n; k++)
            compare(b, by[k], &grad[k]);
        against(b, "tcc", names, by, n, grad);
    }
    gram_free(b->backward);
    for (int k = 0; k < n; k++)
        gram_array_free(&grad[k]);
    for (int k = 0; k < b->ninputs; k++)
        gram_array_free(&b->in[k]);
    for (int k = 0; k < b->noutputs; k++)
        gram_array_free(&b->dout[k]);
}

static void test_spec(gram_tally *tally, const char *spec)
{
    static const int64_t sizes[][3] = {{5, 7, 2}, {50, 67, 1}}; /* n, m, batch */
    bench b = {.tally = tally, .spec = spec, .seed = 1};
    b.forward = load(&b, "reference", 64, NULL, 0);
    if (!b.forward)
        return;
    b.ninputs = gram_inputs(b.forward, &b.inputs);
    b.noutputs = gram_outputs(b.forward, &b.outputs);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        b.n = sizes[k][0];
        b.m = sizes[k][1];
        b.batch = sizes[k][2];
        test_at(&b);
    }
    gram_free(b.forward);
}

/* ---- kinks and errors ---- */

/* The gradient of O by the one vector a of `formula`, at 0 and with dO = 1. */
static double at_zero(gram_tally *tally, const char *formula)
{
    char text[256], message[GRAM_MESSAGE_SIZE];
    double zero = 0, one = 1, slope = NAN;
    gram_kernel *kernel;
    gram_derivative by = {0};
    gram_load_options options = {.jit = "reference", .dtype = "f64", .nderivatives = 1, .derivatives = &by};
    snprintf(text, sizeof text, "local a = vector(\"a\", 1)\nreturn kernel(\"kink\", { O = %s })", formula);
    if (gram_load_text("kink", text, &options, &kernel, message, sizeof message) != GRAM_OK) {
        CHECK(tally, false, "%s: %s", formula, message);
        return NAN;
    }
    gram_array a = gram_array_dense(GRAM_F8, 1, (int64_t[]){1}, &zero), o = gram_array_dense(GRAM_F8, 0, NULL, &one);
    gram_array da = gram_array_dense(GRAM_F8, 1, (int64_t[]){1}, &slope);
    gram_argument arguments[] = {{"a", &a, NULL}, {"dO", &o, NULL}, {"da", &da, NULL}};
    gram_status status = gram_run(kernel, 3, arguments, message, sizeof message);
    CHECK(tally, status == GRAM_OK, "%s: %s", formula, message);
    gram_free(kernel);
    return slope;
}

static void test_kinks(gram_tally *tally)
{
    static const struct {
        const char *formula;
        double slope;
    } kinks[] = {{"relu(a)", 0},    {"abs(a)", 0},           {"sign(a)", 0},     {"floor(a)", 0},
                 {"round(a)", 0},   {"map(max, a, -a)", 1},  {"map(min, a, 2 * a)", 1},
                 {"max_tokens(hcat(a, 3 * a))", 2},          {"where(ge(a, 0), 2 * a, sqrt(a))", 2},
                 {"map(function(x) return where(le(x, 0), x, log(x)) end, a)", 1}};
    for (size_t k = 0; k < sizeof kinks / sizeof *kinks; k++) {
        double slope = at_zero(tally, kinks[k].formula);
        CHECK(tally, slope == kinks[k].slope, "%s at 0: slope %g, not %g", kinks[k].formula, slope, kinks[k].slope);
    }
}

static void test_errors(gram_tally *tally)
{
    static const struct {
        const char *text, *by, *expected;
    } wrong[] = {
        {"local p = ids(\"p\", \"n\")\nreturn kernel(\"k\", { O = vector(\"a\", \"n\") })", "p",
         "k:1: error: the gradient by p: integers have no derivative"},
        {"return kernel(\"k\", { O = vector(\"a\", \"n\") })", "b", "error: the gradient by b: it is no input of k"},
        {"return kernel(\"k\", { O = vector(\"a\", \"n\") + vector(\"dO\", \"n\") })", "a",
         "error: the gradient of k: the name dO is taken"},
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        char message[GRAM_MESSAGE_SIZE] = "";
        gram_derivative by = {.n = 1, .names = &wrong[k].by};
        gram_load_options options = {.jit = "reference", .nderivatives = 1, .derivatives = &by};
        gram_kernel *kernel;
        gram_load_text("k", wrong[k].text, &options, &kernel, message, sizeof message);
        CHECK(tally, !kernel && !strcmp(message, wrong[k].expected), "'%s', not '%s'", message, wrong[k].expected);
        gram_free(kernel);
    }
}

int main(int argc, char **argv)
{
    static const char *const specs[] = {"attention", "gqa_softcap", "rbf", "identity", "layers", "sigmoid", "order4",
                                        "relative", "window", "knowledge_learned", "cache", "series_geometric",
                                        "delta_rule", "triangle"};
    gram_tally tally = {0};
    test_kinks(&tally);
    test_errors(&tally);
    for (int k = 1; k < argc; k++)
        test_spec(&tally, argv[k]);
    for (size_t k = 0; argc == 1 && k < sizeof specs / sizeof *specs; k++) {
        char path[128];
        snprintf(path, sizeof path, "specs/%s.lua", specs[k]);
        test_spec(&tally, path);
    }
    return gram_tally_end(&tally);
}
