/* The oracles of coefficients that are kernels of two tokens: see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_KERNELS_H
#define GRAM_TESTS_ORACLE_KERNELS_H

#include "oracle.h"

static double gaussian(const double *x, const double *y, int64_t d)
{
    return exp(-square_distance(x, y, d) / 32);
}

static double wide_gaussian(const double *x, const double *y, int64_t d)
{
    return exp(-square_distance(x, y, d) / 64);
}

static double laplacian(const double *x, const double *y, int64_t d)
{
    double sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += fabs(x[i] - y[i]);
    return exp(-sum / 8);
}

static double student_t(const double *x, const double *y, int64_t d)
{
    return pow(1 + square_distance(x, y, d) / 3, -2);
}

static double squared(const double *x, const double *y, int64_t d)
{
    return pow(dot(x, y, d) + 1, 2);
}

static double angle(const double *x, const double *y, int64_t d)
{
    return dot(x, y, d) / sqrt(dot(x, x, d) * dot(y, y, d));
}

static double common(const double *x, const double *y, int64_t d)
{
    return dot(x, y, d) / (1 + dot(x, x, d) + dot(y, y, d) - dot(x, y, d));
}

static void store_attended(problem *p, int64_t b, mat g)
{
    store(p, "O", b, 0, mul(tokens(p, "X", b, 0), g));
}

/* Each column over the sum of its magnitudes; zeros stay. */
static mat normal(mat a)
{
    mat to = zeros(a.p, a.r, a.c);
    for (int64_t j = 0; j < a.c; j++) {
        double sum = 0;
        for (int64_t i = 0; i < a.r; i++)
            sum += fabs(*at(a, i, j));
        for (int64_t i = 0; i < a.r; i++)
            *at(to, i, j) = sum > 0 ? *at(a, i, j) / sum : 0;
    }
    return to;
}

static void rbf(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    store_attended(p, b, kernel(gaussian, Y, Y));
}

static void laplace(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    store_attended(p, b, kernel(laplacian, Y, Y));
}

static void student(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    store_attended(p, b, normal(kernel(student_t, Y, Y)));
}

static void polynomial(problem *p, int64_t b)
{
    mat Y = scale(1 / sqrt((double)p->k), knowledge_of(p, b));
    store_attended(p, b, normal(kernel(squared, Y, Y)));
}

static void cosine(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    store_attended(p, b, softmax(scale(scalar(p, "beta", 0), kernel(angle, Y, Y))));
}

static void tanimoto(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    store_attended(p, b, scale(1 / (double)p->n, kernel(common, Y, Y)));
}

static void nadaraya(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 2; h++) {
        mat Q = tokens(p, "Q", b, h), K = tokens(p, "K", b, h), V = tokens(p, "V", b, h);
        store(p, "O", b, h, mul(V, normal(kernel(wide_gaussian, K, Q))));
    }
}

static const oracle oracles_kernels[] = {
    {"rbf", "d k", "X=b.nd Z=b.kd", "O=b.nd", rbf},
    {"laplace", "d k", "X=b.nd Z=b.kd", "O=b.nd", laplace},
    {"student", "d k", "X=b.nd Z=b.kd", "O=b.nd", student},
    {"polynomial", "d k", "X=b.nd Z=b.kd", "O=b.nd", polynomial},
    {"cosine", "d k", "X=b.nd Z=b.kd beta=....", "O=b.nd", cosine},
    {"tanimoto", "d k", "X=b.nd Z=b.kd", "O=b.nd", tanimoto},
    {"nadaraya", "d", "Q=b2nd K=b2md V=b2md", "O=b2nd", nadaraya},
    {0},
};

#endif
