/* Costs as polynomials in the sizes; see cost.h. A term is known by the text of its sizes, in alphabetical order. */
#include "cost.h"

#include <stdlib.h>
#include <string.h>

typedef struct gram_cost_term {
    int64_t factor;
    const char *sizes; /* " batch n^2", or "" */
    struct gram_cost_term *next;
} gram_cost_term;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in order, equal ones as a power. */
static void put_powers(gram_text *text, const char **names, int n)
{
    qsort(names, (size_t)n, sizeof *names, by_text);
    for (int k = 0, end; k < n; k = end) {
        for (end = k + 1; end < n && strcmp(names[end], names[k]) == 0; end++)
            continue;
        gram_put(text, strchr(names[k], ' ') ? " (%s)" : " %s", names[k]);
        if (end - k > 1)
            gram_put(text, "^%d", end - k);
    }
}

static gram_cost_term *find_term(gram_cost *cost, const char *sizes)
{
    gram_cost_term **place = &cost->terms;
    while (*place && strcmp((*place)->sizes, sizes) != 0)
        place = &(*place)->next;
    if (!*place) {
        *place = gram_alloc(cost->ctx, sizeof **place);
        (*place)->sizes = sizes;
    }
    return *place;
}

void gram_cost_add(gram_cost *cost, int64_t factor, bool batched, const gram_dim *dims, int n)
{
    const char **names = gram_alloc(cost->ctx, (size_t)(n + 1) * sizeof *names);
    gram_text sizes = {.ctx = cost->ctx};
    int named = 0;
    gram_put(&sizes, "%s", batched ? " batch" : "");
    for (int k = 0; k < n; k++) {
        if (gram_dim_known(dims[k]))
            factor *= dims[k].number;
        else
            names[named++] = gram_dim_text(cost->ctx, dims[k]);
    }
    put_powers(&sizes, names, named);
    find_term(cost, sizes.data ? sizes.data : "")->factor += factor;
}

void gram_cost_sum(gram_cost *cost, const gram_cost *b)
{
    for (const gram_cost_term *term = b->terms; term; term = term->next)
        find_term(cost, term->sizes)->factor += term->factor;
}

/* Has the term these sizes, or these for each of the items, of which there is at least one? */
static bool has_sizes(const gram_cost_term *term, const char *sizes)
{
    static const char batch[] = " batch";
    return !strcmp(term->sizes, sizes) ||
           (!strncmp(term->sizes, batch, strlen(batch)) && !strcmp(term->sizes + strlen(batch), sizes));
}

bool gram_cost_covers(const gram_cost *a, const gram_cost *b)
{
    bool covers = true;
    for (const gram_cost_term *term = b->terms; term && covers; term = term->next) {
        const gram_cost_term *same = a->terms;
        while (same && !has_sizes(same, term->sizes))
            same = same->next;
        covers = same && same->factor >= term->factor;
    }
    return covers;
}

const char *gram_cost_text(const gram_cost *cost)
{
    gram_text text = {.ctx = cost->ctx};
    for (const gram_cost_term *term = cost->terms; term; term = term->next) {
        gram_put(&text, "%s", text.size ? " + " : "");
        if (term->factor == 1 && *term->sizes)
            gram_put(&text, "%s", term->sizes + 1);
        else
            gram_put(&text, "%lld%s", (long long)term->factor, term->sizes);
    }
    return text.data ? text.data : "0";
}
