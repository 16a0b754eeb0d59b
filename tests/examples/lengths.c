/* One kernel, compiled once, on sequences of ten lengths: sizes are read off the arrays.
 *
 *     cc lengths.c $(pkg-config --cflags --libs gram) -o lengths && ./lengths gqa_softcap.lua */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <gram.h>

enum { D = 64, QUERY_HEADS = 8, KEY_HEADS = 2 };

static float *numbers(int64_t count)
{
    float *a = malloc((size_t)count * sizeof *a);
    for (int64_t i = 0; a && i < count; i++)
        a[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
    return a;
}

static int run(gram_kernel *kernel, int64_t n)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array q = gram_array_dense(GRAM_F4, 3, (int64_t[]){QUERY_HEADS, n, D}, numbers(QUERY_HEADS * n * D));
    gram_array k = gram_array_dense(GRAM_F4, 3, (int64_t[]){KEY_HEADS, n, D}, numbers(KEY_HEADS * n * D));
    gram_array o = {0}, lse = {0};
    gram_argument arguments[] = {
        {"Q", &q, NULL}, {"K", &k, NULL}, {"V", &k, NULL}, {"O", &o, NULL}, {"lse", &lse, NULL}};
    const int failed = gram_run(kernel, 5, arguments, message, sizeof message) != GRAM_OK;
    if (failed)
        fprintf(stderr, "%s\n", message);
    else
        printf("n = %3" PRId64 "   the first query sees the first key only: %g = %g\n", n, ((float *)o.data)[0],
               ((float *)k.data)[0]);
    free(q.data);
    free(k.data);
    gram_array_free(&o);
    gram_array_free(&lse);
    return failed;
}

int main(int argc, char **argv)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_kernel *kernel;
    int failed = 0;
    if (gram_load_file(argc > 1 ? argv[1] : "gqa_softcap.lua", NULL, &kernel, message, sizeof message) != GRAM_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    for (int i = 1; i <= 10 && !failed; i++)
        failed = run(kernel, 10 * i * i);
    gram_free(kernel);
    return failed;
}
