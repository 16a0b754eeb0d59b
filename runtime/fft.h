/* Circular and causal convolution along tokens by the fast Fourier transform, O(n log n) for any n. See kernel.h on
 * chunks.
 *
 * A block is GRAM_PAD complex channels of a length: row t is GRAM_PAD real parts, then as many imaginary ones, so that
 * every step of a transform works on whole vectors. Two real channels make a complex one, because what they are
 * convolved with is real. The transform is in place, by decimation in frequency, and leaves its frequencies in the
 * order of reversed digits; products do not mind, and the inverse starts from there. It recurses, so that halves,
 * quarters and so on fit the caches.
 *
 * Lengths are products of 2, 3 and 5. A cycle of another length is convolved without wrapping around, in a length of
 * twice that or more. */

#ifndef GRAM_FFT_H

#define GRAM_FFT_H

#include "tile.h"

/* Numbers in a row of a block. */
#define GRAM_FFT_ROW (2 * GRAM_PAD)

/* What entry (i, j) of the matrix w stands for is: w[(j - i) mod n], or one or both of: w[(i - j) mod n], and 0 for
 * what would wrap around; or with causal the softmax down each column of w[j - i], i <= j, reversed its transpose. */
enum { GRAM_FFT_REVERSED = 1, GRAM_FFT_CAUSAL = 2, GRAM_FFT_SOFTMAX = 4 };

/* Is n a product of 2, 3 and 5? */
static inline int gram_fft_smooth(int64_t n) {
    for (int64_t p = 2; p <= 5; p++) {
        while (n > 1 && n % p == 0) {
            n /= p;
        }
    }
    return n <= 1;
}

/* The length of the transforms for n tokens: n itself, or the next that has room for every difference of two tokens. */
static inline int64_t gram_fft_length(int64_t n, int mode) {
    int64_t length = mode & GRAM_FFT_CAUSAL ? 2 * n - 1 : n;
    if (n <= 1) {
        return 1;
    }
    if (!gram_fft_smooth(length)) {
        length = 2 * n - 1;
    }
    while (!gram_fft_smooth(length)) {
        length++;
    }
    return length;
}

/* The reals of scratch that n tokens need: factors and a spectrum, and two blocks; of a softmax, weights and scales. */
static inline int64_t gram_fft_room(int64_t n, int mode) {
    return gram_fft_length(n, mode) * (4 + 2 * GRAM_FFT_ROW) + (mode & GRAM_FFT_SOFTMAX ? 2 * n : 0);
}

/* The first factor of a length. */
static inline int gram_fft_radix(int64_t length) {
    return length % 4 == 0 ? 4 : length % 2 == 0 ? 2 : length % 3 == 0 ? 3 : 5;
}

/* The factors exp(-2 pi i q k / length) of each level, for k, and q from 1 up: `length` complex numbers in all, at the
 * start of the scratch. Each is the product of two of about 2 sqrt(length) roots, so that few sines are computed. */
static inline void gram_fft_factors(gram_real *scratch, int64_t length) {
    const double turn = -6.283185307179586476925 / (double)length;
    int64_t step = 1;
    while (step * step < length) {
        step *= 2;
    }
    double *const fine = (double *)(void *)(scratch + 4 * length), *const coarse = fine + 2 * step;
    for (int64_t t = 0; t < step; t++) {
        fine[2 * t] = cos(turn * (double)t);
        fine[2 * t + 1] = sin(turn * (double)t);
        coarse[2 * t] = cos(turn * (double)(t * step));
        coarse[2 * t + 1] = sin(turn * (double)(t * step));
    }
    for (int64_t n = length; n > 1;) {
        const int64_t radix = gram_fft_radix(n), m = n / radix, apart = length / n;
        for (int64_t k = 0; k < m; k++) {
            for (int64_t q = 1; q < radix; q++, scratch += 2) {
                const int64_t at = q * k * apart;
                const double *const a = coarse + at / step * 2, *const b = fine + at % step * 2;
                scratch[0] = (gram_real)(a[0] * b[0] - a[1] * b[1]);
                scratch[1] = (gram_real)(a[0] * b[1] + a[1] * b[0]);
            }
        }
        n = m;
    }
}

/* Complex numbers, a vector of them. */
typedef struct gram_fft_vector {
    gram_vreal re, im;
} gram_fft_vector;

