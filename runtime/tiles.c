/* Chooses a table of tile primitives: one row for each instruction set, widest first. */
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

typedef struct isa {
    const char *name;
    int runs;
    const gram_tile_symbol *f32, *f32w, *f64;
} isa;

#define ISA(name, runs) \
    { \
#name, runs, gram_tiles_##name##_f32, gram_tiles_##name##_f32w, gram_tiles_##name##_f64 \
    }

/* Calls visit(row, data) for each instruction set that this CPU runs, until it returns nonzero, and returns that. */
static int each_isa(int (*visit)(const isa *row, void *data), void *data)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    int counts = __builtin_cpu_supports("avx512vpopcntdq");
    const isa rows[] = {ISA(avx512pop, fma && wide && counts), ISA(avx512, fma && wide), ISA(avx2, fma),
                        ISA(generic, 1)};
#else
    const isa rows[] = {ISA(generic, 1)};
#endif
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].runs && visit(&rows[i], data)) {
            return 1;
        }
    }
    return 0;
}

typedef struct search {
    const char *name; /* NULL: any */
    isa found;
} search;

static int matches(const isa *row, void *data)
{
    search *s = data;
    s->found = *row;
    return !s->name || strcmp(s->name, row->name) == 0;
}

const gram_tile_symbol *gram_tiles(int real_bits, int int_bits, const char *isa)
{
    search s = {.name = isa ? isa : getenv("GRAM_ISA")};
    if (!each_isa(matches, &s)) {
        s.name = NULL;
        if (isa || !each_isa(matches, &s)) {
            return NULL;
        }
    }
    return real_bits == 64 ? s.found.f64 : int_bits == 64 ? s.found.f32w : s.found.f32;
}

static int append(const isa *row, void *data)
{
    const char ***end = data;
    *(*end)++ = row->name;
    return 0;
}

void gram_tiles_isas(const char *names[5])
{
    const char **end = names;
    each_isa(append, &end);
    *end = NULL;
}
