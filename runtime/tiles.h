/* The tile primitives as tables of symbols, one for each instruction set and each width of reals and integers. They
 * hold what tile.h and the headers around it declare, under their names, and for each row of ops.def an elementwise
 * primitive over a tile,
 *
 *   void gram_map_NAME(OUT *out, int64_t rows, int64_t lanes, const A *a, int64_t a_row, int64_t a_lane
 *                      [, const B *b, int64_t b_row, int64_t b_lane [, const C *c, int64_t c_row, int64_t c_lane]])
 *
 * with out[r * GRAM_TILE + l] = NAME(a[r * a_row + l * a_lane], ...) for r < rows, l < lanes padded to GRAM_PAD. Reals
 * are gram_real, integers gram_int, predicates gram_bits (0 or -1). A lane stride is 0 or 1; a row stride is 0, 1 or
 * GRAM_TILE: (GRAM_TILE, 1) is a pair tile, (0, 1) a vector over keys, (1, 0) one over queries, (0, 0) a number.
 * out may be one of the operands where that one has out's strides. */
#ifndef GRAM_TILES_H
#define GRAM_TILES_H

#include "symbol.h"

typedef gram_symbol gram_tile_symbol;

/* The table, ended by a NULL name, for reals of 32 or 64 bits and integers of 32 or 64 (beside 64-bit reals always 64).
 * isa is "generic", "avx2", "avx512" or "avx512pop", which counts bits; NULL stands for the environment's GRAM_ISA and,
 * where that is unset or unknown to this CPU, for the widest this CPU runs. NULL if an isa that is named is unknown or
 * more than this CPU runs. */
const gram_tile_symbol *gram_tiles(int real_bits, int int_bits, const char *isa);

/* The names of the instruction sets that this CPU runs, widest first, ended by NULL: what gram_tiles takes. The array
 * has room for 5. */
void gram_tiles_isas(const char *names[5]);

/* The tables themselves: tile.c compiled with -DGRAM_ISA=ISA and, for f32w, -DGRAM_INT64, for f64, -DGRAM_F64. */
#define GRAM_TILES_OF(isa) \
    extern const gram_tile_symbol gram_tiles_##isa##_f32[], gram_tiles_##isa##_f32w[], gram_tiles_##isa##_f64[];
GRAM_TILES_OF(generic)
#if defined(__x86_64__)
GRAM_TILES_OF(avx2)
GRAM_TILES_OF(avx512)
GRAM_TILES_OF(avx512pop)
#endif
#undef GRAM_TILES_OF

#endif
