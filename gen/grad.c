/* Grad: reverse mode over the graph.
 *
 * From the outputs to the inputs, each node hands its gradient on to its operands by its operation's rule (the table at
 * the end; scalar operations have theirs in ops.def). The result is a graph like any other: simplify and plan make of it
 * what they make of a formula, so scores are made again tile by tile where the forward streams them, and what is low rank
 * or linear stays so. A gradient has its node's shape; where a rule's formula is larger, because the node was repeated
 * over rows, columns or heads, `collect` sums it up. */
#include <string.h>

#include "derive.h"
#include "grad.h"
#include "layout.h"

typedef struct reverse {
    gram_ctx *ctx;
    const gram_spec *spec;
    int size;         /* of the tables below, by node id */
    gram_node **grad; /* what a node has got so far */
    char *wanted;     /* leads to an input that is asked for */
    gram_node **live; /* operands first */
    int nlive;
    gram_loc loc;
} reverse;

/* --- shorthands ---------------------------------------------------------------------------------------------------- */

static gram_node *un(reverse *r, gram_op op, gram_node *a)
{
    return gram_node_unary(r->ctx, r->loc, op, a);
}

static gram_node *bi(reverse *r, gram_op op, gram_node *a, gram_node *b)
{
    return gram_node_binary(r->ctx, r->loc, op, a, b);
}

static gram_node *turned(reverse *r, gram_node *a)
{
    return un(r, GRAM_OP_TRANSPOSE, a);
}

static gram_node *times(reverse *r, gram_node *a, gram_node *b)
{
    return bi(r, GRAM_OP_MATMUL, a, b);
}

static gram_node *real(reverse *r, double value)
{
    return gram_node_number(r->ctx, r->loc, GRAM_REAL, value);
}

static gram_node *index_of(reverse *r, gram_op op, const gram_node *a)
{
    gram_node like = {.rows = a->rows, .cols = a->cols, .type = GRAM_INT};
    *(op == GRAM_OP_ROW ? &like.cols : &like.rows) = gram_dim_number(1);
    return gram_node_make(r->ctx, r->loc, op, 0, NULL, &like);
}

static gram_node *zeros(reverse *r, gram_dim rows, gram_dim cols)
{
    return gram_node_expand(r->ctx, r->loc, real(r, 0), rows, cols);
}

static gram_node *slice(reverse *r, gram_node *a, gram_dim from, gram_dim rows)
{
    gram_node like = {.dim = from, .rows = rows};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_ROWS, 1, &a, &like);
}

static gram_node *head_at(reverse *r, gram_node *a, int head)
{
    gram_node like = {.index = head};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_HEAD_AT, 1, &a, &like);
}

/* What is the same for every head, or item, as a node that has them all. */
static gram_node *repeated(reverse *r, gram_node *g, int heads, bool batched)
{
    gram_node head = {.heads = heads, .type = GRAM_INT}, item = {.batched = true, .type = GRAM_INT};
    head.rows = head.cols = item.rows = item.cols = gram_dim_number(1);
    if (g->heads != heads)
        g = bi(r, GRAM_OP_ADD, g,
               bi(r, GRAM_OP_MUL, real(r, 0),
                  un(r, GRAM_OP_REAL, gram_node_make(r->ctx, r->loc, GRAM_OP_HEAD, 0, NULL, &head))));
    if (batched && !g->batched)
        g = bi(r, GRAM_OP_ADD, g,
               bi(r, GRAM_OP_MUL, real(r, 0),
                  un(r, GRAM_OP_REAL, gram_node_make(r->ctx, r->loc, GRAM_OP_BATCH, 0, NULL, &item))));
    return g;
}

/* Dropped entries as zeros: read by index, a dropped entry is 0. */
static gram_node *filled(reverse *r, gram_node *a)
{
    gram_node *args[] = {a, index_of(r, GRAM_OP_ROW, a), index_of(r, GRAM_OP_COL, a)};
    return a->keep ? gram_node_make(r->ctx, r->loc, GRAM_OP_GATHER, 3, args, NULL) : a;
}

/* --- collecting ---------------------------------------------------------------------------------------------------- */

