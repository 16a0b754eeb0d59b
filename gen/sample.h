/* Random inputs for a kernel, of given sizes: for gram run --random, check and bench. */
#ifndef GRAM_SAMPLE_H
#define GRAM_SAMPLE_H

#include "compile.h"

/* Random numbers with a seed: the same on every machine. */
typedef struct gram_random {
    uint64_t state;
} gram_random;
double gram_random_uniform(gram_random *random); /* in [0, 1) */
double gram_random_normal(gram_random *random);  /* mean 0, variance 1 */

/* One input: reals are normal, weights scaled by 1 / sqrt(columns) so that results stay near 1, integers below the
 * declared bound or up to the largest size. Dense, its values in the kernel's type (f4 or f8) or i4; a negative batch
 * leaves out the batch axis. Returns 0 or -1 with a message; free it with gram_array_free. */
int gram_sample(const gram_kernel *kernel, const gram_input *input, int64_t batch, const int64_t *sizes, uint64_t seed,
                gram_array *array, char *message, size_t size);

#endif
