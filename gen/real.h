/* The types that a kernel's arrays of floats may have. */
#ifndef GRAM_REAL_TYPE_H
#define GRAM_REAL_TYPE_H

#include "../runtime/array.h"

typedef struct gram_real_type {
    const char *name;   /* as --dtype says it: "f32" */
    gram_dtype dtype;   /* of the caller's arrays */
    int bits;           /* of the reals that are computed with: 32 or 64 */
    const char *member; /* an array in the args struct: "float *" */
    const char *half;   /* how the primitives that read or write arrays of 16 bits end: "_f16"; else "" */
} gram_real_type;

/* The type of this name; NULL is "f32". NULL where there is none. */
const gram_real_type *gram_real_type_named(const char *name);
/* The type that arrays of this one are computed in. */
const gram_real_type *gram_real_type_within(const gram_real_type *type);
/* "f32, f64, bf16 or f16" */
extern const char gram_real_type_names[];

#endif
