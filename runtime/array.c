/* Arrays as callers hold them: see array.h. A conversion goes row by row (a row is the last axis) through a small
   buffer of doubles, so that each type needs one function that loads and one that stores; the same type is copied as
   bytes. */
#include "array.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

enum { CHUNK = 512 };                           /* doubles converted at a time */
static const double EXACT = 9007199254740992.0; /* 2^53: up to here every integer is a double */

/* Splits a double into exponent and 53-bit fraction and rounds the fraction to the kept bits. Adding the exponent, less
   the fraction's leading 1, lets a carry out of the fraction step the exponent, from subnormals and to infinity too. */
static uint16_t narrow(double value, int exponent_bits, int fraction_bits)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 63 << 15);
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const uint64_t infinity = ((1u << exponent_bits) - 1u) << fraction_bits;
    if (isnan(value))
        return (uint16_t)(sign | infinity | 1u << (fraction_bits - 1));
    const int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    const int scale = exponent < 1 - bias ? 1 - bias : exponent;
    const int shift = 52 - fraction_bits + (scale - exponent);
    if (exponent > bias)
        return (uint16_t)(sign | infinity);
    if (shift > 54)
        return sign;
    const uint64_t fraction = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    const uint64_t half = UINT64_C(1) << (shift - 1);
    const uint64_t kept = (fraction + half - 1 + (fraction >> shift & 1)) >> shift;
    return (uint16_t)(sign | (kept + ((uint64_t)(scale + bias - 1) << fraction_bits)));
}

uint16_t gram_f16_from_double(double value)
{
    return narrow(value, 5, 10);
}

