/* Grad: reverse mode over the graph.
 *
 * From the outputs to the inputs, each node hands its gradient on to its operands by its operation's rule
 * (grad_rules.c). The result is a graph like any other: simplify and plan make of it what they make of a formula, so
 * scores are made again tile by tile where the forward streams them, and what is low rank or linear stays so. */
#include "grad.h"

#include <string.h>

#include "grad_rules.h"
#include "layout.h"
#include "scan.h"

static void visit(gram_reverse *r, gram_node *node, char *seen)
{
    if (seen[node->id])
        return;
    seen[node->id] = 1;
    for (int k = 0; k < node->nargs; k++)
        visit(r, node->args[k], seen);
    r->live[r->nlive++] = node;
}

/* Names of inputs and outputs share one space. */
static void check_free(const gram_reverse *r, const gram_spec *out, const char *name)
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

/* The declaration of an output O as an input: an array like O's. A row is declared as a column and turned, for so
 * vectors lie; a gradient lies as its input. */
static gram_input declaration(const gram_output *output)
{
    const gram_node *node = output->node;
    bool row = node->vector && gram_dim_is(node->rows, 1), column = node->vector && gram_dim_is(node->cols, 1);
    gram_input in = {.kind = row && column   ? GRAM_SCALAR
                             : row || column ? GRAM_VECTOR
                                             : GRAM_TOKENS,
                     .heads = node->heads,
                     .rows = column ? node->rows
                             : row  ? node->cols
                                    : node->rows,
                     .batched = node->batched,
                     .starts = output->starts};
    in.cols = row || column ? gram_dim_number(1) : node->cols;
    if (output->over)
        in.kind = output->over->kind;
    else if (output->like)
        in = *output->like;
    else if (in.kind == GRAM_TOKENS && output->starts)
        in.kind = GRAM_TOKENS_FLAT;
    else if (in.kind == GRAM_TOKENS && gram_is_weights(node))
        in.kind = GRAM_MATRIX;
    in.name = output->name;
    in.loc = node->loc;
    in.optional = false;
    in.key = NULL;
    return in;
}

static gram_node *add_input(gram_reverse *r, gram_spec *out, gram_input input)
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

static gram_node *output_gradient(gram_reverse *r, gram_spec *out, const gram_output *output)
{
    const gram_node *node = output->node;
    gram_input in = declaration(output);
    in.name = gram_format(r->ctx, "d%s", output->name);
    in.optional = true;
    gram_node *g = add_input(r, out, in);
    g = gram_dim_equal(g->rows, node->rows) && gram_dim_equal(g->cols, node->cols)
            ? g
            : gram_node_unary(r->ctx, r->loc, GRAM_OP_TRANSPOSE, g);
    g = gram_repeated(r, g, node->heads, node->batched);
    return node->keep ? gram_node_binary(r->ctx, r->loc, GRAM_OP_KEEP, g, node->keep) : g;
}

static const gram_input *input_named(const gram_reverse *r, const char *name)
{
    for (int k = 0; k < r->spec->ninputs; k++) {
        const gram_input *in = r->spec->inputs[k];
        if (!strcmp(in->name, name) && gram_input_is_integer(in))
            gram_fail(r->ctx, in->loc, "the gradient by %s: integers have no derivative", name);
        if (!strcmp(in->name, name))
            return in;
    }
    gram_fail(r->ctx, (gram_loc){0}, "the gradient by %s: it is no input of %s", name, r->spec->name);
}

/* The n inputs named; where n is 0, those that the spec names, or all that take floats. */
static const gram_input **inputs_named(const gram_reverse *r, int *n, const char *const *names)
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
        if (!gram_input_is_integer(spec->inputs[k]))
            inputs[(*n)++] = spec->inputs[k];
    return inputs;
}

static gram_node *leaf_of(gram_reverse *r, const gram_input *in)
{
    for (int k = 0; k < r->nlive; k++)
        if (r->live[k]->op == GRAM_OP_INPUT && r->live[k]->input == in)
            return r->live[k];
    return NULL;
}

gram_node *gram_reverse_of(gram_reverse *r, const gram_input *in)
{
    gram_node *leaf = leaf_of(r, in);
    return leaf ? r->grad[leaf->id] : NULL;
}