/* (c + i s) a */
static inline GRAM_ALWAYS gram_fft_vector gram_fft_times(gram_fft_vector a, gram_real c, gram_real s) {
    gram_fft_vector to = {c * a.re - s * a.im, c * a.im + s * a.re};
    return to;
}

/* a + c b */
static inline GRAM_ALWAYS gram_fft_vector gram_fft_along(gram_fft_vector a, gram_real c, gram_fft_vector b) {
    gram_fft_vector to = {a.re + c * b.re, a.im + c * b.im};
    return to;
}

/* a + i s b */
static inline GRAM_ALWAYS gram_fft_vector gram_fft_across(gram_fft_vector a, gram_real s, gram_fft_vector b) {
    gram_fft_vector to = {a.re - s * b.im, a.im + s * b.re};
    return to;
}

/* The discrete Fourier transform of 4 numbers, in place. */
static inline GRAM_ALWAYS void gram_fft_four(gram_fft_vector *a) {
    const gram_fft_vector even = gram_fft_along(a[0], 1, a[2]), odd = gram_fft_along(a[1], 1, a[3]);
    const gram_fft_vector x = gram_fft_along(a[0], -1, a[2]), y = gram_fft_along(a[1], -1, a[3]);
    a[0] = gram_fft_along(even, 1, odd);
    a[1] = gram_fft_across(x, -1, y);
    a[2] = gram_fft_along(even, -1, odd);
    a[3] = gram_fft_across(x, 1, y);
}

/* Of 3 numbers. */
static inline GRAM_ALWAYS void gram_fft_three(gram_fft_vector *a) {
    const gram_real c = (gram_real)-0.5, s = (gram_real)-0.86602540378443864676;
    const gram_fft_vector sum = gram_fft_along(a[1], 1, a[2]), difference = gram_fft_along(a[1], -1, a[2]);
    const gram_fft_vector x = gram_fft_along(a[0], c, sum);
    a[0] = gram_fft_along(a[0], 1, sum);
    a[1] = gram_fft_across(x, s, difference);
    a[2] = gram_fft_across(x, -s, difference);
}

/* Of 5 numbers. */
static inline GRAM_ALWAYS void gram_fft_five(gram_fft_vector *a) {
    const gram_real c = (gram_real)0.30901699437494742410, s = (gram_real)-0.95105651629515357212;
    const gram_real d = (gram_real)-0.80901699437494742410, t = (gram_real)-0.58778525229247312917;
    const gram_fft_vector u = gram_fft_along(a[1], 1, a[4]), v = gram_fft_along(a[2], 1, a[3]);
    const gram_fft_vector x = gram_fft_along(a[1], -1, a[4]), y = gram_fft_along(a[2], -1, a[3]);
    const gram_fft_vector p = gram_fft_along(gram_fft_along(a[0], c, u), d, v);
    const gram_fft_vector q = gram_fft_along(gram_fft_along(a[0], d, u), c, v);
    a[0] = gram_fft_along(gram_fft_along(a[0], 1, u), 1, v);
    a[1] = gram_fft_across(gram_fft_across(p, s, x), t, y);
    a[2] = gram_fft_across(gram_fft_across(q, t, x), -s, y);
    a[3] = gram_fft_across(gram_fft_across(q, -t, x), s, y);
    a[4] = gram_fft_across(gram_fft_across(p, -s, x), -t, y);
}

/* Of `radix` numbers. */
static inline GRAM_ALWAYS void gram_fft_small(gram_fft_vector *a, int radix) {
    if (radix == 2) {
        const gram_fft_vector x = a[0];
        a[0] = gram_fft_along(x, 1, a[1]);
        a[1] = gram_fft_along(x, -1, a[1]);
    } else if (radix == 3) {
        gram_fft_three(a);
    } else if (radix == 4) {
        gram_fft_four(a);
    } else {
        gram_fft_five(a);
    }
}

/* One level: rows k, k + m, k + 2m ... of a block of `radix` m rows are transformed together, for each k. Forward, the
 * results are then multiplied by their factors; backward the numbers are, by the conjugates, before. */
