/* Sizes, formulas and graphs as text for people. A formula is printed in the spec's own notation, from a table: most
 * operations are a function call, some are infix, and a few have a form of their own. */
#include <stdio.h>
#include <string.h>

#include "scan.h"

enum { FORMULA_LENGTH = 60, FORMULA_DEPTH = 24 };

const char *gram_dim_text(gram_ctx *ctx, gram_dim dim)
{
    gram_text text = {.ctx = ctx};
    for (int s = 0; s < GRAM_SIZES; s++) {
        if (dim.times[s] == 0)
            continue;
        gram_put(&text, text.size ? " + " : "");
        if (dim.times[s] > 1)
            gram_put(&text, "%d ", dim.times[s]);
        gram_put(&text, "%s", ctx->spec->sizes[s]);
    }
    if (dim.number != 0 || text.size == 0)
        gram_put(&text, "%s%lld", text.size ? " + " : "", (long long)dim.number);
    return text.data;
}

const char *gram_shape_text(gram_ctx *ctx, const gram_node *node)
{
    return gram_format(ctx, "%s x %s", gram_dim_text(ctx, node->rows), gram_dim_text(ctx, node->cols));
}

/* How tightly an operation binds, as in Lua; what is not listed is a call and binds tightest. */
enum { BIND_OR = 4, BIND_AND = 6, BIND_SUM = 10, BIND_PRODUCT = 11, BIND_UNARY = 12, BIND_POWER = 14, BIND_CALL = 20 };

typedef struct notation {
    const char *symbol;
    int bind;
} notation;

static const notation infix[GRAM_OP_COUNT] = {
    [GRAM_OP_ADD] = {" + ", BIND_SUM},        [GRAM_OP_SUB] = {" - ", BIND_SUM},
    [GRAM_OP_MUL] = {" * ", BIND_PRODUCT},    [GRAM_OP_DIV] = {" / ", BIND_PRODUCT},
    [GRAM_OP_FDIV] = {" // ", BIND_PRODUCT},  [GRAM_OP_FMOD] = {" % ", BIND_PRODUCT},
    [GRAM_OP_POW] = {"^", BIND_POWER},        [GRAM_OP_IADD] = {" + ", BIND_SUM},
    [GRAM_OP_ISUB] = {" - ", BIND_SUM},       [GRAM_OP_IMUL] = {" * ", BIND_PRODUCT},
    [GRAM_OP_IDIV] = {" // ", BIND_PRODUCT},  [GRAM_OP_IMOD] = {" % ", BIND_PRODUCT},
    [GRAM_OP_MATMUL] = {" * ", BIND_PRODUCT}, [GRAM_OP_AND] = {" & ", BIND_AND},
    [GRAM_OP_OR] = {" | ", BIND_OR},          [GRAM_OP_NEG] = {"-", BIND_UNARY},
    [GRAM_OP_INEG] = {"-", BIND_UNARY},       [GRAM_OP_NOT] = {"~", BIND_UNARY},
};

typedef struct printer {
    gram_text *out;
    int depth;
} printer;

static void put_node(printer *p, const gram_node *node, int bind);

static void put_list(printer *p, const gram_node *node, int from)
{
    for (int k = from; k < node->nargs; k++) {
        gram_put(p->out, k > from ? ", " : "");
        put_node(p, node->args[k], 0);
    }
}

static void put_input(printer *p, const gram_node *node)
{
    gram_put(p->out, "%s", node->input->name);
}

static void put_number(printer *p, const gram_node *node)
{
    gram_put(p->out, "%.15g", node->number);
}

static void put_size(printer *p, const gram_node *node)
{
    gram_put(p->out, "%s", gram_dim_text(p->out->ctx, node->dim));
}

static void put_index(printer *p, const gram_node *node)
{
    static const char *const names[GRAM_OP_COUNT] = {[GRAM_OP_ROW] = "i",
                                                     [GRAM_OP_COL] = "j",
                                                     [GRAM_OP_HEAD] = "h",
                                                     [GRAM_OP_BATCH] = "batch",
                                                     [GRAM_OP_ITEM] = "item"};
    gram_put(p->out, "%s", names[node->op]);
}

static void put_operand(printer *p, const gram_node *node)
{
    put_node(p, node->args[0], BIND_CALL);
}

static void put_keep(printer *p, const gram_node *node)
{
    gram_put(p->out, "keep(");
    put_node(p, node->args[1], 0);
    gram_put(p->out, ", ");
    put_node(p, node->args[0], 0);
    gram_put(p->out, ")");
}

static void put_gather(printer *p, const gram_node *node)
{
    put_operand(p, node);
    gram_put(p->out, "(");
    put_list(p, node, 1);
    gram_put(p->out, ")");
}

static void put_transpose(printer *p, const gram_node *node)
{
    put_operand(p, node);
    gram_put(p->out, ":t()");
}

