/* The tile primitives, compiled for one instruction set and one width of numbers: those of tile.h and of the headers
 * around it, and one over a tile for each row of ops.def. Compile it once for each pair of
 *
 *   -DGRAM_ISA=generic
 *   -DGRAM_ISA=avx2    -mavx2 -mfma
 *   -DGRAM_ISA=avx512  -mavx512f -mavx512vl -mavx512bw -mavx512dq -mavx2 -mfma -mprefer-vector-width=512
 *   -DGRAM_ISA=avx512pop   the same and -mavx512vpopcntdq
 * and
 *   (nothing)      float, 32-bit integers     gram_tiles_ISA_f32
 *   -DGRAM_INT64   float, 64-bit integers     gram_tiles_ISA_f32w
 *   -DGRAM_F64     double, 64-bit integers    gram_tiles_ISA_f64
 * with -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -fwrapv. */
#include "half.h"
#include "linear.h"
#include "symbol.h"
#include "whole.h"
#include "fft.h"

/* What the letters of ops.def stand for: the types of an element and a vector; how one is read, repeated, written. */
#define ELEMENT_R gram_real
#define ELEMENT_I gram_int
#define ELEMENT_B gram_bits
#define VECTOR_R gram_vreal
#define VECTOR_I gram_vint
#define VECTOR_B gram_mask
#define LOAD_R gram_v_load
#define LOAD_I gram_v_loadi
#define LOAD_B gram_v_loadm
#define SPLAT_R gram_v_splat
#define SPLAT_I gram_v_splati
#define SPLAT_B gram_v_splatm
#define STORE_R gram_v_store
#define STORE_I gram_v_storei
#define STORE_B gram_v_storem

/* An operand named x as parameters; as a vector of row r from lane l on. */
#define TAKE(t, x) const ELEMENT_##t *x##_, int64_t x##_row, int64_t x##_lane
#define READ(t, x) const VECTOR_##t x = x##_lane ? LOAD_##t(x##_ + r * x##_row + l) : SPLAT_##t(x##_[r * x##_row]);

/* The same for the operands of a row of ops.def, by their letters. */
#define TAKE_R TAKE(R, a)
#define TAKE_I TAKE(I, a)
#define TAKE_B TAKE(B, a)
#define TAKE_RR TAKE_R, TAKE(R, b)
#define TAKE_II TAKE_I, TAKE(I, b)
#define TAKE_BB TAKE_B, TAKE(B, b)
#define TAKE_BRR TAKE_B, TAKE(R, b), TAKE(R, c)
#define TAKE_BII TAKE_B, TAKE(I, b), TAKE(I, c)
#define READ_R READ(R, a)
#define READ_I READ(I, a)
#define READ_B READ(B, a)
#define READ_RR READ_R READ(R, b)
#define READ_II READ_I READ(I, b)
#define READ_BB READ_B READ(B, b)
#define READ_BRR READ_B READ(R, b) READ(R, c)
#define READ_BII READ_B READ(I, b) READ(I, c)

#define OP(id, name, result, operands, vector, reference, range, ...) \
    static void gram_map_##name(ELEMENT_##result *out, int64_t rows, int64_t lanes, TAKE_##operands) \
    { \
        for (int64_t r = 0; r < rows; r++) { \
            for (int64_t l = 0; l < lanes; l += GRAM_LANES) { \
                READ_##operands STORE_##result(out + r * GRAM_TILE + l, vector); \
            } \
        } \
    }
#include "ops.def"
#undef OP

#if defined(GRAM_F64)
#define TYPE f64
#elif defined(GRAM_INT64)
#define TYPE f32w
#else
#define TYPE f32
#endif
#define JOIN(isa, type) gram_tiles_##isa##_##type
#define TABLE(isa, type) JOIN(isa, type)
#define SYMBOL(name) \
    { \
#name, (gram_function *)name \
    }

