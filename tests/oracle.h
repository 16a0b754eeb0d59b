/* Oracles: each shipped spec once more, as plain C over doubles written from its equation alone, because gram's own
 * reference shares the tracer with every back end. An oracle never sees the spec, only its inputs.
 *
 * A row of a table names the spec, the options it is given, the arrays and the function; a spec may have several rows.
 * Arrays are written NAME=AXES with four letters: batch, head, then column and row (of weights: row and column). A
 * letter is a size of the problem below, a digit a number, a dot an axis that the array does not have; NAME#AXES holds
 * integers from 0 to 3, and NAME@AXES where ragged items start: some are empty, and the last ends at n.
 *
 * To add one: a function that stores the outputs of one batch item, and a row in a table. */
#ifndef GRAM_TESTS_ORACLE_H
#define GRAM_TESTS_ORACLE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct array {
    char name[32];
    int is_integer, is_output;
    int64_t size[4];     /* batch, head, column, row; 1 where there is no axis */
    int ndim;
    int64_t shape[4];
    double *data;
} array;

typedef struct problem {
    const char *text;          /* the spec itself, where it is no file */
    const void *data;          /* whatever its oracle needs besides */
    int64_t b, n, m, k, d, e;  /* batch, queries, keys, knowledge, embedding, and the option d1 */
    int64_t r;                 /* how far a window or a table reaches */
    int narrays;
    array *arrays;
    void *blocks;              /* all memory of matrices, freed with the problem */
} problem;

typedef struct oracle {
    const char *spec;          /* specs/NAME.lua */
    const char *options;       /* "d k=9 d1=e": NAME=NUMBER, NAME=LETTER, or the letter alone where it is the name */
    const char *inputs, *outputs;
    void (*compute)(problem *p, int64_t b); /* batch item b */
} oracle;

/* A matrix r x c, row by row. All functions make new ones, and stop the test where shapes do not fit. */
typedef struct mat {
    problem *p;
    int64_t r, c;
    double *v;
} mat;

static inline double *at(mat a, int64_t i, int64_t j)
{
    return &a.v[i * a.c + j];
}

typedef struct block {
    struct block *next;
    double data[];
} block;

static inline double *allocate(problem *p, int64_t count)
{
    block *made = calloc(1, sizeof *made + (size_t)count * sizeof(double));
    if (!made)
        abort();
    made->next = p->blocks;
    p->blocks = made;
    return made->data;
}

static inline void expect(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "the oracle is wrong: %s\n", what);
        abort();
    }
}

static inline mat zeros(problem *p, int64_t r, int64_t c)
{
    return (mat){p, r, c, allocate(p, r * c)};
}

static inline mat tr(mat a)
{
    mat to = zeros(a.p, a.c, a.r);
    for (int64_t i = 0; i < a.r; i++)
        for (int64_t j = 0; j < a.c; j++)
            *at(to, j, i) = *at(a, i, j);
    return to;
}

static inline array *find(problem *p, const char *name)
{
    for (int k = 0; k < p->narrays; k++)
        if (strcmp(p->arrays[k].name, name) == 0)
            return &p->arrays[k];
    expect(0, name);
    return NULL;
}

/* Where an item's head begins. */
static inline double *part(const array *a, int64_t b, int64_t head)
{
    expect(b < a->size[0] && head < a->size[1], a->name);
    return a->data + (b * a->size[1] + head) * a->size[2] * a->size[3];
}

/* A column per token, or a vector as one column. */
static inline mat tokens(problem *p, const char *name, int64_t b, int64_t head)
{
    array *a = find(p, name);
    return tr((mat){p, a->size[2], a->size[3], part(a, b, head)});
}

/* Rows and columns as they are in the array. */
static inline mat weights(problem *p, const char *name, int64_t head)
{
    array *a = find(p, name);
    return (mat){p, a->size[2], a->size[3], part(a, 0, head)};
}

/* A head's d x n of an array [batch, n, heads, d] or [batch, n, heads * d]. */
static inline mat flat_tokens(problem *p, const char *name, int64_t b, int64_t n, int64_t d, int64_t head,
                              int64_t heads)
{
    mat to = zeros(p, d, n);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < d; i++)
            *at(to, i, j) = find(p, name)->data[((b * n + j) * heads + head) * d + i];
    return to;
}

static inline double entry(problem *p, const char *name, int64_t b, int64_t head, int64_t column, int64_t row)
{
    array *a = find(p, name);
    return part(a, b, head)[column * a->size[3] + row];
}

