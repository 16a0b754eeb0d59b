/* A kernel's compiled code, whoever compiled it: made by jit_tcc.c or jit_cc.c, asked for its functions, freed. */
#ifndef GRAM_MODULE_H
#define GRAM_MODULE_H

#include "symbol.h"

typedef struct gram_module gram_module;

/* The function of that name in the module; NULL if it has none. Valid until the module is freed. */
gram_function *gram_module_symbol(const gram_module *module, const char *name);

/* Frees the code; no function of it may be running. NULL is fine. */
void gram_module_free(gram_module *module);

/* For the back ends: a module is a handle and the two operations on it. find returns the address as an object pointer,
   as dlsym and tcc_get_symbol do. Returns NULL when out of memory; the handle then stays the caller's. */
gram_module *gram_module_new(void *handle, void *(*find)(void *handle, const char *name), void (*close)(void *handle));

#endif
