/* Sizes, the table of operations, and the making of nodes: gram_node_make asks shape.c for the result's shape, then
 * looks for an equal node made before, so that equal formulas are one node and a pass may compare pointers. */
#include "ir.h"

#include <string.h>

#include "shape.h"

/* The letters of ops.def. */
#define TYPE_R GRAM_REAL
#define TYPE_I GRAM_INT
#define TYPE_B GRAM_BOOL

const gram_op_info gram_ops[GRAM_OP_COUNT] = {
#define MOP(id, name) [GRAM_OP_##id] = {name, GRAM_REAL, "", NULL, NULL, NULL},
    GRAM_MATRIX_OPS(MOP)
#undef MOP
#define OP(id, name, result, operands, vector, reference, range, ...) \
    [GRAM_OP_##id] = {#name, TYPE_##result, #operands, #vector, #range, #__VA_ARGS__},
#include "../runtime/ops.def"
#undef OP
};

gram_dim gram_dim_number(int64_t n)
{
    return (gram_dim){.number = n};
}

gram_dim gram_dim_size(int size)
{
    gram_dim dim = {0};
    dim.times[size] = 1;
    return dim;
}

bool gram_dim_equal(gram_dim a, gram_dim b)
{
    return a.number == b.number && memcmp(a.times, b.times, sizeof a.times) == 0;
}

bool gram_dim_known(gram_dim a)
{
    return gram_dim_equal(a, gram_dim_number(a.number));
}

bool gram_dim_is(gram_dim a, int64_t n)
{
    return gram_dim_equal(a, gram_dim_number(n));
}

gram_dim gram_dim_add(gram_dim a, gram_dim b)
{
    a.number += b.number;
    for (int s = 0; s < GRAM_SIZES; s++)
        a.times[s] = (uint8_t)(a.times[s] + b.times[s]);
    return a;
}

gram_dim gram_dim_times(gram_dim a, int64_t k)
{
    bool fits = k == 0 || a.number <= INT32_MAX / k;
    a.number *= fits ? k : 0;
    for (int s = 0; s < GRAM_SIZES; s++) {
        fits = fits && a.times[s] * k <= UINT8_MAX;
        a.times[s] = (uint8_t)(a.times[s] * k);
    }
    return fits ? a : gram_dim_number(0);
}

bool gram_dim_fits(gram_dim a, gram_dim b)
{
    bool fits = a.number <= INT32_MAX - b.number;
    for (int s = 0; s < GRAM_SIZES; s++)
        fits = fits && a.times[s] + b.times[s] <= UINT8_MAX;
    return fits;
}

bool gram_dim_is_sum(gram_dim a)
{
    int terms = a.number != 0;
    for (int s = 0; s < GRAM_SIZES; s++)
        terms += a.times[s];
    return terms > 1;
}

bool gram_dim_meets(gram_dim a, gram_dim b)
{
    if (gram_dim_known(a) && gram_dim_known(b))
        return a.number == b.number;
    return gram_dim_equal(a, b) || gram_dim_is_sum(a) || gram_dim_is_sum(b);
}

/* Open addressing over nodes by hash; room for twice as many as there are. */
struct gram_nodes {
    gram_node **slots;
    size_t capacity, count;
};

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* Equal nodes hash alike; the shape follows from the rest but for leaves, which are few. */
static uint64_t node_hash(const gram_node *node)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, &node->op, sizeof node->op);
    for (int i = 0; i < node->nargs; i++)
        hash = hash_bytes(hash, &node->args[i]->id, sizeof node->args[i]->id);
    hash = hash_bytes(hash, &node->number, sizeof node->number);
    hash = hash_bytes(hash, &node->index, sizeof node->index);
    hash = hash_bytes(hash, &node->input, sizeof node->input);
    hash = hash_bytes(hash, &node->scan, sizeof node->scan);
    hash = hash_bytes(hash, &node->rows.number, sizeof node->rows.number);
    hash = hash_bytes(hash, node->dim.times, sizeof node->dim.times);
    return hash ^ hash >> 29;
}

