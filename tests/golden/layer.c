/*
 * layer
 *
 *     Y = X + Wout * concat_heads(WV * X * softmax(keep(le(i, j), (...
 *
 *     X        6 x n
 *     WQ       3 x 6, 2 heads
 *     WK       3 x 6, 2 heads
 *     WV       3 x 6, 2 heads
 *     Wout     6 x 6
 *     bias     9 x 1, 2 heads
 *
 * Plan (batch, sizes as in the arguments):
 * layer: streamed, f32
 * step 1     WK_X  map of 3 x n, 2 heads
 *            WK * X
 *            72 batch n flops
 * step 2     WQ_X  map of 3 x n, 2 heads
 *            WQ * X
 *            72 batch n flops
 * step 3     WV_X  map of 3 x n, 2 heads
 *            WV * X
 *            72 batch n flops
 * step 4     attended_heads  stream of n x n, 2 heads
 *            keep(le(i, j), 0.577350269189626 * (X:t() * WK:t() * (WQ ..., n x n
 *            not built: made tile by tile, and summed down its columns
 *            kept where le(i, j): tiles are skipped, checked or free by intervals
 *            at most 64 queries: keys are read where they lie
 *            at most 38 batch n^2 flops
 * step 5     Y  map of 6 x n
 *            X + Wout * concat_heads(WV * X * softmax(keep(le(i, j), 0...
 *            78 batch n flops
 * bytes      48 batch n + 648
 * workspace  72 batch n + 3072 + the threads' blocks
 * parameters 162
 *
 * From spec 4b62feef0c31b023, by: gram emit layer.lua
 */
#include "layer.h"

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

/* So few rows are multiplied by keys as they lie; for more it pays to turn the keys. */
#define GRAM_FEW_ROWS 8

/* What the lanes of a buffer are padded to, 64 bytes of reals; buffers are aligned to 64 bytes. */
#define GRAM_PAD 16

/* A lane count, padded. */
#define GRAM_PADDED(lanes) (((lanes) + GRAM_PAD - 1) / GRAM_PAD * GRAM_PAD)

/* A rows x columns matrix per head of each batch item; strides in elements. */
typedef struct gram_tensor {
    gram_real *data;
    int64_t batch, head, row, col;
} gram_tensor;

/* The values lo to hi inclusive. INT64_MIN as lo and INT64_MAX as hi say that no bound is known. A predicate's range
 * lies in [0, 1]: [1, 1] holds everywhere, [0, 0] nowhere. */
typedef struct gram_range {
    int64_t lo, hi;
} gram_range;

/* The range of one value, or from the lesser to the greater of two. */
static inline gram_range gram_range_of(int64_t a, int64_t b) {
    gram_range r = {a < b ? a : b, a < b ? b : a};
    return r;
}

/* a <= b; two unknown bounds compare as unknown. */
static inline gram_range gram_range_le(gram_range a, gram_range b) {
    return gram_range_of(a.hi <= b.lo && a.hi != INT64_MAX && b.lo != INT64_MIN, a.lo <= b.hi);
}

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

