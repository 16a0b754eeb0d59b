/* Products of blocks and panels, plain, of bits and with sums in double, and what is summed like them: squared and l1
 * distances. See kernel.h on chunks. */

#ifndef GRAM_PRODUCT_H

#define GRAM_PRODUCT_H

#include "pack.h"

#include "vmath.h"

/* The bits set in each lane: by an instruction that counts them, or in pairs, fours and eights of them. */
static inline GRAM_ALWAYS gram_mask gram_v_popcount(gram_mask a) {
#if defined(__AVX512VPOPCNTDQ__)
    gram_ubits lane[GRAM_LANES];
    memcpy(lane, &a, sizeof lane);
    for (int l = 0; l < GRAM_LANES; l++) {
        lane[l] = (gram_ubits)GRAM_PICK(__builtin_popcount, __builtin_popcountll)(lane[l]);
    }
    memcpy(&a, lane, sizeof lane);
    return a;
#else
    const gram_ubits ones = ~(gram_ubits)0;
    gram_umask x = (gram_umask)a;
    x -= (x >> 1) & (ones / 3);
    x = (x & (ones / 5)) + ((x >> 2) & (ones / 5));
    x = (x + (x >> 4)) & (ones / 17);
    return (gram_mask)((x * (ones / 255)) >> (GRAM_WORD - 8));
#endif
}

/* gram_tile_bits for so few rows that their sums stay in registers, and a vector of columns. */
static inline GRAM_ALWAYS void gram_few_bits(gram_real *out, int64_t ldo, const gram_real *block,
                                             const gram_real *panel, int rows, int64_t words, gram_real scale) {
    gram_mask sum[4] = {{0}};
    for (int64_t w = 0; w < words; w += 2) {
        const gram_mask theirs = gram_v_bits(gram_v_load(panel + w * GRAM_TILE));
        const gram_mask negative = gram_v_bits(gram_v_load(panel + (w + 1) * GRAM_TILE));
        GRAM_UNROLL
        for (int r = 0; r < rows; r++) {
            gram_bits mine[2];
            memcpy(mine, block + r * words + w, sizeof mine);
            const gram_mask both = theirs & mine[0], differ = both & (negative ^ mine[1]);
            sum[r] += gram_v_popcount(both) - 2 * gram_v_popcount(differ);
        }
    }
    GRAM_UNROLL
    for (int r = 0; r < rows; r++) {
        gram_v_store(out + r * ldo, scale * GRAM_CONVERT(gram_vreal, sum[r]));
    }
}

/* out[r * ldo + c] = scale times the sum over k of a_rk b_kc, all -1, 0 or 1: the bits that both have, less twice
 * those of them whose signs differ. block has rows of `words` words, the panel as many rows of GRAM_TILE. */
static inline void gram_tile_bits(gram_real *out, int64_t ldo, const gram_real *block, const gram_real *panel,
                                  int64_t rows, int64_t words, int64_t cols, gram_real scale) {
    const int64_t whole = rows - rows % 4;
    for (int64_t r = 0; r < whole; r += 4) {
        for (int64_t c = 0; c < cols; c += GRAM_LANES) {
            gram_few_bits(out + r * ldo + c, ldo, block + r * words, panel + c, 4, words, scale);
        }
    }
    for (int64_t r = whole; r < rows; r++) {
        for (int64_t c = 0; c < cols; c += GRAM_LANES) {
            gram_few_bits(out + r * ldo + c, ldo, block + r * words, panel + c, 1, words, scale);
        }
    }
}

/* The register tile of the products below, rows x vectors of sums: as many as registers hold beside the operands, of
 * which Clang gives one to each row. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define GRAM_SUM_ROWS 4
#define GRAM_SUM_VECTORS 4
#elif defined(__AVX__)
#define GRAM_SUM_ROWS 6
#define GRAM_SUM_VECTORS 2
#else
#define GRAM_SUM_ROWS 4
#define GRAM_SUM_VECTORS 2
#endif

/* What is summed over a row a of the left operand and a column b of the right one. */
enum gram_term {
    GRAM_TERM_PRODUCT, /* a b */
    GRAM_TERM_SQUARE,  /* (a - b)^2 */
    GRAM_TERM_SIZE     /* |a - b| */
};

/* sum + the term of a and b. */
static inline GRAM_ALWAYS gram_vreal gram_term_add(const enum gram_term term, gram_vreal sum, gram_vreal a,
                                                   gram_vreal b) {
    if (term == GRAM_TERM_PRODUCT) {
        return sum + a * b;
    }
    gram_vreal d = a - b;
    return term == GRAM_TERM_SQUARE ? sum + d * d : sum + gram_v_abs(d);
}

/* One register tile of sums; rows, vectors and term are constants where this is called, so that it is all unrolled.
 * What is there before comes in last: a running total of many tiles is then rounded once a tile, not once a term. */
