/* What a kernel does to a tile: pack, multiply, weigh, reduce, read and write.
 *
 * A tile is up to GRAM_BLOCK rows (queries) by GRAM_TILE lanes (keys), row r at r * GRAM_TILE. Tiles and the other
 * buffers are aligned to 64 bytes and have room up to a lane count padded to GRAM_PAD, which may be read and
 * written; users' arrays (from, to, base) are touched at valid entries only. See kernel.h on chunks. */

#ifndef GRAM_TILE_H

#define GRAM_TILE_H

#include "vmath.h"

/* Transposes a square as large as 16 bytes of its numbers: to[c * to_row + r] = from[r * from_row + c]. */
#if defined(GRAM_VECTOR_BYTES) && (defined(__clang__) || __GNUC__ >= 12)
#define GRAM_SQUARE GRAM_PICK(4, 2)
static inline GRAM_ALWAYS void gram_square(gram_real *to, int64_t to_row, const gram_real *from, int64_t from_row) {
    gram_vpart row[GRAM_SQUARE];
    for (int r = 0; r < GRAM_SQUARE; r++) {
        memcpy(&row[r], from + r * from_row, sizeof row[r]);
    }
#ifdef GRAM_F64
    gram_vpart col[2] = {__builtin_shufflevector(row[0], row[1], 0, 2), __builtin_shufflevector(row[0], row[1], 1, 3)};
#else
    gram_vpart a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    gram_vpart b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    gram_vpart c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    gram_vpart d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    gram_vpart col[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                         __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
#endif
    for (int c = 0; c < GRAM_SQUARE; c++) {
        memcpy(to + c * to_row, &col[c], sizeof col[c]);
    }
}
#else
#define GRAM_SQUARE 1
#define gram_square(to, to_row, from, from_row) (*(to) = *(from), (void)(to_row), (void)(from_row))
#endif

/* Transposes: to[c * to_row + r] = from[r * from_row + c] for r < rows, c < cols. Sixteen rows at a time, so that what
 * is written stays in few cache lines. */
static inline GRAM_ALWAYS void gram_turn(gram_real *to, int64_t to_row, const gram_real *from, int64_t from_row,
                                         int64_t rows, int64_t cols) {
    const int64_t whole = cols / GRAM_SQUARE * GRAM_SQUARE;
    const int64_t blocks = rows / 16 * 16;
    for (int64_t r = 0; r < blocks; r += 16) {
        for (int64_t c = 0; c < whole; c += GRAM_SQUARE) {
            for (int64_t k = r; k < r + 16; k += GRAM_SQUARE) {
                gram_square(to + c * to_row + k, to_row, from + k * from_row + c, from_row);
            }
        }
        for (int64_t c = whole; c < cols; c++) {
            for (int64_t k = r; k < r + 16; k++) {
                to[c * to_row + k] = from[k * from_row + c];
            }
        }
    }
    for (int64_t c = 0; c < cols; c++) {
        for (int64_t k = blocks; k < rows; k++) {
            to[c * to_row + k] = from[k * from_row + c];
        }
    }
}

/* Packs rows (at most GRAM_TILE) x inner numbers, transposed: panel[k * GRAM_TILE + r] = from[r * row + k * col], and 0
 * for r >= rows. */
static inline void gram_panel(gram_real *panel, const gram_real *from, int64_t row, int64_t col, int64_t rows,
                              int64_t inner) {
    for (int64_t k = 0; k < inner; k++) {
        for (int64_t r = rows / GRAM_PAD * GRAM_PAD; r < GRAM_TILE; r += GRAM_LANES) {
            gram_v_store(panel + k * GRAM_TILE + r, gram_v_splat(0));
        }
        for (int64_t r = 0; r < rows && col != 1; r++) {
            panel[k * GRAM_TILE + r] = from[r * row + k * col];
        }
    }
    if (col == 1) {
        gram_turn(panel, GRAM_TILE, from, row, rows, inner);
    }
}

/* Packs rows x inner numbers, each row padded with zeros: to[r * GRAM_PADDED(inner) + k] = from[r * row + k * col]. */
static inline void gram_rows(gram_real *to, const gram_real *from, int64_t row, int64_t col, int64_t rows, int64_t inner) {
    const int64_t padded = GRAM_PADDED(inner);
    if (row == 1 && col != 1) {
        gram_turn(to, padded, from, col, inner, rows);
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < inner && (row != 1 || col == 1); k++) {
            to[r * padded + k] = col == 1 ? from[r * row + k] : from[r * row + k * col];
        }
        for (int64_t k = inner; k < padded; k++) {
            to[r * padded + k] = 0;
        }
    }
}

