/* Wide: do the formula's integers fit the 32-bit lanes that stand beside 32-bit reals? Bounds are followed through the
 * graph by the same interval rules that kernels use on tiles (ops.def, runtime/kernel.h). */
#include <string.h>

#include "../runtime/kernel.h"
#include "plan.h"

static gram_range ternary_none(gram_range a, gram_range b, gram_range c)
{
    (void)a, (void)b, (void)c;
    return gram_range_any();
}

#define UNARY(name) \
    static gram_range rule_##name(gram_range a, gram_range b, gram_range c) \
    { \
        (void)b, (void)c; \
        return gram_range_##name(a); \
    }
#define BINARY(name) \
    static gram_range rule_##name(gram_range a, gram_range b, gram_range c) \
    { \
        (void)c; \
        return gram_range_##name(a, b); \
    }
UNARY(neg)
UNARY(abs)
UNARY(sign)
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(idiv)
BINARY(imod)
BINARY(min)
BINARY(max)
BINARY(hash)

static gram_range rule_where(gram_range a, gram_range b, gram_range c)
{
    (void)a;
    return gram_range_join(b, c);
}

static const struct {
    const char *name;
    gram_range (*rule)(gram_range a, gram_range b, gram_range c);
} rules[] = {{"add", rule_add},   {"sub", rule_sub},     {"mul", rule_mul},    {"idiv", rule_idiv}, {"imod", rule_imod},
             {"hash", rule_hash}, {"min", rule_min},     {"max", rule_max},    {"neg", rule_neg},   {"abs", rule_abs},
             {"sign", rule_sign}, {"where", rule_where}, {"any", ternary_none}};

typedef struct bounds {
    gram_range *range;
    char *known;
    bool wide;
} bounds;

static gram_range leaf_range(const gram_node *node)
{
    int64_t most = (int64_t)1 << 30;
    if (node->op == GRAM_OP_NUMBER)
        return gram_range_of((int64_t)node->number, (int64_t)node->number);
    if (node->op != GRAM_OP_INPUT)
        return gram_range_of(0, node->op == GRAM_OP_SIZE && gram_dim_known(node->dim) ? node->dim.number : most - 1);
    if (node->input->kind == GRAM_COUNT)
        return gram_range_of(-most, most);
    return node->input->below ? gram_range_of(0, node->input->below - 1) : gram_range_of(INT32_MIN, INT32_MAX);
}

static gram_range follow(bounds *b, const gram_node *node)
{
    gram_range args[3] = {{0, 0}, {0, 0}, {0, 0}}, result;
    if (b->known[node->id])
        return b->range[node->id];
    b->known[node->id] = 1;
    for (int k = 0; k < node->nargs; k++) {
        gram_range r = follow(b, node->args[k]);
        args[k < 3 ? k : 2] = r;
    }
    result = node->nargs && !gram_op_is_scalar(node->op) ? args[0] : leaf_range(node);
    for (size_t k = 0; gram_op_is_scalar(node->op) && k < sizeof rules / sizeof *rules; k++)
        if (!strcmp(rules[k].name, gram_ops[node->op].range))
            result = rules[k].rule(args[0], args[1], args[2]);
    if (node->op == GRAM_OP_INT)
        result = gram_range_of(INT32_MIN, INT32_MAX);
    if (node->keep)
        follow(b, node->keep);
    if (node->type == GRAM_INT)
        b->wide |= result.lo < INT32_MIN || result.hi > INT32_MAX;
    return b->range[node->id] = result;
}

bool gram_is_wide(gram_ctx *ctx, const gram_spec *spec)
{
    int most = 0;
    for (int k = 0; k < spec->noutputs; k++)
        most = spec->outputs[k].node->id > most ? spec->outputs[k].node->id : most;
    bounds b = {gram_alloc(ctx, (size_t)(most + 1) * sizeof *b.range), gram_alloc(ctx, (size_t)most + 1), false};
    for (int k = 0; k < spec->noutputs; k++)
        follow(&b, spec->outputs[k].node);
    return b.wide;
}
