/* The oracles of sinks, selections and the papers around the main one: see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_COMPANIONS_H
#define GRAM_TESTS_ORACLE_COMPANIONS_H

#include "oracle.h"

/* K'Q / sqrt d of a head; K has fewer heads by a factor. */
static mat scores_in(problem *p, int64_t b, int64_t h, int64_t group)
{
    mat K = tokens(p, "K", b, h / group), Q = tokens(p, "Q", b, h);
    return scale(1 / sqrt((double)p->d), mul(tr(K), Q));
}

/* The sink's key joins each query's, and its share is thrown away. */
static void sink(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 8; h++) {
        mat S = scores_in(p, b, h, 4), joined = zeros(p, S.r + 1, S.c);
        for (int64_t j = 0; j < S.c; j++) {
            for (int64_t i = 0; i < S.r; i++)
                *at(joined, i, j) = i <= j ? *at(S, i, j) : -INFINITY;
            *at(joined, S.r, j) = scalar(p, "s", h);
        }
        mat P = softmax(joined);
        P.r = S.r;
        store(p, "O", b, h, mul(tokens(p, "V", b, h / 4), P));
    }
}

/* The k largest by repeated search. */
static void topk(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat S = scores_in(p, b, h, 1), T = zeros(p, S.r, S.c);
        for (int64_t q = 0; q < T.r * T.c; q++)
            T.v[q] = -INFINITY;
        for (int64_t j = 0; j < S.c; j++)
            for (int64_t k = 0; k < p->k && k < S.r; k++) {
                int64_t best = -1;
                for (int64_t i = 0; i < S.r; i++)
                    if (*at(T, i, j) == -INFINITY && (best < 0 || *at(S, i, j) > *at(S, best, j)))
                        best = i;
                *at(T, best, j) = *at(S, best, j);
            }
        store(p, "O", b, h, mul(tokens(p, "V", b, h), softmax(T)));
    }
}

/* The README's hash, with the arithmetic of 32 bits spelled out. */
static uint64_t mixed(uint64_t a, uint64_t b)
{
    uint64_t x = (a * 2654435769u + b) % 4294967296u;
    x = ((x ^ x / 65536) * 2146121005u) % 4294967296u;
    x = ((x ^ x / 32768) * 2221713035u) % 4294967296u;
    return x ^ x / 65536;
}

static void dropout(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat P = softmax(scores_in(p, b, h, 1));
        for (int64_t i = 0; i < P.r; i++)
            for (int64_t j = 0; j < P.c; j++) {
                uint64_t x = mixed((uint64_t)entry(p, "seed", b, 0, 0, 0), 0);
                x = mixed(mixed(mixed(mixed(x, (uint64_t)b), (uint64_t)h), (uint64_t)i), (uint64_t)j);
                *at(P, i, j) *= (double)(x % 16777216) / 16777216 < 0.25 ? 0 : 4.0 / 3;
            }
        store(p, "O", b, h, mul(tokens(p, "V", b, h), P));
    }
}

/* Column t of A lies in page t / 3 of the table; beyond the table's or A's end, their last. */
static mat in_pages(problem *p, int64_t b, mat A)
{
    mat to = zeros(p, A.r, A.c);
    for (int64_t t = 0; t < A.c; t++) {
        int64_t slot = t / 3 < p->k ? t / 3 : p->k - 1, column = (int64_t)entry(p, "pages", b, 0, 0, slot) * 3 + t % 3;
        for (int64_t i = 0; i < A.r; i++)
            *at(to, i, t) = *at(A, i, column < A.c ? column : A.c - 1);
    }
    return to;
}

static void paged(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat K = in_pages(p, b, tokens(p, "K", b, h / 2)), V = in_pages(p, b, tokens(p, "V", b, h / 2));
        mat S = scale(1 / sqrt((double)p->d), mul(tr(K), tokens(p, "Q", b, h)));
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t j = 0; j < S.c && (double)i >= entry(p, "length", b, 0, 0, 0); j++)
                *at(S, i, j) = -INFINITY;
        store(p, "O", b, h, mul(V, softmax(S)));
    }
}

/* Each column divided by its length; a column of zeros stays. */
static mat unit(mat a)
{
    for (int64_t j = 0; j < a.c; j++) {
        double length = 0;
        for (int64_t i = 0; i < a.r; i++)
            length += *at(a, i, j) * *at(a, i, j);
        for (int64_t i = 0; i < a.r && length > 0; i++)
            *at(a, i, j) /= sqrt(length);
    }
    return a;
}