/* The sums over groups of heads, as many groups as `heads`. */
static gram_node *sum_groups(reverse *r, gram_node *g, int heads)
{
    if (heads == 0)
        return un(r, GRAM_OP_SUM_HEADS, g);
    gram_node **group = gram_alloc(r->ctx, (size_t)heads * sizeof *group);
    int each = g->heads / heads;
    for (int h = 0; h < heads; h++) {
        group[h] = head_at(r, g, h * each);
        for (int k = 1; k < each; k++)
            group[h] = bi(r, GRAM_OP_ADD, group[h], head_at(r, g, h * each + k));
    }
    return gram_node_make(r->ctx, r->loc, GRAM_OP_STACK_HEADS, heads, group, NULL);
}

/* g summed over what a was repeated along: rows, columns, heads. */
static gram_node *summed(reverse *r, gram_node *g, const gram_node *a)
{
    if (gram_dim_is(a->rows, 1) && !gram_dim_is(g->rows, 1))
        g = un(r, GRAM_OP_SUM, g);
    if (gram_dim_is(a->cols, 1) && !gram_dim_is(g->cols, 1))
        g = turned(r, un(r, GRAM_OP_SUM, turned(r, g)));
    if (g->heads > a->heads)
        g = sum_groups(r, g, a->heads);
    if (!gram_dim_equal(g->rows, a->rows) || !gram_dim_equal(g->cols, a->cols))
        g = gram_node_expand(r->ctx, r->loc, g, a->rows, a->cols);
    return g;
}

/* a gets g besides what it has. Two gradients that drop different entries meet as zeros there. */
static void collect(reverse *r, gram_node *a, gram_node *g)
{
    if (!r->wanted[a->id])
        return;
    gram_node **has = &r->grad[a->id];
    g = summed(r, g, a);
    if (!*has)
        *has = g;
    else if ((*has)->keep == g->keep)
        *has = bi(r, GRAM_OP_ADD, *has, g);
    else
        *has = bi(r, GRAM_OP_ADD, filled(r, *has), filled(r, g));
}

/* --- rules: node's gradient g is handed on to its operands --------------------------------------------------------- */

static void scalar(reverse *r, gram_node *node, gram_node *g)
{
    for (int k = 0; k < node->nargs; k++) {
        gram_node *part = r->wanted[node->args[k]->id] ? gram_derive(r->ctx, node, k, g) : NULL;
        if (part)
            collect(r, node->args[k], part);
    }
}

static void pass(reverse *r, gram_node *node, gram_node *g)
{
    collect(r, node->args[0], g);
}

static void keep(reverse *r, gram_node *node, gram_node *g)
{
    collect(r, node->args[0], bi(r, GRAM_OP_KEEP, g, node->args[1]));
}

static void transpose(reverse *r, gram_node *node, gram_node *g)
{
    collect(r, node->args[0], turned(r, g));
}

/* A's entries got what was read of them: added up where they were read from. */
static void gather(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *args[] = {g, node->args[1], node->args[2]};
    gram_node like = {.rows = a->rows, .cols = a->cols};
    gram_node *sum = gram_node_make(r->ctx, r->loc, GRAM_OP_SCATTER, 3, args, &like);
    collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, sum, a->keep) : sum);
}

static void scatter(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *args[] = {g, node->args[1], node->args[2]};
    gram_node *read = gram_node_make(r->ctx, r->loc, GRAM_OP_GATHER, 3, args, NULL);
    collect(r, node->args[0], node->args[0]->keep ? bi(r, GRAM_OP_KEEP, read, node->args[0]->keep) : read);
}

/* C = A B: dA = dC B', dB = A' dC. */
static void matmul(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (r->wanted[a->id])
        collect(r, a, times(r, g, turned(r, b)));
    if (r->wanted[b->id])
        collect(r, b, times(r, turned(r, a), g));
}

/* D_ij = |z_i - x_j|^2: dZ = 2 (Z scaled by dD's row sums - X dD'), dX = 2 (X scaled by its column sums - Z dD). */
static void sqdist(reverse *r, gram_node *node, gram_node *g)
{
    for (int side = 0; side < 2; side++) {
        gram_node *mine = node->args[side], *other = node->args[!side], *d = side ? g : turned(r, g);
        gram_node *own = bi(r, GRAM_OP_MUL, mine, un(r, GRAM_OP_SUM, d));
        if (r->wanted[mine->id])
            collect(r, mine, bi(r, GRAM_OP_MUL, real(r, 2), bi(r, GRAM_OP_SUB, own, times(r, other, d))));
    }
}

