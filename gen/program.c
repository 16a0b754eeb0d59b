/* Programs: a formula over tiles as a list of instructions.
 *
 * A node whose rate is less than a pair's becomes an instruction of that rate, so that emit.c can place it outside the
 * loop over pairs: what depends on the query only is computed once per block, on the key only once per tile. Products
 * of two matrices at hand are leaves; whatever cannot be computed entry by entry is computed by a step of its own
 * first, and loaded. */
#include <math.h>
#include <string.h>

#include "chain.h"
#include "planner.h"
#include "simplify.h"

static int rate_of(const gram_node *node)
{
    return (gram_dim_is(node->rows, 1) ? 0 : GRAM_RATE_LANE) | (gram_dim_is(node->cols, 1) ? 0 : GRAM_RATE_QUERY);
}

static bool same_instr(const gram_instr *a, const gram_instr *b)
{
    return a->kind == b->kind && a->op == b->op && a->type == b->type && a->nargs == b->nargs &&
           !memcmp(a->args, b->args, sizeof a->args) && !memcmp(&a->number, &b->number, sizeof a->number) &&
           gram_dim_equal(a->dim, b->dim) && a->buffer == b->buffer && a->index == b->index && a->heads == b->heads &&
           a->rate == b->rate;
}

/* The instruction that already computes node, or -1. */
static int find(const gram_program *program, const gram_node *node)
{
    for (int k = 0; k < program->n; k++)
        if (program->instr[k].node == node)
            return k;
    return -1;
}

/* Appends, unless an equal instruction is there. */
static int append(gram_planner *p, gram_program *program, gram_instr instr)
{
    for (int k = 0; k < program->n; k++)
        if (same_instr(&program->instr[k], &instr))
            return k;
    if ((program->n & (program->n + 1)) == 0 || program->n == 0) {
        gram_instr *more = gram_alloc(p->ctx, (size_t)(2 * program->n + 2) * sizeof *more);
        if (program->n)
            memcpy(more, program->instr, (size_t)program->n * sizeof *more);
        program->instr = more;
    }
    program->instr[program->n] = instr;
    return program->n++;
}

static gram_instr blank(const gram_node *node, gram_instr_kind kind)
{
    gram_instr instr;
    memset(&instr, 0, sizeof instr);
    instr.kind = kind;
    instr.type = node->type;
    instr.rate = rate_of(node);
    instr.node = node;
    return instr;
}

static int add_load(gram_planner *p, gram_program *program, gram_node *node)
{
    gram_instr instr = blank(node, GRAM_I_LOAD);
    instr.buffer = gram_plan_buffer(p, node);
    return append(p, program, instr);
}

static int add_number(gram_planner *p, gram_program *program, const gram_node *like, gram_type type, double value)
{
    gram_instr instr = blank(like, GRAM_I_NUMBER);
    instr.type = type;
    instr.rate = GRAM_RATE_ONE;
    instr.number = value;
    instr.node = NULL;
    return append(p, program, instr);
}

static int add_op(gram_planner *p, gram_program *program, const gram_node *like, gram_op op, int nargs, const int *args)
{
    gram_instr instr = blank(like, GRAM_I_OP);
    instr.node = op == like->op ? like : NULL;
    instr.op = op;
    instr.type = gram_ops[op].result;
    instr.nargs = nargs;
    instr.rate = GRAM_RATE_ONE;
    for (int k = 0; k < nargs; k++) {
        instr.args[k] = args[k];
        instr.rate |= program->instr[args[k]].rate;
    }
    return append(p, program, instr);
}

/* c times a leaf that nothing else uses: the leaf takes the factor, which then costs nothing per pair. */
static int add_scaled_leaf(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    const gram_node *product = node->nargs == 2 ? node->args[1] : NULL;
    if (node->op != GRAM_OP_MUL || !product || product->op != GRAM_OP_MATMUL ||
        (product->id < p->known && p->users[product->id] > 1))
        return -1;
    int scale = gram_program_add(p, step, program, node->args[0]);
    int leaf = gram_program_add(p, step, program, node->args[1]);
    gram_instr *l = &program->instr[leaf];
    if (program->instr[scale].rate != GRAM_RATE_ONE || l->kind != GRAM_I_LEAF || step->leaves[l->index].scale >= 0)
        return -1;
    step->leaves[l->index].scale = scale;
    l->node = node;
    return leaf;
}