static inline GRAM_ALWAYS void gram_sum_registers(const enum gram_term term, const int rows, const int vectors,
                                                  gram_real *out, int64_t ldo, const gram_real *a, int64_t lda,
                                                  const gram_real *b, int64_t ldb, int64_t inner, int add) {
    gram_vreal sum[GRAM_SUM_ROWS][GRAM_SUM_VECTORS];
    GRAM_UNROLL
    for (int r = 0; r < rows; r++) {
        GRAM_UNROLL
        for (int v = 0; v < vectors; v++) {
            sum[r][v] = gram_v_splat(0);
        }
    }
    for (int64_t k = 0; k < inner; k++) {
        gram_vreal right[GRAM_SUM_VECTORS];
        GRAM_UNROLL
        for (int v = 0; v < vectors; v++) {
            right[v] = gram_v_load(b + k * ldb + v * GRAM_LANES);
        }
        GRAM_UNROLL
        for (int r = 0; r < rows; r++) {
            gram_vreal left = gram_v_splat(a[r * lda + k]);
            GRAM_UNROLL
            for (int v = 0; v < vectors; v++) {
                sum[r][v] = gram_term_add(term, sum[r][v], left, right[v]);
            }
        }
    }
    GRAM_UNROLL
    for (int r = 0; r < rows; r++) {
        GRAM_UNROLL
        for (int v = 0; v < vectors; v++) {
            gram_real *to = out + r * ldo + v * GRAM_LANES;
            gram_v_store(to, add ? gram_v_load(to) + sum[r][v] : sum[r][v]);
        }
    }
}

/* All rows of some columns, vectors wide: whole register tiles, then the rows left as 4, 2 and 1. */
static inline GRAM_ALWAYS void gram_sum_columns(const enum gram_term term, const int vectors, gram_real *out,
                                                int64_t ldo, const gram_real *a, int64_t lda, const gram_real *b,
                                                int64_t ldb, int64_t rows, int64_t inner, int add) {
    int64_t r = 0;
    for (; r + GRAM_SUM_ROWS <= rows; r += GRAM_SUM_ROWS) {
        gram_sum_registers(term, GRAM_SUM_ROWS, vectors, out + r * ldo, ldo, a + r * lda, lda, b, ldb, inner, add);
    }
    if (GRAM_SUM_ROWS > 4 && r + 4 <= rows) {
        gram_sum_registers(term, 4, vectors, out + r * ldo, ldo, a + r * lda, lda, b, ldb, inner, add);
        r += 4;
    }
    if (r + 2 <= rows) {
        gram_sum_registers(term, 2, vectors, out + r * ldo, ldo, a + r * lda, lda, b, ldb, inner, add);
        r += 2;
    }
    if (r < rows) {
        gram_sum_registers(term, 1, vectors, out + r * ldo, ldo, a + r * lda, lda, b, ldb, inner, add);
    }
}

/* All columns: as many whole register tiles as there are, then the columns left. */
static inline GRAM_ALWAYS void gram_sum_block(const enum gram_term term, gram_real *out, int64_t ldo,
                                              const gram_real *a, int64_t lda, const gram_real *b, int64_t ldb,
                                              int64_t rows, int64_t inner, int64_t cols, int add) {
    int64_t c = 0;
    for (; c + GRAM_SUM_VECTORS * GRAM_LANES <= cols; c += GRAM_SUM_VECTORS * GRAM_LANES) {
        gram_sum_columns(term, GRAM_SUM_VECTORS, out + c, ldo, a, lda, b + c, ldb, rows, inner, add);
    }
    if (GRAM_SUM_VECTORS > 2 && c + 2 * GRAM_LANES <= cols) {
        gram_sum_columns(term, 2, out + c, ldo, a, lda, b + c, ldb, rows, inner, add);
        c += 2 * GRAM_LANES;
    }
    for (; c < cols; c += GRAM_LANES) {
        gram_sum_columns(term, 1, out + c, ldo, a, lda, b + c, ldb, rows, inner, add);
    }
}

/* A long sum is a sum of blocks, each of at most this many terms: the errors of rounding then add up over a block and
 * over blocks, not over all terms. */
#define GRAM_SUM_TERMS 128

/* The same, of any number of terms. */
static inline GRAM_ALWAYS void gram_sum_all(const enum gram_term term, gram_real *out, int64_t ldo, const gram_real *a,
                                            int64_t lda, const gram_real *b, int64_t ldb, int64_t rows, int64_t inner,
                                            int64_t cols, int add) {
    int64_t k = 0;
    do {
        const int64_t terms = inner - k < GRAM_SUM_TERMS ? inner - k : GRAM_SUM_TERMS;
        gram_sum_block(term, out, ldo, a + k, lda, b + k * ldb, ldb, rows, terms, cols, add || k);
        k += GRAM_SUM_TERMS;
    } while (k < inner);
}