static void put_rows(printer *p, const gram_node *node)
{
    gram_put(p->out, "rows(");
    put_node(p, node->args[0], 0);
    gram_put(p->out, ", %s", gram_dim_text(p->out->ctx, node->dim));
    gram_put(p->out, ", %s)", gram_dim_text(p->out->ctx, node->rows));
}

static void put_head_at(printer *p, const gram_node *node)
{
    put_operand(p, node);
    gram_put(p->out, "[%d]", node->index);
}

static void put_identity(printer *p, const gram_node *node)
{
    gram_put(p->out, "identity(%s)", gram_dim_text(p->out->ctx, node->rows));
}

static void put_split_heads(printer *p, const gram_node *node)
{
    gram_put(p->out, "split_heads(");
    put_list(p, node, 0);
    gram_put(p->out, ", %d)", node->heads);
}

/* Inside `each`: columns cut into items, stacked again, or (in gradients) side by side. */
static void put_reshape(printer *p, const gram_node *node)
{
    const gram_node *a = node->args[0];
    bool cut = !gram_dim_is(node->each, 1), beside = gram_dim_equal(node->rows, a->rows);
    gram_put(p->out, cut ? "cut(" : gram_dim_is(a->each, 1) ? "reshape(" : beside ? "beside(" : "stack(");
    put_list(p, node, 0);
    gram_put(p->out, "%s%s)", cut ? ", " : "", cut ? gram_dim_text(p->out->ctx, node->cols) : "");
}

/* An integer twin is written as the real operation. */
static void put_call(printer *p, const gram_node *node)
{
    const gram_op_info *info = &gram_ops[node->op];
    bool twin = gram_op_is_scalar(node->op) && info->name[0] == 'i' && strchr(info->operands, 'I');
    gram_put(p->out, "%s(", info->name + twin);
    put_list(p, node, 0);
    gram_put(p->out, ")");
}

static void (*const forms[GRAM_OP_COUNT])(printer *p, const gram_node *node) = {
    [GRAM_OP_INPUT] = put_input,       [GRAM_OP_NUMBER] = put_number,
    [GRAM_OP_SIZE] = put_size,         [GRAM_OP_ROW] = put_index,
    [GRAM_OP_COL] = put_index,         [GRAM_OP_HEAD] = put_index,
    [GRAM_OP_BATCH] = put_index,       [GRAM_OP_EXPAND] = put_operand,
    [GRAM_OP_REAL] = put_operand,      [GRAM_OP_KEEP] = put_keep,
    [GRAM_OP_GATHER] = put_gather,     [GRAM_OP_TRANSPOSE] = put_transpose,
    [GRAM_OP_ROWS] = put_rows,         [GRAM_OP_HEAD_AT] = put_head_at,
    [GRAM_OP_IDENTITY] = put_identity, [GRAM_OP_SPLIT_HEADS] = put_split_heads,
    [GRAM_OP_RESHAPE] = put_reshape,   [GRAM_OP_ITEM] = put_index,
};

/* `*` between two full matrices is their product in a spec: an entrywise one is written hadamard. */
static bool is_hadamard(const gram_node *node)
{
    if (node->op != GRAM_OP_MUL)
        return false;
    for (int k = 0; k < 2; k++)
        if (gram_dim_is(node->args[k]->rows, 1) && gram_dim_is(node->args[k]->cols, 1))
            return false;
    return true;
}

static void put_infix(printer *p, const gram_node *node, const notation *notation, int bind)
{
    gram_put(p->out, notation->bind < bind ? "(" : "");
    if (node->nargs == 2)
        put_node(p, node->args[0], notation->bind);
    gram_put(p->out, "%s", notation->symbol);
    put_node(p, node->args[node->nargs - 1], notation->bind + 1);
    gram_put(p->out, notation->bind < bind ? ")" : "");
}

/* Prints node where an operation that binds as tightly as `bind` stands around it. What would be cut off anyway is not
 * walked: a graph's formula may be exponentially longer than the graph. */
static void put_node(printer *p, const gram_node *node, int bind)
{
    if (p->out->size > FORMULA_LENGTH || p->depth == FORMULA_DEPTH) {
        gram_put(p->out, "...");
        return;
    }
    p->depth++;
    if (is_hadamard(node)) {
        gram_put(p->out, "hadamard(");
        put_list(p, node, 0);
        gram_put(p->out, ")");
    } else if (infix[node->op].symbol) {
        put_infix(p, node, &infix[node->op], bind);
    } else {
        (forms[node->op] ? forms[node->op] : put_call)(p, node);
    }
    p->depth--;
}

const char *gram_node_text(gram_ctx *ctx, const gram_node *node)
{
    gram_text text = {.ctx = ctx};
    put_node(&(printer){&text, 0}, node, 0);
    if (text.size > FORMULA_LENGTH)
        memcpy(text.data + FORMULA_LENGTH - 3, "...", 4);
    return text.data;
}

/* ---- the whole graph ---- */

/* The nodes that outputs depend on, by id; unused places are NULL. */
typedef struct reached {
    int count;
    const gram_node **by_id;
} reached;

