/* A family of kernels from one spec, loaded again and again through a store: each is compiled once.
 *
 *     cc store.c $(pkg-config --cflags --libs gram) -o store && ./store */
#include <stdio.h>

#include <gram.h>

enum { FAMILY = 3, LOADS = 1000 };

static const char spec[] = "local X = tokens('X', option('d', 4), 'n')\n"
                           "return kernel('soft', { O = X * softmax(X:t() * X) })\n";

static gram_kernel *load(gram_store *store, int d)
{
    char message[GRAM_MESSAGE_SIZE];
    const gram_option set[] = {{"d", d}};
    const gram_load_options options = {.store = store, .threads = 1, .noptions = 1, .options = set};
    gram_kernel *kernel;
    if (gram_load_text("soft.lua", spec, &options, &kernel, message, sizeof message) != GRAM_OK)
        fprintf(stderr, "%s\n", message);
    return kernel;
}

int main(void)
{
    gram_store *store = gram_store_new();
    gram_kernel *family[FAMILY];
    int shared = 0;
    for (int i = 0; i < FAMILY; i++)
        family[i] = load(store, 4 + i);
    for (int i = 0; i < LOADS; i++) {
        gram_kernel *kernel = load(store, 4 + i % FAMILY);
        shared += kernel == family[i % FAMILY];
        gram_free(kernel);
    }
    for (int i = 0; i < FAMILY; i++)
        gram_free(family[i]);
    gram_store_free(store);
    printf("%d kernels compiled, %d of %d loads share them\n", FAMILY, shared, LOADS);
    return shared == LOADS ? 0 : 1;
}
