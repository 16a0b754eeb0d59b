/* What every pass stands on: the context with its arena, errors that unwind to one protected call, growing text. */
#ifndef GRAM_UTIL_H
#define GRAM_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gram_loc {
    const char *file; /* NULL: not from a spec */
    int line;
} gram_loc;

typedef struct gram_chunk gram_chunk;
struct gram_nodes;

/* One compilation. Memory is taken from the arena and freed with the context; an error jumps to `catch_`. */
typedef struct gram_ctx {
    gram_chunk *chunks;
    size_t used;              /* bytes taken from the arena */
    jmp_buf *catch_;          /* set by gram_try */
    char message[1024];       /* the error: "file:line: error: ..." or "error: ..." */
    struct gram_nodes *nodes; /* the table of shared nodes (ir.c) */
    struct gram_spec *spec;   /* being traced */
} gram_ctx;

gram_ctx *gram_ctx_new(void); /* NULL: out of memory */
void gram_ctx_free(gram_ctx *ctx);

/* Runs f(ctx, data); 0, or 1 with ctx->message set where f failed. The only place where a failure lands. */
int gram_try(gram_ctx *ctx, void (*f)(gram_ctx *ctx, void *data), void *data);
/* Stops the work under way: the message is "file:line: error: " and the formatted text. */
_Noreturn void gram_fail(gram_ctx *ctx, gram_loc loc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Zeroed memory, aligned to 16 bytes, that lives as long as the context. */
void *gram_alloc(gram_ctx *ctx, size_t size);
char *gram_strdup(gram_ctx *ctx, const char *s);
char *gram_format(gram_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text that grows; in the arena. */
typedef struct gram_text {
    gram_ctx *ctx;
    char *data; /* always terminated; NULL when nothing was added */
    size_t size, capacity;
} gram_text;
void gram_put(gram_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gram_put_bytes(gram_text *text, const char *bytes, size_t size);
void gram_put_string(gram_text *text, const char *string);

#endif
