/* The PC algorithm: Spirtes, Glymour and Scheines, "Causation, Prediction, and Search" (2000), ch. 5; in the stable
 * form of Colombo and Maathuis, "Order-Independent Constraint-Based Causal Structure Learning" (JMLR 15, 2014): at
 * each level the neighbours are those that the level began with. Orientations are found the same way, from the graph
 * as a pass began. */
#include <stdlib.h>
#include <string.h>

#include "graph_search.h"

/* ---- the skeleton ---- */

/* x's neighbours but y, into the pool; how many. */
static int neighbours(const gram_search *s, int x, int y)
{
    int n = 0;
    for (int z = 0; z < s->frozen.n; z++) {
        if (z != y && gram_graph_adjacent(&s->frozen, x, z))
            s->pool[n++] = z;
    }
    return n;
}

/* Sets of k of x's neighbours, until one separates x and y. */
static bool cut_given_neighbours(gram_search *s, int x, int y, int k)
{
    const int n = neighbours(s, x, y);
    bool more = gram_subset_first(s->pick, k, n);
    for (; more && gram_search_alive(s); more = gram_subset_next(s->pick, k, n)) {
        for (int i = 0; i < k; i++)
            s->set[i] = s->pool[s->pick[i]];
        if (gram_search_cut(s, x, y, k))
            return true;
    }
    return false;
}

/* Is there an edge with k more neighbours at an end? */
static bool has_sets(const gram_search *s, int k)
{
    for (int x = 0; x < s->graph->n; x++) {
        int degree = 0;
        for (int y = 0; y < s->graph->n; y++)
            degree += gram_graph_adjacent(s->graph, x, y);
        if (degree > k)
            return true;
    }
    return false;
}

static void level(gram_search *s, int k)
{
    gram_search_freeze(s);
    for (int x = 0; x < s->graph->n; x++) {
        for (int y = x + 1; y < s->graph->n; y++) {
            if (gram_graph_adjacent(s->graph, x, y) && !cut_given_neighbours(s, x, y, k))
                cut_given_neighbours(s, y, x, k);
        }
    }
}

/* ---- orientation ---- */

static bool undirected(const gram_graph *g, int a, int b)
{
    return gram_graph_end(g, a, b) == GRAM_TAIL && gram_graph_end(g, b, a) == GRAM_TAIL;
}

static bool directed(const gram_graph *g, int a, int b)
{
    return gram_graph_end(g, a, b) == GRAM_ARROW && gram_graph_end(g, b, a) == GRAM_TAIL;
}

/* Should a - b become a -> b? Each rule looks at one node c, or at two. */
typedef bool rule(const gram_search *s, int a, int b, int c);

/* a - b - c with a and c apart, and b did not separate them: both are causes of b. */
static bool collider(const gram_search *s, int a, int b, int c)
{
    const gram_graph *g = s->graph;
    return c != a && gram_graph_adjacent(g, c, b) && !gram_graph_adjacent(g, a, c) &&
           !gram_search_separates(s, a, c, b);
}

/* Meek, "Causal inference and causal explanation with background knowledge" (1995), rules 1 to 3. */
static bool meek1(const gram_search *s, int a, int b, int c)
{
    return c != b && directed(s->graph, c, a) && !gram_graph_adjacent(s->graph, c, b);
}

static bool meek2(const gram_search *s, int a, int b, int c)
{
    return directed(s->graph, a, c) && directed(s->graph, c, b);
}

static bool meek3(const gram_search *s, int a, int b, int c)
{
    const gram_graph *g = s->graph;
    for (int e = c + 1; e < g->n && undirected(g, a, c) && directed(g, c, b); e++) {
        if (undirected(g, a, e) && directed(g, e, b) && !gram_graph_adjacent(g, c, e))
            return true;
    }
    return false;
}

static bool asked(const gram_search *s, rule *const *rules, int nrules, int a, int b)
{
    for (int r = 0; r < nrules; r++) {
        for (int c = 0; c < s->graph->n; c++) {
            if (rules[r](s, a, b, c))
                return true;
        }
    }
    return false;
}

/* One pass over the undirected edges; what is asked for both ways stays as it is. True where an edge was turned. */
static bool orient(gram_search *s, rule *const *rules, int nrules)
{
    bool turned = false;
    gram_search_freeze(s);
    for (int a = 0; a < s->graph->n; a++) {
        for (int b = 0; b < s->graph->n; b++) {
            if (!undirected(s->graph, a, b) || !asked(s, rules, nrules, a, b) || asked(s, rules, nrules, b, a))
                continue;
            gram_graph_put(&s->frozen, a, b, GRAM_ARROW);
            turned = true;
        }
    }
    gram_graph next = s->frozen;
    s->frozen.end = s->graph->end;
    s->graph->end = next.end;
    return turned;
}

int gram_pc(gram_graph *g, const gram_correlation *c, int order, char *message, size_t size)
{
    static rule *const colliders[] = {collider}, *const meek[] = {meek1, meek2, meek3};
    gram_search s;
    int k = 0;
    gram_search_open(&s, g, c, GRAM_TAIL);
    while (gram_search_alive(&s) && has_sets(&s, k) && (order < 0 || k <= order))
        level(&s, k++);
    if (gram_search_alive(&s)) {
        orient(&s, colliders, 1);
        while (orient(&s, meek, 3))
            continue;
    }
    return gram_search_result(&s, k - 1, message, size);
}
