/*
 * identity
 *
 *     O = X * (X:t() * W * X)
 *
 *     X        4 x n
 *     W        4 x 4
 *
 * Plan (batch, sizes as in the arguments):
 * identity: streamed, f32
 * step 1     X_X  stream of n x 4
 *            X * X:t()
 *            32 batch n flops
 * step 2     X_X_W  map of 4 x 4
 *            X * X:t() * W
 *            128 batch flops
 * step 3     O  map of 4 x n
 *            X * X:t() * W * X
 *            32 batch n flops
 * bytes      32 batch n + 64
 * workspace  1088 batch + batch n + the threads' blocks
 * parameters 16
 *
 * From spec bcbbf2a97cf64ea9, by: gram emit identity.lua
 */
#include "identity.h"

#include <math.h>
#include <string.h>

/* A real number, and the integer of its width: a mask holds all its bits set, or none. */
typedef float gram_real;
typedef int32_t gram_bits;
typedef uint32_t gram_ubits;

/* An integer: an index, a size, an id, a count. */
typedef int32_t gram_int;
typedef uint32_t gram_uint;
#define GRAM_INT_MIN INT32_MIN
#define GRAM_INT_MAX INT32_MAX

/* The lanes of a tile's row: the keys of a key tile. */
#define GRAM_TILE 64

/* The most query rows of a block. */
#define GRAM_BLOCK 64

/* The keys of a part, where the keys of few queries are shared among threads. */
#define GRAM_PART 1024

/* What the lanes of a buffer are padded to, 64 bytes of reals; buffers are aligned to 64 bytes. */
#define GRAM_PAD 16

/* A lane count, padded. */
#define GRAM_PADDED(lanes) (((lanes) + GRAM_PAD - 1) / GRAM_PAD * GRAM_PAD)

/* A rows x columns matrix per head of each batch item; strides in elements. */
typedef struct gram_tensor {
    gram_real *data;
    int64_t batch, head, row, col;
} gram_tensor;

/* The sizes that a kernel takes are below this, so that a sum of two indices fits 32 bits. */
#define GRAM_MOST_TOKENS ((int64_t)1 << 30)

/* The lesser of a and b. */
static inline int64_t gram_least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The greater of a and b. */
static inline int64_t gram_most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* How many parts of size `part` cover n. */
static inline int64_t gram_parts(int64_t n, int64_t part) {
    return (n + part - 1) / part;
}

/* Where the matrix of one head of one item starts. */
static inline gram_real *gram_at(const gram_tensor *t, int64_t batch, int64_t head) {
    return t->data + batch * t->batch + head * t->head;
}

/* An array of the caller's: dense as given, or with his strides of batch, head and token where any is not 0. */
static inline gram_tensor gram_strided(const gram_real *data, const int64_t *stride, gram_tensor dense) {
    dense.data = (gram_real *)data;
    if (stride[0] || stride[1] || stride[2]) {
        dense.batch = stride[0];
        dense.head = stride[1];
        dense.col = stride[2];
    }
    return dense;
}

/* The transpose of t. */
static inline gram_tensor gram_turned(gram_tensor t) {
    gram_tensor v = {t.data, t.batch, t.head, t.col, t.row};
    return v;
}

/* Takes room for count numbers from the workspace, in steps of 64 bytes: its place, or NULL while only counting. */
static inline gram_real *gram_carve(void *workspace, size_t *used, int64_t count) {
    gram_real *place = workspace ? (gram_real *)(void *)((char *)workspace + *used) : NULL;
    *used += ((size_t)count * sizeof(gram_real) + 63) / 64 * 64;
    return place;
}

/* Runs one phase on the team, or on the calling thread where there is none. */
static inline void gram_run(const gram_team *team, void (*task)(void *job, int thread), void *job) {
    if (team) {
        team->run(team, task, job);
    } else {
        task(job, 0);
    }
}

/* The vector types: GRAM_LANES reals, integers or predicates (all bits of a lane set where it holds), doubles.
 * The compiler splits a vector wider than the register. GCC tells of calling conventions that such vectors lack, even
 * among inlined functions, unless they are types of their own (may_alias makes them so) of ordinary alignment; Clang of
 * functions that only other targets use. */
