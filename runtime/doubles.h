/* What the references of ops.def call, beside the C library. NaN propagates; integers are exact in doubles. */
#ifndef GRAM_DOUBLES_H
#define GRAM_DOUBLES_H

#include <math.h>
#include <stdint.h>

static inline double gram_d_min(double a, double b)
{
    return isnan(a) || a < b ? a : b;
}

static inline double gram_d_max(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

/* As gram_v_hash: the low 32 bits of two integers mixed, as a signed integer. */
static inline double gram_d_hash(double a, double b)
{
    uint32_t x = (uint32_t)(int64_t)a * 0x9e3779b9u + (uint32_t)(int64_t)b;
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    x ^= x >> 16;
    return x < 0x80000000u ? (double)x : (double)x - 0x1p32;
}

#endif
