/* numpy's .npy files, read and written. The format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#ifndef GRAM_NPY_H
#define GRAM_NPY_H

#include <stddef.h>

#include "array.h"
#include "draft.h"

/* Reads a file (or a pipe) of version 1 to 3, C or Fortran order, either byte order, of booleans, integers and floats
   of any size up to 8 bytes and at most 8 axes; bytes after the data are ignored, as numpy does. The array, in native
   byte order, is freed with gram_array_free. Returns 0, or -1 with a message that starts with the path. */
int gram_npy_read(gram_array *array, const char *path, char *message, size_t size);

/* The array of a .npy file that is in memory, its data left where it is (any alignment); what is of the other byte
   order is copied. Free it with gram_array_free. Returns 0 or -1 with a message. */
int gram_npy_view(gram_array *array, const void *bytes, size_t count, char *message, size_t size);

/* Writes an array of any type, bf16 as unsigned integers of its bits, in C order, version 1.0. The file appears whole
   or not at all. Returns 0 or -1 with a message. */
int gram_npy_write(const gram_array *array, const char *path, char *message, size_t size);

/* The same without its last step, so that several files appear together: commit or discard the draft. */
int gram_npy_draft(gram_draft *draft, const gram_array *array, const char *path, char *message, size_t size);

#endif