/* D_ij = sum_p |z_pi - x_pj|: row p of dZ is the sum over j of sign(z_pi - x_pj) dD_ij, and of dX that over i, negated. */
static void dist1(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *Z = node->args[0], *X = node->args[1];
    if (!gram_dim_known(Z->rows))
        gram_fail(r->ctx, node->loc, "the gradient of dist1 needs tokens of a size known when the kernel is generated");
    for (int side = 0; side < 2; side++) {
        gram_node *mine = side ? X : Z, *all = NULL;
        for (int64_t p = 0; r->wanted[mine->id] && p < Z->rows.number; p++) {
            gram_node *z = turned(r, slice(r, Z, gram_dim_number(p), gram_dim_number(1)));
            gram_node *x = slice(r, X, gram_dim_number(p), gram_dim_number(1));
            gram_node *part = bi(r, GRAM_OP_MUL, un(r, GRAM_OP_SIGN, bi(r, GRAM_OP_SUB, z, x)), g);
            part = un(r, GRAM_OP_SUM, side ? un(r, GRAM_OP_NEG, part) : turned(r, part));
            all = all ? bi(r, GRAM_OP_VCAT, all, part) : part;
        }
        if (all)
            collect(r, mine, all);
    }
}

static void sum(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *all = gram_node_expand(r->ctx, r->loc, g, a->rows, a->cols);
    collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, all, a->keep) : all);
}

/* The gradient goes to the entries that are the maximum, in equal shares. */
static void maximum(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *top = bi(r, GRAM_OP_EQ, a, node);
    gram_node *one = gram_node_ternary(r->ctx, r->loc, GRAM_OP_WHERE, top, real(r, 1), real(r, 0));
    one = a->keep ? bi(r, GRAM_OP_KEEP, one, a->keep) : one;
    collect(r, a, bi(r, GRAM_OP_MUL, one, bi(r, GRAM_OP_DIV, g, un(r, GRAM_OP_SUM, one))));
}

/* P = softmax(S): dS = P (dP - sum P dP). */
static void softmax(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *mean = un(r, GRAM_OP_SUM, bi(r, GRAM_OP_MUL, node, g));
    collect(r, node->args[0], bi(r, GRAM_OP_MUL, node, bi(r, GRAM_OP_SUB, g, mean)));
}

static void logsumexp(reverse *r, gram_node *node, gram_node *g)
{
    collect(r, node->args[0], bi(r, GRAM_OP_MUL, un(r, GRAM_OP_SOFTMAX, node->args[0]), g));
}

/* sum f(a - t) = 1: dt / da = f'(a - t) / sum f'(a - t). */
static void threshold(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *at = bi(r, GRAM_OP_SUB, a, node), *slope = NULL;
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++)
        if (!strcmp(gram_ops[op].name, node->fn))
            slope = gram_derive(r->ctx, un(r, (gram_op)op, at), 0, real(r, 1));
    collect(r, a, bi(r, GRAM_OP_MUL, slope, bi(r, GRAM_OP_DIV, g, un(r, GRAM_OP_SUM, slope))));
}

/* Column j went into the sums from j on: the total, less what came before j. */
static void cumsum(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *total = turned(r, un(r, GRAM_OP_SUM, turned(r, g)));
    gram_node *before = bi(r, GRAM_OP_SUB, un(r, GRAM_OP_CUMSUM, g), g);
    gram_node *a = node->args[0], *after = bi(r, GRAM_OP_SUB, total, before);
    collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, after, a->keep) : after);
}

/* Y = A^-1: dA = -Y' dY Y'. */
static void inverse(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *y = turned(r, node);
    collect(r, node->args[0], un(r, GRAM_OP_NEG, times(r, times(r, y, g), y)));
}

/* dA is the upper right block of exp([A' dY; 0 A']) (Mathias, 1996). */
static void expm(reverse *r, gram_node *node, gram_node *g)
{
    gram_dim k = node->rows;
    gram_node *a = turned(r, node->args[0]);
    gram_node *both = bi(r, GRAM_OP_VCAT, bi(r, GRAM_OP_HCAT, a, g), bi(r, GRAM_OP_HCAT, zeros(r, k, k), a));
    gram_node *top = slice(r, un(r, GRAM_OP_EXPM, both), gram_dim_number(0), k);
    collect(r, node->args[0], turned(r, slice(r, turned(r, top), k, k)));
}

static void diag(reverse *r, gram_node *node, gram_node *g)
{
    gram_node like = {.rows = node->rows};
    gram_node *identity = gram_node_make(r->ctx, r->loc, GRAM_OP_IDENTITY, 0, NULL, &like);
    collect(r, node->args[0], turned(r, un(r, GRAM_OP_SUM, bi(r, GRAM_OP_MUL, identity, g))));
}