static inline GRAM_ALWAYS void gram_fft_level(gram_real *block, int64_t m, int radix, int backward, const gram_real *factors) {
    for (int64_t k = 0; k < m; k++, factors += 2 * (radix - 1)) {
        for (int l = 0; l < GRAM_PAD; l += GRAM_LANES) {
            gram_fft_vector a[5];
            gram_real *const row = block + k * GRAM_FFT_ROW + l;
            GRAM_UNROLL
            for (int q = 0; q < radix; q++) {
                a[q].re = gram_v_load(row + q * m * GRAM_FFT_ROW);
                a[q].im = gram_v_load(row + q * m * GRAM_FFT_ROW + GRAM_PAD);
                if (backward && q > 0) {
                    a[q] = gram_fft_times(a[q], factors[2 * q - 2], -factors[2 * q - 1]);
                }
            }
            gram_fft_small(a, radix);
            GRAM_UNROLL
            for (int q = 0; q < radix; q++) {
                const int to = backward && q > 0 ? radix - q : q;
                if (!backward && q > 0) {
                    a[q] = gram_fft_times(a[q], factors[2 * q - 2], factors[2 * q - 1]);
                }
                gram_v_store(row + to * m * GRAM_FFT_ROW, a[q].re);
                gram_v_store(row + to * m * GRAM_FFT_ROW + GRAM_PAD, a[q].im);
            }
        }
    }
}

/* The level of a block's first radix. */
static inline void gram_fft_step(gram_real *block, int64_t length, int backward, const gram_real *factors) {
    const int radix = gram_fft_radix(length);
    if (radix == 4 && backward) {
        gram_fft_level(block, length / 4, 4, 1, factors);
    } else if (radix == 4) {
        gram_fft_level(block, length / 4, 4, 0, factors);
    } else if (radix == 2) {
        gram_fft_level(block, length / 2, 2, backward, factors);
    } else if (radix == 3) {
        gram_fft_level(block, length / 3, 3, backward, factors);
    } else {
        gram_fft_level(block, length / 5, 5, backward, factors);
    }
}

/* The transform of a block in place, or backward from it, without the division by the length. */
static inline void gram_fft(gram_real *block, int64_t length, int backward, const gram_real *factors) {
    if (length <= 1) {
        return;
    }
    const int radix = gram_fft_radix(length);
    const int64_t m = length / radix;
    if (!backward) {
        gram_fft_step(block, length, 0, factors);
    }
    for (int q = 0; q < radix && m > 1; q++) {
        gram_fft(block + q * m * GRAM_FFT_ROW, m, backward, factors + 2 * m * (radix - 1));
    }
    if (backward) {
        gram_fft_step(block, length, 1, factors);
    }
}

/* Lane l of row t of a block: channel l, and channel GRAM_PAD + l as its imaginary part, times scale[t] (NULL: 1).
 * Channels that are not there are 0, and so are the rows from n on. */
static inline void gram_fft_read(gram_real *block, int64_t length, const gram_real *from, int64_t row, int64_t col,
                                 int64_t channels, int64_t n, const gram_real *scale) {
    const int64_t lanes = channels < GRAM_FFT_ROW ? channels : GRAM_FFT_ROW;
    for (int64_t t = 0; t < n; t++, block += GRAM_FFT_ROW, from += col) {
        if (row == 1 && lanes == GRAM_FFT_ROW && !scale) {
            memcpy(block, from, GRAM_FFT_ROW * sizeof *block);
            continue;
        }
        for (int64_t l = 0; l < GRAM_FFT_ROW; l++) {
            block[l] = l < lanes ? from[l * row] * (scale ? scale[t] : 1) : 0;
        }
    }
    memset(block, 0, (size_t)((length - n) * GRAM_FFT_ROW) * sizeof *block);
}

/* The first n rows of a block, to where gram_fft_read reads them. */
static inline void gram_fft_write(gram_real *to, int64_t row, int64_t col, int64_t channels, const gram_real *block, int64_t n) {
    const int64_t lanes = channels < GRAM_FFT_ROW ? channels : GRAM_FFT_ROW;
    for (int64_t t = 0; t < n; t++, block += GRAM_FFT_ROW, to += col) {
        if (row == 1 && lanes == GRAM_FFT_ROW) {
            memcpy(to, block, GRAM_FFT_ROW * sizeof *block);
            continue;
        }
        for (int64_t l = 0; l < lanes; l++) {
            to[l * row] = block[l];
        }
    }
}

