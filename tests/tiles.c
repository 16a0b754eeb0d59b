/* The tile primitives of runtime/tile.h and around, of each instruction set that this CPU runs, against plain loops in
 * double, at odd sizes and strides. A new primitive gets a function here, named in main(). */
#include "tiles.h"

/* The products: out (+)= a times b, and its kin. */

typedef void product(gram_real *, int64_t, const gram_real *, int64_t, const gram_real *, int64_t, int64_t, int64_t,
                     int64_t, int);

static double term_mul(double a, double b)
{
    return a * b;
}

static double term_sqdist(double a, double b)
{
    return (a - b) * (a - b);
}

static double term_dist1(double a, double b)
{
    return fabs(a - b);
}

/* Squared distances are had from products, where up to 3 bits may cancel. */
static double rounding(double (*term)(double, double), double sum)
{
    return term == term_sqdist ? 8 * sum : sum;
}

static void one_product(suite *s, const char *name, double (*term)(double, double), const int64_t *size, int add)
{
    int64_t rows = size[0], inner = size[1], cols = size[2] * GRAM_PAD;
    int64_t lda = inner + 3, ldb = cols + GRAM_PAD, ldo = ldb;
    uint64_t seed = (uint64_t)(rows + inner * 64 + cols);
    gram_real *a = random_array(&seed, (rows - 1) * lda + inner), *b = random_buffer(&seed, inner * ldb);
    gram_real *out = random_buffer(&seed, rows * ldo), *was = malloc((size_t)(rows * ldo) * sizeof *was);
    memcpy(was, out, (size_t)(rows * ldo) * sizeof *was);
    ((product *)primitive(s, name))(out, ldo, a, lda, b, ldb, rows, inner, cols, add);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < ldo; c++) {
            double expected = add || c >= cols ? was[r * ldo + c] : 0;
            for (int64_t k = 0; k < inner && c < cols; k++) {
                expected += term(a[r * lda + k], b[k * ldb + c]);
            }
            check(s, close_to(out[r * ldo + c], expected, 1, rounding(term, (double)inner + 2)), name, out[r * ldo + c], expected);
        }
    }
    free(a), free(was);
    release(s, b, inner * ldb, name);
    release(s, out, rows * ldo, name);
}

static void test_products(suite *s)
{
    static const int64_t sizes[][3] = {{48, 64, 4}, {1, 1, 1}, {2, 3, 2},  {3, 17, 3}, {4, 5, 5},
                                       {5, 64, 6},  {7, 40, 7}, {11, 2, 9}, {0, 4, 1},  {6, 0, 8}, {3, 300, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int add = 0; add < 2; add++) {
            one_product(s, "gram_tile_mul", term_mul, sizes[i], add);
            one_product(s, "gram_tile_mul_fine", term_mul, sizes[i], add);
            one_product(s, "gram_tile_dist1", term_dist1, sizes[i], add);
        }
        if (sizes[i][2] * GRAM_PAD <= GRAM_TILE) {
            one_product(s, "gram_tile_sqdist", term_sqdist, sizes[i], 0);
        }
    }
}

/* Packing, reading and writing. */

typedef void pack_panel(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t);
typedef void pack_block(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t, gram_real);

/* Strides of a rows x cols matrix: dense, transposed, spread, reversed rows; base is where entry (0, 0) lies. */
typedef struct shape {
    int64_t rows, cols, row, col, base, size;
} shape;

static shape shape_of(int64_t rows, int64_t cols, int layout)
{
    shape m = {rows, cols, cols, 1, 0, rows * cols};
    if (layout == 1) {
        m.row = 1, m.col = rows;
    } else if (layout == 2) {
        m.row = 3 * cols + 1, m.col = 3, m.size = rows && cols ? (rows - 1) * m.row + (cols - 1) * m.col + 1 : 0;
    } else if (layout == 3) {
        m.row = -cols, m.base = rows ? (rows - 1) * cols : 0;
    }
    return m;
}

