/* The library's kernels: loading a spec, asking what it needs, freeing it. See gram.h; runs are in run.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

enum { LARGEST_SPEC = 16 << 20 }; /* bytes */

static const char *const jit_names[GRAM_NJITS] = {
    [GRAM_JIT_TCC] = "tcc", [GRAM_JIT_CC] = "cc", [GRAM_JIT_REFERENCE] = "reference"};

static const char *const kind_names[] = {
    [GRAM_TOKENS] = "tokens",      [GRAM_SCORES] = "scores", [GRAM_MATRIX] = "matrix", [GRAM_VECTOR] = "vector",
    [GRAM_SCALAR] = "scalar",      [GRAM_IDS] = "ids",       [GRAM_COUNT] = "count",   [GRAM_PAIR_IDS] = "ids",
    [GRAM_TOKENS_FLAT] = "tokens", [GRAM_STARTS] = "starts",
};

static gram_status report(gram_status status, char *message, size_t size, const char *text)
{
    snprintf(message, size, "%s", text);
    return status;
}

/* ---- loading ---- */

/* What gram_try needs to load one kernel. */
typedef struct loading {
    gram_kernel *kernel;
    const char *file, *text;
    const gram_load_options *options;
} loading;

static const char *copy_or_null(gram_ctx *ctx, const char *s)
{
    return s ? gram_strdup(ctx, s) : NULL;
}

static gram_jit find_jit(gram_ctx *ctx, const char *name)
{
    for (int i = 0; i < GRAM_NJITS; i++) {
        if (strcmp(jit_names[i], name) == 0)
            return (gram_jit)i;
    }
    gram_fail(ctx, (gram_loc){0}, "there is no back end '%s': tcc, cc or reference", name);
}

static const gram_setting *copy_settings(gram_ctx *ctx, const gram_load_options *o)
{
    gram_setting *settings = gram_alloc(ctx, (size_t)o->noptions * sizeof *settings);
    for (int i = 0; i < o->noptions; i++)
        settings[i] = (gram_setting){gram_strdup(ctx, o->options[i].name), o->options[i].value};
    return settings;
}

static const char *const *copy_names(gram_ctx *ctx, const char *const *names, int n)
{
    const char **own = gram_alloc(ctx, (size_t)(n + 1) * sizeof *own);
    for (int i = 0; i < n; i++)
        own[i] = gram_strdup(ctx, names[i]);
    return own;
}

static const gram_derivative *copy_derivatives(gram_ctx *ctx, const gram_load_options *o)
{
    gram_derivative *own = gram_alloc(ctx, (size_t)(o->nderivatives + 1) * sizeof *own);
    for (int i = 0; i < o->nderivatives; i++) {
        own[i] = o->derivatives[i];
        own[i].names = copy_names(ctx, own[i].names, own[i].n);
    }
    return own;
}

/* Everything is copied: the kernel outlives the caller's strings. */
static void take_options(gram_ctx *ctx, gram_build *build, const loading *l)
{
    const gram_load_options *o = l->options;
    build->request = (gram_request){
        .file = gram_strdup(ctx, l->file),
        .text = gram_strdup(ctx, l->text),
        .nsettings = o->noptions,
        .settings = copy_settings(ctx, o),
        .real = gram_real_type_named(o->dtype),
        .nderivatives = o->nderivatives,
        .derivatives = copy_derivatives(ctx, o),
        .with_gradient = o->with_gradient,
        .max_steps = o->max_steps,
        .max_bytes = o->max_bytes,
        .max_seconds = o->max_seconds,
        .command = copy_or_null(ctx, o->command),
    };
    if (!build->request.real)
        gram_fail(ctx, (gram_loc){0}, "dtype is %s, not '%s'", gram_real_type_names, o->dtype);
    build->jit = find_jit(ctx, o->jit ? o->jit : "tcc");
    build->cc = (gram_cc_options){copy_or_null(ctx, o->cc), copy_or_null(ctx, o->flags), GRAM_VERSION};
}

static void make_ports(gram_ctx *ctx, gram_kernel *kernel)
{
    const gram_spec *spec = kernel->build.spec;
    kernel->inputs = gram_alloc(ctx, (size_t)spec->ninputs * sizeof(gram_port));
    kernel->outputs = gram_alloc(ctx, (size_t)spec->noutputs * sizeof(gram_port));
    for (int i = 0; i < spec->ninputs; i++) {
        const gram_input *in = spec->inputs[i];
        gram_axes axes = gram_input_axes(in);
        kernel->inputs[i] =
            (gram_port){in->name, kind_names[in->kind], gram_axes_text(ctx, &axes), gram_input_is_integer(in), in->key};
    }
    for (int i = 0; i < spec->noutputs; i++) {
        gram_axes axes = gram_output_axes(&spec->outputs[i]);
        kernel->outputs[i] = (gram_port){spec->outputs[i].name, "output", gram_axes_text(ctx, &axes), 0, NULL};
    }
}