static void add_output(gram_reverse *r, gram_spec *out, const gram_input *in)
{
    gram_node *g = gram_reverse_of(r, in);
    g = g ? g : gram_node_expand(r->ctx, r->loc, gram_node_number(r->ctx, r->loc, GRAM_REAL, 0), in->rows, in->cols);
    check_free(r, out, gram_format(r->ctx, "d%s", in->name));
    g = gram_repeated(r, g, in->heads, in->batched);
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

static void mark_wanted(gram_reverse *r, const gram_input *const *by, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < r->nlive; i++)
            r->wanted[r->live[i]->id] |= r->live[i]->op == GRAM_OP_INPUT && r->live[i]->input == by[k];
    for (int i = 0; i < r->nlive; i++)
        for (int k = 0; k < r->live[i]->nargs && r->live[i]->type == GRAM_REAL; k++)
            r->wanted[r->live[i]->id] |= r->wanted[r->live[i]->args[k]->id];
}

static void start(gram_reverse *r)
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

/* The scan that live[k] is the first result of hands on what all its results have got. */
static void hand_scan_on(gram_reverse *r, int k)
{
    bool first = true, got = false;
    for (int i = 0; i < r->nlive; i++)
        if (gram_of_one_scan(r->live[i], r->live[k])) {
            first = first && i >= k;
            got = got || r->grad[r->live[i]->id];
        }
    if (first && got)
        gram_hand_scan_on(r, r->live[k]);
}

/* Each node hands its gradient on, users before operands. */
static void hand_all_on(gram_reverse *r)
{
    for (int k = r->nlive - 1; k >= 0; k--) {
        gram_node *node = r->live[k], *g = r->grad[node->id];
        r->loc = node->loc;
        if (node->op == GRAM_OP_SCAN && r->wanted[node->id])
            hand_scan_on(r, k);
        else if (g && node->nargs && r->wanted[node->id])
            gram_hand_on(r, node, g);
    }
}

void gram_reverse_run(gram_reverse *r, const gram_input *const *by, int n, gram_node *const *gradients)
{
    start(r);
    mark_wanted(r, by, n);
    for (int k = 0; k < r->spec->noutputs; k++)
        if (gradients[k])
            gram_collect(r, r->spec->outputs[k].node, gradients[k]);
    hand_all_on(r);
}

/* The spec's outputs as inputs, whose values stand for the outputs' nodes. */
static void give_outputs(gram_reverse *r, gram_spec *out)
{
    gram_given *all = gram_alloc(r->ctx, (size_t)(out->ngiven + r->spec->noutputs + 1) * sizeof *all);
    if (out->ngiven)
        memcpy(all, out->given, (size_t)out->ngiven * sizeof *all);
    out->given = all;
    for (int k = 0; k < r->spec->noutputs; k++) {
        gram_node *leaf = add_input(r, out, declaration(&r->spec->outputs[k]));
        out->given[out->ngiven++] = (gram_given){r->spec->outputs[k].node, leaf->input};
    }
}

gram_spec *gram_gradient(gram_ctx *ctx, const gram_spec *spec, int n, const char *const *names, bool given)
{
    spec = gram_normalisations_out(ctx, spec);
    gram_reverse r = {.ctx = ctx, .spec = spec};
    const gram_input **by = inputs_named(&r, &n, n ? names : NULL);
    gram_spec *out = gram_alloc(ctx, sizeof *out);
    *out = *spec;
    out->name = gram_format(ctx, "%s_backward", spec->name);
    out->ninputs = out->noutputs = out->ngrad = out->northogonal = out->npermutation = 0;
    out->inputs = gram_alloc(ctx, (size_t)(spec->ninputs + 2 * spec->noutputs + 1) * sizeof *out->inputs);
    out->outputs = gram_alloc(ctx, (size_t)(n + 1) * sizeof *out->outputs);
    for (int k = 0; k < spec->ninputs; k++)
        out->inputs[out->ninputs++] = spec->inputs[k];
    if (given)
        give_outputs(&r, out);
    gram_node **gradients = gram_alloc(ctx, (size_t)(spec->noutputs + 1) * sizeof *gradients);
    for (int k = 0; k < spec->noutputs; k++)
        gradients[k] = output_gradient(&r, out, &spec->outputs[k]);
    gram_reverse_run(&r, by, n, gradients);
    for (int k = 0; k < n; k++)
        add_output(&r, out, by[k]);
    sort_outputs(out);
    return out;
}
