/* Arrays of 16-bit floats: read as reals, and written back rounded to nearest, ties to even. Bits are moved as
 * integers, so that any compiler can, and vectorise it. See kernel.h on chunks. */

#ifndef GRAM_HALF_H

#define GRAM_HALF_H

#include "job.h"
#include "tile.h"

/* What 16 bits hold: IEEE binary16, or the upper half of a binary32. */
enum gram_half_kind { GRAM_HALF_F16, GRAM_HALF_BF16 };

/* 16-bit floats laid out as a gram_tensor is. */
typedef struct gram_halves {
    uint16_t *data;
    int64_t batch, head, row, col;
} gram_halves;

/* Where the matrix of one head of one item starts. */
static inline uint16_t *gram_halves_at(const gram_halves *t, int64_t batch, int64_t head) {
    return t->data + batch * t->batch + head * t->head;
}

/* An array of the caller's, see gram_strided. */
static inline gram_halves gram_halves_strided(const uint16_t *data, const int64_t *stride, gram_halves dense) {
    dense.data = (uint16_t *)data;
    if (stride[0] || stride[1] || stride[2]) {
        dense.batch = stride[0];
        dense.head = stride[1];
        dense.col = stride[2];
    }
    return dense;
}

/* The transpose of t. */
static inline gram_halves gram_halves_turned(gram_halves t) {
    gram_halves v = {t.data, t.batch, t.head, t.col, t.row};
    return v;
}

/* t from this row and column of this head on. */
static inline gram_halves gram_halves_part(gram_halves t, int64_t head, int64_t row, int64_t col) {
    if (t.data) {
        t.data += head * t.head + row * t.row + col * t.col;
    }
    return t;
}

/* The rows of t, `rows` at a time, as its heads. */
static inline gram_halves gram_halves_split(gram_halves t, int64_t rows) {
    t.head = rows * t.row;
    return t;
}

/* The float of these bits. */
static inline GRAM_ALWAYS float gram_float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The value of 16 bits, exactly. A binary16's exponent is moved into place, once more where it is that of infinity and
 * NaN; below the normal numbers the bits count steps of 2^-24. */
static inline GRAM_ALWAYS float gram_half_value(const enum gram_half_kind kind, uint16_t half) {
    const uint32_t rest = half & 0x7fffu, sign = (uint32_t)(half ^ rest) << 16, moved = 112u << 23;
    if (kind == GRAM_HALF_BF16) {
        return gram_float_of((uint32_t)half << 16);
    }
    const uint32_t normal = (rest << 13) + moved + (rest >= 0x7c00u ? moved : 0);
    const float tiny = (float)(int32_t)rest * (1.0f / 16777216);
    uint32_t small;
    memcpy(&small, &tiny, sizeof small);
    return gram_float_of((rest < 0x400u ? small : normal) | sign);
}

/* x in 16 bits, to nearest, ties to even. Half of the last bit kept is added, less 1 where that bit is 0; what
 * overflows steps the exponent, to infinity too. Below the normal numbers of binary16, adding 1/2 rounds to steps of
 * 2^-24. */
static inline GRAM_ALWAYS uint16_t gram_half_of(const enum gram_half_kind kind, float x) {
    uint32_t bits, low;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rest = bits & 0x7fffffffu, sign = (bits ^ rest) >> 16;
    if (kind == GRAM_HALF_BF16) {
        const uint32_t near = (rest + 0x7fffu + (rest >> 16 & 1)) >> 16;
        return (uint16_t)(sign | (rest > 0x7f800000u ? rest >> 16 | 0x40u : near));
    }
    const float raised = gram_float_of(rest) + 0.5f;
    memcpy(&low, &raised, sizeof low);
    const uint32_t normal = (rest - (112u << 23) + 0xfffu + (rest >> 13 & 1)) >> 13;
    const uint32_t large = rest > 0x7f800000u ? 0x7e00u : 0x7c00u;
    const uint32_t tiny = low - (126u << 23);
    return (uint16_t)(sign | (rest >= 0x47800000u ? large : rest < 0x38800000u ? tiny : normal));
}

