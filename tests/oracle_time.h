/* The oracles of events in time: see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_TIME_H
#define GRAM_TESTS_ORACLE_TIME_H

#include "oracle.h"

static const double TIME_PI = 3.14159265358979323846;

/* One under the other: [cos w_1 t, sin w_1 t, ...] / sqrt d for frequencies w, and times t, in columns. */
static mat bochner_map(mat w, mat t)
{
    mat Phi = zeros(w.p, 2 * w.r, t.r);
    for (int64_t k = 0; k < w.r; k++)
        for (int64_t j = 0; j < t.r; j++) {
            *at(Phi, 2 * k, j) = cos(w.v[k] * t.v[j]) / sqrt((double)w.r);
            *at(Phi, 2 * k + 1, j) = sin(w.v[k] * t.v[j]) / sqrt((double)w.r);
        }
    return Phi;
}

/* For each half period exp(log_w): [sqrt c_0, sqrt c_1 cos(pi t / w), sqrt c_1 sin(pi t / w), ...], c = exp(log_c). */
static mat mercer_map(mat log_w, mat log_c, mat t)
{
    int64_t width = 2 * log_c.c - 1;
    mat Phi = zeros(t.p, log_w.r * width, t.r);
    for (int64_t k = 0; k < log_w.r; k++)
        for (int64_t j = 0; j < t.r; j++) {
            *at(Phi, k * width, j) = sqrt(exp(*at(log_c, k, 0)));
            for (int64_t h = 1; h < log_c.c; h++) {
                double angle = (double)h * TIME_PI * t.v[j] / exp(log_w.v[k]), root = sqrt(exp(*at(log_c, k, h)));
                *at(Phi, k * width + 2 * h - 1, j) = root * cos(angle);
                *at(Phi, k * width + 2 * h, j) = root * sin(angle);
            }
        }
    return Phi;
}

/* The authors' own: a number for each period. */
static mat mercer_as_coded(problem *p, mat t)
{
    mat A = weights(p, "A", 0), C = weights(p, "C", 0), b = tokens(p, "b", 0, 0), q = tokens(p, "q", 0, 0);
    mat Phi = zeros(p, b.r, t.r);
    for (int64_t k = 0; k < b.r; k++)
        for (int64_t j = 0; j < t.r; j++) {
            *at(Phi, k, j) = b.v[k];
            for (int64_t h = 1; h <= A.c; h++) {
                double angle = (double)h * t.v[j] / pow(10, q.v[k]);
                *at(Phi, k, j) += *at(A, k, h - 1) * sin(angle) + *at(C, k, h - 1) * cos(angle);
            }
        }
    return Phi;
}

/* W2 relu(W1 [heads of WV X softmax(causal X'WK'WQ X / sqrt p)] + b1) + b2 of X = [E; Phi] */
static void after_map(problem *p, int64_t b, mat Phi)
{
    mat X = vjoin(tokens(p, "E", b, 0), Phi), joined = zeros(p, 0, X.c);
    for (int64_t h = 0; h < 2; h++) {
        mat Q = mul(weights(p, "WQ", h), X), K = mul(weights(p, "WK", h), X), V = mul(weights(p, "WV", h), X);
        mat S = scale(1 / sqrt((double)p->e), mul(tr(K), Q));
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t j = 0; j < i; j++)
                *at(S, i, j) = -INFINITY;
        joined = vjoin(joined, mul(V, softmax(S)));
    }
    mat ones = zeros(p, X.c, 1);
    for (int64_t j = 0; j < X.c; j++)
        ones.v[j] = 1;
    mat inner = add(mul(weights(p, "W1", 0), joined), mul(tokens(p, "b1", 0, 0), tr(ones)));
    store(p, "O", b, 0, add(mul(weights(p, "W2", 0), map(relu, inner)), mul(tokens(p, "b2", 0, 0), tr(ones))));
}

static void time_free(problem *p, int64_t b)
{
    after_map(p, b, bochner_map(tokens(p, "omega", 0, 0), tokens(p, "t", b, 0)));
}

static void time_normal(problem *p, int64_t b)
{
    mat w = zeros(p, p->k, 1), mu = tokens(p, "mu", 0, 0), s = tokens(p, "log_sigma", 0, 0), x = tokens(p, "eps", 0, 0);
    for (int64_t k = 0; k < p->k; k++)
        w.v[k] = mu.v[k] + exp(s.v[k]) * x.v[k];
    after_map(p, b, bochner_map(w, tokens(p, "t", b, 0)));
}

