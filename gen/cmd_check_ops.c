/* gram check --grad without a spec: the derivatives in ops.def, row by row, against central differences in double.
 *
 * A row becomes a graph of that one operation over vectors of points, and its gradient the graph that grad.c makes of
 * it; both are computed by the reference. A point where the operation has no value, or a kink within reach of the
 * steps, is drawn again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_check.h"
#include "grad.h"

static const double STEP = 1e-3, TOLERANCE = 1e-6;
enum { POINTS = 100, MOST = 3, ROUNDS = 1000 };

/* One row: its operation's operands at each point, and what comes of them. */
typedef struct row {
    gram_op op;
    int n;           /* operands */
    gram_spec *spec; /* y of the operands; a predicate operand p is p < 0 */
    gram_random random;
    double at[MOST][POINTS], y[POINTS], slope[POINTS];
    double worst;
    bool exact; /* a point was found wherever one was sought */
} row;

static gram_input *operand(gram_ctx *ctx, int k)
{
    static const char *const names[MOST] = {"a", "b", "c"};
    gram_input *in = gram_alloc(ctx, sizeof *in);
    *in = (gram_input){.name = names[k], .kind = GRAM_VECTOR, .index = k};
    in->rows = gram_dim_number(POINTS);
    in->cols = gram_dim_number(1);
    return in;
}

static gram_node *operand_node(gram_ctx *ctx, const gram_input *in, char type)
{
    gram_loc loc = {0};
    gram_node like = {.input = in, .type = GRAM_REAL, .rows = in->rows, .cols = in->cols};
    gram_node *node = gram_node_make(ctx, loc, GRAM_OP_INPUT, 0, NULL, &like);
    return type == 'B' ? gram_node_binary(ctx, loc, GRAM_OP_LT, node, gram_node_number(ctx, loc, GRAM_REAL, 0)) : node;
}

static gram_spec *spec_of(gram_ctx *ctx, gram_op op, int n)
{
    gram_spec *spec = gram_alloc(ctx, sizeof *spec);
    gram_node *args[MOST];
    *spec = (gram_spec){.name = gram_ops[op].name, .file = "ops.def", .ninputs = n, .noutputs = 1};
    spec->inputs = gram_alloc(ctx, MOST * sizeof *spec->inputs);
    spec->outputs = gram_alloc(ctx, sizeof *spec->outputs);
    for (int k = 0; k < n; k++) {
        spec->inputs[k] = operand(ctx, k);
        args[k] = operand_node(ctx, spec->inputs[k], gram_ops[op].operands[k]);
    }
    spec->outputs[0] = (gram_output){.name = "y", .node = gram_node_make(ctx, (gram_loc){0}, op, n, args, NULL)};
    return spec;
}

/* spec's one output at the points; of a gradient, whose last input is dy, with dy = 1. */
static void evaluate(gram_ctx *ctx, row *r, const gram_spec *spec, double *to)
{
    double ones[POINTS];
    gram_view in[MOST + 1], out = {.data = to, .row = 1};
    for (int k = 0; k < POINTS; k++)
        ones[k] = 1;
    for (int k = 0; k < spec->ninputs; k++)
        in[k] = (gram_view){.data = k < r->n ? r->at[k] : ones, .row = 1};
    gram_reference(ctx, spec, 1, NULL, in, &out);
}

/* y with operand k moved. */
static void moved(gram_ctx *ctx, row *r, int k, double step, double *to)
{
    double start[POINTS];
    memcpy(start, r->at[k], sizeof start);
    for (int i = 0; i < POINTS; i++)
        r->at[k][i] += step;
    evaluate(ctx, r, r->spec, to);
    memcpy(r->at[k], start, sizeof start);
}

/* Away from 0, where a quotient that is rounded jumps more often than the steps of the differences could tell. */
static void draw(row *r, int i)
{
    for (int k = 0; k < r->n; k++)
        do
            r->at[k][i] = 1.5 * gram_random_normal(&r->random);
        while (fabs(r->at[k][i]) < 0.25);
}

/* The slopes by operand k from differences of two steps; how many points had to be drawn again. */
static int differences(gram_ctx *ctx, row *r, int k)
{
    double value[4][POINTS];
    int again = 0;
    for (int j = 0; j < 4; j++)
        moved(ctx, r, k, (j < 2 ? -1 : 1) * (j % 2 + 1) * STEP, value[j]);
    for (int i = 0; i < POINTS; i++) {
        double near = (value[2][i] - value[0][i]) / (2 * STEP), far = (value[3][i] - value[1][i]) / (4 * STEP);
        r->slope[i] = (4 * near - far) / 3;
        if (fabs(near - far) <= 1e-4 * (1 + fabs(near)))
            continue;
        draw(r, i);
        again++;
    }
    return again;
}

static void check_operand(gram_ctx *ctx, row *r, int k)
{
    double got[POINTS];
    int left = POINTS;
    const char *name = r->spec->inputs[k]->name;
    for (int i = 0; i < POINTS; i++)
        draw(r, i);
    for (int round = 0; round < ROUNDS && left > 0; round++)
        left = differences(ctx, r, k);
    r->exact &= left == 0;
    evaluate(ctx, r, gram_gradient(ctx, r->spec, 1, &name, false), got);
    for (int i = 0; i < POINTS; i++) {
        double error = fabs(got[i] - r->slope[i]) / (1 + fabs(r->slope[i]));
        r->worst = error <= r->worst ? r->worst : error;
    }
}

static void check_row(gram_ctx *ctx, void *data)
{
    row *r = data;
    r->spec = spec_of(ctx, r->op, r->n);
    for (int k = 0; k < r->n; k++)
        if (gram_ops[r->op].operands[k] == 'R')
            check_operand(ctx, r, k);
}

/* Does the operation take a real and give one? Others have no derivative. */
static bool is_real(gram_op op)
{
    return gram_ops[op].result == GRAM_REAL && strchr(gram_ops[op].operands, 'R');
}

bool gram_check_operations(void)
{
    bool all = true;
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++) {
        row r = {.op = (gram_op)op, .n = (int)strlen(gram_ops[op].operands), .random = {(uint64_t)op}, .exact = true};
        gram_ctx *ctx = is_real(r.op) ? gram_ctx_new() : NULL;
        if (!ctx)
            continue;
        bool failed = gram_try(ctx, check_row, &r) != 0;
        bool ok = !failed && r.exact && r.worst <= TOLERANCE;
        printf("%-10s f64  %3d points  worst %.1e %s\n", gram_ops[op].name, POINTS, r.worst, ok ? "ok" : "FAILED");
        if (failed || !r.exact)
            printf("    %s\n", failed ? ctx->message : "no points where it is smooth");
        gram_ctx_free(ctx);
        all &= ok;
    }
    return all;
}