static int add_scalar(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    int args[3], scaled = add_scaled_leaf(p, step, program, node);
    if (scaled >= 0)
        return scaled;
    for (int k = 0; k < node->nargs; k++)
        args[k] = gram_program_add(p, step, program, node->args[k]);
    return add_op(p, program, node, node->op, node->nargs, args);
}

/* Are the queries what the panels of the keys hold, and in the workspace? */
static bool is_same(const gram_plan *plan, const gram_leaf *leaf)
{
    const gram_buffer *left = &plan->buffers[leaf->left];
    return left->storage == GRAM_AT_VIEW && left->view == GRAM_VIEW_TRANSPOSE && left->base == leaf->right &&
           plan->buffers[leaf->right].storage == GRAM_AT_WORK;
}

/* Of -1, 0 and 1 alone, as `ternary` makes them? */
static bool is_ternary(const gram_node *a)
{
    static const bool moves[GRAM_OP_COUNT] = {[GRAM_OP_TRANSPOSE] = true,
                                              [GRAM_OP_HEAD_AT] = true,
                                              [GRAM_OP_STACK_HEADS] = true,
                                              [GRAM_OP_SPLIT_HEADS] = true,
                                              [GRAM_OP_CONCAT_HEADS] = true};
    bool all = moves[a->op];
    for (int k = 0; all && k < a->nargs; k++)
        all = is_ternary(a->args[k]);
    return all || (a->op == GRAM_OP_WHERE && a->args[0]->op == GRAM_OP_LE && a->args[1]->op == GRAM_OP_SIGN &&
                   a->args[2]->op == GRAM_OP_NUMBER && a->args[2]->number == 0);
}

/* Two words for each GRAM_WORD terms. */
static gram_dim words_of(const gram_planner *p, gram_dim terms)
{
    int64_t word = p->plan->real_bits;
    return gram_dim_number(2 * ((terms.number + word - 1) / word));
}

/* A scan makes a few columns of a product at a time: too few to pack the left factor for, where it lies along lanes. */
static bool reads_in_place(gram_planner *p, const gram_step *step, const gram_leaf *leaf)
{
    return p->plan->spec->scan && !leaf->bits && !strcmp(step->template, "map") &&
           gram_plan_reads_vectors(p, leaf->left, p->plan->buffers[leaf->left].rows);
}

static int add_leaf(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    gram_node *a = node->args[0], *b = node->args[1];
    gram_leaf leaf = {.op = node->op, .scale = -1};
    if (node->op == GRAM_OP_MATMUL) {
        leaf.left = gram_plan_buffer(p, a);
        leaf.inner = gram_dim_known(a->cols) ? a->cols : b->rows;
    } else {
        leaf.left = gram_plan_buffer(p, gram_node_unary(p->ctx, node->loc, GRAM_OP_TRANSPOSE, a));
        leaf.inner = gram_dim_known(a->rows) ? a->rows : b->rows;
    }
    leaf.right = gram_plan_buffer(p, b);
    leaf.terms = leaf.inner;
    leaf.bits = node->op == GRAM_OP_MATMUL && is_ternary(a) && is_ternary(b) && gram_dim_known(leaf.terms);
    leaf.inner = leaf.bits ? words_of(p, leaf.terms) : leaf.terms;
    leaf.pack = reads_in_place(p, step, &leaf)
                    ? -1
                    : gram_plan_pack(p, leaf.left, leaf.bits ? GRAM_PACK_PLANES : GRAM_PACK_PANELS, leaf.inner);
    leaf.same = !leaf.bits && is_same(p->plan, &leaf);
    if (step->nleaves == GRAM_MOST)
        gram_fail(p->ctx, node->loc, "more than %d products in one formula", GRAM_MOST);
    gram_instr instr = blank(node, GRAM_I_LEAF);
    instr.index = step->nleaves;
    instr.rate = GRAM_RATE_PAIR;
    step->leaves[step->nleaves++] = leaf;
    return append(p, program, instr);
}

/* Has its transpose an array anyway? */
static bool has_twin(gram_planner *p, gram_node *node)
{
    const gram_node *twin = gram_is_pair(node) ? node : gram_transposed(p->ctx, node);
    return twin != node && twin->id < p->known && p->users[twin->id] > 0;
}