/* The spectrum of w, n numbers `step` apart, over the length: what the transform of a block is to be multiplied by. */
static inline void gram_fft_spectrum(gram_real *spectrum, gram_real *block, const gram_real *factors, int64_t length,
                                     const gram_real *w, int64_t step, int64_t n, int mode) {
    memset(block, 0, (size_t)(length * GRAM_FFT_ROW) * sizeof *block);
    for (int64_t lag = mode & GRAM_FFT_CAUSAL || length == n ? 0 : 1 - n; lag < n; lag++) {
        const int64_t at = mode & GRAM_FFT_REVERSED ? -lag : lag;
        block[(at < 0 ? at + length : at) * GRAM_FFT_ROW] = w[(lag < 0 ? lag + n : lag) * step];
    }
    gram_fft(block, length, 0, factors);
    for (int64_t t = 0; t < length; t++) {
        spectrum[2 * t] = block[t * GRAM_FFT_ROW] / (gram_real)length;
        spectrum[2 * t + 1] = block[t * GRAM_FFT_ROW + GRAM_PAD] / (gram_real)length;
    }
}

/* Each row of a block times its number of a spectrum. */
static inline void gram_fft_scale(gram_real *block, const gram_real *spectrum, int64_t length) {
    for (int64_t t = 0; t < length; t++, block += GRAM_FFT_ROW) {
        for (int l = 0; l < GRAM_PAD; l += GRAM_LANES) {
            const gram_fft_vector x = {gram_v_load(block + l), gram_v_load(block + GRAM_PAD + l)};
            const gram_fft_vector y = gram_fft_times(x, spectrum[2 * t], spectrum[2 * t + 1]);
            gram_v_store(block + l, y.re);
            gram_v_store(block + GRAM_PAD + l, y.im);
        }
    }
}

/* gram_fft_convolve of from with each column times its number of scale (NULL: 1). */
static inline void gram_fft_convolve_scaled(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                            int64_t col, int64_t rows, const gram_real *w, int64_t step, int64_t n, int mode,
                                            const gram_real *scale, gram_real *scratch) {
    const int64_t length = gram_fft_length(n, mode);
    gram_real *const spectrum = scratch + 2 * length, *const block = spectrum + 2 * length;
    if (n <= 0) {
        return;
    }
    gram_fft_spectrum(spectrum, block, scratch, length, w, step, n, mode);
    for (int64_t c = 0; c < rows; c += GRAM_FFT_ROW) {
        gram_fft_read(block, length, from + c * row, row, col, rows - c, n, scale);
        gram_fft(block, length, 0, scratch);
        gram_fft_scale(block, spectrum, length);
        gram_fft(block, length, 1, scratch);
        gram_fft_write(to + c * to_row, to_row, to_col, rows - c, block, n);
    }
}

/* to (rows x n) = from (rows x n) times the n x n matrix that w (n numbers, step apart) and the mode stand for.
 * scratch: gram_fft_room reals, which begin with the factors of the length. */
static inline void gram_fft_convolve(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                     int64_t col, int64_t rows, const gram_real *w, int64_t step, int64_t n, int mode,
                                     gram_real *scratch) {
    gram_fft_convolve_scaled(to, to_row, to_col, from, row, col, rows, w, step, n, mode, NULL, scratch);
}

/* A softmax of z[j - i] down each column j, i <= j, is a causal convolution with exp(z), divided by running sums. Its
 * first columns, for which a Fourier transform rounds too much, are summed up term by term, and all are where z's range
 * would drown the early tokens in the rounding of the late ones: where all the weights' squares are greater than those
 * of the first by more than this. */
enum { GRAM_FFT_FIRST = 128, GRAM_FFT_RANGE = 1024 };

/* weight[k] = exp(z[k]) relative to the greatest, and scale[j] = 1 / the sum of the weights from 0 to j, but 0 for the
 * columns that are summed up term by term, whose number is the result. */
static inline int64_t gram_fft_scales(gram_real *weight, gram_real *scale, const gram_real *z, int64_t step, int64_t n) {
    double most = -INFINITY, first = 0, all = 0, sum = 0;
    for (int64_t k = 0; k < n; k++) {
        most = (double)z[k * step] > most ? (double)z[k * step] : most;
    }
    for (int64_t k = 0; k < n; k++) {
        const double e = exp((double)z[k * step] - most);
        weight[k] = (gram_real)e;
        sum += (double)weight[k];
        scale[k] = k < GRAM_FFT_FIRST ? 0 : (gram_real)(1 / sum);
        all += e * e;
        first = k < GRAM_FFT_FIRST ? all : first;
    }
    return n > 2 * GRAM_FFT_FIRST && all <= GRAM_FFT_RANGE * first ? GRAM_FFT_FIRST : n;
}

