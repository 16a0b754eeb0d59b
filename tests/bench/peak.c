/* The most that one core does: fused multiply-adds on registers alone, in GFLOP/s. Built with -O3 -march=native. */
#include <stdio.h>
#include <time.h>

#if defined(__AVX512F__)
enum { LANES = 16 };
#define IN_REGISTER "+v"
#elif defined(__x86_64__)
enum { LANES = 8 };
#define IN_REGISTER "+x"
#else
enum { LANES = 4 };
#define IN_REGISTER "+w"
#endif
enum { SUMS = 12, STEPS = 20000, RUNS = 400 };

typedef float vector __attribute__((vector_size(4 * LANES)));

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Twelve sums at once, so that none waits for the one before it. */
static double run(void)
{
    vector sum[SUMS] = {{0}};
    const vector by = {1}, term = {2};
    const double start = seconds();
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 12
        for (int k = 0; k < SUMS; k++) {
            sum[k] = sum[k] * by + term;
            __asm__ volatile("" : IN_REGISTER(sum[k]));
        }
    }
    return 2.0 * LANES * SUMS * STEPS / (seconds() - start) * 1e-9;
}

int main(void)
{
    double best = 0;
    for (int k = 0; k < RUNS; k++) {
        const double rate = run();
        best = rate > best ? rate : best;
    }
    printf("%.1f\n", best);
    return 0;
}