static void vcat(reverse *r, gram_node *node, gram_node *g)
{
    gram_dim cut = node->args[0]->rows;
    collect(r, node->args[0], slice(r, g, gram_dim_number(0), cut));
    collect(r, node->args[1], slice(r, g, cut, node->args[1]->rows));
}

static void hcat(reverse *r, gram_node *node, gram_node *g)
{
    gram_dim cut = node->args[0]->cols;
    gram_node *t = turned(r, g);
    collect(r, node->args[0], turned(r, slice(r, t, gram_dim_number(0), cut)));
    collect(r, node->args[1], turned(r, slice(r, t, cut, node->args[1]->cols)));
}

/* Rows that were not taken get zeros. */
static void rows(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0];
    gram_dim rest = a->rows, from = node->dim;
    rest.number -= from.number + node->rows.number;
    if (!gram_dim_is(from, 0))
        g = bi(r, GRAM_OP_VCAT, zeros(r, from, a->cols), g);
    for (int s = 0; s < GRAM_SIZES; s++)
        rest.times[s] = (uint8_t)(rest.times[s] - from.times[s] - node->rows.times[s]);
    if (!gram_dim_is(rest, 0))
        g = bi(r, GRAM_OP_VCAT, g, zeros(r, rest, a->cols));
    collect(r, a, g);
}

static void one_head(reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], **all = gram_alloc(r->ctx, (size_t)a->heads * sizeof *all);
    for (int h = 0; h < a->heads; h++)
        all[h] = h == node->index ? g : zeros(r, g->rows, g->cols);
    collect(r, a, gram_node_make(r->ctx, r->loc, GRAM_OP_STACK_HEADS, a->heads, all, NULL));
}

static void stack_heads(reverse *r, gram_node *node, gram_node *g)
{
    for (int h = 0; h < node->nargs; h++)
        collect(r, node->args[h], g->heads ? head_at(r, g, h) : g);
}

static void split_heads(reverse *r, gram_node *node, gram_node *g)
{
    collect(r, node->args[0], un(r, GRAM_OP_CONCAT_HEADS, g));
}

static void concat_heads(reverse *r, gram_node *node, gram_node *g)
{
    gram_node like = {.heads = node->args[0]->heads};
    collect(r, node->args[0], gram_node_make(r->ctx, r->loc, GRAM_OP_SPLIT_HEADS, 1, &g, &like));
}

static void sum_heads(reverse *r, gram_node *node, gram_node *g)
{
    collect(r, node->args[0], repeated(r, g, node->args[0]->heads, false));
}

typedef void (*gram_backward)(reverse *r, gram_node *node, gram_node *g);
static const gram_backward backward[GRAM_OP_COUNT] = {
    [GRAM_OP_EXPAND] = pass,
    [GRAM_OP_KEEP] = keep,
    [GRAM_OP_GATHER] = gather,
    [GRAM_OP_SCATTER] = scatter,
    [GRAM_OP_MATMUL] = matmul,
    [GRAM_OP_TRANSPOSE] = transpose,
    [GRAM_OP_SQDIST] = sqdist,
    [GRAM_OP_DIST1] = dist1,
    [GRAM_OP_SUM] = sum,
    [GRAM_OP_MAXIMUM] = maximum,
    [GRAM_OP_SOFTMAX] = softmax,
    [GRAM_OP_LOGSUMEXP] = logsumexp,
    [GRAM_OP_THRESHOLD] = threshold,
    [GRAM_OP_CUMSUM] = cumsum,
    [GRAM_OP_INVERSE] = inverse,
    [GRAM_OP_EXPM] = expm,
    [GRAM_OP_DIAG] = diag,
    [GRAM_OP_HCAT] = hcat,
    [GRAM_OP_VCAT] = vcat,
    [GRAM_OP_ROWS] = rows,
    [GRAM_OP_HEAD_AT] = one_head,
    [GRAM_OP_STACK_HEADS] = stack_heads,
    [GRAM_OP_SPLIT_HEADS] = split_heads,
    [GRAM_OP_CONCAT_HEADS] = concat_heads,
    [GRAM_OP_SUM_HEADS] = sum_heads,
};

/* --- the pass ------------------------------------------------------------------------------------------------------ */