#if defined(__GNUC__) && !defined(__TINYC__)
#if defined(__AVX512F__)
#define GRAM_VECTOR_BYTES 64
#elif defined(__AVX__)
#define GRAM_VECTOR_BYTES 32
#else
#define GRAM_VECTOR_BYTES 16
#endif
#define GRAM_LANES ((int)(GRAM_VECTOR_BYTES / sizeof(gram_real)))
#define GRAM_ALWAYS __attribute__((always_inline, unused))
#define GRAM_CONVERT(type, vector) __builtin_convertvector(vector, type)
#define GRAM_TEST(type, test) ((type)(test))
#pragma GCC diagnostic ignored "-Wpsabi"
#if !defined(__clang__)
#pragma GCC optimize("fp-contract=fast", "no-math-errno", "no-trapping-math")
#if defined(__x86_64__)
#pragma GCC target("tune=generic")
#endif
#endif
typedef gram_real gram_vreal __attribute__((vector_size(GRAM_VECTOR_BYTES)));
typedef gram_bits gram_mask __attribute__((vector_size(GRAM_VECTOR_BYTES)));
typedef gram_ubits gram_umask __attribute__((vector_size(GRAM_VECTOR_BYTES)));
typedef gram_int gram_vint1 __attribute__((vector_size(GRAM_LANES * sizeof(gram_int))));
typedef gram_vint1 gram_vint2 __attribute__((aligned(16)));
typedef gram_vint2 gram_vint __attribute__((may_alias));
typedef gram_uint gram_vuint __attribute__((vector_size(GRAM_LANES * sizeof(gram_int))));
typedef double gram_vdouble1 __attribute__((vector_size(GRAM_LANES * sizeof(double))));
typedef gram_vdouble1 gram_vdouble2 __attribute__((aligned(16)));
typedef gram_vdouble2 gram_vdouble __attribute__((may_alias));
#else
#define GRAM_LANES 1
#define GRAM_ALWAYS
#define GRAM_CONVERT(type, vector) ((type)(vector))
#define GRAM_TEST(type, test) (-(type)(test))
typedef gram_real gram_vreal;
typedef gram_bits gram_mask;
typedef gram_ubits gram_umask;
typedef gram_int gram_vint;
typedef gram_uint gram_vuint;
typedef double gram_vdouble;
#endif

/* Unrolls the next loop, whose bounds are constants, so that what it indexes can live in registers. */
#if defined(__clang__)
#define GRAM_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__) && !defined(__TINYC__)
#define GRAM_UNROLL _Pragma("GCC unroll 32")
#else
#define GRAM_UNROLL
#endif