/* Where lane stands in panels of GRAM_TILE lanes x inner numbers. */
static inline int64_t gram_panel_lane(int64_t lane, int64_t inner) {
    return (lane - lane % GRAM_TILE) * inner + lane % GRAM_TILE;
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

/* The rows of t, `rows` at a time, as its heads. */
static inline gram_tensor gram_split(gram_tensor t, int64_t rows) {
    t.head = rows * t.row;
    return t;
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

/* An instruction of AVX-512 by its name less the type: operand 0 becomes it of 1 and 2. For what C says in several. */
#if defined(__AVX512DQ__)
#define GRAM_AVX512(name) "v" name "ps {%2, %1, %0|%0, %1, %2}"
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

/* Reads GRAM_LANES integers from p. */
static inline GRAM_ALWAYS gram_vint gram_v_loadi(const gram_int *p) {
    gram_vint v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Writes GRAM_LANES integers to p. */
static inline GRAM_ALWAYS void gram_v_storei(gram_int *p, gram_vint v) {
    memcpy(p, &v, sizeof v);
}

/* Every lane x. */
static inline GRAM_ALWAYS gram_vint gram_v_splati(gram_int x) {
    return x - (gram_vint){0};
}

/* Reads GRAM_LANES predicates from p. */
static inline GRAM_ALWAYS gram_mask gram_v_loadm(const gram_bits *p) {
    gram_mask v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Writes GRAM_LANES predicates to p. */
static inline GRAM_ALWAYS void gram_v_storem(gram_bits *p, gram_mask v) {
    memcpy(p, &v, sizeof v);
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

/* The lanes' numbers, for as many lanes as any target has. */
static const gram_int gram_count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* start, start + 1, ... */
static inline GRAM_ALWAYS gram_vint gram_v_iota(gram_int start) {
    return start + gram_v_loadi(gram_count);
}

/* a < b */
static inline GRAM_ALWAYS gram_mask gram_v_lt(gram_vreal a, gram_vreal b) {
    return GRAM_TEST(gram_mask, a < b);
}

/* a <= b of integers */
static inline GRAM_ALWAYS gram_mask gram_v_ile(gram_vint a, gram_vint b) {
    return GRAM_CONVERT(gram_mask, GRAM_TEST(gram_vint, a <= b));
}

/* a where m holds, b elsewhere. (Said by a comparison, so that GCC sees a choice, and makes a blend of it.) */
static inline GRAM_ALWAYS gram_vreal gram_v_where(gram_mask m, gram_vreal a, gram_vreal b) {
    gram_mask on = GRAM_TEST(gram_mask, m != 0);
    return gram_v_unbits((gram_v_bits(a) & on) | (gram_v_bits(b) & ~on));
}

/* The greater of a and b, b if either is NaN. */
static inline GRAM_ALWAYS gram_vreal gram_v_above(gram_vreal a, gram_vreal b) {
#if defined(GRAM_AVX512)
    __asm__(GRAM_AVX512("max") : "=v"(a) : "v"(a), "v"(b));
    return a;
#else
    return gram_v_where(gram_v_lt(b, a), a, b);
#endif
}

/* The lesser of a and b, b if either is NaN. */
static inline GRAM_ALWAYS gram_vreal gram_v_below(gram_vreal a, gram_vreal b) {
#if defined(GRAM_AVX512)
    __asm__(GRAM_AVX512("min") : "=v"(a) : "v"(a), "v"(b));
    return a;
#else
    return gram_v_where(gram_v_lt(a, b), a, b);
#endif
}

/* An integer as a real. */
static inline GRAM_ALWAYS gram_vreal gram_v_real(gram_vint a) {
    return GRAM_CONVERT(gram_vreal, a);
}

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

/* The sum of a vector's parts of 16 bytes. */
#if defined(GRAM_VECTOR_BYTES)
static inline GRAM_ALWAYS gram_vpart gram_v_part_sum(gram_vreal v) {
    gram_vpart part[GRAM_PARTS];
    memcpy(part, &v, sizeof part);
    GRAM_UNROLL
    for (int p = 1; p < GRAM_PARTS; p++) {
        part[0] += part[p];
    }
    return part[0];
}
#endif

/* The sum of the lanes: over parts of 16 bytes, then over halves within one. */
#if defined(GRAM_VECTOR_BYTES)
static inline GRAM_ALWAYS gram_real gram_v_sum(gram_vreal v) {
    gram_vpart part = gram_v_part_sum(v);
    GRAM_UNROLL
    for (int half = (int)(8 / sizeof(gram_real)); half > 0; half /= 2) {
        GRAM_UNROLL
        for (int l = 0; l < half; l++) {
            part[l] += part[l + half];
        }
    }
    return part[0];
}
#else
#define gram_v_sum(v) (v)
#endif

/* The sums of a square of parts, in the order of gram_v_sum. */
#if GRAM_SQUARE > 1
static inline GRAM_ALWAYS gram_vpart gram_parts_sum(const gram_vpart *row) {
    const gram_vpart a =
        __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5) + __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const gram_vpart b =
        __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5) + __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    return __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
}
#endif

/* The sums of count vectors: of GRAM_SQUARE of them side by side. */
static inline GRAM_ALWAYS void gram_v_sums(gram_real *sum, const gram_vreal *v, const int count) {
#if GRAM_SQUARE > 1
    if (count == GRAM_SQUARE) {
        gram_vpart part[GRAM_SQUARE];
        GRAM_UNROLL
        for (int r = 0; r < GRAM_SQUARE; r++) {
            part[r] = gram_v_part_sum(v[r]);
        }
        part[0] = gram_parts_sum(part);
        memcpy(sum, part, sizeof part[0]);
        return;
    }
#endif
    for (int r = 0; r < count; r++) {
        sum[r] = gram_v_sum(v[r]);
    }
}

/* The greater of each of two parts' numbers, a's where one is NaN. */
#if defined(GRAM_VECTOR_BYTES)
static inline GRAM_ALWAYS gram_vpart gram_part_above(gram_vpart a, gram_vpart b) {
#if defined(GRAM_AVX512)
    __asm__(GRAM_AVX512("max") : "=v"(a) : "v"(b), "v"(a));
    return a;
#else
    const gram_part_mask m = (gram_part_mask)(a < b);
    return (gram_vpart)(((gram_part_mask)b & m) | ((gram_part_mask)a & ~m));
#endif
}
#endif

/* The greatest of a vector's parts of 16 bytes. */
#if defined(GRAM_VECTOR_BYTES)
static inline GRAM_ALWAYS gram_vpart gram_v_part_top(gram_vreal v) {
    gram_vpart part[GRAM_PARTS];
    memcpy(part, &v, sizeof part);
    GRAM_UNROLL
    for (int p = 1; p < GRAM_PARTS; p++) {
        part[0] = gram_part_above(part[0], part[p]);
    }
    return part[0];
}
#endif

/* The greatest of the lanes, NaN left aside: likewise. */
#if defined(GRAM_VECTOR_BYTES)
static inline GRAM_ALWAYS gram_real gram_v_top(gram_vreal v) {
    const gram_vpart part = gram_v_part_top(v);
    gram_real top = part[0];
    GRAM_UNROLL
    for (int l = 1; l < (int)(16 / sizeof(gram_real)); l++) {
        top = top < part[l] ? part[l] : top;
    }
    return top;
}
#else
#define gram_v_top(v) (v)
#endif

/* The greatest of count vectors each, GRAM_SQUARE at once as gram_v_sums has it. */
static inline GRAM_ALWAYS void gram_v_tops(gram_real *top, const gram_vreal *v, const int count) {
#if GRAM_SQUARE > 1
    if (count == GRAM_SQUARE) {
        gram_vpart part[GRAM_SQUARE];
        GRAM_UNROLL
        for (int r = 0; r < GRAM_SQUARE; r++) {
            part[r] = gram_v_part_top(v[r]);
        }
        gram_parts_turn(part);
        GRAM_UNROLL
        for (int r = 1; r < GRAM_SQUARE; r++) {
            part[0] = gram_part_above(part[0], part[r]);
        }
        memcpy(top, part, sizeof part[0]);
        return;
    }
#endif
    for (int r = 0; r < count; r++) {
        top[r] = gram_v_top(v[r]);
    }
}

/* The bits of a mantissa, the bias of an exponent, the sign bit, and from where on all reals are whole. */
#define GRAM_MANTISSA 23
#define GRAM_BIAS 127
#define GRAM_SIGN INT32_MIN
#define GRAM_WHOLE 8388608.0f

/* |a| */
static inline GRAM_ALWAYS gram_vreal gram_v_abs(gram_vreal a) {
    return gram_v_unbits(gram_v_bits(a) & ~gram_v_splatm(GRAM_SIGN));
}

/* a held between lo and hi; NaN stays. */
static inline GRAM_ALWAYS gram_vreal gram_v_within(gram_vreal a, gram_real lo, gram_real hi) {
    return gram_v_above(gram_v_splat(lo), gram_v_below(gram_v_splat(hi), a));
}

/* c[0] + c[1] x + ... + c[degree] x^degree */
static inline GRAM_ALWAYS gram_vreal gram_v_poly(gram_vreal x, const gram_real *c, const int degree) {
    gram_vreal sum = gram_v_splat(c[degree]);
    GRAM_UNROLL
    for (int k = degree - 1; k >= 0; k--) {
        sum = sum * x + c[k];
    }
    return sum;
}

/* Added to a small number it leaves no bits for a fraction, and in the lowest bits the nearest whole number as a biased
 * exponent, with nothing above that a shift into the exponent's place would keep. */
#define GRAM_EXPONENT ((gram_real)1.5 * GRAM_WHOLE + GRAM_BIAS)

/* The nearest whole number to a, |a| well below GRAM_WHOLE. */
static inline GRAM_ALWAYS gram_vreal gram_v_near(gram_vreal a) {
    return (a + GRAM_EXPONENT) - GRAM_EXPONENT;
}

/* 2^n, for whole n from -GRAM_BIAS (which gives 0) to GRAM_BIAS, of n + GRAM_EXPONENT. */
static inline GRAM_ALWAYS gram_vreal gram_v_power_at(gram_vreal shifted) {
    return gram_v_unbits((gram_mask)((gram_umask)gram_v_bits(shifted) << GRAM_MANTISSA));
}

/* 2^a, a rounded to a whole number, from -GRAM_BIAS to GRAM_BIAS. */
static inline GRAM_ALWAYS gram_vreal gram_v_power(gram_vreal a) {
    return gram_v_power_at(a + GRAM_EXPONENT);
}

/* a 2^n, for whole n up to twice GRAM_BIAS either way: in two steps, so that neither power is out of range, where no
 * instruction does it. */
static inline GRAM_ALWAYS gram_vreal gram_v_scale(gram_vreal a, gram_vreal n) {
#if defined(GRAM_AVX512)
    __asm__(GRAM_AVX512("scalef") : "=v"(a) : "v"(a), "v"(n));
    return a;
#else
    gram_vreal half = gram_v_near(n * (gram_real)0.5);
    return a * gram_v_power(half) * gram_v_power(n - half);
#endif
}

/* ln 2; ln 2 in two parts, the first with so few bits that its product with an exponent is exact; and 1 / ln 2. */
#define GRAM_LN2 0.69314718055994531f
#define GRAM_LN2_HIGH 0.693359375f
#define GRAM_LN2_LOW -2.12194440e-4f
#define GRAM_LOG2E 1.44269504f

/* 2^f for |f| <= 1/2, to 9e-8 and 3e-18, and 1 at 0. */
#define GRAM_WEIGHT_DEGREE 5
static const gram_real gram_weight_poly[] = {
    1.0f, 0.693146978f, 0.240222421f, 0.0555073374f, 0.00967151261f, 0.00132647271f};

/* e^a for weights, which are added up: to a few roundings of a, as if the score had been rounded; what is below the
 * normal numbers may be 0, what is near the greatest infinite. */
static inline GRAM_ALWAYS gram_vreal gram_v_exp_weight(gram_vreal a) {
#if defined(GRAM_AVX512)
    gram_vreal y = a * GRAM_LOG2E, rest;
    __asm__(GRAM_AVX512("reduce") : "=v"(rest) : "v"(y), "i"(0)); /* y less the nearest whole number; 0 if infinite */
    return gram_v_scale(gram_v_poly(rest, gram_weight_poly, GRAM_WEIGHT_DEGREE), y - rest);
#else
    gram_vreal x = gram_v_within(a, -88, 89), shifted = x * GRAM_LOG2E + GRAM_EXPONENT;
    gram_vreal rest = x * GRAM_LOG2E - (shifted - GRAM_EXPONENT);
    return gram_v_poly(rest, gram_weight_poly, GRAM_WEIGHT_DEGREE) * gram_v_power_at(shifted);
#endif
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

/* Ends an online softmax: out[r * ldo + c] /= sum[r] for c < width, 0 where nothing was summed. */
static inline void gram_tile_finish(gram_real *out, int64_t ldo, const gram_real *sum, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; r++, out += ldo) {
        gram_vreal scale = gram_v_splat(sum[r] == 0 ? 0 : 1 / sum[r]);
        for (int64_t c = 0; c < width; c += GRAM_LANES) {
            gram_v_store(out + c, gram_v_load(out + c) * scale);
        }
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

/* i held to the range from 0 to n - 1, n > 0. */
static inline int64_t gram_held(gram_int i, int64_t n) {
    return i < 0 ? 0 : i < n ? i : n - 1;
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

/* What the phases share. */
typedef struct layer_job {
    const layer_args *args;
    gram_tensor X;
    gram_tensor WQ;
    gram_tensor WK;
    gram_tensor WV;
    gram_tensor Wout;
    gram_tensor bias;
    gram_tensor Y;
    gram_tensor attended;
    gram_tensor attended_heads;
    gram_tensor WK_X;
    gram_tensor WK_X_turned;
    gram_tensor WQ_X;
    gram_tensor WV_X;
    gram_tensor WK_panels;
    gram_tensor WQ_panels;
    gram_tensor WK_X_turned_panels;
    gram_tensor WV_panels;
    gram_tensor Wout_panels;
    gram_tensor stream_attended_heads_states;
    gram_real *scratch;
    int64_t scratch_size;
    int64_t batch;
    int64_t n;
    int threads;
} layer_job;

/* WK in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void layer_pack_WK_panels(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t tiles = gram_parts(3, GRAM_TILE), items = 2 * tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, 3 - lane);
        const int64_t head = item / tiles % 2;
        const gram_real *from = gram_at(&job->WK, 0, head);
        gram_real *to = gram_at(&job->WK_panels, 0, head);
        gram_panel(to + lane * 6, from + lane * job->WK.row, job->WK.row, job->WK.col, lanes, 6);
    }
}

/* WQ in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void layer_pack_WQ_panels(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t tiles = gram_parts(3, GRAM_TILE), items = 2 * tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, 3 - lane);
        const int64_t head = item / tiles % 2;
        const gram_real *from = gram_at(&job->WQ, 0, head);
        gram_real *to = gram_at(&job->WQ_panels, 0, head);
        gram_panel(to + lane * 6, from + lane * job->WQ.row, job->WQ.row, job->WQ.col, lanes, 6);
    }
}

/* WK_X_turned in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void layer_pack_WK_X_turned_panels(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t tiles = gram_parts(job->n, GRAM_TILE), items = job->batch * 2 * tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, job->n - lane);
        const int64_t head = item / tiles % 2;
        const int64_t batch = item / tiles / 2;
        const gram_real *from = gram_at(&job->WK_X_turned, batch, head);
        gram_real *to = gram_at(&job->WK_X_turned_panels, batch, head);
        gram_panel(to + lane * 3, from + lane * job->WK_X_turned.row, job->WK_X_turned.row, job->WK_X_turned.col,
            lanes, 3);
    }
}

/* WV in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void layer_pack_WV_panels(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t tiles = gram_parts(3, GRAM_TILE), items = 2 * tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, 3 - lane);
        const int64_t head = item / tiles % 2;
        const gram_real *from = gram_at(&job->WV, 0, head);
        gram_real *to = gram_at(&job->WV_panels, 0, head);
        gram_panel(to + lane * 6, from + lane * job->WV.row, job->WV.row, job->WV.col, lanes, 6);
    }
}

/* Wout in panels of 64 rows, transposed, so that a row of a panel is a vector. */
static void layer_pack_Wout_panels(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t tiles = gram_parts(6, GRAM_TILE), items = tiles;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t lane = item % tiles * GRAM_TILE, lanes = gram_least(GRAM_TILE, 6 - lane);
        const gram_real *from = gram_at(&job->Wout, 0, 0);
        gram_real *to = gram_at(&job->Wout_panels, 0, 0);
        gram_panel(to + lane * 6, from + lane * job->Wout.row, job->Wout.row, job->Wout.col, lanes, 6);
    }
}

/* WK_X = WK * X */
static void layer_map_WK_X(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t blocks = gram_parts(job->n, GRAM_BLOCK), items = job->batch * 2 * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const t0 = block0 + GRAM_BLOCK * 6;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * GRAM_BLOCK, queries = gram_least(GRAM_BLOCK, job->n - query);
        const int64_t head = item / blocks % 2;
        const int64_t batch = item / blocks / 2;
        gram_block(block0, gram_at(&job->X, batch, 0) + query * job->X.col, job->X.col, job->X.row, queries, 6, 1);
        for (int64_t lane = 0; lane < 3; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, 3 - lane);
            const gram_real *const panel0 = gram_at(&job->WK_panels, batch, head) + lane * 6;
            gram_real *const place = gram_at(&job->WK_X, batch, head) + query * job->WK_X.col + lane * job->WK_X.row;
            const int in_place = job->WK_X.row == 1 && lanes == GRAM_TILE;
            gram_real *const tile = in_place ? place : t0;
            const int64_t apart = in_place ? job->WK_X.col : GRAM_TILE;
            gram_tile_mul(tile, apart, block0, 6, panel0, GRAM_TILE, queries, 6, GRAM_PADDED(lanes), 0);
            if (!in_place) {
                gram_store(place, job->WK_X.col, job->WK_X.row, t0, GRAM_TILE, queries, lanes);
            }
        }
    }
}

/* WQ_X = WQ * X */
static void layer_map_WQ_X(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t blocks = gram_parts(job->n, GRAM_BLOCK), items = job->batch * 2 * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const t0 = block0 + GRAM_BLOCK * 6;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * GRAM_BLOCK, queries = gram_least(GRAM_BLOCK, job->n - query);
        const int64_t head = item / blocks % 2;
        const int64_t batch = item / blocks / 2;
        gram_block(block0, gram_at(&job->X, batch, 0) + query * job->X.col, job->X.col, job->X.row, queries, 6, 1);
        for (int64_t lane = 0; lane < 3; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, 3 - lane);
            const gram_real *const panel0 = gram_at(&job->WQ_panels, batch, head) + lane * 6;
            gram_real *const place = gram_at(&job->WQ_X, batch, head) + query * job->WQ_X.col + lane * job->WQ_X.row;
            const int in_place = job->WQ_X.row == 1 && lanes == GRAM_TILE;
            gram_real *const tile = in_place ? place : t0;
            const int64_t apart = in_place ? job->WQ_X.col : GRAM_TILE;
            gram_tile_mul(tile, apart, block0, 6, panel0, GRAM_TILE, queries, 6, GRAM_PADDED(lanes), 0);
            if (!in_place) {
                gram_store(place, job->WQ_X.col, job->WQ_X.row, t0, GRAM_TILE, queries, lanes);
            }
        }
    }
}

/* WV_X = WV * X */
static void layer_map_WV_X(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t blocks = gram_parts(job->n, GRAM_BLOCK), items = job->batch * 2 * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const t0 = block0 + GRAM_BLOCK * 6;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * GRAM_BLOCK, queries = gram_least(GRAM_BLOCK, job->n - query);
        const int64_t head = item / blocks % 2;
        const int64_t batch = item / blocks / 2;
        gram_block(block0, gram_at(&job->X, batch, 0) + query * job->X.col, job->X.col, job->X.row, queries, 6, 1);
        for (int64_t lane = 0; lane < 3; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, 3 - lane);
            const gram_real *const panel0 = gram_at(&job->WV_panels, batch, head) + lane * 6;
            gram_real *const place = gram_at(&job->WV_X, batch, head) + query * job->WV_X.col + lane * job->WV_X.row;
            const int in_place = job->WV_X.row == 1 && lanes == GRAM_TILE;
            gram_real *const tile = in_place ? place : t0;
            const int64_t apart = in_place ? job->WV_X.col : GRAM_TILE;
            gram_tile_mul(tile, apart, block0, 6, panel0, GRAM_TILE, queries, 6, GRAM_PADDED(lanes), 0);
            if (!in_place) {
                gram_store(place, job->WV_X.col, job->WV_X.row, t0, GRAM_TILE, queries, lanes);
            }
        }
    }
}

