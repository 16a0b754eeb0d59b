/* The intermediate representation: a graph of matrix operations over tokens, which also holds the scalar formulas.
 *
 * There is one kind of node. A node is a matrix (rows x cols, per head, per batch item) and a scalar formula is an
 * elementwise operation on matrices whose sizes of 1 are broadcast: inside map(f, A), the argument a is A itself, the
 * index i is a column 0, 1, 2, ... (rows x 1), the index j is a row (1 x cols). So a node's shape is its rate too:
 *
 *     1 x 1  constant (or one per head, per item)      rows x 1  one per key (row token)
 *     1 x n  one per query (column token)              rows x n  one per pair
 *
 * Inside each(A, m, f) there is a third size, `each`: a batch item is cut into so many, one for each column of A. It
 * repeats where it is 1, as the others do.
 *
 * A node with `keep` has dropped entries, where that predicate (of a broadcastable shape) is false: they add nothing to
 * any sum or maximum, their value is never used, and as an output they are 0.
 * Nodes are made by gram_node, which shares equal ones, and are never changed afterwards. */
#ifndef GRAM_IR_H
#define GRAM_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

/* A size: a number plus a sum of runtime sizes, `times[s]` of size s (an index into gram_spec.sizes). */
enum { GRAM_SIZES = 24 };
typedef struct gram_dim {
    int64_t number;
    uint8_t times[GRAM_SIZES];
} gram_dim;

gram_dim gram_dim_number(int64_t n);
gram_dim gram_dim_size(int size);
bool gram_dim_equal(gram_dim a, gram_dim b);
bool gram_dim_is(gram_dim a, int64_t n); /* the number n, known when generating */
bool gram_dim_known(gram_dim a);         /* no runtime size in it */
gram_dim gram_dim_add(gram_dim a, gram_dim b);
bool gram_dim_fits(gram_dim a, gram_dim b);     /* can the two be added? */
gram_dim gram_dim_times(gram_dim a, int64_t k); /* the number 0 where that is too large a size */
/* "n + k", "n + 1": more than one term. */
bool gram_dim_is_sum(gram_dim a);
/* May the two meet in an operation? Equal ones may; a sum of sizes meets anything, and is checked when the
 * kernel runs. */
bool gram_dim_meets(gram_dim a, gram_dim b);

typedef enum gram_type { GRAM_REAL, GRAM_INT, GRAM_BOOL } gram_type;

/* Matrix operations. A and B are operands, r x c the result's shape; see ops.def for the scalar ones, which follow.
 *
 *   MOP(id, name)                                                                                                   */
