/* Iterative causal discovery: Rohekar, Nisimov, Gurwicz and Novik, "Iterative Causal Discovery in the Possible
 * Presence of Latent Confounders and Selection Bias" (NeurIPS 2021). Iteration r = 0, 1, 2, ... tries sets of r nodes
 * that could separate the ends of an edge as far as the graph so far tells (ICD-Sep): each of the set's nodes is
 * reached from one end by a path within the set, all of whose inner nodes are colliders or in triangles, and may be
 * an ancestor of an end. Near sets go first. Then all edges are oriented anew. As in PC-stable, an iteration looks at
 * the graph that it began with. */
#include <stdlib.h>
#include <string.h>

#include "graph_search.h"

/* An edge under test. Numbers are n each. */
typedef struct edge {
    int end[2];
    int *distance[2];      /* from either end, along such paths; 0: there is none */
    int *ancestor;         /* may it be one of an end? */
    int *inside, *reached; /* a set, and the distances within it */
    int *queue, *seen;     /* n * n: edges as from * n + to; seen is 0 between walks */
    int r;
} edge;

static edge edge_open(const gram_search *s, int x, int y, int r)
{
    const size_t n = (size_t)s->graph->n;
    int *room = s->scratch;
    edge e = {.end = {x, y}, .r = r, .queue = room, .seen = room + n * n};
    room += 2 * n * n;
    e.distance[0] = room;
    e.distance[1] = room + n;
    e.ancestor = room + 2 * n;
    e.inside = room + 3 * n;
    e.reached = room + 4 * n;
    return e;
}

/* May a path u, v, w go on: is v a collider, or the three a triangle? */
static bool passes(const gram_graph *g, int u, int v, int w)
{
    bool collider = gram_graph_end(g, u, v) == GRAM_ARROW && gram_graph_end(g, w, v) == GRAM_ARROW;
    return u != w && (collider || gram_graph_adjacent(g, u, w));
}

/* Distances of up to r from root along such paths through nodes that are `inside` (NULL: all); 0: not reached. Whether
 * a path goes on depends on its last edge, so edges are what is visited, until no node is left to reach. */
static void walk(const gram_graph *g, const edge *e, int root, const int *inside, int *distance)
{
    const int n = g->n;
    int first = 0, last = 0, left = 0;
    for (int w = 0; w < n; w++) {
        distance[w] = 0;
        left += w != root && (!inside || inside[w]);
    }
    for (int u = -1, v = root, depth = 0; v >= 0 && depth < e->r && left > 0;) {
        for (int w = 0; w < n; w++) {
            bool open = gram_graph_adjacent(g, v, w) && w != root && (!inside || inside[w]);
            if (!open || e->seen[v * n + w] > 0 || (u >= 0 && !passes(g, u, v, w)))
                continue;
            e->seen[v * n + w] = depth + 1;
            left -= distance[w] == 0;
            distance[w] = distance[w] == 0 ? depth + 1 : distance[w];
            e->queue[last++] = v * n + w;
        }
        u = first < last ? e->queue[first] / n : -1;
        v = first < last ? e->queue[first++] % n : -1;
        depth = v >= 0 ? e->seen[u * n + v] : 0;
    }
    for (int i = 0; i < last; i++)
        e->seen[e->queue[i]] = 0;
}

/* Marks what may be an ancestor of an end: along a path towards it no edge has its arrow back or its tail ahead. */
static void find_ancestors(const gram_graph *g, const edge *e)
{
    int first = 0, last = 2;
    memset(e->ancestor, 0, (size_t)g->n * sizeof *e->ancestor);
    for (int i = 0; i < 2; i++)
        e->ancestor[e->queue[i] = e->end[i]] = 1;
    while (first < last) {
        int v = e->queue[first++];
        for (int u = 0; u < g->n; u++) {
            gram_mark at_u = gram_graph_end(g, v, u), at_v = gram_graph_end(g, u, v);
            if (e->ancestor[u] || at_u == GRAM_NO_EDGE || at_u == GRAM_ARROW || at_v == GRAM_TAIL)
                continue;
            e->ancestor[u] = 1;
            e->queue[last++] = u;
        }
    }
}

/* The nodes of sets around one end, into the pool; how many. */
static int candidates(const gram_search *s, const edge *e, int side)
{
    int n = 0;
    for (int z = 0; z < s->graph->n; z++) {
        int distance = e->distance[side][z];
        if (z != e->end[0] && z != e->end[1] && distance > 0 && distance <= e->r && e->ancestor[z])
            s->pool[n++] = z;
    }
    return n;
}

/* The picked set, into s->set; the sum of its distances. */
static int take_set(const gram_search *s, const edge *e, int side)
{
    int total = 0;
    for (int i = 0; i < e->r; i++) {
        s->set[i] = s->pool[s->pick[i]];
        total += e->distance[side][s->set[i]];
    }
    return total;
}

/* Is every node of the set reached within the set? */
static bool holds_together(const gram_search *s, const edge *e, int side)
{
    bool all = true;
    memset(e->inside, 0, (size_t)s->graph->n * sizeof *e->inside);
    for (int i = 0; i < e->r; i++)
        e->inside[s->set[i]] = 1;
    walk(&s->frozen, e, e->end[side], e->inside, e->reached);
    for (int i = 0; i < e->r; i++)
        all &= e->reached[s->set[i]] > 0;
    return all;
}

/* Sets around one end whose distances sum to `total`, until one separates. *any: there was a set to try. */
static bool cut_around(gram_search *s, const edge *e, int side, int total, bool *any)
{
    const int n = candidates(s, e, side);
    bool more = gram_subset_first(s->pick, e->r, n);
    for (; more && gram_search_alive(s); more = gram_subset_next(s->pick, e->r, n)) {
        if (take_set(s, e, side) != total)
            continue;
        s->tests--;
        if (!holds_together(s, e, side))
            continue;
        *any = true;
        if (gram_search_cut(s, e->end[0], e->end[1], e->r))
            return true;
    }
    return false;
}

static void try_edge(gram_search *s, int x, int y, int r, bool *any)
{
    edge e = edge_open(s, x, y, r);
    for (int side = 0; side < 2; side++)
        walk(&s->frozen, &e, e.end[side], NULL, e.distance[side]);
    find_ancestors(&s->frozen, &e);
    for (int total = r; total <= r * r; total++) {
        for (int side = 0; side < 2; side++) {
            if (cut_around(s, &e, side, total, any))
                return;
        }
    }
}

/* One iteration; false where no edge had a set of r nodes left to try. */
static bool iterate(gram_search *s, int r)
{
    bool any = false;
    gram_search_freeze(s);
    for (int x = 0; x < s->graph->n; x++) {
        for (int y = x + 1; y < s->graph->n && gram_search_alive(s); y++) {
            if (gram_graph_adjacent(s->graph, x, y))
                try_edge(s, x, y, r, &any);
        }
    }
    if (gram_search_alive(s))
        gram_pag_orient(s);
    return any;
}

int gram_icd(gram_graph *g, const gram_correlation *c, int order, char *message, size_t size)
{
    gram_search s;
    int r = 0;
    gram_search_open(&s, g, c, GRAM_CIRCLE);
    while (gram_search_alive(&s) && (order < 0 || r <= order) && iterate(&s, r))
        r++;
    if (gram_search_alive(&s))
        gram_pag_tails(&s);
    return gram_search_result(&s, r, message, size);
}