/* Which of lanes [lane, lane + lanes) keep which of the block's queries: [1, 1] all, [0, 0] none, else [0, 1]. */
static gram_range layer_stream_attended_heads_kept(int64_t query, int64_t queries, int64_t lane, int64_t lanes)
{
    const gram_range i = gram_range_of(lane, lane + lanes - 1);
    const gram_range j = gram_range_of(query, query + queries - 1);
    return gram_range_le(i, j);
}

/* The first lane from this one on, in steps of GRAM_PAD, with something kept: long stretches that keep nothing are
 * skipped in doubling strides. */
static int64_t layer_stream_attended_heads_seek(int64_t query, int64_t queries, int64_t lane, int64_t end)
{
    int64_t stride = GRAM_TILE - lane % GRAM_TILE;
    while (lane < end) {
        const int64_t lanes = gram_least(stride, end - lane);
        const gram_range kept = layer_stream_attended_heads_kept(query, queries, lane, lanes);
        if (kept.hi == 0) {
            lane += lanes;
            stride *= 2;
        } else if (kept.lo == 0 && stride > GRAM_PAD) {
            stride = GRAM_PAD;
        } else {
            break;
        }
    }
    return lane;
}

/* How many of the lanes are left without those at their end that keep nothing. */
static int64_t layer_stream_attended_heads_trim(int64_t query, int64_t queries, int64_t lane, int64_t lanes)
{
    int64_t rest = (lanes - 1) / GRAM_PAD * GRAM_PAD;
    while (rest > 0 && layer_stream_attended_heads_kept(query, queries, lane + rest, lanes - rest).hi == 0) {
        lanes = rest;
        rest -= GRAM_PAD;
    }
    return lanes;
}

