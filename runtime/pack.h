/* How tokens are laid out for products: panels of lanes, rows, blocks of queries, and all of them as bits. Users'
 * arrays (from) are touched at valid entries only; what is written is as tile.h says. See kernel.h on chunks. */

#ifndef GRAM_PACK_H

#define GRAM_PACK_H

#include "vector.h"

/* Transposes a square: to[c * to_row + r] = from[r * from_row + c] for r, c < GRAM_SQUARE. */
#if GRAM_SQUARE > 1
static inline GRAM_ALWAYS void gram_square(gram_real *to, int64_t to_row, const gram_real *from, int64_t from_row) {
    gram_vpart row[GRAM_SQUARE];
    for (int r = 0; r < GRAM_SQUARE; r++) {
        memcpy(&row[r], from + r * from_row, sizeof row[r]);
    }
    gram_parts_turn(row);
    for (int c = 0; c < GRAM_SQUARE; c++) {
        memcpy(to + c * to_row, &row[c], sizeof row[c]);
    }
}
#else
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
static inline void gram_rows(gram_real *to, const gram_real *from, int64_t row, int64_t col, int64_t rows,
                             int64_t inner) {
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

/* Of count numbers, at most GRAM_WORD, that are -1, 0 or 1: word[0] has a bit for each that is not 0, word[apart] for
 * each below 0. */
static inline void gram_word_bits(gram_real *word, int64_t apart, const gram_real *from, int64_t col, int64_t count) {
    gram_real x[GRAM_WORD] = {0};
    gram_mask some = gram_v_splatm(0), below = some, bit;
    gram_bits lane[GRAM_LANES];
    if (col != 1 || count < GRAM_WORD) {
        for (int64_t k = 0; k < count; k++) {
            x[k] = from[k * col];
        }
        from = x;
    }
    for (int l = 0; l < GRAM_LANES; l++) {
        lane[l] = (gram_bits)((gram_ubits)1 << l);
    }
    memcpy(&bit, lane, sizeof bit);
    for (int k = 0; k < GRAM_WORD; k += GRAM_LANES, bit = (gram_mask)((gram_umask)bit << (GRAM_LANES % GRAM_WORD))) {
        some |= bit & gram_v_ne(gram_v_load(from + k), gram_v_splat(0));
        below |= bit & gram_v_lt(gram_v_load(from + k), gram_v_splat(0));
    }
    const gram_bits all[2] = {gram_v_any(some), gram_v_any(below)};
    memcpy(word, all, sizeof *all);
    memcpy(word + apart, all + 1, sizeof *all);
}

/* Packs rows (at most GRAM_TILE) x inner numbers that are -1, 0 or 1 as gram_panel does, GRAM_WORD of them as two
 * words. */
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

#endif