/* Column j becomes the mean of columns 0 to j. */
static mat running_mean(mat a)
{
    mat sum = zeros(a.p, a.r, 1);
    for (int64_t j = 0; j < a.c; j++)
        for (int64_t i = 0; i < a.r; i++) {
            sum.v[i] += *at(a, i, j);
            *at(a, i, j) = sum.v[i] / (double)(j + 1);
        }
    return a;
}

/* The sum of products of entries, row i times factor(i). */
static double trace_of(mat a, mat b, double (*factor)(double), mat l)
{
    double sum = 0;
    for (int64_t i = 0; i < a.r; i++)
        for (int64_t j = 0; j < a.c; j++)
            sum += *at(a, i, j) * *at(b, i, j) * (factor ? factor(l.v[i]) : 1);
    return sum;
}

static double squared_number(double x)
{
    return x * x;
}

/* W [E; R] + c */
static mat joined_scores(mat W, mat E, mat R, mat c)
{
    mat O = mul(W, vjoin(E, R));
    for (int64_t i = 0; i < O.r; i++)
        for (int64_t j = 0; j < O.c; j++)
            *at(O, i, j) += c.v[i];
    return O;
}

static void primal_of(problem *p, int64_t b, int causal, int reference)
{
    for (int64_t h = 0; h < 4; h++) {
        mat Q = tokens(p, "Q", b, h), K = tokens(p, "K", b, h), l = tokens(p, "l", 0, h);
        mat We = weights(p, "We", h), Wr = weights(p, "Wr", h);
        mat E = mul(tr(We), unit(causal ? running_mean(Q) : Q)), R = mul(tr(Wr), unit(causal ? running_mean(K) : K));
        double (*factor)(double) = reference ? squared_number : exp, J = trace_of(E, E, factor, l) + trace_of(R, R, factor, l);
        J /= reference && p->n ? 2 * (double)p->n : 2;
        store(p, "O", b, h, joined_scores(weights(p, "Wc", h), E, R, tokens(p, "bc", 0, h)));
        store(p, "E", b, h, E);
        store(p, "R", b, h, R);
        *part(find(p, "J"), b, h) = J - trace_of(We, Wr, NULL, l);
    }
}

static void primal(problem *p, int64_t b)
{
    primal_of(p, b, 0, 0);
}

static void primal_causal(problem *p, int64_t b)
{
    primal_of(p, b, 1, 1);
}

/* Rows h r to (h + 1) r of A. */
static mat head_rows(mat A, int64_t h, int64_t r)
{
    mat to = zeros(A.p, r, A.c);
    memcpy(to.v, A.v + h * r * A.c, (size_t)(r * A.c) * sizeof(double));
    return to;
}

/* One softmax layer below, with D = 2 d, two heads of d, s = 2 directions; then the top layer. */
static void primal_layers(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), all = zeros(p, 0, X.c), top = all;
    mat Q = mul(weights(p, "WQ1", 0), X), K = mul(weights(p, "WK1", 0), X), V = mul(weights(p, "WV1", 0), X);
    for (int64_t h = 0; h < 2; h++) {
        mat S = scale(1 / sqrt((double)p->d), mul(tr(head_rows(K, h, p->d)), head_rows(Q, h, p->d)));
        all = vjoin(all, mul(head_rows(V, h, p->d), softmax(S)));
    }
    mat Y = add(X, mul(weights(p, "WO1", 0), all));
    Q = mul(weights(p, "WQ", 0), Y), K = mul(weights(p, "WK", 0), Y);
    for (int64_t h = 0; h < 2; h++) {
        int64_t used = Y.c < 20 ? Y.c : 20;
        mat Xm = zeros(p, p->d, used), l = tokens(p, "l", 0, h), A = weights(p, "A", h), B = weights(p, "B", h);
        for (int64_t j = 0; j < used; j++)
            for (int64_t i = 0; i < p->d; i++)
                *at(Xm, i, j) = *at(Y, h * p->d + i, used > 1 ? j * (Y.c - 1) / (used - 1) : 0);
        mat We = mul(Xm, head_rows(A, 0, used)), Wr = mul(Xm, head_rows(B, 0, used));
        mat E = mul(tr(We), unit(head_rows(Q, h, p->d))), R = mul(tr(Wr), unit(head_rows(K, h, p->d)));
        top = vjoin(top, joined_scores(weights(p, "Wc", h), E, R, tokens(p, "bc", 0, h)));
        *part(find(p, "J"), b, h) = (trace_of(E, E, exp, l) + trace_of(R, R, exp, l)) / 2 - trace_of(We, Wr, NULL, l);
    }
    store(p, "Y", b, 0, add(Y, mul(weights(p, "WO", 0), top)));
}

