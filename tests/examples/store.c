/* A family of kernels from one spec, loaded again and again through a store: each is compiled once.
 *
 *     cc store.c $(pkg-config --cflags --libs gram) -o store && ./store */
#include <stdio.h>

#include <gram.h>

static const char spec[] = "local X = tokens('X', option('d', 4), 'n')\n"
                           "return kernel('soft', { O = X * softmax(X:t() * X) })\n";

int main(void)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_store *store = gram_store_new();
    double seconds = 0, last = 0;
    int compiled = 0;
    for (int i = 0; store && i < 1000; i++) {
        const gram_option set[] = {{"d", 4 + i % 3}};
        const gram_load_options options = {.store = store, .threads = 1, .noptions = 1, .options = set};
        gram_kernel *kernel;
        if (gram_load_text("soft.lua", spec, &options, &kernel, message, sizeof message) != GRAM_OK) {
            fprintf(stderr, "%s\n", message);
            return 1;
        }
        last = gram_compile_times(kernel).compile;    /* a kernel keeps the times of the load that made it */
        if (i < 3 || last > seconds)
            compiled++;
        seconds = i < 3 && last < seconds ? seconds : last > seconds ? last : seconds;
        gram_free(kernel);
    }
    printf("1000 loads, %d kernels compiled\n", compiled);
    gram_store_free(store);
    return compiled == 3 ? 0 : 1;
}
