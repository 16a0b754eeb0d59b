/* What PC and ICD share: the graph under way, the sets that separated its nodes, subsets one after the other. */
#ifndef GRAM_GRAPH_SEARCH_H
#define GRAM_GRAPH_SEARCH_H

#include "graph.h"

typedef struct gram_search {
    gram_graph *graph;
    gram_graph frozen; /* as it was when this level began: what is tried does not depend on what was cut */
    const gram_correlation *correlation;
    int **separator;        /* of nodes x < y, at x * n + y: a count and as many nodes; NULL: none found */
    int *pool, *pick, *set; /* n each: candidates, the subset's places in it, the subset */
    int *scratch;           /* 2 * n * n + 5 * n, for walks */
    int64_t tests;          /* left to make */
    bool no_memory;
} gram_search;

/* A complete graph with `mark` at every end. Returns 0 or -1 (out of memory); free with gram_search_close, which
 * leaves the graph. */
int gram_search_open(gram_search *s, gram_graph *graph, const gram_correlation *c, gram_mark mark);
void gram_search_close(gram_search *s);
/* May the search go on? */
bool gram_search_alive(const gram_search *s);
/* Ends the search: 0, or -1 with a message and no graph. */
int gram_search_result(gram_search *s, int level, char *message, size_t size);

void gram_search_freeze(gram_search *s);
/* Tests x and y given set[0 .. k); where they are independent their edge goes, the set is kept, and the result is
 * true. */
bool gram_search_cut(gram_search *s, int x, int y, int k);
/* Is z in the set that separated x and y? */
bool gram_search_separates(const gram_search *s, int x, int y, int z);

/* Subsets of k of n places, in order: the first is 0 .. k - 1. Each returns false where there is none (any more). */
bool gram_subset_first(int *pick, int k, int n);
bool gram_subset_next(int *pick, int k, int n);

/* graph_pag.c: arrowheads at unshielded colliders and rules R1 to R4, from circles everywhere; the tails of R5 to
 * R10. */
void gram_pag_orient(gram_search *s);
void gram_pag_tails(gram_search *s);

#endif
