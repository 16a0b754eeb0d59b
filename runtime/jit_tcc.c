/* C text to callable code through TinyCC: see jit_tcc.h. The only file that knows libtcc. */
#include "jit_tcc.h"

#include <libtcc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "message.h"

/* libtcc keeps its compiler in static variables: one compile at a time. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* What TinyCC's own libtcc1 would give: x86-64 converts between unsigned 64-bit integers and floats by a call. */
static double from_u64(uint64_t x)
{
    return (double)x;
}

static float from_u64_to_float(uint64_t x)
{
    return (float)x;
}

static uint64_t to_u64(double x)
{
    return (uint64_t)x;
}

static uint64_t float_to_u64(float x)
{
    return (uint64_t)x;
}

/* What code may call without having named it: copies and fills of structs, and the conversions above. */
static const gram_symbol SUPPORT[] = {
    {"memcpy", (gram_function *)memcpy},
    {"memmove", (gram_function *)memmove},
    {"memset", (gram_function *)memset},
    {"__floatundidf", (gram_function *)from_u64},
    {"__floatundisf", (gram_function *)from_u64_to_float},
    {"__fixunsdfdi", (gram_function *)to_u64},
    {"__fixunssfdi", (gram_function *)float_to_u64},
    {NULL, NULL},
};

/* TinyCC's first error; warnings are of no interest, as other compilers see the same text. */
typedef struct complaint {
    char text[GRAM_MESSAGE / 2];
} complaint;

static void hear(void *opaque, const char *text)
{
    complaint *first = opaque;
    if (!first->text[0] && !strstr(text, "warning:"))
        gram_put_message(first->text, sizeof first->text, "%s", text);
}

static void add_symbols(TCCState *state, const gram_symbol *table)
{
    for (; table->name; table++) {
        const void *address;
        memcpy(&address, &table->address, sizeof address);
        tcc_add_symbol(state, table->name, address);
    }
}

static int build(TCCState *state, const char *text, const gram_symbol *const *tables, complaint *first)
{
    tcc_set_error_func(state, first, hear);
    tcc_set_options(state, "-nostdlib -nostdinc");
    tcc_set_output_type(state, TCC_OUTPUT_MEMORY);
    for (; *tables; tables++)
        add_symbols(state, *tables);
    add_symbols(state, SUPPORT);
    first->text[0] = '\0'; /* a name's second definition is complained of, and ignored */
    if (tcc_compile_string(state, text) || tcc_relocate(state, TCC_RELOCATE_AUTO))
        return -1;
    return 0;
}

static void *find(void *state, const char *name)
{
    pthread_mutex_lock(&turn);
    void *address = tcc_get_symbol(state, name);
    pthread_mutex_unlock(&turn);
    return address;
}

static void close_state(void *state)
{
    pthread_mutex_lock(&turn);
    tcc_delete(state);
    pthread_mutex_unlock(&turn);
}

int gram_tcc_compile(const char *text, const gram_symbol *const *tables, gram_module **module, char *message,
                     size_t size)
{
    complaint first = {""};
    pthread_mutex_lock(&turn);
    TCCState *state = tcc_new();
    const int status = state ? build(state, text, tables, &first) : -1;
    pthread_mutex_unlock(&turn);
    *module = state && status == 0 ? gram_module_new(state, find, close_state) : NULL;
    if (*module)
        return 0;
    if (state)
        close_state(state);
    if (!state || status == 0)
        return gram_message(message, size, "out of memory for TinyCC");
    char path[GRAM_PATH];
    gram_cache_keep(text, path);
    return gram_message(message, size, "TinyCC: %s; a bug in gram: the text is kept in %s", first.text,
                        path[0] ? path : "(no folder could be written)");
}
