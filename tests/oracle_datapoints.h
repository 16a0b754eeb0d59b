/* The oracle of attention between datapoints: see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_DATAPOINTS_H
#define GRAM_TESTS_ORACLE_DATAPOINTS_H

#include "oracle.h"

static mat table_weights(problem *p, const char *block, const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", block, what);
    return weights(p, name, 0);
}

/* A column for each token, the same for all. */
static mat table_vector(problem *p, const char *block, const char *what, int64_t n)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", block, what);
    mat v = tokens(p, name, 0, 0), to = zeros(p, v.r, n);
    for (int64_t i = 0; i < v.r * n; i++)
        to.v[i] = v.v[i / n];
    return to;
}

/* Each column to mean 0 and variance 1, then scaled and shifted. */
static mat table_norm(mat X, mat gain, mat bias)
{
    mat to = zeros(X.p, X.r, X.c);
    for (int64_t j = 0; j < X.c; j++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < X.r; i++)
            mean += *at(X, i, j) / (double)X.r;
        for (int64_t i = 0; i < X.r; i++)
            variance += (*at(X, i, j) - mean) * (*at(X, i, j) - mean) / (double)X.r;
        for (int64_t i = 0; i < X.r; i++)
            *at(to, i, j) = (*at(X, i, j) - mean) / sqrt(variance + 1e-12) * *at(gain, i, j) + *at(bias, i, j);
    }
    return to;
}

static mat rows_from(mat a, int64_t from, int64_t count)
{
    mat to = zeros(a.p, count, a.c);
    memcpy(to.v, a.v + from * a.c, (size_t)(count * a.c) * sizeof(double));
    return to;
}

/* One block over the columns of H as tokens; two heads. */
static mat table_block(problem *p, mat H, const char *name)
{
    int64_t n = H.c, width = H.r, half = width / 2;
    mat X = table_norm(H, table_vector(p, name, "LN1_gain", n), table_vector(p, name, "LN1_bias", n));
    mat Q = mul(table_weights(p, name, "WQ"), X), K = mul(table_weights(p, name, "WK"), X);
    mat V = mul(table_weights(p, name, "WV"), X), A = zeros(p, 0, n);
    for (int64_t h = 0; h < 2; h++) {
        mat S = mul(tr(rows_from(K, h * half, half)), rows_from(Q, h * half, half));
        A = vjoin(A, mul(rows_from(V, h * half, half), softmax(scale(1 / sqrt((double)width), S))));
    }
    mat R = add(mul(table_weights(p, name, "Wres"), H), mul(table_weights(p, name, "Wmix"), A));
    mat N = table_norm(R, table_vector(p, name, "LN2_gain", n), table_vector(p, name, "LN2_bias", n));
    mat inner = map(gelu, add(mul(table_weights(p, name, "W1"), N), table_vector(p, name, "b1", n)));
    return add(add(R, mul(table_weights(p, name, "W2"), inner)), table_vector(p, name, "b2", n));
}

/* The same within each datapoint: column j of H is d tokens, row by row of it. */
static mat table_block_inside(problem *p, mat H, const char *name, int64_t e)
{
    mat to = zeros(p, H.r, H.c);
    for (int64_t j = 0; j < H.c; j++) {
        mat T = zeros(p, e, H.r / e);
        for (int64_t i = 0; i < H.r; i++)
            *at(T, i % e, i / e) = *at(H, i, j);
        T = table_block(p, T, name);
        for (int64_t i = 0; i < H.r; i++)
            *at(to, i, j) = *at(T, i % e, i / e);
    }
    return to;
}

/* The embedded cells of two numbers and a label: 3 e x n. */
static mat table_embedded(problem *p, int64_t b)
{
    int64_t e = p->d;
    mat given = tokens(p, "given", b, 0), w = weights(p, "value_weight", 0), u = weights(p, "mask_weight", 0);
    mat bias = weights(p, "cell_bias", 0), embedding = weights(p, "embedding", 0), H = zeros(p, 3 * e, p->n);
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t i = 0; i < e; i++) {
            for (int64_t a = 0; a < 2; a++)
                *at(H, a * e + i, j) = (*at(given, 2 * a + 1, j) > 0.5 ? *at(u, i, a) : *at(w, i, a) * *at(given, 2 * a, j)) +
                                       *at(bias, i, a);
            *at(H, 2 * e + i, j) = entry(p, "hidden", b, 0, 0, j) != 0
                                       ? entry(p, "hidden_label", 0, 0, 0, i)
                                       : *at(embedding, i, (int64_t)entry(p, "label", b, 0, 0, j));
        }
    return H;
}

