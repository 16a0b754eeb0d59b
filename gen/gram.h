/* libgram: from a formula for attention to a kernel, in process.
 *
 *     gram_kernel *kernel;
 *     char message[GRAM_MESSAGE_SIZE];
 *     if (gram_load_file("specs/attention.lua", NULL, &kernel, message, sizeof message) != 0) ...
 *     gram_array x = gram_array_dense(GRAM_F4, 2, (int64_t[]){512, 64}, data), f = {0};
 *     gram_argument arguments[] = {{"X", &x}, {"f", &f}};
 *     if (gram_run(kernel, 2, arguments, message, sizeof message) != 0) ...
 *     gram_array_free(&f);
 *     gram_free(kernel);
 *
 * Nothing here prints, exits or keeps global state. A function that can fail returns a gram_status and writes one line
 * into the caller's message. A kernel may be used from many threads at once. Arrays are described by array.h,
 * files of weights read by tensors.h. */
#ifndef GRAM_H
#define GRAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "array.h"
#include "tensors.h"

#define GRAM_VERSION "0.1.0"

enum { GRAM_MESSAGE_SIZE = 1024 }; /* holds any message */

typedef enum gram_status {
    GRAM_OK,
    GRAM_BAD_SPEC,     /* the spec or an option is at fault: "specs/x.lua:9: error: ..." */
    GRAM_BAD_ARRAYS,   /* an array does not fit the kernel */
    GRAM_BAD_COMPILER, /* no compiler, or it refused what gram emitted (a bug in gram; the text is kept) */
    GRAM_NO_MEMORY,
} gram_status;

#ifndef GRAM_TEAM
#define GRAM_TEAM
typedef struct gram_team { /* how to run one phase on several threads */
    int threads;
    void (*run)(const struct gram_team *team, void (*task)(void *job, int thread), void *job);
    void *self; /* run calls task(job, t) once for each t in [0, threads) and returns when all have */
} gram_team;
#endif

typedef struct gram_kernel gram_kernel;
typedef struct gram_store gram_store;

/* The value of an option("NAME", default) of the spec. */
typedef struct gram_option {
    const char *name;
    double value;
} gram_option;

/* A derivative of a kernel by the inputs named; n 0: by those that the spec's `grad` names, or all that take floats.
 * Reverse mode, NAME_backward: beside the inputs it takes dO for each output O (left out: zeros), and gives dX for each
 * input X named. Forward mode, NAME_forward: it takes tX for each input X named (left out: zeros), and gives tO for
 * each output O, the derivative of O along them. With `given`, reverse mode takes each output O itself too, as the
 * kernel gave it, and does not compute again what it holds: a logsumexp and a softmax's sums, say. */
typedef struct gram_derivative {
    int forward;
    int n;
    const char *const *names;
    int given;
} gram_derivative;

/* How to make a kernel; zeros are the defaults. */
typedef struct gram_load_options {
    const char *jit;   /* "tcc" (the default), "cc", or "reference": plain double precision, slow */
    const char *cc;    /* for "cc": the compiler's command; NULL: $CC, or cc */
    const char *flags; /* for "cc": in place of "-O3 -march=native" */
    int threads;       /* 0: one for each CPU this process may use */
    const char
        *dtype; /* of arrays of floats: "f32" (the default), "f64", "bf16" or "f16", the last two computed in f32 */
    int noptions;
    const gram_option *options;
    int nderivatives; /* the derivative's kernel: the first of the spec, each other of the one before */
    const gram_derivative *derivatives;
    int with_gradient;   /* texts have NAME_backward too, as if the spec had a `grad` */
    int64_t max_steps;   /* of the spec's Lua: 0 is 50 million instructions */
    int64_t max_bytes;   /* its memory: 0 is 256 MiB */
    double max_seconds;  /* its wall clock: 0 is 1 s */
    const char *command; /* a command line for emitted text to name; NULL: none */
    gram_store *store;   /* where kernels are kept by content; NULL: each load makes its own */
} gram_load_options;

/* Kernels kept by content: of all loads through one store that ask for the same (spec, options, and files that it may
 * require) only the first compiles; the others share its kernel, and each gram_free gives back one share. Some that
 * nobody uses any more are kept for the next load. Loads may come from many threads at once. NULL when out of memory.
 * Freeing a store leaves kernels in use as they are. */
