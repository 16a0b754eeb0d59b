/* The orientation rules of partial ancestral graphs: Zhang, "On the completeness of orientation rules for causal
 * discovery in the presence of latent confounders and selection bias" (Artificial Intelligence 172, 2008). Each rule
 * is a function that stands below its statement; edges are written as there, "o->" from left to right, * being any
 * mark. A rule only turns circles into what it says, so applying them comes to an end. */
#include <stdlib.h>
#include <string.h>

#include "graph_search.h"

static bool fits(char letter, gram_mark mark)
{
    switch (letter) {
    case '*':
        return mark != GRAM_NO_EDGE;
    case 'o':
        return mark == GRAM_CIRCLE;
    case '-':
        return mark == GRAM_TAIL;
    default:
        return mark == GRAM_ARROW;
    }
}

/* Is the edge from a to b like "o->": the mark at a, a dash, the mark at b? */
static bool like(const gram_graph *g, int a, const char *edge, int b)
{
    return fits(edge[0], gram_graph_end(g, b, a)) && fits(edge[2], gram_graph_end(g, a, b));
}

/* The circle at b of the edge between a and b becomes mark; was it one? */
static bool turn(gram_graph *g, int a, int b, gram_mark mark)
{
    if (gram_graph_end(g, a, b) != GRAM_CIRCLE)
        return false;
    gram_graph_put(g, a, b, mark);
    return true;
}

/* a -> b, as far as circles allow. */
static bool point(gram_graph *g, int a, int b)
{
    bool head = turn(g, a, b, GRAM_ARROW);
    return turn(g, b, a, GRAM_TAIL) || head;
}

/* A rule at three different nodes. True where it turned a circle. */
typedef bool rule(gram_search *s, int a, int b, int c);

/* R0: a *-* b *-* c, a and c apart, b did not separate them: a *-> b <-* c. */
static bool collider(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    if (!like(g, a, "*-*", b) || !like(g, b, "*-*", c) || gram_graph_adjacent(g, a, c) ||
        gram_search_separates(s, a, c, b))
        return false;
    bool first = turn(g, a, b, GRAM_ARROW);
    return turn(g, c, b, GRAM_ARROW) || first;
}

/* R1: a *-> b o-* c, a and c apart: b -> c. */
static bool rule1(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    return like(g, a, "*->", b) && like(g, b, "o-*", c) && !gram_graph_adjacent(g, a, c) && point(g, b, c);
}

/* R2: a -> b *-> c or a *-> b -> c, and a *-o c: a *-> c. */
static bool rule2(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    bool chain = (like(g, a, "-->", b) && like(g, b, "*->", c)) || (like(g, a, "*->", b) && like(g, b, "-->", c));
    return chain && like(g, a, "*-o", c) && turn(g, a, c, GRAM_ARROW);
}

/* R3: a *-> b <-* c, a *-o d o-* c, a and c apart, d *-o b: d *-> b. */
static bool rule3(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    bool turned = false;
    if (!like(g, a, "*->", b) || !like(g, b, "<-*", c) || gram_graph_adjacent(g, a, c))
        return false;
    for (int d = 0; d < g->n; d++)
        turned |= like(g, a, "*-o", d) && like(g, d, "o-*", c) && like(g, d, "*-o", b) && turn(g, d, b, GRAM_ARROW);
    return turned;
}

/* The first node of a path d, ..., a, b that discriminates b for c: d is apart from c, and every node between d and b
 * is a collider on the path and a parent of c; -1 where there is none. Nodes are reached backwards from a. */
static int discriminating(gram_search *s, int a, int b, int c)
{
    const gram_graph *g = s->graph;
    int *queue = s->scratch, *seen = queue + g->n, first = 0, last = 1;
    memset(seen, 0, (size_t)g->n * sizeof *seen);
    seen[a] = seen[b] = seen[c] = 1;
    queue[0] = a;
    while (first < last) {
        int v = queue[first++];
        for (int w = 0; w < g->n; w++) {
            if (seen[w] || !like(g, w, "*->", v))
                continue;
            if (!gram_graph_adjacent(g, w, c))
                return w;
            if (like(g, w, "<->", v) && like(g, w, "-->", c)) {
                seen[w] = 1;
                queue[last++] = w;
            }
        }
    }
    return -1;
}

/* R4: d, ..., a, b discriminates b for c, and b o-* c: b -> c where b helped to separate d and c, else a <-> b <-> c.
 * */
static bool rule4(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    if (!like(g, a, "<-*", b) || !like(g, a, "-->", c) || !like(g, b, "o-*", c))
        return false;
    int d = discriminating(s, a, b, c);
    if (d < 0)
        return false;
    if (gram_search_separates(s, d, c, b))
        return point(g, b, c);
    bool turned = turn(g, a, b, GRAM_ARROW);
    turned |= turn(g, b, c, GRAM_ARROW);
    return turn(g, c, b, GRAM_ARROW) || turned;
}

/* ---- uncovered paths: any two nodes at a distance of two are apart ---- */

/* Can an edge be walked? It is o-o, or not into its first node nor out of its second. */
static bool on_circle_path(const gram_graph *g, int a, int b)
{
    return like(g, a, "o-o", b);
}

static bool on_directed_path(const gram_graph *g, int a, int b)
{
    return gram_graph_adjacent(g, a, b) && !like(g, a, "<-*", b) && !like(g, a, "*--", b);
}

typedef struct path {
    bool (*walkable)(const gram_graph *g, int a, int b);
    int goal, apart; /* apart: not to be adjacent to the node before the goal; -1: any may be there */
    int length, *node;
} path;

