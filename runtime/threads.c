/* A pool of threads as a gram_team: see threads.h. A phase starts when the number in `start` changes and is over when
   the last worker sets the number in `done`. Whoever waits for a number spins for some microseconds, as the next
   phase of a kernel mostly follows at once, and then sleeps. */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 1024, SPIN_NS = 30000, SPIN_STEP = 64 };

/* A number that threads wait on until it differs from what they have seen. */
typedef struct gate {
    atomic_ulong number;
    atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} gate;

typedef struct worker {
    pthread_t thread;
    struct gram_pool *pool;
    int index;
} worker;

struct gram_pool {
    gram_team team;
    pid_t owner;          /* a forked child has the pool's memory, but not its threads */
    int64_t spin;         /* ns; 0 where there are more threads than CPUs */
    pthread_mutex_t turn; /* held by the one caller whose phase runs */
    gate start, done;
    atomic_int running;                  /* workers that have not yet finished the phase */
    void (*task)(void *job, int thread); /* NULL: the workers are to end */
    void *job;
    worker workers[]; /* team.threads - 1 */
};

static void gate_open(gate *g)
{
    atomic_init(&g->number, 0);
    atomic_init(&g->sleepers, 0);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static void gate_close(gate *g)
{
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A sleeper counts itself before it looks at the number, and gate_set looks at the count after it has set the number,
   all in one order that every thread agrees on: one of the two sees the other. */
static void gate_sleep(gate *g, unsigned long seen)
{
    pthread_mutex_lock(&g->lock);
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->number) == seen)
        pthread_cond_wait(&g->changed, &g->lock);
    atomic_fetch_sub(&g->sleepers, 1);
    pthread_mutex_unlock(&g->lock);
}

static unsigned long gate_wait(gate *g, unsigned long seen, int64_t spin)
{
    const int64_t end = spin > 0 ? now() + spin : 0;
    while (atomic_load_explicit(&g->number, memory_order_acquire) == seen) {
        for (int i = 0; i < SPIN_STEP; i++)
            pause_briefly();
        if (spin == 0 || now() > end) {
            gate_sleep(g, seen);
            break;
        }
    }
    return atomic_load(&g->number);
}

static void gate_set(gate *g, unsigned long number)
{
    atomic_store(&g->number, number);
    if (atomic_load(&g->sleepers) == 0)
        return;
    pthread_mutex_lock(&g->lock);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void *work(void *argument)
{
    const worker *self = argument;
    gram_pool *pool = self->pool;
    for (unsigned long seen = 0;;) {
        seen = gate_wait(&pool->start, seen, pool->spin);
        if (!pool->task)
            return NULL;
        pool->task(pool->job, self->index);
        if (atomic_fetch_sub(&pool->running, 1) == 1)
            gate_set(&pool->done, seen);
    }
}

/* Lets the workers begin the phase (or end, when task is NULL) that the next number of `start` stands for. */
static unsigned long begin(gram_pool *pool, void (*task)(void *job, int thread), void *job)
{
    const unsigned long phase = atomic_load(&pool->start.number) + 1;
    pool->task = task;
    pool->job = job;
    atomic_store(&pool->running, pool->team.threads - 1);
    gate_set(&pool->start, phase);
    return phase;
}

static void run_alone(const gram_team *team, void (*task)(void *job, int thread), void *job)
{
    for (int thread = 0; thread < team->threads; thread++)
        task(job, thread);
}

static void run(const gram_team *team, void (*task)(void *job, int thread), void *job)
{
    gram_pool *pool = team->self;
    if (team->threads == 1 || getpid() != pool->owner) {
        run_alone(team, task, job);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    const unsigned long phase = begin(pool, task, job);
    task(job, 0);
    while (atomic_load_explicit(&pool->done.number, memory_order_acquire) != phase)
        gate_wait(&pool->done, phase - 1, pool->spin);
    pthread_mutex_unlock(&pool->turn);
}

/* The CPUs that this process may use, which a container or taskset makes fewer than the machine's. */
static int usable_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < THREADS_MAX ? (int)online : 1;
}

/* Signals are the host's business: workers block them all. Stops at the first thread that the system refuses. */
static void start_workers(gram_pool *pool, int threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < threads; i++) {
        worker *w = &pool->workers[i - 1];
        *w = (worker){.pool = pool, .index = i};
        if (pthread_create(&w->thread, NULL, work, w))
            break;
        pool->team.threads = i + 1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

gram_pool *gram_pool_new(int threads)
{
    const int cpus = usable_cpus();
    if (threads <= 0)
        threads = cpus;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    gram_pool *pool = calloc(1, sizeof *pool + (size_t)(threads - 1) * sizeof(worker));
    if (!pool)
        return NULL;
    pool->team = (gram_team){1, run, pool};
    pool->owner = getpid();
    pool->spin = threads <= cpus ? SPIN_NS : 0;
    pthread_mutex_init(&pool->turn, NULL);
    gate_open(&pool->start);
    gate_open(&pool->done);
    start_workers(pool, threads);
    return pool;
}

const gram_team *gram_pool_team(const gram_pool *pool)
{
    return &pool->team;
}

void gram_pool_free(gram_pool *pool)
{
    if (!pool)
        return;
    if (getpid() == pool->owner) {
        begin(pool, NULL, NULL);
        for (int i = 0; i < pool->team.threads - 1; i++)
            pthread_join(pool->workers[i].thread, NULL);
        gate_close(&pool->start);
        gate_close(&pool->done);
        pthread_mutex_destroy(&pool->turn);
    }
    free(pool);
}
