/* What else a kernel does to a tile: read and write it, gather and scatter, keep some of it, add it up turned.
 *
 * A tile is up to GRAM_BLOCK rows (queries) by GRAM_TILE lanes (keys), row r at r * GRAM_TILE. Tiles and the other
 * buffers are aligned to 64 bytes and have room up to a lane count padded to GRAM_PAD, which may be read and
 * written; users' arrays (from, to, base) are touched at valid entries only. See kernel.h on chunks. */

#ifndef GRAM_TILE_H

#define GRAM_TILE_H

#include "product.h"

#include "softmax.h"

/* tile[r * GRAM_TILE + c] = from[r * row + c * col] for c < lanes, and 0 up to the padded lane count. */
static inline void gram_load(gram_real *tile, const gram_real *from, int64_t row, int64_t col, int64_t rows,
                             int64_t lanes) {
    if (row == 1 && col != 1) {
        gram_turn(tile, GRAM_TILE, from, col, lanes, rows);
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < lanes && (row != 1 || col == 1); c++) {
            tile[r * GRAM_TILE + c] = col == 1 ? from[r * row + c] : from[r * row + c * col];
        }
        for (int64_t c = lanes; c < GRAM_PADDED(lanes); c++) {
            tile[r * GRAM_TILE + c] = 0;
        }
    }
}

/* The same for integers. */
static inline void gram_loadi(gram_int *tile, const int32_t *from, int64_t row, int64_t col, int64_t rows,
                              int64_t lanes) {
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE, from += row) {
        for (int64_t c = 0; c < lanes; c++) {
            tile[c] = from[c * col];
        }
        for (int64_t c = lanes; c < GRAM_PADDED(lanes); c++) {
            tile[c] = 0;
        }
    }
}

/* to[r * row + c * col] = tile[r * ld + c] for c < lanes. */
static inline void gram_store(gram_real *to, int64_t row, int64_t col, const gram_real *tile, int64_t ld, int64_t rows,
                              int64_t lanes) {
    if (row == 1 && col != 1) {
        gram_turn(to, col, tile, ld, rows, lanes);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < lanes; c++) {
            *(col == 1 ? &to[r * row + c] : &to[r * row + c * col]) = tile[r * ld + c];
        }
    }
}

/* The same for integers. */
static inline void gram_storei(int32_t *to, int64_t row, int64_t col, const gram_int *tile, int64_t ld, int64_t rows,
                               int64_t lanes) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < lanes; c++) {
            to[r * row + c * col] = (int32_t)tile[r * ld + c];
        }
    }
}

/* lo and hi become the least and the greatest of count integers, held to what they were. */
static inline void gram_ids_between(int32_t *lo, int32_t *hi, const int32_t *ids, int64_t step, int64_t count) {
    int32_t least = *lo, most = *hi;
    for (int64_t k = 0; k < count && step == 1; k++) {
        least = ids[k] < least ? ids[k] : least;
        most = ids[k] > most ? ids[k] : most;
    }
    for (int64_t k = 0; k < count && step != 1; k++) {
        least = ids[k * step] < least ? ids[k * step] : least;
        most = ids[k * step] > most ? ids[k * step] : most;
    }
    *lo = least;
    *hi = most;
}

/* The range of ids[i * step] for i in `at`, held to 0 .. n - 1; of 0 where n is 0. */
static inline gram_range gram_range_ids(const int32_t *ids, int64_t step, int64_t n, gram_range at) {
    int64_t from = at.lo < 0 ? 0 : at.lo < n ? at.lo : n - 1, to = at.hi < 0 ? 0 : at.hi < n ? at.hi : n - 1;
    if (n <= 0) {
        return gram_range_of(0, 0);
    }
    int32_t lo = ids[from * step], hi = lo;
    gram_ids_between(&lo, &hi, ids + from * step, step, to - from + 1);
    return gram_range_of(lo, hi);
}

/* Whether the offsets i * row + j * col of i < nrow, j < ncol fit a gram_int. */
static inline int gram_offsets_fit(int64_t nrow, int64_t row, int64_t ncol, int64_t col) {
    gram_range i = gram_range_mul(gram_range_of(0, nrow - 1), gram_range_of(row, row));
    gram_range j = gram_range_mul(gram_range_of(0, ncol - 1), gram_range_of(col, col));
    gram_range at = gram_range_add(i, j);
    return at.lo >= GRAM_INT_MIN && at.hi <= GRAM_INT_MAX;
}

