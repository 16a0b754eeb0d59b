/* The store of kernels and the library under many threads: a spec loaded again compiles nothing, changes of its text,
 * its options or the files beside it are seen, 8 threads load and run at once, and 10,000 loads and frees do not grow.
 * */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gram.h"
#include "test.h"

static const char spec[] = "local X = tokens('X', option('d', 4), 'n')\n"
                           "return kernel('soft', { O = X * softmax(X:t() * X) })\n";

static gram_kernel *load(gram_store *store, const char *text, double d, int threads)
{
    char message[GRAM_MESSAGE_SIZE];
    const gram_option set[] = {{"d", d}};
    const gram_load_options options = {.store = store, .threads = threads, .noptions = d > 0, .options = set,
                                       .max_seconds = 60};    /* valgrind runs one thread at a time */
    gram_kernel *kernel;
    if (gram_load_text("soft.lua", text, &options, &kernel, message, sizeof message) != GRAM_OK)
        printf("%s\n", message);
    return kernel;
}

/* ---- what is shared ---- */

static void sharing(gram_tally *t)
{
    gram_store *store = gram_store_new();
    gram_kernel *first = load(store, spec, 0, 1), *again = load(store, spec, 0, 1), *other = load(store, spec, 8, 1);
    gram_kernel *alone = load(NULL, spec, 0, 1);
    CHECK(t, first && first == again, "the same spec is loaded twice");
    CHECK(t, other && other != first, "another option gives the same kernel");
    CHECK(t, alone && alone != first, "a load without a store shares");
    gram_free(again);
    gram_free(first);
    const double seconds = gram_compile_times(first = load(store, spec, 0, 1)).compile;
    gram_free(first);
    first = load(store, spec, 0, 1);
    CHECK(t, gram_compile_times(first).compile == seconds, "a kernel that rested is compiled again");
    gram_store_free(store);
    CHECK(t, strcmp(gram_name(first), "soft") == 0, "a kernel ends with its store");
    gram_free(first);
    gram_free(other);
    gram_free(alone);
    gram_store_free(NULL);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file)
        fputs(text, file);
    if (file)
        fclose(file);
}

/* A file that the spec requires is part of its content. */
static void required(gram_tally *t)
{
    static const char text[] = "local X = tokens('X', require('width'), 'n')\nreturn kernel('soft', { O = 2 * X })\n";
    char folder[] = "/tmp/gram-store-XXXXXX", file[64], width[64], message[GRAM_MESSAGE_SIZE] = "";
    if (!mkdtemp(folder))
        return;
    snprintf(file, sizeof file, "%s/soft.lua", folder);
    snprintf(width, sizeof width, "%s/width.lua", folder);
    gram_store *store = gram_store_new();
    const gram_load_options options = {.store = store, .threads = 1};
    static const char *const shapes[] = {"[batch, n, 4]", "[batch, n, 5]"};
    for (int i = 0; i < 2; i++) {
        const gram_port *ports = NULL;
        gram_kernel *kernel;
        write_text(width, i ? "return 5" : "return 4");
        gram_load_text(file, text, &options, &kernel, message, sizeof message);
        CHECK(t, kernel, "%s", message);
        if (kernel)
            gram_inputs(kernel, &ports);
        CHECK(t, ports && strcmp(ports[0].shape, shapes[i]) == 0, "the changed file is not seen");
        gram_free(kernel);
    }
    gram_store_free(store);
    remove(width);
    remove(folder);
}

/* ---- many threads ---- */

enum { THREADS = 8, ROUNDS = 12, N = 70, D = 4 };

typedef struct work {
    gram_store *store;
    atomic_int wrong;
} work;

/* One token of X is 1, 1, 1, 1 and all others 0, so the output's first is e^4 / (e^4 + N - 1) of it. */
static int run_once(gram_kernel *kernel)
{
    char message[GRAM_MESSAGE_SIZE];
    float data[N * D] = {1, 1, 1, 1};
    gram_array x = gram_array_dense(GRAM_F4, 2, (int64_t[]){N, D}, data), o = {0};
    const gram_argument arguments[] = {{"X", &x, NULL}, {"O", &o, NULL}};
    const gram_status status = gram_run(kernel, 2, arguments, message, sizeof message);
    const int right = status == GRAM_OK && fabs(((float *)o.data)[0] - exp(4) / (exp(4) + N - 1)) < 1e-5;
    gram_array_free(&o);
    return right;
}

/* Kernels of its own, shared ones, and broken specs, in turn. */
static void *work_on(void *data)
{
    work *w = data;
    char message[GRAM_MESSAGE_SIZE];
    for (int i = 0; i < ROUNDS; i++) {
        gram_kernel *kernel = load(i % 3 ? w->store : NULL, spec, 0, 1 + i % 2), *broken;
        const char *source;
        if (!kernel || !run_once(kernel) || !run_once(kernel))
            w->wrong++;
        if (kernel && gram_kernel_text(kernel, GRAM_TEXT_SOURCE, &source, message, sizeof message) != GRAM_OK)
            w->wrong++;
        if (gram_load_text("broken.lua", "return 3", &(gram_load_options){.store = w->store}, &broken, message,
                           sizeof message) != GRAM_BAD_SPEC)
            w->wrong++;
        gram_free(kernel);
    }
    return NULL;
}

static void many_threads(gram_tally *t)
{
    work w = {.store = gram_store_new()};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work_on, &w);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(t, w.wrong == 0, "%d of %d rounds went wrong", (int)w.wrong, THREADS * ROUNDS);
    gram_store_free(w.store);
}

/* ---- memory ---- */

static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident;
}

static void load_often(gram_store *store, int times)
{
    for (int i = 0; i < times; i++)
        gram_free(load(store, spec, 0, 1 + i % 2));
}

/* Twice as many loads as before must not take more: what the allocator keeps is settled by then. */
static void no_growth(gram_tally *t, gram_store *store, const char *what, int times)
{
    load_often(store, times / 2);
    const long before = resident_pages();
    load_often(store, times);
    const long grown = resident_pages() - before;
    CHECK(t, grown * sysconf(_SC_PAGESIZE) < 1 << 20, "%s: %d loads grow by %ld pages", what, times, grown);
}

int main(int argc, char **argv)
{
    gram_tally tally = {0, 0};
    const int few = argc > 1 && strcmp(argv[1], "few") == 0;    /* under valgrind every load takes a second */
    sharing(&tally);
    required(&tally);
    many_threads(&tally);
    gram_store *store = gram_store_new();
    if (!few) {
        no_growth(&tally, store, "with a store", 10000);
        no_growth(&tally, NULL, "without", 500);
    }
    gram_store_free(store);
    return gram_tally_end(&tally);
}
