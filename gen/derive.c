/* Derive: the formulas of ops.def's last column, "g * (1 - y * y)", read and made into nodes.
 *
 * A formula is sums of products of calls, numbers and names: a, b, c are the operands, y the result, g what comes in.
 * Operations of two integers would have no derivative, so every operation here is one of reals. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"

typedef struct reader {
    gram_ctx *ctx;
    gram_node *node, *g;
    const char *at;
} reader;

static gram_node *read_sum(reader *r);

static void skip(reader *r)
{
    while (*r->at == ' ')
        r->at++;
}

/* Is the next character this one? Then it is read. */
static bool next_is(reader *r, char c)
{
    skip(r);
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

static gram_op op_named(const reader *r, const char *name, size_t size)
{
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++)
        if (strlen(gram_ops[op].name) == size && !memcmp(gram_ops[op].name, name, size))
            return (gram_op)op;
    gram_fail(r->ctx, r->node->loc, "ops.def: no operation %.*s", (int)size, name);
}

static gram_node *read_name(reader *r)
{
    const char *start = r->at;
    gram_node *args[3];
    int n = 0;
    while (isalnum((unsigned char)*r->at))
        r->at++;
    size_t size = (size_t)(r->at - start);
    if (size == 1 && *start == 'g')
        return r->g;
    if (size == 1 && *start == 'y')
        return r->node;
    if (size == 1)
        return r->node->args[*start - 'a'];
    next_is(r, '(');
    do
        args[n++] = read_sum(r);
    while (next_is(r, ',') && n < 3);
    next_is(r, ')');
    return gram_node_make(r->ctx, r->node->loc, op_named(r, start, size), n, args, NULL);
}

static gram_node *read_factor(reader *r)
{
    skip(r);
    if (next_is(r, '-'))
        return gram_node_unary(r->ctx, r->node->loc, GRAM_OP_NEG, read_factor(r));
    if (next_is(r, '(')) {
        gram_node *inner = read_sum(r);
        next_is(r, ')');
        return inner;
    }
    if (!isdigit((unsigned char)*r->at))
        return read_name(r);
    char *end;
    double value = strtod(r->at, &end);
    r->at = end;
    return gram_node_number(r->ctx, r->node->loc, GRAM_REAL, value);
}

static gram_node *read_product(reader *r)
{
    gram_node *x = read_factor(r);
    for (;;) {
        gram_op op = next_is(r, '*') ? GRAM_OP_MUL : next_is(r, '/') ? GRAM_OP_DIV : GRAM_OP_COUNT;
        if (op == GRAM_OP_COUNT)
            return x;
        x = gram_node_binary(r->ctx, r->node->loc, op, x, read_factor(r));
    }
}

static gram_node *read_sum(reader *r)
{
    gram_node *x = read_product(r);
    for (;;) {
        gram_op op = next_is(r, '+') ? GRAM_OP_ADD : next_is(r, '-') ? GRAM_OP_SUB : GRAM_OP_COUNT;
        if (op == GRAM_OP_COUNT)
            return x;
        x = gram_node_binary(r->ctx, r->node->loc, op, x, read_product(r));
    }
}

/* Where the k-th formula of a row starts: past k commas that stand outside parentheses. */
static const char *formula(const char *row, int k)
{
    int depth = 0;
    for (; *row && k > 0; row++) {
        depth += (*row == '(') - (*row == ')');
        k -= *row == ',' && depth == 0;
    }
    return row;
}

gram_node *gram_derive(gram_ctx *ctx, gram_node *node, int k, gram_node *g)
{
    const char *row = gram_ops[node->op].derivative;
    if (!strcmp(row, "none") || gram_ops[node->op].operands[k] != 'R')
        return NULL;
    reader r = {ctx, node, g, formula(row, k)};
    gram_node *result = read_sum(&r);
    bool nothing = result->op == GRAM_OP_NUMBER && result->number == 0;
    return nothing ? NULL : result;
}
