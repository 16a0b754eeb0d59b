/* C text to callable code in this process through the system's C compiler, in about a second, kept on disk (cache.h)
   so that the next process loads it in a millisecond. */
#ifndef GRAM_JIT_CC_H
#define GRAM_JIT_CC_H

#include <stddef.h>

#include "module.h"

typedef struct gram_cc_options {
    const char *compiler; /* a command, arguments split at spaces; NULL: $CC, or cc */
    const char *flags;    /* in place of "-O3 -march=native" when not NULL; split at spaces */
    const char *version;  /* gram's version, part of the cache key; may be NULL */
} gram_cc_options;

/* Compiles a self-contained text (C library headers allowed) into a module, or loads it from the cache. options NULL:
   all defaults. Where the cache folder cannot be used (full, read-only, not ours alone) the module is built in a
   temporary folder and not kept. Safe from many threads and processes. Returns 0, or -1 with a message: no such
   compiler, or its first complaint and the path where the text is kept. */
int gram_cc_compile(const char *text, const gram_cc_options *options, gram_module **module, char *message, size_t size);

#endif