/* Reads GRAM_LANES reals from p, which need not be aligned. */
static inline GRAM_ALWAYS gram_vreal gram_v_load(const gram_real *p) {
    gram_vreal v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Writes GRAM_LANES reals to p. */
static inline GRAM_ALWAYS void gram_v_store(gram_real *p, gram_vreal v) {
    memcpy(p, &v, sizeof v);
}

/* Every lane x. (x - 0 is x for every x, and a number meets a vector in every lane.) */
static inline GRAM_ALWAYS gram_vreal gram_v_splat(gram_real x) {
    return x - (gram_vreal){0};
}

/* Every lane x, which is 0 or -1. */
static inline GRAM_ALWAYS gram_mask gram_v_splatm(gram_bits x) {
    return x - (gram_mask){0};
}

/* The bits of a real, and the real of these bits. */
#if defined(GRAM_VECTOR_BYTES)
#define gram_v_bits(v) ((gram_mask)(v))
#define gram_v_unbits(m) ((gram_vreal)(m))
#else
static inline gram_mask gram_v_bits(gram_vreal v) {
    gram_mask m;
    memcpy(&m, &v, sizeof m);
    return m;
}
static inline gram_vreal gram_v_unbits(gram_mask m) {
    gram_vreal v;
    memcpy(&v, &m, sizeof v);
    return v;
}
#endif

/* Sixteen bytes of a vector, and of predicates. */
#if defined(GRAM_VECTOR_BYTES)
#define GRAM_PARTS (GRAM_VECTOR_BYTES / 16)
typedef gram_real gram_vpart __attribute__((vector_size(16)));
typedef gram_bits gram_part_mask __attribute__((vector_size(16)));
#endif

/* The numbers in 16 bytes where the compiler can shuffle them, else 1. */
#if defined(GRAM_VECTOR_BYTES) && (defined(__clang__) || __GNUC__ >= 12)
#define GRAM_SQUARE 4
#else
#define GRAM_SQUARE 1
#endif

/* Transposes a square of GRAM_SQUARE parts. */
#if GRAM_SQUARE > 1
static inline GRAM_ALWAYS void gram_parts_turn(gram_vpart *row) {
    const gram_vpart a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const gram_vpart b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const gram_vpart c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const gram_vpart d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    row[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    row[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    row[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    row[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}
#endif

/* The bits of a mantissa, the bias of an exponent, the sign bit, and from where on all reals are whole. */
#define GRAM_MANTISSA 23
#define GRAM_BIAS 127
#define GRAM_SIGN INT32_MIN
#define GRAM_WHOLE 8388608.0f

/* |a| */
static inline GRAM_ALWAYS gram_vreal gram_v_abs(gram_vreal a) {
    return gram_v_unbits(gram_v_bits(a) & ~gram_v_splatm(GRAM_SIGN));
}

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

/* to += from */
static inline void gram_merge_sums(gram_real *to, const gram_real *from, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        to[k] += from[k];
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

/* tile[r * ld + c] = value */
static inline void gram_fill(gram_real *tile, int64_t ld, int64_t rows, int64_t lanes, gram_real value) {
    for (int64_t r = 0; r < rows; r++, tile += ld) {
        for (int64_t c = 0; c < lanes; c++) {
            tile[c] = value;
        }
    }
}

/* What the phases share. */
typedef struct identity_job {
    const identity_args *args;
    gram_tensor X;
    gram_tensor W;
    gram_tensor O;
    gram_tensor X_X_W;
    gram_tensor X_X;
    gram_tensor X_turned;
    gram_tensor X_X_panels;
    gram_tensor X_X_W_panels;
    gram_tensor stream_X_X_states;
    gram_real *scratch;
    int64_t scratch_size;
    int64_t batch;
    int64_t n;
    int threads;
} identity_job;

/* X_X in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void identity_pack_X_X_panels(void *data, int thread)
{
    const identity_job *job = data;
    const int64_t tiles = gram_parts(4, GRAM_TILE), items = job->batch * tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, 4 - lane);
        const int64_t batch = item / tiles;
        const gram_real *from = gram_at(&job->X_X, batch, 0);
        gram_real *to = gram_at(&job->X_X_panels, batch, 0);
        gram_panel(to + lane * 4, from + lane * job->X_X.row, job->X_X.row, job->X_X.col, lanes, 4);
    }
}

/* X_X_W in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void identity_pack_X_X_W_panels(void *data, int thread)
{
    const identity_job *job = data;
    const int64_t tiles = gram_parts(4, GRAM_TILE), items = job->batch * tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, 4 - lane);
        const int64_t batch = item / tiles;
        const gram_real *from = gram_at(&job->X_X_W, batch, 0);
        gram_real *to = gram_at(&job->X_X_W_panels, batch, 0);
        gram_panel(to + lane * 4, from + lane * job->X_X_W.row, job->X_X_W.row, job->X_X_W.col, lanes, 4);
    }
}

/* What follows the sums of a block of queries. */
static void identity_stream_X_X_finish(const identity_job *job, int64_t batch, int64_t query, int64_t queries,
    gram_real *sum0)
{
    const int64_t width = GRAM_PADDED(4);
    {
        gram_store(gram_at(&job->X_X, batch, 0) + query * job->X_X.col, job->X_X.col, job->X_X.row, sum0, width,
            queries, 4);
    }
}

/* X_X = X * X:t()
 * Summed over n, a tile at a time.
 * What belongs to keys is read once and where it lies;
 * many keys are cut into parts, each with a state of its own. */
static void identity_stream_X_X_few(void *data, int thread)
{
    const identity_job *job = data;
    const int64_t query = 0, queries = 4, width = GRAM_PADDED(4);
    const int64_t size = queries * (width), parts = gram_most(gram_parts(job->n, GRAM_PART), 1),
        items = job->batch * parts;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const rows0 = scratch;
    gram_real *const t0 = rows0 + GRAM_TILE * GRAM_PADDED(4);
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t begin = item % parts * GRAM_PART, end = gram_least(begin + GRAM_PART, job->n);
        const int64_t batch = item / parts;
        gram_real *const states = job->stream_X_X_states.data + (parts > 1 ? item : thread) * size;
        gram_real *const sum0 = states;
        gram_fill(sum0, width, queries, width, 0);
        for (int64_t lane = begin; lane < end; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, end - lane);
            gram_rows(rows0, gram_at(&job->X, batch, 0) + lane * job->X.col, job->X.col, job->X.row, lanes, 4);
            gram_load(t0, gram_at(&job->X_turned, batch, 0) + query * job->X_turned.col + lane * job->X_turned.row,
                job->X_turned.col, job->X_turned.row, queries, lanes);
            gram_tile_mul(sum0, width, t0, GRAM_TILE, rows0, GRAM_PADDED(4), queries, lanes, GRAM_PADDED(4), 1);
        }
        if (parts == 1) {
            identity_stream_X_X_finish(job, batch, query, queries, sum0);
        }
    }
}

/* Puts the parts' states together, in their order. */
static void identity_stream_X_X_merge(void *data, int thread)
{
    const identity_job *job = data;
    const int64_t query = 0, queries = 4, width = GRAM_PADDED(4);
    const int64_t size = queries * (width), parts = gram_parts(job->n, GRAM_PART), items = job->batch;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t batch = item;
        gram_real *const states = job->stream_X_X_states.data + item * parts * size;
        for (int64_t part = 1; part < parts; part++) {
            gram_merge_sums(states, states + part * size, size);
        }
        gram_real *const sum0 = states;
        identity_stream_X_X_finish(job, batch, query, queries, sum0);
    }
}

/* X_X_W = X * X:t() * W */
static void identity_map_X_X_W(void *data, int thread)
{
    const identity_job *job = data;
    const int64_t blocks = gram_parts(4, GRAM_BLOCK), items = job->batch * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const t0 = block0 + GRAM_BLOCK * 4;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * GRAM_BLOCK, queries = gram_least(GRAM_BLOCK, 4 - query);
        const int64_t batch = item / blocks;
        gram_block(block0, gram_at(&job->W, batch, 0) + query * job->W.col, job->W.col, job->W.row, queries, 4, 1);
        for (int64_t lane = 0; lane < 4; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, 4 - lane);
            const gram_real *const panel0 = gram_at(&job->X_X_panels, batch, 0) + lane * 4;
            gram_real *const place = gram_at(&job->X_X_W, batch, 0) + query * job->X_X_W.col + lane * job->X_X_W.row;
            const int in_place = job->X_X_W.row == 1 && lanes == GRAM_TILE;
            gram_real *const tile = in_place ? place : t0;
            const int64_t apart = in_place ? job->X_X_W.col : GRAM_TILE;
            gram_tile_mul_fine(tile, apart, block0, 4, panel0, GRAM_TILE, queries, 4, GRAM_PADDED(lanes), 0);
            if (!in_place) {
                gram_store(place, job->X_X_W.col, job->X_X_W.row, t0, GRAM_TILE, queries, lanes);
            }
        }
    }
}

/* O = X * X:t() * W * X */
static void identity_map_O(void *data, int thread)
{
    const identity_job *job = data;
    if (!job->O.data) {
        return;
    }
    const int64_t blocks = gram_parts(job->n, GRAM_BLOCK), items = job->batch * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const t0 = block0 + GRAM_BLOCK * 4;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * GRAM_BLOCK, queries = gram_least(GRAM_BLOCK, job->n - query);
        const int64_t batch = item / blocks;
        gram_block(block0, gram_at(&job->X, batch, 0) + query * job->X.col, job->X.col, job->X.row, queries, 4, 1);
        for (int64_t lane = 0; lane < 4; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, 4 - lane);
            const gram_real *const panel0 = gram_at(&job->X_X_W_panels, batch, 0) + lane * 4;
            gram_real *const place = gram_at(&job->O, batch, 0) + query * job->O.col + lane * job->O.row;
            const int in_place = job->O.row == 1 && lanes == GRAM_TILE;
            gram_real *const tile = in_place ? place : t0;
            const int64_t apart = in_place ? job->O.col : GRAM_TILE;
            gram_tile_mul(tile, apart, block0, 4, panel0, GRAM_TILE, queries, 4, GRAM_PADDED(lanes), 0);
            if (!in_place) {
                gram_store(place, job->O.col, job->O.row, t0, GRAM_TILE, queries, lanes);
            }
        }
    }
}

