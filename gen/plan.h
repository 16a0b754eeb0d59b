/* The plan: plain data that says which loops run over which arrays. Made by plan.c, printed by plan_print.c, turned
 * into C by emit.c.
 *
 * A step works on a tile space: *lanes* are the rows of its matrix (keys, or the features of a token) and lie along
 * vectors, 64 to a tile; *queries* are its columns, up to 64 to a block. Two kinds of step cover every formula:
 *
 *   map     out = f(tile): a projection with what follows it, an elementwise formula, a pair matrix that must be built
 *   linear  the sums of a stream whose coefficients are causal products: with all keys before a block as one matrix
 *   stream  over tiles of lanes: scores are made, used up in sums over the lanes, and forgotten; then an epilogue per block
 *
 * and a scan walks columns in order, with a plan of its own for what each column makes.
 *
 * What a tile holds is a program: instructions in single assignment, each with its rate. */
#ifndef GRAM_PLAN_H
#define GRAM_PLAN_H

#include "ir.h"
#include "real.h"

/* An array that the kernel reads or writes, always seen as rows x cols per head and item. */
typedef enum gram_storage { GRAM_AT_INPUT, GRAM_AT_OUTPUT, GRAM_AT_WORK, GRAM_AT_VIEW } gram_storage;
typedef enum gram_view_of {
    GRAM_VIEW_TRANSPOSE,
    GRAM_VIEW_ROWS,   /* from row `from` on */
    GRAM_VIEW_COLS,   /* from column `from` on */
    GRAM_VIEW_HEAD,   /* head `index` alone */
    GRAM_VIEW_SPLIT,  /* (H rows) x cols seen as H heads of rows x cols */
    GRAM_VIEW_CONCAT, /* the reverse, of an array whose heads lie inside a token */
    GRAM_VIEW_SHAPE,  /* all of a dense array, in another shape */
} gram_view_of;

typedef struct gram_buffer {
    const char *name;      /* of the C variable */
    const gram_node *node; /* what it holds; NULL for a part of another */
    gram_storage storage;
    gram_type type;
    int index; /* of the input or output; VIEW_HEAD: the head */
    gram_dim rows, cols;
    gram_dim each; /* 1, or how many items it has for each of the batch: [batch * each, heads, cols, rows] */
    int heads;
    bool batched;
    bool half;        /* of 16-bit floats, the caller's; see real.h */
    bool flat;        /* heads inside a token: [batch, cols, heads, rows] */
    bool weights;     /* [heads, rows, cols] as written in the maths */
    bool read_beyond; /* WORK: as much as a vector behind its end is read, and not used */
    int base;         /* VIEW: the array seen */
    gram_view_of view;
    gram_dim from;
} gram_buffer;

/* A copy made once per head and item: columns padded to whole vectors; panels of 64 rows, transposed; or such panels of
 * -1, 0 and 1 as bits, a word for each GRAM_WORD of them that says which are not 0, and one that says which are below
 * 0. */
typedef enum gram_pack_kind { GRAM_PACK_PADDED, GRAM_PACK_PANELS, GRAM_PACK_PLANES } gram_pack_kind;
typedef struct gram_pack {
    int buffer;
    gram_pack_kind kind;
    gram_dim inner; /* of panels: what a row has */
} gram_pack;

/* Which axes a value varies along. */
enum { GRAM_RATE_ONE = 0, GRAM_RATE_LANE = 1, GRAM_RATE_QUERY = 2, GRAM_RATE_PAIR = 3 };

typedef enum gram_instr_kind {
    GRAM_I_OP, /* a scalar operation */
    GRAM_I_NUMBER,
    GRAM_I_SIZE,
    GRAM_I_ROW,
    GRAM_I_COL,
    GRAM_I_HEAD,
    GRAM_I_BATCH,
    GRAM_I_ITEM,
    GRAM_I_LOAD,    /* buffer's entries */
    GRAM_I_GATHER,  /* buffer at (args[0], args[1]) */
    GRAM_I_LEAF,    /* leaf's products or distances */
    GRAM_I_SUM_OF,  /* stream epilogue: accumulator `index` */
    GRAM_I_STAT,    /* stream epilogue: statistic `index`, per query */
    GRAM_I_LOOP,    /* stream with `outer`: the column under way */
    GRAM_I_SCATTER, /* adds args[0] to buffer at (args[1], args[2]) */
} gram_instr_kind;

typedef struct gram_instr {
    gram_instr_kind kind;
    gram_op op;
    gram_type type;
    int rate;
    int args[3];
    int nargs;
    double number;
    gram_dim dim;
    int buffer, index;
    int heads;             /* HEAD: of so many */
    const gram_node *node; /* what it computes, for comments */
} gram_instr;

