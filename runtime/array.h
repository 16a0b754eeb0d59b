/* Arrays as callers hold them: a type, a shape, strides and data, whatever library they came from. */
#ifndef GRAM_ARRAY_H
#define GRAM_ARRAY_H

#include <stddef.h>
#include <stdint.h>

/* name, name in messages (numpy's, where numpy has it), bytes, kind ('b'ool, 'i'nteger, 'u'nsigned, 'f'loat, 'e'
   bfloat16) */
/* clang-format off */
#define GRAM_DTYPES(X) \
    X(B1, "bool", 1, 'b') \
    X(I1, "i1", 1, 'i') \
    X(I2, "i2", 2, 'i') \
    X(I4, "i4", 4, 'i') \
    X(I8, "i8", 8, 'i') \
    X(U1, "u1", 1, 'u') \
    X(U2, "u2", 2, 'u') \
    X(U4, "u4", 4, 'u') \
    X(U8, "u8", 8, 'u') \
    X(F2, "f2", 2, 'f') \
    X(F4, "f4", 4, 'f') \
    X(F8, "f8", 8, 'f') \
    X(BF16, "bf16", 2, 'e')
/* clang-format on */

typedef enum gram_dtype {
#define X(name, text, bytes, kind) GRAM_##name,
    GRAM_DTYPES(X)
#undef X
        GRAM_NDTYPES
} gram_dtype;

enum { GRAM_MAX_DIMS = 8 };

typedef struct gram_array {
    gram_dtype dtype;
    int ndim; /* 0 for a single number */
    int64_t shape[GRAM_MAX_DIMS];
    int64_t stride[GRAM_MAX_DIMS]; /* in elements; may be 0 or negative */
    void *data;                    /* entry (0, ..., 0) */
    void *storage;                 /* what gram_array_free frees; NULL when the data belongs to someone else */
} gram_array;

size_t gram_dtype_size(gram_dtype dtype);      /* bytes of an element */
char gram_dtype_kind(gram_dtype dtype);        /* the kind in the table above */
const char *gram_dtype_name(gram_dtype dtype); /* "f4", "bool", "bf16" */

/* A dense array in C order over the caller's data. The shape must have passed gram_array_count. */
gram_array gram_array_dense(gram_dtype dtype, int ndim, const int64_t *shape, void *data);

/* The same with data of its own, zeros; free it with gram_array_free. Returns 0 or -1 with a message. */
int gram_array_new(gram_array *array, gram_dtype dtype, int ndim, const int64_t *shape, char *message, size_t size);

void gram_array_free(gram_array *array);

/* Number of elements of a shape; -1 if a size is negative or the bytes, zero sizes counted as 1, would overflow. */
int64_t gram_array_count(gram_dtype dtype, int ndim, const int64_t *shape);

/* Whether the elements lie one after the other in C order. */
int gram_array_is_dense(const gram_array *array);

/* Copies every element of `from` to the same place of `to` (same shape; any types, any strides; no overlap), rounding
   to the nearest, ties to even. A value that an integer type cannot hold, out of range or with a fraction, is an error
   that names its index. Integers beyond 2^53 convert to their own type only. Returns 0 or -1 with a message. */
int gram_array_assign(const gram_array *to, const gram_array *from, char *message, size_t size);

/* Entry i of a dense array of floats as a double, and set to a double. */
double gram_array_entry(const gram_array *array, int64_t i);
void gram_array_set(const gram_array *array, int64_t i, double value);

/* IEEE binary16 and bfloat16, held in 16 bits. To 16 bits: to nearest, ties to even; NaN stays NaN. Back: exact. */
uint16_t gram_f16_from_double(double value);
uint16_t gram_bf16_from_double(double value);
float gram_f16_to_float(uint16_t bits);
float gram_bf16_to_float(uint16_t bits);

#endif
