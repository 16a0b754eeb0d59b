/* The rules of reverse mode, an operation each: how a node's gradient is handed on to its operands. The table is at the
 * end; scalar operations have theirs in ops.def. A gradient has its node's shape; where a rule's formula is larger,
 * because the node was repeated over rows, columns or heads, gram_collect sums it up. */
#include "grad_rules.h"

#include <string.h>

#include "derive.h"

/* --- shorthands --------------------------------------------------------------------------------------------------- */

static gram_node *un(gram_reverse *r, gram_op op, gram_node *a)
{
    return gram_node_unary(r->ctx, r->loc, op, a);
}

static gram_node *bi(gram_reverse *r, gram_op op, gram_node *a, gram_node *b)
{
    return gram_node_binary(r->ctx, r->loc, op, a, b);
}

static gram_node *turned(gram_reverse *r, gram_node *a)
{
    return un(r, GRAM_OP_TRANSPOSE, a);
}

static gram_node *times(gram_reverse *r, gram_node *a, gram_node *b)
{
    return bi(r, GRAM_OP_MATMUL, a, b);
}

static gram_node *real(gram_reverse *r, double value)
{
    return gram_node_number(r->ctx, r->loc, GRAM_REAL, value);
}

static gram_node *zeros(gram_reverse *r, gram_dim rows, gram_dim cols)
{
    return gram_node_expand(r->ctx, r->loc, real(r, 0), rows, cols);
}

static gram_node *slice(gram_reverse *r, gram_node *a, gram_dim from, gram_dim rows)
{
    gram_node like = {.dim = from, .rows = rows};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_ROWS, 1, &a, &like);
}

static gram_node *head_at(gram_reverse *r, gram_node *a, int head)
{
    gram_node like = {.index = head};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_HEAD_AT, 1, &a, &like);
}

gram_node *gram_repeated(gram_reverse *r, gram_node *g, int heads, bool batched)
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

/* Read by index, a dropped entry is 0. */
gram_node *gram_filled(gram_reverse *r, gram_node *a)
{
    return gram_node_filled(r->ctx, r->loc, a);
}

static gram_node *reshaped(gram_reverse *r, gram_node *a, gram_dim rows, gram_dim cols, gram_dim each)
{
    gram_node like = {.rows = rows, .cols = cols, .each = each};
    return gram_node_make(r->ctx, r->loc, GRAM_OP_RESHAPE, 1, &a, &like);
}

/* All items' columns side by side, and all heads' rows one over the other. */
static gram_node *flat(gram_reverse *r, gram_node *a)
{
    gram_node *b = a->heads ? un(r, GRAM_OP_CONCAT_HEADS, a) : a;
    gram_dim cols = gram_dim_times(a->each, a->cols.number);
    if (gram_dim_is(cols, 0))
        gram_fail(r->ctx, r->loc, "the gradient of items of %s: too many columns", gram_shape_text(r->ctx, a));
    return reshaped(r, b, b->rows, cols, gram_dim_number(1));
}

static gram_node *with_heads(gram_reverse *r, gram_node *a, int heads)
{
    gram_node like = {.heads = heads};
    return heads ? gram_node_make(r->ctx, r->loc, GRAM_OP_SPLIT_HEADS, 1, &a, &like) : a;
}

/* --- collecting --------------------------------------------------------------------------------------------------- */

/* The sums over groups of heads, as many groups as `heads`; what one head drops and another does not is 0 there. */
static gram_node *sum_groups(gram_reverse *r, gram_node *g, int heads)
{
    if (heads == 0)
        return un(r, GRAM_OP_SUM_HEADS, g);
    if (g->keep && g->keep->heads)
        g = gram_filled(r, g);
    gram_node **group = gram_alloc(r->ctx, (size_t)heads * sizeof *group);
    int each = g->heads / heads;
    for (int h = 0; h < heads; h++) {
        group[h] = head_at(r, g, h * each);
        for (int k = 1; k < each; k++)
            group[h] = bi(r, GRAM_OP_ADD, group[h], head_at(r, g, h * each + k));
    }
    return gram_node_make(r->ctx, r->loc, GRAM_OP_STACK_HEADS, heads, group, NULL);
}

