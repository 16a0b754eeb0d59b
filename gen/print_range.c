/* Print's ranges: a predicate over a tile as a range in C: [1, 1] where it holds everywhere, [0, 0] nowhere. */
#include <string.h>

#include "print.h"

static const char *range_leaf(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, const gram_node *node)
{
    const char *at;
    switch (node->op) {
    case GRAM_OP_NUMBER:
        at = gram_format(ctx, "%lld", (long long)node->number);
        break;
    case GRAM_OP_SIZE:
        at = gram_print_dim(ctx, spec, node->dim);
        break;
    case GRAM_OP_HEAD:
        at = gram_print_head(ctx, step, node->heads);
        break;
    case GRAM_OP_LOOP:
        at = "column";
        break;
    case GRAM_OP_BATCH:
        at = gram_print_batch(ctx, spec, step);
        break;
    case GRAM_OP_ITEM:
        at = gram_print_part(ctx, spec, step);
        break;
    case GRAM_OP_ROW:
        return gram_dim_is(node->rows, 1) ? "gram_range_of(0, 0)" : "i";
    case GRAM_OP_COL:
        return gram_dim_is(node->cols, 1) ? "gram_range_of(0, 0)" : "j";
    default:
        return node->type == GRAM_BOOL ? "gram_range_of(0, 1)" : "gram_range_any()";
    }
    return gram_format(ctx, "gram_range_of(%s, %s)", at, at);
}

static const char *range_input(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, const gram_node *node)
{
    const char *name = gram_format(ctx, "gram_ids_at(&job->%s, %s, %s)", node->input->name,
                                   gram_print_item(ctx, spec, step, node->each, node->batched),
                                   gram_print_head(ctx, step, node->heads));
    return gram_format(ctx, "gram_range_of(*%s, *%s)", name, name);
}

/* Integers per token, read at an index whose range is known: from the least to the greatest that stand there. */
static const char *range_gather(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, const gram_node *node)
{
    const gram_node *a = node->args[0];
    bool down = gram_dim_is(a->cols, 1);
    if (a->op != GRAM_OP_INPUT || a->type != GRAM_INT || (!down && !gram_dim_is(a->rows, 1)))
        return NULL;
    return gram_format(ctx, "gram_range_ids(gram_ids_at(&job->%s, %s, %s), job->%s.%s, %s, %s)", a->input->name,
                       gram_print_item(ctx, spec, step, a->each, a->batched), gram_print_head(ctx, step, a->heads),
                       a->input->name, down ? "row" : "col", gram_print_dim(ctx, spec, down ? a->rows : a->cols),
                       gram_print_range(ctx, spec, step, node->args[down ? 1 : 2]));
}

const char *gram_print_range(gram_ctx *ctx, const gram_spec *spec, const gram_step *step, const gram_node *node)
{
    gram_text text = {.ctx = ctx};
    const char *gather = node->op == GRAM_OP_GATHER ? range_gather(ctx, spec, step, node) : NULL;
    if (gather)
        return gather;
    if (node->op == GRAM_OP_EXPAND || node->op == GRAM_OP_KEEP)
        return gram_print_range(ctx, spec, step, node->args[0]);
    if (node->op == GRAM_OP_INPUT && node->type == GRAM_INT && node->input->kind == GRAM_COUNT)
        return range_input(ctx, spec, step, node);
    if (!gram_op_is_scalar(node->op) || !strcmp(gram_ops[node->op].range, "any"))
        return range_leaf(ctx, spec, step, node);
    gram_put(&text, "gram_range_%s(", gram_ops[node->op].range);
    for (int k = 0; k < node->nargs; k++)
        gram_put(&text, "%s%s", k ? ", " : "", gram_print_range(ctx, spec, step, node->args[k]));
    gram_put(&text, ")");
    return text.data;
}
