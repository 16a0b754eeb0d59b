/* Causal graphs from correlations: the graphs of the paper's companions, data, and all small graphs against an oracle
 * that tries every graph. */
#include <math.h>
#include <stdlib.h>

#include "causal_oracle.h"
#include "test.h"

/* ---- random numbers ---- */

static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(1 - uniform(state)));
    return radius * cos(2 * 3.14159265358979323846 * uniform(state));
}

/* ---- models ---- */

/* x = G x + u: weight[i][j] is j's effect on i, and j < i. */
typedef struct model {
    int n;
    double weight[ORACLE_NODES][ORACLE_NODES];
} model;

static const model companions = {5, {[2] = {0.9, 0.8}, [3] = {0, 0, 0.7}, [4] = {0, 0, 0, 0.9}}};

/* (I - G)^-1, row by row. */
static void solve(const model *m, double *A)
{
    for (int i = 0; i < m->n; i++) {
        for (int k = 0; k < m->n; k++) {
            A[i * m->n + k] = i == k;
            for (int j = 0; j < i; j++)
                A[i * m->n + k] += m->weight[i][j] * A[j * m->n + k];
        }
    }
}

static void normalise_rows(double *A, int n)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < n; k++)
            sum += A[i * n + k];
        for (int k = 0; k < n; k++)
            A[i * n + k] /= sum;
    }
}

typedef struct setting {
    gram_graph_learner *learn;
    double samples, alpha;
} setting;

/* The graph of A (n x m), as a string of edges in order: "0>2 1>2"; the message where it fails. */
static const char *learn(char *text, size_t size, const setting *s, const double *A, int n, int m)
{
    static const char letters[] = " ->o";
    gram_correlation c;
    gram_graph g = {0};
    size_t used = 0;
    *text = '\0';
    if (gram_correlation_new(&c, A, n, m, text, size) != 0)
        return text;
    c.samples = s->samples;
    c.alpha = s->alpha;
    int failed = s->learn(&g, &c, -1, text, size);
    for (int a = 0; a < g.n && !failed; a++) {
        for (int b = a + 1; b < g.n && used < size; b++) {
            char left = letters[gram_graph_end(&g, b, a)], right = letters[gram_graph_end(&g, a, b)];
            if (left != ' ')
                used += (size_t)snprintf(text + used, size - used, "%s%d%c%c%d", used > 0 ? " " : "", a,
                                         left == '>' ? '<' : left, right, b);
        }
    }
    gram_graph_free(&g);
    gram_correlation_free(&c);
    return text;
}

/* ---- the companions' tests ---- */

static void deterministic(gram_tally *t)
{
    const setting pc = {gram_pc, 768, 0.01}, icd = {gram_icd, 768, 0.01};
    double A[25];
    char text[256];
    solve(&companions, A);
    normalise_rows(A, 5);
    CHECK(t, strcmp(learn(text, sizeof text, &pc, A, 5, 5), "0->2 1->2 2->3 3->4") == 0, "PC: %s", text);
    CHECK(t, strcmp(learn(text, sizeof text, &icd, A, 5, 5), "0o>2 1o>2 2->3 3->4") == 0, "ICD: %s", text);
}

/* 2,000 Gaussian samples: at least 95% of 200 seeds give the same graph. */
static void gaussian(gram_tally *t, double alpha)
{
    enum { SAMPLES = 2000, SEEDS = 200 };
    const setting pc = {gram_pc, SAMPLES, alpha};
    double *X = malloc(5 * SAMPLES * sizeof *X);
    int right = 0;
    for (uint64_t seed = 0; seed < SEEDS && X; seed++) {
        uint64_t state = seed * 1000003;
        char text[256];
        for (int k = 0; k < SAMPLES; k++) {
            for (int i = 0; i < 5; i++) {
                X[i * SAMPLES + k] = normal(&state);
                for (int j = 0; j < i; j++)
                    X[i * SAMPLES + k] += companions.weight[i][j] * X[j * SAMPLES + k];
            }
        }
        right += strcmp(learn(text, sizeof text, &pc, X, 5, SAMPLES), "0->2 1->2 2->3 3->4") == 0;
    }
    CHECK(t, right >= SEEDS * 95 / 100, "alpha %g: %d of %d seeds", alpha, right, SEEDS);
    free(X);
}

/* ---- all small graphs ---- */

/* A random model of n nodes, each edge there with probability p, effects in +-[0.5, 1.5]. */
static model random_model(uint64_t *state, int n, double p)
{
    model m = {.n = n};
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            double weight = 0.5 + uniform(state), sign = uniform(state) < 0.5 ? -1 : 1;
            m.weight[i][j] = uniform(state) < p ? sign * weight : 0;
        }
    }
    return m;
}

