/* What a walk over causal products does to the sums of the keys it has passed. Sums that decay are held as numbers
 * times e^base, where base is the greatest exponent among their keys, as an online softmax holds its own: so none
 * overflows unless a coefficient itself does. See kernel.h on chunks. */

#ifndef GRAM_LINEAR_H

#define GRAM_LINEAR_H

#include "tile.h"

/* to = from */
static inline void gram_copy(gram_real *to, const gram_real *from, int64_t count) {
    memcpy(to, from, (size_t)count * sizeof *to);
}

/* to = a + b */
static inline void gram_sum_two(gram_real *to, const gram_real *a, const gram_real *b, int64_t count) {
    for (int64_t k = 0; k < count; k += GRAM_LANES) {
        gram_v_store(to + k, gram_v_load(a + k) + gram_v_load(b + k));
    }
}

/* e^(from - to), 0 from -inf. */
static inline gram_real gram_base_factor(gram_real from, gram_real to) {
    gram_real factor[GRAM_LANES];
    gram_v_store(factor, gram_v_exp(gram_v_splat(from > -INFINITY || from != from ? from - to : -INFINITY)));
    return factor[0];
}

/* Sums that decay have their base after them. to = a + b at the greater base, where a's has grown. */
static inline void gram_sum_two_based(gram_real *to, const gram_real *a, gram_real grown, const gram_real *b,
                                      int64_t count) {
    const gram_real a_base = a[count] + grown, b_base = b[count], base = a_base > b_base ? a_base : b_base;
    const gram_real a_by = gram_base_factor(a_base, base), b_by = gram_base_factor(b_base, base);
    for (int64_t k = 0; k < count; k += GRAM_LANES) {
        gram_v_store(to + k, gram_v_load(a + k) * a_by + gram_v_load(b + k) * b_by);
    }
    to[count] = base;
}

/* Sums whose base has grown are to take in keys with exponents x: they are scaled to the greatest of all. */
static inline void gram_sums_raise(gram_real *sums, gram_real grown, int64_t count, const gram_real *x, int64_t lanes) {
    const gram_real base = sums[count] + grown;
    gram_real top = base;
    for (int64_t l = 0; l < lanes; l++) {
        top = x[l] > top ? x[l] : top;
    }
    const gram_real by = gram_base_factor(base, top);
    for (int64_t k = 0; k < count && top > base; k += GRAM_LANES) {
        gram_v_store(sums + k, gram_v_load(sums + k) * by);
    }
    sums[count] = top;
}

/* weight[k] = e^(x[k * step] - base) for k < count; a base of -inf counts as 0. */
static inline void gram_weights(gram_real *weight, const gram_real *x, int64_t step, int64_t count, gram_real base) {
    const gram_real from = base > -INFINITY || base != base ? base : 0;
    for (int64_t k = 0; k < count; k++) {
        weight[k] = x[k * step] - from;
    }
    for (int64_t k = 0; k < count; k += GRAM_LANES) {
        gram_v_store(weight + k, gram_v_exp(gram_v_load(weight + k)));
    }
}

/* weight[k] *= by[k * step] */
static inline void gram_weights_times(gram_real *weight, const gram_real *by, int64_t step, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        weight[k] *= by[k * step];
    }
}

/* Every lane of a panel, inner rows of GRAM_TILE, times its weight. */
static inline void gram_weigh_lanes(gram_real *panel, const gram_real *weight, int64_t lanes, int64_t inner) {
    for (int64_t k = 0; k < inner; k++) {
        for (int64_t l = 0; l < lanes; l++) {
            panel[k * GRAM_TILE + l] *= weight[l];
        }
    }
}

/* to[k * step] += the sum of row k of a panel, for inner rows; lanes beyond the last key are 0. */
static inline void gram_panel_sums(gram_real *to, int64_t step, const gram_real *panel, int64_t inner) {
    for (int64_t k = 0; k < inner; k++) {
        gram_vreal sum = gram_v_load(panel + k * GRAM_TILE);
        for (int64_t l = GRAM_LANES; l < GRAM_TILE; l += GRAM_LANES) {
            sum = sum + gram_v_load(panel + k * GRAM_TILE + l);
        }
        to[k * step] += gram_v_sum(sum);
    }
}

/* to[r] = from[r * step] */
static inline void gram_column(gram_real *to, const gram_real *from, int64_t step, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        to[r] = from[r * step];
    }
}

/* Where coefficients have a slope, each row of sums has a second half: the same sums times the slope of each. Seen from
 * where the slope is greater by so much, the second half of inner rows is: */
static inline void gram_sums_lean(gram_real *sums, gram_real by, int64_t inner, int64_t half) {
    for (int64_t r = 0; r < inner; r++) {
        gram_real *const row = sums + 2 * half * r;
        for (int64_t c = 0; c < half; c += GRAM_LANES) {
            gram_v_store(row + half + c, gram_v_load(row + half + c) + gram_v_load(row + c) * by);
        }
    }
}

/* to[k] = from[k * step] - base for k < count. */
static inline void gram_differences(gram_real *to, const gram_real *from, int64_t step, int64_t count, gram_real base) {
    for (int64_t k = 0; k < count; k++) {
        to[k] = from[k * step] - base;
    }
}

/* The first half of each row = the second + by[r] times the first. */
static inline void gram_lean_rows(gram_real *to, int64_t half, const gram_real *by, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        gram_real *const row = to + 2 * half * r;
        for (int64_t c = 0; c < half; c += GRAM_LANES) {
            gram_v_store(row + c, gram_v_load(row + half + c) + gram_v_load(row + c) * by[r]);
        }
    }
}

/* Every row, width numbers wide, times its weight. */
static inline void gram_weigh_rows(gram_real *to, int64_t width, const gram_real *weight, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < width; c += GRAM_LANES) {
            gram_v_store(to + r * width + c, gram_v_load(to + r * width + c) * weight[r]);
        }
    }
}

#endif