/* Reads rows x cols 16-bit floats: to[r * to_row + c] = scale * from[r * row + c * col], and 0 for cols <= c < padded.
 * Where columns lie together they are read so, and turned in squares. */
static inline GRAM_ALWAYS void gram_widen(const enum gram_half_kind kind, gram_real *to, int64_t to_row, int64_t padded,
                                          const uint16_t *from, int64_t row, int64_t col, int64_t rows, int64_t cols,
                                          gram_real scale) {
    gram_real part[16 * 16];
    const int turned = row == 1 && col != 1;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols && !turned && col == 1; c++) {
            to[r * to_row + c] = scale * gram_half_value(kind, from[r * row + c]);
        }
        for (int64_t c = 0; c < cols && !turned && col != 1; c++) {
            to[r * to_row + c] = scale * gram_half_value(kind, from[r * row + c * col]);
        }
        for (int64_t c = cols; c < padded; c++) {
            to[r * to_row + c] = 0;
        }
    }
    for (int64_t r = 0; r < rows && turned; r += 16) {
        const int64_t some = rows - r < 16 ? rows - r : 16;
        for (int64_t c = 0; c < cols; c += 16) {
            const int64_t more = cols - c < 16 ? cols - c : 16;
            for (int64_t k = 0; k < more; k++) {
                for (int64_t l = 0; l < some; l++) {
                    part[k * 16 + l] = scale * gram_half_value(kind, from[r + l + (c + k) * col]);
                }
            }
            gram_turn(to + r * to_row + c, to_row, part, 16, more, some);
        }
    }
}

/* Writes 16-bit floats: to[r * row + c * col] = tile[r * ld + c] for c < lanes. */
static inline GRAM_ALWAYS void gram_narrow(const enum gram_half_kind kind, uint16_t *to, int64_t row, int64_t col,
                                           const gram_real *tile, int64_t ld, int64_t rows, int64_t lanes) {
    gram_real part[16 * 16];
    const int turned = row == 1 && col != 1;
    for (int64_t r = 0; r < rows && !turned; r++) {
        for (int64_t c = 0; c < lanes && col == 1; c++) {
            to[r * row + c] = gram_half_of(kind, (float)tile[r * ld + c]);
        }
        for (int64_t c = 0; c < lanes && col != 1; c++) {
            to[r * row + c * col] = gram_half_of(kind, (float)tile[r * ld + c]);
        }
    }
    for (int64_t r = 0; r < rows && turned; r += 16) {
        const int64_t some = rows - r < 16 ? rows - r : 16;
        for (int64_t c = 0; c < lanes; c += 16) {
            const int64_t more = lanes - c < 16 ? lanes - c : 16;
            gram_turn(part, 16, tile + r * ld + c, ld, some, more);
            for (int64_t k = 0; k < more; k++) {
                for (int64_t l = 0; l < some; l++) {
                    to[r + l + (c + k) * col] = gram_half_of(kind, (float)part[k * 16 + l]);
                }
            }
        }
    }
}

/* gram_gather from 16-bit floats. */
static inline GRAM_ALWAYS void gram_gather_halves(const enum gram_half_kind kind, gram_real *tile, int64_t rows,
                                                  int64_t lanes, const uint16_t *base, int64_t row, int64_t nrow,
                                                  const gram_int *i, int i_row, int i_lane, int64_t col, int64_t ncol,
                                                  const gram_int *j, int j_row, int j_lane) {
    const int none = nrow <= 0 || ncol <= 0;
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE, i += i_row, j += j_row) {
        for (int64_t c = 0; c < lanes && none; c++) {
            tile[c] = 0;
        }
        for (int64_t c = 0; c < lanes && !none; c++) {
            const int64_t at = gram_held(i[c * i_lane], nrow) * row + gram_held(j[c * j_lane], ncol) * col;
            tile[c] = gram_half_value(kind, base[at]);
        }
    }
}

