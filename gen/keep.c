/* The rules of dropped entries: which of a node's entries are dropped, from which of its operands' are. A predicate is
 * a node like any other, so the rule for an operation that moves entries is the same operation on the predicate. */
#include "shape.h"

typedef struct rule {
    gram_ctx *ctx;
    gram_loc loc;
    const gram_node *node;
} rule;

/* Predicates that are the same node are joined once. */
static gram_node *both(const rule *r, gram_node *a, gram_node *b)
{
    if (!a || !b || a == b)
        return a ? a : b;
    return gram_node_binary(r->ctx, r->loc, GRAM_OP_AND, a, b);
}

static gram_node *every(const rule *r)
{
    gram_node *joined = NULL;
    for (int k = 0; k < r->node->nargs; k++)
        joined = both(r, joined, r->node->args[k]->keep);
    return joined;
}

static gram_node *first(const rule *r)
{
    return r->node->args[0]->keep;
}

static gram_node *kept(const rule *r)
{
    return both(r, first(r), r->node->args[1]);
}

/* The operand's predicate in the operand's full shape; one that always holds where it has none. */
static gram_node *full_predicate(const rule *r, const gram_node *operand)
{
    gram_node *predicate = operand->keep;
    if (!predicate) {
        gram_node *zero = gram_node_number(r->ctx, r->loc, GRAM_INT, 0);
        predicate = gram_node_binary(r->ctx, r->loc, GRAM_OP_IEQ, zero, zero);
    }
    return gram_node_expand(r->ctx, r->loc, predicate, operand->rows, operand->cols);
}

/* A predicate that holds everywhere, but has heads where the operand has. */
static gram_node *with_heads(const rule *r, gram_node *predicate, int heads)
{
    gram_node like = {.heads = heads};
    gram_node *head = gram_node_make(r->ctx, r->loc, GRAM_OP_HEAD, 0, NULL, &like);
    return both(r, predicate, gram_node_binary(r->ctx, r->loc, GRAM_OP_IEQ, head, head));
}

/* One that differs between items where the operand does, for RESHAPE takes all its entries. */
static gram_node *with_items(const rule *r, gram_node *predicate, gram_dim each)
{
    if (gram_dim_equal(predicate->each, each))
        return predicate;
    gram_node like = {.each = each};
    gram_node *item = gram_node_make(r->ctx, r->loc, GRAM_OP_ITEM, 0, NULL, &like);
    return both(r, predicate, gram_node_binary(r->ctx, r->loc, GRAM_OP_IEQ, item, item));
}

/* Turned twice it is the same predicate again: what drops the same entries then has the same node. */
static gram_node *transposed(const rule *r)
{
    gram_node *predicate = first(r);
    if (predicate && predicate->op == GRAM_OP_TRANSPOSE)
        return predicate->args[0];
    return predicate ? gram_node_unary(r->ctx, r->loc, GRAM_OP_TRANSPOSE, predicate) : NULL;
}

/* The same operation on the predicates of its operands. */
static gram_node *moved(const rule *r)
{
    if (!every(r))
        return NULL;
    int n = r->node->nargs;
    gram_node **predicates = gram_alloc(r->ctx, (size_t)n * sizeof *predicates);
    for (int k = 0; k < n; k++)
        predicates[k] = full_predicate(r, r->node->args[k]);
    return gram_node_make(r->ctx, r->loc, r->node->op, n, predicates, r->node);
}

static gram_node *reshaped(const rule *r)
{
    gram_node *a = r->node->args[0];
    if (!a->keep)
        return NULL;
    gram_node *predicate = with_items(r, full_predicate(r, a), a->each);
    return gram_node_make(r->ctx, r->loc, GRAM_OP_RESHAPE, 1, &predicate, r->node);
}

/* The predicate may have fewer heads than the matrix: head h uses group h // (H / G). */
static gram_node *head_at(const rule *r)
{
    gram_node *predicate = first(r);
    if (!predicate || !predicate->heads)
        return predicate;
    gram_node like = {.index = r->node->index / (r->node->args[0]->heads / predicate->heads)};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_HEAD_AT, 1, &predicate, &like);
}

static gram_node *concat_heads(const rule *r)
{
    if (!first(r))
        return NULL;
    gram_node *predicate = with_heads(r, full_predicate(r, r->node->args[0]), r->node->args[0]->heads);
    return gram_node_unary(r->ctx, r->loc, GRAM_OP_CONCAT_HEADS, predicate);
}

/* An entry that is dropped in every head stays dropped. */
static gram_node *sum_heads(const rule *r)
{
    return first(r) && !first(r)->heads ? first(r) : NULL;
}

/* Operations without a row give a matrix like any other: nothing in it is dropped. */
static gram_node *(*const rules[GRAM_OP_COUNT])(const rule *) = {
    [GRAM_OP_EXPAND] = first,
    [GRAM_OP_KEEP] = kept,
    [GRAM_OP_SURROGATE] = every,
    [GRAM_OP_TRANSPOSE] = transposed,
    [GRAM_OP_SOFTMAX] = first,
    [GRAM_OP_HCAT] = moved,
    [GRAM_OP_VCAT] = moved,
    [GRAM_OP_ROWS] = moved,
    [GRAM_OP_RESHAPE] = reshaped,
    [GRAM_OP_HEAD_AT] = head_at,
    [GRAM_OP_STACK_HEADS] = moved,
    [GRAM_OP_SPLIT_HEADS] = moved,
    [GRAM_OP_CONCAT_HEADS] = concat_heads,
    [GRAM_OP_SUM_HEADS] = sum_heads,
};

gram_node *gram_keep_of(gram_ctx *ctx, gram_loc loc, const gram_node *node)
{
    rule r = {ctx, loc, node};
    return gram_op_is_scalar(node->op) ? every(&r) : rules[node->op] ? rules[node->op](&r) : NULL;
}