/* out[r * ldo + c] = sum over k of a[r * lda + k] * b[k * ldb + c], added to out where add is set; cols is a multiple
 * of GRAM_PAD. */
static inline void gram_tile_mul(gram_real *out, int64_t ldo, const gram_real *a, int64_t lda, const gram_real *b,
                                 int64_t ldb, int64_t rows, int64_t inner, int64_t cols, int add) {
    gram_sum_all(GRAM_TERM_PRODUCT, out, ldo, a, lda, b, ldb, rows, inner, cols, add);
}

/* The rows that are summed side by side in double. */
#define GRAM_FINE_ROWS 4

/* Some rows of gram_tile_mul_fine, a constant number. */
static inline GRAM_ALWAYS void gram_fine_rows(const int rows, gram_real *out, int64_t ldo, const gram_real *a,
                                              int64_t lda, const gram_real *b, int64_t ldb, int64_t inner,
                                              int64_t cols, int add) {
    for (int64_t c = 0; c < cols; c += GRAM_LANES) {
        gram_vdouble sum[GRAM_FINE_ROWS] = {0};
        for (int64_t k = 0; k < inner; k++) {
            const gram_vdouble right = GRAM_CONVERT(gram_vdouble, gram_v_load(b + k * ldb + c));
            GRAM_UNROLL
            for (int r = 0; r < rows; r++) {
                sum[r] = sum[r] + (double)a[r * lda + k] * right;
            }
        }
        GRAM_UNROLL
        for (int r = 0; r < rows; r++) {
            const gram_vreal total = GRAM_CONVERT(gram_vreal, sum[r]);
            gram_v_store(out + r * ldo + c, add ? gram_v_load(out + r * ldo + c) + total : total);
        }
    }
}

/* gram_tile_mul with its sums in double: for chains of small matrices, where errors multiply, and whose cost does not
 * grow with the tokens. */
static inline void gram_tile_mul_fine(gram_real *out, int64_t ldo, const gram_real *a, int64_t lda, const gram_real *b,
                                      int64_t ldb, int64_t rows, int64_t inner, int64_t cols, int add) {
    const int64_t whole = rows - rows % GRAM_FINE_ROWS;
    for (int64_t r = 0; r < whole; r += GRAM_FINE_ROWS) {
        gram_fine_rows(GRAM_FINE_ROWS, out + r * ldo, ldo, a + r * lda, lda, b, ldb, inner, cols, add);
    }
    for (int64_t r = whole; r < rows; r++) {
        gram_fine_rows(1, out + r * ldo, ldo, a + r * lda, lda, b, ldb, inner, cols, add);
    }
}

/* Four sums of products of a with rows of b, ldb apart. */
static inline GRAM_ALWAYS void gram_four_dots(gram_real *out, const gram_real *a, const gram_real *b, int64_t ldb,
                                              int64_t inner) {
    gram_vreal sum[4] = {gram_v_splat(0), gram_v_splat(0), gram_v_splat(0), gram_v_splat(0)};
    const int64_t whole = inner / GRAM_LANES * GRAM_LANES;
    for (int64_t k = 0; k < whole; k += GRAM_LANES) {
        const gram_vreal left = gram_v_load(a + k);
        GRAM_UNROLL
        for (int c = 0; c < 4; c++) {
            sum[c] = sum[c] + left * gram_v_load(b + c * ldb + k);
        }
    }
    GRAM_UNROLL
    for (int c = 0; c < 4; c += GRAM_SQUARE) {
        gram_v_sums(out + c, sum + c, GRAM_SQUARE);
    }
    for (int64_t k = whole; k < inner; k++) {
        GRAM_UNROLL
        for (int c = 0; c < 4; c++) {
            out[c] += a[k] * b[c * ldb + k];
        }
    }
}

/* out[r * ldo + c] = sum over k of a[r * lda + k] * b[c * ldb + k]: with b where it lies, for rows so few that turning
 * it costs more. */
static inline void gram_tile_dots(gram_real *out, int64_t ldo, const gram_real *a, int64_t lda, const gram_real *b,
                                  int64_t ldb, int64_t rows, int64_t inner, int64_t cols) {
    int64_t c = 0;
    for (; c + 4 <= cols; c += 4) {
        for (int64_t r = 0; r < rows; r++) {
            gram_four_dots(out + r * ldo + c, a + r * lda, b + c * ldb, ldb, inner);
        }
    }
    for (; c < cols; c++) {
        for (int64_t r = 0; r < rows; r++) {
            gram_real same[4];
            gram_four_dots(same, a + r * lda, b + c * ldb, 0, inner);
            out[r * ldo + c] = same[0];
        }
    }
}

