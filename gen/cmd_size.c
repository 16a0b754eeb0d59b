/* gram size: how deep and how wide a transformer of a given number of parameters should be, and whether a model,
 * described by a spec or by its depth and width, is near that.
 *
 * Levine, Wies, Sharir, Bata and Shashua, "Limits to Depth Efficiencies of Self-Attention" (NeurIPS 2020). Theory:
 * depth is worth more than width up to the threshold log3(width) and the same beyond it. Experiment: networks of 6 to
 * 48 layers change over at the width e^(a + b L), later than the theory's bound. With N = 12 L width^2 parameters (no
 * embeddings) that gives the depth for a budget: the L where ln(12 L) + 2 (a + b L) = ln N, found by bisection. The
 * advice is the experiment's; the threshold is printed beside it and is not a depth to build. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "compile.h"

static const double FIT_A = 5.039, FIT_B = 0.0555;
/* A model counts as having the fitted depth within a tenth of it, which is as sure as the fit is, and within a layer.
 * */
static const double NEAR = 0.1;

/* The paper's table: shapes of GPT-3 as they were trained, and what it advises for the same number of parameters. */
static const struct {
    const char *name;
    double params;
    int depth, width;
    int advised_depth, advised_width;
} published[] = {
    {"125M", 12.0 * 12 * 768 * 768, 12, 768, 23, 555},
    {"350M", 12.0 * 24 * 1024 * 1024, 24, 1024, 32, 886},
    {"760M", 12.0 * 24 * 1536 * 1536, 24, 1536, 38, 1220},
    {"1.3B", 12.0 * 24 * 2048 * 2048, 24, 2048, 42, 1550},
    {"2.7B", 12.0 * 32 * 2560 * 2560, 32, 2560, 47, 2110},
    {"6.7B", 12.0 * 32 * 4096 * 4096, 32, 4096, 54, 3150},
    {"13B", 12.0 * 40 * 5140 * 5140, 40, 5140, 60, 4200},
    {"175B", 12.0 * 96 * 12288 * 12288, 96, 12288, 80, 13500},
    {"1T", 1e12, 0, 0, 95, 30100},
};

/* ---- the laws ---- */

typedef struct shape {
    double depth, width;
} shape;

/* Where a budget changes over; ln(12 L) + 2 (a + b L) grows with L. */
static shape transition(double params)
{
    double low = 0, high = 1e6;
    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2;
        if (log(12 * middle) + 2 * (FIT_A + FIT_B * middle) < log(params))
            low = middle;
        else
            high = middle;
    }
    return (shape){low, exp(FIT_A + FIT_B * low)};
}

static double threshold(double width)
{
    return log(width) / log(3);
}

static const char *regime(shape s)
{
    return s.depth < threshold(s.width) ? "depth-efficient" : "depth-inefficient";
}

static const char *verdict(double depth, double advised)
{
    double near = fmax(1, NEAR * advised);
    return depth > advised + near ? "too deep" : depth < advised - near ? "too shallow" : "balanced";
}

/* ---- a spec's own shape ---- */

typedef struct model {
    const char *name;
    double params;
    shape shape;
} model;

/* Weights do not differ between items; what has a runtime size is no fixed number of parameters. */
static bool is_weight(const gram_input *input)
{
    bool weight = input->kind == GRAM_MATRIX || input->kind == GRAM_VECTOR || input->kind == GRAM_SCALAR;
    return weight && !input->batched && gram_dim_known(input->rows) && gram_dim_known(input->cols);
}

static double heads_of(int heads)
{
    return heads > 0 ? heads : 1;
}

static double count_parameters(const gram_spec *spec)
{
    double count = 0;
    for (int i = 0; i < spec->ninputs; i++) {
        const gram_input *input = spec->inputs[i];
        if (is_weight(input))
            count += (double)input->rows.number * (double)input->cols.number * heads_of(input->heads);
    }
    return count;
}

/* The first tokens' size, over all heads; 0 where there are none. */
static double width_of(const gram_spec *spec)
{
    for (int i = 0; i < spec->ninputs; i++) {
        const gram_input *input = spec->inputs[i];
        if ((input->kind == GRAM_TOKENS || input->kind == GRAM_TOKENS_FLAT) && gram_dim_known(input->rows))
            return (double)input->rows.number * heads_of(input->heads);
    }
    return 0;
}

/* A product that sums over tokens mixes them: V * softmax(S), V * (K' * Q), and not K' * Q itself, which sums over
 * features. */
static bool mixes(const gram_node *node)
{
    return node->op == GRAM_OP_MATMUL && !gram_dim_known(node->args[0]->cols) &&
           (gram_dim_known(node->rows) || gram_dim_known(node->cols));
}

/* layers[id]: mixing products on the longest way down from a node, plus 1; 0: not found yet. */
static int layers_below(const gram_node *node, int *layers)
{
    int most = 1;
    if (layers[node->id] > 0)
        return layers[node->id];
    for (int i = 0; i < node->nargs; i++) {
        int below = layers_below(node->args[i], layers);
        most = below > most ? below : most;
    }
    return layers[node->id] = most + mixes(node);
}

/* Layers of attention on the longest way from an output to the inputs; -1: out of memory. Operands have smaller ids.
 * */
