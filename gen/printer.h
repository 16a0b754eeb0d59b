/* What print.c and print_loop.c share: a program that is being printed, and what its values are called in C. */
#ifndef GRAM_PRINTER_H
#define GRAM_PRINTER_H

#include "print.h"

typedef struct gram_printer {
    gram_ctx *ctx;
    const gram_plan *plan;
    const gram_step *step;
    const gram_program *program;
    bool tcc, few, group;
    int root, mask;
    bool *is_root;  /* a tile that is used when the program is done, other than the mask */
    bool *for_root; /* a root needs it */
    int *level;     /* among pair instructions: after how many primitives */
    int *tile;      /* its tile buffer, -1: none */
    int *last;      /* the last unit that reads it */
    gram_lines lines;
} gram_printer;

/* The C types of a real, an integer and a predicate, and what reads, writes and repeats a vector of them. */
typedef struct gram_print_type {
    const char *scalar, *vector, *load, *store, *splat;
} gram_print_type;
extern const gram_print_type gram_print_types[];

/* Done by a primitive on whole arrays, rather than in a loop of vector expressions. */
static inline bool is_call(const gram_printer *p, const gram_instr *instr)
{
    if (instr->kind == GRAM_I_LEAF || instr->kind == GRAM_I_GATHER || instr->kind == GRAM_I_LOAD ||
        instr->kind == GRAM_I_SCATTER)
        return true;
    return p->tcc;
}

static inline bool is_given(const gram_instr *instr)
{
    return instr->kind == GRAM_I_STAT || instr->kind == GRAM_I_SUM_OF;
}

/* The array that holds instruction k's values: c3, q3, k3, or a tile t3; as a pointer of its type. */
const char *gram_print_array(gram_printer *p, int k);
const char *gram_print_tile(gram_printer *p, int k);
/* Declares it, where it is no tile. */
void gram_print_declare(gram_printer *p, gram_text *out, int k);
/* Is k read as an array: by a call, by another rate's loop, by a later level, or after the program? */
bool gram_print_is_array(const gram_printer *p, int k);

/* print_loop.c: instruction k as a vector expression; those of one rate, level and purpose as one loop of them. */
void gram_print_compute(gram_printer *p, gram_text *out, int k, const char *indent);
void gram_print_loop(gram_printer *p, gram_text *out, int rate, int level, bool for_root);

#endif
