/* A scan: f walks the columns of matrices with a state, f(S, a, b, ...) giving the next state and an output column. f
 * is a graph of its own, whose leaves stand in for the state, for a column of each matrix and for what f captured; so
 * it is a kernel in small, run once for each column. A SCAN node has the states' first values, the matrices and what is
 * captured as its operands, in the order of f's inputs; its index says which result it is: a state after the last
 * column, or the output columns side by side. To f, columns are the items of a batch that is worked on in order: what
 * differs between them is batched, what is captured is not. Heads and items of the kernel are outside: f has none. */
#ifndef GRAM_SCAN_H
#define GRAM_SCAN_H

#include "ir.h"

typedef struct gram_scan {
    bool backwards; /* from the last column to the first */
    int nstates, ncolumns, ninputs;
    gram_node **inputs; /* states, columns, captured */
    int nresults;
    gram_node **results; /* next states, then output columns */
} gram_scan;

/* f as it was traced or derived, over stand-ins for states and columns and over nodes outside, which it captures. */
typedef struct gram_scan_draft {
    bool backwards;
    gram_dim cols; /* how many columns are walked */
    int nstates, ncolumns, nresults;
    gram_node **states, **state_ins; /* first values, and what stands in for them */
    gram_node **columns, **column_ins;
    gram_node **results; /* next states, then output columns */
} gram_scan_draft;

/* A leaf of f of this shape: batched where it stands for a state or a column. The name is for messages until it has an
 * operand, whose name it takes. */
gram_node *gram_scan_stand_in(gram_ctx *ctx, gram_loc loc, const char *name, gram_dim rows, gram_dim cols,
                              bool batched);
/* The scan's results as nodes, nresults of them. Products of captured matrices with columns alone are made for all
 * columns outside; a state that stays as it is is captured; what f does not use is left out. */
gram_node **gram_scan_make(gram_ctx *ctx, gram_loc loc, const gram_scan_draft *draft);
/* Are both results of one scan? */
bool gram_of_one_scan(const gram_node *a, const gram_node *b);
/* node with `to` in place of the leaves `from`. */
gram_node *gram_scan_replaced(gram_ctx *ctx, gram_node *node, int n, gram_node *const *from, gram_node *const *to);
/* f as a spec, with those results that `wanted` says (NULL: all), by their index, as outputs. */
gram_spec *gram_scan_spec(gram_ctx *ctx, const gram_spec *outer, const gram_scan *scan, const char *name,
                          const bool *wanted);

#endif