/* What follows the sums of a block of queries. */
static void layer_stream_attended_heads_finish(const layer_job *job, int64_t batch, int64_t head, int64_t query,
    int64_t queries, gram_real *sum0, const gram_real *sum)
{
    const int64_t width = GRAM_PADDED(3);
    gram_tile_finish(sum0, width, sum, queries, width);
    {
        gram_store(gram_at(&job->attended_heads, batch, head) + query * job->attended_heads.col,
            job->attended_heads.col, job->attended_heads.row, sum0, width, queries, 3);
    }
}

/* attended_heads = ...
 * The scores (n x n) are made a tile at a time, with a running maximum and sum, and not kept. */
static void layer_stream_attended_heads(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t blocks = gram_parts(job->n, GRAM_BLOCK / 2), items = job->batch * 2 * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const sum0 = block0 + GRAM_BLOCK * 3;
    gram_real *const t0 = sum0 + GRAM_BLOCK * (GRAM_PADDED(3));
    gram_real *const t1 = t0 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t2 = t1 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t3 = t2 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t4 = t3 + GRAM_BLOCK * GRAM_TILE;
    const int64_t width = GRAM_PADDED(3);
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * (GRAM_BLOCK / 2), queries = gram_least(GRAM_BLOCK / 2, job->n - query);
        const int64_t head = item / blocks % 2;
        const int64_t batch = item / blocks / 2;
        const gram_vint c5 = gram_v_splati(4);
        const gram_vint c7 = gram_v_splati(0);
        gram_int c7_at[GRAM_PAD];
        gram_v_storei(c7_at, c7);
        gram_int q3[GRAM_BLOCK];
        for (int64_t l = 0; l < queries; l += GRAM_LANES) {
            const gram_vint v3 = gram_v_iota((gram_int)(query + l));
            gram_v_storei(q3 + l, v3);
        }
        gram_block(block0, gram_at(&job->WQ_X, batch, head) + query * job->WQ_X.col, job->WQ_X.col, job->WQ_X.row,
            queries, 3, 0.577350269f);
        gram_real max[GRAM_BLOCK], sum[GRAM_BLOCK];
        gram_fill(max, queries, 1, queries, -INFINITY);
        gram_fill(sum, queries, 1, queries, 0);
        gram_fill(sum0, width, queries, width, 0);
        for (int64_t lane = layer_stream_attended_heads_seek(query, queries, 0, job->n),
            lanes; lane < job->n; lane = layer_stream_attended_heads_seek(query, queries, lane + lanes, job->n)) {
            lanes = gram_least(GRAM_TILE - lane % GRAM_TILE, job->n - lane);
            const int checked = layer_stream_attended_heads_kept(query, queries, lane, lanes).lo == 0;
            if (checked) {
                lanes = layer_stream_attended_heads_trim(query, queries, lane, lanes);
            }
            const gram_real *const panel0 = gram_at(&job->WK_X_turned_panels, batch, head) + gram_panel_lane(lane, 3);
            gram_int k2[GRAM_TILE];
            for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                const gram_vint v2 = gram_v_iota((gram_int)(lane + l));
                gram_v_storei(k2 + l, v2);
            }
            gram_tile_mul(t0, GRAM_TILE, block0, 3, panel0, GRAM_TILE, queries, 3, GRAM_PADDED(lanes), 0);
            for (int64_t r = 0; r < queries; r++) {
                const gram_vint v3 = gram_v_splati(q3[r]);
                for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                    const gram_vint v2 = gram_v_loadi(k2 + l);
                    const gram_vint v4 = v2 - v3;
                    const gram_vint v6 = v4 + c5;
                    gram_v_storei(((gram_int *)t1) + r * GRAM_TILE + l, v6);
                }
            }
            gram_gather_runs(t2, queries, lanes, gram_at(&job->bias, batch, head), job->bias.row, 9, (gram_int *)t1,
                GRAM_TILE);
            for (int64_t r = 0; r < queries; r++) {
                for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                    const gram_vreal v1 = gram_v_load(t0 + r * GRAM_TILE + l);
                    const gram_vreal v8 = gram_v_load(t2 + r * GRAM_TILE + l);
                    const gram_vreal v9 = v1 + v8;
                    gram_v_store(t3 + r * GRAM_TILE + l, v9);
                }
            }
            if (checked) {
                for (int64_t r = 0; r < queries; r++) {
                    const gram_vint v3 = gram_v_splati(q3[r]);
                    for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                        const gram_vint v2 = gram_v_loadi(k2 + l);
                        const gram_mask v10 = gram_v_ile(v2, v3);
                        gram_v_storem(((gram_bits *)t4) + r * GRAM_TILE + l, v10);
                    }
                }
                gram_tile_keep(t3, (gram_bits *)t4, queries, lanes, -INFINITY);
            }
            gram_tile_softmax(t3, queries, lanes, max, sum, sum0, width, width);
            if (checked) {
                gram_tile_mul_kept(sum0, width, t3, (gram_bits *)t4, gram_at(&job->WV_X, batch, head) +
                    lane * job->WV_X.col, job->WV_X.col, queries, lanes, 3);
            } else {
                gram_tile_mul(sum0, width, t3, GRAM_TILE, gram_at(&job->WV_X, batch, head) + lane * job->WV_X.col,
                    job->WV_X.col, queries, lanes, GRAM_PADDED(3), 1);
            }
        }
        layer_stream_attended_heads_finish(job, batch, head, query, queries, sum0, sum);
    }
}

