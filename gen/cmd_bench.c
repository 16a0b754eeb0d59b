/* gram bench: times a spec's kernel, per back end, on random inputs. A measurement is the best of several runs, which
 * together last at least a fraction of a second. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "cmd_check.h"

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
        bytes += gram_array_count(arrays[i].dtype, arrays[i].ndim, arrays[i].shape) *
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

static void print_times(const gram_cli *cli, const gram_kernel *kernel, const char *jit, double seconds, int64_t bytes)
{
    gram_times t = gram_compile_times(kernel);
    double compile = 1e3 * (t.trace + t.simplify + t.plan + t.emit + t.compile);
    int threads = kernel->pool ? gram_pool_team(kernel->pool)->threads : 1;
    const char *format = cli->json ? "{\"spec\": \"%s\", \"jit\": \"%s\", \"threads\": %d, \"ms\": %.4f, "
                                     "\"gbytes_s\": %.3f, \"compile_ms\": %.3f}\n"
                                   : "%-16s %-10s %2d threads %10.3f ms %8.2f GB/s   compiled in %.2f ms\n";
    printf(format, gram_name(kernel), jit, threads, 1e3 * seconds, 1e-9 * (double)bytes / seconds, compile);
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
        print_times(cli, kernel, jit, seconds, bytes_of(inputs, spec->ninputs) + bytes_of(outputs, spec->noutputs));
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