static void visit(reverse *r, gram_node *node, char *seen)
{
    if (seen[node->id])
        return;
    seen[node->id] = 1;
    for (int k = 0; k < node->nargs; k++)
        visit(r, node->args[k], seen);
    r->live[r->nlive++] = node;
}

/* Names of inputs and outputs share one space. */
static void check_free(const reverse *r, const gram_spec *out, const char *name)
{
    bool taken = false;
    for (int k = 0; k < out->ninputs; k++)
        taken = taken || !strcmp(out->inputs[k]->name, name);
    for (int k = 0; k < out->nsizes; k++)
        taken = taken || !strcmp(out->sizes[k], name);
    for (int k = 0; k < out->noutputs; k++)
        taken = taken || !strcmp(out->outputs[k].name, name);
    if (taken)
        gram_fail(r->ctx, (gram_loc){0}, "the gradient of %s: the name %s is taken", r->spec->name, name);
}

/* The declaration of dO for an output O: an array like O's. A row is declared as a column and turned, for so vectors lie;
 * a gradient lies as its input. */
static gram_input declaration(reverse *r, const gram_output *output)
{
    const gram_node *node = output->node;
    bool row = gram_dim_is(node->rows, 1), column = gram_dim_is(node->cols, 1);
    gram_input in = {.kind = row && column   ? GRAM_SCALAR
                             : row || column ? GRAM_VECTOR
                                             : GRAM_TOKENS,
                     .heads = node->heads,
                     .rows = column ? node->rows
                             : row  ? node->cols
                                    : node->rows,
                     .batched = node->batched};
    in.cols = row || column ? gram_dim_number(1) : node->cols;
    if (output->like)
        in = *output->like;
    else if (in.kind == GRAM_TOKENS && gram_is_weights(node))
        in.kind = GRAM_MATRIX;
    in.name = gram_format(r->ctx, "d%s", output->name);
    in.loc = node->loc;
    in.optional = true;
    in.key = NULL;
    return in;
}

static gram_node *add_input(reverse *r, gram_spec *out, gram_input input)
{
    gram_input *own = gram_alloc(r->ctx, sizeof *own);
    check_free(r, out, input.name);
    *own = input;
    own->index = out->ninputs;
    out->inputs[out->ninputs++] = own;
    gram_node leaf = {.input = own,
                      .type = GRAM_REAL,
                      .rows = own->rows,
                      .cols = own->cols,
                      .heads = own->heads,
                      .batched = own->batched};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_INPUT, 0, NULL, &leaf);
}

static gram_node *output_gradient(reverse *r, gram_spec *out, const gram_output *output)
{
    const gram_node *node = output->node;
    gram_node *g = add_input(r, out, declaration(r, output));
    g = gram_dim_equal(g->rows, node->rows) && gram_dim_equal(g->cols, node->cols) ? g : turned(r, g);
    g = repeated(r, g, node->heads, node->batched);
    return node->keep ? bi(r, GRAM_OP_KEEP, g, node->keep) : g;
}

static bool is_integer(const gram_input *in)
{
    return in->kind == GRAM_IDS || in->kind == GRAM_PAIR_IDS || in->kind == GRAM_COUNT;
}

static const gram_input *input_named(const reverse *r, const char *name)
{
    for (int k = 0; k < r->spec->ninputs; k++) {
        const gram_input *in = r->spec->inputs[k];
        if (!strcmp(in->name, name) && is_integer(in))
            gram_fail(r->ctx, in->loc, "the gradient by %s: integers have no derivative", name);
        if (!strcmp(in->name, name))
            return in;
    }
    gram_fail(r->ctx, (gram_loc){0}, "the gradient by %s: it is no input of %s", name, r->spec->name);
}

/* The n inputs named; where n is 0, those that the spec names, or all that take floats. */
static const gram_input **inputs_named(const reverse *r, int *n, const char *const *names)
{
    const gram_spec *spec = r->spec;
    const gram_input **inputs = gram_alloc(r->ctx, (size_t)(*n + spec->ninputs + spec->ngrad + 1) * sizeof *inputs);
    if (*n == 0 && spec->ngrad) {
        *n = spec->ngrad;
        names = spec->grad;
    }
    for (int k = 0; k < *n; k++)
        inputs[k] = input_named(r, names[k]);
    for (int k = 0; k < spec->ninputs && !names; k++)
        if (!is_integer(spec->inputs[k]))
            inputs[(*n)++] = spec->inputs[k];
    return inputs;
}