gram_store *gram_store_new(void);
void gram_store_free(gram_store *store);

/* Makes a kernel of a spec, from a file or from a text (`file` is then its name in messages, and files it requires are
 * looked for beside it). options NULL: all defaults. On success *kernel is to be freed with gram_free. */
gram_status gram_load_file(const char *file, const gram_load_options *options, gram_kernel **kernel, char *message,
                           size_t size);
gram_status gram_load_text(const char *file, const char *text, const gram_load_options *options, gram_kernel **kernel,
                           char *message, size_t size);
/* The kernel of a loaded kernel's derivative: the same spec and options with one derivative more. It is a kernel of its
 * own, to be freed with gram_free. */
gram_status gram_load_derivative(const gram_kernel *kernel, const gram_derivative *by, gram_kernel **derivative,
                                 char *message, size_t size);
/* No run of it may be under way. NULL is fine. */
void gram_free(gram_kernel *kernel);

/* An input or an output. */
typedef struct gram_port {
    const char *name;
    const char *kind;  /* "tokens", "scores", "matrix", ...; "output" */
    const char *shape; /* "[batch, 8, n, 64]" */
    int integer;       /* takes integers or booleans; otherwise floats */
    const char *key;   /* its tensor in a weights file, or NULL */
} gram_port;

/* What a kernel needs; everything lives as long as the kernel. */
const char *gram_name(const gram_kernel *kernel);
int gram_inputs(const gram_kernel *kernel, const gram_port **ports);  /* returns how many; declaration order */
int gram_outputs(const gram_kernel *kernel, const gram_port **ports); /* sorted by name */
int gram_sizes(const gram_kernel *kernel, const char *const **names); /* runtime sizes, in order of first use */
int gram_real_bits(const gram_kernel *kernel); /* of the floats that it computes with: 32 or 64 */

/* What the compiler made, as text; it lives as long as the kernel. */
typedef enum gram_text_kind {
    GRAM_TEXT_IR,     /* the graph as traced */
    GRAM_TEXT_PLAN,   /* which loops compute it, at what cost and why */
    GRAM_TEXT_SOURCE, /* NAME.c, self-contained */
    GRAM_TEXT_HEADER, /* NAME.h */
} gram_text_kind;
gram_status gram_kernel_text(gram_kernel *kernel, gram_text_kind kind, const char **text, char *message, size_t size);

/* Seconds that each pass took; 0 for those that did not run. */
typedef struct gram_times {
    double trace, simplify, plan, emit, compile;
} gram_times;
gram_times gram_compile_times(const gram_kernel *kernel);

/* An array under its name in the spec. */
typedef struct gram_argument {
    const char *name;
    gram_array *array;  /* inputs are only read; an output with data NULL is made, freed by gram_array_free */
    const char *origin; /* where it came from, for messages: a file's path, or NULL */
} gram_argument;

/* The array of an input in a file of weights: under its key, else under its name; NULL where the file has neither. */
const gram_array *gram_port_weights(const gram_port *port, const gram_tensors *weights);

/* Runs the kernel on named arrays: all of its inputs, and those outputs that are wanted. Shapes are as in the language
 * reference: an array may leave out a batch axis of 1, and a batch of 1 serves every item; an output has a batch axis
 * where an input came with one. Any strides and any float type are taken; what is in the kernel's own type with a
 * contiguous last axis is not copied. An output made here has the kernel's type. */
gram_status gram_run(gram_kernel *kernel, int narguments, const gram_argument *arguments, char *message, size_t size);

/* The same on the caller's team instead of the kernel's own threads; team NULL: on the calling thread alone. */
gram_status gram_run_on(gram_kernel *kernel, const gram_team *team, int narguments, const gram_argument *arguments,
                        char *message, size_t size);

/* What a run on these arguments takes; the arguments may leave out outputs, which count as there. */
typedef struct gram_cost {
    double operations; /* those of the plan's products and formulas; 0 for the reference */
    double bytes;      /* its arrays, each once */
    size_t workspace;  /* bytes */
} gram_cost;
gram_status gram_run_cost(gram_kernel *kernel, int narguments, const gram_argument *arguments, gram_cost *cost,
                          char *message, size_t size);

#ifdef __cplusplus
}
#endif
#endif
