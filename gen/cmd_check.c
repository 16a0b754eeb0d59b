/* gram check: every back end against the reference, over sizes that hurt, and then the symmetries that the spec
 * declares (cmd_check_symmetry.c). A kernel of 16-bit arrays is held against the same back end's of floats: it must give
 * the same, rounded. One line per thing checked. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_check.h"

/* Around the tile and block sizes, nothing, one, primes. Size s in trial t is number (t * steps[s] + s) of the list, so
 * that every size takes every value, and different sizes differ in most trials. */
static const int64_t lengths[] = {0, 1, 2, 47, 48, 49, 63, 64, 65, 97, 127, 129};
enum { NLENGTHS = sizeof lengths / sizeof lengths[0], NTRIALS = 14 };
static const int steps[] = {1, 5, 7, 11};

/* One or two tokens may give numbers that cancel to almost nothing, where few digits are left in any order of summing;
 * so such a trial has more items, which share one norm. Of ragged items each is of a size of its own. */
static void trial_sizes(const gram_spec *spec, int trial, gram_trial *t)
{
    t->batch = gram_is_ragged(spec) ? 1 + trial % 5 : trial % 3 == 2 ? 2 : 1;
    for (int s = 0; s < spec->nsizes; s++) {
        t->sizes[s] = lengths[(trial * steps[s % 4] + s) % NLENGTHS];
        t->batch = t->sizes[s] == 1 || t->sizes[s] == 2 ? 16 + trial % 3 : t->batch;
    }
    t->seed = (uint64_t)trial;
}

/* "n=97 m=63 batch=2" */
static void put_sizes(char *text, size_t size, const gram_spec *spec, const gram_trial *t)
{
    size_t used = 0;
    *text = '\0';
    for (int s = 0; s < spec->nsizes && used < size; s++)
        used += (size_t)snprintf(text + used, size - used, "%s=%" PRId64 " ", spec->sizes[s], t->sizes[s]);
    if (used < size)
        snprintf(text + used, size - used, "batch=%" PRId64, t->batch);
}

/* ---- one back end in one type ---- */

typedef struct result {
    int trials;
    double worst;
    char where[256];
    char message[GRAM_MESSAGE_SIZE]; /* empty: it ran */
} result;

/* The norm of what is finite. */
static double finite_norm(const gram_array *array)
{
    int64_t count = gram_array_count(array->dtype, array->ndim, array->shape);
    double squares = 0;
    for (int64_t i = 0; i < count; i++) {
        double a = gram_array_entry(array, i);
        squares += isfinite(a) ? a * a : 0;
    }
    return sqrt(squares);
}

/* Terms of a derivative may cancel, to 0 by symmetry even (a softmax over one key), and leave their roundings. They are
 * multiples of the derivatives given, dO or tX: so a derivative is measured by a tenth of the largest one, given or
 * made, at least. An output of the spec is measured by itself. */
static double least_norm(const gram_array *inputs, const gram_array *outputs, const gram_spec *spec)
{
    double largest = 0;
    for (int k = 0; k < spec->ninputs; k++)
        if (spec->inputs[k]->optional)
            largest = fmax(largest, finite_norm(&inputs[k]));
    for (int k = 0; k < spec->noutputs; k++)
        largest = fmax(largest, finite_norm(&outputs[k]));
    return gram_is_derivative(spec) ? 0.1 * largest : 0;
}

/* 16-bit floats as integers of the same order. */
static int ordered(uint16_t half)
{
    return half & 0x8000 ? -(half & 0x7fff) : half;
}

/* How many units in the last place got is at most from what is expected, rounded to its type; infinity where one of two
 * is NaN. Entries that cancelled, to where floats themselves may differ by as much, count as equal: `slack` of the
 * norm, which counts as `least` at least. */
static double units_apart(const gram_array *got, const gram_array *expected, double least, double slack)
{
    int64_t count = gram_array_count(got->dtype, got->ndim, got->shape);
    double most = 0, near = slack * fmax(finite_norm(expected), least) / sqrt(fmax(1, (double)count));
    for (int64_t i = 0; i < count; i++) {
        uint16_t half;
        gram_array one = gram_array_dense(got->dtype, 0, NULL, &half);
        double a = gram_array_entry(got, i), b = gram_array_entry(expected, i);
        gram_array_set(&one, 0, b);
        if (isnan(a) != isnan(b))
            return INFINITY;
        if (!isnan(a) && !(fabs(a - b) <= near))
            most = fmax(most, abs(ordered(((const uint16_t *)got->data)[i]) - ordered(half)));
    }
    return most;
}

