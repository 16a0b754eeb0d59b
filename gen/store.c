/* A store of kernels by content. A kernel's key is a hash of all that it is made from: the spec's name and text, the
 * options, and, where the text mentions require, the Lua files beside the spec. Kernels that nobody uses are kept for
 * the next load of the same, without their threads, up to IDLE of them; the one that has rested longest goes first. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../runtime/sha256.h"
#include "compile.h"

enum { IDLE = 32 };

/* One kernel, or one that a thread is making now. Guarded by the store's lock. */
typedef struct gram_share {
    gram_store *store;
    struct gram_share *next;
    gram_kernel *kernel; /* NULL: being made */
    int users;
    uint64_t rested; /* the store's clock when the last user left */
    char key[GRAM_SHA256_HEX];
} gram_share;

struct gram_store {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a kernel was made, or failed to be */
    gram_share *first;
    uint64_t clock;
    int open; /* not yet freed by its owner; then it waits for its kernels */
};

gram_store *gram_store_new(void)
{
    gram_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->open = 1;
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        free(store);
        return NULL;
    }
    if (pthread_cond_init(&store->changed, NULL) != 0) {
        pthread_mutex_destroy(&store->lock);
        free(store);
        return NULL;
    }
    return store;
}

/* ---- keys ---- */

static int compare_options(const void *a, const void *b)
{
    return strcmp(((const gram_option *)a)->name, ((const gram_option *)b)->name);
}

/* By name: the order in which options are given does not matter. */
static int add_options(gram_sha256 *hash, const gram_load_options *o)
{
    const size_t n = (size_t)o->noptions;
    gram_option *sorted = calloc(n + 1, sizeof *sorted);
    if (!sorted)
        return -1;
    if (n > 0)
        memcpy(sorted, o->options, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_options);
    for (size_t i = 0; i < n; i++) {
        gram_sha256_add_string(hash, sorted[i].name);
        gram_sha256_add(hash, &sorted[i].value, sizeof sorted[i].value);
    }
    free(sorted);
    return 0;
}

static void add_file(gram_sha256 *hash, const char *path)
{
    char block[4096];
    size_t got;
    struct stat info;
    FILE *file = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "rb") : NULL;
    while (file && (got = fread(block, 1, sizeof block, file)) > 0)
        gram_sha256_add(hash, block, got);
    if (file)
        fclose(file);
}

static int is_lua(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".lua") == 0;
}

