/* Softmax over tiles as they come, and the sums and maxima of their rows: a step, its end, and how the states of two
 * stretches of keys become one. See kernel.h on chunks. */

#ifndef GRAM_SOFTMAX_H

#define GRAM_SOFTMAX_H

#include "vmath.h"

/* Sets the lanes of a tile's row from cols on to value, as far as it is reduced. */
static inline void gram_row_end(gram_real *row, int64_t cols, gram_real value) {
    for (int64_t c = cols - cols % GRAM_LANES; c < GRAM_PADDED(cols); c += GRAM_LANES) {
        const gram_mask valid = gram_v_lt(gram_v_real(gram_v_iota((gram_int)c)), gram_v_splat((gram_real)cols));
        gram_v_store(row + c, gram_v_where(valid, gram_v_load(row + c), gram_v_splat(value)));
    }
}

/* The greatest of each of a tile's rows, NaN left aside. */
static inline GRAM_ALWAYS void gram_rows_top(gram_real *top, const gram_real *row, const int rows, const int cols) {
    gram_vreal all[GRAM_SQUARE];
    GRAM_UNROLL
    for (int r = 0; r < rows; r++) {
        all[r] = gram_v_above(gram_v_load(row + r * GRAM_TILE), gram_v_splat(-INFINITY));
        for (int c = GRAM_LANES; c < cols; c += GRAM_LANES) {
            all[r] = gram_v_above(gram_v_load(row + r * GRAM_TILE + c), all[r]);
        }
    }
    gram_v_tops(top, all, rows);
}

/* Of each of a tile's rows, s becomes e^(s - max), 0 while max is -inf; sum gains theirs. */
static inline GRAM_ALWAYS void gram_rows_weigh(gram_real *sum, gram_real *row, const gram_real *max, const int rows,
                                               const int cols) {
    gram_vreal all[GRAM_SQUARE];
    gram_real gained[GRAM_SQUARE];
    GRAM_UNROLL
    for (int r = 0; r < rows; r++) {
        const gram_real base = max[r] > -INFINITY ? max[r] : 0;
        all[r] = gram_v_splat(0);
        for (int c = 0; c < cols; c += GRAM_LANES) {
            const gram_vreal weight = gram_v_exp_weight(gram_v_load(row + r * GRAM_TILE + c) - base);
            gram_v_store(row + r * GRAM_TILE + c, weight);
            all[r] = all[r] + weight;
        }
    }
    gram_v_sums(gained, all, rows);
    for (int r = 0; r < rows; r++) {
        sum[r] += gained[r];
    }
}

/* Weights by another maximum than their own may add up to this in a few rows of a tile: a number far from the ends of
 * its range, and far above what they add up to where scores keep to their range. */
#define GRAM_MOST_WEIGHT 4096

/* gram_rows_weigh of GRAM_SQUARE rows of a whole tile by the maxima of the tiles before, whatever their own are. Is it
 * done? It is not, and nothing is written, where scores are far above these maxima, NaN, or the first. */
static inline GRAM_ALWAYS int gram_rows_weighed(gram_real *sum, gram_real *row, const gram_real *max) {
    gram_vreal weight[GRAM_SQUARE][GRAM_TILE / GRAM_LANES], all[GRAM_SQUARE];
    gram_real gained[GRAM_SQUARE], total = 0;
    GRAM_UNROLL
    for (int r = 0; r < GRAM_SQUARE; r++) {
        all[r] = gram_v_splat(0);
        GRAM_UNROLL
        for (int v = 0; v < GRAM_TILE / GRAM_LANES; v++) {
            weight[r][v] = gram_v_exp_weight(gram_v_load(row + r * GRAM_TILE + v * GRAM_LANES) - max[r]);
            all[r] = all[r] + weight[r][v];
        }
    }
    gram_v_sums(gained, all, GRAM_SQUARE);
    for (int r = 0; r < GRAM_SQUARE; r++) {
        total += gained[r];
    }
    if (!(total <= GRAM_MOST_WEIGHT)) {
        return 0;
    }
    GRAM_UNROLL
    for (int r = 0; r < GRAM_SQUARE; r++) {
        sum[r] += gained[r];
        GRAM_UNROLL
        for (int v = 0; v < GRAM_TILE / GRAM_LANES; v++) {
            gram_v_store(row + r * GRAM_TILE + v * GRAM_LANES, weight[r][v]);
        }
    }
    return 1;
}