static void one_pack(suite *s, shape m)
{
    uint64_t seed = (uint64_t)m.size;
    int64_t panel_size = m.cols * GRAM_TILE, block_size = m.rows * m.cols;
    gram_real *data = random_array(&seed, m.size), *from = data + m.base;
    gram_real *panel = buffer(panel_size), *block = buffer(block_size);
    ((pack_panel *)primitive(s, "gram_panel"))(panel, from, m.row, m.col, m.rows, m.cols);
    ((pack_block *)primitive(s, "gram_block"))(block, from, m.row, m.col, m.rows, m.cols, (gram_real)1.75);
    for (int64_t k = 0; k < m.cols; k++) {
        for (int64_t r = 0; r < GRAM_TILE; r++) {
            double x = r < m.rows ? from[r * m.row + k * m.col] : 0;
            check(s, panel[k * GRAM_TILE + r] == x, "gram_panel", panel[k * GRAM_TILE + r], x);
            double scaled = r < m.rows ? block[r * m.cols + k] : 0;
            check(s, close_to(scaled, x * 1.75, 0, 1), "gram_block", scaled, x * 1.75);
        }
    }
    release(s, panel, panel_size, "gram_panel's margin");
    release(s, block, block_size, "gram_block's margin");
    free(data);
}

typedef void read_tile(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t);
typedef void read_integers(gram_int *, const int32_t *, int64_t, int64_t, int64_t, int64_t);
typedef void write_tile(gram_real *, int64_t, int64_t, const gram_real *, int64_t, int64_t, int64_t);

static void one_read(suite *s, shape m)
{
    uint64_t seed = (uint64_t)m.size + 1;
    int64_t size = m.rows * GRAM_TILE;
    gram_real *data = random_array(&seed, m.size), *copy = calloc((size_t)m.size + 1, sizeof *copy);
    int32_t *ids = malloc(((size_t)m.size + 1) * sizeof *ids);
    gram_int *integers = malloc(((size_t)size + 1) * sizeof *integers);
    for (int64_t i = 0; i < m.size; i++) {
        ids[i] = (int32_t)(data[i] * (gram_real)1e6);
    }
    gram_real *tile = buffer(size);
    ((read_tile *)primitive(s, "gram_load"))(tile, data + m.base, m.row, m.col, m.rows, m.cols);
    ((read_integers *)primitive(s, "gram_loadi"))(integers, ids + m.base, m.row, m.col, m.rows, m.cols);
    ((write_tile *)primitive(s, "gram_store"))(copy + m.base, m.row, m.col, tile, GRAM_TILE, m.rows, m.cols);
    for (int64_t r = 0; r < m.rows; r++) {
        for (int64_t c = 0; c < GRAM_PADDED(m.cols); c++) {
            int64_t at = c < m.cols ? m.base + r * m.row + c * m.col : -1;
            double x = at < 0 ? 0 : data[at], i = at < 0 ? 0 : ids[at];
            check(s, tile[r * GRAM_TILE + c] == x, "gram_load", tile[r * GRAM_TILE + c], x);
            check(s, integers[r * GRAM_TILE + c] == i, "gram_loadi", (double)integers[r * GRAM_TILE + c], i);
            check(s, at < 0 || copy[at] == x, "gram_store", at < 0 ? 0 : copy[at], x);
        }
    }
    release(s, tile, size, "gram_load's margin");
    free(data), free(copy), free(ids), free(integers);
}

