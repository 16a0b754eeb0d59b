/* A pool of threads kept between kernels, as a gram_team. */
#ifndef GRAM_THREADS_H
#define GRAM_THREADS_H

#ifndef GRAM_TEAM
#define GRAM_TEAM
typedef struct gram_team { /* how to run one phase on several threads */
    int threads;
    void (*run)(const struct gram_team *team, void (*task)(void *job, int thread), void *job);
    void *self; /* run calls task(job, t) once for each t in [0, threads) and returns when all have */
} gram_team;
#endif

typedef struct gram_pool gram_pool;

/* A pool of `threads` threads, the caller of run being one of them; at most 1024, fewer where the system refuses more,
   and 0 or less means one for each CPU this process may use. NULL when out of memory. */
gram_pool *gram_pool_new(int threads);

/* The pool as a team; valid until the pool is freed. Callers on several threads take turns; a task must not itself call
   run. In a process forked from the pool's owner the team still works, on the calling thread alone. */
const gram_team *gram_pool_team(const gram_pool *pool);

/* Ends the threads. No run may be under way. NULL is fine. */
void gram_pool_free(gram_pool *pool);

#endif
