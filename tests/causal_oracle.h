/* What causal graphs must come out, by trying all of them: graphs over a few nodes, what a graph separates, path by
 * path, and the marks that all graphs of one skeleton share which separate the same. Nothing of runtime/graph_*.c is
 * used. */
#ifndef GRAM_CAUSAL_ORACLE_H
#define GRAM_CAUSAL_ORACLE_H

#include <string.h>

#include "../runtime/graph.h"

enum { ORACLE_NODES = 8 };

/* end[a][b]: the mark at b of the edge between a and b. */
typedef struct oracle_graph {
    int n;
    gram_mark end[ORACLE_NODES][ORACLE_NODES];
} oracle_graph;

/* Is there a path of arrows from a to b, of any length? A bit of `seen` for each node it has been through. */
static inline bool oracle_ancestor(const oracle_graph *g, int a, int b, unsigned seen)
{
    if (a == b)
        return true;
    for (int c = 0; c < g->n; c++) {
        if (!(seen >> c & 1) && g->end[a][c] == GRAM_ARROW && g->end[c][a] == GRAM_TAIL &&
            oracle_ancestor(g, c, b, seen | 1u << c))
            return true;
    }
    return false;
}

static inline bool oracle_ancestor_of_set(const oracle_graph *g, int a, unsigned set)
{
    for (int b = 0; b < g->n; b++) {
        if (set >> b & 1 && oracle_ancestor(g, a, b, 1u << a))
            return true;
    }
    return false;
}

/* Does a path u, v, ... lead to y, all of its inner nodes open given the set? (m-connection; Richardson and Spirtes
 * 2002) */
static inline bool oracle_path(const oracle_graph *g, int u, int v, int y, unsigned set, unsigned seen)
{
    if (v == y)
        return true;
    for (int w = 0; w < g->n; w++) {
        if (seen >> w & 1 || g->end[v][w] == GRAM_NO_EDGE)
            continue;
        bool collider = g->end[u][v] == GRAM_ARROW && g->end[w][v] == GRAM_ARROW;
        bool open = collider ? oracle_ancestor_of_set(g, v, set) : !(set >> v & 1);
        if (open && oracle_path(g, v, w, y, set, seen | 1u << w))
            return true;
    }
    return false;
}

static inline bool oracle_connected(const oracle_graph *g, int x, int y, unsigned set)
{
    for (int v = 0; v < g->n; v++) {
        if (v != x && g->end[x][v] != GRAM_NO_EDGE && oracle_path(g, x, v, y, set, 1u << x | 1u << v))
            return true;
    }
    return false;
}

/* Do g and h connect the same among the first n nodes? */
static inline bool oracle_same(const oracle_graph *g, const oracle_graph *h, int n)
{
    for (int x = 0; x < n; x++) {
        for (int y = x + 1; y < n; y++) {
            for (unsigned set = 0; set < 1u << n; set++) {
                bool holds_end = set >> x & 1 || set >> y & 1;
                if (!holds_end && oracle_connected(g, x, y, set) != oracle_connected(h, x, y, set))
                    return false;
            }
        }
    }
    return true;
}

/* An ancestral graph: no arrow into an ancestor, and none into an undirected edge. */
static inline bool oracle_ancestral(const oracle_graph *g)
{
    for (int a = 0; a < g->n; a++) {
        for (int b = 0; b < g->n; b++) {
            if (g->end[b][a] == GRAM_ARROW && oracle_ancestor(g, a, b, 1u << a))
                return false;
            for (int c = 0; c < g->n && g->end[a][b] == GRAM_TAIL && g->end[b][a] == GRAM_TAIL; c++) {
                if (g->end[c][a] == GRAM_ARROW)
                    return false;
            }
        }
    }
    return true;
}

/* The marks that all graphs share which separate the first n nodes as `truth` does; a circle where they differ.
 * kinds: 2 for a -> b and a <- b (the truth has only these, all of its nodes seen), 4 also a <-> b and a - b. */
static inline oracle_graph oracle_class(const oracle_graph *truth, int n, int kinds)
{
    static const gram_mark marks[4][2] = {
        {GRAM_TAIL, GRAM_ARROW}, {GRAM_ARROW, GRAM_TAIL}, {GRAM_ARROW, GRAM_ARROW}, {GRAM_TAIL, GRAM_TAIL}};
    oracle_graph all = {.n = n};
    int edges[ORACLE_NODES * ORACLE_NODES][2], count = 0;
    for (int x = 0; x < n; x++) {
        for (int y = x + 1; y < n; y++) {
            bool connected = true;
            for (unsigned set = 0; set < 1u << n; set++)
                connected &= set >> x & 1 || set >> y & 1 || oracle_connected(truth, x, y, set);
            if (connected)
                memcpy(edges[count++], (int[]){x, y}, sizeof edges[0]);
        }
    }
    long combinations = 1;
    for (int e = 0; e < count; e++)
        combinations *= kinds;
    for (long code = 0; code < combinations; code++) {
        oracle_graph g = {.n = n};
        long rest = code;
        for (int e = 0; e < count; e++, rest /= kinds) {
            g.end[edges[e][1]][edges[e][0]] = marks[rest % kinds][0];
            g.end[edges[e][0]][edges[e][1]] = marks[rest % kinds][1];
        }
        if (!oracle_ancestral(&g) || !oracle_same(&g, truth, n))
            continue;
        for (int a = 0; a < n; a++) {
            for (int b = 0; b < n; b++) {
                bool first = all.end[a][b] == GRAM_NO_EDGE;
                all.end[a][b] = first || all.end[a][b] == g.end[a][b] ? g.end[a][b] : GRAM_CIRCLE;
            }
        }
    }
    return all;
}

#endif
