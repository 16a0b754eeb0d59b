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

typedef enum gram_jit { GRAM_JIT_TCC, GRAM_JIT_CC, GRAM_JIT_REFERENCE, GRAM_NJITS } gram_jit;

/* One compilation: what is asked for, and each value on the way. */
typedef struct gram_build {
    gram_request request;
    gram_jit jit;
    gram_cc_options cc;
    gram_spec *spec;             /* as traced */
    struct gram_plan *plan;      /* NULL until it is needed */
    gram_module *module;         /* NULL for the reference */
    bool compiling;              /* a failure now is the back end's, not the spec's */
    gram_times times;
} gram_build;

/* From the spec's text to a callable module; fails with a message. The module is the caller's to free, even then. */
void gram_compile(gram_ctx *ctx, gram_build *build);
/* A value on the way as text, made now if the compilation did not need it. */
const char *gram_compile_text(gram_ctx *ctx, gram_build *build, gram_text_kind kind);

typedef struct gram_block gram_block;

struct gram_kernel {
    gram_ctx *ctx;               /* not touched by runs */
    pthread_mutex_t lock;        /* of ctx, when texts are made after loading */
    gram_build build;
    gram_layout layout;
    gram_port *inputs, *outputs;
    gram_pool *pool;             /* NULL: one thread */
    _Atomic(gram_block *) spare; /* the last run's workspace, for the next */
};

/* Frees the kept workspace (run.c). */
void gram_run_forget(gram_kernel *kernel);

#endif
