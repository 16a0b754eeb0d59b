/* The primitives of runtime/half.h, of each instruction set that this CPU runs: every 16-bit float read, floats rounded
 * as array.c rounds doubles, and strides. */
#include "../runtime/array.h"
#include "tiles.h"

typedef void load(gram_real *, const uint16_t *, int64_t, int64_t, int64_t, int64_t);
typedef void block(gram_real *, const uint16_t *, int64_t, int64_t, int64_t, int64_t, gram_real);
typedef void store(uint16_t *, int64_t, int64_t, const gram_real *, int64_t, int64_t, int64_t);
typedef void gather(gram_real *, int64_t, int64_t, const uint16_t *, int64_t, int64_t, const gram_int *, int, int,
                    int64_t, int64_t, const gram_int *, int, int);

static const struct kind {
    const char *name;
    float (*value)(uint16_t bits);
    uint16_t (*of)(double value);
} kinds[] = {{"f16", gram_f16_to_float, gram_f16_from_double}, {"bf16", gram_bf16_to_float, gram_bf16_from_double}};
enum { NKINDS = sizeof kinds / sizeof kinds[0] };

static gram_function *primitive_of(suite *s, const char *name, const struct kind *kind)
{
    char text[64];
    snprintf(text, sizeof text, "gram_%s_%s", name, kind->name);
    return primitive(s, text);
}