static void time_flow(problem *p, int64_t b)
{
    mat w = zeros(p, p->k, 1), c = tokens(p, "c", 0, 0), s = tokens(p, "s", 0, 0), o = tokens(p, "o", 0, 0);
    mat x = tokens(p, "eps", 0, 0);
    for (int64_t k = 0; k < p->k; k++) {
        w.v[k] = exp(scalar(p, "a", 0)) * x.v[k];
        for (int64_t h = 0; h < 3; h++)
            w.v[k] += exp(c.v[h]) * tanh(exp(s.v[h]) * x.v[k] + o.v[h]);
    }
    after_map(p, b, bochner_map(w, tokens(p, "t", b, 0)));
}

static void time_mercer(problem *p, int64_t b)
{
    after_map(p, b, mercer_map(tokens(p, "log_omega", 0, 0), weights(p, "log_c", 0), tokens(p, "t", b, 0)));
}

static void time_bochner_as_coded(problem *p, int64_t b)
{
    mat t = tokens(p, "t", b, 0);
    mat cosines = map(cos, mul(tokens(p, "omega_cos", 0, 0), tr(t)));
    after_map(p, b, vjoin(cosines, map(sin, mul(tokens(p, "omega_sin", 0, 0), tr(t)))));
}

static void time_mercer_as_coded(problem *p, int64_t b)
{
    after_map(p, b, mercer_as_coded(p, tokens(p, "t", b, 0)));
}

/* X causal(K(s_i - s_j)) / n, the kernel written out: no map. */
static void time_kernel(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), s = tokens(p, "s", b, 0), w = tokens(p, "omega", 0, 0), g = zeros(p, s.r, s.r);
    for (int64_t j = 0; j < s.r; j++)
        for (int64_t i = 0; i <= j; i++)
            for (int64_t k = 0; k < w.r; k++)
                *at(g, i, j) += cos(w.v[k] * (s.v[i] - s.v[j])) / (double)w.r;
    store(p, "O", b, 0, scale(1 / (double)s.r, mul(X, g)));
}

/* The same by K(s) = sum_k c_k0 + sum_h c_kh cos(h pi s / w_k). */
static void time_kernel_mercer(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), s = tokens(p, "s", b, 0), g = zeros(p, s.r, s.r);
    mat w = map(exp, tokens(p, "log_omega", 0, 0)), c = map(exp, weights(p, "log_c", 0));
    for (int64_t j = 0; j < s.r; j++)
        for (int64_t i = 0; i <= j; i++)
            for (int64_t k = 0; k < w.r; k++)
                for (int64_t h = 0; h < c.c; h++)
                    *at(g, i, j) += *at(c, k, h) * cos((double)h * TIME_PI * (s.v[i] - s.v[j]) / w.v[k]);
    store(p, "O", b, 0, scale(1 / (double)s.r, mul(X, g)));
}

#define EVENTS "e=d p=e d=k heads=2 hidden=5 "
#define AFTER(width) " E=b.nd t=b..n WQ=.2e" width " WK=.2e" width " WV=.2e" width " W1=..5u b1=...5 W2=..d5 b2=...d"

static const oracle oracles_time[] = {
    {"event_time", EVENTS "map=1", "omega=...k" AFTER("h"), "O=b.nd", time_free},
    {"event_time", EVENTS "map=2", "mu=...k log_sigma=...k eps=...k" AFTER("h"), "O=b.nd", time_normal},
    {"event_time", EVENTS "map=3 flow=3", "eps=...k a=.... c=...3 s=...3 o=...3" AFTER("h"), "O=b.nd", time_flow},
    {"event_time", EVENTS "map=4 harmonics=2", "log_omega=...k log_c=..k3" AFTER("w"), "O=b.nd", time_mercer},
    {"event_time", EVENTS "map=5", "omega_cos=...k omega_sin=...k" AFTER("h"), "O=b.nd", time_bochner_as_coded},
    {"event_time", EVENTS "map=6 harmonics=3", "A=..k3 C=..k3 b=...k q=...k" AFTER("x"), "O=b.nd", time_mercer_as_coded},
    {"time_kernel", "e=d d=k", "X=b.nd s=b..n omega=...k", "O=b.nd", time_kernel},
    {"time_kernel", "e=d d=k mercer=1", "X=b.nd s=b..n log_omega=...k log_c=..k3", "O=b.nd", time_kernel_mercer},
    {0},
};

#endif
