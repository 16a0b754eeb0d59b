/* What the commands share: their errors, and a spec loaded as the command line says. */
#include "cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

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

int64_t gram_cli_number(const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return *text < '0' || *text > '9' || *end != '\0' || errno != 0 ? -1 : n;
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