static void load(gram_ctx *ctx, void *data)
{
    loading *l = data;
    gram_kernel *kernel = l->kernel;
    take_options(ctx, &kernel->build, l);
    gram_compile(ctx, &kernel->build);
    kernel->layout = gram_layout_make(ctx, kernel->build.spec, kernel->build.request.real->member);
    make_ports(ctx, kernel);
    kernel->threads = l->options->threads;
    if (kernel->build.module)
        gram_run_prepare(ctx, kernel);
    if (gram_kernel_wake(kernel) != 0)
        gram_fail(ctx, (gram_loc){0}, "out of memory");
}

int gram_kernel_wake(gram_kernel *kernel)
{
    if (kernel->pool || kernel->threads == 1 || !kernel->build.module)
        return 0;
    kernel->pool = gram_pool_new(kernel->threads);
    return kernel->pool ? 0 : -1;
}

void gram_kernel_rest(gram_kernel *kernel)
{
    gram_pool_free(kernel->pool);
    kernel->pool = NULL;
    gram_run_forget(kernel);
}

static gram_kernel *kernel_new(void)
{
    gram_kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return NULL;
    kernel->ctx = gram_ctx_new();
    if (!kernel->ctx || pthread_mutex_init(&kernel->lock, NULL) != 0) {
        gram_ctx_free(kernel->ctx);
        free(kernel);
        return NULL;
    }
    return kernel;
}

gram_status gram_kernel_make(const char *file, const char *text, const gram_load_options *options, gram_kernel **kernel,
                             char *message, size_t size)
{
    loading l = {kernel_new(), file, text, options};
    *kernel = NULL;
    if (!l.kernel)
        return report(GRAM_NO_MEMORY, message, size, "error: out of memory");
    if (gram_try(l.kernel->ctx, load, &l) != 0) {
        gram_status status = l.kernel->build.compiling ? GRAM_BAD_COMPILER : GRAM_BAD_SPEC;
        report(status, message, size, l.kernel->ctx->message);
        gram_kernel_free(l.kernel);
        return status;
    }
    *kernel = l.kernel;
    return GRAM_OK;
}

gram_status gram_load_text(const char *file, const char *text, const gram_load_options *options, gram_kernel **kernel,
                           char *message, size_t size)
{
    static const gram_load_options defaults = {0};
    if (!options)
        options = &defaults;
    return (options->store ? gram_store_load : gram_kernel_make)(file, text, options, kernel, message, size);
}

void gram_free(gram_kernel *kernel)
{
    if (kernel && kernel->share)
        gram_store_return(kernel);
    else if (kernel)
        gram_kernel_free(kernel);
}

void gram_kernel_free(gram_kernel *kernel)
{
    gram_kernel_rest(kernel);
    gram_module_free(kernel->build.module);
    pthread_mutex_destroy(&kernel->lock);
    gram_ctx_free(kernel->ctx);
    free(kernel);
}

/* ---- files ---- */

/* The file's bytes with a zero after them, to be freed; NULL with errno set (EFBIG: longer than any spec). */
static char *read_whole(FILE *file, size_t *length)
{
    size_t capacity = 1 << 14, used = 0, got;
    char *data = malloc(capacity);
    while (data && (got = fread(data + used, 1, capacity - used - 1, file)) > 0) {
        used += got;
        if (used + 1 < capacity)
            continue;
        char *more = used < LARGEST_SPEC ? realloc(data, capacity *= 2) : NULL;
        if (!more) {
            free(data);
            errno = used < LARGEST_SPEC ? ENOMEM : EFBIG;
            return NULL;
        }
        data = more;
    }
    if (data && ferror(file)) {
        free(data);
        return NULL;
    }
    if (data)
        data[used] = '\0';
    *length = used;
    return data;
}

static char *read_spec(const char *path, char *message, size_t size)
{
    size_t length = 0;
    errno = 0;
    FILE *file = fopen(path, "rb");
    char *text = file ? read_whole(file, &length) : NULL;
    if (!text)
        snprintf(message, size, "error: %s: %s", path, strerror(errno));
    if (file)
        fclose(file);
    if (text && strlen(text) != length) {
        snprintf(message, size, "error: %s: not a spec: it holds a zero byte", path);
        free(text);
        return NULL;
    }
    return text;
}

