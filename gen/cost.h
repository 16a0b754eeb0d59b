/* What a plan costs, as a sum of products of sizes: "1024 batch n m + 64 batch n". */
#ifndef GRAM_COST_H
#define GRAM_COST_H

#include "ir.h"

/* Products of the same sizes are one term. Starts as {.ctx = ctx}. */
typedef struct gram_cost {
    gram_ctx *ctx;
    struct gram_cost_term *terms;
} gram_cost;

/* Adds factor times the n sizes, for each item where batched. */
void gram_cost_add(gram_cost *cost, int64_t factor, bool batched, const gram_dim *dims, int n);
/* Adds all of b. */
void gram_cost_sum(gram_cost *cost, const gram_cost *b);
/* Is a as large as b term by term, and so whatever the sizes are? */
bool gram_cost_covers(const gram_cost *a, const gram_cost *b);
/* In the arena; "0" where nothing was added. */
const char *gram_cost_text(const gram_cost *cost);

#endif