/* The same where the queries fit one block. What belongs to keys is read once and where it lies. */
static void layer_stream_attended_heads_few(void *data, int thread)
{
    const layer_job *job = data;
    const int64_t query = 0, queries = job->n, width = GRAM_PADDED(3);
    const int64_t size = queries * (width + 2), items = job->batch * 2;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const panel0 = block0 + GRAM_BLOCK * 3;
    gram_real *const t0 = panel0 + GRAM_TILE * 3;
    gram_real *const t1 = t0 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t2 = t1 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t3 = t2 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t4 = t3 + GRAM_BLOCK * GRAM_TILE;
    const int in_place0 = job->WK_X_turned.col == 1 && queries <= GRAM_FEW_ROWS;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t begin = 0, end = job->n;
        const int64_t head = item % 2;
        const int64_t batch = item / 2;
        gram_real *const states = job->stream_attended_heads_states.data + thread * size;
        gram_real *const sum0 = states;
        gram_real *const max = states + queries * width;
        gram_real *const sum = states + queries * width + queries;
        const gram_vint c5 = gram_v_splati(4);
        const gram_vint c7 = gram_v_splati(0);
        gram_int c7_at[GRAM_PAD];
        gram_v_storei(c7_at, c7);
        gram_int q3[GRAM_BLOCK];
        for (int64_t l = 0; l < queries; l += GRAM_LANES) {
            const gram_vint v3 = gram_v_iota((gram_int)(query + l));
            gram_v_storei(q3 + l, v3);
        }
        gram_block(block0, gram_at(&job->WQ_X, batch, head) + query * job->WQ_X.col, job->WQ_X.col, job->WQ_X.row,
            queries, 3, 0.577350269f);
        gram_fill(max, queries, 1, queries, -INFINITY);
        gram_fill(sum, queries, 1, queries, 0);
        gram_fill(sum0, width, queries, width, 0);
        for (int64_t lane = layer_stream_attended_heads_seek(query, queries, begin, end),
            lanes; lane < end; lane = layer_stream_attended_heads_seek(query, queries, lane + lanes, end)) {
            lanes = gram_least(GRAM_TILE - lane % GRAM_TILE, end - lane);
            const int checked = layer_stream_attended_heads_kept(query, queries, lane, lanes).lo == 0;
            if (checked) {
                lanes = layer_stream_attended_heads_trim(query, queries, lane, lanes);
            }
            const gram_real *const keys0 = gram_at(&job->WK_X_turned, batch, head) + lane * job->WK_X_turned.row;
            if (!in_place0) {
                gram_panel(panel0, keys0, job->WK_X_turned.row, job->WK_X_turned.col, lanes, 3);
            }
            gram_int k2[GRAM_TILE];
            for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                const gram_vint v2 = gram_v_iota((gram_int)(lane + l));
                gram_v_storei(k2 + l, v2);
            }
            if (in_place0) {
                gram_tile_dots(t0, GRAM_TILE, block0, 3, keys0, job->WK_X_turned.row, queries, 3, lanes);
            } else {
                gram_tile_mul(t0, GRAM_TILE, block0, 3, panel0, GRAM_TILE, queries, 3, GRAM_PADDED(lanes), 0);
            }
            for (int64_t r = 0; r < queries; r++) {
                const gram_vint v3 = gram_v_splati(q3[r]);
                for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                    const gram_vint v2 = gram_v_loadi(k2 + l);
                    const gram_vint v4 = v2 - v3;
                    const gram_vint v6 = v4 + c5;
                    gram_v_storei(((gram_int *)t1) + r * GRAM_TILE + l, v6);
                }
            }
            gram_gather_runs(t2, queries, lanes, gram_at(&job->bias, batch, head), job->bias.row, 9, (gram_int *)t1,
                GRAM_TILE);
            for (int64_t r = 0; r < queries; r++) {
                for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                    const gram_vreal v1 = gram_v_load(t0 + r * GRAM_TILE + l);
                    const gram_vreal v8 = gram_v_load(t2 + r * GRAM_TILE + l);
                    const gram_vreal v9 = v1 + v8;
                    gram_v_store(t3 + r * GRAM_TILE + l, v9);
                }
            }
            if (checked) {
                for (int64_t r = 0; r < queries; r++) {
                    const gram_vint v3 = gram_v_splati(q3[r]);
                    for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                        const gram_vint v2 = gram_v_loadi(k2 + l);
                        const gram_mask v10 = gram_v_ile(v2, v3);
                        gram_v_storem(((gram_bits *)t4) + r * GRAM_TILE + l, v10);
                    }
                }
                gram_tile_keep(t3, (gram_bits *)t4, queries, lanes, -INFINITY);
            }
            gram_tile_softmax(t3, queries, lanes, max, sum, sum0, width, width);
            if (checked) {
                gram_tile_mul_kept(sum0, width, t3, (gram_bits *)t4, gram_at(&job->WV_X, batch, head) +
                    lane * job->WV_X.col, job->WV_X.col, queries, lanes, 3);
            } else {
                gram_tile_mul(sum0, width, t3, GRAM_TILE, gram_at(&job->WV_X, batch, head) + lane * job->WV_X.col,
                    job->WV_X.col, queries, lanes, GRAM_PADDED(3), 1);
            }
        }
        layer_stream_attended_heads_finish(job, batch, head, query, queries, sum0, sum);
    }
}