/* The sum over items, whose entries become columns. */
static gram_node *sum_items(gram_reverse *r, gram_node *g)
{
    gram_node *all = g->heads ? un(r, GRAM_OP_CONCAT_HEADS, g) : g;
    gram_dim entries = gram_dim_times(all->rows, all->cols.number), one = gram_dim_number(1);
    gram_node *columns = reshaped(r, all, entries, g->each, one);
    gram_node *total = turned(r, un(r, GRAM_OP_SUM, turned(r, columns)));
    return with_heads(r, reshaped(r, total, all->rows, all->cols, one), g->heads);
}

/* g summed over what a was repeated along: rows, columns, heads, items. */
static gram_node *summed(gram_reverse *r, gram_node *g, const gram_node *a)
{
    if (gram_dim_is(a->rows, 1) && !gram_dim_is(g->rows, 1))
        g = un(r, GRAM_OP_SUM, g);
    if (gram_dim_is(a->cols, 1) && !gram_dim_is(g->cols, 1))
        g = turned(r, un(r, GRAM_OP_SUM, turned(r, g)));
    if (g->heads > a->heads)
        g = sum_groups(r, g, a->heads);
    if (gram_dim_is(a->each, 1) && !gram_dim_is(g->each, 1))
        g = sum_items(r, g);
    if (!gram_dim_equal(g->rows, a->rows) || !gram_dim_equal(g->cols, a->cols))
        g = gram_node_expand(r->ctx, r->loc, g, a->rows, a->cols);
    return g;
}

static bool is_zero(const gram_node *a)
{
    return a->op == GRAM_OP_NUMBER && a->number == 0;
}

/* Of g = where(p, x, 0) or where(p, 0, x): which operand is x. 0: g is not so. */
static int counting(const gram_node *g)
{
    return g->op != GRAM_OP_WHERE ? 0 : is_zero(g->args[2]) ? 1 : is_zero(g->args[1]) ? 2 : 0;
}

static gram_node *condition(gram_reverse *r, const gram_node *g)
{
    return counting(g) == 1 ? g->args[0] : un(r, GRAM_OP_NOT, g->args[0]);
}

/* The sum of two gradients of one node. Where neither counts it is where(p, x, 0) again (derived says what for);
 * dropped entries, if the two drop different ones, meet as zeros, but for those that the node drops. */
static gram_node *together(gram_reverse *r, const gram_node *of, gram_node *a, gram_node *b)
{
    if (of->keep && !a->keep)
        a = bi(r, GRAM_OP_KEEP, a, of->keep);
    if (of->keep && !b->keep)
        b = bi(r, GRAM_OP_KEEP, b, of->keep);
    if (a->keep != b->keep)
        return bi(r, GRAM_OP_ADD, gram_filled(r, a), gram_filled(r, b));
    gram_node *total = bi(r, GRAM_OP_ADD, a, b);
    if (!counting(a) || !counting(b) || a->keep)
        return total;
    gram_node *either = bi(r, GRAM_OP_OR, condition(r, a), condition(r, b));
    return gram_node_ternary(r->ctx, r->loc, GRAM_OP_WHERE, either, total, real(r, 0));
}

void gram_collect(gram_reverse *r, gram_node *a, gram_node *g)
{
    if (!r->wanted[a->id])
        return;
    gram_node **has = &r->grad[a->id];
    g = summed(r, g, a);
    *has = *has ? together(r, a, *has, g) : g;
}

/* --- rules: node's gradient g is handed on to its operands -------------------------------------------------------- */

/* What operand k gets. Where g is where(p, x, 0), it is where(p, what it gets of x, 0): what does not count has no
 * gradient, whatever a derivative is there (of sqrt at 0, say, infinite: 0 times it would be NaN). */
static gram_node *derived(gram_reverse *r, gram_node *node, int k, gram_node *g)
{
    int value = counting(g);
    if (!value)
        return gram_derive(r->ctx, node, k, g);
    gram_node *part = derived(r, node, k, g->args[value]), *args[] = {g->args[0], g->args[1], g->args[2]};
    args[value] = part;
    return part ? gram_node_make(r->ctx, r->loc, GRAM_OP_WHERE, 3, args, NULL) : NULL;
}