/* Is a product made inside this formula's tiles, rather than beforehand? Over pairs always: it must not be built; and
 * where it is itself what the step computes. */
static bool is_leaf(gram_planner *p, const gram_step *step, gram_node *node)
{
    if (node->op != GRAM_OP_MATMUL && node->op != GRAM_OP_SQDIST && node->op != GRAM_OP_DIST1)
        return false;
    const gram_node *what = step->what;
    while (what && what->op == GRAM_OP_KEEP)
        what = what->args[0];
    if (node == what)
        return strcmp(step->template, "stream") != 0 || !has_twin(p, node);
    bool column = p->plan->spec->scan && gram_dim_is(node->cols, 1); /* all that a scan makes at a time */
    bool matrix = !gram_dim_is(node->rows, 1) && (column || !gram_dim_is(node->cols, 1));
    bool once = gram_is_pair(node) || node->id >= p->known || p->users[node->id] <= 1;
    bool built = node->id < p->known && p->computed[node->id];
    return matrix && !built && !gram_is_stream(p, node) && (once || gram_used_only_in(p, step->what, node));
}

/* op of S down its columns, an array, along the queries or, turned, along the lanes. */
static int add_of_columns(gram_planner *p, gram_program *program, gram_op op, gram_node *S, bool turned)
{
    gram_node *row = gram_node_unary(p->ctx, S->loc, op, S);
    return add_load(p, program, turned ? gram_transposed(p->ctx, row) : row);
}

bool gram_plan_is_given(const gram_planner *p, const gram_node *node)
{
    for (int k = 0; k < p->plan->spec->ngiven; k++)
        if (p->plan->spec->given[k].node == node)
            return true;
    return false;
}

/* softmax(S) or its transpose inside a formula: exp((S - peak) - log sum exp(S - peak)), 0 in a column where nothing is
 * left. The peak comes off first, so that scores of any size keep their differences. Where the caller gave the
 * log-sum-exp, exp(S - lse) spares a pass over the scores. */
static int add_softmax(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    bool turned = node->op == GRAM_OP_TRANSPOSE;
    gram_node *S = turned ? node->args[0]->args[0] : node->args[0];
    bool given = gram_plan_is_given(p, gram_node_unary(p->ctx, S->loc, GRAM_OP_LOGSUMEXP, S));
    int peak = add_of_columns(p, program, given ? GRAM_OP_LOGSUMEXP : GRAM_OP_PEAK, S, turned);
    int logsum = given ? -1 : add_of_columns(p, program, GRAM_OP_LOGSUM, S, turned);
    int score = gram_program_add(p, step, program, turned ? gram_transposed(p->ctx, S) : S);
    int below = add_op(p, program, node, GRAM_OP_SUB, 2, (int[]){score, peak});
    int shifted = given ? below : add_op(p, program, node, GRAM_OP_SUB, 2, (int[]){below, logsum});
    int weight = add_op(p, program, node, GRAM_OP_EXP, 1, &shifted);
    int nothing = add_number(p, program, node, GRAM_REAL, -INFINITY), zero = add_number(p, program, node, GRAM_REAL, 0);
    int empty = add_op(p, program, node, GRAM_OP_EQ, 2, (int[]){peak, nothing});
    return add_op(p, program, node, GRAM_OP_WHERE, 3, (int[]){empty, zero, weight});
}

/* The identity and diag(v): where(i = j, v, 0). */
static int add_diagonal(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    gram_instr i = blank(node, GRAM_I_ROW), j = blank(node, GRAM_I_COL);
    i.type = j.type = GRAM_INT;
    i.rate = GRAM_RATE_LANE;
    j.rate = GRAM_RATE_QUERY;
    i.node = j.node = NULL;
    int at[2] = {append(p, program, i), append(p, program, j)};
    int same = add_op(p, program, node, GRAM_OP_IEQ, 2, at);
    int value = node->op == GRAM_OP_IDENTITY ? add_number(p, program, node, GRAM_REAL, 1)
                                             : gram_program_add(p, step, program, node->args[0]);
    int zero = add_number(p, program, node, GRAM_REAL, 0);
    return add_op(p, program, node, GRAM_OP_WHERE, 3, (int[]){same, value, zero});
}