/* Y = X + Wout * concat_heads(WV * X * softmax(keep(le(i, j), 0... */
static void layer_map_Y(void *data, int thread)
{
    const layer_job *job = data;
    if (!job->Y.data) {
        return;
    }
    const int64_t blocks = gram_parts(job->n, GRAM_BLOCK), items = job->batch * blocks;
    gram_real *const scratch = job->scratch + thread * job->scratch_size;
    gram_real *const block0 = scratch;
    gram_real *const t0 = block0 + GRAM_BLOCK * 6;
    gram_real *const t1 = t0 + GRAM_BLOCK * GRAM_TILE;
    gram_real *const t2 = t1 + GRAM_BLOCK * GRAM_TILE;
    for (int64_t item = thread; item < items; item += job->threads) {
        const int64_t query = item % blocks * GRAM_BLOCK, queries = gram_least(GRAM_BLOCK, job->n - query);
        const int64_t batch = item / blocks;
        gram_block(block0, gram_at(&job->attended, batch, 0) + query * job->attended.col, job->attended.col,
            job->attended.row, queries, 6, 1);
        for (int64_t lane = 0; lane < 6; lane += GRAM_TILE) {
            const int64_t lanes = gram_least(GRAM_TILE, 6 - lane);
            const gram_real *const panel0 = gram_at(&job->Wout_panels, batch, 0) + lane * 6;
            gram_load(t0, gram_at(&job->X, batch, 0) + query * job->X.col + lane * job->X.row, job->X.col, job->X.row,
                queries, lanes);
            gram_tile_mul(t1, GRAM_TILE, block0, 6, panel0, GRAM_TILE, queries, 6, GRAM_PADDED(lanes), 0);
            for (int64_t r = 0; r < queries; r++) {
                for (int64_t l = 0; l < lanes; l += GRAM_LANES) {
                    const gram_vreal v0 = gram_v_load(t0 + r * GRAM_TILE + l);
                    const gram_vreal v1 = gram_v_load(t1 + r * GRAM_TILE + l);
                    const gram_vreal v2 = v0 + v1;
                    gram_v_store(t2 + r * GRAM_TILE + l, v2);
                }
            }
            gram_store(gram_at(&job->Y, batch, 0) + query * job->Y.col + lane * job->Y.row, job->Y.col, job->Y.row, t2,
                GRAM_TILE, queries, lanes);
        }
    }
}

