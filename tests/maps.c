/* The elementwise primitives, of each instruction set that this CPU runs, against ops.def's references in double: over
 * every pair of values of a list of odd ones, and over a grid under every layout of operands. A new row of ops.def is
 * tested as it is. */
#include "tiles.h"

/* A tile of each type; the same number in all three where they can hold it. */
typedef struct operand {
    gram_real real[GRAM_BLOCK * GRAM_TILE];
    gram_int integer[GRAM_BLOCK * GRAM_TILE];
    gram_bits predicate[GRAM_BLOCK * GRAM_TILE];
    int row, lane;
} operand;

static double clamp_int(double x)
{
    double top = (double)GRAM_INT_MAX, low = (double)GRAM_INT_MIN;
    return isnan(x) ? 0 : x < low ? low : x > top ? top : x;
}

static void put(operand *o, int at, double x)
{
    o->real[at] = (gram_real)x;
    o->integer[at] = clamp_int(x) >= (double)GRAM_INT_MAX ? GRAM_INT_MAX : (gram_int)clamp_int(x);
    o->predicate[at] = -(gram_bits)(x > 0);
}

#define ARRAY_R(o) (o)->real
#define ARRAY_I(o) (o)->integer
#define ARRAY_B(o) (o)->predicate
#define TYPE_R gram_real
#define TYPE_I gram_int
#define TYPE_B gram_bits
#define VALUE_R(o, at) (double)(o)->real[at]
#define VALUE_I(o, at) (double)(o)->integer[at]
#define VALUE_B(o, at) (double)-(o)->predicate[at]

#define PASS(t, o) ARRAY_##t(o), (o)->row, (o)->lane
#define TAKE(t) const TYPE_##t *, int64_t, int64_t
#define PASS_R PASS(R, x)
#define PASS_I PASS(I, x)
#define PASS_B PASS(B, x)
#define PASS_RR PASS_R, PASS(R, x + 1)
#define PASS_II PASS_I, PASS(I, x + 1)
#define PASS_BB PASS_B, PASS(B, x + 1)
#define PASS_BRR PASS_B, PASS(R, x + 1), PASS(R, x + 2)
#define PASS_BII PASS_B, PASS(I, x + 1), PASS(I, x + 2)
#define TAKE_R TAKE(R)
#define TAKE_I TAKE(I)
#define TAKE_B TAKE(B)
#define TAKE_RR TAKE_R, TAKE(R)
#define TAKE_II TAKE_I, TAKE(I)
#define TAKE_BB TAKE_B, TAKE(B)
#define TAKE_BRR TAKE_B, TAKE(R), TAKE(R)
#define TAKE_BII TAKE_B, TAKE(I), TAKE(I)
#define READ(t, o, name) double name = VALUE_##t(o, r * (o)->row + l * (o)->lane); (void)name;
#define READ_R READ(R, x, a)
#define READ_I READ(I, x, a)
#define READ_B READ(B, x, a)
#define READ_RR READ_R READ(R, x + 1, b)
#define READ_II READ_I READ(I, x + 1, b)
#define READ_BB READ_B READ(B, x + 1, b)
#define READ_BRR READ_B READ(R, x + 1, b) READ(R, x + 2, c)
#define READ_BII READ_B READ(I, x + 1, b) READ(I, x + 2, c)

/* Whether a result is right, and with what room: that of fmod is as its operand's, of gelu as a fiftieth of it (the
 * reference has no more), of silu as its operand's among the subnormal numbers. */
static int good_R(const char *name, const operand *x, int r, int l, double got, double expected)
{
    double a = x->real[r * x->row + l * x->lane], size = isfinite(a) ? fabs(a) : 0;
    double scale = strcmp(name, "fmod") == 0 ? size : strcmp(name, "gelu") == 0 ? size * 2e-2 : 0;
    double subnormal = strcmp(name, "silu") == 0 ? size * GRAM_PICK(1e-38, 2e-308) : 0;
    return close_to(got, expected, fmax(scale, subnormal), 6);
}

/* Integers are exact where a double holds them; what overflows is nobody's promise. */
static int good_I(const char *name, const operand *x, int r, int l, double got, double expected)
{
    int vague = fabs(expected) > fmin(9e15, (double)GRAM_INT_MAX) && strcmp(name, "int") != 0;
    for (int o = 0; o < 3; o++) {
        vague |= fabs((double)x[o].integer[r * x[o].row + l * x[o].lane]) > 9e15;
    }
    return vague || got == clamp_int(expected);
}

static int good_B(const char *name, const operand *x, int r, int l, double got, double expected)
{
    (void)name, (void)x, (void)r, (void)l;
    return got == (expected != 0);
}

