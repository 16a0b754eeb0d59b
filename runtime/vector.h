/* Vectors of reals and integers, as wide as the target's registers, and what a lane can do but for the transcendental
 * functions (vmath.h). GCC and Clang have vector types; elsewhere a vector is one number. + - * / and unary - are
 * written bare on vectors, & | ~ on masks; comparisons and choices have functions. See kernel.h on chunks. */

#ifndef GRAM_VECTOR_H

#define GRAM_VECTOR_H

#include "kernel.h"

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
#ifdef GRAM_F64
#define GRAM_AVX512(name) "v" name "pd {%2, %1, %0|%0, %1, %2}"
#else
#define GRAM_AVX512(name) "v" name "ps {%2, %1, %0|%0, %1, %2}"
#endif
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

/* a <= b */
static inline GRAM_ALWAYS gram_mask gram_v_le(gram_vreal a, gram_vreal b) {
    return GRAM_TEST(gram_mask, a <= b);
}

/* a == b */
static inline GRAM_ALWAYS gram_mask gram_v_eq(gram_vreal a, gram_vreal b) {
    return GRAM_TEST(gram_mask, a == b);
}

/* a != b */
static inline GRAM_ALWAYS gram_mask gram_v_ne(gram_vreal a, gram_vreal b) {
    return GRAM_TEST(gram_mask, a != b);
}

/* a < b of integers */
static inline GRAM_ALWAYS gram_mask gram_v_ilt(gram_vint a, gram_vint b) {
    return GRAM_CONVERT(gram_mask, GRAM_TEST(gram_vint, a < b));
}

/* a <= b of integers */
static inline GRAM_ALWAYS gram_mask gram_v_ile(gram_vint a, gram_vint b) {
    return GRAM_CONVERT(gram_mask, GRAM_TEST(gram_vint, a <= b));
}

/* a == b of integers */
static inline GRAM_ALWAYS gram_mask gram_v_ieq(gram_vint a, gram_vint b) {
    return GRAM_CONVERT(gram_mask, GRAM_TEST(gram_vint, a == b));
}

/* a != b of integers */
static inline GRAM_ALWAYS gram_mask gram_v_ine(gram_vint a, gram_vint b) {
    return GRAM_CONVERT(gram_mask, GRAM_TEST(gram_vint, a != b));
}

/* a where m holds, b elsewhere. (Said by a comparison, so that GCC sees a choice, and makes a blend of it.) */
static inline GRAM_ALWAYS gram_vreal gram_v_where(gram_mask m, gram_vreal a, gram_vreal b) {
    gram_mask on = GRAM_TEST(gram_mask, m != 0);
    return gram_v_unbits((gram_v_bits(a) & on) | (gram_v_bits(b) & ~on));
}

/* a where m holds, b elsewhere. */
static inline GRAM_ALWAYS gram_vint gram_v_iwhere(gram_mask m, gram_vint a, gram_vint b) {
    gram_vint on = GRAM_TEST(gram_vint, GRAM_CONVERT(gram_vint, m) != 0);
    return (a & on) | (b & ~on);
}

/* The lesser of a and b, NaN if either is. */
static inline GRAM_ALWAYS gram_vreal gram_v_min(gram_vreal a, gram_vreal b) {
    return gram_v_where(gram_v_lt(b, a) | gram_v_ne(b, b), b, a);
}