/* A[i, j] at this very row and column is a plain read. */
static bool is_plain_read(const gram_node *node)
{
    const gram_node *a = node->args[0], *i = node->args[1], *j = node->args[2];
    bool row =
        gram_dim_is(a->rows, 1) ? i->op == GRAM_OP_NUMBER : i->op == GRAM_OP_ROW && gram_dim_equal(i->rows, a->rows);
    bool col =
        gram_dim_is(a->cols, 1) ? j->op == GRAM_OP_NUMBER : j->op == GRAM_OP_COL && gram_dim_equal(j->cols, a->cols);
    return row && col;
}

/* a as it stands, its dropped entries as zeros: a formula over pairs is made in place, and not kept. */
static int add_filled(gram_planner *p, gram_step *step, gram_program *program, gram_node *a)
{
    bool formula = a->op == GRAM_OP_KEEP || gram_op_is_scalar(a->op), made = a->id < p->known && p->computed[a->id];
    if (!formula || made || !gram_is_pair(a))
        return add_load(p, program, a);
    int value = gram_program_add(p, step, program, a);
    if (!a->keep)
        return value;
    int kept = gram_program_add(p, step, program, gram_simplified(p->ctx, a->keep));
    int zero = add_number(p, program, a, a->type, 0);
    return add_op(p, program, a, GRAM_OP_WHERE, 3, (int[]){kept, value, zero});
}

/* Anything already in an array, read transposed where i and j stand the other way round. */
static int add_gather(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    gram_node *a = node->args[0];
    if (is_plain_read(node))
        return add_filled(p, step, program, a);
    gram_node turned = *node;
    gram_node *at = gram_transposed(p->ctx, a), *swapped[3] = {at, node->args[2], node->args[1]};
    turned.args = swapped;
    if (is_plain_read(&turned))
        return add_filled(p, step, program, at);
    gram_instr instr = blank(node, GRAM_I_GATHER);
    instr.nargs = 2;
    instr.args[0] = gram_program_add(p, step, program, node->args[1]);
    instr.args[1] = gram_program_add(p, step, program, node->args[2]);
    instr.rate = program->instr[instr.args[0]].rate | program->instr[instr.args[1]].rate;
    instr.buffer = gram_plan_buffer(p, a);
    return append(p, program, instr);
}

