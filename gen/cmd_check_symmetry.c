/* Declared symmetries, tested: f(QX, QZ) = Q f(X, Z) for a random orthogonal Q, and f(XP, Z) = f(X, Z) P for a random
 * permutation P of X's tokens.
 *
 * Q turns the rows of every named input, and of every output whose rows are as many; other outputs (scores, sums of
 * exponentials) must not change. P permutes the columns of every named input, and every axis of an output that is as
 * long as X's tokens are many. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_check.h"

typedef struct symmetry {
    const char *name;
    int n;
    const char **inputs;
    char letter; /* the axis of the inputs that it acts on */
} symmetry;

/* Acts on one axis of a dense double array: out[.., k, ..] = sum_p by[k * length + p] in[.., p, ..]. */
static void act(gram_array *array, int axis, const double *by, double *column)
{
    int64_t length = array->shape[axis], inner = array->stride[axis];
    int64_t count = gram_array_count(array->dtype, array->ndim, array->shape);
    double *data = array->data;
    for (int64_t start = 0; start < count; start++) {
        if (start / inner % length != 0)
            continue;
        for (int64_t p = 0; p < length; p++)
            column[p] = data[start + p * inner];
        for (int64_t k = 0; k < length; k++) {
            double sum = 0;
            for (int64_t p = 0; p < length; p++)
                sum += by[k * length + p] * column[p];
            data[start + k * inner] = sum;
        }
    }
}

/* A random orthogonal matrix: Gram and Schmidt, twice for accuracy, on normal rows. */
static void random_orthogonal(gram_random *random, double *q, int64_t d)
{
    for (int64_t i = 0; i < d * d; i++)
        q[i] = gram_random_normal(random);
    for (int64_t k = 0; k < d; k++) {
        double *row = q + k * d, norm = 0;
        for (int64_t p = 0; p < 2 * k; p++) {
            const double *other = q + p % k * d;
            double dot = 0;
            for (int64_t i = 0; i < d; i++)
                dot += row[i] * other[i];
            for (int64_t i = 0; i < d; i++)
                row[i] -= dot * other[i];
        }
        for (int64_t i = 0; i < d; i++)
            norm += row[i] * row[i];
        for (int64_t i = 0; i < d; i++)
            row[i] /= sqrt(norm);
    }
}

/* Fisher and Yates; as a matrix of zeros and ones. */
static void random_permutation(gram_random *random, double *by, int64_t n)
{
    memset(by, 0, (size_t)(n * n) * sizeof *by);
    for (int64_t i = 0; i < n; i++)
        by[i * n + i] = 1;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(gram_random_uniform(random) * (double)(i + 1));
        for (int64_t k = 0; k < n; k++) {
            double swap = by[i * n + k];
            by[i * n + k] = by[j * n + k];
            by[j * n + k] = swap;
        }
    }
}

static const gram_input *find_input(const gram_spec *spec, const char *name)
{
    for (int i = 0; i < spec->ninputs; i++) {
        if (strcmp(spec->inputs[i]->name, name) == 0)
            return spec->inputs[i];
    }
    return NULL;
}

static gram_dim side(const symmetry *s, const gram_input *input)
{
    return s->letter == 'r' ? input->rows : input->cols;
}

/* Does it act on this axis of an output? Q on rows; P on tokens, which may be either side of a matrix over pairs. */
static bool acts_on(const symmetry *s, const gram_axis *axis, gram_dim dim)
{
    bool matrix_axis = axis->letter == 'r' || axis->letter == 'c';
    bool right = axis->letter == s->letter || (s->letter == 'c' && !gram_dim_known(dim));
    return matrix_axis && right && gram_dim_equal(axis->size, dim);
}

static void act_on_axes(const symmetry *s, const gram_axes *axes, gram_dim dim, gram_array *array, const double *by,
                        double *column)
{
    for (int k = 0; k < axes->n; k++) {
        if (acts_on(s, &axes->axis[k], dim))
            act(array, k, by, column);
    }
}

static bool is_named(const symmetry *s, const char *name)
{
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->inputs[i], name) == 0)
            return true;
    }
    return false;
}