#define GRAM_MATRIX_OPS(MOP) \
    MOP(INPUT, "input")         /* a declared array: node.input                                               */ \
    MOP(NUMBER, "number")       /* node.number, 1 x 1, real or integer                                        */ \
    MOP(SIZE, "size")           /* node.dim as an integer, 1 x 1                                              */ \
    MOP(ROW, "row")             /* rows x 1: 0, 1, 2, ...  (i, the key)                                       */ \
    MOP(COL, "col")             /* 1 x cols: 0, 1, 2, ...  (j, the query)                                     */ \
    MOP(LOOP, "loop")           /* 1 x 1: the index of the column that an OVER makes                          */ \
    MOP(OVER, "over")           /* column j of r x c is A (r x 1) with j as its LOOP                          */ \
    MOP(SCAN, "scan")           /* result node.index of node.scan over node.dim columns, see scan.h           */ \
    MOP(HEAD, "head")           /* 1 x 1, heads: the head's index                                             */ \
    MOP(BATCH, "batch")         /* 1 x 1, batched: the item's index                                           */ \
    MOP(EXPAND, "expand")       /* A repeated to r x c                                                        */ \
    MOP(KEEP, "keep")           /* A where predicate B holds, else dropped                                    */ \
    MOP(SURROGATE, "surrogate") /* A, whose gradient is handed on to B instead                                    */ \
    MOP(GATHER, "gather")       /* A[B, C]: entry (row B, column C) of A, clamped into range; a dropped one is 0 */ \
    MOP(SCATTER, "scatter")     /* r x c of zeros, to which A's entries are added at (row B, column C), clamped  */ \
    MOP(MATMUL, "matmul")       /* A (r x k) times B (k x c)                                                  */ \
    MOP(TRANSPOSE, "transpose") /* c x r of A                                                                 */ \
    MOP(SQDIST, "sqdist")       /* A (k x r), B (k x c): |a_i - b_j|^2 over columns                           */ \
    MOP(DIST1, "dist1")         /* the same: sum_p |a_pi - b_pj|                                              */ \
    MOP(SUM, "sum")             /* down each column: r x c to 1 x c                                           */ \
    MOP(MAXIMUM, "maximum")     /* down each column; -inf where nothing is left                               */ \
    MOP(SOFTMAX, "softmax")     /* down each column; zeros where nothing is left or all is -inf               */ \
    MOP(LOGSUMEXP, "logsumexp") /* down each column to 1 x c; -inf likewise                                   */ \
    MOP(PEAK, "peak")           /* down each column, for LOGSUM: the maximum, NaN left aside                  */ \
    MOP(LOGSUM, "logsum")       /* down each column: log sum e^(a - peak), so that LOGSUMEXP is peak + logsum  */ \
    MOP(THRESHOLD, "threshold") /* A, and node.fn names f: t per column (1 x c) so that sum f(a - t) = 1      */ \
    MOP(LOG2_CEIL, "log2_ceil") /* down each column to 1 x c: ceil(log2 of the sum of 2^a), exact for integers a  */ \
    MOP(TOP, "top")             /* 1 where an entry is among its column's node.dim largest, ties to the lower row */ \
    MOP(CUMSUM, "cumsum")       /* along the columns: entry (i, j) is the sum of A's (i, 0..j)                */ \
    MOP(CIRCULANT, "circulant") /* r x r of a column A: entry (i, j) is A[(i - j) mod r]                         */ \
    MOP(WRAP, "wrap")           /* r x 1 of a square A: entry k is the sum over j of A[(j + k) mod r, j]         */ \
    MOP(CONVOLVE, "convolve")   /* A (r x c) times the matrix that column B and node.index stand for, see fft.h  */ \
    MOP(LAGS, "lags")           /* c x 1: entry k is the sum over j of A[:, j + k] times B[:, j], see fft.h;        \
                                   with C, D: of the softmax of C at (j, j + k) times that less D[j + k]         */ \
    MOP(CUMSUM_LOST, "cumsum_lost") /* what rounding takes from CUMSUM's entries                              */ \
    MOP(INVERSE, "inverse")         /* of a square A of number size                                               */ \
    MOP(EXPM, "expm")               /* the matrix exponential, likewise                                           */ \
    MOP(IDENTITY, "identity")       /* r x r                                                                      */ \
    MOP(DIAG, "diag")               /* a column (r x 1) on the diagonal of r x r                                  */ \
    MOP(HCAT, "hcat")               /* A beside B                                                                 */ \
    MOP(VCAT, "vcat")               /* A over B                                                                   */ \
    MOP(ROWS, "rows")               /* r rows of A from node.from (a gram_dim)                                    */ \
    MOP(RESHAPE, \
        "reshape")    /* r x c of A's entries in their order: down columns, then along them, then item by item    */ \
    MOP(ITEM, "item") /* 1 x 1: which of node.each items this is                                    */ \
    MOP(HEAD_AT, "head_at")           /* A's head node.index alone; the result has no heads axis                    */ \
    MOP(STACK_HEADS, "stack_heads")   /* operands without heads, side by side as heads                              */ \
    MOP(SPLIT_HEADS, "split_heads")   /* (H r) x c to r x c with H = node.heads                                     */ \
    MOP(CONCAT_HEADS, "concat_heads") /* r x c with H heads to (H r) x c                                            */ \
    MOP(SUM_HEADS, "sum_heads")       /* the sum over the heads axis                                                */

