/* What is done to a whole matrix at once, in double: inverse, exponential, running sums, a column's threshold, the
 * power of two above its sum, its largest entries. from and to are rows x cols with strides in elements; scratch holds
 * what each says. See kernel.h on chunks. */

#ifndef GRAM_WHOLE_H

#define GRAM_WHOLE_H

#include "tile.h"

/* Reads n x n numbers as doubles. */
static inline void gram_whole_read(double *a, const gram_real *from, int64_t row, int64_t col, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            a[i * n + j] = (double)from[i * row + j * col];
        }
    }
}

/* Writes n x n doubles. */
static inline void gram_whole_write(gram_real *to, int64_t row, int64_t col, const double *a, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            to[i * row + j * col] = (gram_real)a[i * n + j];
        }
    }
}

/* Brings the greatest entry of column k at or below the diagonal onto it, exchanging rows of a and b. */
static inline void gram_whole_pivot(double *a, double *b, int64_t n, int64_t k) {
    int64_t best = k;
    for (int64_t i = k + 1; i < n; i++) {
        best = fabs(a[i * n + k]) > fabs(a[best * n + k]) ? i : best;
    }
    for (int64_t j = 0; j < n && best != k; j++) {
        double x = a[k * n + j], y = b[k * n + j];
        a[k * n + j] = a[best * n + j];
        b[k * n + j] = b[best * n + j];
        a[best * n + j] = x;
        b[best * n + j] = y;
    }
}

/* b becomes the solution X of a X = b, all n x n, by Gauss and Jordan's elimination with pivots; a is lost. A singular
 * a gives infinities and NaN. */
static inline void gram_whole_solve(double *a, double *b, int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        gram_whole_pivot(a, b, n, k);
        const double scale = 1 / a[k * n + k];
        for (int64_t j = 0; j < n; j++) {
            a[k * n + j] *= scale;
            b[k * n + j] *= scale;
        }
        for (int64_t i = 0; i < n; i++) {
            const double factor = i == k ? 0 : a[i * n + k];
            for (int64_t j = 0; j < n && factor != 0; j++) {
                a[i * n + j] -= factor * a[k * n + j];
                b[i * n + j] -= factor * b[k * n + j];
            }
        }
    }
}

/* to = from's inverse, n x n; scratch: 2 n^2 doubles. */
static inline void gram_whole_inverse(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                      int64_t col, int64_t n, double *scratch) {
    double *a = scratch, *b = scratch + n * n;
    gram_whole_read(a, from, row, col, n);
    for (int64_t i = 0; i < n * n; i++) {
        b[i] = i % (n + 1) == 0;
    }
    gram_whole_solve(a, b, n);
    gram_whole_write(to, to_row, to_col, b, n);
}

/* c = a b, n x n. */
static inline void gram_whole_mul(double *c, const double *a, const double *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            c[i * n + j] = 0;
        }
        for (int64_t k = 0; k < n; k++) {
            for (int64_t j = 0; j < n; j++) {
                c[i * n + j] += a[i * n + k] * b[k * n + j];
            }
        }
    }
}

/* How often a is to be halved so that its greatest row sum is at most 1/2; it is scaled so. */
static inline int gram_whole_halve(double *a, int64_t n) {
    double most = 0;
    int halvings = 0;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            sum += fabs(a[i * n + j]);
        }
        most = sum > most ? sum : most;
    }
    for (; most > 0.5 && halvings < 1100; most /= 2) {
        halvings++;
    }
    for (int64_t i = 0; i < n * n; i++) {
        a[i] = ldexp(a[i], -halvings);
    }
    return halvings;
}

/* to = exp(from), n x n, by scaling and squaring a Taylor series (Moler and Van Loan, 2003); scratch: 3 n^2 doubles. */
static inline void gram_whole_expm(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                   int64_t col, int64_t n, double *scratch) {
    double *a = scratch, *sum = a + n * n, *next = sum + n * n;
    gram_whole_read(a, from, row, col, n);
    const int halvings = gram_whole_halve(a, n);
    for (int64_t i = 0; i < n * n; i++) {
        sum[i] = i % (n + 1) == 0;
    }
    for (int term = 18; term > 0; term--) { /* I + a/1 (I + a/2 (I + ...)) */
        gram_whole_mul(next, a, sum, n);
        for (int64_t i = 0; i < n * n; i++) {
            sum[i] = next[i] / term + (i % (n + 1) == 0);
        }
    }
    for (int k = 0; k < halvings; k++) {
        gram_whole_mul(next, sum, sum, n);
        memcpy(sum, next, (size_t)(n * n) * sizeof *sum);
    }
    gram_whole_write(to, to_row, to_col, sum, n);
}

/* to's column j is the sum of from's columns 0 to j, or what rounding takes from it; scratch: rows doubles. */
static inline void gram_whole_cumsum(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                     int64_t col, int64_t rows, int64_t cols, int lost, double *scratch) {
    for (int64_t i = 0; i < rows; i++) {
        scratch[i] = 0;
    }
    for (int64_t j = 0; j < cols; j++) {
        for (int64_t i = 0; i < rows; i++) {
            scratch[i] += (double)from[i * row + j * col];
            const gram_real sum = (gram_real)scratch[i], rest = (gram_real)(scratch[i] - (double)sum);
            to[i * to_row + j * to_col] = lost ? (rest == rest ? rest : 0) : sum;
        }
    }
}