static reached spec_reach(gram_ctx *ctx, const gram_spec *spec)
{
    reached r = {0};
    for (int k = 0; k < spec->noutputs; k++)
        if (spec->outputs[k].node->id >= r.count)
            r.count = spec->outputs[k].node->id + 1;
    r.by_id = gram_alloc(ctx, (size_t)r.count * sizeof *r.by_id + 1);
    for (int k = 0; k < spec->noutputs; k++)
        r.by_id[spec->outputs[k].node->id] = spec->outputs[k].node;
    for (int id = r.count - 1; id >= 0; id--) {
        const gram_node *node = r.by_id[id];
        for (int k = 0; node && k < node->nargs; k++)
            r.by_id[node->args[k]->id] = node->args[k];
        if (node && node->keep)
            r.by_id[node->keep->id] = node->keep;
    }
    return r;
}

static void print_input(gram_ctx *ctx, const gram_input *input, gram_text *out)
{
    gram_node shape = {.rows = input->rows, .cols = input->cols};
    gram_put(out, "input %s: %s", input->name, gram_shape_text(ctx, &shape));
    if (input->heads)
        gram_put(out, ", %d heads", input->heads);
    gram_put(out, input->batched ? ", batched\n" : "\n");
}

static void print_attributes(gram_ctx *ctx, const gram_node *node, gram_text *out)
{
    if (node->op == GRAM_OP_INPUT)
        gram_put(out, " %s", node->input->name);
    if (node->op == GRAM_OP_NUMBER)
        gram_put(out, " %.17g", node->number);
    if (node->op == GRAM_OP_SIZE || node->op == GRAM_OP_ROWS || node->op == GRAM_OP_TOP || node->op == GRAM_OP_SCAN)
        gram_put(out, " %s", gram_dim_text(ctx, node->dim));
    if (node->op == GRAM_OP_HEAD_AT || node->op == GRAM_OP_CONVOLVE || node->op == GRAM_OP_LAGS ||
        node->op == GRAM_OP_SCAN)
        gram_put(out, " %d", node->index);
    if (node->fn)
        gram_put(out, " %s", node->fn);
}

static void print_node(gram_ctx *ctx, const gram_node *node, const int *number, gram_text *out)
{
    static const char *const types[] = {[GRAM_REAL] = "", [GRAM_INT] = ", integer", [GRAM_BOOL] = ", predicate"};
    size_t start = out->size;
    gram_put(out, "%%%d = %s", number[node->id], gram_ops[node->op].name);
    for (int k = 0; k < node->nargs; k++)
        gram_put(out, " %%%d", number[node->args[k]->id]);
    print_attributes(ctx, node, out);
    int column = (int)(out->size - start);
    gram_put(out, "%*s %s%s", column < 32 ? 32 - column : 0, "", gram_shape_text(ctx, node), types[node->type]);
    if (node->heads)
        gram_put(out, ", %d heads", node->heads);
    if (!gram_dim_is(node->each, 1))
        gram_put(out, ", for each of %s", gram_dim_text(ctx, node->each));
    if (node->batched)
        gram_put(out, ", batched");
    if (node->keep)
        gram_put(out, ", keep %%%d", number[node->keep->id]);
    gram_put(out, node->loc.file ? "    line %d\n" : "\n", node->loc.line);
}

/* f of each scan, after the graph: of its results the first stands for all. */
static void print_scans(gram_ctx *ctx, const gram_spec *spec, const reached *r, const int *number, gram_text *out)
{
    for (int id = 0; id < r->count; id++) {
        const gram_node *node = r->by_id[id];
        bool first = node && node->op == GRAM_OP_SCAN;
        for (int other = 0; other < id && first; other++)
            first = !r->by_id[other] || r->by_id[other]->scan != node->scan;
        if (first) {
            gram_put(out, "\n");
            gram_spec_print(ctx, gram_scan_spec(ctx, spec, node->scan, gram_format(ctx, "of %%%d", number[id]), NULL),
                            out);
        }
    }
}

void gram_spec_print(gram_ctx *ctx, const gram_spec *spec, gram_text *out)
{
    reached r = spec_reach(ctx, spec);
    int *number = gram_alloc(ctx, (size_t)r.count * sizeof *number + 1), next = 0;
    gram_put(out, "%s %s\n", spec->scan ? "column" : "kernel", spec->name);
    for (int k = 0; k < spec->ninputs; k++)
        print_input(ctx, spec->inputs[k], out);
    for (int id = 0; id < r.count; id++) {
        if (!r.by_id[id])
            continue;
        number[id] = next++;
        print_node(ctx, r.by_id[id], number, out);
    }
    for (int k = 0; k < spec->noutputs; k++)
        gram_put(out, "output %s: %%%d = %s\n", spec->outputs[k].name, number[spec->outputs[k].node->id],
                 gram_node_text(ctx, spec->outputs[k].node));
    print_scans(ctx, spec, &r, number, out);
}