static int depth_of(const gram_spec *spec)
{
    int last = 0, depth = 0;
    for (int i = 0; i < spec->noutputs; i++)
        last = spec->outputs[i].node->id > last ? spec->outputs[i].node->id : last;
    int *layers = calloc((size_t)last + 1, sizeof *layers);
    for (int i = 0; i < spec->noutputs && layers; i++) {
        int here = layers_below(spec->outputs[i].node, layers) - 1;
        depth = here > depth ? here : depth;
    }
    free(layers);
    return layers ? depth : -1;
}

static int read_model(const gram_cli *cli, model *m)
{
    int status;
    gram_kernel *kernel = gram_cli_load(cli, "reference", &status);
    if (!kernel)
        return status;
    const gram_spec *spec = kernel->build.spec;
    int depth = depth_of(spec);
    *m = (model){.name = cli->spec,
                 .params = cli->params > 0 ? cli->params : count_parameters(spec),
                 .shape = {depth, width_of(spec)}};
    gram_free(kernel);
    const char *lacks = depth < 0             ? "out of memory"
                        : depth == 0          ? "it has no layer of attention: no product sums over tokens"
                        : m->shape.width == 0 ? "its width is not known: no tokens of a fixed size"
                        : m->params == 0      ? "it has no weights to count: --params gives their number"
                                              : NULL;
    if (lacks)
        fprintf(stderr, "error: %s: %s\n", cli->spec, lacks);
    return lacks ? GRAM_EXIT_FAULT : GRAM_EXIT_OK;
}

/* ---- a shape from the command line ---- */

/* depth=96 width=12288, with 12 depth width^2 parameters where --params does not say. */
static int take_shape(const gram_cli *cli, model *m)
{
    for (int i = 0; i < cli->nfields; i++) {
        const gram_field *field = &cli->fields[i];
        double *place = strcmp(field->name, "depth") == 0   ? &m->shape.depth
                        : strcmp(field->name, "width") == 0 ? &m->shape.width
                                                            : NULL;
        int64_t value = gram_cli_number(field->value);
        if (!place || cli->spec)
            return gram_usage(cli, "it takes no %s=%s", field->name, field->value);
        if (value < 1 || value > 1000000000)
            return gram_usage(cli, "%s=%s is not a size", field->name, field->value);
        *place = (double)value;
    }
    if (m->shape.depth == 0 || m->shape.width == 0)
        return gram_usage(cli, "depth=... and width=..., both of them");
    m->name = "this shape";
    m->params = cli->params > 0 ? cli->params : 12 * m->shape.depth * m->shape.width * m->shape.width;
    return 0;
}

/* ---- printing ---- */

static void print_table(void)
{
    puts("\nThe published table (Levine et al., for shapes of GPT-3) and what is computed here:\n\n"
         "          trained          published        computed\n"
         "  model   depth   width    depth   width    depth    width");
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        shape s = transition(published[i].params);
        char trained[32] = "    -       -";
        if (published[i].depth > 0)
            snprintf(trained, sizeof trained, "%5d%8d", published[i].depth, published[i].width);
        printf("  %-6s%s    %5d%8d    %5.1f%9.0f\n", published[i].name, trained, published[i].advised_depth,
               published[i].advised_width, s.depth, s.width);
    }
}

static void print_regime(shape s)
{
    printf("regime      %s: theory's threshold log3(width) is %.2f layers, up to where depth is worth\n"
           "            doubly exponentially more than width; no advice on how deep to build\n",
           regime(s), threshold(s.width));
}

static void print_budget(double params, shape best)
{
    printf("parameters  %.6g, without embeddings\n"
           "depth       %.1f   where depth stops to pay, by the fit ln(width) = %.3f + %.4f depth\n"
           "width       %.0f\n",
           params, best.depth, FIT_A, FIT_B, best.width);
    print_regime(best);
    print_table();
}

static void print_model(const model *m, shape best)
{
    printf("%s: %s\n"
           "parameters  %.6g\n"
           "depth       %.0f   for so many parameters the fit has %.1f\n"
           "width       %.0f   for so many parameters the fit has %.0f\n",
           m->name, verdict(m->shape.depth, best.depth), m->params, m->shape.depth, best.depth, m->shape.width,
           best.width);
    print_regime(m->shape);
    if (best.depth < 6)
        puts("note        fewer than 6 layers: outside of what the fit was made from (6 to 48)");
}

/* The shape, and beside it, for a model, what the fit has for its parameters. */
static void print_json(double params, shape s, const model *m, shape best)
{
    printf("{\"params\": %.10g, \"depth\": %.10g, \"width\": %.10g, \"threshold\": %.10g, \"regime\": \"%s\"", params,
           s.depth, s.width, threshold(s.width), regime(s));
    if (m)
        printf(", \"advised_depth\": %.10g, \"advised_width\": %.10g, \"verdict\": \"%s\"", best.depth, best.width,
               verdict(s.depth, best.depth));
    puts("}");
}

int gram_cmd_size(const gram_cli *cli)
{
    model m = {.params = cli->params};
    const bool judged = cli->spec || cli->nfields > 0;
    if (!judged && !(cli->params > 0))
        return gram_usage(cli, "of what? --params 175e9, a spec, or depth=96 width=12288");
    int status = cli->nfields > 0 ? take_shape(cli, &m) : cli->spec ? read_model(cli, &m) : GRAM_EXIT_OK;
    if (status != GRAM_EXIT_OK)
        return status;
    shape best = transition(m.params);
    if (cli->json)
        print_json(m.params, judged ? m.shape : best, judged ? &m : NULL, best);
    else if (judged)
        print_model(&m, best);
    else
        print_budget(m.params, best);
    return GRAM_EXIT_OK;
}