/* Entry (i, j) is w[(i - j) mod n]. */
static mat circulant(mat w)
{
    mat to = zeros(w.p, w.r, w.r);
    for (int64_t i = 0; i < w.r; i++)
        for (int64_t j = 0; j < w.r; j++)
            *at(to, i, j) = w.v[(i - j + w.r) % w.r];
    return to;
}

/* Entry (i, j) is z[j - i]; the keys after a query are dropped. */
static mat behind(mat z)
{
    mat to = zeros(z.p, z.r, z.r);
    for (int64_t i = 0; i < z.r; i++)
        for (int64_t j = 0; j < z.r; j++)
            *at(to, i, j) = i <= j ? z.v[j - i] : -INFINITY;
    return to;
}

/* A name and a layer's number. */
static const char *named(char *to, const char *name, int layer)
{
    snprintf(to, 16, layer ? "%s%d" : "%s", name, layer);
    return to;
}

typedef mat coefficients(problem *p, mat X, int64_t h, int layer);

/* WO [heads of WV X P] with two heads, the weights' names ending in the layer's number, if it has one */
static mat layer_of(problem *p, mat X, int layer, coefficients *P)
{
    char name[16];
    mat all = zeros(p, 0, X.c);
    for (int64_t h = 0; h < 2; h++)
        all = vjoin(all, mul(mul(weights(p, named(name, "WV", layer), h), X), P(p, X, h, layer)));
    return mul(weights(p, named(name, "WO", layer), 0), all);
}

static mat cat_coefficients(problem *p, mat X, int64_t h, int layer)
{
    char name[16];
    return circulant(softmax(tr(mul(weights(p, named(name, "WA", layer), h), X))));
}

static mat causal_coefficients(problem *p, mat X, int64_t h, int layer)
{
    char name[16];
    return softmax(behind(tr(mul(weights(p, named(name, "WA", layer), h), X))));
}

static mat averaged_coefficients(problem *p, mat X, int64_t h, int layer)
{
    mat Q = mul(weights(p, "WQ", h), X), K = mul(weights(p, "WK", h), X), k = zeros(p, K.r, 1);
    (void)layer;
    for (int64_t i = 0; i < K.r * K.c; i++)
        k.v[i / K.c] += K.v[i] / (double)K.c;
    return circulant(softmax(scale(1 / sqrt((double)p->d), mul(tr(Q), k))));
}

static mat softmax_coefficients(problem *p, mat X, int64_t h, int layer)
{
    char name[16];
    mat Q = mul(weights(p, named(name, "WQ", layer), h), X), K = mul(weights(p, named(name, "WK", layer), h), X);
    return softmax(scale(1 / sqrt((double)p->d), mul(tr(K), Q)));
}

static void cat(problem *p, int64_t b)
{
    store(p, "O", b, 0, layer_of(p, tokens(p, "X", b, 0), 0, cat_coefficients));
}

static void cat_causal(problem *p, int64_t b)
{
    store(p, "O", b, 0, layer_of(p, tokens(p, "X", b, 0), 0, causal_coefficients));
}

static void cat_averaged_key(problem *p, int64_t b)
{
    store(p, "O", b, 0, layer_of(p, tokens(p, "X", b, 0), 0, averaged_coefficients));
}

static void cat_alter(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), Y = add(X, layer_of(p, X, 1, cat_coefficients));
    store(p, "Y", b, 0, add(Y, layer_of(p, Y, 2, softmax_coefficients)));
}

/* Spikes of one step; the charge is carried on. */
static mat fire(mat charge, mat I)
{
    mat S = zeros(I.p, I.r, I.c);
    for (int64_t i = 0; i < I.r * I.c; i++) {
        double U = charge.v[i] + I.v[i];
        S.v[i] = U >= 0.5 ? 1 : U <= -0.5 ? -1 : 0;
        charge.v[i] = S.v[i] != 0 ? 0 : U / 2;
    }
    return S;
}

/* In units of 2^-6, to the even one at a half. */
static mat in_units(mat a)
{
    mat to = zeros(a.p, a.r, a.c);
    for (int64_t i = 0; i < a.r * a.c; i++)
        to.v[i] = nearbyint(a.v[i] * 64) / 64;
    return to;
}