/* Column j of the softmax, from column j - 1 and its *most and *sum: entry j - k is weight[k] * the result. Weights are
 * relative to the greatest so far, whatever comes later. */
static inline gram_real gram_fft_weights(gram_real *weight, gram_real *most, gram_real *sum, const gram_real *z, int64_t step,
                                         int64_t j) {
    const int grows = z[j * step] > *most;
    *most = grows ? z[j * step] : *most;
    *sum = grows ? 0 : *sum;
    for (int64_t k = grows ? 0 : j; k <= j; k++) {
        weight[k] = *most > -INFINITY || z[k * step] != z[k * step] ? (gram_real)exp((double)(z[k * step] - *most)) : 0;
        *sum += weight[k];
    }
    return *sum != 0 ? 1 / *sum : 0;
}

/* Columns 0 to count of from times the softmax, as columns 0 to count of to; or, in reversed mode, times its transpose,
 * added to to. weight: count reals. */
static inline void gram_fft_means(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                  int64_t col, int64_t rows, const gram_real *z, int64_t step, int64_t count, int mode,
                                  gram_real *weight) {
    gram_real most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        const gram_real share = gram_fft_weights(weight, &most, &sum, z, step, j);
        for (int64_t r = 0; r < rows && !(mode & GRAM_FFT_REVERSED); r++) {
            to[r * to_row + j * to_col] = 0;
        }
        for (int64_t i = 0; i <= j; i++) {
            const int64_t at = mode & GRAM_FFT_REVERSED ? i : j, of = mode & GRAM_FFT_REVERSED ? j : i;
            for (int64_t r = 0; r < rows; r++) {
                to[r * to_row + at * to_col] += weight[j - i] * share * from[r * row + of * col];
            }
        }
    }
}

/* to = from (rows x n) times the softmax down each column of z[j - i], i <= j, or in reversed mode its transpose.
 * scratch as for gram_fft_convolve. */
static inline void gram_fft_softmax(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                    int64_t col, int64_t rows, const gram_real *z, int64_t step, int64_t n, int mode,
                                    gram_real *scratch) {
    gram_real *const weight = scratch + (4 + 2 * GRAM_FFT_ROW) * gram_fft_length(n, mode), *const scale = weight + n;
    const int64_t slow = gram_fft_scales(weight, scale, z, step, n);
    const int back = mode & GRAM_FFT_REVERSED;
    if (slow < n) {
        gram_fft_convolve_scaled(to, to_row, to_col, from, row, col, rows, weight, 1, n, mode, back ? scale : NULL, scratch);
    }
    for (int64_t j = 0; j < n && (slow == n || !back); j++) {
        for (int64_t r = 0; r < rows; r++) {
            to[r * to_row + j * to_col] = slow < n ? to[r * to_row + j * to_col] * scale[j] : 0;
        }
    }
    gram_fft_means(to, to_row, to_col, from, row, col, rows, z, step, slow, mode, weight);
}

/* sum[t] += the sum over the lanes of a times b's conjugate, of two blocks: of their real channels, the real part. */
static inline void gram_fft_products(gram_real *sum, const gram_real *a, const gram_real *b, int64_t length) {
    for (int64_t t = 0; t < length; t++, a += GRAM_FFT_ROW, b += GRAM_FFT_ROW) {
        gram_vreal re = {0}, im = {0};
        for (int l = 0; l < GRAM_PAD; l += GRAM_LANES) {
            const gram_vreal x = gram_v_load(a + l), y = gram_v_load(a + GRAM_PAD + l);
            const gram_vreal u = gram_v_load(b + l), v = gram_v_load(b + GRAM_PAD + l);
            re += x * u + y * v;
            im += y * u - x * v;
        }
        sum[2 * t] += gram_v_sum(re);
        sum[2 * t + 1] += gram_v_sum(im);
    }
}