static gram_node *leaf_of(reverse *r, const gram_input *in)
{
    for (int k = 0; k < r->nlive; k++)
        if (r->live[k]->op == GRAM_OP_INPUT && r->live[k]->input == in)
            return r->live[k];
    return NULL;
}

static void add_output(reverse *r, gram_spec *out, const gram_input *in)
{
    gram_node *leaf = leaf_of(r, in), *g = leaf ? r->grad[leaf->id] : NULL;
    check_free(r, out, gram_format(r->ctx, "d%s", in->name));
    g = repeated(r, g ? g : zeros(r, in->rows, in->cols), in->heads, in->batched);
    out->outputs[out->noutputs++] = (gram_output){
        .name = gram_format(r->ctx, "d%s", in->name), .node = g, .like = in, .summed = g->batched && !in->batched};
}

static void sort_outputs(gram_spec *out)
{
    for (int k = 1; k < out->noutputs; k++)
        for (int i = k; i > 0 && strcmp(out->outputs[i - 1].name, out->outputs[i].name) > 0; i--) {
            gram_output swap = out->outputs[i];
            out->outputs[i] = out->outputs[i - 1];
            out->outputs[i - 1] = swap;
        }
}

static void mark_wanted(reverse *r, const gram_input *const *by, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < r->nlive; i++)
            r->wanted[r->live[i]->id] |= r->live[i]->op == GRAM_OP_INPUT && r->live[i]->input == by[k];
    for (int i = 0; i < r->nlive; i++)
        for (int k = 0; k < r->live[i]->nargs && r->live[i]->type == GRAM_REAL; k++)
            r->wanted[r->live[i]->id] |= r->wanted[r->live[i]->args[k]->id];
}

static void start(reverse *r)
{
    int most = 0;
    for (int k = 0; k < r->spec->noutputs; k++)
        most = r->spec->outputs[k].node->id > most ? r->spec->outputs[k].node->id : most;
    size_t size = (size_t)most + 1;
    r->grad = gram_alloc(r->ctx, size * sizeof *r->grad);
    r->wanted = gram_alloc(r->ctx, size);
    r->live = gram_alloc(r->ctx, size * sizeof *r->live);
    char *seen = gram_alloc(r->ctx, size);
    for (int k = 0; k < r->spec->noutputs; k++)
        visit(r, r->spec->outputs[k].node, seen);
}

/* Each node hands its gradient on, users before operands. */
static void hand_on(reverse *r)
{
    for (int k = r->nlive - 1; k >= 0; k--) {
        gram_node *node = r->live[k], *g = r->grad[node->id];
        r->loc = node->loc;
        if (g && node->keep && g->keep != node->keep) /* a dropped entry took no part, so it gets nothing */
            g = bi(r, GRAM_OP_KEEP, g, node->keep);
        gram_backward rule = gram_op_is_scalar(node->op) ? scalar : backward[node->op];
        if (g && node->nargs && r->wanted[node->id] && !rule)
            gram_fail(r->ctx, node->loc, "%s has no gradient", gram_node_text(r->ctx, node));
        if (g && node->nargs && r->wanted[node->id])
            rule(r, node, g);
    }
}

gram_spec *gram_gradient(gram_ctx *ctx, const gram_spec *spec, int n, const char *const *names)
{
    reverse r = {.ctx = ctx, .spec = spec};
    const gram_input **by = inputs_named(&r, &n, n ? names : NULL);
    gram_spec *out = gram_alloc(ctx, sizeof *out);
    *out = *spec;
    out->name = gram_format(ctx, "%s_backward", spec->name);
    out->ninputs = out->noutputs = out->ngrad = out->northogonal = out->npermutation = 0;
    out->inputs = gram_alloc(ctx, (size_t)(spec->ninputs + spec->noutputs + 1) * sizeof *out->inputs);
    out->outputs = gram_alloc(ctx, (size_t)(n + 1) * sizeof *out->outputs);
    for (int k = 0; k < spec->ninputs; k++)
        out->inputs[out->ninputs++] = spec->inputs[k];
    start(&r);
    mark_wanted(&r, by, n);
    for (int k = 0; k < spec->noutputs; k++)
        collect(&r, spec->outputs[k].node, output_gradient(&r, out, &spec->outputs[k]));
    hand_on(&r);
    for (int k = 0; k < n; k++)
        add_output(&r, out, by[k]);
    sort_outputs(out);
    return out;
}