/* W x + b, both in units, of the layers WQ, WK and WV. */
static mat current(problem *p, char layer, mat x)
{
    char W[3] = {'W', layer, 0}, b[3] = {'b', layer, 0};
    mat I = mul(in_units(weights(p, W, 0)), x), bias = in_units(tokens(p, b, 0, 0));
    for (int64_t i = 0; i < I.r * I.c; i++)
        I.v[i] += bias.v[i / I.c];
    return I;
}

/* V shifted right for each key by how far its score is below the least power of two that covers the query's sum. */
static mat shifted(mat V, mat S)
{
    mat to = zeros(V.p, V.r, S.c);
    for (int64_t j = 0; j < S.c; j++) {
        double sum = 0;
        int cover = -2000;
        for (int64_t i = 0; i < S.r; i++)
            sum += ldexp(1, (int)*at(S, i, j));
        while (S.r && ldexp(1, cover) < sum)
            cover++;
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t k = 0; k < V.r && cover - *at(S, i, j) <= 10; k++)
                *at(to, k, j) += ldexp(*at(V, k, i), (int)*at(S, i, j) - cover);
    }
    return to;
}

/* Three steps, D = 2 d in two heads. Sums of so few powers of two are exact in double. */
static void bipolar(problem *p, int64_t b)
{
    mat charge[4];
    for (int k = 0; k < 4; k++)
        charge[k] = zeros(p, 2 * p->d, p->n);
    for (int64_t t = 0; t < 3; t++) {
        mat x = fire(charge[0], in_units(tokens(p, "X", b, t))), V = current(p, 'V', x), all = zeros(p, 0, x.c);
        mat q = fire(charge[1], current(p, 'Q', x)), k = fire(charge[2], current(p, 'K', x));
        for (int64_t h = 0; h < 2; h++) {
            mat S = mul(tr(head_rows(k, h, p->d)), head_rows(q, h, p->d));
            all = vjoin(all, shifted(head_rows(V, h, p->d), S));
        }
        store(p, "O", b, t, fire(charge[3], all));
    }
}

static const oracle oracles_companions[] = {
    {"sink", "d", "Q=b8nd K=b2nd V=b2nd s=.8..", "O=b8nd", sink},
    {"topk", "d k", "Q=b4nd K=b4md V=b4md", "O=b4nd", topk},
    {"dropout", "d rate=0.25", "Q=b4nd K=b4md V=b4md seed#b...", "O=b4nd", dropout},
    {"paged", "d page=3", "Q=b4nd K=b2md V=b2md pages#b..k length#b...", "O=b4nd", paged},
    {"primal", "d s=k", "Q=b4nd K=b4nd We=.4dk Wr=.4dk Wc=.4di bc=.4.d l=.4.k", "O=b4nd E=b4nk R=b4nk J=b4..", primal},
    {"primal", "d s=k causal=1 reference=1", "Q=b4nd K=b4nd We=.4dk Wr=.4dk Wc=.4di bc=.4.d l=.4.k",
     "O=b4nd E=b4nk R=b4nk J=b4..", primal_causal},
    {"primal_layers", "D=g H=2 s=2",
     "X=b.ng WQ1=..gg WK1=..gg WV1=..gg WO1=..gg WQ=..gg WK=..gg WO=..gg A=.2v2 B=.2v2 Wc=.2d4 bc=.2.d l=.2.2",
     "Y=b.ng J=b2..", primal_layers},
    {"cat", "D=g H=2", "X=b.ng WA=.21g WV=.2dg WO=..gg", "O=b.ng", cat},
    {"cat_causal", "D=g H=2", "X=b.ng WA=.21g WV=.2dg WO=..gg", "O=b.ng", cat_causal},
    {"cat_averaged_key", "D=g H=2", "X=b.ng WQ=.2dg WK=.2dg WV=.2dg WO=..gg", "O=b.ng", cat_averaged_key},
    {"cat_alter", "D=g H=2", "X=b.ng WA1=.21g WV1=.2dg WO1=..gg WQ2=.2dg WK2=.2dg WV2=.2dg WO2=..gg", "Y=b.ng", cat_alter},
    {"bipolar", "D=g H=2 T=3", "X=b3ng WQ=..gg bQ=...g WK=..gg bK=...g WV=..gg bV=...g", "O=b3ng", bipolar},
    {0},
};

#endif
