/* gram check --grad and --jvp: a spec's derivative in double precision against differences of the spec's own outputs.
 *
 * What is differentiated is one number, the sum of each output times a random array, along a random direction of the
 * inputs. Its slope is taken by central differences of two steps, so that a kink within reach shows (that slope is left
 * out); and from the derivative, as an inner product. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_check.h"

static const double STEP = 1e-3, TOLERANCE = 1e-6; /* the step is the distance that all entries together go */
enum { NTRIALS = 6, DIRECTIONS = 3 };

/* The spec and its derivative by the reference, at one trial. Arrays are dense and of doubles, integers apart. */
typedef struct slopes {
    gram_kernel *plain, *derivative;
    bool forward;
    gram_trial trial;
    gram_random random;
    gram_array *given;  /* the derivative's inputs; the first are the spec's */
    gram_array *got;    /* the derivative's outputs */
    gram_array *moved;  /* the spec's inputs, moved */
    gram_array *weight; /* of the spec's outputs */
    gram_array *way;    /* of the spec's inputs; data NULL: stays where it is */
    int checked, rough;
    double worst;
    char where[128];
    char message[GRAM_MESSAGE_SIZE];
} slopes;

static int64_t count_of(const gram_array *a)
{
    return gram_array_count(a->dtype, a->ndim, a->shape);
}

static int copy_like(slopes *s, gram_array *to, const gram_array *from, bool random)
{
    if (gram_array_new(to, from->dtype, from->ndim, from->shape, s->message, sizeof s->message) != 0)
        return -1;
    if (!random)
        memcpy(to->data, from->data, (size_t)count_of(from) * gram_dtype_size(from->dtype));
    for (int64_t i = 0; random && i < count_of(to); i++)
        ((double *)to->data)[i] = gram_random_normal(&s->random);
    return 0;
}

/* The sum of a b; and that of |a b| is added to *size. */
static double inner(const gram_array *a, const gram_array *b, double *size)
{
    double sum = 0;
    for (int64_t i = 0; i < count_of(a); i++) {
        double product = ((const double *)a->data)[i] * ((const double *)b->data)[i];
        sum += product;
        *size += fabs(product);
    }
    return sum;
}

/* An output that is infinite, as the log-sum-exp of nothing is, has no slope. */
static void leave_out_infinite(gram_array *out)
{
    for (int64_t i = 0; i < count_of(out); i++)
        if (isinf(((double *)out->data)[i]))
            ((double *)out->data)[i] = 0;
}

/* The number at a distance along the way. */
static double value_at(slopes *s, double distance, double *size)
{
    const gram_spec *spec = s->plain->build.spec;
    gram_array *out = gram_check_arrays(spec->noutputs);
    double sum = NAN;
    for (int k = 0; k < spec->ninputs; k++)
        for (int64_t i = 0; s->way[k].data && i < count_of(&s->moved[k]); i++)
            ((double *)s->moved[k].data)[i] =
                ((double *)s->given[k].data)[i] + distance * ((double *)s->way[k].data)[i];
    if (out && gram_check_run(s->plain, s->moved, out, s->message, sizeof s->message) == 0) {
        sum = 0;
        for (int k = 0; k < spec->noutputs; k++) {
            leave_out_infinite(&out[k]);
            sum += inner(&s->weight[k], &out[k], size);
        }
    }
    gram_check_free(out, spec->noutputs);
    return sum;
}

static double length_of_way(const slopes *s)
{
    double squares = 0;
    for (int k = 0; k < s->plain->build.spec->ninputs; k++)
        for (int64_t i = 0; s->way[k].data && i < count_of(&s->way[k]); i++)
            squares += ((double *)s->way[k].data)[i] * ((double *)s->way[k].data)[i];
    return sqrt(squares);
}

/* The slope along the way from differences, and whether there is no kink: then those of one step and of two agree, and
 * the slopes of the two sides are twice as far apart for two steps as for one (a kink right here leaves them as far
 * apart). */
static bool difference(slopes *s, double step, double size, double *slope, double *scale)
{
    double values = 0, middle = value_at(s, 0, &values), d[2], bend[2];
    for (int k = 0; k < 2; k++) {
        double h = step * (k + 1), high = value_at(s, h, &values), low = value_at(s, -h, &values);
        d[k] = (high - low) / (2 * h);
        bend[k] = (high - 2 * middle + low) / h;
    }
    *slope = (4 * d[0] - d[1]) / 3;
    *scale = size + fabs(*slope) + 1e-3 * values + 1e-30;
    return fmax(fabs(d[0] - d[1]), fabs(bend[1] - 2 * bend[0])) <= TOLERANCE * *scale;
}

/* The slope that the derivative says against that of differences. */
static void compare(slopes *s, const char *name, double slope, double size)
{
    double expected = 0, scale = 1, longest = STEP / fmax(length_of_way(s), 1);
    bool smooth = false;
    for (double step = longest; step > 1e-3 * longest && !smooth; step /= 10)
        smooth = difference(s, step, size, &expected, &scale);
    s->checked += smooth;
    s->rough += !smooth;
    double error = fabs(expected - slope) / scale;
    if (smooth && !(error <= s->worst)) {
        s->worst = isfinite(error) ? error : INFINITY;
        snprintf(s->where, sizeof s->where, "%s", name);
    }
}