/* Products of numbers that are -1, 0 and 1, packed as bits: exact. Beyond the columns are zeros, up to the padding. */
static void test_bits(suite *s)
{
    void (*panel_of)(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t) =
        (void (*)(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t))primitive(s, "gram_panel_bits");
    void (*block_of)(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t) =
        (void (*)(gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t))primitive(s, "gram_block_bits");
    void (*products)(gram_real *, int64_t, const gram_real *, const gram_real *, int64_t, int64_t, int64_t, gram_real) =
        (void (*)(gram_real *, int64_t, const gram_real *, const gram_real *, int64_t, int64_t, int64_t, gram_real))primitive(
            s, "gram_tile_bits");
    static const int64_t sizes[][3] = {{1, 1, 1}, {5, 64, 31}, {64, 63, 64}, {7, 33, 65}, {13, 64, 130}, {4, 17, 200}};
    uint64_t seed = 9;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t rows = sizes[k][0], cols = sizes[k][1], inner = sizes[k][2];
        const int64_t words = 2 * ((inner + GRAM_WORD - 1) / GRAM_WORD), padded = GRAM_PADDED(cols);
        gram_real *a = random_array(&seed, rows * inner), *b = random_array(&seed, cols * inner);
        gram_real *block = buffer(rows * words), *panel = buffer(GRAM_TILE * words), *out = buffer(rows * GRAM_TILE);
        for (int64_t i = 0; i < rows * inner; i++)
            a[i] = (gram_real)((a[i] > 0.3) - (a[i] < -0.3));
        for (int64_t i = 0; i < cols * inner; i++)
            b[i] = (gram_real)((b[i] > 0.3) - (b[i] < -0.3));
        block_of(block, a, inner, 1, rows, inner);
        panel_of(panel, b, 1, cols, cols, inner);
        products(out, GRAM_TILE, block, panel, rows, words, padded, (gram_real)0.5);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < padded; c++) {
                double sum = 0;
                for (int64_t i = 0; i < inner && c < cols; i++)
                    sum += 0.5 * (double)(a[r * inner + i] * b[c + i * cols]);
                check(s, out[r * GRAM_TILE + c] == (gram_real)sum, "a product of bits", (double)out[r * GRAM_TILE + c], sum);
            }
        release(s, block, rows * words, "beside a block of bits");
        release(s, panel, GRAM_TILE * words, "beside a panel of bits");
        release(s, out, rows * GRAM_TILE, "beside products of bits");
        free(a);
        free(b);
    }
}

static void test_reading(suite *s)
{
    static const int64_t sizes[][2] = {{48, 64}, {64, 64}, {1, 1}, {5, 7}, {17, 16}, {33, 40}, {63, 3}, {0, 5}, {3, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int layout = 0; layout < 4; layout++) {
            one_pack(s, shape_of(sizes[i][0], sizes[i][1], layout));
            one_read(s, shape_of(sizes[i][0], sizes[i][1], layout));
        }
    }
}

typedef void gather(gram_real *, int64_t, int64_t, const gram_real *, int64_t, int64_t, const gram_int *, int, int,
                    int64_t, int64_t, const gram_int *, int, int);
typedef void gather_integers(gram_int *, int64_t, int64_t, const int32_t *, int64_t, int64_t, const gram_int *, int,
                             int, int64_t, int64_t, const gram_int *, int, int);

static int64_t clamped(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Indices in and out of range, rows by a pair tile and columns by a vector over keys, then the other way round. */
static void one_gather(suite *s, int64_t nrow, int64_t ncol, int swap)
{
    enum { ROWS = 5, LANES = 23, SIZE = ROWS * GRAM_TILE };
    uint64_t seed = 7;
    gram_real *base = random_array(&seed, nrow * ncol), *tile = buffer(SIZE);
    int32_t *ids = calloc((size_t)(nrow * ncol) + 1, sizeof *ids);
    gram_int i[SIZE], j[SIZE], integers[SIZE];
    for (int at = 0; at < SIZE; at++) {
        i[at] = (gram_int)(below(&seed, 3 * nrow + 9) - nrow - 4);
        j[at] = (gram_int)(below(&seed, 3 * ncol + 9) - ncol - 4);
    }
    for (int64_t at = 0; at < nrow * ncol; at++) {
        ids[at] = (int32_t)at * 3 - 5;
    }
    int ir = swap ? 0 : GRAM_TILE, jr = swap ? GRAM_TILE : 0;
    gather *reals = (gather *)primitive(s, "gram_gather");
    gather_integers *ints = (gather_integers *)primitive(s, "gram_gatheri");
    reals(tile, ROWS, LANES, base, ncol, nrow, i, ir, 1, 1, ncol, j, jr, 1);
    ints(integers, ROWS, LANES, ids, ncol, nrow, i, ir, 1, 1, ncol, j, jr, 1);
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < LANES; c++) {
            int64_t at = nrow * ncol == 0 ? -1 : clamped(i[r * ir + c], nrow) * ncol + clamped(j[r * jr + c], ncol);
            double x = tile[r * GRAM_TILE + c], id = (double)integers[r * GRAM_TILE + c];
            check(s, x == (at < 0 ? 0 : base[at]), "gram_gather", x, at < 0 ? 0 : base[at]);
            check(s, id == (at < 0 ? 0 : ids[at]), "gram_gatheri", id, at < 0 ? 0 : ids[at]);
        }
    }
    release(s, tile, SIZE, "gram_gather's margin");
    free(base), free(ids);
}

