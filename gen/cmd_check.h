/* Trials of a kernel (cmd_trial.c), and the parts of gram check. */
#ifndef GRAM_CMD_CHECK_H
#define GRAM_CMD_CHECK_H

#include "sample.h"

/* The sizes and the seed of one run. */
typedef struct gram_trial {
    int64_t batch;
    int64_t sizes[GRAM_SIZES];
    uint64_t seed;
} gram_trial;

/* n empty arrays, and one more so that 0 is no special case; NULL: out of memory. Free both with gram_check_free. */
gram_array *gram_check_arrays(int n);
void gram_check_free(gram_array *arrays, int n);
/* All inputs of a trial; 0, or not 0 with a message. */
int gram_check_sample(const gram_kernel *kernel, const gram_trial *t, gram_array *inputs, char *message, size_t size);
/* All outputs of inputs; 0, or not 0 with a message. */
int gram_check_run(gram_kernel *kernel, gram_array *inputs, gram_array *outputs, char *message, size_t size);
/* |got - expected| / |expected|, of dense arrays of one shape, where |expected| counts as `least` at least; infinity
 * where one is NaN or infinite and the other is not so. */
double gram_check_error(const gram_array *got, const gram_array *expected, double least);
/* What the kernel's type and its spec allow. */
double gram_check_tolerance(const gram_kernel *kernel);

/* The spec's derivative against differences of its outputs, both kernels of the reference in double; prints a line. */
bool gram_check_slopes(gram_kernel *plain, gram_kernel *derivative, bool forward);
/* The derivative of each row of ops.def at 100 points; a line for each. */
bool gram_check_operations(void);

/* Tests each declared symmetry with random Q or P on a kernel in double precision; prints a line for each. */
bool gram_check_symmetries(gram_kernel *kernel, const char *jit);

#endif
