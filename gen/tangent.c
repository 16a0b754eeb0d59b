/* Tangent: forward mode, from the rules of reverse mode alone.
 *
 * The gradient u -> J'u is linear in u. Its own gradient by u, given t, is therefore t -> J t, whatever u is: so u may
 * be 0, and what only led to J'u is dead. The derivative along t costs what the formulas of J t cost. */
#include <string.h>

#include "grad.h"

static bool is_among(const gram_spec *spec, const gram_input *input)
{
    for (int k = 0; k < spec->ninputs; k++)
        if (spec->inputs[k] == input)
            return true;
    return false;
}

/* The graph under construction without the dO. */
typedef struct rest {
    gram_ctx *ctx;
    const gram_spec *spec, *gradient;
    gram_node **made; /* by node id; NULL: not yet */
} rest;

/* node with zeros for each dO. */
static gram_node *without(rest *r, gram_node *node)
{
    bool same = true;
    if (r->made[node->id])
        return r->made[node->id];
    if (node->op == GRAM_OP_INPUT && is_among(r->gradient, node->input) && !is_among(r->spec, node->input))
        return gram_node_expand(r->ctx, node->loc, gram_node_number(r->ctx, node->loc, GRAM_REAL, 0), node->rows,
                                node->cols);
    gram_node **args = gram_alloc(r->ctx, (size_t)(node->nargs + 1) * sizeof *args);
    for (int k = 0; k < node->nargs; k++) {
        args[k] = without(r, node->args[k]);
        same = same && args[k] == node->args[k];
    }
    r->made[node->id] = same ? node : gram_node_make(r->ctx, node->loc, node->op, node->nargs, args, node);
    return r->made[node->id];
}

/* The names of the dO. */
static const char **added_inputs(gram_ctx *ctx, const gram_spec *spec, const gram_spec *gradient)
{
    const char **names = gram_alloc(ctx, (size_t)(gradient->ninputs + 1) * sizeof *names);
    int n = 0;
    for (int k = 0; k < gradient->ninputs; k++)
        if (!is_among(spec, gradient->inputs[k]))
            names[n++] = gradient->inputs[k]->name;
    return names;
}

/* "ddX" as "tX". */
static const char *tangent_name(gram_ctx *ctx, const char *name)
{
    return gram_format(ctx, "t%s", name + strlen("dd"));
}

/* The dO go, the ddX are called tX. */
static void take_inputs(gram_ctx *ctx, const gram_spec *spec, const gram_spec *gradient, gram_spec *out)
{
    int n = 0;
    for (int k = 0; k < out->ninputs; k++) {
        gram_input *in = out->inputs[k];
        if (!is_among(spec, in) && is_among(gradient, in))
            continue;
        if (!is_among(spec, in)) {
            in->name = tangent_name(ctx, in->name);
            in->index = n;
        }
        out->inputs[n++] = in;
    }
    out->ninputs = n;
}

gram_spec *gram_tangent(gram_ctx *ctx, const gram_spec *spec, int n, const char *const *names)
{
    const gram_spec *gradient = gram_gradient(ctx, spec, n, names, false);
    gram_spec *out = gram_gradient(ctx, gradient, spec->noutputs, added_inputs(ctx, spec, gradient), false);
    out->name = gram_format(ctx, "%s_forward", spec->name);
    take_inputs(ctx, spec, gradient, out);
    for (int k = 0; k < out->noutputs; k++) {
        gram_node *node = out->outputs[k].node;
        rest r = {ctx, spec, gradient, gram_alloc(ctx, (size_t)(node->id + 1) * sizeof *r.made)};
        out->outputs[k].node = without(&r, node);
        out->outputs[k].name = tangent_name(ctx, out->outputs[k].name);
    }
    return out;
}