static inline double scalar(problem *p, const char *name, int64_t head)
{
    return *part(find(p, name), 0, head);
}

/* A column per token. */
static inline void store(problem *p, const char *name, int64_t b, int64_t head, mat m)
{
    array *a = find(p, name);
    expect(m.c == a->size[2] && m.r == a->size[3], name);
    mat turned = tr(m);
    memcpy(part(a, b, head), turned.v, (size_t)(m.r * m.c) * sizeof(double));
}

static inline mat mul(mat a, mat b)
{
    expect(a.c == b.r, "shapes of a product");
    mat to = zeros(a.p, a.r, b.c);
    for (int64_t i = 0; i < a.r; i++)
        for (int64_t j = 0; j < b.c; j++)
            for (int64_t k = 0; k < a.c; k++)
                *at(to, i, j) += *at(a, i, k) * *at(b, k, j);
    return to;
}

static inline mat add(mat a, mat b)
{
    expect(a.r == b.r && a.c == b.c, "shapes of a sum");
    mat to = zeros(a.p, a.r, a.c);
    for (int64_t i = 0; i < a.r * a.c; i++)
        to.v[i] = a.v[i] + b.v[i];
    return to;
}

static inline mat scale(double factor, mat a)
{
    mat to = zeros(a.p, a.r, a.c);
    for (int64_t i = 0; i < a.r * a.c; i++)
        to.v[i] = factor * a.v[i];
    return to;
}

static inline mat map(double (*f)(double), mat a)
{
    mat to = zeros(a.p, a.r, a.c);
    for (int64_t i = 0; i < a.r * a.c; i++)
        to.v[i] = f(a.v[i]);
    return to;
}

/* f of each column of a and each of b. */
static inline mat kernel(double (*f)(const double *x, const double *y, int64_t d), mat a, mat b)
{
    expect(a.r == b.r, "lengths of two tokens");
    mat x = tr(a), y = tr(b), to = zeros(a.p, a.c, b.c);
    for (int64_t i = 0; i < a.c; i++)
        for (int64_t j = 0; j < b.c; j++)
            *at(to, i, j) = f(x.v + i * a.r, y.v + j * a.r, a.r);
    return to;
}

static inline mat vjoin(mat a, mat b)
{
    expect(a.c == b.c, "columns of a joined matrix");
    mat to = zeros(a.p, a.r + b.r, a.c);
    memcpy(to.v, a.v, (size_t)(a.r * a.c) * sizeof(double));
    memcpy(to.v + a.r * a.c, b.v, (size_t)(b.r * b.c) * sizeof(double));
    return to;
}

static inline mat hjoin(mat a, mat b)
{
    return tr(vjoin(tr(a), tr(b)));
}

/* The log of the sum of exp down each column: 1 x c; -inf where there is nothing. */
static inline mat logsum(mat a)
{
    mat to = zeros(a.p, 1, a.c);
    for (int64_t j = 0; j < a.c; j++) {
        double max = -INFINITY, sum = 0;
        for (int64_t i = 0; i < a.r; i++)
            max = fmax(max, *at(a, i, j));
        for (int64_t i = 0; i < a.r; i++)
            sum += *at(a, i, j) == -INFINITY ? 0 : exp(*at(a, i, j) - max);
        *at(to, 0, j) = sum > 0 ? max + log(sum) : -INFINITY;
    }
    return to;
}

/* Down each column; all -inf, or no rows: zeros. */
static inline mat softmax(mat a)
{
    mat to = zeros(a.p, a.r, a.c), lse = logsum(a);
    for (int64_t i = 0; i < a.r; i++)
        for (int64_t j = 0; j < a.c; j++)
            *at(to, i, j) = *at(a, i, j) == -INFINITY ? 0 : exp(*at(a, i, j) - *at(lse, 0, j));
    return to;
}

static inline double relu(double x)
{
    return x > 0 ? x : 0;
}

static inline double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static inline double gelu(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2)));
}

static inline double dot(const double *x, const double *y, int64_t d)
{
    double sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += x[i] * y[i];
    return sum;
}

static inline double square_distance(const double *x, const double *y, int64_t d)
{
    double sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sum;
}

/* Y = Z'X / sqrt d, where most formulas of the paper start. */
static inline mat knowledge_of(problem *p, int64_t b)
{
    return scale(1 / sqrt((double)p->d), mul(tr(tokens(p, "Z", b, 0)), tokens(p, "X", b, 0)));
}

#endif
