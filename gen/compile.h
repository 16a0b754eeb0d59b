/* The whole compiler behind two functions (gram.c), and the kernel that the API hands out (api.c, run.c). */
#ifndef GRAM_COMPILE_H
#define GRAM_COMPILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "../runtime/jit_cc.h"
#include "../runtime/module.h"
#include "../runtime/threads.h"
#include "gram.h"
#include "layout.h"
#include "passes.h"
#include "real.h"

typedef enum gram_jit { GRAM_JIT_TCC, GRAM_JIT_CC, GRAM_JIT_REFERENCE, GRAM_NJITS } gram_jit;

/* One compilation: what is asked for, and each value on the way. */
typedef struct gram_build {
    gram_request request;
    gram_jit jit;
    gram_cc_options cc;
    gram_spec *spec;        /* as traced */
    struct gram_plan *plan; /* NULL until it is needed */
    gram_module *module;    /* NULL for the reference */
    bool compiling;         /* a failure now is the back end's, not the spec's */
    gram_times times;
} gram_build;

/* From the spec's text to a callable module; fails with a message. The module is the caller's to free, even then. */
void gram_compile(gram_ctx *ctx, gram_build *build);
/* A value on the way as text, made now if the compilation did not need it. */
const char *gram_compile_text(gram_ctx *ctx, gram_build *build, gram_text_kind kind);

typedef struct gram_block gram_block;

/* A compiled kernel's two functions; args is its args struct, slot by slot (layout.h). */
typedef size_t gram_workspace_function(const void *args, int threads);
typedef int gram_kernel_function(const void *args, void *workspace, const gram_team *team);

struct gram_kernel {
    gram_ctx *ctx;        /* not touched by runs */
    pthread_mutex_t lock; /* of ctx, when texts are made after loading */
    gram_build build;
    gram_layout layout;
    gram_port *inputs, *outputs;
    gram_workspace_function *workspace; /* NULL for the reference */
    gram_kernel_function *run;
    int threads;                 /* as asked for: 0 is one for each CPU */
    gram_pool *pool;             /* NULL: one thread */
    _Atomic(gram_block *) spare; /* the last run's workspace, for the next */
    struct gram_share *share;    /* its place in a store; NULL: it is its owner's alone */
};

/* api.c: a kernel of its own, whatever options->store says; freed with gram_kernel_free. */
gram_status gram_kernel_make(const char *file, const char *text, const gram_load_options *options, gram_kernel **kernel,
                             char *message, size_t size);
void gram_kernel_free(gram_kernel *kernel);
/* A kernel that nobody uses gives up its threads and workspace, and gets threads again: 0, or -1 when out of memory. */
void gram_kernel_rest(gram_kernel *kernel);
int gram_kernel_wake(gram_kernel *kernel);

/* store.c: a kernel from the options' store, and a share of it given back. */
gram_status gram_store_load(const char *file, const char *text, const gram_load_options *options, gram_kernel **kernel,
                            char *message, size_t size);
void gram_store_return(gram_kernel *kernel);
gram_store *gram_store_of(const gram_kernel *kernel); /* NULL: it is in none */

/* run.c: finds the compiled functions; frees the kept workspace. */
void gram_run_prepare(gram_ctx *ctx, gram_kernel *kernel);
void gram_run_forget(gram_kernel *kernel);

#endif