static int add_index(gram_planner *p, gram_program *program, gram_node *node)
{
    bool alone = gram_dim_is(node->rows, 1) && gram_dim_is(node->cols, 1);
    if (alone && (node->op == GRAM_OP_ROW || node->op == GRAM_OP_COL)) /* of one row: whichever way it is turned */
        return add_number(p, program, node, GRAM_INT, 0);
    static const struct {
        gram_op op;
        gram_instr_kind kind;
    } kinds[] = {{GRAM_OP_NUMBER, GRAM_I_NUMBER}, {GRAM_OP_SIZE, GRAM_I_SIZE}, {GRAM_OP_ROW, GRAM_I_ROW},
                 {GRAM_OP_COL, GRAM_I_COL},       {GRAM_OP_LOOP, GRAM_I_LOOP}, {GRAM_OP_HEAD, GRAM_I_HEAD},
                 {GRAM_OP_BATCH, GRAM_I_BATCH},   {GRAM_OP_ITEM, GRAM_I_ITEM}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (kinds[k].op == node->op) {
            gram_instr instr = blank(node, kinds[k].kind);
            instr.number = node->op == GRAM_OP_NUMBER ? node->number : 0;
            instr.dim = node->op == GRAM_OP_SIZE ? node->dim : (gram_dim){0};
            instr.heads = node->op == GRAM_OP_HEAD ? node->heads : 0;
            instr.node = NULL;
            return append(p, program, instr);
        }
    return -1;
}

/* In an epilogue: what the step itself summed up. */
static int add_own(gram_planner *p, const gram_step *step, gram_program *program, const gram_node *node)
{
    if (program == &step->program)
        return -1;
    for (int k = 0; k < step->nsums; k++)
        if (step->sums[k].node == node) {
            gram_instr instr = blank(node, GRAM_I_SUM_OF);
            instr.index = k;
            instr.rate = GRAM_RATE_PAIR;
            return append(p, program, instr);
        }
    for (int k = 0; k < step->nstats; k++)
        if (step->stats[k].node == node) {
            gram_instr instr = blank(node, GRAM_I_STAT);
            instr.index = k;
            instr.rate = GRAM_RATE_QUERY;
            return append(p, program, instr);
        }
    return -1;
}

bool gram_is_shared(gram_planner *p, const gram_node *node)
{
    return gram_op_is_scalar(node->op) && node->type == GRAM_REAL && node->id < p->known && p->users[node->id] > 1 &&
           !gram_is_pair(node) && gram_holds_product(p, node) && !gram_node_loops(p->ctx, node);
}

/* Is it better read than made again: shared, and neither what the step makes nor used in that alone? An epilogue, which
 * makes no products, reads all that is shared. */
static bool is_read(gram_planner *p, const gram_step *step, const gram_program *program, const gram_node *node)
{
    bool within = program == &step->program;
    bool made = strcmp(step->template, "stream") != 0 || gram_is_streamed(p, node, 0);
    bool root = within ? node == step->what && made : node == step->stored;
    return !root && gram_is_shared(p, node) && !(within && gram_used_only_in(p, step->what, node));
}

int gram_program_add(gram_planner *p, gram_step *step, gram_program *program, gram_node *node)
{
    int known = find(program, node);
    if (known < 0)
        known = add_own(p, step, program, node);
    if (known >= 0)
        return known;
    if (node->id < p->known && p->computed[node->id])
        return add_load(p, program, node);
    int index = add_index(p, program, node);
    if (index >= 0)
        return index;
    if (is_read(p, step, program, node))
        return add_load(p, program, node);
    if (gram_op_is_scalar(node->op))
        return add_scalar(p, step, program, node);
    if (is_leaf(p, step, node))
        return add_leaf(p, step, program, node);
    switch (node->op) {
    case GRAM_OP_EXPAND:
    case GRAM_OP_KEEP:
        return gram_program_add(p, step, program, node->args[0]);
    case GRAM_OP_GATHER:
        return add_gather(p, step, program, node);
    case GRAM_OP_SOFTMAX:
        return add_softmax(p, step, program, node);
    case GRAM_OP_TRANSPOSE:
        return node->args[0]->op == GRAM_OP_SOFTMAX ? add_softmax(p, step, program, node) : add_load(p, program, node);
    case GRAM_OP_IDENTITY:
    case GRAM_OP_DIAG:
        return add_diagonal(p, step, program, node);
    default:
        return add_load(p, program, node);
    }
}

static gram_op spreading(gram_type type)
{
    return type == GRAM_BOOL ? GRAM_OP_OR : type == GRAM_INT ? GRAM_OP_IMAX : GRAM_OP_MAX;
}

bool gram_is_spread(const gram_instr *instr)
{
    bool greater = instr->op == spreading(instr->type);
    return instr->kind == GRAM_I_OP && greater && instr->nargs == 2 && instr->args[0] == instr->args[1];
}

int gram_program_spread(gram_planner *p, gram_program *program, int k)
{
    gram_instr instr = program->instr[k];
    if (instr.rate == GRAM_RATE_PAIR)
        return k;
    instr.kind = GRAM_I_OP;
    instr.op = spreading(instr.type);
    instr.rate = GRAM_RATE_PAIR;
    instr.nargs = 2;
    instr.args[0] = instr.args[1] = k;
    instr.node = NULL;
    return append(p, program, instr);
}

int gram_program_scatter(gram_planner *p, gram_step *step, gram_node *node, int buffer)
{
    gram_program *program = &step->program;
    gram_node *a = node->args[0];
    gram_instr instr = blank(node, GRAM_I_SCATTER);
    int value = gram_program_add(p, step, program, a);
    if (a->keep) {
        int at[3] = {gram_program_add(p, step, program, gram_simplified(p->ctx, a->keep)), value, 0};
        at[2] = add_number(p, program, a, GRAM_REAL, 0);
        value = add_op(p, program, node, GRAM_OP_WHERE, 3, at);
    }
    instr.args[0] = gram_program_spread(p, program, value);
    instr.args[1] = gram_program_add(p, step, program, node->args[1]);
    instr.args[2] = gram_program_add(p, step, program, node->args[2]);
    instr.nargs = 3;
    instr.rate = GRAM_RATE_PAIR;
    instr.buffer = buffer;
    return append(p, program, instr);
}
