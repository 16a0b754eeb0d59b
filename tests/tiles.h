/* What the tests of the tile primitives share: a suite for each instruction set, buffers with margins, comparison.
 * Compiled for one width of numbers, as runtime/kernel.h has it; the _f32w and _f64 twins define the others. */
#ifndef GRAM_TESTS_TILES_H
#define GRAM_TESTS_TILES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../runtime/doubles.h"
#include "../runtime/kernel.h"
#include "../runtime/tiles.h"

enum { REAL_BITS = 8 * sizeof(gram_real), INT_BITS = 8 * sizeof(gram_int) };

typedef struct suite {
    const char *isa;
    const gram_tile_symbol *table;
    int passed, failed;
} suite;

/* Counts a case, and says what of it was wrong, if anything. */
static inline void check(suite *s, int good, const char *what, double got, double expected)
{
    s->passed += good;
    s->failed += !good;
    if (!good && s->failed < 40) {
        printf("FAIL %s, %d-bit reals, %d-bit integers: %s: got %.17g, expected %.17g\n", s->isa,
               REAL_BITS, INT_BITS, what, got, expected);
    }
}

static inline gram_function *primitive(suite *s, const char *name)
{
    const gram_tile_symbol *row = s->table;
    while (row->name && strcmp(row->name, name) != 0) {
        row++;
    }
    if (!row->name) {
        printf("FAIL %s: no primitive %s\n", s->isa, name);
        exit(1);
    }
    return row->address;
}

/* Random numbers from a seed: reals in [-1, 1), integers in [0, n). */
static inline double uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 4503599627370496.0 - 1;
}

static inline int64_t below(uint64_t *seed, int64_t n)
{
    return (int64_t)((uniform(seed) + 1) / 2 * (double)n);
}

/* A buffer of n reals as kernels have them, aligned, with a margin that must not change; one of exactly n numbers. */
enum { MARGIN = 64 };
static const gram_real untouched = (gram_real)12345.5;

static inline gram_real *buffer(int64_t n)
{
    gram_real *all = aligned_alloc(64, (size_t)(n + 2 * MARGIN + 15) / 16 * 16 * sizeof(gram_real));
    for (int64_t i = 0; i < n + 2 * MARGIN; i++) {
        all[i] = untouched;
    }
    return all + MARGIN;
}

static inline void release(suite *s, gram_real *p, int64_t n, const char *what)
{
    int good = 1;
    for (int64_t i = 0; i < MARGIN; i++) {
        good &= p[i - MARGIN] == untouched && p[n + i] == untouched;
    }
    check(s, good, what, 0, 0);
    free(p - MARGIN);
}

static inline gram_real *random_array(uint64_t *seed, int64_t n)
{
    gram_real *p = malloc((size_t)(n > 0 ? n : 1) * sizeof(gram_real));
    for (int64_t i = 0; i < n; i++) {
        p[i] = (gram_real)uniform(seed);
    }
    return p;
}

static inline gram_real *random_buffer(uint64_t *seed, int64_t n)
{
    gram_real *p = buffer(n);
    for (int64_t i = 0; i < n; i++) {
        p[i] = (gram_real)uniform(seed);
    }
    return p;
}

/* Equal, both NaN, or within so many units of rounding of scale. */
static inline int close_to(double got, double expected, double scale, double units)
{
    double as_real = (gram_real)expected;
    double room = units * GRAM_PICK(6e-8, 1.2e-16) * fmax(fabs(expected), scale) + GRAM_PICK(3e-45, 1e-323);
    return got == as_real || (isnan(got) && isnan(as_real)) || fabs(got - expected) <= room;
}

typedef void test(suite *s);

/* Runs the tests for every instruction set of this CPU; returns the exit status. */
static inline int run_tests(test *const *tests, size_t count)
{
    suite s = {0};
    const char *names[5];
    gram_tiles_isas(names);
    for (int i = 0; names[i]; i++) {
        s.isa = names[i];
        s.table = gram_tiles(REAL_BITS, INT_BITS, names[i]);
        for (size_t k = 0; k < count; k++)
            tests[k](&s);
    }
    printf("%d passed, %d failed\n", s.passed, s.failed);
    return s.failed > 0;
}

#endif
