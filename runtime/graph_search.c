/* The search for separating sets: bookkeeping that PC and ICD share. */
#include "graph_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TESTS = 10000000 };

void gram_graph_free(gram_graph *g)
{
    free(g->end);
    *g = (gram_graph){0};
}

static void complete(gram_graph *g, gram_mark mark)
{
    for (int a = 0; a < g->n; a++) {
        for (int b = 0; b < g->n; b++)
            gram_graph_put(g, a, b, a == b ? GRAM_NO_EDGE : mark);
    }
}

int gram_search_open(gram_search *s, gram_graph *graph, const gram_correlation *c, gram_mark mark)
{
    const size_t n = (size_t)c->n;
    *s = (gram_search){.graph = graph, .correlation = c, .tests = MOST_TESTS};
    *graph = (gram_graph){c->n, calloc(n * n + 1, 1)};
    s->frozen = (gram_graph){c->n, calloc(n * n + 1, 1)};
    s->separator = calloc(n * n + 1, sizeof *s->separator);
    s->pool = calloc(3 * n + 1, sizeof *s->pool);
    s->scratch = calloc(2 * n * n + 5 * n + 1, sizeof *s->scratch);
    s->no_memory = !graph->end || !s->frozen.end || !s->separator || !s->pool || !s->scratch;
    if (s->no_memory)
        return -1;
    s->pick = s->pool + n;
    s->set = s->pick + n;
    complete(graph, mark);
    return 0;
}

void gram_search_close(gram_search *s)
{
    const size_t n = (size_t)s->frozen.n;
    for (size_t i = 0; s->separator && i < n * n; i++)
        free(s->separator[i]);
    free(s->separator);
    free(s->pool);
    free(s->scratch);
    gram_graph_free(&s->frozen);
}

bool gram_search_alive(const gram_search *s)
{
    return s->tests > 0 && !s->no_memory;
}

int gram_search_result(gram_search *s, int level, char *message, size_t size)
{
    bool alive = gram_search_alive(s);
    if (s->no_memory)
        snprintf(message, size, "out of memory");
    else if (!alive)
        snprintf(message, size, "too many edges are left: more than %d tests, given %d tokens; --order %d stops before",
                 MOST_TESTS, level, level > 0 ? level - 1 : 0);
    gram_search_close(s);
    if (!alive)
        gram_graph_free(s->graph);
    return alive ? 0 : -1;
}

void gram_search_freeze(gram_search *s)
{
    const size_t n = (size_t)s->graph->n;
    memcpy(s->frozen.end, s->graph->end, n * n);
}

static int **separator_of(const gram_search *s, int x, int y)
{
    const int low = x < y ? x : y, high = x < y ? y : x;
    return &s->separator[(size_t)low * (size_t)s->graph->n + (size_t)high];
}

bool gram_search_cut(gram_search *s, int x, int y, int k)
{
    s->tests--;
    if (!gram_correlation_independent(s->correlation, x, y, s->set, k))
        return false;
    int *kept = malloc((size_t)(k + 1) * sizeof *kept);
    s->no_memory |= !kept;
    if (!kept)
        return true;
    kept[0] = k;
    memcpy(kept + 1, s->set, (size_t)k * sizeof *kept);
    *separator_of(s, x, y) = kept;
    gram_graph_put(s->graph, x, y, GRAM_NO_EDGE);
    gram_graph_put(s->graph, y, x, GRAM_NO_EDGE);
    return true;
}

bool gram_search_separates(const gram_search *s, int x, int y, int z)
{
    const int *set = *separator_of(s, x, y);
    for (int i = 1; set && i <= set[0]; i++) {
        if (set[i] == z)
            return true;
    }
    return false;
}

bool gram_subset_first(int *pick, int k, int n)
{
    for (int i = 0; i < k; i++)
        pick[i] = i;
    return k <= n;
}

bool gram_subset_next(int *pick, int k, int n)
{
    int i = k - 1;
    while (i >= 0 && pick[i] == n - k + i)
        i--;
    if (i < 0)
        return false;
    for (pick[i++]++; i < k; i++)
        pick[i] = pick[i - 1] + 1;
    return true;
}