/* What a row has in sum and in out, width numbers wide, is multiplied by e^by. */
static inline void gram_row_scale(gram_real *out, int64_t width, gram_real *sum, gram_real by) {
    gram_vreal scale = gram_v_exp_weight(gram_v_splat(by));
    gram_real lane[GRAM_LANES];
    gram_v_store(lane, scale);
    *sum *= lane[0];
    for (int64_t c = 0; c < width; c += GRAM_LANES) {
        gram_v_store(out + c, gram_v_load(out + c) * scale);
    }
}

/* Rows' maxima become those with a tile's rows, and what they have is scaled down where one grows: where there is
 * something, which is not so while the maximum is -inf. */
static inline GRAM_ALWAYS void gram_rows_raise(const gram_real *s, const int rows, const int cols, gram_real *max,
                                               gram_real *sum, gram_real *out, int64_t ldo, int64_t width) {
    gram_real top[GRAM_SQUARE];
    gram_rows_top(top, s, rows, cols);
    for (int r = 0; r < rows; r++) {
        if (top[r] > max[r] && max[r] > -INFINITY) {
            gram_row_scale(out + r * ldo, width, &sum[r], max[r] - top[r]);
        }
        max[r] = top[r] > max[r] ? top[r] : max[r];
    }
}

/* A few rows of gram_tile_softmax, of whole vectors, by their own maxima. */
static inline GRAM_ALWAYS void gram_softmax_few(gram_real *s, const int rows, const int cols, gram_real *max,
                                                gram_real *sum, gram_real *out, int64_t ldo, int64_t width) {
    gram_rows_raise(s, rows, cols, max, sum, out, ldo, width);
    gram_rows_weigh(sum, s, max, rows, cols);
}

/* gram_tile_softmax of whole vectors; cols is a constant for whole tiles, whose loops are unrolled. */
static inline GRAM_ALWAYS void gram_softmax_rows(gram_real *s, int64_t rows, const int cols, gram_real *max,
                                                 gram_real *sum, gram_real *out, int64_t ldo, int64_t width) {
    const int64_t whole = rows - rows % GRAM_SQUARE;
    for (int64_t r = 0; r < whole; r += GRAM_SQUARE) {
        const int first = max[r] == -INFINITY;
        if (first || cols < GRAM_TILE || !gram_rows_weighed(sum + r, s + r * GRAM_TILE, max + r)) {
            gram_softmax_few(s + r * GRAM_TILE, GRAM_SQUARE, cols, max + r, sum + r, out + r * ldo, ldo, width);
        }
    }
    for (int64_t r = whole; r < rows; r++) {
        gram_softmax_few(s + r * GRAM_TILE, 1, cols, max + r, sum + r, out + r * ldo, ldo, width);
    }
}

/* One step of the online softmax (Milakov and Gimelshein, 2018), a few rows at a time. s holds scores, of which cols
 * lanes are valid, and becomes the weights e^(s - max), 0 beyond cols; sum gains theirs. max is the greatest score, or
 * one so near below that weights add up to GRAM_MOST_WEIGHT a tile at most: then it need not be looked for. It comes
 * off before anything is multiplied, so that scores of any size keep their differences. Where a row's max grows, what
 * it has in sum and in out[r * ldo], width numbers wide, is scaled down to the new one. max starts as -inf, and while
 * it is so the weights and the sum are 0. A NaN among the scores, or +inf, makes the sum NaN. */
static inline void gram_tile_softmax(gram_real *s, int64_t rows, int64_t cols, gram_real *max, gram_real *sum,
                                     gram_real *out, int64_t ldo, int64_t width) {
    for (int64_t r = 0; r < rows && cols < GRAM_PADDED(cols); r++) {
        gram_row_end(s + r * GRAM_TILE, cols, -INFINITY);
    }
    if (GRAM_PADDED(cols) == GRAM_TILE) {
        gram_softmax_rows(s, rows, GRAM_TILE, max, sum, out, ldo, width);
    } else {
        gram_softmax_rows(s, rows, (int)GRAM_PADDED(cols), max, sum, out, ldo, width);
    }
}

/* Joins what two stretches of keys gave: rows x width sums, then the rows' maxima, then their sums of weights, as
 * gram_tile_softmax leaves them. `to` becomes what both together would have given. */
