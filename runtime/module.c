/* A kernel's compiled code: see module.h. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

struct gram_module {
    void *handle;
    void *(*find)(void *handle, const char *name);
    void (*close)(void *handle);
};

gram_module *gram_module_new(void *handle, void *(*find)(void *handle, const char *name), void (*close)(void *handle))
{
    gram_module *module = malloc(sizeof *module);
    if (module)
        *module = (gram_module){handle, find, close};
    return module;
}

gram_function *gram_module_symbol(const gram_module *module, const char *name)
{
    void *address = module->find(module->handle, name);
    gram_function *function;
    memcpy(&function, &address, sizeof function);
    return function;
}

void gram_module_free(gram_module *module)
{
    if (!module)
        return;
    module->close(module->handle);
    free(module);
}