/* i held to the range from 0 to n - 1, n > 0. */
static inline int64_t gram_held(gram_int i, int64_t n) {
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* The same over lanes, read from i with a lane stride of 1 or 0. */
static inline GRAM_ALWAYS gram_vint gram_v_held(const gram_int *i, int lane, int64_t n) {
    gram_vint v = lane ? gram_v_loadi(i) : gram_v_splati(*i), last = gram_v_splati((gram_int)(n - 1));
    return gram_v_imax(gram_v_splati(0), gram_v_imin(v, last));
}

/* tile[r * GRAM_TILE + c] = base[i * row + j * col], where i is i[r * i_row + c * i_lane], held to 0 .. nrow - 1, and j
 * likewise; 0 where nrow or ncol is 0. */
static inline void gram_gather(gram_real *tile, int64_t rows, int64_t lanes, const gram_real *base, int64_t row,
                               int64_t nrow, const gram_int *i, int i_row, int i_lane, int64_t col, int64_t ncol,
                               const gram_int *j, int j_row, int j_lane) {
    int none = nrow <= 0 || ncol <= 0, fit = !none && gram_offsets_fit(nrow, row, ncol, col);
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE, i += i_row, j += j_row) {
        for (int64_t c = 0; c < lanes && fit; c += GRAM_LANES) {
            gram_vint at = gram_v_held(i + c * i_lane, i_lane, nrow) * (gram_int)row;
            at += gram_v_held(j + c * j_lane, j_lane, ncol) * (gram_int)col;
            gram_v_store(tile + c, gram_v_gather(base, at));
        }
        for (int64_t c = 0; c < lanes && !fit; c++) {
            tile[c] = none ? 0 : base[gram_held(i[c * i_lane], nrow) * row + gram_held(j[c * j_lane], ncol) * col];
        }
    }
}

/* gram_gather from a vector of n numbers, stride apart, with indices that go up by one from lane to lane: row r's begin
 * with i[r * i_row]. They are read as they stand, where none has to be held back. */
static inline void gram_gather_runs(gram_real *tile, int64_t rows, int64_t lanes, const gram_real *base, int64_t stride,
                                    int64_t n, const gram_int *i, int64_t i_row) {
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE, i += i_row) {
        int whole = stride == 1 && *i >= 0 && *i + GRAM_PADDED(lanes) <= n;
        for (int64_t c = 0; c < lanes && whole; c += GRAM_LANES) {
            gram_v_store(tile + c, gram_v_load(base + *i + c));
        }
        for (int64_t c = 0; c < lanes && !whole; c++) {
            tile[c] = n > 0 ? base[gram_held(*i + (gram_int)c, n) * stride] : 0;
        }
    }
}

/* The same for integers. */
static inline void gram_gatheri(gram_int *tile, int64_t rows, int64_t lanes, const int32_t *base, int64_t row,
                                int64_t nrow, const gram_int *i, int i_row, int i_lane, int64_t col, int64_t ncol,
                                const gram_int *j, int j_row, int j_lane) {
    int none = nrow <= 0 || ncol <= 0, fit = !none && gram_offsets_fit(nrow, row, ncol, col);
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE, i += i_row, j += j_row) {
        for (int64_t c = 0; c < lanes && fit; c += GRAM_LANES) {
            gram_vint at = gram_v_held(i + c * i_lane, i_lane, nrow) * (gram_int)row;
            at += gram_v_held(j + c * j_lane, j_lane, ncol) * (gram_int)col;
            gram_v_storei(tile + c, gram_v_gatheri(base, at));
        }
        for (int64_t c = 0; c < lanes && !fit; c++) {
            tile[c] = none ? 0 : base[gram_held(i[c * i_lane], nrow) * row + gram_held(j[c * j_lane], ncol) * col];
        }
    }
}

/* tile[r * GRAM_TILE + c] = start + r * row_step + c * lane_step */
static inline void gram_iota(gram_int *tile, int64_t rows, int64_t lanes, int64_t start, int row_step, int lane_step) {
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE) {
        gram_int first = (gram_int)(start + r * row_step);
        for (int64_t c = 0; c < lanes; c += GRAM_LANES) {
            gram_v_storei(tile + c, gram_v_iota((gram_int)c) * (gram_int)lane_step + first);
        }
    }
}

/* tile[r * ld + c] = value */
static inline void gram_fill(gram_real *tile, int64_t ld, int64_t rows, int64_t lanes, gram_real value) {
    for (int64_t r = 0; r < rows; r++, tile += ld) {
        for (int64_t c = 0; c < lanes; c++) {
            tile[c] = value;
        }
    }
}

/* tile[r * GRAM_TILE + c] = tile's value where kept's bits are set, else value. */
static inline void gram_tile_keep(gram_real *tile, const gram_bits *kept, int64_t rows, int64_t lanes,
                                  gram_real value) {
    for (int64_t r = 0; r < rows; r++, tile += GRAM_TILE, kept += GRAM_TILE) {
        for (int64_t c = 0; c < lanes; c += GRAM_LANES) {
            gram_vreal v = gram_v_where(gram_v_loadm(kept + c), gram_v_load(tile + c), gram_v_splat(value));
            gram_v_store(tile + c, v);
        }
    }
}

/* Is every number of rows x cols finite? (x - x is 0 only then.) */
static inline int gram_tile_finite(const gram_real *b, int64_t ldb, int64_t rows, int64_t cols) {
    const int64_t whole = cols / GRAM_LANES * GRAM_LANES;
    gram_vreal odd = gram_v_splat(0);
    gram_real rest = 0;
    for (int64_t k = 0; k < rows; k++, b += ldb) {
        for (int64_t c = 0; c < whole; c += GRAM_LANES) {
            gram_vreal v = gram_v_load(b + c);
            odd = odd + (v - v);
        }
        for (int64_t c = whole; c < cols; c++) {
            rest += b[c] - b[c];
        }
    }
    return gram_v_sum(odd) == 0 && rest == 0;
}

