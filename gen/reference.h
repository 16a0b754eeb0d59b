/* What an operation of the reference sees: its operands and its result for one head of one batch item. reference.c
 * decides which are computed when and owns the memory; reference_ops.c computes them, a function per operation. */
#ifndef GRAM_REFERENCE_H
#define GRAM_REFERENCE_H

#include "passes.h"

/* Entry (i, j) is data[i * row + j * col], dropped where keep says 0. */
typedef struct gram_operand {
    double *data;
    int64_t rows, cols;
    int64_t row, col;   /* 1 and the number of rows; 0 along a size that is the number 1, which so repeats */
    const double *keep; /* NULL: nothing is dropped, or the operation does not ask */
    int64_t keep_row, keep_col;
} gram_operand;

typedef struct gram_work {
    const gram_spec *spec;
    const int64_t *sizes;
    const gram_view *inputs;
    gram_ctx *ctx;
    int64_t item;
    int64_t loop; /* the column that the OVER around makes; -1: none */
    int head;
    int64_t part; /* which of node.each items */
    const gram_node *node;
    gram_operand
        *x; /* the node's operands; of SUM_HEADS and CONCAT_HEADS their operand's heads, of RESHAPE its items */
    int nx;
    gram_operand out;
    double *scratch; /* as many squares of the result's size as the rule asks for */
} gram_work;

static inline double gram_entry(const gram_operand *a, int64_t i, int64_t j)
{
    return a->data[i * a->row + j * a->col];
}

static inline bool gram_kept(const gram_operand *a, int64_t i, int64_t j)
{
    return !a->keep || a->keep[i * a->keep_row + j * a->keep_col] != 0;
}

static inline double *gram_column(const gram_operand *a, int64_t j)
{
    return a->data + j * a->col;
}

typedef enum gram_heads_rule {
    GRAM_SAME_HEAD, /* head h uses its operands' head h, or its group's */
    GRAM_ALL_HEADS, /* all heads of the one operand */
    GRAM_ONE_HEAD,  /* the operand's head node->index */
    GRAM_AS_HEADS,  /* head h is operand h */
    GRAM_NO_HEADS,  /* it evaluates its operand itself */
    GRAM_ALL_ITEMS, /* all that `each` makes of the one operand */
} gram_heads_rule;

typedef struct gram_rule {
    void (*compute)(gram_work *work); /* fills work->out, zeroed */
    gram_heads_rule heads;
    bool keeps; /* asks which entries of its operands are dropped */
    int scratch;
} gram_rule;

/* A size's value when the sizes have theirs. */
static inline int64_t gram_size_of(const gram_spec *spec, const int64_t *sizes, gram_dim dim)
{
    int64_t n = dim.number;
    for (int s = 0; s < spec->nsizes; s++)
        n += dim.times[s] * sizes[s];
    return n;
}

/* gram_reference for one item, inside an OVER, for each of its `columns`, outputs[k].batch apart. */
void gram_reference_loop(gram_ctx *ctx, const gram_spec *spec, int64_t item, int64_t columns, const int64_t *sizes,
                         const gram_view *inputs, const gram_view *outputs);

/* f of one number, by its name in ops.def. */
double gram_reference_call(const char *fn, double a);

/* reference_columns.c: the operations down each column. */
void gram_reference_maximum(gram_work *work);
void gram_reference_softmax(gram_work *work);
void gram_reference_logsumexp(gram_work *work);
void gram_reference_threshold(gram_work *work);
void gram_reference_log2_ceil(gram_work *work);
void gram_reference_top(gram_work *work);

/* reference_scan.c */
void gram_reference_scan(gram_work *work);

extern const gram_rule gram_rules[GRAM_OP_COUNT];

#endif
