/* Loops of their own: few queries over many keys, with parts of the keys one, whole, and one more; causal sums of
 * products over many blocks; ids that decide tiles. Against the reference, and the same bits for any number of threads.
 * A case is a spec and its sizes n and m. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gram.h"

enum { MOST = 8, ROOM = 1024 };

static int passed, failed;

typedef struct spec_case {
    const char *spec;
    int64_t n, m;
} spec_case;

static const spec_case cases[] = {
    {"specs/gqa_softcap.lua", 1, 1024}, {"specs/gqa_softcap.lua", 1, 1025},  {"specs/gqa_softcap.lua", 64, 2500},
    {"specs/sigmoid.lua", 3, 2100},     {"specs/relative.lua", 2, 3001},     {"specs/cache.lua", 5, 1500},
    {"specs/lengths.lua", 4, 2048},     {"specs/mask.lua", 7, 1100},         {"specs/bias.lua", 9, 1300},
    {"specs/linear_causal.lua", 64, 0}, {"specs/linear_causal.lua", 700, 0}, {"specs/documents.lua", 500, 0},
    {"specs/window.lua", 900, 0},       {"specs/linear_causal.lua", 2200, 0}, {"specs/decay.lua", 63, 0},
    {"specs/decay.lua", 2200, 0},       {"specs/linear_attention.lua", 2200, 0},       {"tests/found/causal_backwards.lua", 1500, 1300},
    {"tests/found/causal_few_keys.lua", 2200, 1300}, {"tests/found/causal_backwards.lua", 1300, 2200}, {"tests/found/causal_backwards.lua", 70, 0},
};

/* The shape "[batch, 8, n, 64]" with batch 1. */
static int shape_of(const char *text, const spec_case *c, int64_t *shape)
{
    int ndim = 0;
    char copy[256], *next;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *at = strtok_r(copy, "[], ", &next); at; at = strtok_r(NULL, "[], ", &next))
        shape[ndim++] = !strcmp(at, "batch") ? 1 : !strcmp(at, "n") ? c->n : !strcmp(at, "m") ? c->m : atoll(at);
    return ndim;
}

static int make_input(const gram_port *port, const spec_case *c, gram_array *array, unsigned *seed)
{
    int64_t shape[MOST], count = 1;
    char message[ROOM];
    int ndim = shape_of(port->shape, c, shape);
    for (int k = 0; k < ndim; k++)
        count *= shape[k];
    if (gram_array_new(array, port->integer ? GRAM_I4 : GRAM_F4, ndim, shape, message, sizeof message))
        return -1;
    for (int64_t k = 0; k < count; k++) {
        *seed = *seed * 1664525u + 1013904223u;
        double x = (double)(*seed >> 8) / (1 << 24);
        if (port->integer)
            ((int32_t *)array->data)[k] = (int32_t)(x * (double)(c->m ? c->m : 4));
        else
            ((float *)array->data)[k] = (float)(4 * x - 2);
    }
    return 0;
}

/* The outputs of one back end on the same inputs; how many. */
static int run(const spec_case *c, const char *jit, int threads, gram_array *outputs)
{
    gram_load_options options = {.jit = jit, .threads = threads};
    gram_argument arguments[2 * MOST];
    gram_array inputs[MOST];
    const gram_port *in, *out;
    gram_kernel *kernel;
    char message[ROOM];
    unsigned seed = 1;
    if (gram_load_file(c->spec, &options, &kernel, message, sizeof message)) {
        printf("failed: %s: %s\n", c->spec, message);
        return -1;
    }
    int nin = gram_inputs(kernel, &in), nout = gram_outputs(kernel, &out), n = 0, status = 0;
    for (int k = 0; k < nin; k++) {
        status |= make_input(&in[k], c, &inputs[k], &seed);
        arguments[n++] = (gram_argument){in[k].name, &inputs[k], 0};
    }
    for (int k = 0; k < nout; k++) {
        memset(&outputs[k], 0, sizeof outputs[k]);
        arguments[n++] = (gram_argument){out[k].name, &outputs[k], 0};
    }
    if (status == 0 && gram_run(kernel, n, arguments, message, sizeof message)) {
        printf("failed: %s through %s: %s\n", c->spec, jit, message);
        status = -1;
    }
    for (int k = 0; k < nin; k++)
        gram_array_free(&inputs[k]);
    gram_free(kernel);
    return status ? -1 : nout;
}

static double number(const gram_array *a, int64_t k)
{
    return a->dtype == GRAM_F8 ? ((const double *)a->data)[k] : (double)((const float *)a->data)[k];
}

/* The distance from expected, relative to its norm. */
static double distance(const gram_array *got, const gram_array *expected)
{
    int64_t count = gram_array_count(got->dtype, got->ndim, got->shape);
    double squares = 0, norm = 0;
    for (int64_t k = 0; k < count; k++) {
        double a = number(got, k), b = number(expected, k);
        squares += a == b ? 0 : (a - b) * (a - b);
        norm += isfinite(b) ? b * b : 0;
    }
    return squares > 0 ? sqrt(squares / norm) : 0;
}

static void check(int holds, const spec_case *c, const char *what, double value)
{
    passed += holds != 0;
    failed += !holds;
    if (!holds)
        printf("failed: %s n=%d m=%d: %s: %g\n", c->spec, (int)c->n, (int)c->m, what, value);
}

static void check_case(const spec_case *c)
{
    gram_array expected[MOST], got[MOST], again[MOST];
    int n = run(c, "reference", 1, expected);
    int same = n > 0 && run(c, "tcc", 1, got) == n && run(c, "tcc", 3, again) == n;
    check(same, c, "runs", 0);
    for (int k = 0; k < n && same; k++) {
        size_t bytes = (size_t)gram_array_count(got[k].dtype, got[k].ndim, got[k].shape) * sizeof(float);
        double off = distance(&got[k], &expected[k]);
        check(off < 1e-5, c, "far from the reference", off);
        check(memcmp(got[k].data, again[k].data, bytes) == 0, c, "other bits with three threads", 0);
        gram_array_free(&got[k]);
        gram_array_free(&again[k]);
        gram_array_free(&expected[k]);
    }
}

int main(void)
{
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_case(&cases[k]);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