/* Offsets that 32 bits do not hold: a table said to have a row far away, of which the first is read. */
static void test_far_gather(suite *s)
{
    gram_real base[3] = {5, 6, 7}, *tile = buffer(GRAM_TILE);
    gram_int i[GRAM_TILE] = {-1}, j[GRAM_TILE];
    for (int c = 0; c < GRAM_TILE; c++) {
        j[c] = c;
    }
    ((gather *)primitive(s, "gram_gather"))(tile, 1, 5, base, (int64_t)1 << 40, 2, i, 0, 0, 1, 3, j, 0, 1);
    for (int c = 0; c < 5; c++) {
        check(s, tile[c] == base[c < 3 ? c : 2], "gram_gather, far", tile[c], base[c < 3 ? c : 2]);
    }
    release(s, tile, GRAM_TILE, "gram_gather's margin");
}

typedef void iota(gram_int *, int64_t, int64_t, int64_t, int, int);
typedef void fill(gram_real *, int64_t, int64_t, int64_t, gram_real);

static void test_indices(suite *s)
{
    for (int64_t nrow = 0; nrow < 9; nrow += 4) {
        for (int64_t ncol = 0; ncol < 8; ncol += 7) {
            one_gather(s, nrow, ncol, 0);
            one_gather(s, nrow, ncol, 1);
        }
    }
    gram_int tile[3 * GRAM_TILE];
    gram_real *filled = buffer(3 * GRAM_TILE);
    ((iota *)primitive(s, "gram_iota"))(tile, 3, 21, 1000000007, -5, 3);
    ((fill *)primitive(s, "gram_fill"))(filled, GRAM_TILE, 3, 21, 2);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 21; c++) {
            int at = r * GRAM_TILE + c;
            check(s, tile[at] == 1000000007 - 5 * r + 3 * c, "gram_iota", (double)tile[at], 1000000007 - 5 * r + 3 * c);
            check(s, filled[at] == 2, "gram_fill", filled[at], 2);
        }
    }
    release(s, filled, 3 * GRAM_TILE, "gram_fill's margin");
}

typedef void keep(gram_real *, const gram_bits *, int64_t, int64_t, gram_real);

/* What is dropped is replaced, NaN too. */
static void test_keeping(suite *s)
{
    gram_real *tile = buffer(5 * GRAM_TILE), expected[5 * GRAM_TILE];
    gram_bits kept[5 * GRAM_TILE];
    for (int at = 0; at < 5 * GRAM_TILE; at++) {
        kept[at] = -(at % 3 == 0);
        tile[at] = at % 7 == 1 ? (gram_real)NAN : (gram_real)at;
        expected[at] = kept[at] ? tile[at] : -INFINITY;
    }
    ((keep *)primitive(s, "gram_tile_keep"))(tile, kept, 5, 33, -INFINITY);
    for (int at = 0; at < 5 * GRAM_TILE; at++) {
        if (at % GRAM_TILE < 33) {
            check(s, close_to(tile[at], expected[at], 0, 0), "gram_tile_keep", tile[at], expected[at]);
        }
    }
    release(s, tile, 5 * GRAM_TILE, "gram_tile_keep's margin");
}

/* Sums over a tile's rows: products with it turned, whole and where some entries are dropped beside NaN, and its
 * columns' sums. */

typedef void mul_turned(gram_real *, int64_t, const gram_real *, const gram_real *, int64_t, int64_t, int64_t, int64_t);
typedef void mul_turned_kept(gram_real *, int64_t, const gram_real *, const gram_bits *, const gram_real *, int64_t,
                             int64_t, int64_t, int64_t);
typedef void sum_turned(gram_real *, int64_t, const gram_real *, int64_t, int64_t);

