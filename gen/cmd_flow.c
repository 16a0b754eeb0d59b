/* gram flow: how much of each layer's attention crosses from one group of tokens to another (text and image, say),
 * and how that compares with attention that looks everywhere alike. The formulas are gram's own, derived: the paper
 * on inter-modality probing that names such a measure does not print one. With A the mean of a layer's heads, over
 * the tokens that have a group:
 *
 *     matrix[g][h]   the share of A's mass from queries in g to keys in h
 *     flow           the share between different groups, the sum off the diagonal
 *     base           flow under uniform attention, 1 - sum_g (n_g / n)^2
 *     lift           flow / base
 *     outflow[g]     what a query in g gives to other groups, of 1, in the mean
 *     span           the flow of layers 0 .. l together, the product of the (A + I) / 2 (Abnar and Zuidema,
 *                    "Quantifying attention flow in transformers", 2020)
 *
 * For masked feature regression, --mask T:M picks what has to be hidden with token T, as it would give T away: the M
 * tokens of its group with the largest (A + A') / 2 to it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runtime/npy.h"
#include "cmd_attention.h"

enum { MOST_GROUPS = 256 };

/* The tokens' groups: member[t] is a place in label, or -1 where t has none. */
typedef struct groups {
    int64_t n; /* tokens */
    int *member;
    int count;
    int64_t label[MOST_GROUPS], tokens[MOST_GROUPS];
} groups;

/* What is measured, a value a layer; matrices one after the other. */
typedef struct measure {
    int64_t layers;
    int count;
    double base;
    double *flow, *span, *outflow, *matrix;
    double *mean, *rollout, *product; /* n x n */
    int64_t token, hidden;            /* --mask; hidden 0: not asked for */
    int64_t *masked;                  /* layers x hidden, nearest first; -1: the group has no more */
} measure;

/* ---- groups ---- */

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int place_of(const groups *g, int64_t id)
{
    const int64_t *found = bsearch(&id, g->label, (size_t)g->count, sizeof id, compare);
    return found ? (int)(found - g->label) : -1;
}

/* Labels are the ids from 0 up that occur, in order. */
static int take_ids(groups *g, const int64_t *ids)
{
    for (int64_t t = 0; t < g->n; t++) {
        if (ids[t] < 0 || place_of(g, ids[t]) >= 0)
            continue;
        if (g->count == MOST_GROUPS)
            return gram_fault("error: --groups: more than 256 different groups");
        g->label[g->count++] = ids[t];
        qsort(g->label, (size_t)g->count, sizeof ids[t], compare);
    }
    for (int64_t t = 0; t < g->n; t++) {
        g->member[t] = place_of(g, ids[t]);
        if (g->member[t] >= 0)
            g->tokens[g->member[t]]++;
    }
    return g->count > 0 ? GRAM_EXIT_OK : gram_fault("error: --groups: no token has a group (an id from 0 up)");
}

static int read_groups(const gram_cli *cli, groups *g)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array array = {0}, ids = {0};
    int status = GRAM_EXIT_OK;
    if (gram_npy_read(&array, cli->groups, message, sizeof message) != 0) {
        fprintf(stderr, "error: %s\n", message);
        return GRAM_EXIT_FAULT;
    }
    if (array.ndim != 1 || array.shape[0] != g->n) {
        fprintf(stderr, "error: %s: expected an id for each of %" PRId64 " tokens\n", cli->groups, g->n);
        status = GRAM_EXIT_FAULT;
    } else if (gram_array_new(&ids, GRAM_I8, 1, &g->n, message, sizeof message) != 0 ||
               gram_array_assign(&ids, &array, message, sizeof message) != 0) {
        fprintf(stderr, "error: %s: %s\n", cli->groups, message);
        status = GRAM_EXIT_FAULT;
    }
    g->member = calloc((size_t)g->n + 1, sizeof *g->member);
    if (status == GRAM_EXIT_OK)
        status = g->member ? take_ids(g, ids.data) : gram_fault("error: out of memory");
    gram_array_free(&array);
    gram_array_free(&ids);
    return status;
}

/* ---- measuring ---- */

/* The shares of A's mass from group to group; the share between different ones. */
static double shares(const groups *g, const double *A, double *matrix)
{
    double total = 0, cross = 0;
    memset(matrix, 0, (size_t)g->count * (size_t)g->count * sizeof *matrix);
    for (int64_t i = 0; i < g->n; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            int from = g->member[i], to = g->member[j];
            double mass = from >= 0 && to >= 0 ? A[i * g->n + j] : 0;
            total += mass;
            cross += from != to ? mass : 0;
            if (from >= 0 && to >= 0)
                matrix[from * g->count + to] += mass;
        }
    }
    for (int k = 0; k < g->count * g->count; k++)
        matrix[k] /= total;
    return cross / total;
}

