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
#ifndef LAYER_H
#define LAYER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GRAM_TEAM
#define GRAM_TEAM
/* How to run one phase on several threads: run calls task(job, t) once for each t in [0, threads) and returns when all
 * have. */
typedef struct gram_team {
    int threads;
    void (*run)(const struct gram_team *team, void (*task)(void *job, int thread), void *job);
    void *self;
} gram_team;
#endif

#if defined(_OPENMP) && !defined(GRAM_OMP)
#define GRAM_OMP
#include <omp.h>
static inline void gram_omp_run(const gram_team *team, void (*task)(void *job, int thread), void *job)
{
    const int threads = team->threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        task(job, t);
    }
}
/* A team of OpenMP's threads. */
static inline gram_team gram_omp(void)
{
    gram_team team = {omp_get_max_threads(), gram_omp_run, NULL};
    return team;
}
#endif

/* What layer returns. */
enum {
    LAYER_OK = 0,
    LAYER_NULL_INPUT = 1,
    LAYER_NULL_WORKSPACE = 2,
    LAYER_SIZE_OUT_OF_RANGE = 3, /* negative, or 2^30 and more */
    LAYER_SIZES_DISAGREE = 4
};

typedef struct layer_args {
    const float *X; /* [batch, n, 6] */
    const float *WQ; /* [2, 3, 6] */
    const float *WK; /* [2, 3, 6] */
    const float *WV; /* [2, 3, 6] */
    const float *Wout; /* [6, 6] */
    const float *bias; /* [2, 9] */
    float *Y; /* [batch, n, 6], or NULL */
    int64_t batch;
    int64_t n;
    int64_t X_stride[3]; /* batch, head, token, in elements; all 0: dense */
    int64_t Y_stride[3]; /* batch, head, token, in elements; all 0: dense */
} layer_args;

/* The bytes, 64-byte aligned, that layer needs with these arguments on so many threads; 0 where
 * they are out of range. More where an output is NULL: outputs serve as workspace until they are written, so none may
 * overlap an input. */
size_t layer_workspace(const layer_args *args, int threads);

/* Computes the outputs that are not NULL. team NULL: all on the calling thread. */
int layer(const layer_args *args, void *workspace, const gram_team *team);

#ifdef __cplusplus
}
#endif

#endif
