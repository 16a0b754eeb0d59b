/* Random inputs; see sample.h. */
#include "sample.h"

#include <math.h>
#include <stdio.h>

/* splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014). */
static uint64_t next(gram_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double gram_random_uniform(gram_random *random)
{
    return (double)(next(random) >> 11) * 0x1p-53;
}

/* Box and Muller; the logarithm's argument is in (0, 1]. */
double gram_random_normal(gram_random *random)
{
    double radius = sqrt(-2 * log(1 - gram_random_uniform(random)));
    return radius * cos(2 * M_PI * gram_random_uniform(random));
}

static int64_t largest(const gram_kernel *kernel, const int64_t *sizes)
{
    int64_t most = 1;
    for (int s = 0; s < kernel->build.spec->nsizes; s++)
        most = sizes[s] > most ? sizes[s] : most;
    return most;
}

static void fill_integers(gram_random *random, int32_t *values, int64_t count, int64_t below)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (int32_t)(gram_random_uniform(random) * (double)below);
}

static void fill_reals(gram_random *random, const gram_array *array, int64_t count, double scale)
{
    for (int64_t i = 0; i < count; i++)
        gram_array_set(array, i, scale * gram_random_normal(random));
}

/* Items of any lengths, none too, that together are as long as the size says. */
static void fill_starts(gram_random *random, const gram_spec *spec, const gram_input *input, const int64_t *sizes,
                        int32_t *starts, int64_t items)
{
    int64_t total = 0;
    for (int s = 0; s < spec->nsizes; s++)
        total = spec->starts[s] == input ? sizes[s] : total;
    starts[0] = 0;
    for (int64_t k = 1; k <= items; k++) {
        const double rest = (double)(total - starts[k - 1]), share = k < items ? gram_random_uniform(random) : 1;
        starts[k] = starts[k - 1] + (int32_t)(rest * fmin(1, share * 2 / (double)(items - k + 1)));
    }
}

static void fill(const gram_kernel *kernel, const gram_input *input, const int64_t *sizes, gram_random *random,
                 const gram_array *array)
{
    int64_t count = gram_array_count(array->dtype, array->ndim, array->shape);
    int64_t cols = gram_dim_value(input->cols, sizes);
    if (input->kind == GRAM_STARTS) {
        fill_starts(random, kernel->build.spec, input, sizes, array->data, count - 1);
    } else if (gram_input_is_integer(input)) {
        int64_t below = input->below > 0 ? input->below : largest(kernel, sizes) + 1;
        fill_integers(random, array->data, count, below < INT32_MAX ? below : INT32_MAX);
    } else {
        fill_reals(random, array, count, input->kind == GRAM_MATRIX && cols > 0 ? 1 / sqrt((double)cols) : 1);
    }
}

int gram_sample(const gram_kernel *kernel, const gram_input *input, int64_t batch, const int64_t *sizes, uint64_t seed,
                gram_array *array, char *message, size_t size)
{
    gram_axes axes = gram_input_axes(input);
    gram_dtype real = kernel->build.request.real->dtype;
    gram_random random = {seed * 1000003 + (uint64_t)input->index};
    int64_t shape[4];
    int n = 0;
    for (int k = 0; k < axes.n; k++) {
        char letter = axes.axis[k].letter;
        if (letter == 's')
            shape[n++] = (batch >= 0 ? batch : 1) + 1;
        else if (letter != 'b' || batch >= 0)
            shape[n++] = letter == 'b' ? batch : gram_dim_value(axes.axis[k].size, sizes);
    }
    if (gram_array_new(array, gram_input_is_integer(input) ? GRAM_I4 : real, n, shape, message, size) != 0)
        return -1;
    next(&random);
    fill(kernel, input, sizes, &random, array);
    return 0;
}
