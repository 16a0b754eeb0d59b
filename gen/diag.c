/* How an error travels: gram_fail writes one line into the context and jumps to the gram_try that is nearest on the
 * stack. Nothing between the two needs to clean up, because all memory is the context's. */
#include "util.h"

#include <stdio.h>
#include <stdlib.h>

int gram_try(gram_ctx *ctx, void (*f)(gram_ctx *ctx, void *data), void *data)
{
    jmp_buf here;
    jmp_buf *const outer = ctx->catch_;
    ctx->catch_ = &here;
    int failed = setjmp(here) != 0;
    if (!failed)
        f(ctx, data);
    ctx->catch_ = outer;
    return failed;
}

/* A message is one line, whatever a file's name or a string in a spec holds. */
static void make_one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            *s = ' ';
}

void gram_fail(gram_ctx *ctx, gram_loc loc, const char *format, ...)
{
    char text[sizeof ctx->message]; /* apart, because an argument may be an earlier message */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (loc.file)
        snprintf(ctx->message, sizeof ctx->message, "%.400s:%d: error: %.600s", loc.file, loc.line, text);
    else
        snprintf(ctx->message, sizeof ctx->message, "error: %.1000s", text);
    make_one_line(ctx->message);
    if (!ctx->catch_)
        abort(); /* a caller forgot gram_try */
    longjmp(*ctx->catch_, 1);
}
