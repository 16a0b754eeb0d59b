/* What the commands of gram share: the parsed command line and a few helpers. Each command is one function, in the
 * table of main.c. */
#ifndef GRAM_CMD_H
#define GRAM_CMD_H

#include <stdbool.h>
#include <stdio.h>

#include "gram.h"
#include "real.h"

/* Exit statuses. */
enum { GRAM_EXIT_OK, GRAM_EXIT_FAULT, GRAM_EXIT_USAGE };

/* NAME=VALUE on the command line. */
typedef struct gram_field {
    const char *name, *value;
} gram_field;

typedef struct gram_cli {
    const char *program; /* argv[0] */
    const char *command; /* "run" */
    const char *spec;    /* the first argument without '=', a spec or a matrix; NULL: none */
    int nfields;
    gram_field *fields;
    int noptions;
    gram_option *options;       /* --set */
    gram_load_options load;     /* --jit, --threads, --dtype, --set, --cc */
    gram_derivative derivative; /* --grad, --jvp */
    const char *line;           /* the command line for emitted text: no path, no -o */
    bool random;
    uint64_t seed;
    bool json;
    const char *output;   /* -o */
    const char *stage;    /* --stage */
    const char *weights;  /* --weights */
    const char *name;     /* --output */
    double params, alpha; /* --params, --alpha; 0: not given */
    int64_t samples;      /* --samples; 0: not given */
    int64_t order;        /* --order; -1: not given */
    const char *method;   /* --method */
    const char *groups;   /* --groups */
    const char *mask;     /* --mask */
    bool dot;             /* --dot */
} gram_cli;

/* Prints "gram COMMAND: ..." and the hint where help is to be found; returns GRAM_EXIT_USAGE. */
int gram_usage(const gram_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints one line on stderr; returns GRAM_EXIT_FAULT. */
int gram_fault(const char *message);

/* Loads cli->spec with another back end (NULL: the one asked for); NULL after an error was printed, its status in
 * *status. */
gram_kernel *gram_cli_load(const gram_cli *cli, const char *jit, int *status);
/* A whole number from 0 up; -1 if text is not one. */
int64_t gram_cli_number(const char *text);

/* Prints a line for each option. */
void gram_options_help(FILE *to);
/* Takes the option argv[*i], and argv[++*i] where that is its value; GRAM_EXIT_USAGE after an error was printed. */
int gram_option_take(gram_cli *cli, int argc, char **argv, int *i);

int gram_cmd_run(const gram_cli *cli);
int gram_cmd_emit(const gram_cli *cli);
int gram_cmd_check(const gram_cli *cli);
int gram_cmd_show(const gram_cli *cli);
int gram_cmd_list(const gram_cli *cli);
int gram_cmd_bench(const gram_cli *cli);
int gram_cmd_causal(const gram_cli *cli);
int gram_cmd_size(const gram_cli *cli);
int gram_cmd_flow(const gram_cli *cli);
int gram_cmd_plot(const gram_cli *cli);

#endif