/* Is it but a value of a lesser rate, spread over pairs: the greater of that and itself? */
bool gram_is_spread(const gram_instr *instr);

typedef struct gram_program {
    int n;
    gram_instr *instr;
} gram_program;

/* left (rows x inner, read along lanes) times right (inner x cols, read along queries), or distances between them. */
typedef struct gram_leaf {
    gram_op op;
    int left, right;
    gram_dim inner, terms; /* what a row or column has, and what is summed over: more, where bits hold it */
    bool bits;             /* both of -1, 0 and 1 */
    int pack;              /* -1: read in place */
    bool same;             /* queries and keys are the same tokens of the workspace: packed keys serve as queries too */
    int scale;             /* instruction of rate ONE that the product is multiplied by, or -1 */
} gram_leaf;

/* A sum over lanes: rows x queries += left (rows x lanes) times the tile that instruction `root` makes. Or, a side of a
 * stream, over its queries: rows x lanes += left (rows x queries) times the tile turned; without left, the tile's
 * column. */
typedef struct gram_sum {
    const gram_node *node;
    int left;
    gram_dim rows;
    int pack; /* -1: read in place */
    int root;
    int buffer; /* a side: where it goes */
} gram_sum;

typedef struct gram_stat {
    const gram_node *node;
    gram_op op; /* SUM, MAXIMUM; of a softmax PEAK, LOGSUM, LOGSUMEXP */
    int root;   /* the instruction whose tile it is of */
} gram_stat;

/* A tile that is stored: root's value (0 where mask does not hold) into a buffer. */
typedef struct gram_store_plan {
    gram_program program;
    int root, mask; /* instructions; mask -1: all kept */
    gram_dim lanes;
    int buffer;
} gram_store_plan;

enum { GRAM_MOST = 64 };

/* May a stream's queries all fit one block? Told by the runtime size where it is not known before. */
enum { GRAM_FEW_QUERIES = 64, GRAM_PART_KEYS = 1024 }; /* GRAM_BLOCK and GRAM_PART of runtime/kernel.h */
typedef enum gram_few { GRAM_FEW_NEVER, GRAM_FEW_PERHAPS, GRAM_FEW_ALWAYS } gram_few;

/* A factor of a linear step's coefficients, as a formula over tiles of its own; root -1: there is none. */
typedef struct gram_part {
    gram_program program;
    int root;
} gram_part;

/* g = product * exp(exponent) * slope * (a number for each key) * (one for each query), see plan_linear.c. */
typedef struct gram_linear {
    bool backwards; /* the keys of a query are those after it */
    gram_part exponent, slope, keys, queries;
} gram_linear;

/* What a scan does for each column: the kernel that f is; and which of f's results the step's stores are. A walk back
 * over the states before each column of a walk forth may have that within it: `before`, which goes through all columns
 * once, keeping a state of every GRAM_SEGMENT, and then again, from the last segment to the first, through each before
 * the walk back does. */
typedef struct gram_walk {
    const struct gram_scan *scan;
    struct gram_plan *plan;
    int result[GRAM_MOST];
    int first; /* of its operands, among the step's sums */
    struct gram_walk *before;
    int column[GRAM_MOST]; /* of `before`: by its state, which input of the walk back it is for each column; -1: none */
} gram_walk;

enum { GRAM_SEGMENT_COLUMNS = 64 }; /* GRAM_SEGMENT of runtime/kernel.h */

typedef struct gram_step {
    const char *name;
    const char *template; /* "map", "stream", ... */
    gram_dim lanes, queries;
    gram_dim each; /* 1, or how many items there are for each of the batch */
    int heads;
    bool batched;
    gram_program program;
    int root, mask;
    const gram_node *what;   /* the node whose tiles root computes */
    const gram_node *stored; /* the formula that the epilogue being made computes */
    const gram_node *keep;   /* its predicate */
    gram_dim outer;          /* stream: 1, or the columns of an OVER, each a stream whose sums go down that column */
    gram_few few;            /* stream: few queries are a loop of their own */
    gram_linear *linear;     /* linear; else NULL */
    gram_walk *walk;         /* scan, whose operands are left factors of sums; else NULL */
    bool in_place;           /* map: what is stored overwrites an input, where the mask holds */
    bool softmax;            /* stream: the tile is exp(root - running maximum) */
    int nleaves, nsums, nsides, nstats, nstores;
    gram_leaf leaves[GRAM_MOST];
    gram_sum sums[GRAM_MOST], sides[GRAM_MOST];
    gram_stat stats[GRAM_MOST];
    gram_store_plan stores[GRAM_MOST];
} gram_step;