/* Of what a group's queries give, the part that leaves it. */
static void outflows(const groups *g, const double *matrix, double *outflow)
{
    for (int from = 0; from < g->count; from++) {
        double all = 0;
        for (int to = 0; to < g->count; to++)
            all += matrix[from * g->count + to];
        outflow[from] = (all - matrix[from * g->count + from]) / all;
    }
}

static double uniform(const groups *g)
{
    double n = 0, within = 0;
    for (int k = 0; k < g->count; k++) {
        n += (double)g->tokens[k];
        within += (double)g->tokens[k] * (double)g->tokens[k];
    }
    return 1 - within / (n * n);
}

/* The tokens to hide with m->token, nearest first. */
static void hide(const measure *m, const groups *g, int64_t *masked)
{
    for (int64_t k = 0; k < m->hidden; k++) {
        double most = -1;
        masked[k] = -1;
        for (int64_t t = 0; t < g->n; t++) {
            double near = (m->mean[t * g->n + m->token] + m->mean[m->token * g->n + t]) / 2;
            bool taken = t == m->token || g->member[t] != g->member[m->token];
            for (int64_t before = 0; before < k; before++)
                taken |= masked[before] == t;
            if (!taken && near > most) {
                most = near;
                masked[k] = t;
            }
        }
    }
}

static void average_heads(const gram_attention *a, int64_t layer, double *mean)
{
    const int64_t entries = a->queries * a->keys;
    memset(mean, 0, (size_t)entries * sizeof *mean);
    for (int64_t h = 0; h < a->inner; h++) {
        const double *A = gram_attention_matrix(a, layer, h);
        for (int64_t i = 0; i < entries; i++)
            mean[i] += A[i] / (double)a->inner;
    }
}

/* rollout = (A + I) / 2 * rollout; the identity before the first layer. */
static void roll(measure *m, int64_t n, bool first)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = m->product + i * n;
        for (int64_t j = 0; j < n; j++)
            row[j] = first ? (m->mean[i * n + j] + (i == j)) / 2 : m->rollout[i * n + j] / 2;
        for (int64_t k = 0; k < n && !first; k++) {
            for (int64_t j = 0; j < n; j++)
                row[j] += m->mean[i * n + k] / 2 * m->rollout[k * n + j];
        }
    }
    double *next = m->product;
    m->product = m->rollout;
    m->rollout = next;
}

static void measure_layers(measure *m, const groups *g, const gram_attention *a)
{
    const int64_t G = g->count;
    m->base = uniform(g);
    for (int64_t l = 0; l < m->layers; l++) {
        average_heads(a, l, m->mean);
        hide(m, g, m->masked + l * m->hidden);
        roll(m, g->n, l == 0);
        m->span[l] = shares(g, m->rollout, m->matrix + l * G * G);
        m->flow[l] = shares(g, m->mean, m->matrix + l * G * G);
        outflows(g, m->matrix + l * G * G, m->outflow + l * G);
    }
}

/* ---- printing ---- */

static void print_list(const double *values, int64_t count)
{
    putchar('[');
    for (int64_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        gram_json_number(values[i]);
    }
    putchar(']');
}

/* A list for each row of numbers. */
static void print_rows(const double *values, int64_t rows, int64_t columns)
{
    putchar('[');
    for (int64_t i = 0; i < rows; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        print_list(values + i * columns, columns);
    }
    putchar(']');
}

/* A value a layer: values[l] / by, or `by` alone where there are no values. */
static void print_values(const char *name, const double *values, double by, int64_t layers)
{
    printf("%s\"%s\": [", *name == 'f' ? "" : ", ", name);
    for (int64_t l = 0; l < layers; l++) {
        fputs(l > 0 ? ", " : "", stdout);
        gram_json_number(values ? values[l] / by : by);
    }
    putchar(']');
}

/* "[3, 1]" */
static void print_masked(const measure *m, int64_t layer)
{
    const int64_t *masked = m->masked + layer * m->hidden;
    putchar('[');
    for (int64_t k = 0; k < m->hidden && masked[k] >= 0; k++)
        printf("%s%" PRId64, k > 0 ? ", " : "", masked[k]);
    putchar(']');
}

static void print_json(const measure *m, const groups *g)
{
    putchar('{');
    print_values("flow", m->flow, 1, m->layers);
    print_values("base", NULL, m->base, m->layers);
    print_values("lift", m->flow, m->base, m->layers);
    fputs(", \"matrix\": [", stdout);
    for (int64_t l = 0; l < m->layers; l++) {
        fputs(l > 0 ? ", " : "", stdout);
        print_rows(m->matrix + l * m->count * m->count, m->count, m->count);
    }
    fputs("], \"outflow\": ", stdout);
    print_rows(m->outflow, m->layers, m->count);
    print_values("span", m->span, 1, m->layers);
    print_values("span_lift", m->span, m->base, m->layers);
    for (int64_t l = 0; l < m->layers && m->hidden > 0; l++) {
        fputs(l > 0 ? ", " : ", \"masked\": [", stdout);
        print_masked(m, l);
    }
    fputs(m->hidden > 0 ? "], \"groups\": [" : ", \"groups\": [", stdout);
    for (int k = 0; k < g->count; k++)
        printf("%s%" PRId64, k > 0 ? ", " : "", g->label[k]);
    puts("]}");
}

