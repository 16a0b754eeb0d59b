/* What the pass of reverse mode (grad.c) and its rules (grad_rules.c) share. */
#ifndef GRAM_GRAD_RULES_H
#define GRAM_GRAD_RULES_H

#include "ir.h"

typedef struct gram_reverse {
    gram_ctx *ctx;
    const gram_spec *spec;
    int size;         /* of the tables below, by node id */
    gram_node **grad; /* what a node has got so far */
    char *wanted;     /* leads to an input that is asked for */
    gram_node **live; /* operands first */
    int nlive;
    gram_loc loc;
} gram_reverse;

/* The spec with normalisations taken out of its products (grad_normal.c). */
gram_spec *gram_normalisations_out(gram_ctx *ctx, const gram_spec *spec);
/* Hands node's gradient g on to its operands. Fails where the operation has no gradient. */
void gram_hand_on(gram_reverse *r, gram_node *node, gram_node *g);
/* The same for a scan, of which node is a result: of all results at once. */
void gram_hand_scan_on(gram_reverse *r, gram_node *node);
/* The same for an OVER. */
void gram_hand_over_on(gram_reverse *r, gram_node *node, gram_node *g);
/* Dropped entries as zeros. */
gram_node *gram_filled(gram_reverse *r, gram_node *a);
/* Reverse mode from the spec's outputs, which have got gradients (NULL: none), to the inputs `by`, n of them. */
void gram_reverse_run(gram_reverse *r, const gram_input *const *by, int n, gram_node *const *gradients);
/* What an input has got, or NULL. */
gram_node *gram_reverse_of(gram_reverse *r, const gram_input *in);
/* a gets g besides what it has. */
void gram_collect(gram_reverse *r, gram_node *a, gram_node *g);
/* What is the same for every head, or item, as a node that has them all. */
gram_node *gram_repeated(gram_reverse *r, gram_node *g, int heads, bool batched);

#endif
