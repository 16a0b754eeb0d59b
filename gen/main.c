/* gram, the command: a table of commands, a table of options, and the parser of both. A new command is one row here and
 * one function in a cmd_*.c file; a new option is one row and, if it is of a new kind, one small function. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

typedef enum takes { NO_SPEC, A_SPEC, MAYBE_A_SPEC } takes;

typedef struct command {
    const char *name, *arguments, *help;
    takes spec; /* or a matrix */
    int (*run)(const gram_cli *cli);
} command;

static const command commands[] = {
    {"run", "SPEC NAME=FILE.npy ...", "run it: inputs are read, outputs written", A_SPEC, gram_cmd_run},
    {"emit", "SPEC [-o DIR]", "write NAME.c and NAME.h, self-contained", A_SPEC, gram_cmd_emit},
    {"check", "SPEC", "every back end against the reference; declared symmetries", MAYBE_A_SPEC, gram_cmd_check},
    {"bench", "SPEC [n=2048 ...]", "time it, per back end", A_SPEC, gram_cmd_bench},
    {"show", "SPEC [--stage ir|plan|c|h]", "what will be computed, how, and at what cost", A_SPEC, gram_cmd_show},
    {"plot", "A.npy | SPEC ... -o FILE.png", "a matrix over pairs of tokens as a picture", A_SPEC, gram_cmd_plot},
    {"list", "", "the specs that come with gram", NO_SPEC, gram_cmd_list},
    {"causal", "A.npy | SPEC ...", "the causal graph behind an attention matrix", A_SPEC, gram_cmd_causal},
    {"size", "--params 175e9 | SPEC", "depth and width for a budget of parameters", MAYBE_A_SPEC, gram_cmd_size},
    {"flow", "A.npy | SPEC ... --groups F", "attention between groups of tokens", A_SPEC, gram_cmd_flow},
};
enum { NCOMMANDS = sizeof commands / sizeof commands[0] };

/* ---- options ---- */

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

/* ---- help ---- */

static void print_help(FILE *to)
{
    fputs("gram: a formula for attention becomes C, run at once or written as a file.\n\n", to);
    for (int i = 0; i < NCOMMANDS; i++)
        fprintf(to, "  gram %-7s%-30s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fputs("\nOptions:\n", to);
    for (int i = 0; i < NOPTIONS; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", options[i].name, options[i].value ? options[i].value : "");
        fprintf(to, "  %-20s %s%s%s%s\n", left, options[i].help, options[i].only ? " (" : "",
                options[i].only ? options[i].only : "", options[i].only ? ")" : "");
    }
    fputs("\nExit status: 0 done, 1 the input or the spec was at fault, 2 wrong usage.\n", to);
}

int gram_usage(const gram_cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "gram%s%s: ", cli->command ? " " : "", cli->command ? cli->command : "");
    vfprintf(stderr, format, args);
    fputs(" (see gram --help)\n", stderr);
    va_end(args);
    return GRAM_EXIT_USAGE;
}

int gram_fault(const char *message)
{
    fprintf(stderr, "%s\n", message);
    return GRAM_EXIT_FAULT;
}

/* ---- parsing ---- */

int64_t gram_cli_number(const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return *text < '0' || *text > '9' || *end != '\0' || errno != 0 ? -1 : n;
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

static int parse_option(gram_cli *cli, int argc, char **argv, int *i)
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

static int parse_word(gram_cli *cli, char *word)
{
    char *equals = strchr(word, '=');
    if (equals == word)
        return gram_usage(cli, "'%s' has no name before its =", word);
    if (equals) {
        *equals = '\0';
        cli->fields[cli->nfields++] = (gram_field){word, equals + 1};
        return 0;
    }
    if (cli->spec)
        return gram_usage(cli, "'%s' is not NAME=FILE, and the spec is %s", word, cli->spec);
    cli->spec = word;
    return 0;
}

/* The command line that emitted text names: what changes the text, and no path. */
static char *command_line(const gram_cli *cli)
{
    char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);
    if (!out)
        return NULL;
    const char *slash = cli->spec ? strrchr(cli->spec, '/') : NULL;
    fprintf(out, "gram emit %s", slash ? slash + 1 : cli->spec ? cli->spec : "");
    for (int i = 0; i < cli->noptions; i++)
        fprintf(out, " --set %s=%.17g", cli->options[i].name, cli->options[i].value);
    if (cli->load.dtype && strcmp(cli->load.dtype, "f32") != 0)
        fprintf(out, " --dtype %s", cli->load.dtype);
    if (cli->load.nderivatives > 0)
        fputs(cli->derivative.forward ? " --jvp" : " --grad", out);
    fclose(out);
    return line;
}

