/* The reference's operations down each column of a matrix: maxima, softmax and its like, thresholds, the largest
 * entries. */
#include <math.h>
#include <stdlib.h>

#include "reference.h"

/* NaN if either is. */
static double greater(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static double column_max(const gram_operand *a, int64_t j)
{
    double max = -INFINITY;
    for (int64_t i = 0; i < a->rows; i++)
        if (gram_kept(a, i, j))
            max = greater(gram_entry(a, i, j), max);
    return max;
}

static double column_sum_exp(const gram_operand *a, int64_t j, double max)
{
    double sum = 0;
    for (int64_t i = 0; i < a->rows; i++)
        if (gram_kept(a, i, j))
            sum += exp(gram_entry(a, i, j) - max);
    return sum;
}

void gram_reference_maximum(gram_work *work)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        gram_column(&work->out, j)[0] = column_max(work->x, j);
}

void gram_reference_softmax(gram_work *work)
{
    const gram_operand *a = work->x;
    for (int64_t j = 0; j < a->cols; j++) {
        double max = column_max(a, j), sum = column_sum_exp(a, j, max);
        for (int64_t i = 0; i < a->rows && max != -INFINITY; i++)
            if (gram_kept(a, i, j))
                gram_column(&work->out, j)[i] = exp(gram_entry(a, i, j) - max) / sum;
    }
}

void gram_reference_logsumexp(gram_work *work)
{
    for (int64_t j = 0; j < work->out.cols; j++) {
        double max = column_max(work->x, j);
        gram_column(&work->out, j)[0] = isinf(max) ? max : max + log(column_sum_exp(work->x, j, max));
    }
}

static double column_sum_of(const gram_operand *a, int64_t j, const char *fn, double t)
{
    double sum = 0;
    for (int64_t i = 0; i < a->rows; i++)
        if (gram_kept(a, i, j))
            sum += gram_reference_call(fn, gram_entry(a, i, j) - t);
    return sum;
}

/* The t at which f(a - t) of a growing f sums to 1, by halving an interval around it; 0 where nothing is left. */
static double threshold_of(const gram_operand *a, int64_t j, const char *fn)
{
    double max = column_max(a, j), low = max - 1, high = max;
    if (!isfinite(max))
        return max == -INFINITY ? 0 : NAN;
    for (double step = 1; column_sum_of(a, j, fn, low) < 1 && isfinite(low); step *= 2)
        low -= step;
    for (double step = 1; column_sum_of(a, j, fn, high) > 1 && isfinite(high); step *= 2)
        high += step;
    for (double middle = low / 2 + high / 2; middle > low && middle < high; middle = low / 2 + high / 2)
        *(column_sum_of(a, j, fn, middle) > 1 ? &low : &high) = middle;
    return high;
}

void gram_reference_threshold(gram_work *work)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        gram_column(&work->out, j)[0] = threshold_of(work->x, j, work->node->fn);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Is the sum of 2^(a - g) at most 1, over integers from the greatest on? What is left of the 1 is a multiple of the
 * last term, so exact; once it is n terms, all others fit. */
static bool fits_in_one(const double *a, int64_t n, double g)
{
    double left = 1;
    for (int64_t i = 0; i < n; i++) {
        double term = exp2(a[i] - g);
        if (left == 0 || left < term)
            return false;
        left -= term;
        if (left > term * (double)n)
            return true;
    }
    return true;
}

/* ceil(log2 of the sum of 2^a); a column with a number that is no integer is summed in double. NaN when out of
 * memory. */
static double log2_ceil_of(const gram_operand *a, int64_t j)
{
    double *all = calloc((size_t)a->rows + 1, sizeof *all), max = column_max(a, j), sum = 0, g = max;
    int64_t n = 0;
    bool whole = isfinite(max);
    if (!all)
        return NAN;
    for (int64_t i = 0; i < a->rows; i++)
        if (gram_kept(a, i, j) && gram_entry(a, i, j) != -INFINITY)
            all[n++] = gram_entry(a, i, j);
    for (int64_t i = 0; i < n && isfinite(max); i++) {
        whole = whole && all[i] == floor(all[i]);
        sum += exp2(all[i] - max);
    }
    if (whole)
        qsort(all, (size_t)n, sizeof *all, descending);
    for (; whole && !fits_in_one(all, n, g); g++)
        continue;
    free(all);
    return whole || !isfinite(max) ? g : max + ceil(log2(sum));
}

void gram_reference_log2_ceil(gram_work *work)
{
    for (int64_t j = 0; j < work->out.cols; j++)
        gram_column(&work->out, j)[0] = log2_ceil_of(work->x, j);
}

/* Is entry i outranked by fewer than `most` of its column? NaN has no rank. */
static bool is_top(const gram_operand *a, int64_t i, int64_t j, int64_t most)
{
    int64_t above = 0;
    double x = gram_entry(a, i, j);
    for (int64_t p = 0; p < a->rows; p++)
        above += gram_kept(a, p, j) && (gram_entry(a, p, j) > x || (gram_entry(a, p, j) == x && p < i));
    return gram_kept(a, i, j) && x == x && above < most;
}

void gram_reference_top(gram_work *work)
{
    int64_t most = gram_size_of(work->spec, work->sizes, work->node->dim);
    for (int64_t j = 0; j < work->out.cols; j++)
        for (int64_t i = 0; i < work->out.rows; i++)
            gram_column(&work->out, j)[i] = is_top(work->x, i, j, most);
}
