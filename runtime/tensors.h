/* Files of named tensors, read by memory map: .safetensors, .npz and .npy, told apart by their content. */
#ifndef GRAM_TENSORS_H
#define GRAM_TENSORS_H

#include <stddef.h>

#include "array.h"

typedef struct gram_tensor {
    const char *name; /* "encoder.layer.0.q.weight"; "" in a .npy file */
    gram_array array; /* over the mapped file, of any alignment; what is written there stays private */
} gram_tensor;

typedef struct gram_tensors {
    int n;
    gram_tensor *tensors; /* sorted by name */
    void *map;            /* the file */
    size_t bytes;
    char *names; /* what the names point into */
} gram_tensors;

/* Opens a file. Whatever its header claims is checked against its size; what is compressed, structured or of more than
   8 axes is refused, and what is of the other byte order is copied. Returns 0, or -1 with a message that starts with
   the path. The file must not be cut shorter while it is open. */
int gram_tensors_open(gram_tensors **tensors, const char *path, char *message, size_t size);

/* The tensor of that name, or NULL. */
const gram_array *gram_tensors_find(const gram_tensors *tensors, const char *name);

/* Unmaps the file: its tensors are gone. NULL is fine. */
void gram_tensors_close(gram_tensors *tensors);

#endif