typedef enum gram_op {
#define MOP(id, name) GRAM_OP_##id,
    GRAM_MATRIX_OPS(MOP)
#undef MOP
        GRAM_OP_FIRST_SCALAR,
    GRAM_OP_BEFORE_SCALAR = GRAM_OP_FIRST_SCALAR - 1,
#define OP(id, name, result, operands, vector, reference, range, ...) GRAM_OP_##id,
#include "../runtime/ops.def"
#undef OP
    GRAM_OP_COUNT
} gram_op;

/* What an operation's row in ops.def (or above) says; operands is "" for matrix operations. */
typedef struct gram_op_info {
    const char *name;
    gram_type result;
    const char *operands;
    const char *vector;
    const char *range;
    const char *derivative;
} gram_op_info;
extern const gram_op_info gram_ops[GRAM_OP_COUNT];
static inline bool gram_op_is_scalar(gram_op op)
{
    return op >= GRAM_OP_FIRST_SCALAR;
}

/* A declaration: how a node's matrix lies in the caller's array. */
typedef enum gram_kind {
    GRAM_TOKENS,      /* rows x cols, one column per token: [batch, H, cols, rows] */
    GRAM_SCORES,      /* rows x cols pair values:           [batch, H, cols, rows] */
    GRAM_MATRIX,      /* rows x cols weights:               [H, rows, cols]        */
    GRAM_VECTOR,      /* rows x 1:                          [batch, H, rows]       */
    GRAM_SCALAR,      /* 1 x 1:                             [H]                    */
    GRAM_IDS,         /* rows x 1 integers:                 [batch, rows]          */
    GRAM_PAIR_IDS,    /* rows x cols integers:              [batch, cols, rows]    */
    GRAM_COUNT,       /* 1 x 1 integer:                     [batch]                */
    GRAM_TOKENS_FLAT, /* tokens, {layout = "token"}:        [batch, cols, H, rows] */
    GRAM_STARTS,      /* where the items' tokens start:     [batch + 1]            */
} gram_kind;

typedef struct gram_input {
    const char *name;
    gram_kind kind;
    gram_dim rows, cols;
    int heads;       /* 0: no heads axis */
    bool batched;    /* has a batch axis (arrays may leave out one of 1) */
    int64_t below;   /* integers: values are in [0, below) where below > 0 */
    const char *key; /* the tensor's name in a weights file, or NULL */
    gram_loc loc;
    int index;                       /* position among the spec's inputs */
    bool optional;                   /* NULL counts as zeros: an output's gradient */
    const struct gram_input *starts; /* ragged: the items' tokens lie end to end, without a batch axis, from here on */
} gram_input;

enum { GRAM_MOST_DEPTH = 10000 };
typedef struct gram_node gram_node;
struct gram_node {
    gram_op op;
    gram_type type;
    gram_dim rows, cols;
    gram_dim each; /* 1, or how many items `each` makes of one of the batch */
    int heads;     /* 0: the same for every head */
    bool batched;  /* differs between batch items */
    int nargs;
    gram_node **args;
    gram_node *keep; /* predicate, or NULL: nothing dropped */
    double number;   /* NUMBER */
    gram_dim dim;    /* SIZE: the value; ROWS: the first row; TOP: how many; SCAN: the columns walked */
    int index;       /* HEAD_AT; CONVOLVE, LAGS: the mode; SCAN: which result */
    const struct gram_scan *scan;
    const char *fn; /* THRESHOLD */
    const gram_input *input;
    gram_loc loc;   /* the spec line that made it */
    bool of_matrix; /* a declared matrix is among what it is made from */
    bool vector;    /* a row, column or number of vectors and sums: as an array it has no axis for its size of 1 */
    int depth;      /* operations on the longest way down to a leaf; at most GRAM_MOST_DEPTH: passes may recurse */
    int id;         /* in order of making: operands come before their users */
    bool shared;    /* set by simplify: a product that several formulas use, computed once and not taken apart */
};

