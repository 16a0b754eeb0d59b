/* Programs as lines of C, sorted by the loop they belong to. */
#ifndef GRAM_PRINT_H
#define GRAM_PRINT_H

#include "plan.h"

/* The lines of one program. Loops nest: item (a head of a batch item), block (up to 64 queries), tile (64 lanes). */
typedef struct gram_lines {
    gram_text item;  /* once per item and block: what is one number */
    gram_text block; /* per block: one number per query */
    gram_text tile;  /* per tile: one number per lane, then the pairs */
    gram_text mask;  /* per tile that needs it: what only the mask needs, then the mask itself */
    gram_text
        leaves; /* per tile: the products of a group of heads, into tiles all0 .. with their rows one below the other */
    bool *of_group;   /* by tile: the group's heads have a tile each, part of such a one; NULL: there is no group */
    int tiles;        /* how many tile buffers, t0 .. */
    const char *root; /* the tile buffer that holds the root, or NULL: it is accumulator `sum` as it stands */
    int sum;
    const char **sums, **sides, **stats; /* of a stream: the tile buffer that each of these is of */
    const char *kept;                    /* the tile buffer of the mask, or NULL */
} gram_lines;

/* program with these roots (mask -1: none), as a part of step. tcc: calls of tile primitives, else fused loops. */
gram_lines gram_print_program(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_program *program,
                              int root, int mask, bool tcc);
/* The step's own program in its loop of few queries, where a product's left factor may be read in place; for a group of
 * heads, whose products are made at once. */
gram_lines gram_print_few(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, bool group, bool tcc);

/* A size in generated code: "64", "job->n + 4". */
const char *gram_print_dim(gram_ctx *ctx, const gram_spec *spec, gram_dim dim);
/* The head whose part of an array with that many heads the step reads: "head / 4", "0". */
const char *gram_print_head(gram_ctx *ctx, const gram_step *step, int heads);
/* Which of an array's items the step is at, and which of those that its own `each` makes: "batch / job->m". */
const char *gram_print_batch(gram_ctx *ctx, const gram_spec *spec, const gram_step *step);
const char *gram_print_item(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, gram_dim each, bool batched);
const char *gram_print_part(gram_ctx *ctx, const gram_spec *spec, const gram_step *step);
/* The matrix of a buffer or pack for the step's head and item: "gram_at(&job->Q, batch, head / 4)". */
const char *gram_print_at(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_buffer *buffer,
                          const char *suffix);
/* The number that a leaf's product is multiplied by. */
const char *gram_print_scale(gram_ctx *ctx, const gram_plan *plan, const gram_step *step, const gram_leaf *leaf,
                             bool tcc);
/* A predicate's range over lanes in `i` and queries in `j`. */
const char *gram_print_range(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, const gram_node *node);

#endif