static void scalar(gram_reverse *r, gram_node *node, gram_node *g)
{
    for (int k = 0; k < node->nargs; k++) {
        gram_node *part = r->wanted[node->args[k]->id] ? derived(r, node, k, g) : NULL;
        if (part)
            gram_collect(r, node->args[k], part);
    }
}

static void pass(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[0], g);
}

static void keep(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[0], bi(r, GRAM_OP_KEEP, g, node->args[1]));
}

static void transpose(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[0], turned(r, g));
}

static void surrogate(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[1], g);
}

/* A's entries got what was read of them: added up where they were read from. */
static void gather(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *args[] = {g, node->args[1], node->args[2]};
    gram_node like = {.rows = a->rows, .cols = a->cols};
    gram_node *sum = gram_node_make(r->ctx, r->loc, GRAM_OP_SCATTER, 3, args, &like);
    gram_collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, sum, a->keep) : sum);
}

static void scatter(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *args[] = {g, node->args[1], node->args[2]};
    gram_node *read = gram_node_make(r->ctx, r->loc, GRAM_OP_GATHER, 3, args, NULL);
    gram_collect(r, node->args[0], node->args[0]->keep ? bi(r, GRAM_OP_KEEP, read, node->args[0]->keep) : read);
}

/* Is A the same for all items where B is not, so that dA is one product over all their columns? */
static bool is_shared_by_items(const gram_node *a, const gram_node *b, const gram_node *g)
{
    return gram_dim_is(a->each, 1) && !b->heads && gram_dim_equal(b->each, g->each) && !gram_dim_is(b->each, 1);
}

/* C = A B: dA = dC B', dB = A' dC. */
static void matmul(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *b = node->args[1];
    if (r->wanted[a->id] && is_shared_by_items(a, b, g))
        gram_collect(r, a, with_heads(r, times(r, flat(r, g), turned(r, flat(r, b))), g->heads));
    else if (r->wanted[a->id])
        gram_collect(r, a, times(r, g, turned(r, b)));
    if (r->wanted[b->id])
        gram_collect(r, b, times(r, turned(r, a), g));
}

/* D_ij = |z_i - x_j|^2: dZ = 2 (Z scaled by dD's row sums - X dD'), dX = 2 (X scaled by its column sums - Z dD). */
static void sqdist(gram_reverse *r, gram_node *node, gram_node *g)
{
    for (int side = 0; side < 2; side++) {
        gram_node *mine = node->args[side], *other = node->args[!side], *d = side ? g : turned(r, g);
        gram_node *own = bi(r, GRAM_OP_MUL, mine, un(r, GRAM_OP_SUM, d));
        if (r->wanted[mine->id])
            gram_collect(r, mine, bi(r, GRAM_OP_MUL, real(r, 2), bi(r, GRAM_OP_SUB, own, times(r, other, d))));
    }
}

/* D_ij = sum_p |z_pi - x_pj|: row p of dZ is the sum over j of sign(z_pi - x_pj) dD_ij, and of dX that over i,
 * negated. */
static void dist1(gram_reverse *r, gram_node *node, gram_node *g)
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
            gram_collect(r, mine, all);
    }
}

static void sum(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *all = gram_node_expand(r->ctx, r->loc, g, a->rows, a->cols);
    gram_collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, all, a->keep) : all);
}

/* The gradient goes to the entries that are the maximum, in equal shares. Entries are made again to be held against it,
 * perhaps by products in another order: what is a rounding error away from it is the maximum too. */
static void maximum(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *error = bi(r, GRAM_OP_MUL, real(r, 1e-5), un(r, GRAM_OP_ABS, node));
    gram_node *near = bi(r, GRAM_OP_LE, bi(r, GRAM_OP_SUB, node, a), error);
    gram_node *top = bi(r, GRAM_OP_OR, bi(r, GRAM_OP_EQ, a, node), near); /* infinities are only equal */
    gram_node *one = gram_node_ternary(r->ctx, r->loc, GRAM_OP_WHERE, top, real(r, 1), real(r, 0));
    one = a->keep ? bi(r, GRAM_OP_KEEP, one, a->keep) : one;
    gram_collect(r, a, bi(r, GRAM_OP_MUL, one, bi(r, GRAM_OP_DIV, g, un(r, GRAM_OP_SUM, one))));
}