/* Finds every array: the caller's, and those carved from the workspace. Returns the bytes that takes. */
static size_t identity_place(identity_job *job, const identity_args *args, void *workspace, int threads)
{
    size_t used = 0;
    job->args = args;
    job->threads = threads;
    job->batch = args->batch;
    job->n = args->n;
    /* Turns in room1: X_X, X_X_W. */
    int64_t most1 = job->batch * 4 * 4;
    gram_real *const room1 = gram_carve(workspace, &used, most1);
    /* Turns in room2: X_X_panels, X_X_W_panels. */
    int64_t most2 = job->batch * 64 * 4;
    gram_real *const room2 = gram_carve(workspace, &used, most2);
    job->X = gram_strided(args->X, args->X_stride, (gram_tensor){NULL, 4 * job->n, 0, 1, 4});
    job->W = (gram_tensor){NULL, 0, 0, 4, 1};
    job->W.data = (gram_real *)args->W;
    job->O = gram_strided(args->O, args->O_stride, (gram_tensor){NULL, 4 * job->n, 0, 1, 4});
    job->X_X_W = (gram_tensor){room1, 4 * 4, 4 * 4, 1, 4};
    job->X_X = (gram_tensor){room1, 4 * 4, 4 * 4, 1, 4};
    job->X_turned = gram_turned(job->X);
    job->X_X_panels = (gram_tensor){room2, 64 * 4, 64 * 4, 1, 4};
    job->X_X_W_panels = (gram_tensor){room2, 64 * 4, 64 * 4, 1, 4};
    job->stream_X_X_states.data = gram_carve(workspace, &used,
        (job->n > GRAM_PART ? job->batch * gram_parts(job->n, GRAM_PART) : threads) * (4 * (GRAM_PADDED(4))) +
        GRAM_BLOCK);
    job->scratch_size = GRAM_TILE * GRAM_PADDED(4) + GRAM_BLOCK * GRAM_TILE;
    job->scratch_size = gram_most(job->scratch_size, GRAM_BLOCK * 4 + GRAM_BLOCK * GRAM_TILE);
    job->scratch = gram_carve(workspace, &used, threads * job->scratch_size);
    (void)workspace;
    return used;
}

