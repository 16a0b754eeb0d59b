/* C text to callable code in this process through TinyCC, in under a millisecond and without a file on disk. */
#ifndef GRAM_JIT_TCC_H
#define GRAM_JIT_TCC_H

#include <stddef.h>

#include "module.h"

/* Compiles a self-contained text (no #include: there are no headers) that may call the functions of `tables`, a
   NULL-terminated list of symbol tables; where two have a name, the earlier wins. Safe to call from many threads
   (compiles take turns). Returns 0, or -1 with the compiler's first complaint in message; as that is a bug in gram, the
   text is then kept in the cache folder and its path named. */
int gram_tcc_compile(const char *text, const gram_symbol *const *tables, gram_module **module, char *message,
                     size_t size);

#endif
