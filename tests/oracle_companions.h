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

static const oracle oracles_companions[] = {
    {"sink", "d", "Q=b8nd K=b2nd V=b2nd s=.8..", "O=b8nd", sink},
    {"topk", "d k", "Q=b4nd K=b4md V=b4md", "O=b4nd", topk},
    {"dropout", "d rate=0.25", "Q=b4nd K=b4md V=b4md seed#b...", "O=b4nd", dropout},
    {"paged", "d page=3", "Q=b4nd K=b2md V=b2md pages#b..k length#b...", "O=b4nd", paged},
    {0},
};

#endif