enum { SIDE = 64 }; /* numbers from one lane's sums to the next's */

/* Is out what it was, 1, and the sums of rows r of tile's columns times b's, those with dropped(r) left out? */
static void check_turned(suite *s, const char *name, const gram_real *out, const gram_real *tile, const gram_real *b,
                         int64_t rows, int64_t lanes, int64_t cols, int64_t dropped)
{
    for (int64_t l = 0; l < lanes; l++) {
        for (int64_t c = 0; c < cols; c++) {
            double expected = 1;
            for (int64_t r = 0; r < rows; r++) {
                expected += r == dropped ? 0 : (double)tile[r * GRAM_TILE + l] * (b ? b[r * SIDE + c] : 1);
            }
            check(s, close_to(out[l * SIDE + c], expected, 8, 8), name, out[l * SIDE + c], expected);
        }
    }
}

static void one_turned(suite *s, int64_t rows, int64_t lanes, int64_t cols)
{
    uint64_t seed = (uint64_t)(rows * 64 + lanes);
    const int64_t odd = rows / 2;
    gram_real *tile = random_buffer(&seed, rows * GRAM_TILE), *b = random_buffer(&seed, rows * SIDE);
    gram_real out[3][GRAM_TILE * SIDE];
    gram_bits kept[GRAM_BLOCK * GRAM_TILE];
    for (int64_t at = 0; at < GRAM_TILE * SIDE; at++) {
        out[0][at] = out[1][at] = out[2][at] = 1;
    }
    ((mul_turned *)primitive(s, "gram_tile_mul_turned"))(out[0], SIDE, tile, b, SIDE, rows, lanes, cols);
    check_turned(s, "gram_tile_mul_turned", out[0], tile, b, rows, lanes, cols, -1);
    ((sum_turned *)primitive(s, "gram_tile_sum_turned"))(out[1], SIDE, tile, rows, lanes);
    check_turned(s, "gram_tile_sum_turned", out[1], tile, NULL, rows, lanes, 1, -1);
    for (int64_t at = 0; at < rows * GRAM_TILE; at++) {
        kept[at] = -(at / GRAM_TILE != odd);
    }
    for (int64_t c = 0; c < cols && rows; c++) {
        b[odd * SIDE + c] = (gram_real)NAN;
    }
    ((mul_turned_kept *)primitive(s, "gram_tile_mul_turned_kept"))(out[2], SIDE, tile, kept, b, SIDE, rows, lanes, cols);
    check_turned(s, "gram_tile_mul_turned_kept", out[2], tile, b, rows, lanes, cols, odd);
    release(s, tile, rows * GRAM_TILE, "a turned tile's margin");
    release(s, b, rows * SIDE, "a turned product's margin");
}

static void test_turned(suite *s)
{
    static const int64_t sizes[] = {0, 1, 5, 16, 31, 48, 64};
    for (size_t r = 0; r < sizeof sizes / sizeof *sizes; r++) {
        for (size_t l = 0; l < sizeof sizes / sizeof *sizes; l++) {
            one_turned(s, sizes[r], sizes[l], l % 2 ? 64 : 16);
        }
    }
}

/* Reductions and the online softmax. */

typedef void reduce(gram_real *, gram_real *, int64_t, int64_t);
typedef void softmax(gram_real *, int64_t, int64_t, gram_real *, gram_real *, gram_real *, int64_t, int64_t);

