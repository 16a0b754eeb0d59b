/* What the C tests share: a failure prints where and what, and the last line sums up. */
#ifndef GRAM_TEST_H
#define GRAM_TEST_H

#include <stdio.h>

typedef struct gram_tally {
    int passed, failed;
} gram_tally;

/* Counts one check; prints the format and its arguments when it does not hold. */
#define CHECK(tally, holds, ...) \
    do { \
        if (holds) { \
            (tally)->passed++; \
        } else { \
            (tally)->failed++; \
            printf("%s:%d: failed: ", __FILE__, __LINE__); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
    } while (0)

/* The last line and the exit status. */
static inline int gram_tally_end(const gram_tally *tally)
{
    printf("%d passed, %d failed\n", tally->passed, tally->failed);
    return tally->failed > 0;
}

#endif