/* The sum over a column of f(a - t), f given on GRAM_TILE numbers at a time. */
static inline double gram_whole_excess(const gram_real *from, int64_t row, int64_t rows, double t,
                                       void (*f)(gram_real *tile, int64_t lanes)) {
    gram_real tile[GRAM_TILE];
    double sum = 0;
    for (int64_t i = 0; i < rows; i += GRAM_TILE) {
        const int64_t lanes = rows - i < GRAM_TILE ? rows - i : GRAM_TILE;
        for (int64_t l = 0; l < GRAM_TILE; l++) {
            tile[l] = l < lanes ? (gram_real)((double)from[(i + l) * row] - t) : -INFINITY;
        }
        f(tile, lanes);
        for (int64_t l = 0; l < lanes; l++) {
            sum += (double)tile[l];
        }
    }
    return sum;
}

/* to[j] = the t at which f(a - t) sums to 1 over column j, f growing; a column with nothing but -inf gives +inf, so
 * that its weights are 0. The root is enclosed in doubling steps from the column's maximum, then halved down to
 * rounding. */
static inline void gram_whole_threshold(gram_real *to, int64_t to_col, const gram_real *from, int64_t row, int64_t col,
                                        int64_t rows, int64_t cols, void (*f)(gram_real *tile, int64_t lanes)) {
    for (int64_t j = 0; j < cols; j++, from += col) {
        double most = -INFINITY, reach = 1, low, high;
        for (int64_t i = 0; i < rows; i++) {
            most = (double)from[i * row] > most ? (double)from[i * row] : most;
        }
        for (low = most - 1; reach < 1e30 && most > -INFINITY && gram_whole_excess(from, row, rows, low, f) < 1; reach *= 2) {
            low = most - reach;
        }
        for (reach = 1, high = most; reach < 1e30 && most > -INFINITY && gram_whole_excess(from, row, rows, high, f) > 1; reach *= 2) {
            high = most + reach;
        }
        for (int k = 0; k < 80 && most > -INFINITY; k++) {
            const double middle = low + (high - low) / 2;
            if (gram_whole_excess(from, row, rows, middle, f) > 1) {
                low = middle;
            } else {
                high = middle;
            }
        }
        to[j * to_col] = most > -INFINITY ? (gram_real)(low + (high - low) / 2) : INFINITY;
    }
}

/* Powers of two further below a column's greatest than this many count together: as a remainder. */
enum { GRAM_SHIFTS = 1024 };

/* ceil(log2 of the sum of 2^a) over a column of integers, most the greatest. The powers are counted and added
 * up from the least, as numbers of units of the next: what is left over on the way only says that the sum is no
 * power of two. */
static inline double gram_whole_carry(const gram_real *from, int64_t row, int64_t rows, double most, double *count) {
    int64_t units = 0, rest = 0, bits = 0;
    memset(count, 0, GRAM_SHIFTS * sizeof *count);
    for (int64_t i = 0; i < rows; i++) {
        const double below = most - (double)from[i * row];
        if (below < GRAM_SHIFTS) {
            count[(int64_t)below] += 1;
        } else {
            rest |= below < INFINITY;
        }
    }
    for (int64_t k = GRAM_SHIFTS - 1; k > 0; k--) {
        units += (int64_t)count[k];
        rest |= units & 1;
        units >>= 1;
    }
    units += (int64_t)count[0];
    for (int64_t left = rest ? units : units - 1; left > 0; left >>= 1) {
        bits++;
    }
    return most + (double)bits;
}

/* to[j] = ceil(log2 of the sum of 2^a) over column j: exact where all are integers, else of the sum in double; -inf
 * where all are. scratch: GRAM_SHIFTS doubles. */
static inline void gram_whole_log2_ceil(gram_real *to, int64_t to_col, const gram_real *from, int64_t row, int64_t col,
                                        int64_t rows, int64_t cols, double *scratch) {
    for (int64_t j = 0; j < cols; j++, from += col) {
        double most = -INFINITY, sum = 0;
        int integers = 1;
        for (int64_t i = 0; i < rows; i++) {
            const double a = (double)from[i * row];
            most = a > most || a != a ? a : most;
            integers &= a == floor(a);
        }
        for (int64_t i = 0; i < rows && !integers; i++) {
            sum += exp2((double)from[i * row] - most);
        }
        if (most - most != 0) {
            to[j * to_col] = (gram_real)most;
        } else {
            to[j * to_col] = (gram_real)(integers ? gram_whole_carry(from, row, rows, most, scratch) : most + ceil(log2(sum)));
        }
    }
}

/* a[k] such that k numbers of a are greater or as great, the others less or as little (Hoare's selection); 0 <= k < n.
 * a is reordered. */
static inline double gram_whole_select(double *a, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const double pivot = a[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (a[i] > pivot) {
                i++;
            }
            while (a[j] < pivot) {
                j--;
            }
            if (i <= j) {
                const double x = a[i];
                a[i++] = a[j];
                a[j--] = x;
            }
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    return a[k];
}

/* to = 1 where from's entry is among the `most` largest of its column, of equal ones those of lower rows, else 0. NaN
 * is none of them. scratch: rows doubles. */
static inline void gram_whole_top(gram_real *to, int64_t to_row, int64_t to_col, const gram_real *from, int64_t row,
                                  int64_t col, int64_t rows, int64_t cols, int64_t most, double *scratch) {
    for (int64_t j = 0; j < cols; j++, from += col, to += to_col) {
        int64_t left = most;
        for (int64_t i = 0; i < rows; i++) {
            const double a = (double)from[i * row];
            scratch[i] = a == a ? a : -INFINITY;
        }
        const double least = most < rows && most > 0 ? gram_whole_select(scratch, rows, most - 1) : -INFINITY;
        for (int64_t i = 0; i < rows; i++) {
            left -= (double)from[i * row] > least;
        }
        for (int64_t i = 0; i < rows; i++) {
            const double a = (double)from[i * row];
            const int tie = a == least && left > 0;
            left -= tie;
            to[i * to_row] = most > 0 && (a > least || tie);
        }
    }
}

#endif
