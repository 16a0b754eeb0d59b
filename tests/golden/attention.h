/*
 * attention
 *
 *     O = V * softmax(K:t() * Q / 2)
 *
 *     Q        4 x n
 *     K        4 x m
 *     V        3 x m
 *
 * Plan (batch, sizes as in the arguments):
 * attention: streamed, f32
 * step 1     O  stream of m x n
 *            0.5 * (K:t() * Q), m x n
 *            not built: made tile by tile, and summed down its columns
 *            at most 64 queries: keys are read where they lie, in parts of 1,024
 *            17 batch m n flops
 * bytes      28 batch n + 28 batch m
 * workspace  80 batch m + the threads' blocks
 * parameters 0
 *
 * From spec 586ac0ac4f9430df, by: gram emit attention.lua
 */
#ifndef ATTENTION_H
#define ATTENTION_H

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

/* What attention returns. */
enum {
    ATTENTION_OK = 0,
    ATTENTION_NULL_INPUT = 1,
    ATTENTION_NULL_WORKSPACE = 2,
    ATTENTION_SIZE_OUT_OF_RANGE = 3, /* negative, or 2^30 and more */
    ATTENTION_SIZES_DISAGREE = 4
};

typedef struct attention_args {
    const float *Q; /* [batch, n, 4] */
    const float *K; /* [batch, m, 4] */
    const float *V; /* [batch, m, 3] */
    float *O; /* [batch, n, 3], or NULL */
    int64_t batch;
    int64_t n;
    int64_t m;
    int64_t Q_stride[3]; /* batch, head, token, in elements; all 0: dense */
    int64_t K_stride[3]; /* batch, head, token, in elements; all 0: dense */
    int64_t V_stride[3]; /* batch, head, token, in elements; all 0: dense */
    int64_t O_stride[3]; /* batch, head, token, in elements; all 0: dense */
} attention_args;

/* The bytes, 64-byte aligned, that attention needs with these arguments on so many threads; 0 where
 * they are out of range. More where an output is NULL: outputs serve as workspace until they are written, so none may
 * overlap an input. */
size_t attention_workspace(const attention_args *args, int threads);

/* Computes the outputs that are not NULL. team NULL: all on the calling thread. */
int attention(const attention_args *args, void *workspace, const gram_team *team);

#ifdef __cplusplus
}
#endif

#endif