/* f of the inputs acted on, against what acting on f of the inputs gives. */
static int compare(gram_kernel *kernel, const symmetry *s, const gram_trial *t, gram_dim dim, const double *by,
                   double *column, double *worst, char *message, size_t size)
{
    const gram_spec *spec = kernel->build.spec;
    gram_array *inputs = gram_check_arrays(spec->ninputs);
    gram_array *before = gram_check_arrays(spec->noutputs), *after = gram_check_arrays(spec->noutputs);
    int failed = !inputs || !before || !after || gram_check_sample(kernel, t, inputs, message, size) ||
                 gram_check_run(kernel, inputs, before, message, size);
    for (int i = 0; i < spec->ninputs && !failed; i++) {
        gram_axes axes = gram_input_axes(spec->inputs[i]);
        if (is_named(s, spec->inputs[i]->name))
            act_on_axes(s, &axes, dim, &inputs[i], by, column);
    }
    failed = failed || gram_check_run(kernel, inputs, after, message, size);
    for (int i = 0; i < spec->noutputs && !failed; i++) {
        gram_axes axes = gram_output_axes(&spec->outputs[i]);
        act_on_axes(s, &axes, dim, &before[i], by, column);
        *worst = fmax(*worst, gram_check_error(&after[i], &before[i], 0));
    }
    gram_check_free(inputs, spec->ninputs);
    gram_check_free(before, spec->noutputs);
    gram_check_free(after, spec->noutputs);
    return failed;
}

/* The one length that the symmetry acts on, or a message why there is none. */
static int find_dim(const gram_spec *spec, const symmetry *s, gram_dim *dim, char *message, size_t size)
{
    for (int i = 0; i < s->n; i++) {
        const gram_input *input = find_input(spec, s->inputs[i]);
        if (!input || gram_input_is_integer(input))
            return snprintf(message, size, "error: %s: %s is no input of real tokens", s->name, s->inputs[i]);
        if (i > 0 && !gram_dim_equal(*dim, side(s, input)))
            return snprintf(message, size, "error: %s: %s and %s differ in size", s->name, s->inputs[0], s->inputs[i]);
        *dim = side(s, input);
    }
    return 0;
}

static int test_symmetry(gram_kernel *kernel, const symmetry *s, double *worst, char *message, size_t size)
{
    const gram_spec *spec = kernel->build.spec;
    gram_trial t = {.batch = gram_is_ragged(spec) ? 1 : 2, .seed = 1}; /* tokens stay in their item */
    gram_random random = {7};
    gram_dim dim = {0};
    for (int i = 0; i < spec->nsizes; i++)
        t.sizes[i] = 13 + 6 * i;
    if (find_dim(spec, s, &dim, message, size) != 0)
        return -1;
    int64_t length = gram_dim_value(dim, t.sizes);
    double *by = calloc((size_t)(length * length + length + 1), sizeof *by);
    if (!by)
        return snprintf(message, size, "error: out of memory");
    if (s->letter == 'r')
        random_orthogonal(&random, by, length);
    else
        random_permutation(&random, by, length);
    int failed = compare(kernel, s, &t, dim, by, by + length * length, worst, message, size);
    free(by);
    return failed;
}

static void print_names(const symmetry *s)
{
    char names[64];
    size_t used = 0;
    names[0] = '\0';
    for (int i = 0; i < s->n && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "", s->inputs[i]);
    printf("%-12s in %-12s", s->name, names);
}

static bool check_symmetry(gram_kernel *kernel, const char *jit, const symmetry *s)
{
    char message[GRAM_MESSAGE_SIZE] = "";
    double worst = 0, tolerance = fmax(1e-10, gram_check_tolerance(kernel));
    if (s->n == 0)
        return true;
    int failed = test_symmetry(kernel, s, &worst, message, sizeof message);
    bool ok = !failed && worst <= tolerance;
    printf("%-10s f64  ", jit);
    print_names(s);
    if (failed)
        printf(" FAILED\n    %s\n", message);
    else
        printf(" off by %.1e %21s %s\n", worst, "", ok ? "ok" : "FAILED: the spec declares what does not hold");
    return ok;
}

bool gram_check_symmetries(gram_kernel *kernel, const char *jit)
{
    const gram_spec *spec = kernel->build.spec;
    symmetry orthogonal = {"orthogonal", spec->northogonal, spec->orthogonal, 'r'};
    symmetry permutation = {"permutation", spec->npermutation, spec->permutation, 'c'};
    bool ok = check_symmetry(kernel, jit, &orthogonal);
    return check_symmetry(kernel, jit, &permutation) && ok;
}