/* The greater of a and b, NaN if either is. */
static inline GRAM_ALWAYS gram_vreal gram_v_max(gram_vreal a, gram_vreal b) {
    return gram_v_where(gram_v_lt(a, b) | gram_v_ne(b, b), b, a);
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

/* The lesser of a and b. */
static inline GRAM_ALWAYS gram_vint gram_v_imin(gram_vint a, gram_vint b) {
    return gram_v_iwhere(gram_v_ilt(b, a), b, a);
}

/* The greater of a and b. */
static inline GRAM_ALWAYS gram_vint gram_v_imax(gram_vint a, gram_vint b) {
    return gram_v_iwhere(gram_v_ilt(a, b), b, a);
}

/* |a|; the least integer is its own. */
static inline GRAM_ALWAYS gram_vint gram_v_iabs(gram_vint a) {
    gram_vuint sign = (gram_vuint)GRAM_TEST(gram_vint, a < 0);
    return (gram_vint)(((gram_vuint)a ^ sign) - sign);
}

/* -1, 0 or 1, as a is. */
static inline GRAM_ALWAYS gram_vint gram_v_isign(gram_vint a) {
    return GRAM_TEST(gram_vint, a < 0) - GRAM_TEST(gram_vint, a > 0);
}

/* a / b towards 0, b neither 0 nor -1: of 32-bit integers in double, which is exact and has vector instructions. */
static inline GRAM_ALWAYS gram_vint gram_v_quotient(gram_vint a, gram_vint b) {
#if defined(GRAM_F64) || defined(GRAM_INT64)
    return a / b;
#else
    gram_int x[GRAM_LANES], y[GRAM_LANES];
    gram_v_storei(x, a);
    gram_v_storei(y, b);
    for (int l = 0; l < GRAM_LANES; l++) {
        x[l] = (gram_int)((double)x[l] / y[l]);
    }
    return gram_v_loadi(x);
#endif
}

/* floor(a / b), 0 where b is 0. No division traps: b = 0 and b = -1 are seen to apart. */
static inline GRAM_ALWAYS gram_vint gram_v_idiv(gram_vint a, gram_vint b) {
    gram_vint zero = GRAM_TEST(gram_vint, b == 0), minus = GRAM_TEST(gram_vint, b == -1);
    gram_vint by = (b & ~(zero | minus)) | ((zero | minus) & 1);
    gram_vint q = gram_v_quotient(a, by), rest = a - q * by;
    q += GRAM_TEST(gram_vint, rest != 0) & GRAM_TEST(gram_vint, (rest ^ by) < 0);
    gram_vuint sign = (gram_vuint)minus;
    return (gram_vint)(((gram_vuint)q ^ sign) - sign) & ~zero;
}

/* a - floor(a / b) * b, which has b's sign, 0 where b is 0. */
static inline GRAM_ALWAYS gram_vint gram_v_imod(gram_vint a, gram_vint b) {
    gram_vint unit = GRAM_TEST(gram_vint, b == 0) | GRAM_TEST(gram_vint, b == -1);
    gram_vint by = (b & ~unit) | (unit & 1);
    gram_vint rest = a - gram_v_quotient(a, by) * by;
    return rest + (by & GRAM_TEST(gram_vint, rest != 0) & GRAM_TEST(gram_vint, (rest ^ by) < 0));
}

/* The 32 bits of a and b mixed (Wellons's lowbias32, after an odd multiple of a is added to b), as a signed integer. */
static inline GRAM_ALWAYS gram_vint gram_v_hash(gram_vint a, gram_vint b) {
    const gram_uint word = 0xffffffffu;
    gram_vuint x = ((gram_vuint)a * (gram_uint)0x9e3779b9u + (gram_vuint)b) & word;
    x = ((x ^ (x >> 16)) * (gram_uint)0x7feb352du) & word;
    x = ((x ^ (x >> 15)) * (gram_uint)0x846ca68bu) & word;
    x ^= x >> 16;
    return (gram_vint)((x ^ (gram_uint)0x80000000u) - (gram_uint)0x80000000u);
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
#define GRAM_SQUARE GRAM_PICK(4, 2)
#else
#define GRAM_SQUARE 1
#endif

/* Transposes a square of GRAM_SQUARE parts. */
#if GRAM_SQUARE > 1
static inline GRAM_ALWAYS void gram_parts_turn(gram_vpart *row) {
#ifdef GRAM_F64
    const gram_vpart first = __builtin_shufflevector(row[0], row[1], 0, 2);
    row[1] = __builtin_shufflevector(row[0], row[1], 1, 3);
    row[0] = first;
#else
    const gram_vpart a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const gram_vpart b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const gram_vpart c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const gram_vpart d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    row[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    row[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    row[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    row[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
#endif
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
#ifdef GRAM_F64
    return __builtin_shufflevector(row[0], row[1], 0, 2) + __builtin_shufflevector(row[0], row[1], 1, 3);
#else
    const gram_vpart a =
        __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5) + __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const gram_vpart b =
        __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5) + __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    return __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
#endif
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

/* The bits that any lane has: over parts, then within one. */
#if defined(GRAM_VECTOR_BYTES)
static inline GRAM_ALWAYS gram_bits gram_v_any(gram_mask m) {
    gram_part_mask part[GRAM_PARTS];
    memcpy(part, &m, sizeof part);
    GRAM_UNROLL
    for (int p = 1; p < GRAM_PARTS; p++) {
        part[0] |= part[p];
    }
    gram_bits any = part[0][0];
    GRAM_UNROLL
    for (int l = 1; l < (int)(16 / sizeof(gram_bits)); l++) {
        any |= part[0][l];
    }
    return any;
}
#else
#define gram_v_any(m) (m)
#endif

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

/* The greatest of the lanes, NaN if one is. */
static inline GRAM_ALWAYS gram_real gram_v_maximum(gram_vreal v) {
    gram_real nan = gram_v_sum(gram_v_where(gram_v_ne(v, v), v, gram_v_splat(0)));
    return nan != nan ? nan : gram_v_top(v);
}

/* base[i] in each lane. */
static inline GRAM_ALWAYS gram_vreal gram_v_gather(const gram_real *base, gram_vint i) {
    gram_int at[GRAM_LANES];
    gram_real lane[GRAM_LANES];
    gram_v_storei(at, i);
    for (int l = 0; l < GRAM_LANES; l++) {
        lane[l] = base[at[l]];
    }
    return gram_v_load(lane);
}

/* The same for integers. */
static inline GRAM_ALWAYS gram_vint gram_v_gatheri(const int32_t *base, gram_vint i) {
    gram_int at[GRAM_LANES];
    gram_v_storei(at, i);
    for (int l = 0; l < GRAM_LANES; l++) {
        at[l] = base[at[l]];
    }
    return gram_v_loadi(at);
}

#endif