/* The same with (a - b)^2 for a * b: squared distances, term by term. */
static inline void gram_tile_sqdist_terms(gram_real *out, int64_t ldo, const gram_real *a, int64_t lda,
                                          const gram_real *b, int64_t ldb, int64_t rows, int64_t inner, int64_t cols,
                                          int add) {
    gram_sum_all(GRAM_TERM_SQUARE, out, ldo, a, lda, b, ldb, rows, inner, cols, add);
}

/* square[c] = the sum of b[k * ldb + c]^2 over k. */
static inline void gram_column_squares(gram_real *square, const gram_real *b, int64_t ldb, int64_t inner,
                                       int64_t cols) {
    for (int64_t c = 0; c < cols; c += GRAM_LANES) {
        gram_vreal sum = gram_v_splat(0);
        for (int64_t k = 0; k < inner; k++) {
            gram_vreal v = gram_v_load(b + k * ldb + c);
            sum = sum + v * v;
        }
        gram_v_store(square + c, sum);
    }
}

/* The sum of inner squares. */
static inline gram_real gram_row_square(const gram_real *a, int64_t inner) {
    gram_vreal sum = gram_v_splat(0);
    gram_real rest = 0;
    const int64_t whole = inner - inner % GRAM_LANES;
    for (int64_t k = 0; k < whole; k += GRAM_LANES) {
        sum = sum + gram_v_load(a + k) * gram_v_load(a + k);
    }
    for (int64_t k = whole; k < inner; k++) {
        rest += a[k] * a[k];
    }
    return gram_v_sum(sum) + rest;
}

/* Is every distance of these lanes at least an eighth of |a|^2 + |b|^2, so that it has lost three bits at most? It is
 * not where it falls short or is NaN. */
static inline int gram_is_far(gram_vreal shortfall) {
    return gram_v_any(~gram_v_le(shortfall, gram_v_splat(0))) == 0;
}

/* products become |a|^2 + |b|^2 - 2 a b; what is returned is at most 0 where none of them cancels. */
static inline gram_vreal gram_row_distances(gram_real *products, gram_real a_square, const gram_real *b_square,
                                            int64_t cols) {
    gram_vreal worst = gram_v_splat(-INFINITY);
    for (int64_t c = 0; c < cols; c += GRAM_LANES) {
        const gram_vreal both = a_square + gram_v_load(b_square + c);
        const gram_vreal d = both - (gram_real)2 * gram_v_load(products + c);
        gram_v_store(products + c, d);
        worst = gram_v_max(worst, both * (gram_real)0.125 - d);
    }
    return worst;
}

/* Squared distances of up to GRAM_TILE columns. They are had from products, |a|^2 + |b|^2 - 2 a b, at the rate of
 * products; where that cancels, which is seen in the result, term by term instead: so a distance is right to a few
 * roundings however near its points are and however far from the origin. */
static inline void gram_tile_sqdist(gram_real *out, int64_t ldo, const gram_real *a, int64_t lda, const gram_real *b,
                                    int64_t ldb, int64_t rows, int64_t inner, int64_t cols, int add) {
    gram_real square[GRAM_TILE];
    int64_t near = 0;
    gram_column_squares(square, b, ldb, inner, cols);
    gram_tile_mul(out, ldo, a, lda, b, ldb, rows, inner, cols, add);
    for (int64_t r = 0; r < rows && near * GRAM_LANES <= rows * 8; r++) {
        const gram_real a_square = gram_row_square(a + r * lda, inner);
        const gram_vreal worst = gram_row_distances(out + r * ldo, a_square, square, cols);
        for (int64_t c = 0; c < cols && !gram_is_far(worst); c += GRAM_LANES) {
            const gram_vreal both = a_square + gram_v_load(square + c);
            if (!gram_is_far(both * (gram_real)0.125 - gram_v_load(out + r * ldo + c))) {
                near++;
                gram_sum_registers(GRAM_TERM_SQUARE, 1, 1, out + r * ldo + c, ldo, a + r * lda, lda, b + c, ldb, inner,
                                   0);
            }
        }
    }
    if (near * GRAM_LANES > rows * 8) { /* too many: the whole tile, in blocks of registers */
        gram_tile_sqdist_terms(out, ldo, a, lda, b, ldb, rows, inner, cols, 0);
    }
}

/* The same with |a - b| for a * b: l1 distances. */
static inline void gram_tile_dist1(gram_real *out, int64_t ldo, const gram_real *a, int64_t lda, const gram_real *b,
                                   int64_t ldb, int64_t rows, int64_t inner, int64_t cols, int add) {
    gram_sum_all(GRAM_TERM_SIZE, out, ldo, a, lda, b, ldb, rows, inner, cols, add);
}

#endif
