/* From an attention matrix to correlations between tokens, and Fisher's test of independence given other tokens. */
#include "graph.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_VARIANCE = 1e-16;
/* A pivot of correlations below this is taken for zero: what it would divide is rounding. */
static const double LEAST_PIVOT = 1e-12;

/* ---- the condition number, from eigenvalues ---- */

/* Householder: the symmetric S (n x n, overwritten) becomes tridiagonal, with diagonal d and off[i] between i and i +
 * 1. */
static void tridiagonal(double *S, size_t n, double *d, double *off, double *p)
{
    for (size_t k = 0; k + 1 < n; k++) {
        double *v = S + k * n, norm = 0, vp = 0; /* row k right of the diagonal */
        for (size_t i = k + 1; i < n; i++)
            norm = hypot(norm, v[i]);
        d[k] = v[k];
        off[k] = v[k + 1] > 0 ? -norm : norm;
        v[k + 1] -= off[k];
        double half = norm * norm - off[k] * (v[k + 1] + off[k]); /* |v|^2 / 2 */
        for (size_t i = k + 1; i < n && half > 0; i++) {
            p[i] = 0;
            for (size_t j = k + 1; j < n; j++)
                p[i] += S[i * n + j] * v[j] / half;
            vp += v[i] * p[i] / (2 * half);
        }
        for (size_t i = k + 1; i < n && half > 0; i++)
            p[i] -= vp * v[i];
        for (size_t i = k + 1; i < n && half > 0; i++) {
            for (size_t j = k + 1; j < n; j++)
                S[i * n + j] -= v[i] * p[j] + p[i] * v[j];
        }
    }
    d[n - 1] = S[n * n - 1];
}

/* How many eigenvalues of the tridiagonal matrix are below x (Sturm). */
static size_t below(const double *d, const double *off, size_t n, double x)
{
    size_t count = 0;
    double q = 1;
    for (size_t i = 0; i < n; i++) {
        q = d[i] - x - (i > 0 ? off[i - 1] * off[i - 1] / q : 0);
        q = q == 0 ? -DBL_MIN : q;
        count += q < 0;
    }
    return count;
}

/* Eigenvalue number k from below, by bisection; all of them lie in [-n, n], S having entries up to 1. */
static double eigenvalue(const double *d, const double *off, size_t n, size_t k)
{
    double low = -(double)n - 1, high = (double)n + 1;
    for (int i = 0; i < 120; i++) {
        double middle = (low + high) / 2;
        if (below(d, off, n, middle) > k)
            high = middle;
        else
            low = middle;
    }
    return (low + high) / 2;
}

static int condition(gram_correlation *c)
{
    const size_t n = (size_t)c->n;
    double *d = calloc(3 * n, sizeof *d);
    if (!d)
        return -1;
    memcpy(c->work, c->rho, n * n * sizeof *c->rho);
    tridiagonal(c->work, n, d, d + n, d + 2 * n);
    double least = eigenvalue(d, d + n, n, 0), most = eigenvalue(d, d + n, n, n - 1);
    c->condition = least > (double)n * DBL_EPSILON * most ? most / least : INFINITY;
    free(d);
    return 0;
}

/* ---- correlations ---- */

static void products(double *rho, const double *A, size_t n, size_t m)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;
            for (size_t k = 0; k < m; k++)
                sum += A[i * m + k] * A[j * m + k];
            rho[i * n + j] = rho[j * n + i] = sum;
        }
    }
}

/* Divides by the diagonal's roots; the index of a row without variance, or -1. */
static int normalise(double *rho, double *root, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        root[i] = sqrt(rho[i * n + i]);
        if (!(rho[i * n + i] >= LEAST_VARIANCE) || isinf(root[i]))
            return (int)i;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            rho[i * n + j] = i == j ? 1 : rho[i * n + j] / root[i] / root[j];
    }
    return -1;
}

int gram_correlation_new(gram_correlation *c, const double *A, int n, int64_t m, char *message, size_t size)
{
    const size_t entries = (size_t)n * (size_t)n;
    *c = (gram_correlation){.n = n, .samples = 1000, .alpha = 0.01, .condition = 1};
    c->rho = malloc((entries + 1) * sizeof *c->rho);
    c->work = malloc((entries + 1) * sizeof *c->work);
    bool fits = c->rho && c->work;
    if (fits)
        products(c->rho, A, (size_t)n, (size_t)m);
    int bad = fits ? normalise(c->rho, c->work, (size_t)n) : -1;
    if (bad >= 0)
        snprintf(message, size, "row %d has no variance, or one that is not finite: A A' is %g there", bad,
                 c->rho[(size_t)bad * (size_t)n + (size_t)bad]);
    else if (!fits || (n > 0 && condition(c) != 0))
        bad = snprintf(message, size, "out of memory");
    if (bad >= 0)
        gram_correlation_free(c);
    return bad >= 0 ? -1 : 0;
}

void gram_correlation_free(gram_correlation *c)
{
    free(c->rho);
    free(c->work);
    *c = (gram_correlation){0};
}

/* ---- the test ---- */

/* The correlations of z, x and y, in that order, into work: lower triangle, k x k. */
static void gather(const gram_correlation *c, int x, int y, const int *z, int nz)
{
    const int k = nz + 2;
    for (int i = 0; i < k; i++) {
        int a = i < nz ? z[i] : i == nz ? x : y;
        for (int j = 0; j <= i; j++) {
            int b = j < nz ? z[j] : j == nz ? x : y;
            c->work[i * k + j] = c->rho[(size_t)a * (size_t)c->n + (size_t)b];
        }
    }
}

/* P being the inverse of those correlations, this is -P_xy / sqrt(P_xx P_yy). That block of P is the inverse of what
 * is left of x and y when z has been eliminated, and eliminating is the stabler way to it. */
double gram_correlation_partial(const gram_correlation *c, int x, int y, const int *z, int nz)
{
    const int k = nz + 2;
    double *S = c->work;
    gather(c, x, y, z, nz);
    for (int p = 0; p < nz; p++) {
        if (!(S[p * k + p] > LEAST_PIVOT))
            return NAN;
        for (int i = p + 1; i < k; i++) {
            for (int j = p + 1; j <= i; j++)
                S[i * k + j] -= S[i * k + p] * S[j * k + p] / S[p * k + p];
        }
    }
    double xx = S[nz * k + nz], yy = S[(nz + 1) * k + nz + 1];
    return xx > LEAST_PIVOT && yy > LEAST_PIVOT ? S[(nz + 1) * k + nz] / sqrt(xx * yy) : NAN;
}

bool gram_correlation_independent(const gram_correlation *c, int x, int y, const int *z, int nz)
{
    double freedom = c->samples - nz - 3;
    double r = freedom > 0 ? gram_correlation_partial(c, x, y, z, nz) : NAN;
    return fabs(r) < 1 && erfc(fabs(atanh(r)) * sqrt(freedom / 2)) > c->alpha;
}