static int parse(gram_cli *cli, const command *c, int argc, char **argv)
{
    int status = 0;
    for (int i = 2; i < argc && status == 0; i++) {
        bool is_option = argv[i][0] == '-' && argv[i][1] != '\0';
        status = is_option ? parse_option(cli, argc, argv, &i) : parse_word(cli, argv[i]);
    }
    if (status == 0 && c->spec == A_SPEC && !cli->spec)
        status = gram_usage(cli, "which spec? gram %s %s", c->name, c->arguments);
    if (status == 0 && c->spec == NO_SPEC && cli->spec)
        status = gram_usage(cli, "it takes no argument '%s'", cli->spec);
    cli->load.noptions = cli->noptions;
    cli->load.options = cli->options;
    return status;
}

static int unknown_command(const gram_cli *cli, const char *word)
{
    size_t length = strlen(word);
    if (length > 4 && strcmp(word + length - 4, ".lua") == 0)
        return gram_usage(cli, "%s is a spec: try 'gram show %s'", word, word);
    return gram_usage(cli, "there is no %s '%s'", word[0] == '-' ? "option" : "command", word);
}

static bool asks_for(const char *word, const char *what, const char *letter)
{
    return strcmp(word, what) == 0 || strcmp(word, letter) == 0;
}

gram_kernel *gram_cli_load(const gram_cli *cli, const char *jit, int *status)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_load_options options = cli->load;
    gram_kernel *kernel;
    options.command = cli->line;
    if (jit)
        options.jit = jit;
    *status = GRAM_EXIT_OK;
    if (gram_load_file(cli->spec, &options, &kernel, message, sizeof message) != GRAM_OK)
        *status = gram_fault(message);
    return kernel;
}

static int run_command(gram_cli *cli, const command *c, int argc, char **argv)
{
    int status = parse(cli, c, argc, argv);
    char *line = command_line(cli);
    cli->line = line;
    if (status == 0)
        status = c->run(cli);
    free(line);
    for (int i = 0; i < cli->noptions; i++)
        free((char *)cli->options[i].name);
    if (status == 0 && fflush(stdout) != 0)
        status = gram_fault("error: the output could not be written");
    return status;
}

int main(int argc, char **argv)
{
    gram_cli cli = {.program = argv[0], .order = -1};
    for (int i = 1; i < argc; i++) {
        if (asks_for(argv[i], "--help", "-h")) {
            print_help(stdout);
            return GRAM_EXIT_OK;
        }
    }
    if (argc == 2 && strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return GRAM_EXIT_OK;
    }
    if (argc >= 2 && asks_for(argv[1], "--version", "-V"))
        return puts("gram " GRAM_VERSION) < 0;
    if (argc < 2) {
        print_help(stderr);
        return GRAM_EXIT_USAGE;
    }
    for (int i = 0; i < NCOMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1]) != 0)
            continue;
        cli.command = argv[1];
        cli.fields = calloc((size_t)argc, sizeof *cli.fields);
        cli.options = calloc((size_t)argc, sizeof *cli.options);
        bool ready = cli.fields && cli.options;
        int status = ready ? run_command(&cli, &commands[i], argc, argv) : gram_fault("error: out of memory");
        free(cli.fields);
        free(cli.options);
        return status;
    }
    return unknown_command(&cli, argv[1]);
}