/* gram_load from binary16. */
static inline void gram_load_f16(gram_real *tile, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                 int64_t lanes) {
    gram_widen(GRAM_HALF_F16, tile, GRAM_TILE, GRAM_PADDED(lanes), from, row, col, rows, lanes, 1);
}

/* gram_panel from binary16. */
static inline void gram_panel_f16(gram_real *panel, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                  int64_t inner) {
    gram_widen(GRAM_HALF_F16, panel, GRAM_TILE, GRAM_TILE, from, col, row, inner, rows, 1);
}

/* gram_rows from binary16. */
static inline void gram_rows_f16(gram_real *to, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                 int64_t inner) {
    gram_widen(GRAM_HALF_F16, to, GRAM_PADDED(inner), GRAM_PADDED(inner), from, row, col, rows, inner, 1);
}

/* gram_block from binary16. */
static inline void gram_block_f16(gram_real *block, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                  int64_t inner, gram_real scale) {
    gram_widen(GRAM_HALF_F16, block, inner, inner, from, row, col, rows, inner, scale);
}

/* gram_store to binary16. */
static inline void gram_store_f16(uint16_t *to, int64_t row, int64_t col, const gram_real *tile, int64_t ld,
                                  int64_t rows, int64_t lanes) {
    gram_narrow(GRAM_HALF_F16, to, row, col, tile, ld, rows, lanes);
}

/* gram_gather from binary16. */
static inline void gram_gather_f16(gram_real *tile, int64_t rows, int64_t lanes, const uint16_t *base, int64_t row,
                                   int64_t nrow, const gram_int *i, int i_row, int i_lane, int64_t col, int64_t ncol,
                                   const gram_int *j, int j_row, int j_lane) {
    gram_gather_halves(GRAM_HALF_F16, tile, rows, lanes, base, row, nrow, i, i_row, i_lane, col, ncol, j, j_row, j_lane);
}

/* gram_load from bfloat16. */
static inline void gram_load_bf16(gram_real *tile, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                 int64_t lanes) {
    gram_widen(GRAM_HALF_BF16, tile, GRAM_TILE, GRAM_PADDED(lanes), from, row, col, rows, lanes, 1);
}

/* gram_panel from bfloat16. */
static inline void gram_panel_bf16(gram_real *panel, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                  int64_t inner) {
    gram_widen(GRAM_HALF_BF16, panel, GRAM_TILE, GRAM_TILE, from, col, row, inner, rows, 1);
}

/* gram_rows from bfloat16. */
static inline void gram_rows_bf16(gram_real *to, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                 int64_t inner) {
    gram_widen(GRAM_HALF_BF16, to, GRAM_PADDED(inner), GRAM_PADDED(inner), from, row, col, rows, inner, 1);
}

/* gram_block from bfloat16. */
static inline void gram_block_bf16(gram_real *block, const uint16_t *from, int64_t row, int64_t col, int64_t rows,
                                  int64_t inner, gram_real scale) {
    gram_widen(GRAM_HALF_BF16, block, inner, inner, from, row, col, rows, inner, scale);
}

/* gram_store to bfloat16. */
static inline void gram_store_bf16(uint16_t *to, int64_t row, int64_t col, const gram_real *tile, int64_t ld,
                                  int64_t rows, int64_t lanes) {
    gram_narrow(GRAM_HALF_BF16, to, row, col, tile, ld, rows, lanes);
}

/* gram_gather from bfloat16. */
static inline void gram_gather_bf16(gram_real *tile, int64_t rows, int64_t lanes, const uint16_t *base, int64_t row,
                                   int64_t nrow, const gram_int *i, int i_row, int i_lane, int64_t col, int64_t ncol,
                                   const gram_int *j, int j_row, int j_lane) {
    gram_gather_halves(GRAM_HALF_BF16, tile, rows, lanes, base, row, nrow, i, i_row, i_lane, col, ncol, j, j_row, j_lane);
}

#endif
