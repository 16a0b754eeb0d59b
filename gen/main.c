/* gram, the command: a table of commands, and the parser of their words. A new command is one row here and one function
 * in a cmd_*.c file; options are in cmd_options.c. */
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

/* ---- help ---- */

static void print_help(FILE *to)
{
    fputs("gram: a formula for attention becomes C, run at once or written as a file.\n\n", to);
    for (int i = 0; i < NCOMMANDS; i++)
        fprintf(to, "  gram %-7s%-30s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fputs("\nOptions:\n", to);
    gram_options_help(to);
    fputs("\nExit status: 0 done, 1 the input or the spec was at fault, 2 wrong usage.\n", to);
}

/* ---- parsing ---- */

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
        status = is_option ? gram_option_take(cli, argc, argv, &i) : parse_word(cli, argv[i]);
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
