/* A name and the address it stands for: what a JIT-compiled kernel may call. Tables of symbols end with a NULL name. */
#ifndef GRAM_SYMBOL_H
#define GRAM_SYMBOL_H

/* Any function; cast to its real type before the call. (ISO C has no cast between functions and void *.) */
typedef void gram_function(void);

typedef struct gram_symbol {
    const char *name;
    gram_function *address;
} gram_symbol;

#endif
