/* Files of named tensors: see tensors.h. The file is mapped, its format found by its first bytes, and the format's own
   file (safetensors.c, npz.c, npy.c) lists what is in it. */
#include "tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "npy.h"
#include "npz.h"
#include "safetensors.h"

static int list_npy(gram_tensors *file, char *message, size_t size)
{
    file->tensors = calloc(1, sizeof *file->tensors);
    if (!file->tensors)
        return gram_message(message, size, "out of memory");
    file->tensors[0].name = "";
    file->n = 1;
    return gram_npy_view(&file->tensors[0].array, file->map, file->bytes, message, size);
}

/* In the order in which they are tried; a .safetensors file starts with a number. */
static const struct {
    const char *magic;
    int (*list)(gram_tensors *file, char *message, size_t size);
} FORMATS[] = {
    {"\x93NUMPY", list_npy}, {"PK\3\4", gram_npz_list}, {"PK\5\6", gram_npz_list}, {"", gram_safetensors_list}};

static int list(gram_tensors *file, char *message, size_t size)
{
    int k = 0;
    while (file->bytes < strlen(FORMATS[k].magic) || memcmp(file->map, FORMATS[k].magic, strlen(FORMATS[k].magic)) != 0)
        k++;
    return FORMATS[k].list(file, message, size);
}

static int map_file(gram_tensors *file, int fd, char *message, size_t size)
{
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return gram_message(message, size, "%s", strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gram_message(message, size, "not a regular file");
    if (info.st_size == 0)
        return gram_message(message, size, "the file is empty");
    file->bytes = (size_t)info.st_size;
    file->map = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (file->map != MAP_FAILED)
        return 0;
    file->map = NULL;
    return gram_message(message, size, "%s", strerror(errno));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gram_tensor *)a)->name, ((const gram_tensor *)b)->name);
}

static int sort(gram_tensors *file, char *message, size_t size)
{
    if (file->n > 0)
        qsort(file->tensors, (size_t)file->n, sizeof *file->tensors, by_name);
    for (int i = 1; i < file->n; i++)
        if (by_name(&file->tensors[i - 1], &file->tensors[i]) == 0)
            return gram_message(message, size, "two tensors are named %s", file->tensors[i].name);
    return 0;
}

static int open_file(gram_tensors *file, const char *path, char *message, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status = map_file(file, fd, message, size);
    if (fd >= 0)
        close(fd);
    if (status == 0)
        status = list(file, message, size);
    return status == 0 ? sort(file, message, size) : status;
}

int gram_tensors_open(gram_tensors **tensors, const char *path, char *message, size_t size)
{
    char reason[GRAM_MESSAGE];
    gram_tensors *file = calloc(1, sizeof *file);
    *tensors = NULL;
    if (!file)
        return gram_message(message, size, "%s: out of memory", path);
    if (open_file(file, path, reason, sizeof reason) != 0) {
        gram_tensors_close(file);
        return gram_message(message, size, "%s: %s", path, reason);
    }
    *tensors = file;
    return 0;
}

const gram_array *gram_tensors_find(const gram_tensors *file, const char *name)
{
    const gram_tensor key = {.name = name};
    const gram_tensor *found =
        file->n > 0 ? bsearch(&key, file->tensors, (size_t)file->n, sizeof *file->tensors, by_name) : NULL;
    return found ? &found->array : NULL;
}

void gram_tensors_close(gram_tensors *file)
{
    if (!file)
        return;
    for (int i = 0; i < file->n; i++)
        gram_array_free(&file->tensors[i].array);
    if (file->map)
        munmap(file->map, file->bytes);
    free(file->tensors);
    free(file->names);
    free(file);
}
