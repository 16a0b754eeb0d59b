/* gram bench: times a spec's kernel, per back end, on random inputs. A measurement is the best of several runs, which
 * together last at least a fraction of a second. Flops are those of the plan's products, as if nothing were skipped;
 * the rate they are compared with is that of OpenBLAS's matrix product on this machine, measured in the same run. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "cmd_check.h"
#include "plan.h"

enum { DEFAULT_SIZE = 2048, MOST_RUNS = 200 };
static const double SECONDS = 0.4;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sizes from the fields n=2048 ..., batch=1; the default where not given. */
static int take_sizes(const gram_cli *cli, const gram_kernel *kernel, gram_trial *t)
{
    const gram_spec *spec = kernel->build.spec;
    *t = (gram_trial){.batch = 1, .seed = cli->seed};
    for (int s = 0; s < spec->nsizes; s++)
        t->sizes[s] = DEFAULT_SIZE;
    for (int i = 0; i < cli->nfields; i++) {
        int64_t *place = strcmp(cli->fields[i].name, "batch") == 0 ? &t->batch : NULL;
        for (int s = 0; s < spec->nsizes; s++) {
            if (strcmp(cli->fields[i].name, spec->sizes[s]) == 0)
                place = &t->sizes[s];
        }
        if (!place)
            return gram_usage(cli, "%s has no size %s", spec->name, cli->fields[i].name);
        *place = gram_cli_number(cli->fields[i].value);
        if (*place < 1)
            return gram_usage(cli, "%s=%s is not a size", cli->fields[i].name, cli->fields[i].value);
    }
    return 0;
}

static int64_t bytes_of(const gram_array *arrays, int n)
{
    int64_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += gram_array_count(arrays[i].dtype, arrays[i].ndim, arrays[i].shape) * /* NOLINT(*NullDereference) */
                 (int64_t)gram_dtype_size(arrays[i].dtype);
    return bytes;
}

/* The best time of a run in seconds, after one run that makes the outputs; -1 with a message. */
static double best_time(gram_kernel *kernel, gram_array *inputs, gram_array *outputs, char *message, size_t size)
{
    double best = -1, begin = now();
    if (gram_check_run(kernel, inputs, outputs, message, size) != 0)
        return -1;
    for (int i = 0; i < MOST_RUNS && (i < 3 || now() - begin < SECONDS); i++) {
        double start = now();
        if (gram_check_run(kernel, inputs, outputs, message, size) != 0)
            return -1;
        double passed = now() - start;
        best = best < 0 || passed < best ? passed : best;
    }
    return best;
}

/* ---- flops ---- */

static double plan_flops(const gram_plan *plan, const gram_trial *t);

/* Columns are the items of a scan's plan. */
static double walk_flops(const gram_step *step, const gram_trial *t)
{
    gram_trial column = *t;
    column.batch = gram_dim_value(step->queries, t->sizes);
    const gram_walk *before = gram_walk_before(step);
    const double twice = before ? 2 * plan_flops(before->plan, &column) : 0;
    return (plan_flops(step->walk->plan, &column) + twice) * (step->heads > 0 ? step->heads : 1) *
           (step->batched ? (double)t->batch : 1);
}

static double step_flops(const gram_step *step, const gram_trial *t)
{
    if (step->walk)
        return walk_flops(step, t);
    double queries = (double)gram_dim_value(step->queries, t->sizes), inner = 0;
    double lanes = gram_is_linear(step) ? GRAM_FEW_QUERIES : (double)gram_dim_value(step->lanes, t->sizes);
    gram_dim dims[3 * GRAM_MOST];
    const int n = gram_pair_products(step, dims);
    for (int k = 0; k < n; k++)
        inner += (double)gram_dim_value(dims[k], t->sizes);
    double before = gram_is_linear(step)
                        ? 2 * (double)step->leaves[0].inner.number * (inner - (double)step->leaves[0].inner.number)
                        : 0;
    return 2 * queries * (lanes * inner + before) * (step->heads > 0 ? step->heads : 1) *
           (step->batched ? (double)t->batch : 1) * (double)gram_dim_value(step->each, t->sizes);
}

static double plan_flops(const gram_plan *plan, const gram_trial *t)
{
    double flops = 0;
    for (int k = 0; plan && k < plan->nsteps; k++)
        flops += step_flops(plan->steps[k], t);
    return flops;
}

/* Products of n x n matrices of one type, by OpenBLAS; a, b and c hold n n numbers each. */
enum { MATMUL_SIZE = 2048, ROW_MAJOR = 101, NO_TRANSPOSE = 111 };
typedef void sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void dgemm(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *,
                   int);