static bool same_name(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool node_equal(const gram_node *a, const gram_node *b)
{
    return a->op == b->op && a->type == b->type && a->nargs == b->nargs &&
           (a->nargs == 0 || memcmp(a->args, b->args, (size_t)a->nargs * sizeof *a->args) == 0) &&
           memcmp(&a->number, &b->number, sizeof a->number) == 0 && a->index == b->index && a->input == b->input &&
           a->scan == b->scan && a->heads == b->heads && a->batched == b->batched && same_name(a->fn, b->fn) &&
           gram_dim_equal(a->rows, b->rows) && gram_dim_equal(a->cols, b->cols) && gram_dim_equal(a->dim, b->dim) &&
           gram_dim_equal(a->each, b->each);
}

static gram_node **nodes_slot(const struct gram_nodes *nodes, const gram_node *node)
{
    size_t i = node_hash(node) & (nodes->capacity - 1);
    while (nodes->slots[i] && !node_equal(nodes->slots[i], node))
        i = (i + 1) & (nodes->capacity - 1);
    return &nodes->slots[i];
}

static void nodes_grow(gram_ctx *ctx, struct gram_nodes *nodes)
{
    struct gram_nodes old = *nodes;
    nodes->capacity = old.capacity ? old.capacity * 2 : 256;
    nodes->slots = gram_alloc(ctx, nodes->capacity * sizeof *nodes->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i])
            *nodes_slot(nodes, old.slots[i]) = old.slots[i];
}

static struct gram_nodes *nodes_of(gram_ctx *ctx)
{
    if (!ctx->nodes)
        ctx->nodes = gram_alloc(ctx, sizeof *ctx->nodes);
    if (ctx->nodes->count * 2 >= ctx->nodes->capacity)
        nodes_grow(ctx, ctx->nodes);
    return ctx->nodes;
}

static int depth_of(gram_ctx *ctx, gram_loc loc, const gram_node *node)
{
    int depth = node->keep ? node->keep->depth + 1 : 0;
    for (int k = 0; k < node->nargs; k++)
        if (node->args[k]->depth >= depth)
            depth = node->args[k]->depth + 1;
    if (depth > GRAM_MOST_DEPTH)
        gram_fail(ctx, loc, "%s: more than %d operations on top of one another", gram_node_text(ctx, node),
                  GRAM_MOST_DEPTH);
    return depth;
}

/* The predicate comes first: operands have lower ids than their users, and a user reads it. */
static gram_node *node_store(gram_ctx *ctx, gram_loc loc, const gram_node *draft)
{
    gram_node *node = gram_alloc(ctx, sizeof *node);
    *node = *draft;
    node->loc = loc;
    if (node->nargs > 0) {
        node->args = gram_alloc(ctx, (size_t)node->nargs * sizeof *node->args);
        memcpy(node->args, draft->args, (size_t)node->nargs * sizeof *node->args);
    }
    node->keep = gram_keep_of(ctx, loc, node);
    node->depth = depth_of(ctx, loc, node);
    struct gram_nodes *nodes = nodes_of(ctx);
    node->id = (int)nodes->count++;
    *nodes_slot(nodes, node) = node;
    return node;
}

/* Of like, what op reads: a rewritten node must not differ from an equal one by an attribute that means nothing. */
static gram_node attributes_of(gram_op op, const gram_node *like)
{
    gram_node draft = {.each = gram_dim_number(1)};
    if (!like)
        return draft;
    if (op == GRAM_OP_ITEM || op == GRAM_OP_RESHAPE)
        draft.each = like->each;
    draft.type = like->type;
    draft.rows = like->rows;
    draft.cols = like->cols;
    draft.heads = like->heads;
    draft.batched = like->batched;
    if (op == GRAM_OP_NUMBER)
        draft.number = like->number;
    if (op == GRAM_OP_SIZE || op == GRAM_OP_ROWS || op == GRAM_OP_TOP || op == GRAM_OP_SCAN)
        draft.dim = like->dim;
    if (op == GRAM_OP_HEAD_AT || op == GRAM_OP_SCAN || op == GRAM_OP_CONVOLVE || op == GRAM_OP_LAGS)
        draft.index = like->index;
    if (op == GRAM_OP_THRESHOLD)
        draft.fn = like->fn;
    if (op == GRAM_OP_SCAN)
        draft.scan = like->scan;
    if (op == GRAM_OP_INPUT)
        draft.input = like->input;
    return draft;
}