/* Finds every array: the caller's, and those carved from the workspace. Returns the bytes that takes. */
static size_t layer_place(layer_job *job, const layer_args *args, void *workspace, int threads)
{
    size_t used = 0;
    job->args = args;
    job->threads = threads;
    job->batch = args->batch;
    job->n = args->n;
    /* Turns in room1: WK_X, WQ_X, attended. */
    int64_t most1 = job->batch * 2 * 3 * job->n;
    most1 = gram_most(most1, job->batch * 6 * job->n);
    gram_real *const room1 = gram_carve(workspace, &used, most1);
    /* Turns in room2: WK_panels, WQ_panels, WV_panels, Wout_panels. */
    int64_t most2 = 2 * 64 * 6;
    most2 = gram_most(most2, 64 * 6);
    gram_real *const room2 = gram_carve(workspace, &used, most2);
    job->X = gram_strided(args->X, args->X_stride, (gram_tensor){NULL, 6 * job->n, 0, 1, 6});
    job->WQ = (gram_tensor){NULL, 0, 6 * 3, 6, 1};
    job->WQ.data = (gram_real *)args->WQ;
    job->WK = (gram_tensor){NULL, 0, 6 * 3, 6, 1};
    job->WK.data = (gram_real *)args->WK;
    job->WV = (gram_tensor){NULL, 0, 6 * 3, 6, 1};
    job->WV.data = (gram_real *)args->WV;
    job->Wout = (gram_tensor){NULL, 0, 0, 6, 1};
    job->Wout.data = (gram_real *)args->Wout;
    job->bias = (gram_tensor){NULL, 0, 9, 1, 0};
    job->bias.data = (gram_real *)args->bias;
    job->Y = gram_strided(args->Y, args->Y_stride, (gram_tensor){NULL, 6 * job->n, 0, 1, 6});
    job->attended = (gram_tensor){job->n <= GRAM_BLOCK ? gram_carve(workspace, &used, job->batch * 6 * job->n) : room1,
        6 * job->n, 6 * job->n, 1, 6};
    job->attended_heads = gram_split(job->attended, 3);
    job->WK_X = (gram_tensor){room1, 2 * 3 * job->n, 3 * job->n, 1, 3};
    job->WK_X_turned = gram_turned(job->WK_X);
    job->WQ_X = (gram_tensor){job->n <= GRAM_BLOCK ? gram_carve(workspace, &used, job->batch * 2 * 3 * job->n) : room1,
        2 * 3 * job->n, 3, 1, 2 * 3};
    job->WV_X = (gram_tensor){gram_carve(workspace, &used, job->batch * 2 * 3 * job->n + GRAM_PAD), 2 * 3 * job->n,
        3 * job->n, 1, 3};
    job->WK_panels = (gram_tensor){room2, 0, 64 * 6, 1, 6};
    job->WQ_panels = (gram_tensor){room2, 0, 64 * 6, 1, 6};
    job->WK_X_turned_panels = (gram_tensor){gram_carve(workspace, &used,
        job->n > GRAM_BLOCK ? job->batch * 2 * gram_parts(job->n, GRAM_TILE) * GRAM_TILE * 3 : 0),
        2 * gram_parts(job->n, GRAM_TILE) * GRAM_TILE * 3, gram_parts(job->n, GRAM_TILE) * GRAM_TILE * 3, 1, 3};
    job->WV_panels = (gram_tensor){room2, 0, 64 * 6, 1, 6};
    job->Wout_panels = (gram_tensor){room2, 0, 64 * 6, 1, 6};
    job->stream_attended_heads_states.data = gram_carve(workspace, &used,
        job->n <= GRAM_BLOCK ? 2 * threads * (job->n * (GRAM_PADDED(3) + 2)) + GRAM_BLOCK : 0);
    job->scratch_size = GRAM_BLOCK * 6 + GRAM_BLOCK * GRAM_TILE;
    job->scratch_size = gram_most(job->scratch_size,
        gram_most(GRAM_BLOCK * 3 + GRAM_BLOCK * (GRAM_PADDED(3)) + 5 * GRAM_BLOCK * GRAM_TILE, GRAM_BLOCK * 3 +
        GRAM_TILE * 3 + 5 * GRAM_BLOCK * GRAM_TILE));
    job->scratch_size = gram_most(job->scratch_size, GRAM_BLOCK * 6 + 3 * GRAM_BLOCK * GRAM_TILE);
    job->scratch = gram_carve(workspace, &used, threads * job->scratch_size);
    (void)workspace;
    return used;
}