static oracle_graph graph_of(const model *m, const int *place)
{
    oracle_graph g = {.n = m->n};
    for (int i = 0; i < m->n; i++) {
        for (int j = 0; j < i; j++) {
            bool there = m->weight[i][j] != 0;
            g.end[place[j]][place[i]] = there ? GRAM_ARROW : GRAM_NO_EDGE;
            g.end[place[i]][place[j]] = there ? GRAM_TAIL : GRAM_NO_EDGE;
        }
    }
    return g;
}

/* A random order, so that causes do not come first and any node may be hidden. */
static void shuffle(uint64_t *state, int *place, int n)
{
    for (int i = 0; i < n; i++)
        place[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)(uniform(state) * (i + 1)), kept = place[i];
        place[i] = place[j];
        place[j] = kept;
    }
}

/* What PC has: a directed edge, or none of its ends known. */
static void as_pc(oracle_graph *g)
{
    for (int a = 0; a < g->n; a++) {
        for (int b = 0; b < a; b++) {
            if (g->end[a][b] == GRAM_CIRCLE || g->end[b][a] == GRAM_CIRCLE)
                g->end[a][b] = g->end[b][a] = GRAM_TAIL;
        }
    }
}

static int differences(const oracle_graph *expected, const gram_graph *got)
{
    int count = 0;
    for (int a = 0; a < expected->n; a++) {
        for (int b = 0; b < expected->n; b++)
            count += expected->end[a][b] != gram_graph_end(got, a, b);
    }
    return count;
}

/* Graphs of n nodes, the first `seen` of which, after shuffling, are observed, without noise: exactly what the oracle
 * says. */
static void against_oracle(gram_tally *t, gram_graph_learner *method, int n, int seen, int graphs)
{
    const bool pc = method == gram_pc;
    uint64_t state = (uint64_t)(1000 * n + seen);
    for (int i = 0; i < graphs; i++) {
        model m = random_model(&state, n, 0.25 + 0.35 * uniform(&state));
        int place[ORACLE_NODES];
        double A[ORACLE_NODES * ORACLE_NODES], observed[ORACLE_NODES * ORACLE_NODES];
        char message[256] = "";
        gram_correlation c;
        gram_graph g = {0};
        shuffle(&state, place, n);
        oracle_graph truth = graph_of(&m, place);
        oracle_graph expected = oracle_class(&truth, seen, pc ? 2 : 4);
        if (pc)
            as_pc(&expected);
        solve(&m, A);
        for (int k = 0; k < n; k++)
            memcpy(observed + place[k] * n, A + k * n, (size_t)n * sizeof *A);
        int failed = gram_correlation_new(&c, observed, seen, n, message, sizeof message);
        c.samples = 1e14;
        c.alpha = 1e-6;
        failed = failed || method(&g, &c, -1, message, sizeof message);
        CHECK(t, !failed && differences(&expected, &g) == 0, "%s: graph %d of %d nodes, %d seen: %d marks differ %s",
              pc ? "PC" : "ICD", i, n, seen, failed ? -1 : differences(&expected, &g), message);
        gram_graph_free(&g);
        gram_correlation_free(&c);
    }
}

/* PC's edges do not depend on the nodes' order: noisy data, relabelled, give the relabelled edges. */
static void relabelled(gram_tally *t)
{
    enum { N = 9, M = 40 };
    uint64_t state = 5;
    for (int trial = 0; trial < 40; trial++) {
        double X[N * M], Y[N * M];
        int place[N], wrong = 0;
        char message[256] = "";
        gram_correlation c[2];
        gram_graph g[2];
        for (int k = 0; k < N * M; k++)
            X[k] = normal(&state) + (k >= M ? 0.6 * X[k - M] : 0);
        shuffle(&state, place, N);
        for (int i = 0; i < N; i++)
            memcpy(Y + place[i] * M, X + i * M, sizeof *X * M);
        for (int i = 0; i < 2; i++) {
            gram_correlation_new(&c[i], i == 0 ? X : Y, N, M, message, sizeof message);
            c[i].samples = M;
            c[i].alpha = 0.05;
            CHECK(t, gram_pc(&g[i], &c[i], -1, message, sizeof message) == 0, "%s", message);
        }
        for (int a = 0; a < N; a++) {
            for (int b = 0; b < N; b++)
                wrong += gram_graph_adjacent(&g[0], a, b) != gram_graph_adjacent(&g[1], place[a], place[b]);
        }
        CHECK(t, wrong == 0, "trial %d: %d edges depend on the order", trial, wrong);
        for (int i = 0; i < 2; i++) {
            gram_graph_free(&g[i]);
            gram_correlation_free(&c[i]);
        }
    }
}

/* ---- correlations ---- */

/* Three nodes of correlations r, s and q by Cholesky, against the closed form; and condition numbers that are known.
 * */