/* gram_fft_lags of x with each column times its number of scale (NULL: 1). */
static inline void gram_fft_lags_scaled(gram_real *to, int64_t to_row, const gram_real *x, int64_t x_row, int64_t x_col,
                                        int64_t rows, const gram_real *y, int64_t y_row, int64_t y_col, int64_t n, int mode,
                                        const gram_real *scale, gram_real *scratch) {
    const int64_t length = gram_fft_length(n, mode);
    gram_real *const sum = scratch + 2 * length, *const a = sum + 2 * length, *const b = a + length * GRAM_FFT_ROW;
    if (n <= 0) {
        return;
    }
    memset(sum, 0, (size_t)(2 * length) * sizeof *sum);
    for (int64_t c = 0; c < rows; c += GRAM_FFT_ROW) {
        gram_fft_read(a, length, x + c * x_row, x_row, x_col, rows - c, n, scale);
        gram_fft(a, length, 0, scratch);
        gram_fft_read(b, length, y + c * y_row, y_row, y_col, rows - c, n, NULL);
        gram_fft(b, length, 0, scratch);
        gram_fft_products(sum, a, b, length);
    }
    memset(a, 0, (size_t)(length * GRAM_FFT_ROW) * sizeof *a);
    for (int64_t t = 0; t < length; t++) {
        a[t * GRAM_FFT_ROW] = sum[2 * t] / (gram_real)length;
        a[t * GRAM_FFT_ROW + GRAM_PAD] = sum[2 * t + 1] / (gram_real)length;
    }
    gram_fft(a, length, 1, scratch);
    for (int64_t k = 0; k < n; k++) {
        const int wraps = k > 0 && length != n && !(mode & GRAM_FFT_CAUSAL);
        to[k * to_row] = a[k * GRAM_FFT_ROW] + (wraps ? a[(length - n + k) * GRAM_FFT_ROW] : 0);
    }
}

/* to[k] = the sum over j of x's column (j + k) mod n times y's column j, both rows x n; in causal mode of j + k < n
 * alone. What a gradient by w is. scratch as for gram_fft_convolve. */
static inline void gram_fft_lags(gram_real *to, int64_t to_row, const gram_real *x, int64_t x_row, int64_t x_col, int64_t rows,
                                 const gram_real *y, int64_t y_row, int64_t y_col, int64_t n, int mode, gram_real *scratch) {
    gram_fft_lags_scaled(to, to_row, x, x_row, x_col, rows, y, y_row, y_col, n, mode, NULL, scratch);
}

/* to[k] += those terms of gram_fft_softmax_lags in which j + k < count. weight: count reals. */
static inline void gram_fft_mean_lags(gram_real *to, int64_t to_row, const gram_real *x, int64_t x_row, int64_t x_col,
                                      int64_t rows, const gram_real *y, int64_t y_row, int64_t y_col, const gram_real *z,
                                      int64_t z_row, const gram_real *mean, int64_t mean_row, int64_t count, gram_real *weight) {
    gram_real most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        const gram_real share = gram_fft_weights(weight, &most, &sum, z, z_row, j);
        for (int64_t k = 0; k <= j; k++) {
            gram_real product = -mean[j * mean_row];
            for (int64_t r = 0; r < rows; r++) {
                product += x[r * x_row + j * x_col] * y[r * y_row + (j - k) * y_col];
            }
            to[k * to_row] += weight[k] * share * product;
        }
    }
}

/* to[k] = the sum over j of P[j, j + k] (x's column j + k times y's column j, less mean[j + k]), P the softmax
 * down each column of z[j - i], i <= j. What a gradient by z is. scratch as for gram_fft_convolve. */
static inline void gram_fft_softmax_lags(gram_real *to, int64_t to_row, const gram_real *x, int64_t x_row, int64_t x_col,
                                         int64_t rows, const gram_real *y, int64_t y_row, int64_t y_col, const gram_real *z,
                                         int64_t z_row, const gram_real *mean, int64_t mean_row, int64_t n, int mode,
                                         gram_real *scratch) {
    gram_real *const weight = scratch + (4 + 2 * GRAM_FFT_ROW) * gram_fft_length(n, mode), *const scale = weight + n;
    const int64_t slow = gram_fft_scales(weight, scale, z, z_row, n);
    double means = 0;
    if (slow < n) {
        gram_fft_lags_scaled(to, to_row, x, x_row, x_col, rows, y, y_row, y_col, n, mode, scale, scratch);
    }
    for (int64_t k = n - 1; k >= 0; k--) {
        means += slow < n ? (double)scale[k] * (double)mean[k * mean_row] : 0;
        to[k * to_row] = slow < n ? (gram_real)((double)weight[k] * ((double)to[k * to_row] - means)) : 0;
    }
    gram_fft_mean_lags(to, to_row, x, x_row, x_col, rows, y, y_row, y_col, z, z_row, mean, mean_row, slow, weight);
}

#endif
