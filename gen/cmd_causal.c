/* gram causal: the causal graph behind an attention matrix, per head; as text, as JSON or for Graphviz.
 * runtime/graph.h says what is learned from what. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../runtime/graph.h"
#include "cmd_attention.h"

enum { MOST_NODES = 4096 };

static const struct {
    const char *name;
    gram_graph_learner *learn;
    int kinds; /* of edges that it may find: the first ones below */
} methods[] = {{"pc", gram_pc, 2}, {"icd", gram_icd, 6}};

/* The kinds of edges, from a to b: marks, JSON's name, text, and how Graphviz draws both ends. */
static const struct {
    gram_mark at_a, at_b;
    const char *json, *text, *tail, *head;
} kinds[] = {
    {GRAM_TAIL, GRAM_ARROW, "directed", "-->", "none", "normal"},
    {GRAM_TAIL, GRAM_TAIL, "undirected", "---", "none", "none"},
    {GRAM_ARROW, GRAM_ARROW, "bidirected", "<->", "normal", "normal"},
    {GRAM_CIRCLE, GRAM_ARROW, "partly_directed", "o->", "odot", "normal"},
    {GRAM_CIRCLE, GRAM_CIRCLE, "unknown", "o-o", "odot", "odot"},
    {GRAM_CIRCLE, GRAM_TAIL, "partly_undirected", "o--", "odot", "none"},
};
enum { NKINDS = sizeof kinds / sizeof kinds[0] };

/* One head's result. */
typedef struct result {
    const gram_cli *cli;
    const gram_attention *attention;
    int64_t outer, inner;
    int method;
    double condition;
    gram_graph graph;
} result;

/* Is there an edge of this kind from a to b? One that looks the same from both ends is found once. */
static bool is_kind(const gram_graph *g, int kind, int a, int b)
{
    gram_mark at_a = kinds[kind].at_a, at_b = kinds[kind].at_b;
    return gram_graph_end(g, b, a) == at_a && gram_graph_end(g, a, b) == at_b && (at_a != at_b || a < b);
}

/* Calls print(a, b, kind, how many before) for each edge of a kind; how many there are. */
static int each_edge(const gram_graph *g, int kind, void (*print)(int a, int b, int kind, int before))
{
    int count = 0;
    for (int a = 0; a < g->n; a++) {
        for (int b = 0; b < g->n; b++) {
            if (is_kind(g, kind, a, b))
                print(a, b, kind, count++);
        }
    }
    return count;
}

/* ---- text ---- */

static void print_line(int a, int b, int kind, int before)
{
    (void)before;
    printf("  %d %s %d\n", a, kinds[kind].text, b);
}

static void print_text(const result *r)
{
    const gram_attention *a = r->attention;
    int count = 0;
    if (a->outer_name)
        printf("%s %" PRId64 "%s", a->outer_name, r->outer, a->inner_name ? " " : ": ");
    if (a->inner_name)
        printf("%s %" PRId64 ": ", a->inner_name, r->inner);
    if (isfinite(r->condition))
        printf("condition number %.4g\n", r->condition);
    else
        puts("condition number infinite: the correlations are singular");
    for (int k = 0; k < NKINDS; k++)
        count += each_edge(&r->graph, k, print_line);
    if (count == 0)
        puts("  no edges");
}

/* ---- JSON ---- */

static void print_pair(int a, int b, int kind, int before)
{
    (void)kind;
    printf("%s[%d, %d]", before > 0 ? ", " : "", a, b);
}

static void print_json(const result *r)
{
    const gram_attention *a = r->attention;
    putchar('{');
    if (a->outer_name)
        printf("\"%s\": %" PRId64 ", ", a->outer_name, r->outer);
    if (a->inner_name)
        printf("\"%s\": %" PRId64 ", ", a->inner_name, r->inner);
    for (int k = 0; k < methods[r->method].kinds; k++) {
        printf("\"%s\": [", kinds[k].json);
        each_edge(&r->graph, k, print_pair);
        fputs("], ", stdout);
    }
    fputs("\"condition\": ", stdout);
    gram_json_number(r->condition);
    puts("}");
}

/* ---- Graphviz ---- */

static void print_arc(int a, int b, int kind, int before)
{
    (void)before;
    printf("    %d -> %d [dir=both, arrowtail=%s, arrowhead=%s];\n", a, b, kinds[kind].tail, kinds[kind].head);
}

static void print_dot(const result *r)
{
    const gram_attention *a = r->attention;
    fputs("digraph causal", stdout);
    if (a->outer_name)
        printf("_%s_%" PRId64, a->outer_name, r->outer);
    if (a->inner_name)
        printf("_%s_%" PRId64, a->inner_name, r->inner);
    puts(" {");
    for (int node = 0; node < r->graph.n; node++)
        printf("    %d;\n", node);
    for (int k = 0; k < NKINDS; k++)
        each_edge(&r->graph, k, print_arc);
    puts("}");
}

/* ---- the whole ---- */

static int learn(result *r)
{
    char message[GRAM_MESSAGE_SIZE];
    const gram_cli *cli = r->cli;
    const gram_attention *a = r->attention;
    gram_correlation c;
    const double *A = gram_attention_matrix(a, r->outer, r->inner);
    int failed = gram_correlation_new(&c, A, (int)a->queries, a->keys, message, sizeof message);
    if (!failed) {
        c.samples = cli->samples > 0 ? (double)cli->samples : c.samples;
        c.alpha = cli->alpha > 0 ? cli->alpha : c.alpha;
        r->condition = c.condition;
        failed = methods[r->method].learn(&r->graph, &c, (int)cli->order, message, sizeof message);
        gram_correlation_free(&c);
    }
    if (failed)
        fprintf(stderr, "error: %s: %s\n", cli->spec, message);
    return failed ? GRAM_EXIT_FAULT : GRAM_EXIT_OK;
}

static int each_head(const gram_cli *cli, const gram_attention *a, int method)
{
    void (*print)(const result *r) = cli->json ? print_json : cli->dot ? print_dot : print_text;
    int status = GRAM_EXIT_OK;
    for (int64_t i = 0; i < a->outer * a->inner && status == GRAM_EXIT_OK; i++) {
        result r = {.cli = cli, .attention = a, .outer = i / a->inner, .inner = i % a->inner, .method = method};
        status = learn(&r);
        if (status == GRAM_EXIT_OK)
            print(&r);
        gram_graph_free(&r.graph);
    }
    return status;
}

int gram_cmd_causal(const gram_cli *cli)
{
    const int nmethods = sizeof methods / sizeof methods[0];
    int method = 0;
    gram_attention a;
    while (cli->method && method < nmethods && strcmp(methods[method].name, cli->method) != 0)
        method++;
    if (method == nmethods)
        return gram_usage(cli, "--method is pc or icd, not '%s'", cli->method);
    if (cli->json && cli->dot)
        return gram_usage(cli, "--json or --dot, not both");
    int status = gram_attention_read(cli, &a);
    if (status == GRAM_EXIT_OK && a.queries > MOST_NODES)
        status = gram_fault("error: a causal graph of more than 4096 tokens is not looked for");
    if (status == GRAM_EXIT_OK)
        status = each_head(cli, &a, method);
    gram_attention_free(&a);
    return status;
}