static void one_reduction(suite *s, int64_t rows, int64_t cols, gram_real odd)
{
    uint64_t seed = (uint64_t)(rows * 64 + cols);
    gram_real *tile = random_buffer(&seed, rows * GRAM_TILE), sum[GRAM_BLOCK], max[GRAM_BLOCK];
    if (rows && cols) {
        tile[(rows / 2) * GRAM_TILE + cols / 2] = odd;
    }
    for (int r = 0; r < rows; r++) {
        sum[r] = 1, max[r] = (gram_real)-0.75;
    }
    ((reduce *)primitive(s, "gram_tile_max"))(max, tile, rows, cols);
    double expected_sum[GRAM_BLOCK], expected_max[GRAM_BLOCK];
    for (int r = 0; r < rows; r++) {
        expected_sum[r] = 1, expected_max[r] = -0.75;
        for (int c = 0; c < cols; c++) {
            expected_sum[r] += tile[r * GRAM_TILE + c];
            expected_max[r] = gram_d_max(expected_max[r], tile[r * GRAM_TILE + c]);
        }
    }
    ((reduce *)primitive(s, "gram_tile_sum"))(sum, tile, rows, cols);
    for (int r = 0; r < rows; r++) {
        check(s, close_to(sum[r], expected_sum[r], 8, 8), "gram_tile_sum", sum[r], expected_sum[r]);
        check(s, close_to(max[r], expected_max[r], 0, 0), "gram_tile_max", max[r], expected_max[r]);
    }
    release(s, tile, rows * GRAM_TILE, "a reduction's margin");
}

/* A softmax of scores, n keys a row, over tiles: weights, sums and outputs against the same in double. */
enum { WIDTH = 40, ROOM = 48, KEYS = 150, QUERIES = 23 };

static void softmax_rows(suite *s, const gram_real *scores, gram_real *weights, gram_real *max, gram_real *sum,
                         gram_real *out)
{
    for (int r = 0; r < QUERIES; r++) {
        max[r] = -INFINITY, sum[r] = 0;
    }
    for (int first = 0; first < KEYS; first += GRAM_TILE) {
        int64_t cols = KEYS - first < GRAM_TILE ? KEYS - first : GRAM_TILE;
        for (int r = 0; r < QUERIES; r++) {
            for (int c = 0; c < cols; c++) {
                weights[r * GRAM_TILE + c] = scores[r * KEYS + first + c];
            }
        }
        ((softmax *)primitive(s, "gram_tile_softmax"))(weights, QUERIES, cols, max, sum, out, ROOM, WIDTH);
        for (int r = 0; r < QUERIES; r++) {
            for (int c = 0; c < GRAM_PADDED(cols); c++) {
                int ended = c < cols || weights[r * GRAM_TILE + c] == 0;
                check(s, ended, "gram_tile_softmax's weight past the end", weights[r * GRAM_TILE + c], 0);
                out[r * ROOM + c % WIDTH] += weights[r * GRAM_TILE + c];
            }
        }
    }
}

/* The weights are by the row's maximum or by a number below it by no more than 4,096 weights of 1 are worth. */
static void check_softmax_row(suite *s, const gram_real *scores, gram_real max, gram_real sum, const gram_real *out)
{
    double greatest = -INFINITY, top = max, expected[WIDTH] = {0}, total = 0, size = 0;
    for (int c = 0; c < KEYS; c++) {
        greatest = scores[c] > greatest ? scores[c] : greatest;
    }
    int near = max == greatest || (max < greatest && greatest - max < log(4097));
    check(s, near, "gram_tile_softmax's max", max, greatest);
    for (int c = 0; c < KEYS; c++) {
        double weight = top == -INFINITY && scores[c] == top ? 0 : exp(scores[c] - top);
        expected[c % GRAM_TILE % WIDTH] += weight;
        total += weight;
        size += isnan(weight) ? 0 : fabs(scores[c]) * weight;
    }
    check(s, close_to(sum, total, size + 1, 20), "gram_tile_softmax's sum", sum, total);
    for (int c = 0; c < WIDTH; c++) {
        int nan = isnan(expected[c]) && isnan(out[c]);
        check(s, nan || close_to(out[c], expected[c], size + 1, 20), "gram_tile_softmax's out", out[c], expected[c]);
    }
}

typedef void finish(gram_real *, int64_t, const gram_real *, int64_t, int64_t);
typedef void logsumexp(gram_real *, const gram_real *, const gram_real *, int64_t);
typedef void logsum(gram_real *, const gram_real *, int64_t);

