/* The types of generated code: numbers, strided arrays, teams of threads, index ranges.
 *
 * kernel.h, vector.h, vmath.h and the headers of the tile primitives are compiled into the runtime once per instruction
 * set, and the parts of them that a kernel needs are pasted into emitted C. Each is therefore a row of chunks, a
 * comment and one definition, parted by one blank line; a chunk is needed where a name that it defines is.
 *
 * GRAM_F64 makes reals double; GRAM_INT64 makes integers 64 bits wide beside float; beside double they always are. */

#ifndef GRAM_KERNEL_H

#define GRAM_KERNEL_H

#include <math.h>

#include <stddef.h>

#include <stdint.h>

#include <string.h>

/* A real number, and the integer of its width: a mask holds all its bits set, or none. */
#ifdef GRAM_F64
typedef double gram_real;
typedef int64_t gram_bits;
typedef uint64_t gram_ubits;
#else
typedef float gram_real;
typedef int32_t gram_bits;
typedef uint32_t gram_ubits;
#endif

/* An integer: an index, a size, an id, a count. */
#if defined(GRAM_F64) || defined(GRAM_INT64)
typedef int64_t gram_int;
typedef uint64_t gram_uint;
#define GRAM_INT_MIN INT64_MIN
#define GRAM_INT_MAX INT64_MAX
#else
typedef int32_t gram_int;
typedef uint32_t gram_uint;
#define GRAM_INT_MIN INT32_MIN
#define GRAM_INT_MAX INT32_MAX
#endif

/* A constant that depends on the width of a real. */
#ifdef GRAM_F64
#define GRAM_PICK(single_, double_) (double_)
#else
#define GRAM_PICK(single_, double_) (single_)
#endif

/* The bits of a word as wide as a real. */
#define GRAM_WORD GRAM_PICK(32, 64)

/* The lanes of a tile's row: the keys of a key tile. */
#define GRAM_TILE 64

/* The most query rows of a block. */
#define GRAM_BLOCK 64

/* So few rows are multiplied by keys as they lie; for more it pays to turn the keys. */
#define GRAM_FEW_ROWS 8

/* The keys of a part, where the keys of few queries are shared among threads. */
#define GRAM_PART 1024

/* The columns of a segment: what a walk back keeps of the walk before it is the state before each segment. */
#define GRAM_SEGMENT 64

/* What the lanes of a buffer are padded to, 64 bytes of reals; buffers are aligned to 64 bytes. */
#define GRAM_PAD GRAM_PICK(16, 8)

/* A lane count, padded. */
#define GRAM_PADDED(lanes) (((lanes) + GRAM_PAD - 1) / GRAM_PAD * GRAM_PAD)

/* A rows x columns matrix per head of each batch item; strides in elements. */
typedef struct gram_tensor {
    gram_real *data;
    int64_t batch, head, row, col;
} gram_tensor;

/* How to run one phase on several threads. */
#ifndef GRAM_TEAM
#define GRAM_TEAM
typedef struct gram_team {
    int threads;
    void (*run)(const struct gram_team *team, void (*task)(void *job, int thread), void *job);
    void *self;                   /* run calls task(job, t) once for each t in [0, threads) and returns when all have */
} gram_team;
#endif

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

/* Nothing known. */
static inline gram_range gram_range_any(void) {
    return gram_range_of(INT64_MIN, INT64_MAX);
}

/* The least range that holds both. */
static inline gram_range gram_range_join(gram_range a, gram_range b) {
    return gram_range_of(a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi);
}

/* a + b of bounds: an unknown or overflowing one stays at the end of the int64_t line. */
static inline int64_t gram_bound_add(int64_t a, int64_t b) {
    if (a == INT64_MIN || b == INT64_MIN || (b < 0 && a < INT64_MIN - b)) {
        return INT64_MIN;
    }
    return a == INT64_MAX || b == INT64_MAX || (b > 0 && a > INT64_MAX - b) ? INT64_MAX : a + b;
}

/* -a of a bound: the ends of the line change places. */
static inline int64_t gram_bound_neg(int64_t a) {
    return a == INT64_MIN ? INT64_MAX : a == INT64_MAX ? INT64_MIN : -a;
}

