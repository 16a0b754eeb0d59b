/* The options of the command: a table, and what takes a value from the command line. A new option is one row and, if it
 * is of a new kind, one small function. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

static int take_set(gram_cli *cli, const char *value)
{
    char *name = strdup(value), *equals = name ? strchr(name, '=') : NULL, *end = NULL;
    double number = equals ? strtod(equals + 1, &end) : 0;
    if (!equals || equals == name || end == equals + 1 || *end != '\0' || !isfinite(number)) {
        free(name);
        return gram_usage(cli, "--set wants NAME=NUMBER, not '%s'", value);
    }
    *equals = '\0';
    cli->options[cli->noptions++] = (gram_option){name, number};
    return 0;
}

static int take_jit(gram_cli *cli, const char *value)
{
    static const char *const names[] = {"tcc", "cc", "reference", "all"};
    bool several = strcmp(cli->command, "check") == 0 || strcmp(cli->command, "bench") == 0;
    for (int i = 0; i < (several ? 4 : 3); i++) {
        if (strcmp(names[i], value) == 0)
            cli->load.jit = names[i];
    }
    return cli->load.jit ? 0
                         : gram_usage(cli, "--jit is tcc, cc%s reference%s, not '%s'", several ? "," : " or",
                                      several ? " or all" : "", value);
}

static int take_cc(gram_cli *cli, const char *value)
{
    if (value[strspn(value, " ")] == '\0')
        return gram_usage(cli, "--cc wants the command of a C compiler, not '%s'", value);
    cli->load.cc = value;
    cli->load.flags = strchr(value, ' ') ? "" : NULL; /* a command with flags says all of them */
    return 0;
}

static int take_threads(gram_cli *cli, const char *value)
{
    int64_t n = gram_cli_number(value);
    if (n < 1 || n > 1024)
        return gram_usage(cli, "--threads wants a number from 1 to 1024, not '%s'", value);
    cli->load.threads = (int)n;
    return 0;
}

static int take_dtype(gram_cli *cli, const char *value)
{
    if (!gram_real_type_named(value))
        return gram_usage(cli, "--dtype is %s, not '%s'", gram_real_type_names, value);
    cli->load.dtype = value;
    return 0;
}

static int take_seed(gram_cli *cli, const char *value)
{
    int64_t n = gram_cli_number(value);
    if (n < 0)
        return gram_usage(cli, "--seed wants a whole number, not '%s'", value);
    cli->seed = (uint64_t)n;
    return 0;
}

static int take_grad(gram_cli *cli, const char *value)
{
    (void)value;
    if (cli->load.nderivatives > 0)
        return gram_usage(cli, "one derivative at a time: --grad or --jvp");
    cli->load.nderivatives = 1;
    cli->load.derivatives = &cli->derivative;
    return 0;
}

static int take_jvp(gram_cli *cli, const char *value)
{
    cli->derivative.forward = 1;
    return take_grad(cli, value);
}

/* A number with low < number < high. */
static int take_number(const gram_cli *cli, const char *name, const char *value, double low, double high,
                       double *number)
{
    char *end;
    *number = strtod(value, &end);
    if (end == value || *end != '\0' || !(*number > low && *number < high))
        return gram_usage(cli, "%s wants a number between %g and %g, not '%s'", name, low, high, value);
    return 0;
}

static int take_params(gram_cli *cli, const char *value)
{
    return take_number(cli, "--params", value, 1, 1e30, &cli->params);
}

static int take_alpha(gram_cli *cli, const char *value)
{
    return take_number(cli, "--alpha", value, 0, 1, &cli->alpha);
}

static int take_samples(gram_cli *cli, const char *value)
{
    cli->samples = gram_cli_number(value);
    return cli->samples > 0 ? 0 : gram_usage(cli, "--samples wants a whole number from 1, not '%s'", value);
}

static int take_order(gram_cli *cli, const char *value)
{
    cli->order = gram_cli_number(value);
    bool fits = cli->order >= 0 && cli->order <= 1000;
    return fits ? 0 : gram_usage(cli, "--order wants a whole number up to 1000, not '%s'", value);
}

static int take_mask(gram_cli *cli, const char *value)
{
    cli->mask = value;
    return 0;
}

typedef struct option {
    const char *name, *value; /* value NULL: a flag */
    const char *help;
    int (*take)(gram_cli *cli, const char *value);
    const char *only; /* the commands that have it, "run, causal"; NULL: all */
    size_t field;     /* take NULL: of gram_cli, a bool for a flag, else a text */
} option;