static bool is_half(const gram_kernel *kernel)
{
    return gram_dtype_size(kernel->build.request.real->dtype) == 2;
}

/* Is each output neither so large nor so small that rounding alone, of the exponent of an exp, makes much of it? */
static bool is_moderate(const gram_array *outputs, int n)
{
    bool moderate = true;
    for (int k = 0; k < n && moderate; k++) {
        int64_t count = gram_array_count(outputs[k].dtype, outputs[k].ndim, outputs[k].shape);
        double largest = 0;
        for (int64_t i = 0; i < count; i++)
            largest = fmax(largest, fabs(gram_array_entry(&outputs[k], i)));
        moderate = count == 0 || (largest > 1e-20 && largest < 1e20);
    }
    return moderate;
}

/* How many numbers it scaled. */
static int64_t scale_scalars(const gram_spec *spec, gram_array *inputs, double factor)
{
    int64_t scaled = 0;
    for (int k = 0; k < spec->ninputs; k++) {
        int64_t count = gram_array_count(inputs[k].dtype, inputs[k].ndim, inputs[k].shape);
        for (int64_t i = 0; spec->inputs[k]->kind == GRAM_SCALAR && i < count; i++, scaled++)
            gram_array_set(&inputs[k], i, factor * gram_array_entry(&inputs[k], i));
    }
    return scaled;
}

/* The inputs, already rounded to the kernel's type, and what the reference makes of them. A number of the spec's, such
 * as gamma of exp(-gamma |x - y|^2), is drawn without knowing how large it may be: it is made smaller until the outputs
 * are moderate, if that does it. */
static int draw(gram_kernel *kernel, gram_kernel *reference, const gram_trial *t, gram_array *inputs,
                gram_array *expected, result *r)
{
    const gram_spec *spec = kernel->build.spec;
    const double factors[] = {0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 4096};
    int failed = gram_check_sample(kernel, t, inputs, r->message, sizeof r->message) ||
                 gram_check_run(reference, inputs, expected, r->message, sizeof r->message);
    for (size_t k = 0; k < sizeof factors / sizeof *factors && !failed; k++) {
        if (is_moderate(expected, spec->noutputs) || !scale_scalars(spec, inputs, factors[k]))
            break;
        failed = gram_check_run(reference, inputs, expected, r->message, sizeof r->message);
    }
    return failed;
}

/* One trial: the same inputs to the kernel and to the reference. */
static int run_trial(gram_kernel *kernel, gram_kernel *reference, const gram_trial *t, result *r)
{
    const gram_spec *spec = kernel->build.spec;
    gram_array *inputs = gram_check_arrays(spec->ninputs);
    gram_array *got = gram_check_arrays(spec->noutputs), *expected = gram_check_arrays(spec->noutputs);
    int failed = !inputs || !got || !expected;
    failed = failed || draw(kernel, reference, t, inputs, expected, r) ||
             gram_check_run(kernel, inputs, got, r->message, sizeof r->message);
    for (int i = 0; i < spec->noutputs && !failed; i++) {
        double least = least_norm(inputs, expected, spec);
        double error = is_half(kernel) ? units_apart(&got[i], &expected[i], least, gram_check_tolerance(kernel))
                                       : gram_check_error(&got[i], &expected[i], least);
        if (error > r->worst || r->trials == 0) {
            r->worst = error > r->worst ? error : r->worst;
            put_sizes(r->where, sizeof r->where, spec, t);
        }
    }
    gram_check_free(inputs, spec->ninputs);
    gram_check_free(got, spec->noutputs);
    gram_check_free(expected, spec->noutputs);
    r->trials++;
    return failed;
}

static bool report(const char *jit, const gram_real_type *real, const result *r, double tolerance)
{
    bool ran = r->message[0] == '\0', ok = ran && r->worst <= tolerance, half = *real->half;
    printf("%-10s %s  ", jit, real->name);
    if (ran)
        printf(half ? "%3d sizes   worst %.0f ulp at %-24s %s\n" : "%3d sizes   worst %.1e at %-24s %s\n", r->trials,
               r->worst, r->where, ok ? "ok" : "FAILED");
    else
        printf("%s%s FAILED\n    %s\n", r->where[0] ? "at " : "", r->where, r->message);
    if (ran && !ok && half)
        printf("    more than one unit in the last place from what f32 gives, rounded\n");
    else if (ran && !ok)
        printf("    more than %.0e of the output's norm\n", tolerance);
    fflush(stdout);
    return ok;
}

