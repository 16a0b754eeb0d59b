/* One trial of a kernel: random inputs of given sizes, a run, and how far outputs are from what they should be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_check.h"

/* A derivative has more terms than what it is taken of, and they may cancel. */
double gram_check_tolerance(const gram_kernel *kernel)
{
    const gram_spec *spec = kernel->build.spec;
    double stated = spec->tolerance, terms = gram_is_derivative(spec) ? 10 : 1;
    return terms * (stated > 0 ? stated : gram_real_bits(kernel) == 64 ? 1e-12 : 1e-5);
}

double gram_check_error(const gram_array *got, const gram_array *expected, double least)
{
    int64_t count = gram_array_count(got->dtype, got->ndim, got->shape);
    double squares = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        double a = gram_array_entry(got, i), b = gram_array_entry(expected, i);
        if (a == b || (isnan(a) && isnan(b)))
            a = b = isfinite(b) ? b : 0;
        squares += (a - b) * (a - b);
        norm += b * b;
    }
    if (isnan(squares) || isinf(squares))
        return INFINITY;
    return squares == 0 ? 0 : sqrt(squares) / fmax(sqrt(norm), least);
}

int gram_check_sample(const gram_kernel *kernel, const gram_trial *t, gram_array *inputs, char *message, size_t size)
{
    const gram_spec *spec = kernel->build.spec;
    for (int i = 0; i < spec->ninputs; i++) {
        if (gram_sample(kernel, spec->inputs[i], t->batch, t->sizes, t->seed, &inputs[i], message, size) != 0)
            return -1;
    }
    return 0;
}

int gram_check_run(gram_kernel *kernel, gram_array *inputs, gram_array *outputs, char *message, size_t size)
{
    const gram_spec *spec = kernel->build.spec;
    int n = 0;
    gram_argument *arguments = calloc((size_t)spec->ninputs + (size_t)spec->noutputs, sizeof *arguments);
    if (!arguments)
        return snprintf(message, size, "error: out of memory");
    for (int i = 0; i < spec->ninputs; i++)
        arguments[n++] = (gram_argument){spec->inputs[i]->name, &inputs[i], NULL};
    for (int i = 0; i < spec->noutputs; i++)
        arguments[n++] = (gram_argument){spec->outputs[i].name, &outputs[i], NULL};
    int failed = gram_run(kernel, n, arguments, message, size) != GRAM_OK;
    free(arguments);
    return failed;
}

void gram_check_free(gram_array *arrays, int n)
{
    for (int i = 0; i < n; i++)
        gram_array_free(&arrays[i]);
    free(arrays);
}

gram_array *gram_check_arrays(int n)
{
    return calloc((size_t)n + 1, sizeof(gram_array));
}