/* One phase after the other. */
static void layer_phases(layer_job *job, const gram_team *team)
{
    gram_run(team, layer_pack_WK_panels, job);
    gram_run(team, layer_map_WK_X, job);
    if (job->n > GRAM_BLOCK) {
        gram_run(team, layer_pack_WK_X_turned_panels, job);
    }
    gram_run(team, layer_pack_WQ_panels, job);
    gram_run(team, layer_map_WQ_X, job);
    gram_run(team, layer_pack_WV_panels, job);
    gram_run(team, layer_map_WV_X, job);
    if (job->n > GRAM_BLOCK) {
        gram_run(team, layer_stream_attended_heads, job);
    }
    if (job->n <= GRAM_BLOCK) {
        gram_run(team, layer_stream_attended_heads_few, job);
    }
    gram_run(team, layer_pack_Wout_panels, job);
    gram_run(team, layer_map_Y, job);
}

static int layer_check(const layer_args *args)
{
    if (!args->X || !args->WQ || !args->WK || !args->WV || !args->Wout || !args->bias) {
        return LAYER_NULL_INPUT;
    }
    if (args->batch < 0 || args->batch >= GRAM_MOST_TOKENS) {
        return LAYER_SIZE_OUT_OF_RANGE;
    }
    if (args->n < 0 || args->n >= GRAM_MOST_TOKENS) {
        return LAYER_SIZE_OUT_OF_RANGE;
    }
    return LAYER_OK;
}

size_t layer_workspace(const layer_args *args, int threads)
{
    layer_job job;
    return layer_check(args) ? 0 : layer_place(&job, args, NULL, threads);
}

int layer(const layer_args *args, void *workspace, const gram_team *team)
{
    layer_job job;
    const int error = layer_check(args);
    if (error) {
        return error;
    }
    if (layer_place(&job, args, workspace, team ? team->threads : 1) > 0 && !workspace) {
        return LAYER_NULL_WORKSPACE;
    }
    layer_phases(&job, team);
    return LAYER_OK;
}