gram_status gram_load_file(const char *file, const gram_load_options *options, gram_kernel **kernel, char *message,
                           size_t size)
{
    *kernel = NULL;
    char *text = read_spec(file, message, size);
    if (!text)
        return GRAM_BAD_SPEC;
    gram_status status = gram_load_text(file, text, options, kernel, message, size);
    free(text);
    return status;
}

/* ---- derivatives ---- */

/* What the kernel was loaded with. */
static gram_load_options options_of(const gram_kernel *kernel, const gram_option *set)
{
    const gram_request *request = &kernel->build.request;
    return (gram_load_options){
        .jit = jit_names[kernel->build.jit],
        .cc = kernel->build.cc.compiler,
        .flags = kernel->build.cc.flags,
        .threads = kernel->threads,
        .dtype = request->real->name,
        .noptions = request->nsettings,
        .options = set,
        .max_steps = request->max_steps,
        .max_bytes = request->max_bytes,
        .max_seconds = request->max_seconds,
        .command = request->command,
        .store = gram_store_of(kernel),
    };
}

/* The kernel's derivatives and one more. */
static void derive_further(gram_load_options *options, const gram_request *request, gram_derivative *all,
                           const gram_derivative *by)
{
    for (int i = 0; i < request->nderivatives; i++)
        all[i] = request->derivatives[i];
    all[request->nderivatives] = *by;
    options->nderivatives = request->nderivatives + 1;
    options->derivatives = all;
}

gram_status gram_load_derivative(const gram_kernel *kernel, const gram_derivative *by, gram_kernel **derivative,
                                 char *message, size_t size)
{
    const gram_request *request = &kernel->build.request;
    gram_derivative *all = calloc((size_t)request->nderivatives + 1, sizeof *all);
    gram_option *set = calloc((size_t)request->nsettings + 1, sizeof *set);
    gram_status status = GRAM_NO_MEMORY;
    *derivative = NULL;
    snprintf(message, size, "error: out of memory");
    if (all && set) {
        for (int i = 0; i < request->nsettings; i++)
            set[i] = (gram_option){request->settings[i].name, request->settings[i].value};
        gram_load_options options = options_of(kernel, set);
        derive_further(&options, request, all, by);
        status = gram_load_text(request->file, request->text, &options, derivative, message, size);
    }
    free(all);
    free(set);
    return status;
}

/* ---- questions ---- */

const gram_array *gram_port_weights(const gram_port *port, const gram_tensors *weights)
{
    const gram_array *array = port->key ? gram_tensors_find(weights, port->key) : NULL;
    return array ? array : gram_tensors_find(weights, port->name);
}

const char *gram_name(const gram_kernel *kernel)
{
    return kernel->build.spec->name;
}

int gram_inputs(const gram_kernel *kernel, const gram_port **ports)
{
    *ports = kernel->inputs;
    return kernel->build.spec->ninputs;
}

int gram_outputs(const gram_kernel *kernel, const gram_port **ports)
{
    *ports = kernel->outputs;
    return kernel->build.spec->noutputs;
}

int gram_sizes(const gram_kernel *kernel, const char *const **names)
{
    *names = kernel->build.spec->sizes;
    return kernel->build.spec->nsizes;
}

int gram_real_bits(const gram_kernel *kernel)
{
    return kernel->build.request.real->bits;
}

gram_times gram_compile_times(const gram_kernel *kernel)
{
    return kernel->build.times;
}

typedef struct asking {
    gram_build *build;
    gram_text_kind kind;
    const char *text;
} asking;

static void ask_text(gram_ctx *ctx, void *data)
{
    asking *a = data;
    a->text = gram_compile_text(ctx, a->build, a->kind);
}

gram_status gram_kernel_text(gram_kernel *kernel, gram_text_kind kind, const char **text, char *message, size_t size)
{
    asking a = {&kernel->build, kind, NULL};
    pthread_mutex_lock(&kernel->lock);
    int failed = gram_try(kernel->ctx, ask_text, &a);
    if (failed)
        report(GRAM_BAD_SPEC, message, size, kernel->ctx->message);
    pthread_mutex_unlock(&kernel->lock);
    *text = a.text;
    return failed ? GRAM_BAD_SPEC : GRAM_OK;
}
