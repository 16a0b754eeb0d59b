/* The thread pool: every task of every phase runs once, whoever calls, and a fork leaves it usable. Run it under
   ThreadSanitizer too. `threads time` prints what a phase costs. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../runtime/threads.h"
#include "test.h"

enum { MOST = 8, PHASES = 2000, CALLERS = 4 };

typedef struct job {
    int calls[MOST];
    long phase, sum[MOST];
    atomic_int inside;
} job;

static void count(void *argument, int thread)
{
    job *j = argument;
    j->calls[thread]++;
    j->sum[thread] += j->phase;
}

static void test_phases(gram_tally *t, int threads)
{
    gram_pool *pool = gram_pool_new(threads);
    const gram_team *team = gram_pool_team(pool);
    job j = {.phase = 0};
    for (int phase = 0; phase < PHASES; phase++) {
        j.phase = phase;
        team->run(team, count, &j);
        if (phase % 500 == 499)
            usleep(1000);
    }
    CHECK(t, team->threads == threads, "%d threads, not %d", team->threads, threads);
    for (int i = 0; i < threads; i++)
        CHECK(t, j.calls[i] == PHASES && j.sum[i] == (long)PHASES * (PHASES - 1) / 2,
              "%d threads: thread %d ran %d times, sum %ld", threads, i, j.calls[i], j.sum[i]);
    gram_pool_free(pool);
}

typedef struct caller {
    const gram_team *team;
    job *shared, own;
    int overlaps;
} caller;

static void alone(void *argument, int thread)
{
    caller *c = argument;
    count(&c->own, thread);
    if (thread == 0) {
        c->overlaps += atomic_fetch_add(&c->shared->inside, 1) != 0;
        atomic_fetch_sub(&c->shared->inside, 1);
    }
}

static void *call(void *argument)
{
    caller *c = argument;
    for (int phase = 0; phase < PHASES / 4; phase++)
        c->team->run(c->team, alone, c);
    return NULL;
}

/* Callers on several threads take turns. */
static void test_callers(gram_tally *t)
{
    gram_pool *pool = gram_pool_new(2);
    job shared = {.phase = 0};
    caller callers[CALLERS];
    pthread_t threads[CALLERS];
    memset(callers, 0, sizeof callers);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].team = gram_pool_team(pool);
        callers[i].shared = &shared;
        pthread_create(&threads[i], NULL, call, &callers[i]);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(t, callers[i].own.calls[0] == PHASES / 4 && callers[i].own.calls[1] == PHASES / 4 && !callers[i].overlaps,
              "caller %d: %d and %d calls, %d overlaps", i, callers[i].own.calls[0], callers[i].own.calls[1],
              callers[i].overlaps);
    }
    gram_pool_free(pool);
}

static void test_fork(gram_tally *t)
{
    gram_pool *pool = gram_pool_new(3);
    const gram_team *team = gram_pool_team(pool);
    job j = {.phase = 1};
    team->run(team, count, &j);
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        team->run(team, count, &j);
        gram_pool_free(pool);
        _exit(j.calls[0] == 2 && j.calls[1] == 2 && j.calls[2] == 2 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(t, status == 0, "the child of a fork: status %d", status);
    gram_pool_free(pool);
}

static void test_lives(gram_tally *t)
{
    int good = 0;
    for (int i = 0; i < 200; i++) {
        gram_pool *pool = gram_pool_new(1 + i % 4);
        job j = {.phase = 1};
        if (i % 3)
            gram_pool_team(pool)->run(gram_pool_team(pool), count, &j);
        good += j.calls[i % 4] == (i % 3 != 0);
        gram_pool_free(pool);
    }
    gram_pool_free(NULL);
    CHECK(t, good == 200, "%d of 200 pools worked", good);
    gram_pool *pool = gram_pool_new(0);
    CHECK(t, gram_pool_team(pool)->threads >= 1, "no CPU was found");
    gram_pool_free(pool);
}

static double microseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int print_times(void)
{
    gram_pool *pool = gram_pool_new(2);
    const gram_team *team = gram_pool_team(pool);
    job j = {.phase = 0};
    double back_to_back = microseconds(), asleep = 0;
    for (int i = 0; i < 10000; i++)
        team->run(team, count, &j);
    back_to_back = (microseconds() - back_to_back) / 10000;
    for (int i = 0; i < 200; i++) {
        usleep(500);
        const double start = microseconds();
        team->run(team, count, &j);
        asleep += (microseconds() - start) / 200;
    }
    gram_pool_free(pool);
    printf("2 threads, empty tasks: %.2f us a phase back to back, %.1f us from sleep\n", back_to_back, asleep);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "time") == 0)
        return print_times();
    gram_tally t = {0, 0};
    for (int threads = 1; threads <= MOST; threads++)
        test_phases(&t, threads);
    test_callers(&t);
    test_fork(&t);
    test_lives(&t);
    return gram_tally_end(&t);
}
