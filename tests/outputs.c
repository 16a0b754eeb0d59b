/* Outputs that a caller leaves out: the others are the same bits, for an output's array serves as workspace until it is
 * written, and where there is none the workspace has room for it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gram.h"
#include "test.h"

static const char spec[] = "local X = tokens('X', 8, 'n')\n"
                           "local heads = {heads = 2}\n"
                           "local WQ, WK = matrix('WQ', 4, 8, heads), matrix('WK', 4, 8, heads)\n"
                           "local N = layer_norm(X, nil, nil, 1e-5)\n"
                           "local P = softmax((WK * N):t() * (WQ * N))\n"
                           "local h = X + concat_heads(WK * N * P)\n"
                           "return kernel('outputs', {A = h, B = h * softmax(h:t() * h), C = tanh(h), D = logsumexp(h)})\n";

enum { D = 8, NUMBERS = 2 * 4 * D, OUTPUTS = 4, ALL = (1 << OUTPUTS) - 1, MOST = 130 };
static const char *const names[OUTPUTS] = {"A", "B", "C", "D"};

static void fill(float *data, int n, double seed)
{
    for (int i = 0; i < n; i++)
        data[i] = (float)sin(seed + 1.7 * i);
}

/* Runs the kernel on n tokens; of the outputs, those whose bit is set. */
static int run(gram_kernel *kernel, int n, int wanted, gram_array *out, char *message)
{
    static float X[MOST * D], W[2][NUMBERS];
    fill(X, n * D, 1);
    fill(W[0], NUMBERS, 2);
    fill(W[1], NUMBERS, 3);
    gram_array x = gram_array_dense(GRAM_F4, 2, (int64_t[]){n, D}, X);
    gram_array q = gram_array_dense(GRAM_F4, 3, (int64_t[]){2, 4, D}, W[0]), k = q;
    k.data = W[1];
    gram_argument arguments[3 + OUTPUTS] = {{"X", &x, NULL}, {"WQ", &q, NULL}, {"WK", &k, NULL}};
    int count = 3;
    for (int o = 0; o < OUTPUTS; o++)
        if (wanted >> o & 1)
            arguments[count++] = (gram_argument){names[o], &out[o], NULL};
    return gram_run(kernel, count, arguments, message, GRAM_MESSAGE_SIZE) == GRAM_OK;
}

static int same(const gram_array *a, const gram_array *b)
{
    return a->ndim == b->ndim && !memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) &&
           !memcmp(a->data, b->data,
                   (size_t)gram_array_count(a->dtype, a->ndim, a->shape) * (size_t)gram_dtype_size(a->dtype));
}

static void test_size(gram_tally *t, gram_kernel *kernel, int n)
{
    char message[GRAM_MESSAGE_SIZE] = "";
    gram_array all[OUTPUTS] = {{0}};
    CHECK(t, run(kernel, n, ALL, all, message), "%s", message);
    for (int wanted = 0; wanted < ALL; wanted++) {
        gram_array some[OUTPUTS] = {{0}};
        CHECK(t, run(kernel, n, wanted, some, message), "%s", message);
        for (int o = 0; o < OUTPUTS; o++)
            if (wanted >> o & 1) {
                CHECK(t, same(&all[o], &some[o]), "n = %d: %s differs where outputs %d are asked for", n, names[o], wanted);
                gram_array_free(&some[o]);
            }
    }
    for (int o = 0; o < OUTPUTS; o++)
        gram_array_free(&all[o]);
}

int main(void)
{
    gram_tally t = {0};
    char message[GRAM_MESSAGE_SIZE] = "";
    for (int threads = 1; threads <= 2; threads++) {
        gram_load_options options = {.jit = "tcc", .dtype = "f32", .threads = threads};
        gram_kernel *kernel;
        gram_status status = gram_load_text("outputs.lua", spec, &options, &kernel, message, sizeof message);
        CHECK(&t, status == GRAM_OK, "%s", message);
        for (int n = 0; n <= MOST && status == GRAM_OK; n += 13)
            test_size(&t, kernel, n);
        gram_free(kernel);
    }
    return gram_tally_end(&t);
}
