/* The interval rules of runtime/kernel.h, as ops.def names them: over small boxes each range holds every value that the
 * operation takes there, a predicate's nothing else, and at the ends of the integers nothing overflows. */
#include <math.h>

#include "../runtime/doubles.h"
#include "../runtime/kernel.h"
#include "test.h"

/* How a rule is called for each list of operands; no rule knows reals. */
#define gram_range_any(...) gram_range_any()
#define CALL_R(rule) gram_range_any()
#define CALL_RR(rule) gram_range_any()
#define CALL_BRR(rule) gram_range_any()
#define CALL_I(rule) rule(a)
#define CALL_II(rule) rule(a, b)
#define CALL_B(rule) rule(a)
#define CALL_BB(rule) rule(a, b)
#define CALL_BII(rule) rule(a, b, c)

#define OP(id, name, result, operands, vector, reference, range, ...)                                                       \
    static gram_range rule_##id(gram_range a, gram_range b, gram_range c)                                              \
    {                                                                                                                  \
        (void)a, (void)b, (void)c;                                                                                     \
        return CALL_##operands(gram_range_##range);                                                                    \
    }                                                                                                                  \
    static double value_##id(double a, double b, double c)                                                             \
    {                                                                                                                  \
        (void)a, (void)b, (void)c;                                                                                     \
        return reference;                                                                                              \
    }
#include "../runtime/ops.def"
#undef OP

typedef struct operation {
    const char *name, *result, *operands;
    gram_range (*rule)(gram_range a, gram_range b, gram_range c);
    double (*value)(double a, double b, double c);
} operation;

static const operation operations[] = {
#define OP(id, name, result, operands, vector, reference, range, ...) {#name, #result, #operands, rule_##id, value_##id},
#include "../runtime/ops.def"
#undef OP
};

/* The values that an operation takes over three boxes. */
static void check_values(gram_tally *tally, const operation *op, const gram_range box[3])
{
    gram_range range = op->rule(box[0], box[1], box[2]);
    double least = INFINITY, most = -INFINITY;
    for (int64_t a = box[0].lo; a <= box[0].hi; a++)
        for (int64_t b = box[1].lo; b <= box[1].hi; b++)
            for (int64_t c = box[2].lo; c <= box[2].hi; c++) {
                double value = op->value((double)a, (double)b, (double)c);
                least = fmin(least, value), most = fmax(most, value);
            }
    CHECK(tally, (double)range.lo <= least && most <= (double)range.hi,
          "%s over [%d, %d], [%d, %d], [%d, %d] is [%g, %g], not within [%g, %g]", op->name, (int)box[0].lo,
          (int)box[0].hi, (int)box[1].lo, (int)box[1].hi, (int)box[2].lo, (int)box[2].hi, least, most,
          (double)range.lo, (double)range.hi);
    CHECK(tally, *op->result != 'B' || ((double)range.lo == least && (double)range.hi == most),
          "%s: a predicate's range [%g, %g] is not exact", op->name, (double)range.lo, (double)range.hi);
}

/* Every box of the operands from the k-th on: of -3 to 3, of 0 and 1 for a predicate, [0, 0] for none. */
static void each_box(gram_tally *tally, const operation *op, gram_range box[3], size_t k)
{
    if (k == 3) {
        check_values(tally, op, box);
        return;
    }
    char letter = k < strlen(op->operands) ? op->operands[k] : '0';
    int64_t low = letter == 'I' ? -3 : 0, high = letter == 'I' ? 3 : letter == 'B';
    for (int64_t lo = low; lo <= high; lo++)
        for (int64_t hi = lo; hi <= high; hi++) {
            box[k] = (gram_range){lo, hi};
            each_box(tally, op, box, k + 1);
        }
}

/* Bounds at and near the ends of the integers: ranges stay ordered (sanitizers see to the rest). */
static void check_ends(gram_tally *tally, const operation *op)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -7, -1, 0, 1, 7, INT64_MAX - 1, INT64_MAX};
    enum { N = sizeof ends / sizeof *ends };
    for (int boxes = 0; boxes < N * N * N * N; boxes++) {
        int64_t a = ends[boxes % N], b = ends[boxes / N % N], c = ends[boxes / N / N % N], d = ends[boxes / N / N / N];
        gram_range one = {0, 1}, x = gram_range_of(a, b), y = gram_range_of(c, d);
        gram_range r = *op->operands == 'B' ? op->rule(one, x, y) : op->rule(x, y, y);
        CHECK(tally, r.lo <= r.hi, "%s of [%g, %g], [%g, %g]: not a range", op->name, (double)x.lo, (double)x.hi,
              (double)y.lo, (double)y.hi);
    }
}

int main(void)
{
    gram_tally tally = {0, 0};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        gram_range box[3];
        if (strchr(operations[i].operands, 'R'))
            continue;
        each_box(&tally, &operations[i], box, 0);
        if (strcmp(operations[i].operands, "BB") != 0)
            check_ends(&tally, &operations[i]);
    }
    return gram_tally_end(&tally);
}