/* Packs rows x inner numbers, scaled: block[r * inner + k] = scale * from[r * row + k * col]. */
static inline void gram_block(gram_real *block, const gram_real *from, int64_t row, int64_t col, int64_t rows,
                              int64_t inner, gram_real scale) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < inner; k++) {
            block[r * inner + k] = scale * (col == 1 ? from[r * row + k] : from[r * row + k * col]);
        }
    }
}

/* Of count numbers, at most GRAM_WORD, that are -1, 0 or 1: word[0] has a bit for each that is not 0, word[apart] for each
 * below 0. */
static inline void gram_word_bits(gram_real *word, int64_t apart, const gram_real *from, int64_t col, int64_t count) {
    gram_real x[GRAM_WORD] = {0};
    gram_mask some = gram_v_splatm(0), below = some, bit;
    gram_bits lane[GRAM_LANES], all[2] = {0, 0};
    for (int64_t k = 0; k < count; k++) {
        x[k] = from[k * col];
    }
    for (int l = 0; l < GRAM_LANES; l++) {
        lane[l] = (gram_bits)((gram_ubits)1 << l);
    }
    memcpy(&bit, lane, sizeof bit);
    for (int k = 0; k < GRAM_WORD; k += GRAM_LANES, bit = (gram_mask)((gram_umask)bit << (GRAM_LANES % GRAM_WORD))) {
        some |= bit & gram_v_ne(gram_v_load(x + k), gram_v_splat(0));
        below |= bit & gram_v_lt(gram_v_load(x + k), gram_v_splat(0));
    }
    gram_v_storem(lane, some);
    for (int l = 0; l < GRAM_LANES; l++) {
        all[0] |= lane[l];
    }
    gram_v_storem(lane, below);
    for (int l = 0; l < GRAM_LANES; l++) {
        all[1] |= lane[l];
    }
    memcpy(word, all, sizeof *all);
    memcpy(word + apart, all + 1, sizeof *all);
}

/* Packs rows (at most GRAM_TILE) x inner numbers that are -1, 0 or 1 as gram_panel does, GRAM_WORD of them as two words. */
static inline void gram_panel_bits(gram_real *panel, const gram_real *from, int64_t row, int64_t col, int64_t rows,
                                   int64_t inner) {
    for (int64_t k = 0; k < inner; k += GRAM_WORD, panel += 2 * GRAM_TILE) {
        for (int64_t r = 0; r < GRAM_TILE; r++) {
            const int64_t count = r >= rows ? 0 : inner - k < GRAM_WORD ? inner - k : GRAM_WORD;
            gram_word_bits(panel + r, GRAM_TILE, from + (r < rows ? r * row + k * col : 0), col, count);
        }
    }
}