extern const gram_symbol TABLE(GRAM_ISA, TYPE)[];
const gram_symbol TABLE(GRAM_ISA, TYPE)[] = {SYMBOL(gram_panel),
                                             SYMBOL(gram_panel_bits),
                                             SYMBOL(gram_block_bits),
                                             SYMBOL(gram_tile_bits),
                                             SYMBOL(gram_rows),
                                             SYMBOL(gram_block),
                                             SYMBOL(gram_tile_mul),
                                             SYMBOL(gram_tile_mul_fine),
                                             SYMBOL(gram_tile_dots),
                                             SYMBOL(gram_tile_sqdist),
                                             SYMBOL(gram_tile_dist1),
                                             SYMBOL(gram_tile_softmax),
                                             SYMBOL(gram_tile_sum),
                                             SYMBOL(gram_tile_max),
                                             SYMBOL(gram_merge_softmax),
                                             SYMBOL(gram_merge_sums),
                                             SYMBOL(gram_merge_maxima),
                                             SYMBOL(gram_copy),
                                             SYMBOL(gram_sum_two),
                                             SYMBOL(gram_sum_two_based),
                                             SYMBOL(gram_sums_raise),
                                             SYMBOL(gram_weights),
                                             SYMBOL(gram_weights_times),
                                             SYMBOL(gram_weigh_lanes),
                                             SYMBOL(gram_weigh_rows),
                                             SYMBOL(gram_sums_lean),
                                             SYMBOL(gram_differences),
                                             SYMBOL(gram_lean_rows),
                                             SYMBOL(gram_panel_sums),
                                             SYMBOL(gram_column),
                                             SYMBOL(gram_tile_finish),
                                             SYMBOL(gram_tile_logsumexp),
                                             SYMBOL(gram_tile_logsum),
                                             SYMBOL(gram_clear),
                                             SYMBOL(gram_add_to),
                                             SYMBOL(gram_scatter),
                                             SYMBOL(gram_whole_inverse),
                                             SYMBOL(gram_whole_expm),
                                             SYMBOL(gram_whole_cumsum),
                                             SYMBOL(gram_whole_threshold),
                                             SYMBOL(gram_whole_log2_ceil),
                                             SYMBOL(gram_whole_top),
                                             SYMBOL(gram_fft_factors),
                                             SYMBOL(gram_fft_convolve),
                                             SYMBOL(gram_fft_softmax),
                                             SYMBOL(gram_fft_lags),
                                             SYMBOL(gram_fft_softmax_lags),
                                             SYMBOL(gram_tile_keep),
                                             SYMBOL(gram_tile_mul_kept),
                                             SYMBOL(gram_tile_mul_turned),
                                             SYMBOL(gram_tile_mul_turned_kept),
                                             SYMBOL(gram_tile_sum_turned),
                                             SYMBOL(gram_load_f16),
                                             SYMBOL(gram_panel_f16),
                                             SYMBOL(gram_rows_f16),
                                             SYMBOL(gram_block_f16),
                                             SYMBOL(gram_store_f16),
                                             SYMBOL(gram_gather_f16),
                                             SYMBOL(gram_load_bf16),
                                             SYMBOL(gram_panel_bf16),
                                             SYMBOL(gram_rows_bf16),
                                             SYMBOL(gram_block_bf16),
                                             SYMBOL(gram_store_bf16),
                                             SYMBOL(gram_gather_bf16),
                                             SYMBOL(gram_load),
                                             SYMBOL(gram_loadi),
                                             SYMBOL(gram_store),
                                             SYMBOL(gram_storei),
                                             SYMBOL(gram_fill),
                                             SYMBOL(gram_ids_between),
                                             SYMBOL(gram_gather),
                                             SYMBOL(gram_gather_runs),
                                             SYMBOL(gram_gatheri),
                                             SYMBOL(gram_iota),
#define OP(id, name, result, operands, vector, reference, range, ...) SYMBOL(gram_map_##name),
#include "ops.def"
#undef OP
                                             {NULL, NULL}};