/* a * b of bounds, held to the line's ends. */
static inline int64_t gram_bound_mul(int64_t a, int64_t b) {
    if (a == 0 || b == 0) {
        return 0;
    }
    int64_t end = (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    if (a == INT64_MIN || b == INT64_MIN || a == INT64_MAX || b == INT64_MAX) {
        return end;
    }
    uint64_t p = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, q = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    return p > (uint64_t)INT64_MAX / q ? end : a * b;
}

/* floor(a / b) of bounds, b not 0; an unknown bound stays unknown. */
static inline int64_t gram_bound_div(int64_t a, int64_t b) {
    if (a == INT64_MIN || a == INT64_MAX) {
        return b < 0 ? gram_bound_neg(a) : a;
    }
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

/* a + b */
static inline gram_range gram_range_add(gram_range a, gram_range b) {
    return gram_range_of(gram_bound_add(a.lo, b.lo), gram_bound_add(a.hi, b.hi));
}

/* -a */
static inline gram_range gram_range_neg(gram_range a) {
    return gram_range_of(gram_bound_neg(a.hi), gram_bound_neg(a.lo));
}

/* a - b */
static inline gram_range gram_range_sub(gram_range a, gram_range b) {
    return gram_range_add(a, gram_range_neg(b));
}

/* a * b: extreme in the corners of the box. */
static inline gram_range gram_range_mul(gram_range a, gram_range b) {
    return gram_range_join(gram_range_of(gram_bound_mul(a.lo, b.lo), gram_bound_mul(a.lo, b.hi)),
                           gram_range_of(gram_bound_mul(a.hi, b.lo), gram_bound_mul(a.hi, b.hi)));
}

/* floor(a / b) where b does not contain 0: extreme in the corners of the box. */
static inline gram_range gram_range_quotient(gram_range a, gram_range b) {
    return gram_range_join(gram_range_of(gram_bound_div(a.lo, b.lo), gram_bound_div(a.lo, b.hi)),
                           gram_range_of(gram_bound_div(a.hi, b.lo), gram_bound_div(a.hi, b.hi)));
}

/* floor(a / b), 0 where b is 0. */
static inline gram_range gram_range_idiv(gram_range a, gram_range b) {
    if (b.lo > 0 || b.hi < 0) {
        return gram_range_quotient(a, b);
    }
    gram_range r = gram_range_of(0, 0);
    if (b.lo < 0) {
        r = gram_range_join(r, gram_range_quotient(a, gram_range_of(b.lo, -1)));
    }
    return b.hi > 0 ? gram_range_join(r, gram_range_quotient(a, gram_range_of(1, b.hi))) : r;
}

/* a - floor(a / b) * b, of b's sign and 0 where b is 0: known more closely where a stays within one period of one b. */
static inline gram_range gram_range_imod(gram_range a, gram_range b) {
    if (a.lo >= 0 && a.hi < b.lo) {
        return a;
    }
    if (b.lo == b.hi && b.lo > 0 && a.lo != INT64_MIN && gram_bound_div(a.lo, b.lo) == gram_bound_div(a.hi, b.lo)) {
        int64_t first = a.lo % b.lo < 0 ? a.lo % b.lo + b.lo : a.lo % b.lo;
        return gram_range_of(first, first + (a.hi - a.lo));
    }
    return gram_range_of(b.lo < 0 ? b.lo + 1 : 0, b.hi > 0 ? b.hi - 1 : 0);
}

/* The lesser of a and b. */
static inline gram_range gram_range_min(gram_range a, gram_range b) {
    return gram_range_of(a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi);
}

/* The greater of a and b. */
static inline gram_range gram_range_max(gram_range a, gram_range b) {
    return gram_range_of(a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi);
}

/* |a| */
static inline gram_range gram_range_abs(gram_range a) {
    gram_range r = gram_range_max(a, gram_range_neg(a));
    return gram_range_of(a.lo > 0 ? a.lo : a.hi < 0 ? gram_bound_neg(a.hi) : 0, r.hi);
}

/* The sign of a: -1, 0 or 1. */
static inline gram_range gram_range_sign(gram_range a) {
    return gram_range_of((a.lo > 0) - (a.lo < 0), (a.hi > 0) - (a.hi < 0));
}

/* Any bits of 32. */
static inline gram_range gram_range_hash(gram_range a, gram_range b) {
    (void)a;
    (void)b;
    return gram_range_of(INT32_MIN, INT32_MAX);
}

/* a < b */
static inline gram_range gram_range_lt(gram_range a, gram_range b) {
    return gram_range_of(a.hi < b.lo, a.lo < b.hi);
}

/* a <= b; two unknown bounds compare as unknown. */
static inline gram_range gram_range_le(gram_range a, gram_range b) {
    return gram_range_of(a.hi <= b.lo && a.hi != INT64_MAX && b.lo != INT64_MIN, a.lo <= b.hi);
}

/* a == b */
static inline gram_range gram_range_eq(gram_range a, gram_range b) {
    int one = a.lo == a.hi && b.lo == b.hi && a.lo == b.lo;
    return gram_range_of(one, a.lo <= b.hi && b.lo <= a.hi);
}

/* not a */
static inline gram_range gram_range_not(gram_range a) {
    return gram_range_of(1 - a.hi, 1 - a.lo);
}

/* a != b */
static inline gram_range gram_range_ne(gram_range a, gram_range b) {
    return gram_range_not(gram_range_eq(a, b));
}

/* a and b */
static inline gram_range gram_range_and(gram_range a, gram_range b) {
    return gram_range_min(a, b);
}

/* a or b */
static inline gram_range gram_range_or(gram_range a, gram_range b) {
    return gram_range_max(a, b);
}

/* b where the predicate a holds, c elsewhere. */
static inline gram_range gram_range_where(gram_range a, gram_range b, gram_range c) {
    return a.lo == 1 ? b : a.hi == 0 ? c : gram_range_join(b, c);
}

#endif