/* require's argument may be computed, so every file that it could find counts. */
static void add_neighbours(gram_sha256 *hash, const char *file)
{
    const char *slash = strrchr(file, '/');
    const int length = slash ? (int)(slash - file) + 1 : 0;
    char folder[4096], path[4096 + 256];
    struct dirent **found;
    snprintf(folder, sizeof folder, "%.*s", length, file);
    const int n = scandir(length ? folder : ".", &found, is_lua, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s%s", folder, found[i]->d_name);
        gram_sha256_add_string(hash, found[i]->d_name);
        add_file(hash, path);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
}

static void add_derivatives(gram_sha256 *hash, const gram_load_options *o)
{
    for (int i = 0; i < o->nderivatives; i++) {
        gram_sha256_add_string(hash, o->derivatives[i].forward ? "forward" : "backward");
        gram_sha256_add(hash, &o->derivatives[i].given, sizeof o->derivatives[i].given);
        gram_sha256_add(hash, &o->derivatives[i].n, sizeof o->derivatives[i].n);
        for (int k = 0; k < o->derivatives[i].n; k++)
            gram_sha256_add_string(hash, o->derivatives[i].names[k]);
    }
}

static int make_key(char key[GRAM_SHA256_HEX], const char *file, const char *text, const gram_load_options *o)
{
    char numbers[256];
    gram_sha256 hash;
    snprintf(numbers, sizeof numbers, "%d %d %d %d %lld %lld %a", o->threads, o->noptions, o->nderivatives,
             o->with_gradient, (long long)o->max_steps, (long long)o->max_bytes, o->max_seconds);
    gram_sha256_begin(&hash);
    const char *const strings[] = {file,
                                   text,
                                   o->jit ? o->jit : "tcc",
                                   o->cc ? o->cc : getenv("CC"),
                                   o->flags ? "flags" : "",
                                   o->flags,
                                   o->command,
                                   o->dtype ? o->dtype : "f32",
                                   numbers};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        gram_sha256_add_string(&hash, strings[i]);
    add_derivatives(&hash, o);
    if (add_options(&hash, o) != 0)
        return -1;
    if (strstr(text, "require"))
        add_neighbours(&hash, file);
    gram_sha256_end(&hash, key);
    return 0;
}

/* ---- shares, with the lock held ---- */

static gram_share *find(const gram_store *store, const char *key)
{
    gram_share *share = store->first;
    while (share && strcmp(share->key, key) != 0)
        share = share->next;
    return share;
}

static gram_share *add(gram_store *store, const char *key)
{
    gram_share *share = calloc(1, sizeof *share);
    if (!share)
        return NULL;
    share->store = store;
    share->next = store->first;
    share->users = 1;
    memcpy(share->key, key, sizeof share->key);
    store->first = share;
    return share;
}

static void take_out(gram_share *share)
{
    gram_share **place = &share->store->first;
    while (*place != share)
        place = &(*place)->next;
    *place = share->next;
}

/* The kernel to let go: the one that has rested longest where more rest than there is room for. */
static gram_share *surplus(const gram_store *store)
{
    gram_share *oldest = NULL;
    int idle = 0;
    for (gram_share *share = store->first; share; share = share->next) {
        if (share->users > 0) /* NOLINT(clang-analyzer-unix.Malloc): what is freed was taken off the list */
            continue;
        idle++;
        oldest = !oldest || share->rested < oldest->rested ? share : oldest;
    }
    return idle > (store->open ? IDLE : 0) ? oldest : NULL;
}

static void drop(gram_share *share)
{
    if (share && share->kernel)
        gram_kernel_free(share->kernel);
    free(share);
}

/* ---- loading and freeing ---- */

/* Waits for a thread that is making it. NULL: nobody has it. */
static gram_share *find_made(gram_store *store, const char *key)
{
    gram_share *share;
    while ((share = find(store, key)) != NULL && !share->kernel)
        pthread_cond_wait(&store->changed, &store->lock);
    return share;
}

/* The kernel of a new share is made without the lock. */
static gram_status make(gram_share *share, const char *file, const char *text, const gram_load_options *options,
                        char *message, size_t size)
{
    gram_store *store = share->store;
    gram_kernel *kernel;
    const gram_status status = gram_kernel_make(file, text, options, &kernel, message, size);
    pthread_mutex_lock(&store->lock);
    share->kernel = kernel;
    if (kernel)
        kernel->share = share;
    else
        take_out(share);
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    if (!kernel)
        drop(share);
    return status;
}

static gram_status no_memory(char *message, size_t size)
{
    snprintf(message, size, "error: out of memory");
    return GRAM_NO_MEMORY;
}

gram_status gram_store_load(const char *file, const char *text, const gram_load_options *options, gram_kernel **kernel,
                            char *message, size_t size)
{
    char key[GRAM_SHA256_HEX];
    gram_store *store = options->store;
    *kernel = NULL;
    if (make_key(key, file, text, options) != 0)
        return no_memory(message, size);
    pthread_mutex_lock(&store->lock);
    gram_share *share = find_made(store, key), *made = share ? NULL : add(store, key);
    if (share && gram_kernel_wake(share->kernel) == 0) {
        share->users++;
        *kernel = share->kernel;
    }
    pthread_mutex_unlock(&store->lock);
    gram_status status = GRAM_OK;
    if (made)
        status = make(made, file, text, options, message, size);
    if (made && status == GRAM_OK)
        *kernel = made->kernel; /* NOLINT(clang-analyzer-unix.Malloc): make frees it where it fails */
    return status != GRAM_OK || *kernel ? status : no_memory(message, size);
}

/* Frees the store itself where its owner has and no kernel is left; unlocks it else. */
static void leave(gram_store *store)
{
    const int done = !store->open && !store->first;
    pthread_mutex_unlock(&store->lock);
    if (!done)
        return;
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

gram_store *gram_store_of(const gram_kernel *kernel)
{
    return kernel->share ? kernel->share->store : NULL;
}

void gram_store_return(gram_kernel *kernel)
{
    gram_share *share = kernel->share, *gone = NULL;
    gram_store *store = share->store;
    pthread_mutex_lock(&store->lock);
    if (--share->users == 0) {
        share->rested = ++store->clock;
        gram_kernel_rest(kernel);
        gone = surplus(store);
    }
    if (gone)
        take_out(gone);
    leave(store);
    drop(gone);
}

void gram_store_free(gram_store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->lock);
    store->open = 0;
    for (gram_share *gone; (gone = surplus(store)) != NULL; drop(gone))
        take_out(gone);
    leave(store);
}