static void store_predictions(problem *p, int64_t b, mat H)
{
    int64_t e = p->d;
    mat O = mul(weights(p, "label_weight", 0), rows_from(H, 2 * e, e)), F = zeros(p, 2, p->n);
    mat w = weights(p, "number_weight", 0);
    for (int64_t j = 0; j < p->n; j++) {
        for (int64_t i = 0; i < O.r; i++)
            *at(O, i, j) += entry(p, "label_bias", 0, 0, 0, i);
        for (int64_t a = 0; a < 2; a++) {
            *at(F, a, j) = entry(p, "number_bias", 0, 0, 0, a);
            for (int64_t i = 0; i < e; i++)
                *at(F, a, j) += *at(w, i, a) * *at(H, a * e + i, j);
        }
    }
    store(p, "O", b, 0, O);
    store(p, "F", b, 0, F);
}

static void npt(problem *p, int64_t b)
{
    mat H = table_block(p, table_embedded(p, b), "D0");
    store_predictions(p, b, table_block_inside(p, H, "A1", p->d));
}

static void npt_inside(problem *p, int64_t b)
{
    mat H = table_block_inside(p, table_embedded(p, b), "A0", p->d);
    store_predictions(p, b, table_block_inside(p, H, "A1", p->d));
}

/* The losses: the label's cross entropy where scored, the numbers' squared error where selected. */
static void npt_loss(problem *p, int64_t b)
{
    double entropy = 0, squares = 0, labels = 0, cells = 0, weight = scalar(p, "weight", 0);
    npt(p, b);
    mat O = tokens(p, "O", b, 0), F = tokens(p, "F", b, 0), truth = tokens(p, "truth", b, 0), total = logsum(O);
    for (int64_t j = 0; j < p->n; j++) {
        if (entry(p, "scored", b, 0, 0, j) != 0) {
            entropy += *at(total, 0, j) - *at(O, (int64_t)entry(p, "label", b, 0, 0, j), j);
            labels++;
        }
        for (int64_t a = 0; a < 2; a++)
            if (entry(p, "selected", b, 0, j, a) != 0) {
                squares += (*at(F, a, j) - *at(truth, a, j)) * (*at(F, a, j) - *at(truth, a, j));
                cells++;
            }
    }
    *part(find(p, "loss"), b, 0) = (1 - weight) * entropy / fmax(labels, 1) + weight * squares / fmax(cells, 1);
}

#define TABLE "given=b.n4 label#b..n hidden#b..n value_weight=..d2 mask_weight=..d2 cell_bias=..d2 embedding=..d4 " \
              "hidden_label=...d label_weight=..4d label_bias=...4 number_weight=..d2 number_bias=...2"
#define BLOCK(name, width, four) \
    " " name "_LN1_gain=..." width " " name "_LN1_bias=..." width " " name "_LN2_gain=..." width " " name \
    "_LN2_bias=..." width " " name "_WQ=.." width width " " name "_WK=.." width width " " name "_WV=.." width width \
    " " name "_Wres=.." width width " " name "_Wmix=.." width width " " name "_W1=.." four width " " name \
    "_b1=..." four " " name "_W2=.." width four " " name "_b2=..." width
#define TABLE_OPTIONS "numbers=2 classes=4 e=d heads=2 depth=2 "

static const oracle oracles_datapoints[] = {
    {"npt", TABLE_OPTIONS, TABLE BLOCK("D0", "q", "p") BLOCK("A1", "d", "f"), "O=b.n4 F=b.n2", npt},
    {"npt", TABLE_OPTIONS "between=0", TABLE BLOCK("A0", "d", "f") BLOCK("A1", "d", "f"), "O=b.n4 F=b.n2", npt_inside},
    {"npt", TABLE_OPTIONS "loss=1",
     TABLE BLOCK("D0", "q", "p") BLOCK("A1", "d", "f") " truth=b.n2 scored#b..n selected#b.n2 weight=....",
     "O=b.n4 F=b.n2 loss=b...", npt_loss},
    {0},
};

#endif