/* The input X of an output dX. */
static int input_of(const slopes *s, const char *gradient)
{
    const gram_spec *spec = s->plain->build.spec;
    int k = 0;
    while (strcmp(spec->inputs[k]->name, gradient + 1) != 0)
        k++;
    return k;
}

/* Reverse mode: dO are the weights, and each dX is tried along ways of X. */
static int backward_slopes(slopes *s)
{
    const gram_spec *spec = s->plain->build.spec, *derived = s->derivative->build.spec;
    int failed = 0;
    for (int k = 0; k < spec->noutputs; k++)
        s->weight[k] = s->given[spec->ninputs + k];
    for (int k = 0; k < derived->noutputs * DIRECTIONS && !failed; k++) {
        const char *name = derived->outputs[k / DIRECTIONS].name;
        gram_array *way = &s->way[input_of(s, name)], *moved = &s->moved[input_of(s, name)];
        double size = 0;
        failed = copy_like(s, way, &s->given[input_of(s, name)], true);
        if (!failed) {
            double slope = inner(&s->got[k / DIRECTIONS], way, &size);
            compare(s, name, slope, size);
            memcpy(moved->data, s->given[input_of(s, name)].data, (size_t)count_of(moved) * sizeof(double));
        }
        gram_array_free(way);
        way->data = NULL;
    }
    for (int k = 0; k < spec->noutputs; k++)
        s->weight[k] = (gram_array){0};
    return failed;
}

/* Forward mode: all tX at once are the way. */
static int forward_slopes(slopes *s)
{
    const gram_spec *spec = s->plain->build.spec, *derived = s->derivative->build.spec;
    double slope = 0, size = 0;
    int failed = 0;
    for (int k = spec->ninputs; k < derived->ninputs && !failed; k++)
        failed = copy_like(s, &s->way[input_of(s, derived->inputs[k]->name)], &s->given[k], false);
    for (int k = 0; k < spec->noutputs && !failed; k++) {
        failed = copy_like(s, &s->weight[k], &s->got[k], true);
        slope += failed ? 0 : inner(&s->weight[k], &s->got[k], &size);
    }
    if (!failed)
        compare(s, "all", slope, size);
    return failed;
}

/* Small sizes: a slope is one number, in which an error of one entry among many would not show. */
static void small_sizes(const gram_spec *spec, int number, gram_trial *t)
{
    static const int64_t lengths[] = {3, 5, 1, 7, 2, 11, 4};
    *t = (gram_trial){.batch = 1 + number % 2, .seed = (uint64_t)number};
    for (int s = 0; s < spec->nsizes; s++)
        t->sizes[s] = lengths[(number + 2 * s) % 7];
}

static int run_trial(slopes *s, int number)
{
    const gram_spec *spec = s->plain->build.spec, *derived = s->derivative->build.spec;
    small_sizes(derived, number, &s->trial);
    s->random = (gram_random){(uint64_t)number + 17};
    s->given = gram_check_arrays(derived->ninputs);
    s->got = gram_check_arrays(derived->noutputs);
    s->moved = gram_check_arrays(spec->ninputs);
    s->weight = gram_check_arrays(spec->noutputs);
    s->way = gram_check_arrays(spec->ninputs);
    int failed = !s->given || !s->got || !s->moved || !s->weight || !s->way;
    failed = failed || gram_check_sample(s->derivative, &s->trial, s->given, s->message, sizeof s->message) ||
             gram_check_run(s->derivative, s->given, s->got, s->message, sizeof s->message);
    for (int k = 0; k < spec->ninputs && !failed; k++)
        failed = copy_like(s, &s->moved[k], &s->given[k], false);
    failed = failed || (s->forward ? forward_slopes : backward_slopes)(s);
    gram_check_free(s->given, derived->ninputs);
    gram_check_free(s->got, derived->noutputs);
    gram_check_free(s->moved, spec->ninputs);
    gram_check_free(s->weight, spec->noutputs);
    gram_check_free(s->way, spec->ninputs);
    return failed;
}

static bool report(const slopes *s, int failed)
{
    bool ok = !failed && s->checked > 0 && s->worst <= TOLERANCE;
    printf("%-10s f64  ", "slopes");
    if (failed)
        printf("FAILED\n    %s\n", s->message);
    else
        printf("%3d slopes  worst %.1e at %-10s %s\n", s->checked, s->worst, s->where, ok ? "ok" : "FAILED");
    if (!failed && s->rough > 0)
        printf("    %d more have a kink near by\n", s->rough);
    fflush(stdout);
    return ok;
}

bool gram_check_slopes(gram_kernel *plain, gram_kernel *derivative, bool forward)
{
    slopes s = {.plain = plain, .derivative = derivative, .forward = forward, .where = "any"};
    int failed = 0;
    for (int number = 0; number < NTRIALS && !failed; number++)
        failed = run_trial(&s, number);
    return report(&s, failed);
}