/* g with zeros where it drops what node does not: there node's operand gets something all the same. */
static gram_node *kept_as(gram_reverse *r, const gram_node *node, gram_node *g)
{
    if (!g->keep || g->keep == node->keep)
        return g;
    g = gram_filled(r, g);
    return node->keep ? bi(r, GRAM_OP_KEEP, g, node->keep) : g;
}

/* P = softmax(S): dS = P (dP - sum P dP). */
static void softmax(gram_reverse *r, gram_node *node, gram_node *g)
{
    g = kept_as(r, node, g);
    gram_node *mean = un(r, GRAM_OP_SUM, bi(r, GRAM_OP_MUL, node, g));
    gram_collect(r, node->args[0], bi(r, GRAM_OP_MUL, node, bi(r, GRAM_OP_SUB, g, mean)));
}

static void logsumexp(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[0], bi(r, GRAM_OP_MUL, un(r, GRAM_OP_SOFTMAX, node->args[0]), g));
}

/* sum f(a - t) = 1: dt / da = f'(a - t) / sum f'(a - t). */
static void threshold(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *at = bi(r, GRAM_OP_SUB, a, node), *slope = NULL;
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++)
        if (!strcmp(gram_ops[op].name, node->fn))
            slope = gram_derive(r->ctx, un(r, (gram_op)op, at), 0, real(r, 1));
    gram_collect(r, a, bi(r, GRAM_OP_MUL, slope, bi(r, GRAM_OP_DIV, g, un(r, GRAM_OP_SUM, slope))));
}

/* Column j went into the sums from j on: the total, less what came before j. */
static void cumsum(gram_reverse *r, gram_node *node, gram_node *g)
{
    g = kept_as(r, node, g);
    gram_node *total = turned(r, un(r, GRAM_OP_SUM, turned(r, g)));
    gram_node *before = bi(r, GRAM_OP_SUB, un(r, GRAM_OP_CUMSUM, g), g);
    gram_node *a = node->args[0], *after = bi(r, GRAM_OP_SUB, total, before);
    gram_collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, after, a->keep) : after);
}

static void circulant(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *d = un(r, GRAM_OP_WRAP, g);
    gram_collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, d, a->keep) : d);
}

static void wrap(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], *d = un(r, GRAM_OP_CIRCULANT, g);
    gram_collect(r, a, a->keep ? bi(r, GRAM_OP_KEEP, d, a->keep) : d);
}

/* Y = A^-1: dA = -Y' dY Y'. */
static void inverse(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *y = turned(r, node);
    gram_collect(r, node->args[0], un(r, GRAM_OP_NEG, times(r, times(r, y, g), y)));
}

/* dA is the upper right block of exp([A' dY; 0 A']) (Mathias, 1996). */
static void expm(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_dim k = node->rows;
    gram_node *a = turned(r, node->args[0]);
    gram_node *both = bi(r, GRAM_OP_VCAT, bi(r, GRAM_OP_HCAT, a, g), bi(r, GRAM_OP_HCAT, zeros(r, k, k), a));
    gram_node *top = slice(r, un(r, GRAM_OP_EXPM, both), gram_dim_number(0), k);
    gram_collect(r, node->args[0], turned(r, slice(r, turned(r, top), k, k)));
}

static void diag(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node like = {.rows = node->rows};
    gram_node *identity = gram_node_make(r->ctx, r->loc, GRAM_OP_IDENTITY, 0, NULL, &like);
    gram_collect(r, node->args[0], turned(r, un(r, GRAM_OP_SUM, bi(r, GRAM_OP_MUL, identity, g))));
}

static void vcat(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_dim cut = node->args[0]->rows;
    gram_collect(r, node->args[0], slice(r, g, gram_dim_number(0), cut));
    gram_collect(r, node->args[1], slice(r, g, cut, node->args[1]->rows));
}