/* gram_tile_mul with add, of a tile some of whose entries are dropped, and 0: where kept's bits are not set, nothing is
 * added, even if b has NaN or an infinity there. Of columns past cols, which make the vectors whole, anything is. */
static inline void gram_tile_mul_kept(gram_real *out, int64_t ldo, const gram_real *a, const gram_bits *kept,
                                      const gram_real *b, int64_t ldb, int64_t rows, int64_t inner, int64_t cols) {
    if (gram_tile_finite(b, ldb, inner, cols)) {
        gram_tile_mul(out, ldo, a, GRAM_TILE, b, ldb, rows, inner, GRAM_PADDED(cols), 1);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < inner; k++) {
            for (int64_t c = 0; c < cols && kept[r * GRAM_TILE + k]; c++) {
                out[r * ldo + c] += a[r * GRAM_TILE + k] * b[k * ldb + c];
            }
        }
    }
}

/* out[l * ldo + c] += sum over r of a[r * GRAM_TILE + l] * b[r * ldb + c]: the product of a tile turned. Of columns
 * past cols, which make the vectors whole, anything is. */
static inline void gram_tile_mul_turned(gram_real *out, int64_t ldo, const gram_real *a, const gram_real *b,
                                        int64_t ldb, int64_t rows, int64_t lanes, int64_t cols) {
    gram_real turned[GRAM_TILE * GRAM_BLOCK];
    gram_turn(turned, GRAM_BLOCK, a, GRAM_TILE, rows, lanes);
    gram_tile_mul(out, ldo, turned, GRAM_BLOCK, b, ldb, lanes, rows, GRAM_PADDED(cols), 1);
}

/* The same of a tile some of whose entries are dropped, and 0: where kept's bits are not set, nothing is added. */
static inline void gram_tile_mul_turned_kept(gram_real *out, int64_t ldo, const gram_real *a, const gram_bits *kept,
                                             const gram_real *b, int64_t ldb, int64_t rows, int64_t lanes,
                                             int64_t cols) {
    if (gram_tile_finite(b, ldb, rows, cols)) {
        gram_tile_mul_turned(out, ldo, a, b, ldb, rows, lanes, cols);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t l = 0; l < lanes; l++) {
            for (int64_t c = 0; c < cols && kept[r * GRAM_TILE + l]; c++) {
                out[l * ldo + c] += a[r * GRAM_TILE + l] * b[r * ldb + c];
            }
        }
    }
}

/* out[l * step] += the sum of a tile's column l. */
static inline void gram_tile_sum_turned(gram_real *out, int64_t step, const gram_real *a, int64_t rows, int64_t lanes) {
    for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
        const int64_t valid = lanes - l < GRAM_LANES ? lanes - l : GRAM_LANES;
        gram_vreal sum = gram_v_splat(0);
        gram_real each[GRAM_LANES];
        for (int64_t r = 0; r < rows; r++) {
            sum = sum + gram_v_load(a + r * GRAM_TILE + l);
        }
        gram_v_store(each, sum);
        for (int64_t k = 0; k < valid; k++) {
            out[(l + k) * step] += each[k];
        }
    }
}

/* rows x cols zeros, with strides. */
static inline void gram_clear(gram_real *to, int64_t row, int64_t col, int64_t rows, int64_t cols) {
    for (int64_t c = 0; c < cols; c++) {
        for (int64_t r = 0; r < rows; r++) {
            to[r * row + c * col] = 0;
        }
    }
}

/* to += from, rows x cols, with strides. */
static inline void gram_add_to(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                               int64_t col, int64_t rows, int64_t cols) {
    for (int64_t c = 0; c < cols; c++) {
        for (int64_t r = 0; r < rows; r++) {
            to[r * to_row + c * to_col] += from[r * row + c * col];
        }
    }
}

/* to[i * row + j * col] += tile[r][l], where i is i[r * i_row + l * i_lane], held to 0 .. nrow - 1, and j likewise. */
static inline void gram_scatter(gram_real *to, int64_t row, int64_t nrow, int64_t col, int64_t ncol, int64_t rows,
                                int64_t lanes, const gram_real *tile, int64_t tile_row, int64_t tile_lane,
                                const gram_int *i, int64_t i_row, int64_t i_lane, const gram_int *j, int64_t j_row,
                                int64_t j_lane) {
    for (int64_t r = 0; r < rows && nrow > 0 && ncol > 0; r++) {
        for (int64_t l = 0; l < lanes; l++) {
            to[gram_held(i[r * i_row + l * i_lane], nrow) * row + gram_held(j[r * j_row + l * j_lane], ncol) * col] +=
                tile[r * tile_row + l * tile_lane];
        }
    }
}

#endif