/* What runs on the team, in order: a pack or a step (the other is -1). */
typedef struct gram_phase {
    int pack, step;
} gram_phase;

/* An array of the workspace: a buffer, a pack, or the states that a step has for its parts. It is in use from phase
 * `first` to phase `last`, both counted; last is -1 where it is not used at all. A loop of few queries, which runs
 * where `few` is no more than GRAM_BLOCK, may need it to phase `few_last`. */
typedef enum gram_life_kind { GRAM_LIFE_BUFFER, GRAM_LIFE_PACK, GRAM_LIFE_STATES } gram_life_kind;
typedef struct gram_life {
    gram_life_kind kind;
    int index; /* among the plan's buffers, packs or steps */
    int first, last, few_last;
    gram_dim few;
    int room;       /* arrays of one room take turns in it; -1: unused */
    double nominal; /* numbers, were every runtime size GRAM_MANY */
    bool grows;     /* with a runtime size */
    bool alone;     /* shares no room */
} gram_life;

typedef struct gram_plan {
    const gram_spec *spec;
    const gram_real_type *real; /* of the caller's arrays */
    int real_bits;              /* of all others */
    int nbuffers, npacks, nsteps, norder, nlives, nrooms;
    gram_buffer *buffers;
    gram_pack *packs;
    gram_step **steps;
    gram_phase *order;
    gram_life *lives; /* large ones first */
    bool wide;        /* integers need 64 bits beside 32-bit reals */
    bool dense;       /* some matrix over pairs is built though no output asked for it */
} gram_plan;

/* May node's integers leave the 32 bits that a lane has? Indices and sizes are below 2^30. */
bool gram_is_wide(gram_ctx *ctx, const gram_spec *spec);

/* GRAM_PAD of runtime/kernel.h, the numbers that rows are padded to; and are so many rows a multiple of it? */
int gram_pad(const gram_plan *plan);
bool gram_is_whole_vectors(const gram_plan *plan, gram_dim rows);
/* Does one number per key or query change along the lanes of the buffer with step 1? */
bool gram_buffer_contiguous(const gram_plan *plan, int buffer);

/* How the primitives that read or write this buffer end: "_f16" or "_bf16" for 16-bit floats, else "". */
const char *gram_half(const gram_plan *plan, int buffer);

/* Puts the steps in the order in which they run (plan_order.c). */
void gram_order_steps(gram_ctx *ctx, gram_plan *plan);
/* Puts packs and steps in order, and the arrays of the workspace into rooms (schedule.c). */
void gram_schedule(gram_ctx *ctx, gram_plan *plan);
/* Is it the caller's array of an output, whose room is no part of the workspace? */
bool gram_is_output(const gram_plan *plan, const gram_life *life);
/* Is the buffer, or a view of it, read by a step or packed? */
bool gram_is_read(const gram_plan *plan, int buffer);
/* The array that a view, or a view of one, is a part of; itself where it is none. */
int gram_buffer_base(const gram_plan *plan, int buffer);
/* Does the step read it, as a pack of it too? */
bool gram_reads(const gram_step *step, int buffer);
/* Does the step store into it? */
bool gram_writes(const gram_step *step, int buffer);
/* The input that the buffer overwrites in place, or NULL. */
const gram_input *gram_overwrites(const gram_plan *plan, int buffer);
/* Is it an output that its caller may leave out, and which nothing else needs? */
bool gram_is_optional(const gram_plan *plan, int buffer);

bool gram_is_linear(const gram_step *step);
/* The walk within a scan's walk back, or NULL. */
const gram_walk *gram_walk_before(const gram_step *step);
/* May few queries have so many keys that these are cut into parts? */
bool gram_has_parts(const gram_step *step);
/* Does the step keep something from one of its phases to the next? */
bool gram_has_states(const gram_plan *plan, const gram_step *step);
/* Does a step with sides add up its sums, or its sides, in the arrays where they go, for whole vectors of them lie
 * there? */
bool gram_sums_in_place(const gram_plan *plan, const gram_step *step);
bool gram_sides_in_place(const gram_plan *plan, const gram_step *step);
/* Is it a store of nothing but a sum that is added up in place? */
bool gram_is_stored_in_place(const gram_plan *plan, const gram_step *step, const gram_store_plan *store);
/* How often the step multiplies and adds for each of its pairs: its products' inner sizes, n of them, into dims. */
int gram_pair_products(const gram_step *step, gram_dim *dims);
/* A map of nothing but a product, which may go to its array without a tile between. */
bool gram_is_direct(const gram_plan *plan, const gram_step *step);
/* Does the step read a pack, at least where its queries are many? */
bool gram_reads_pack(const gram_step *step, int pack);

#endif