static bool on_path(const path *p, int v)
{
    for (int i = 0; i < p->length; i++) {
        if (p->node[i] == v)
            return true;
    }
    return false;
}

/* Goes on from the path's last two nodes to the goal; the path is left whole where that is possible. */
static bool extend(const gram_graph *g, path *p)
{
    const int before = p->node[p->length - 2], last = p->node[p->length - 1];
    if (last == p->goal)
        return p->apart < 0 || !gram_graph_adjacent(g, before, p->apart);
    for (int v = 0; v < g->n; v++) {
        if (on_path(p, v) || !p->walkable(g, last, v) || gram_graph_adjacent(g, before, v))
            continue;
        p->node[p->length++] = v;
        if (extend(g, p))
            return true;
        p->length--;
    }
    return false;
}

/* A path a, b, ..., goal. */
static bool find_path(gram_search *s, path *p, int a, int b)
{
    p->node = s->scratch;
    p->node[0] = a;
    p->node[1] = b;
    p->length = 2;
    return p->walkable(s->graph, a, b) && extend(s->graph, p);
}

/* R5: a o-o c beside an uncovered path of circles a, b, ..., c, with b and c apart and so a and the last but one:
 * tails all along, and a - c. */
static bool rule5(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    path p = {.walkable = on_circle_path, .goal = c, .apart = a};
    if (!like(g, a, "o-o", c) || gram_graph_adjacent(g, b, c) || !find_path(s, &p, a, b))
        return false;
    for (int i = 0; i < p.length; i++) {
        int from = p.node[i], to = p.node[(i + 1) % p.length];
        turn(g, from, to, GRAM_TAIL);
        turn(g, to, from, GRAM_TAIL);
    }
    return true;
}

/* R6: a --- b o-* c: b --* c. */
static bool rule6(gram_search *s, int a, int b, int c)
{
    return like(s->graph, a, "---", b) && like(s->graph, b, "o-*", c) && turn(s->graph, c, b, GRAM_TAIL);
}

/* R7: a --o b o-* c, a and c apart: b --* c. */
static bool rule7(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    return like(g, a, "--o", b) && like(g, b, "o-*", c) && !gram_graph_adjacent(g, a, c) && turn(g, c, b, GRAM_TAIL);
}

/* R8: a -> b -> c or a --o b -> c, and a o-> c: a -> c. */
static bool rule8(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    bool chain = (like(g, a, "-->", b) || like(g, a, "--o", b)) && like(g, b, "-->", c);
    return chain && like(g, a, "o->", c) && turn(g, c, a, GRAM_TAIL);
}

/* R9: a o-> c, and an uncovered potentially directed path a, b, ..., c with b and c apart: a -> c. */
static bool rule9(gram_search *s, int a, int b, int c)
{
    path p = {.walkable = on_directed_path, .goal = c, .apart = -1};
    return like(s->graph, a, "o->", c) && !gram_graph_adjacent(s->graph, b, c) && find_path(s, &p, a, b) &&
           turn(s->graph, c, a, GRAM_TAIL);
}

/* Uncovered potentially directed paths from a to b and to d, whose second nodes differ and are apart? */
static bool two_paths(gram_search *s, int a, int b, int d)
{
    const gram_graph *g = s->graph;
    for (int u = 0; u < g->n; u++) {
        path p = {.walkable = on_directed_path, .goal = b, .apart = -1};
        if (u == a || !find_path(s, &p, a, u))
            continue;
        for (int v = 0; v < g->n; v++) {
            path q = {.walkable = on_directed_path, .goal = d, .apart = -1};
            if (v != a && v != u && !gram_graph_adjacent(g, u, v) && find_path(s, &q, a, v))
                return true;
        }
    }
    return false;
}

/* R10: a o-> c, b -> c <- d, and two such paths from a, to b and to d: a -> c. */
static bool rule10(gram_search *s, int a, int b, int c)
{
    gram_graph *g = s->graph;
    if (!like(g, a, "o->", c) || !like(g, b, "-->", c))
        return false;
    for (int d = 0; d < g->n; d++) {
        if (d != a && d != b && like(g, d, "-->", c) && two_paths(s, a, b, d))
            return turn(g, c, a, GRAM_TAIL);
    }
    return false;
}

/* ---- all rules, until none applies ---- */

static bool pass(gram_search *s, rule *apply)
{
    const int n = s->graph->n;
    bool turned = false;
    for (int a = 0; a < n; a++) {
        for (int b = 0; b < n; b++) {
            for (int c = 0; c < n && a != b; c++)
                turned |= c != a && c != b && apply(s, a, b, c);
        }
    }
    return turned;
}

static void exhaust(gram_search *s, rule *const *rules, int nrules)
{
    bool turned = true;
    while (turned) {
        turned = false;
        for (int r = 0; r < nrules; r++)
            turned |= pass(s, rules[r]);
    }
}

void gram_pag_orient(gram_search *s)
{
    static rule *const rules[] = {rule1, rule2, rule3, rule4};
    gram_graph *g = s->graph;
    for (int a = 0; a < g->n; a++) {
        for (int b = 0; b < g->n; b++)
            gram_graph_put(g, a, b, gram_graph_adjacent(g, a, b) ? GRAM_CIRCLE : GRAM_NO_EDGE);
    }
    pass(s, collider);
    exhaust(s, rules, 4);
}

void gram_pag_tails(gram_search *s)
{
    static rule *const selection[] = {rule5, rule6, rule7}, *const tails[] = {rule8, rule9, rule10};
    exhaust(s, selection, 3);
    exhaust(s, tails, 3);
}