static gram_kernel *load(const gram_cli *cli, const char *jit, const char *dtype, result *r)
{
    gram_load_options options = cli->load;
    gram_kernel *kernel;
    options.jit = jit;
    options.dtype = dtype;
    gram_load_file(cli->spec, &options, &kernel, r->message, sizeof r->message);
    return kernel;
}

static bool check_backend(const gram_cli *cli, const char *jit, const char *dtype, gram_kernel *reference)
{
    const gram_real_type *real = gram_real_type_named(dtype);
    result r = {0};
    gram_kernel *kernel = load(cli, jit, dtype, &r), *floats = kernel && *real->half ? load(cli, jit, "f32", &r) : NULL;
    if (!kernel || (*real->half && !floats)) {
        gram_free(kernel);
        return report(jit, real, &r, 0);
    }
    const gram_spec *spec = kernel->build.spec;
    int failed = 0, ntrials = spec->nsizes > 0 ? NTRIALS : 3;
    for (int i = 0; i < ntrials && !failed; i++) {
        gram_trial t = {0};
        trial_sizes(spec, i, &t);
        failed = run_trial(kernel, floats ? floats : reference, &t, &r);
        if (failed)
            put_sizes(r.where, sizeof r.where, spec, &t);
    }
    bool ok = report(jit, real, &r, floats ? 1 : gram_check_tolerance(kernel));
    gram_free(kernel);
    gram_free(floats);
    return ok;
}

/* ---- the command ---- */

static const char *const backends[] = {"tcc", "cc"};
enum { NBACKENDS = sizeof backends / sizeof backends[0] };

static bool is_wanted(const gram_cli *cli, const char *jit)
{
    return !cli->load.jit || strcmp(cli->load.jit, "all") == 0 || strcmp(cli->load.jit, jit) == 0;
}

static bool check_backends(const gram_cli *cli, gram_kernel *reference)
{
    bool ok = true;
    for (int i = 0; i < NBACKENDS; i++) {
        if (is_wanted(cli, backends[i]) && cli->load.dtype)
            ok &= check_backend(cli, backends[i], cli->load.dtype, reference);
        for (int k = 0; k < 2 && is_wanted(cli, backends[i]) && !cli->load.dtype; k++)
            ok &= check_backend(cli, backends[i], k ? "f64" : "f32", reference);
    }
    return ok;
}

static gram_kernel *load_double(const gram_cli *cli, const char *jit, int *status)
{
    gram_cli doubles = *cli;
    doubles.load.dtype = "f64";
    return gram_cli_load(&doubles, jit, status);
}

/* The reference is checked by the symmetries alone. */
static void print_unchecked(const gram_kernel *reference, const char *jit)
{
    const gram_spec *spec = reference->build.spec;
    if (jit && strcmp(jit, "reference") == 0 && spec->northogonal + spec->npermutation == 0)
        puts("reference  f64  the spec declares no symmetry: there is nothing to check");
}

/* The derivative against differences; true where none is asked for. */
static bool check_slopes(const gram_cli *cli, gram_kernel *derivative)
{
    gram_cli plain = *cli;
    int status;
    plain.load.nderivatives = 0;
    gram_kernel *kernel = cli->load.nderivatives > 0 ? load_double(&plain, "reference", &status) : NULL;
    bool ok = !kernel || gram_check_slopes(kernel, derivative, cli->derivative.forward);
    gram_free(kernel);
    return ok;
}

int gram_cmd_check(const gram_cli *cli)
{
    int status;
    if (!cli->spec && (cli->load.nderivatives == 0 || cli->derivative.forward))
        return gram_usage(cli, "which spec? gram check SPEC; or gram check --grad, for the operations");
    if (!cli->spec)
        return gram_check_operations() ? GRAM_EXIT_OK : GRAM_EXIT_FAULT;
    if (cli->nfields > 0)
        return gram_usage(cli, "it chooses the sizes itself: no %s=%s", cli->fields[0].name, cli->fields[0].value);
    gram_kernel *reference = load_double(cli, "reference", &status);
    if (!reference)
        return status;
    print_unchecked(reference, cli->load.jit);
    bool ok = check_slopes(cli, reference);
    ok &= check_backends(cli, reference);
    ok &= gram_check_symmetries(reference, "reference");
    for (int i = 0; i < NBACKENDS; i++) {
        gram_kernel *kernel = ok && is_wanted(cli, backends[i]) ? load_double(cli, backends[i], &status) : NULL;
        ok &= !kernel || gram_check_symmetries(kernel, backends[i]);
        gram_free(kernel);
    }
    gram_free(reference);
    return ok && status == 0 ? GRAM_EXIT_OK : GRAM_EXIT_FAULT;
}
