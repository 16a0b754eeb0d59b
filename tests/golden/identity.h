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
#ifndef IDENTITY_H
#define IDENTITY_H

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

/* What identity returns. */
enum {
    IDENTITY_OK = 0,
    IDENTITY_NULL_INPUT = 1,
    IDENTITY_NULL_WORKSPACE = 2,
    IDENTITY_SIZE_OUT_OF_RANGE = 3, /* negative, or 2^30 and more */
    IDENTITY_SIZES_DISAGREE = 4
};

typedef struct identity_args {
    const float *X; /* [batch, n, 4] */
    const float *W; /* [4, 4] */
    float *O; /* [batch, n, 4], or NULL */
    int64_t batch;
    int64_t n;
    int64_t X_stride[3]; /* batch, head, token, in elements; all 0: dense */
    int64_t O_stride[3]; /* batch, head, token, in elements; all 0: dense */
} identity_args;

/* The bytes, 64-byte aligned, that identity needs with these arguments on so many threads; 0 where
 * they are out of range. More where an output is NULL: outputs serve as workspace until they are written, so none may
 * overlap an input. */
size_t identity_workspace(const identity_args *args, int threads);

/* Computes the outputs that are not NULL. team NULL: all on the calling thread. */
int identity(const identity_args *args, void *workspace, const gram_team *team);

#ifdef __cplusplus
}
#endif

#endif