static void multiply(void *function, int bits, char *data)
{
    const int n = MATMUL_SIZE, op = NO_TRANSPOSE;
    char *b = data + (size_t)n * n * (size_t)bits / 8, *c = b + (size_t)n * n * (size_t)bits / 8;
    sgemm *single = NULL;
    dgemm *twice = NULL;
    memcpy(bits == 32 ? (void *)&single : (void *)&twice, &function, sizeof function);
    if (single)
        single(ROW_MAJOR, op, op, n, n, n, 1, (float *)data, n, (float *)b, n, 0, (float *)c, n);
    else if (twice)
        twice(ROW_MAJOR, op, op, n, n, n, 1, (double *)data, n, (double *)b, n, 0, (double *)c, n);
}

/* GFLOP/s of OpenBLAS's product of two 2,048 x 2,048 matrices, the best of a few; 0 where there is no OpenBLAS. */
static double matmul_rate(int bits, int threads)
{
    void *blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    void *function = blas ? dlsym(blas, bits == 32 ? "cblas_sgemm" : "cblas_dgemm") : NULL;
    void *set_threads = blas ? dlsym(blas, "openblas_set_num_threads") : NULL;
    char *data = function && set_threads ? calloc(3 * (size_t)MATMUL_SIZE * MATMUL_SIZE, (size_t)bits / 8) : NULL;
    void (*set)(int);
    double best = 0;
    for (int i = 0; i < 4 && data; i++) {
        memcpy(&set, &set_threads, sizeof set);
        set(threads);
        double start = now();
        multiply(function, bits, data);
        double rate = 2e-9 * MATMUL_SIZE * MATMUL_SIZE * MATMUL_SIZE / (now() - start);
        best = rate > best ? rate : best;
    }
    free(data);
    if (blas)
        dlclose(blas);
    return best;
}

/* ---- one back end ---- */

/* A line for a person, or the JSON object of the command's contract. */
static void print_times(const gram_cli *cli, const gram_kernel *kernel, const char *jit, double seconds,
                        const gram_trial *t, int64_t bytes)
{
    gram_times times = gram_compile_times(kernel);
    double compile = 1e3 * (times.trace + times.simplify + times.plan + times.emit + times.compile);
    int threads = kernel->pool ? gram_pool_team(kernel->pool)->threads : 1;
    gram_trial mean = *t;
    gram_mean_sizes(kernel->build.spec, t->batch, t->sizes, mean.sizes);
    double rate = 1e-9 * plan_flops(kernel->build.plan, &mean) / seconds, traffic = 1e-9 * (double)bytes / seconds;
    double matmul = matmul_rate(gram_real_bits(kernel), threads);
    if (cli->json) {
        printf("{\"spec\": \"%s\", \"jit\": \"%s\", \"threads\": %d, \"ms\": %.4f, \"gflops\": %.3f, "
               "\"gbytes_s\": %.3f, \"compile_ms\": %.3f, \"matmul_gflops\": %.3f}\n",
               gram_name(kernel), jit, threads, 1e3 * seconds, rate, traffic, compile, matmul);
        return;
    }
    printf("%-16s %-9s %2d threads %10.3f ms %7.1f GFLOP/s ", gram_name(kernel), jit, threads, 1e3 * seconds, rate);
    if (matmul > 0)
        printf("(%3.0f%% of a matmul's %.0f) ", 100 * rate / matmul, matmul);
    printf("%6.2f GB/s   compiled in %.2f ms\n", traffic, compile);
}

static int bench_backend(const gram_cli *cli, const char *jit)
{
    char message[GRAM_MESSAGE_SIZE] = "error: out of memory";
    gram_trial t;
    int status;
    gram_kernel *kernel = gram_cli_load(cli, jit, &status);
    if (!kernel)
        return status;
    const gram_spec *spec = kernel->build.spec;
    gram_array *inputs = gram_check_arrays(spec->ninputs), *outputs = gram_check_arrays(spec->noutputs);
    status = inputs && outputs ? take_sizes(cli, kernel, &t) : gram_fault(message);
    if (status == 0 && gram_check_sample(kernel, &t, inputs, message, sizeof message) != 0)
        status = gram_fault(message);
    double seconds = status == 0 ? best_time(kernel, inputs, outputs, message, sizeof message) : 0;
    if (seconds < 0)
        status = gram_fault(message);
    else if (status == 0)
        print_times(cli, kernel, jit, seconds, &t, bytes_of(inputs, spec->ninputs) + bytes_of(outputs, spec->noutputs));
    gram_check_free(inputs, spec->ninputs);
    gram_check_free(outputs, spec->noutputs);
    gram_free(kernel);
    return status;
}

int gram_cmd_bench(const gram_cli *cli)
{
    static const char *const backends[] = {"tcc", "cc"};
    if (cli->load.jit && strcmp(cli->load.jit, "all") != 0)
        return bench_backend(cli, cli->load.jit);
    int status = 0;
    for (int i = 0; i < 2 && status == 0; i++)
        status = bench_backend(cli, backends[i]);
    return status;
}