/* Packs rows x inner numbers that are -1, 0 or 1, each row GRAM_WORD of them after the other as two words. */
static inline void gram_block_bits(gram_real *block, const gram_real *from, int64_t row, int64_t col, int64_t rows,
                                   int64_t inner) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < inner; k += GRAM_WORD, block += 2) {
            gram_word_bits(block, 1, from + r * row + k * col, col, inner - k < GRAM_WORD ? inner - k : GRAM_WORD);
        }
    }
}

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
static inline GRAM_ALWAYS void gram_few_bits(gram_real *out, int64_t ldo, const gram_real *block, const gram_real *panel,
                                             int rows, int64_t words, gram_real scale) {
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

/* out[r * ldo + c] = scale times the sum over k of a_rk b_kc, all -1, 0 or 1: the bits that both have, less twice those of
 * them whose signs differ. block has rows of `words` words, the panel as many rows of GRAM_TILE. */
static inline void gram_tile_bits(gram_real *out, int64_t ldo, const gram_real *block, const gram_real *panel, int64_t rows,
                                  int64_t words, int64_t cols, gram_real scale) {
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

/* One register tile of sums; rows, vectors and term are constants where this is called, so that it is all unrolled. What
 * is there before comes in last: a running total of many tiles is then rounded once a tile, not once a term. */
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
    for (int c = 0; c < 4; c++) {
        out[c] = gram_v_sum(sum[c]);
        for (int64_t k = whole; k < inner; k++) {
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

/* Is every distance of these lanes at least an eighth of |a|^2 + |b|^2, so that it has lost three bits at most? The
 * greatest shortfall tells, NaN if one is. */
static inline int gram_is_far(gram_vreal shortfall) {
    return gram_v_maximum(shortfall) <= 0;
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

/* Sets the lanes of a tile's row from cols on to value, as far as it is reduced. */
static inline void gram_row_end(gram_real *row, int64_t cols, gram_real value) {
    for (int64_t c = cols; c < GRAM_PADDED(cols); c++) {
        row[c] = value;
    }
}

/* The greatest of a tile's row, NaN left aside. */
static inline GRAM_ALWAYS gram_real gram_row_top(const gram_real *row, const int cols) {
    gram_vreal top = gram_v_above(gram_v_load(row), gram_v_splat(-INFINITY));
    for (int c = GRAM_LANES; c < cols; c += GRAM_LANES) {
        top = gram_v_above(gram_v_load(row + c), top);
    }
    return gram_v_top(top);
}

/* A tile's row s becomes e^(s - base); its sum is returned. */
static inline GRAM_ALWAYS gram_real gram_row_weigh(gram_real *row, gram_real base, const int cols) {
    gram_vreal sum = gram_v_splat(0);
    for (int c = 0; c < cols; c += GRAM_LANES) {
        gram_vreal weight = gram_v_exp_weight(gram_v_load(row + c) - base);
        gram_v_store(row + c, weight);
        sum = sum + weight;
    }
    return gram_v_sum(sum);
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

/* gram_tile_softmax of whole vectors; cols is a constant for whole tiles, whose loops are unrolled. Maxima and weights
 * have a loop of their own each, so that a row's chain of operations overlaps with the next rows'. */
static inline GRAM_ALWAYS void gram_softmax_rows(gram_real *s, int64_t rows, const int cols, gram_real *max,
                                                 gram_real *sum, gram_real *out, int64_t ldo, int64_t width) {
    for (int64_t r = 0; r < rows; r++) {
        gram_real top = gram_row_top(s + r * GRAM_TILE, cols);
        if (top > max[r]) {
            gram_row_scale(out + r * ldo, width, &sum[r], max[r] - top);
            max[r] = top;
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        sum[r] += gram_row_weigh(s + r * GRAM_TILE, max[r] > -INFINITY ? max[r] : 0, cols);
    }
}

/* One step of the online softmax (Milakov and Gimelshein, 2018), row by row. s holds scores, of which cols lanes are
 * valid, and becomes the weights e^(s - max), 0 beyond cols; sum gains theirs. The maximum comes off before anything is
 * multiplied, so that scores of any size keep their differences. Where a row's max grows, what it has in sum and in
 * out[r * ldo], width numbers wide, is scaled down to the new one. max starts as -inf, and while it is so the weights
 * and the sum are 0. A NaN among the scores, or +inf, makes the sum NaN. */
static inline void gram_tile_softmax(gram_real *s, int64_t rows, int64_t cols, gram_real *max, gram_real *sum,
                                     gram_real *out, int64_t ldo, int64_t width) {
    if (cols == GRAM_TILE) {
        gram_softmax_rows(s, rows, GRAM_TILE, max, sum, out, ldo, width);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        gram_row_end(s + r * GRAM_TILE, cols, -INFINITY);
    }
    gram_softmax_rows(s, rows, (int)GRAM_PADDED(cols), max, sum, out, ldo, width);
}

/* Joins what two stretches of keys gave: rows x width sums, then the rows' maxima, then their sums of weights, as
 * gram_tile_softmax leaves them. `to` becomes what both together would have given. */
static inline void gram_merge_softmax(gram_real *to, const gram_real *from, int64_t rows, int64_t width) {
    gram_real *max = to + rows * width, *sum = max + rows;
    const gram_real *from_max = from + rows * width, *from_sum = from_max + rows;
    for (int64_t r = 0; r < rows; r++) {
        gram_real top = max[r] > from_max[r] ? max[r] : from_max[r], base = top > -INFINITY ? top : 0, factor[2][GRAM_LANES];
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

/* out[l * ldo + c] += sum over r of a[r * GRAM_TILE + l] * b[r * ldb + c]: the product of a tile turned. Of columns past cols,
 * which make the vectors whole, anything is. */
static inline void gram_tile_mul_turned(gram_real *out, int64_t ldo, const gram_real *a, const gram_real *b, int64_t ldb,
                                        int64_t rows, int64_t lanes, int64_t cols) {
    gram_real turned[GRAM_TILE * GRAM_BLOCK];
    gram_turn(turned, GRAM_BLOCK, a, GRAM_TILE, rows, lanes);
    gram_tile_mul(out, ldo, turned, GRAM_BLOCK, b, ldb, lanes, rows, GRAM_PADDED(cols), 1);
}

/* The same of a tile some of whose entries are dropped, and 0: where kept's bits are not set, nothing is added. */
static inline void gram_tile_mul_turned_kept(gram_real *out, int64_t ldo, const gram_real *a, const gram_bits *kept,
                                             const gram_real *b, int64_t ldb, int64_t rows, int64_t lanes, int64_t cols) {
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
    for (int64_t l = 0; l < lanes; l++) {
        gram_real sum = 0;
        for (int64_t r = 0; r < rows; r++) {
            sum += a[r * GRAM_TILE + l];
        }
        out[l * step] += sum;
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