static const char derived[] = "run, emit, check, bench, show";
static const option options[] = {
    {"--set", "NAME=VALUE", "the value of an option of the spec", take_set, NULL, 0},
    {"--jit", "NAME", "back end: tcc (default), cc, reference; for check and bench also all", take_jit, NULL, 0},
    {"--cc", "COMMAND", "the C compiler of --jit cc, with its flags", take_cc, NULL, 0},
    {"--threads", "N", "threads to use (default: one for each CPU)", take_threads, NULL, 0},
    {"--dtype", "NAME", "of arrays of floats: f32 (default), f64, or f16 and bf16, computed in f32", take_dtype, NULL,
     0},
    {"--random", NULL, "random inputs of the sizes given: --random n=512 m=512", NULL, NULL,
     offsetof(gram_cli, random)},
    {"--seed", "S", "of the random inputs (default 0)", take_seed, NULL, 0},
    {"--weights", "FILE", "a .safetensors or .npz file: inputs by key or name", NULL, "run, causal, flow, plot",
     offsetof(gram_cli, weights)},
    {"--grad", NULL, "the gradient instead: dO of outputs are read, dX of inputs written", take_grad, derived, 0},
    {"--jvp", NULL, "derivatives along tangents: tX of inputs are read, tO of outputs written", take_jvp, derived, 0},
    {"--stage", "ir|plan|c|h", "what to show (default plan)", NULL, "show", offsetof(gram_cli, stage)},
    {"-o", "DIR", "where to write (emit: here, if not given)", NULL, "emit, plot", offsetof(gram_cli, output)},
    {"--json", NULL, "one JSON object a line", NULL, "bench, causal, size, flow", offsetof(gram_cli, json)},
    {"--alpha", "P", "level of the tests of independence (default 0.01)", take_alpha, "causal", 0},
    {"--samples", "N", "samples the matrix stands for (default 1000)", take_samples, "causal", 0},
    {"--method", "pc|icd", "pc (default), or icd: causes may be hidden", NULL, "causal", offsetof(gram_cli, method)},
    {"--order", "K", "condition on at most K tokens", take_order, "causal", 0},
    {"--dot", NULL, "for Graphviz", NULL, "causal", offsetof(gram_cli, dot)},
    {"--output", "NAME", "the output of the spec that is the matrix", NULL, "causal, flow, plot",
     offsetof(gram_cli, name)},
    {"--groups", "FILE", "an id for each token; below 0: of no group", NULL, "flow", offsetof(gram_cli, groups)},
    {"--mask", "T:M", "token T and the M of its group nearest by attention", take_mask, "flow", 0},
    {"--params", "N", "the number of parameters, such as 175e9", take_params, "size", 0},
};
enum { NOPTIONS = sizeof options / sizeof options[0] };

/* Is the command one of those in a list "run, causal"? */
static bool has_command(const char *list, const char *command)
{
    const size_t length = strlen(command);
    for (const char *word = list; *word; word += strcspn(word, " ") + (strchr(word, ' ') != NULL)) {
        if (strncmp(word, command, length) == 0 && (word[length] == ',' || word[length] == '\0'))
            return true;
    }
    return false;
}

static const option *find_option(const char *name, size_t length, const char *command)
{
    for (int i = 0; i < NOPTIONS; i++) {
        bool here = !options[i].only || has_command(options[i].only, command);
        if (here && strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0)
            return &options[i];
    }
    return NULL;
}

void gram_options_help(FILE *to)
{
    for (int i = 0; i < NOPTIONS; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", options[i].name, options[i].value ? options[i].value : "");
        fprintf(to, "  %-20s %s%s%s%s\n", left, options[i].help, options[i].only ? " (" : "",
                options[i].only ? options[i].only : "", options[i].only ? ")" : "");
    }
}

static int take(gram_cli *cli, const option *o, const char *value)
{
    void *field = (char *)cli + o->field;
    if (o->take)
        return o->take(cli, value);
    if (o->value)
        *(const char **)field = value;
    else
        *(bool *)field = true;
    return 0;
}

int gram_option_take(gram_cli *cli, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const option *o = find_option(word, length, cli->command);
    if (!o)
        return gram_usage(cli, "there is no option %s", word);
    if (!o->value)
        return equals ? gram_usage(cli, "%s takes no value", o->name) : take(cli, o, NULL);
    if (!equals && *i + 1 >= argc)
        return gram_usage(cli, "%s wants a value: %s", o->name, o->value);
    return take(cli, o, equals ? equals + 1 : argv[++*i]);
}