typedef struct gram_output {
    const char *name;
    gram_node *node;
    const gram_node *traced;  /* after simplifying: the node as traced, whose heads and batch the array has */
    const gram_input *like;   /* a gradient: the input whose array's shape it has */
    const gram_input *over;   /* in place: the input whose array it overwrites where it differs from it */
    const gram_input *starts; /* ragged, as of an input */
    bool summed;              /* a gradient: the sum over the batch's items, where the input is the same for all */
} gram_output;

/* A node whose value an input holds too, so that no kernel need compute it: a gradient's, of an output that is
 * given. */
typedef struct gram_given {
    gram_node *node;
    const gram_input *input;
} gram_given;

/* Two sizes that met in an operation, at least one of them a sum: the kernel checks that they are equal when it
 * runs. */
typedef struct gram_check {
    gram_dim a, b;
    gram_loc loc;
} gram_check;

/* A traced spec: all that later passes and the reference need. Everything lies in the context's arena. */
typedef struct gram_spec {
    const char *name, *doc, *file;
    const char *text; /* the spec's source, for its hash */
    int nsizes;
    const char *sizes[GRAM_SIZES];        /* runtime sizes in order of first use */
    const gram_input *starts[GRAM_SIZES]; /* of a size that each item has for itself; NULL: one for all */
    int ninputs;
    gram_input **inputs; /* in order of declaration */
    int noutputs;
    gram_output *outputs; /* sorted by name */
    int ngiven;
    gram_given *given;
    int nchecks, check_capacity;
    gram_check *checks;
    double tolerance;              /* 0: the default of the real type */
    int northogonal, npermutation; /* declared symmetries: inputs' names */
    const char **orthogonal, **permutation;
    int ngrad; /* inputs whose gradient is asked for */
    const char **grad;
    int nparameters_with_size;    /* weights whose shape depends on a runtime size (finite information) */
    const struct gram_scan *scan; /* whose f it is, column by column; NULL: a kernel */
} gram_spec;

/* Are its outputs derivatives, each shaped as what it is taken by or of? */
bool gram_is_derivative(const gram_spec *spec);

/* A node for op over args with the shape, heads and type that the operation's rule gives; an equal node made before is
 * returned instead. `like` gives the attributes (number, dim, index, fn, input, and for leaves type, rows, cols, heads,
 * batched); NULL where op needs none. Fails with an error at loc where the operands do not fit: shapes are named as the
 * spec wrote them ("64 x m times 32 x n: inner sizes 64 and 32 differ"). */
gram_node *gram_node_make(gram_ctx *ctx, gram_loc loc, gram_op op, int nargs, gram_node *const *args,
                          const gram_node *like);
/* Shorthands over gram_node_make. */
gram_node *gram_node_number(gram_ctx *ctx, gram_loc loc, gram_type type, double value);
gram_node *gram_node_unary(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a);
gram_node *gram_node_binary(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a, gram_node *b);
gram_node *gram_node_ternary(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a, gram_node *b, gram_node *c);
gram_node *gram_node_expand(gram_ctx *ctx, gram_loc loc, gram_node *a, gram_dim rows, gram_dim cols);
/* a with zeros for dropped entries: each read by its index, and so read a dropped entry is 0. */
gram_node *gram_node_filled(gram_ctx *ctx, gram_loc loc, gram_node *a);
/* Is node one of these n nodes, or made of any? */
bool gram_node_needs(gram_ctx *ctx, const gram_node *node, gram_node *const *any, int n);
/* Is it another for each column that an OVER around it makes? */
bool gram_node_loops(gram_ctx *ctx, const gram_node *node);

/* Names for people, in the context's arena: "64", "m", "n + k"; "64 x m"; the formula in the spec's notation. */
const char *gram_dim_text(gram_ctx *ctx, gram_dim dim);
const char *gram_shape_text(gram_ctx *ctx, const gram_node *node);
const char *gram_node_text(gram_ctx *ctx, const gram_node *node);
/* The whole graph, a node a line, for gram show --stage ir. */
void gram_spec_print(gram_ctx *ctx, const gram_spec *spec, gram_text *out);

#endif
