/* How a kernel meets its caller: the axes of each array, and the args struct of emitted C, slot by slot.
 *
 * emit.c prints the struct from gram_layout_make, api.c fills it from the same list: every member is made of 8-byte
 * slots (pointers, int64_t, int64_t[3]), so the struct is an array of slots whatever the spec. */
#ifndef GRAM_LAYOUT_H
#define GRAM_LAYOUT_H

#include "ir.h"

/* One axis of an array: 'b' batch, 'h' heads, 'r' the matrix's rows, 'c' its columns; 's' batch + 1 starts. */
typedef struct gram_axis {
    char letter;
    gram_dim size; /* 'h': the number of heads; 'b', 's': unused, the batch is no size of the spec */
} gram_axis;

/* The axes of an array in C order, outermost first. */
typedef struct gram_axes {
    int n;
    gram_axis axis[4];
} gram_axes;

/* Of ragged tokens the size along the axis of tokens is that of all items together. */
gram_axes gram_input_axes(const gram_input *input);
/* Whether its values are integers (ids and counts): int32_t in the args struct, whatever the compute type. */
bool gram_input_is_integer(const gram_input *input);
/* A gradient is as its input, and so is what overwrites one; else a batched matrix is [batch, H, columns, rows], a
 * vector [batch, H, n], one number [batch, H], weights [H, r, c]. */
gram_axes gram_output_axes(const gram_output *output);
/* Has each item of the batch sizes of its own? */
bool gram_is_ragged(const gram_spec *spec);
/* Where the items' tokens start in the output's array, or NULL. */
const gram_input *gram_output_starts(const gram_output *output);
/* Where the items start along a size of their own; NULL: it is the same for all. */
const gram_input *gram_starts_of(const gram_spec *spec, gram_dim dim);
/* Is a size of the items' own in it? */
bool gram_dim_is_ragged(const gram_spec *spec, gram_dim dim);
/* The sizes of an item where all are equally long, which work is estimated by. */
void gram_mean_sizes(const gram_spec *spec, int64_t batch, const int64_t *sizes, int64_t *mean);
/* The output that overwrites the input in place, or NULL. */
const gram_output *gram_overwritten_by(const gram_spec *spec, const gram_input *input);
/* Whether an output lies as weights do, [H, r, c]: it has no items, and its columns are no tokens, for they are a known
 * number or come from a declared matrix. */
bool gram_is_weights(const gram_node *node);
/* Whether the args struct has strides for it: it has a batch and a token axis. */
bool gram_axes_strided(const gram_axes *axes);
/* "[batch, 8, n, 64]" in the arena. */
const char *gram_axes_text(gram_ctx *ctx, const gram_axes *axes);
/* The value of a size; -1 where it overflows. */
int64_t gram_dim_value(gram_dim dim, const int64_t *sizes);

typedef enum gram_slot_kind {
    GRAM_SLOT_INPUT,          /* const T *NAME: spec->inputs[index] */
    GRAM_SLOT_OUTPUT,         /* T *NAME: spec->outputs[index] */
    GRAM_SLOT_BATCH,          /* int64_t batch */
    GRAM_SLOT_SIZE,           /* int64_t NAME: spec->sizes[index] */
    GRAM_SLOT_INPUT_STRIDES,  /* int64_t NAME_stride[3] of spec->inputs[index]: batch, head, token, in elements */
    GRAM_SLOT_OUTPUT_STRIDES, /* the same of spec->outputs[index] */
} gram_slot_kind;

typedef struct gram_slot {
    gram_slot_kind kind;
    int index;
    int word;         /* where the member starts, in units of 8 bytes */
    const char *type; /* "const float *", "int32_t *", "int64_t" */
    const char *name; /* the member: "Q", "batch", "n", "Q_stride" */
} gram_slot;

typedef struct gram_layout {
    int nslots, nwords;
    gram_slot *slots; /* in the struct's order */
} gram_layout;

/* The struct's members in order: inputs, outputs, batch, sizes, strides; an array of floats is a `real`: "float *". */
gram_layout gram_layout_make(gram_ctx *ctx, const gram_spec *spec, const char *real);

#endif