static void hcat(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_dim cut = node->args[0]->cols;
    gram_node *t = turned(r, g);
    gram_collect(r, node->args[0], turned(r, slice(r, t, gram_dim_number(0), cut)));
    gram_collect(r, node->args[1], turned(r, slice(r, t, cut, node->args[1]->cols)));
}

/* Rows that were not taken get zeros. */
static void rows(gram_reverse *r, gram_node *node, gram_node *g)
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
    gram_collect(r, a, g);
}

/* The same entries in the operand's shape; what g repeats is written out. */
static void reshape(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], item = {.each = node->each};
    g = gram_node_expand(r->ctx, r->loc, g, node->rows, node->cols);
    if (!gram_dim_equal(g->each, node->each))
        g = bi(r, GRAM_OP_ADD, g,
               bi(r, GRAM_OP_MUL, real(r, 0),
                  un(r, GRAM_OP_REAL, gram_node_make(r->ctx, r->loc, GRAM_OP_ITEM, 0, NULL, &item))));
    gram_collect(r, a, reshaped(r, g, a->rows, a->cols, a->each));
}

static void one_head(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node *a = node->args[0], **all = gram_alloc(r->ctx, (size_t)a->heads * sizeof *all);
    for (int h = 0; h < a->heads; h++)
        all[h] = h == node->index ? g : zeros(r, g->rows, g->cols);
    gram_collect(r, a, gram_node_make(r->ctx, r->loc, GRAM_OP_STACK_HEADS, a->heads, all, NULL));
}

static void stack_heads(gram_reverse *r, gram_node *node, gram_node *g)
{
    for (int h = 0; h < node->nargs; h++)
        gram_collect(r, node->args[h], g->heads ? head_at(r, g, h) : g);
}

static void split_heads(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[0], un(r, GRAM_OP_CONCAT_HEADS, g));
}

static void concat_heads(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_node like = {.heads = node->args[0]->heads};
    gram_collect(r, node->args[0], gram_node_make(r->ctx, r->loc, GRAM_OP_SPLIT_HEADS, 1, &g, &like));
}

static void sum_heads(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_collect(r, node->args[0], gram_repeated(r, g, node->args[0]->heads, false));
}

typedef void (*gram_backward)(gram_reverse *r, gram_node *node, gram_node *g);
static const gram_backward backward[GRAM_OP_COUNT] = {
    [GRAM_OP_EXPAND] = pass,
    [GRAM_OP_KEEP] = keep,
    [GRAM_OP_SURROGATE] = surrogate,
    [GRAM_OP_GATHER] = gather,
    [GRAM_OP_SCATTER] = scatter,
    [GRAM_OP_OVER] = gram_hand_over_on,
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
    [GRAM_OP_CIRCULANT] = circulant,
    [GRAM_OP_WRAP] = wrap,
    [GRAM_OP_INVERSE] = inverse,
    [GRAM_OP_EXPM] = expm,
    [GRAM_OP_DIAG] = diag,
    [GRAM_OP_HCAT] = hcat,
    [GRAM_OP_VCAT] = vcat,
    [GRAM_OP_ROWS] = rows,
    [GRAM_OP_RESHAPE] = reshape,
    [GRAM_OP_HEAD_AT] = one_head,
    [GRAM_OP_STACK_HEADS] = stack_heads,
    [GRAM_OP_SPLIT_HEADS] = split_heads,
    [GRAM_OP_CONCAT_HEADS] = concat_heads,
    [GRAM_OP_SUM_HEADS] = sum_heads,
};

void gram_hand_on(gram_reverse *r, gram_node *node, gram_node *g)
{
    gram_backward rule = gram_op_is_scalar(node->op) ? scalar : backward[node->op];
    if (!rule)
        gram_fail(r->ctx, node->loc, "%s has no gradient", gram_node_text(r->ctx, node));
    if (node->keep && g->keep != node->keep) /* a dropped entry took no part, so it gets nothing */
        g = bi(r, GRAM_OP_KEEP, g, node->keep);
    rule(r, node, g);
}