#define OP(id, name, result, operands, vector, reference, range, ...) \
    static void test_##id(suite *s, const operand *x, operand *out, int rows, int lanes) { \
        typedef void map(TYPE_##result *, int64_t, int64_t, TAKE_##operands); \
        ((map *)primitive(s, "gram_map_" #name))(ARRAY_##result(out), rows, lanes, PASS_##operands); \
        for (int r = 0; r < rows; r++) { \
            for (int l = 0; l < lanes; l++) { \
                READ_##operands \
                double got = VALUE_##result(out, r * GRAM_TILE + l), expected = (double)(reference); \
                char what[160]; \
                snprintf(what, sizeof what, #name " at row %d lane %d of %.9g, %.9g, %.9g (strides %d %d)", r, l, \
                         VALUE_R(x, r * x->row + l * x->lane), VALUE_R(x + 1, r * x[1].row + l * x[1].lane), \
                         VALUE_R(x + 2, r * x[2].row + l * x[2].lane), x->row, x->lane); \
                check(s, good_##result(#name, x, r, l, got, expected), what, got, expected); \
            } \
        } \
    }
#include "../runtime/ops.def"
#undef OP

typedef void operation_test(suite *s, const operand *x, operand *out, int rows, int lanes);

static operation_test *const operations[] = {
#define OP(id, name, result, operands, vector, reference, range, ...) test_##id,
#include "../runtime/ops.def"
#undef OP
};

static void each_operation(suite *s, const operand *x, operand *out, int rows, int lanes)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        operations[i](s, x, out, rows, lanes);
    }
}

static const double odd_values[] = {
    0, -0.0, 1, -1, 2, -2, 3, -3, 7, -7, 10, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.1, -0.1, 1e-4, -1e-4, 1e-9, -1e-9,
    1e-40, -1e-40, 1.2e-38, 1e-310, 1e10, -1e10, 3e38, -3e38, INFINITY, -INFINITY, NAN, 16777216, 8388607.5, 4194304.5,
    -8388608, 2147483647, -2147483648.0, 9.2e18, -9.3e18, 88.72, 88.73, -87.4, -103, -104, 127.99, 128.01, -126.5, -149,
    -150.5, 709.7, 709.8, -708.5, -745, -746, 1023.99, 1024.5, -1074, -1075.5, 3.14159265, 1.57079633, -4.71238898, 100,
    1e5, -99999, 131073, 1e6, 1e15, 0.999999, 1.000001, 0.70710678, 1.41421356, -0.9999999, -0.3, 5.5, -5.5, 13, -14.2,
    20, -38.5
};

/* Every pair of odd values, the third operand one more. */
static void test_odd_values(suite *s)
{
    enum { N = sizeof odd_values / sizeof *odd_values };
    operand *x = calloc(4, sizeof *x);
    for (int o = 0; o < 3; o++) {
        x[o].row = GRAM_TILE, x[o].lane = 1;
    }
    for (int first = 0; first < N * N; first += GRAM_BLOCK * GRAM_TILE) {
        for (int i = 0; i < GRAM_BLOCK * GRAM_TILE; i++) {
            int pair = (first + i) % (N * N);
            put(&x[0], i, odd_values[pair / N]);
            put(&x[1], i, odd_values[pair % N]);
            put(&x[2], i, odd_values[(pair + 1) % N]);
        }
        each_operation(s, x, &x[3], GRAM_BLOCK, GRAM_TILE);
    }
    free(x);
}

/* A grid of values, evenly from -20 to 20 and then by powers from 1e-6 to 1e6, under every layout of operands. */
static void test_layouts(suite *s)
{
    static const int layouts[][2] = {{GRAM_TILE, 1}, {0, 1}, {1, 0}, {0, 0}};
    operand *x = calloc(4, sizeof *x);
    for (int i = 0; i < GRAM_BLOCK * GRAM_TILE; i++) {
        double even = (i - 1000) / 50.0, power = pow(10, (i - 2536) / 90.0) * (i % 2 ? 1 : -1);
        put(&x[0], i, i < 2000 ? even : power);
        put(&x[1], i, (i * 7919 % 997 - 498) / 60.0);
        put(&x[2], i, (i * 104729 % 1009 - 504) / 3.0);
    }
    for (int layout = 0; layout < 64; layout++) {
        for (int o = 0; o < 3; o++) {
            const int *strides = layouts[layout >> (2 * o) & 3];
            x[o].row = strides[0], x[o].lane = strides[1];
        }
        each_operation(s, x, &x[3], layout == 0 ? GRAM_BLOCK : 5, layout == 0 ? GRAM_TILE : 19);
    }
    free(x);
}

int main(void)
{
    static test *const tests[] = {test_odd_values, test_layouts};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