static inline void gram_merge_softmax(gram_real *to, const gram_real *from, int64_t rows, int64_t width) {
    gram_real *max = to + rows * width, *sum = max + rows;
    const gram_real *from_max = from + rows * width, *from_sum = from_max + rows;
    for (int64_t r = 0; r < rows; r++) {
        gram_real top = max[r] > from_max[r] ? max[r] : from_max[r], base = top > -INFINITY ? top : 0;
        gram_real factor[2][GRAM_LANES];
        gram_vreal own = gram_v_exp_weight(gram_v_splat(max[r] - base));
        gram_vreal other = gram_v_exp_weight(gram_v_splat(from_max[r] - base));
        gram_v_store(factor[0], own);
        gram_v_store(factor[1], other);
        for (int64_t c = 0; c < width; c += GRAM_LANES) {
            gram_vreal v = gram_v_load(to + r * width + c) * own + gram_v_load(from + r * width + c) * other;
            gram_v_store(to + r * width + c, v);
        }
        sum[r] = sum[r] * factor[0][0] + from_sum[r] * factor[1][0];
        max[r] = top;
    }
}

/* to += from */
static inline void gram_merge_sums(gram_real *to, const gram_real *from, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        to[k] += from[k];
    }
}

/* to becomes the greater of both, NaN if either is. */
static inline void gram_merge_maxima(gram_real *to, const gram_real *from, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        to[k] = to[k] > from[k] || to[k] != to[k] ? to[k] : from[k];
    }
}

/* sum[r] += the sum of row r's first cols lanes. */
static inline void gram_tile_sum(gram_real *sum, const gram_real *s, int64_t rows, int64_t cols) {
    for (int64_t r = 0; r < rows; r++, s += GRAM_TILE) {
        gram_vreal all = gram_v_splat(0);
        const int64_t whole = cols - cols % GRAM_LANES;
        for (int64_t c = 0; c < whole; c += GRAM_LANES) {
            all = all + gram_v_load(s + c);
        }
        for (int64_t c = whole; c < cols; c++) {
            sum[r] += s[c];
        }
        sum[r] += gram_v_sum(all);
    }
}

/* max[r] = the greatest of max[r] and row r's first cols lanes, NaN if one is. */
static inline void gram_tile_max(gram_real *max, const gram_real *s, int64_t rows, int64_t cols) {
    for (int64_t r = 0; r < rows; r++, s += GRAM_TILE) {
        gram_vreal all = gram_v_splat(max[r]);
        const int64_t whole = cols - cols % GRAM_LANES;
        for (int64_t c = 0; c < whole; c += GRAM_LANES) {
            all = gram_v_max(all, gram_v_load(s + c));
        }
        for (int64_t c = whole; c < cols; c++) {
            all = gram_v_max(all, gram_v_splat(s[c]));
        }
        max[r] = gram_v_maximum(all);
    }
}

/* Ends an online softmax: out[r * ldo + c] /= sum[r] for c < width, 0 where nothing was summed. */
static inline void gram_tile_finish(gram_real *out, int64_t ldo, const gram_real *sum, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; r++, out += ldo) {
        gram_vreal scale = gram_v_splat(sum[r] == 0 ? 0 : 1 / sum[r]);
        for (int64_t c = 0; c < width; c += GRAM_LANES) {
            gram_v_store(out + c, gram_v_load(out + c) * scale);
        }
    }
}

/* logsum[r] = log(sum[r]) */
static inline void gram_tile_logsum(gram_real *logsum, const gram_real *sum, int64_t rows) {
    for (int64_t r = 0; r < rows; r += GRAM_LANES) {
        gram_v_store(logsum + r, gram_v_log(gram_v_load(sum + r)));
    }
}

/* lse[r] = the log-sum-exp of what an online softmax has seen: +inf where that was among it, though the sum is NaN. */
static inline void gram_tile_logsumexp(gram_real *lse, const gram_real *max, const gram_real *sum, int64_t rows) {
    for (int64_t r = 0; r < rows; r += GRAM_LANES) {
        const gram_vreal top = gram_v_load(max + r), all = top + gram_v_log(gram_v_load(sum + r));
        gram_v_store(lse + r, gram_v_where(gram_v_eq(top, gram_v_splat(INFINITY)), top, all));
    }
}

#endif
