/* The oracles of what walks the tokens with a state: see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_SCAN_H
#define GRAM_TESTS_ORACLE_SCAN_H

#include "oracle.h"

static mat column_of(mat a, int64_t j)
{
    mat to = zeros(a.p, a.r, 1);
    for (int64_t i = 0; i < a.r; i++)
        to.v[i] = *at(a, i, j);
    return to;
}

static void put_column(mat to, int64_t j, mat column)
{
    for (int64_t i = 0; i < to.r; i++)
        *at(to, i, j) = column.v[i];
}

/* W x + U h + b of gate z, r or h */
static mat gate(problem *p, char letter, mat x, mat h)
{
    const char W[] = {'W', letter, 0}, U[] = {'U', letter, 0}, b[] = {'b', letter, 0};
    return add(add(mul(weights(p, W, 0), x), mul(weights(p, U, 0), h)), tokens(p, b, 0, 0));
}

/* h' = z h + (1 - z) tanh(Wh x + Uh (r h) + bh) */
static void gru(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), H = zeros(p, X.r, X.c), h = tokens(p, "h0", b, 0);
    for (int64_t j = 0; j < X.c; j++) {
        mat x = column_of(X, j), z = map(sigmoid, gate(p, 'z', x, h)), r = map(sigmoid, gate(p, 'r', x, h));
        for (int64_t i = 0; i < r.r; i++)
            r.v[i] *= h.v[i];
        mat after = map(tanh, gate(p, 'h', x, r));
        for (int64_t i = 0; i < h.r; i++)
            after.v[i] = z.v[i] * h.v[i] + (1 - z.v[i]) * after.v[i];
        h = after;
        put_column(H, j, h);
    }
    store(p, "H", b, 0, H);
    store(p, "last", b, 0, h);
}

/* k / |k|, or zeros */
static mat direction(mat k)
{
    double square = 0;
    for (int64_t i = 0; i < k.r; i++)
        square += k.v[i] * k.v[i];
    return scale(square > 0 ? 1 / sqrt(square) : 0, k);
}

/* S' = S + b (v - S k) k', o = S' q */
static void delta_rule(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat Q = tokens(p, "Q", b, h), K = tokens(p, "K", b, h), V = tokens(p, "V", b, h), beta = tokens(p, "beta", b, h);
        mat S = tokens(p, "S0", b, h), O = zeros(p, Q.r, Q.c);
        for (int64_t j = 0; j < Q.c; j++) {
            mat k = direction(column_of(K, j)), error = add(column_of(V, j), scale(-1, mul(S, k)));
            S = add(S, scale(sigmoid(beta.v[j]), mul(error, tr(k))));
            put_column(O, j, mul(S, column_of(Q, j)));
        }
        store(p, "O", b, h, O);
        store(p, "last", b, h, S);
    }
}

static const oracle oracles_scan[] = {
    {"gru", "d", "X=b.nd h0=b..d Wz=..dd Uz=..dd bz=...d Wr=..dd Ur=..dd br=...d Wh=..dd Uh=..dd bh=...d",
     "H=b.nd last=b..d", gru},
    {"delta_rule", "d", "Q=b4nd K=b4nd V=b4nd beta=b4n1 S0=b4dd", "O=b4nd last=b4dd", delta_rule},
    {0},
};

#endif