static void check_finish(suite *s, gram_real *out, const gram_real *max, const gram_real *sum)
{
    gram_real lse[GRAM_BLOCK], logs[GRAM_BLOCK], was[QUERIES * ROOM];
    memcpy(was, out, sizeof was);
    ((finish *)primitive(s, "gram_tile_finish"))(out, ROOM, sum, QUERIES, WIDTH);
    ((logsumexp *)primitive(s, "gram_tile_logsumexp"))(lse, max, sum, QUERIES);
    ((logsum *)primitive(s, "gram_tile_logsum"))(logs, sum, QUERIES);
    for (int r = 0; r < QUERIES; r++) {
        double expected = max[r] == INFINITY ? INFINITY : max[r] + log(sum[r]);
        check(s, close_to(lse[r], expected, 1, 4), "gram_tile_logsumexp", lse[r], expected);
        check(s, close_to(logs[r], log(sum[r]), 1, 4), "gram_tile_logsum", logs[r], log(sum[r]));
        for (int c = 0; c < WIDTH; c++) {
            double share = sum[r] == 0 ? 0 : (double)was[r * ROOM + c] / sum[r];
            check(s, close_to(out[r * ROOM + c], share, 0, 4), "gram_tile_finish", out[r * ROOM + c], share);
        }
    }
}

/* Rows with -inf, all -inf, with NaN, +inf, growing, falling, of huge range; and ordinary ones, each growing faster. */
static void test_softmax(suite *s)
{
    uint64_t seed = 3;
    gram_real *scores = random_array(&seed, QUERIES * KEYS), *weights = buffer(QUERIES * GRAM_TILE);
    gram_real *out = buffer(QUERIES * ROOM), *max = buffer(GRAM_BLOCK), *sum = buffer(GRAM_BLOCK);
    memset(out, 0, QUERIES * ROOM * sizeof *out);
    for (int c = 0; c < KEYS; c++) {
        scores[c] *= 30;
        scores[KEYS + c] = c % 3 ? scores[KEYS + c] : -INFINITY;
        scores[2 * KEYS + c] = -INFINITY;
        scores[3 * KEYS + c] = c < 70 ? -INFINITY : scores[3 * KEYS + c];
        scores[4 * KEYS + c] = c == 80 ? (gram_real)NAN : scores[4 * KEYS + c];
        scores[5 * KEYS + c] = c == 60 ? (gram_real)NAN : -INFINITY;
        scores[6 * KEYS + c] = c == 65 ? (gram_real)INFINITY : scores[6 * KEYS + c];
        scores[7 * KEYS + c] = (gram_real)c / 2 - 40;
        scores[8 * KEYS + c] = 40 - (gram_real)c / 2;
        scores[9 * KEYS + c] *= 2000;
        for (int r = 12; r < QUERIES; r++) {
            scores[r * KEYS + c] += (gram_real)((r - 12) * c) / 64;
        }
    }
    softmax_rows(s, scores, weights, max, sum, out);
    for (int r = 0; r < QUERIES; r++) {
        check_softmax_row(s, scores + r * KEYS, max[r], sum[r], out + r * ROOM);
    }
    check_finish(s, out, max, sum);
    release(s, weights, QUERIES * GRAM_TILE, "gram_tile_softmax's margin");
    release(s, out, QUERIES * ROOM, "gram_tile_softmax's margin");
    release(s, max, GRAM_BLOCK, "gram_tile_softmax's margin");
    release(s, sum, GRAM_BLOCK, "gram_tile_softmax's margin");
    free(scores);
}

static void test_reductions(suite *s)
{
    for (int64_t rows = 0; rows <= GRAM_BLOCK; rows += 7) {
        for (int64_t cols = 0; cols <= GRAM_TILE; cols += 8) {
            one_reduction(s, rows, cols, 5);
            one_reduction(s, rows, cols ? cols - 3 : 1, (gram_real)NAN);
            one_reduction(s, rows, cols, -INFINITY);
        }
    }
}

static void test_choice(suite *s)
{
    check(s, !gram_tiles(REAL_BITS, INT_BITS, "none"), "an unknown instruction set has no table", 1, 0);
    check(s, gram_tiles(REAL_BITS, INT_BITS, NULL) != NULL, "every CPU has a table", 0, 1);
}

int main(void)
{
    static test *const tests[] = {test_choice,  test_products, test_bits, test_reading, test_far_gather,
                                  test_indices, test_reductions, test_keeping, test_turned,
                                  test_softmax};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
