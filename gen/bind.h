/* From a caller's named arrays to what a kernel reads and writes: batch, sizes, pointers and strides. */
#ifndef GRAM_BIND_H
#define GRAM_BIND_H

#include "gram.h"
#include "layout.h"
#include "passes.h"

/* One array as the kernel sees it. */
typedef struct gram_bound {
    const gram_argument *argument; /* NULL: an output that nobody asked for */
    gram_array array;              /* in the kernel's type, axes as gram_axes says; batch 1 may serve all items */
    gram_array copy;               /* what `array` is when the caller's would not do */
    gram_view strides;             /* batch, head, row, col of `array`; its data is not set */
    gram_array caller;             /* an output's destination, with the axes of `array` */
    bool made;                     /* an output that was made for the caller */
} gram_bound;

typedef struct gram_binding {
    gram_dtype real;    /* of the kernel's arrays of floats: GRAM_F8 for the reference */
    gram_dtype integer; /* GRAM_I4; GRAM_F8 for the reference, which holds integers in doubles */
    gram_dtype made;    /* the type of outputs that are made for the caller */
    int64_t batch;
    bool batch_axis; /* some input came with a batch axis, so outputs have one */
    int64_t sizes[GRAM_SIZES];
    gram_bound *inputs, *outputs; /* as spec->inputs, spec->outputs */
} gram_binding;

/* Fails with a message that names the array, its shape and what was expected. The binding's types are given; free it
 * whether or not this failed. Outputs with data NULL are made. */
void gram_bind(gram_ctx *ctx, const gram_spec *spec, int narguments, const gram_argument *arguments,
               gram_binding *binding);
/* Copies results into the caller's arrays where they were computed elsewhere. */
void gram_bind_finish(gram_ctx *ctx, const gram_spec *spec, gram_binding *binding);
/* Frees copies; and, where `failed`, the outputs that gram_bind made. */
void gram_bind_free(const gram_spec *spec, gram_binding *binding, bool failed);

#endif