static void correlations(gram_tally *t)
{
    const double r = 0.5, s = -0.3, q = 0.2;
    const double b = (q - r * s) / sqrt(1 - r * r);
    const double A[9] = {1, 0, 0, r, sqrt(1 - r * r), 0, s, b, sqrt(1 - s * s - b * b)};
    const double expected = (r - s * q) / sqrt((1 - s * s) * (1 - q * q));
    char message[256];
    gram_correlation c;
    gram_correlation_new(&c, A, 3, 3, message, sizeof message);
    double got = gram_correlation_partial(&c, 0, 1, (int[]){2}, 1);
    CHECK(t, fabs(got - expected) < 1e-15, "partial correlation %.17g, expected %.17g", got, expected);
    CHECK(t, fabs(gram_correlation_partial(&c, 0, 2, NULL, 0) - s) < 1e-15, "a correlation");
    gram_correlation_free(&c);
    gram_correlation_new(&c, A, 2, 3, message, sizeof message);
    CHECK(t, fabs(c.condition - 3) < 1e-12, "condition %.17g of a correlation of 1/2", c.condition);
    gram_correlation_free(&c);
}

/* n tokens of which each looks at itself and, by as much as `shared`, at one more: correlations of shared^2 / (1 +
 * shared^2). */
static void equicorrelated(gram_tally *t, int n, double shared)
{
    double *A = calloc((size_t)(n * (n + 1)), sizeof *A), r = shared * shared / (1 + shared * shared);
    char message[256];
    gram_correlation c;
    for (int i = 0; i < n && A; i++) {
        A[i * (n + 1) + i] = 1;
        A[i * (n + 1) + n] = shared;
    }
    gram_correlation_new(&c, A, n, n + 1, message, sizeof message);
    double expected = (1 + (n - 1) * r) / (1 - r);
    CHECK(t, fabs(c.condition / expected - 1) < 1e-9, "%d tokens: condition %.12g, expected %.12g", n, c.condition,
          expected);
    gram_correlation_free(&c);
    free(A);
}

/* ---- what cannot be told ---- */

static void limits(gram_tally *t)
{
    const setting pc = {gram_pc, 1000, 0.01}, icd = {gram_icd, 1000, 0.01}, few = {gram_pc, 3, 0.01};
    const double uniform[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const double empty[4] = {1, 0, 0, 0}, bad[4] = {1, 0, NAN, 1};
    char text[256];
    gram_correlation c;
    CHECK(t, strcmp(learn(text, sizeof text, &pc, uniform, 3, 3), "0--1 0--2 1--2") == 0, "uniform, PC: %s", text);
    CHECK(t, strcmp(learn(text, sizeof text, &icd, uniform, 3, 3), "0oo1 0oo2 1oo2") == 0, "uniform, ICD: %s", text);
    CHECK(t, strcmp(learn(text, sizeof text, &pc, identity, 3, 3), "") == 0, "no attention: %s", text);
    CHECK(t, strcmp(learn(text, sizeof text, &few, identity, 3, 3), "0--1 0--2 1--2") == 0, "3 samples: %s", text);
    CHECK(t, strcmp(learn(text, sizeof text, &icd, identity, 1, 3), "") == 0, "one node: %s", text);
    CHECK(t, strcmp(learn(text, sizeof text, &pc, identity, 0, 3), "") == 0, "no node: %s", text);
    CHECK(t, strstr(learn(text, sizeof text, &pc, empty, 2, 2), "row 1 has no variance") != NULL, "%s", text);
    CHECK(t, strstr(learn(text, sizeof text, &pc, bad, 2, 2), "row 1 has no variance") != NULL, "%s", text);
    gram_correlation_new(&c, uniform, 3, 3, text, sizeof text);
    CHECK(t, isinf(c.condition), "condition of uniform attention: %g", c.condition);
    gram_correlation_free(&c);
}

/* Many tokens that all depend on each other take too many tests; the message says what to do. */
static void too_dense(gram_tally *t)
{
    enum { N = 40 };
    const setting pc = {gram_pc, 1000, 0.01};
    double A[N * N];
    char text[512];
    for (int i = 0; i < N * N; i++)
        A[i] = 1;
    CHECK(t, strstr(learn(text, sizeof text, &pc, A, N, N), "--order") != NULL, "%s", text);
}

int main(void)
{
    gram_tally t = {0};
    deterministic(&t);
    gaussian(&t, 0.001);
    gaussian(&t, 0.01);
    against_oracle(&t, gram_pc, 4, 4, 100);
    against_oracle(&t, gram_pc, 5, 5, 200);
    against_oracle(&t, gram_icd, 4, 4, 50);
    against_oracle(&t, gram_icd, 6, 4, 200);
    against_oracle(&t, gram_icd, 7, 5, 60);
    relabelled(&t);
    correlations(&t);
    equicorrelated(&t, 7, 0.5);
    equicorrelated(&t, 60, 3);
    limits(&t);
    too_dense(&t);
    return gram_tally_end(&t);
}
