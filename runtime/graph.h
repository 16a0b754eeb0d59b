/* Causal graphs behind an attention matrix: what is learned from correlations between tokens.
 *
 * Rohekar, Gurwicz and Nisimov, "Causal Interpretation of Self-Attention in Pre-Trained Transformers"
 * (arXiv:2310.20307): a linear causal model x = G x + u has x = (I - G)^-1 u, and attention Z = A V has the same
 * shape. With V of unit covariance Cov(Z) = A A'; the scale of a row of A is lost, its correlations are not.
 * Correlations then say which tokens are independent given others, and that says which graphs may be behind them.
 *
 *     graph_correlation.c    A to correlations, and the test of independence
 *     graph_search.c         edges, sets that separate, and their count
 *     graph_pc.c             PC-stable: every cause is seen; a directed or undirected edge
 *     graph_icd.c            ICD: causes may be hidden; a partial ancestral graph
 *     graph_pag.c            the orientation rules of such a graph */
#ifndef GRAM_GRAPH_H
#define GRAM_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The end of an edge. A circle is an end that could be either. */
typedef enum gram_mark { GRAM_NO_EDGE, GRAM_TAIL, GRAM_ARROW, GRAM_CIRCLE } gram_mark;

/* n nodes; end[a * n + b] is the mark at b of the edge between a and b: a -> b is a tail at a, an arrow at b. */
typedef struct gram_graph {
    int n;
    unsigned char *end;
} gram_graph;

static inline gram_mark gram_graph_end(const gram_graph *g, int a, int b)
{
    return (gram_mark)g->end[(size_t)a * (size_t)g->n + (size_t)b];
}
static inline void gram_graph_put(gram_graph *g, int a, int b, gram_mark mark)
{
    g->end[(size_t)a * (size_t)g->n + (size_t)b] = (unsigned char)mark;
}
static inline bool gram_graph_adjacent(const gram_graph *g, int a, int b)
{
    return gram_graph_end(g, a, b) != GRAM_NO_EDGE;
}
void gram_graph_free(gram_graph *g);

/* Correlations rho (n x n) of n nodes, as if measured on a number of samples. */
typedef struct gram_correlation {
    int n;
    double *rho, *work;
    double samples;
    double alpha;     /* the test's level: a larger p-value is taken for independence */
    double condition; /* largest over smallest eigenvalue of rho; infinite where rho is singular in doubles */
} gram_correlation;

/* The correlations of A A', A being n x m (row i: node i), not centred. Fails where a row is nearly zero (its sum of
 * squares below 1e-16) or not finite. Returns 0 or -1 with a message; free with gram_correlation_free. */
int gram_correlation_new(gram_correlation *c, const double *A, int n, int64_t m, char *message, size_t size);
void gram_correlation_free(gram_correlation *c);

/* The correlation of x and y given the nodes z[0 .. nz); NaN where their correlations are singular. */
double gram_correlation_partial(const gram_correlation *c, int x, int y, const int *z, int nz);
/* Fisher's z-test of it. Never true where it is +-1 or NaN, or where the samples are too few (at most nz + 3). */
bool gram_correlation_independent(const gram_correlation *c, int x, int y, const int *z, int nz);

/* Learns a graph; sets that are conditioned on have up to `order` nodes (-1: as many as it takes). PC's edges are a
 * -> b or a - b, ICD's of any two marks. Fails when memory runs out, or after ten million tests. Returns 0 or -1 with
 * a message; free the graph with gram_graph_free. */
typedef int gram_graph_learner(gram_graph *g, const gram_correlation *c, int order, char *message, size_t size);
gram_graph_learner gram_pc, gram_icd;

#endif