/* One phase after the other. */
static void identity_phases(identity_job *job, const gram_team *team)
{
    gram_run(team, identity_stream_X_X_few, job);
    if (job->n > GRAM_PART) {
        gram_run(team, identity_stream_X_X_merge, job);
    }
    gram_run(team, identity_pack_X_X_panels, job);
    gram_run(team, identity_map_X_X_W, job);
    gram_run(team, identity_pack_X_X_W_panels, job);
    gram_run(team, identity_map_O, job);
}

static int identity_check(const identity_args *args)
{
    if (!args->X || !args->W) {
        return IDENTITY_NULL_INPUT;
    }
    if (args->batch < 0 || args->batch >= GRAM_MOST_TOKENS) {
        return IDENTITY_SIZE_OUT_OF_RANGE;
    }
    if (args->n < 0 || args->n >= GRAM_MOST_TOKENS) {
        return IDENTITY_SIZE_OUT_OF_RANGE;
    }
    return IDENTITY_OK;
}

size_t identity_workspace(const identity_args *args, int threads)
{
    identity_job job;
    return identity_check(args) ? 0 : identity_place(&job, args, NULL, threads);
}

int identity(const identity_args *args, void *workspace, const gram_team *team)
{
    identity_job job;
    const int error = identity_check(args);
    if (error) {
        return error;
    }
    if (identity_place(&job, args, workspace, team ? team->threads : 1) > 0 && !workspace) {
        return IDENTITY_NULL_WORKSPACE;
    }
    identity_phases(&job, team);
    return IDENTITY_OK;
}