gram_node *gram_node_make(gram_ctx *ctx, gram_loc loc, gram_op op, int nargs, gram_node *const *args,
                          const gram_node *like)
{
    gram_node draft = attributes_of(op, like);
    draft.op = op;
    draft.nargs = nargs;
    draft.args = (gram_node **)args;
    draft.keep = NULL;
    gram_shape_of(ctx, loc, &draft);
    gram_node *made = *nodes_slot(nodes_of(ctx), &draft);
    return made ? made : node_store(ctx, loc, &draft);
}

gram_node *gram_node_number(gram_ctx *ctx, gram_loc loc, gram_type type, double value)
{
    gram_node like = {.type = type, .number = value};
    return gram_node_make(ctx, loc, GRAM_OP_NUMBER, 0, NULL, &like);
}

gram_node *gram_node_unary(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a)
{
    return gram_node_make(ctx, loc, op, 1, (gram_node *[]){a}, NULL);
}

gram_node *gram_node_binary(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a, gram_node *b)
{
    return gram_node_make(ctx, loc, op, 2, (gram_node *[]){a, b}, NULL);
}

gram_node *gram_node_ternary(gram_ctx *ctx, gram_loc loc, gram_op op, gram_node *a, gram_node *b, gram_node *c)
{
    return gram_node_make(ctx, loc, op, 3, (gram_node *[]){a, b, c}, NULL);
}

gram_node *gram_node_expand(gram_ctx *ctx, gram_loc loc, gram_node *a, gram_dim rows, gram_dim cols)
{
    if (gram_dim_equal(a->rows, rows) && gram_dim_equal(a->cols, cols))
        return a;
    gram_node like = {.rows = rows, .cols = cols};
    return gram_node_make(ctx, loc, GRAM_OP_EXPAND, 1, (gram_node *[]){a}, &like);
}

static gram_node *index_of(gram_ctx *ctx, gram_loc loc, gram_op op, const gram_node *a)
{
    gram_node like = {.rows = a->rows, .cols = a->cols, .type = GRAM_INT};
    *(op == GRAM_OP_ROW ? &like.cols : &like.rows) = gram_dim_number(1);
    return gram_node_make(ctx, loc, op, 0, NULL, &like);
}

bool gram_is_derivative(const gram_spec *spec)
{
    return spec->noutputs > 0 && spec->outputs[0].like;
}

/* YES where it was found so; NO while, and where, it is not. */
static bool needs(const gram_node *node, gram_node *const *any, int n, char *seen)
{
    enum { NO = 1, YES = 2 };
    if (seen[node->id])
        return seen[node->id] == YES;
    bool found = false;
    seen[node->id] = NO;
    for (int k = 0; k < n && !found; k++)
        found = node == any[k];
    for (int k = 0; k < node->nargs && !found; k++)
        found = needs(node->args[k], any, n, seen);
    seen[node->id] = found ? YES : NO;
    return found;
}

bool gram_node_needs(gram_ctx *ctx, const gram_node *node, gram_node *const *any, int n)
{
    return needs(node, any, n, gram_alloc(ctx, (size_t)node->id + 1)); /* operands have lower ids */
}

static bool holds_loop(const gram_node *node, char *seen)
{
    bool holds = node->op == GRAM_OP_LOOP;
    if (seen[node->id])
        return false;
    seen[node->id] = 1;
    for (int k = 0; k < node->nargs && !holds && node->op != GRAM_OP_OVER; k++)
        holds = holds_loop(node->args[k], seen);
    return holds;
}

bool gram_node_loops(gram_ctx *ctx, const gram_node *node)
{
    return holds_loop(node, gram_alloc(ctx, (size_t)node->id + 1));
}

gram_node *gram_node_filled(gram_ctx *ctx, gram_loc loc, gram_node *a)
{
    if (!a->keep)
        return a;
    gram_node *i = index_of(ctx, loc, GRAM_OP_ROW, a), *j = index_of(ctx, loc, GRAM_OP_COL, a);
    return gram_node_ternary(ctx, loc, GRAM_OP_GATHER, a, i, j);
}