uint16_t gram_bf16_from_double(double value)
{
    return narrow(value, 8, 7);
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float gram_bf16_to_float(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

/* The bits moved into a float's places read as the value times 2^-112, subnormals included. */
float gram_f16_to_float(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    const uint32_t rest = (uint32_t)(bits & 0x7fff) << 13;
    if (rest >= 0x1fu << 23)
        return float_of_bits(sign | 0x7f800000u | rest);
    const float magnitude = float_of_bits(rest) * 0x1p112f;
    return sign ? -magnitude : magnitude;
}

/* Loads count elements, step bytes apart, as doubles; stores them back. A store returns the position of the first
   value that the type cannot hold, or count. */
typedef void load_row(double *to, const char *from, int64_t step, int64_t count);
typedef int64_t store_row(char *to, int64_t step, const double *from, int64_t count);

#define LOAD(name, type, expression) \
    static void load_##name(double *to, const char *from, int64_t step, int64_t count) \
    { \
        for (int64_t i = 0; i < count; i++) { \
            type x; \
            memcpy(&x, from + i * step, sizeof x); \
            to[i] = (double)(expression); \
        } \
    }

#define STORE(name, type, fits, expression) \
    static int64_t store_##name(char *to, int64_t step, const double *from, int64_t count) \
    { \
        for (int64_t i = 0; i < count; i++) { \
            const double x = from[i]; \
            if (!(fits)) \
                return i; \
            const type y = (type)(expression); \
            memcpy(to + i * step, &y, sizeof y); \
        } \
        return count; \
    }

#define INTEGER(name, type, low, high) \
    LOAD(name, type, x) \
    STORE(name, type, x >= (low) && x <= (high) && x == trunc(x), x)

#define FLOATING(name, type, load, store) \
    LOAD(name, type, load) \
    STORE(name, type, 1, store)

LOAD(B1, uint8_t, x != 0)
STORE(B1, uint8_t, x == 0 || x == 1, x)
INTEGER(I1, int8_t, INT8_MIN, INT8_MAX)
INTEGER(I2, int16_t, INT16_MIN, INT16_MAX)
INTEGER(I4, int32_t, INT32_MIN, INT32_MAX)
INTEGER(I8, int64_t, -EXACT, EXACT)
INTEGER(U1, uint8_t, 0, UINT8_MAX)
INTEGER(U2, uint16_t, 0, UINT16_MAX)
INTEGER(U4, uint32_t, 0, UINT32_MAX)
INTEGER(U8, uint64_t, 0, EXACT)
FLOATING(F2, uint16_t, gram_f16_to_float(x), gram_f16_from_double(x))
FLOATING(F4, float, x, x)
FLOATING(F8, double, x, x)
FLOATING(BF16, uint16_t, gram_bf16_to_float(x), gram_bf16_from_double(x))

static const struct {
    size_t bytes;
    char kind;
    const char *name;
    load_row *load;
    store_row *store;
} DTYPES[] = {
#define X(name, text, bytes, kind) {bytes, kind, text, load_##name, store_##name},
    GRAM_DTYPES(X)
#undef X
};

size_t gram_dtype_size(gram_dtype dtype)
{
    return DTYPES[dtype].bytes;
}

char gram_dtype_kind(gram_dtype dtype)
{
    return DTYPES[dtype].kind;
}

const char *gram_dtype_name(gram_dtype dtype)
{
    return DTYPES[dtype].name;
}

double gram_array_entry(const gram_array *array, int64_t i)
{
    double value;
    DTYPES[array->dtype].load(&value, (const char *)array->data + i * (int64_t)gram_dtype_size(array->dtype), 0, 1);
    return value;
}

void gram_array_set(const gram_array *array, int64_t i, double value)
{
    DTYPES[array->dtype].store((char *)array->data + i * (int64_t)gram_dtype_size(array->dtype), 0, &value, 1);
}

gram_array gram_array_dense(gram_dtype dtype, int ndim, const int64_t *shape, void *data)
{
    gram_array array = {.dtype = dtype, .ndim = ndim, .data = data};
    int64_t stride = 1;
    for (int axis = ndim - 1; axis >= 0; axis--) {
        array.shape[axis] = shape[axis];
        array.stride[axis] = stride;
        stride *= shape[axis] ? shape[axis] : 1;
    }
    return array;
}

int64_t gram_array_count(gram_dtype dtype, int ndim, const int64_t *shape)
{
    int64_t room = INT64_MAX / (int64_t)gram_dtype_size(dtype), count = 1;
    for (int axis = 0; axis < ndim; axis++) {
        if (shape[axis] < 0 || shape[axis] > room)
            return -1;
        room /= shape[axis] ? shape[axis] : 1;
        count *= shape[axis];
    }
    return count;
}

int gram_array_new(gram_array *array, gram_dtype dtype, int ndim, const int64_t *shape, char *message, size_t size)
{
    if (ndim < 0 || ndim > GRAM_MAX_DIMS)
        return gram_message(message, size, "an array of %d axes: at most %d are supported", ndim, GRAM_MAX_DIMS);
    const int64_t count = gram_array_count(dtype, ndim, shape);
    if (count < 0)
        return gram_message(message, size, "an array's size is negative or too large");
    void *data = calloc(count ? (size_t)count : 1, gram_dtype_size(dtype));
    if (!data)
        return gram_message(message, size, "out of memory for an array of %" PRId64 " numbers", count);
    *array = gram_array_dense(dtype, ndim, shape, data);
    array->storage = data;
    return 0;
}

void gram_array_free(gram_array *array)
{
    free(array->storage);
    array->storage = array->data = NULL;
}

int gram_array_is_dense(const gram_array *array)
{
    const gram_array dense = gram_array_dense(array->dtype, array->ndim, array->shape, array->data);
    for (int axis = 0; axis < array->ndim; axis++)
        if (array->shape[axis] > 1 && array->stride[axis] != dense.stride[axis])
            return gram_array_count(array->dtype, array->ndim, array->shape) == 0;
    return 1;
}

/* What one assignment needs at every row: both arrays, and where the walk over their axes stands. */
typedef struct walk {
    const gram_array *to, *from;
    int64_t index[GRAM_MAX_DIMS];
    double bad; /* the value at index that did not fit */
} walk;

/* A function per element size, so that memcpy becomes a move. */
#define COPY(bytes) \
    static void copy_##bytes(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t count) \
    { \
        for (int64_t i = 0; i < count; i++) \
            memcpy(to + i * to_step, from + i * from_step, bytes); \
    }
COPY(1)
COPY(2)
COPY(4)
COPY(8)

static void copy_row(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t count, size_t bytes)
{
    static void (*const copy[9])(char *, int64_t, const char *, int64_t,
                                 int64_t) = {[1] = copy_1, [2] = copy_2, [4] = copy_4, [8] = copy_8};
    if (to_step == (int64_t)bytes && from_step == (int64_t)bytes)
        memcpy(to, from, (size_t)count * bytes);
    else
        copy[bytes](to, to_step, from, from_step, count);
}

static int assign_row(walk *w, char *to, int64_t to_step, const char *from, int64_t from_step, int64_t count)
{
    const gram_dtype type = w->to->dtype;
    if (type == w->from->dtype) {
        copy_row(to, to_step, from, from_step, count, gram_dtype_size(type));
        return 0;
    }
    double row[CHUNK];
    for (int64_t start = 0; start < count; start += CHUNK) {
        const int64_t some = count - start < CHUNK ? count - start : CHUNK;
        DTYPES[w->from->dtype].load(row, from + start * from_step, from_step, some);
        const int64_t stored = DTYPES[type].store(to + start * to_step, to_step, row, some);
        if (stored < some) {
            w->index[w->to->ndim ? w->to->ndim - 1 : 0] = start + stored;
            w->bad = row[stored];
            return -1;
        }
    }
    return 0;
}

static int assign_axis(walk *w, int axis, char *to, const char *from)
{
    if (w->to->ndim == 0)
        return assign_row(w, to, 0, from, 0, 1);
    const int64_t to_step = w->to->stride[axis] * (int64_t)gram_dtype_size(w->to->dtype);
    const int64_t from_step = w->from->stride[axis] * (int64_t)gram_dtype_size(w->from->dtype);
    if (axis == w->to->ndim - 1)
        return assign_row(w, to, to_step, from, from_step, w->to->shape[axis]);
    for (int64_t i = 0; i < w->to->shape[axis]; i++) {
        w->index[axis] = i;
        if (assign_axis(w, axis + 1, to + i * to_step, from + i * from_step))
            return -1;
    }
    return 0;
}

static int complain(const walk *w, char *message, size_t size)
{
    char index[GRAM_MAX_DIMS * 24] = "";
    for (int axis = 0, used = 0; axis < w->to->ndim; axis++)
        used += snprintf(index + used, sizeof index - (size_t)used, "%s%" PRId64, axis ? ", " : "", w->index[axis]);
    return gram_message(message, size, "the value %.17g at [%s] does not fit type %s", w->bad, index,
                        gram_dtype_name(w->to->dtype));
}

int gram_array_assign(const gram_array *to, const gram_array *from, char *message, size_t size)
{
    int same = to->ndim == from->ndim;
    for (int axis = 0; same && axis < to->ndim; axis++)
        same = to->shape[axis] == from->shape[axis];
    if (!same)
        return gram_message(message, size, "arrays of different shapes");
    if (gram_array_count(to->dtype, to->ndim, to->shape) == 0)
        return 0;
    walk w = {.to = to, .from = from};
    return assign_axis(&w, 0, to->data, from->data) ? complain(&w, message, size) : 0;
}
