/* The factors of a matrix over pairs that is linear in the tokens. */
#ifndef GRAM_FACTORS_H
#define GRAM_FACTORS_H

#include "ir.h"

typedef struct gram_factors {
    gram_ctx *ctx;
    const gram_node *product;                     /* which one it must be; NULL: any, of a size that is known */
    int products;                                 /* how many there are */
    gram_node *keys, *queries, *exponent, *slope; /* NULL: none */
} gram_factors;

/* Adds the factors of a; false where one is of another kind. */
bool gram_add_factors(gram_factors *f, const gram_node *a);
/* Does it keep i <= j or i < j of a row i and a column j; or, backwards, i >= j or i > j? (NULL keeps all.) */
bool gram_is_causal(const gram_node *keep, bool *backwards);

#endif