static void print_text(const measure *m, const groups *g, const char *layer)
{
    printf("%" PRId64 " tokens in %d groups; uniform attention would cross at %.4f\n", g->n, g->count, m->base);
    printf("%-8s%10s%10s%10s%10s   to other groups, from", layer, "flow", "lift", "span", "its lift");
    for (int k = 0; k < g->count; k++)
        printf(" %" PRId64 "%s", g->label[k], k + 1 < g->count ? "," : "");
    putchar('\n');
    for (int64_t l = 0; l < m->layers; l++) {
        printf("%-8" PRId64 "%10.4f%10.4f%10.4f%10.4f  ", l, m->flow[l], m->flow[l] / m->base, m->span[l],
               m->span[l] / m->base);
        for (int k = 0; k < g->count; k++)
            printf(" %.4f", m->outflow[l * m->count + k]);
        if (m->hidden > 0) {
            printf("   mask %" PRId64 " with ", m->token);
            print_masked(m, l);
        }
        putchar('\n');
    }
}

/* ---- the whole ---- */

static int check(const gram_cli *cli, const gram_attention *a)
{
    const char *wrong = a->queries != a->keys ? "flow needs a square matrix" : NULL;
    for (int64_t i = 0; i < a->outer * a->inner * a->queries * a->keys && !wrong; i++)
        wrong = a->data[i] < 0 ? "attention is not negative, and some entry is" : NULL;
    if (!wrong && a->outer * a->inner * a->queries == 0)
        wrong = "it is empty";
    if (wrong)
        fprintf(stderr, "error: %s: %s\n", cli->spec, wrong);
    return wrong ? GRAM_EXIT_FAULT : GRAM_EXIT_OK;
}

/* --mask 3:5 */
static int take_mask(const gram_cli *cli, const groups *g, measure *m)
{
    const char *colon = cli->mask ? strchr(cli->mask, ':') : NULL;
    char token[24] = "";
    if (!cli->mask)
        return GRAM_EXIT_OK;
    if (colon)
        snprintf(token, sizeof token, "%.*s", (int)(colon - cli->mask), cli->mask);
    m->token = gram_cli_number(token);
    m->hidden = colon ? gram_cli_number(colon + 1) : 0;
    if (m->token < 0 || m->token >= g->n || m->hidden < 1 || m->hidden >= g->n)
        return gram_usage(cli, "--mask wants TOKEN:COUNT within %" PRId64 " tokens, not '%s'", g->n, cli->mask);
    return GRAM_EXIT_OK;
}

static int run(const gram_cli *cli, const gram_attention *a, const groups *g)
{
    const size_t L = (size_t)a->outer, G = (size_t)g->count, n = (size_t)g->n;
    double *room = calloc(L * (2 + G + G * G) + 3 * n * n, sizeof *room);
    measure m = {.layers = a->outer, .count = g->count, .flow = room};
    int status = take_mask(cli, g, &m);
    m.masked = calloc(L * (size_t)m.hidden + 1, sizeof *m.masked);
    if (status != GRAM_EXIT_OK || !room || !m.masked) {
        free(room);
        free(m.masked);
        return status != GRAM_EXIT_OK ? status : gram_fault("error: out of memory");
    }
    m.span = m.flow + L;
    m.outflow = m.span + L;
    m.matrix = m.outflow + L * G;
    m.mean = m.matrix + L * G * G;
    m.rollout = m.mean + n * n;
    m.product = m.rollout + n * n;
    measure_layers(&m, g, a);
    if (cli->json)
        print_json(&m, g);
    else
        print_text(&m, g, a->outer_name ? a->outer_name : "layer");
    free(room);
    free(m.masked);
    return GRAM_EXIT_OK;
}

int gram_cmd_flow(const gram_cli *cli)
{
    gram_attention a;
    groups g = {0};
    if (!cli->groups)
        return gram_usage(cli, "which tokens are of one group? --groups ids.npy");
    int status = gram_attention_read(cli, &a);
    if (status == GRAM_EXIT_OK)
        status = check(cli, &a);
    g.n = a.queries;
    if (status == GRAM_EXIT_OK)
        status = read_groups(cli, &g);
    if (status == GRAM_EXIT_OK)
        status = run(cli, &a, &g);
    free(g.member);
    gram_attention_free(&a);
    return status;
}