static int same(float a, float b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

/* All values, a tile at a time. */
static void test_values(suite *s)
{
    for (int k = 0; k < NKINDS; k++) {
        load *f = (load *)primitive_of(s, "load", &kinds[k]);
        uint16_t from[GRAM_TILE];
        gram_real *to = buffer(GRAM_TILE);
        int wrong = 0;
        for (int first = 0; first < 0x10000; first += GRAM_TILE) {
            for (int c = 0; c < GRAM_TILE; c++)
                from[c] = (uint16_t)(first + c);
            f(to, from, GRAM_TILE, 1, 1, GRAM_TILE);
            for (int c = 0; c < GRAM_TILE; c++)
                wrong += !same((float)to[c], kinds[k].value(from[c]));
        }
        check(s, wrong == 0, "16 bits read", wrong, 0);
        release(s, to, GRAM_TILE, "gram_load's margin");
    }
}

/* Each value, the next above, halfway between them, and a little to both sides. */
static void test_rounding(suite *s)
{
    for (int k = 0; k < NKINDS; k++) {
        store *f = (store *)primitive_of(s, "store", &kinds[k]);
        int wrong = 0;
        for (int bits = 0; bits < 0x10000; bits++) {
            const float low = kinds[k].value((uint16_t)bits), high = kinds[k].value((uint16_t)(bits ^ (bits != 0xffff)));
            const float half = low + (high - low) / 2;
            const float x[] = {low, half, nextafterf(half, low), nextafterf(half, high), nextafterf(low, INFINITY), half * 3};
            enum { N = sizeof x / sizeof x[0] };
            gram_real tile[GRAM_TILE];
            uint16_t to[N];
            for (int c = 0; c < N; c++)
                tile[c] = x[c];
            f(to, N, 1, tile, GRAM_TILE, 1, N);
            for (int c = 0; c < N; c++)
                wrong += !same(kinds[k].value(to[c]), kinds[k].value(kinds[k].of(x[c])));
        }
        check(s, wrong == 0, "floats rounded to 16 bits", wrong, 0);
    }
}

/* rows x cols halves with strides row and col: as a tile, a panel, padded rows, a scaled block; and written back. */
static void one_shape(suite *s, const struct kind *kind, int64_t rows, int64_t cols, int64_t row, int64_t col)
{
    const int64_t room = (rows > 0 ? rows - 1 : 0) * row + (cols > 0 ? cols - 1 : 0) * col + 1, padded = GRAM_PADDED(cols);
    uint64_t seed = (uint64_t)(rows * 100 + cols);
    uint16_t *from = malloc((size_t)room * sizeof *from), *back = calloc((size_t)room, sizeof *back);
    for (int64_t i = 0; i < room; i++)
        from[i] = kind->of(uniform(&seed));
    gram_real *tile = buffer(GRAM_TILE * GRAM_TILE), *panel = buffer(GRAM_TILE * GRAM_TILE),
              *padding = buffer(GRAM_TILE * GRAM_TILE), *some = buffer(GRAM_TILE * GRAM_TILE);
    ((load *)primitive_of(s, "load", kind))(tile, from, row, col, rows, cols);
    ((load *)primitive_of(s, "panel", kind))(panel, from, row, col, rows, cols);
    ((load *)primitive_of(s, "rows", kind))(padding, from, row, col, rows, cols);
    ((block *)primitive_of(s, "block", kind))(some, from, row, col, rows, cols, 2);
    ((store *)primitive_of(s, "store", kind))(back, row, col, tile, GRAM_TILE, rows, cols);
    for (int64_t r = 0; r < GRAM_TILE; r++)
        for (int64_t c = 0; c < padded; c++) {
            double x = r < rows && c < cols ? kind->value(from[r * row + c * col]) : 0;
            if (r < rows) {
                check(s, tile[r * GRAM_TILE + c] == x, "gram_load", tile[r * GRAM_TILE + c], x);
                check(s, padding[r * padded + c] == x, "gram_rows", padding[r * padded + c], x);
            }
            if (c < cols)
                check(s, panel[c * GRAM_TILE + r] == x, "gram_panel", panel[c * GRAM_TILE + r], x);
            if (r < rows && c < cols) {
                check(s, some[r * cols + c] == 2 * x, "gram_block", some[r * cols + c], 2 * x);
                check(s, back[r * row + c * col] == from[r * row + c * col], "gram_store", back[r * row + c * col], x);
            }
        }
    release(s, tile, GRAM_TILE * GRAM_TILE, "gram_load's margin");
    release(s, panel, GRAM_TILE * GRAM_TILE, "gram_panel's margin");
    release(s, padding, GRAM_TILE * GRAM_TILE, "gram_rows' margin");
    release(s, some, GRAM_TILE * GRAM_TILE, "gram_block's margin");
    free(from), free(back);
}

static void test_strides(suite *s)
{
    static const int64_t sizes[] = {0, 1, 3, 15, 16, 17, 33, 64};
    enum { N = sizeof sizes / sizeof sizes[0] };
    for (int i = 0; i < N * N * NKINDS; i++) {
        const int64_t rows = sizes[i % N], cols = sizes[i / N % N];
        const struct kind *kind = &kinds[i / (N * N)];
        one_shape(s, kind, rows, cols, cols + 2, 1);
        one_shape(s, kind, rows, cols, 1, rows + 1);
        one_shape(s, kind, rows, cols, 3 * cols + 1, 3);
    }
}

/* Indices outside are held to the ends. */
static void test_gather(suite *s)
{
    enum { ROWS = 5, LANES = 37, NROW = 11, NCOL = 7 };
    for (int k = 0; k < NKINDS; k++) {
        uint16_t base[NROW * NCOL];
        gram_int i[ROWS * GRAM_TILE], j[ROWS];
        gram_real tile[ROWS * GRAM_TILE];
        uint64_t seed = 9;
        for (int n = 0; n < NROW * NCOL; n++)
            base[n] = kinds[k].of(uniform(&seed));
        for (int n = 0; n < ROWS * GRAM_TILE; n++)
            i[n] = (gram_int)(below(&seed, NROW + 6) - 3);
        for (int n = 0; n < ROWS; n++)
            j[n] = (gram_int)(below(&seed, NCOL + 6) - 3);
        ((gather *)primitive_of(s, "gather", &kinds[k]))(tile, ROWS, LANES, base, NCOL, NROW, i, GRAM_TILE, 1, 1, NCOL, j, 1, 0);
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < LANES; c++) {
                const int64_t row = i[r * GRAM_TILE + c], col = j[r];
                const int64_t at = (row < 0 ? 0 : row < NROW ? row : NROW - 1) * NCOL + (col < 0 ? 0 : col < NCOL ? col : NCOL - 1);
                const double x = kinds[k].value(base[at]);
                check(s, tile[r * GRAM_TILE + c] == x, "gram_gather", tile[r * GRAM_TILE + c], x);
            }
    }
}

int main(void)
{
    static test *const tests[] = {test_values, test_rounding, test_strides, test_gather};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
