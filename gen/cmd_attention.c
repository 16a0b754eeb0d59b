/* An attention matrix for gram causal and gram flow, from a file or from a spec. */
#include "cmd_attention.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/npy.h"
#include "compile.h"

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "error: %s: %s\n", path, what);
    return GRAM_EXIT_FAULT;
}

/* ---- from an array ---- */

/* The file's array as doubles, its axes named. `outer`: what a first axis of four is, or of three where it is not
 * heads. */
static int take_array(gram_attention *a, const gram_array *from, const char *path, const char *outer, bool heads)
{
    char message[GRAM_MESSAGE_SIZE];
    const int n = from->ndim;
    if (n < 2 || n > 4) {
        snprintf(message, sizeof message, "expected [n, n], [heads, n, n] or [layers, heads, n, n], got %d axes", n);
        return complain(path, message);
    }
    if (gram_array_new(&a->array, GRAM_F8, n, from->shape, message, sizeof message) != 0 ||
        gram_array_assign(&a->array, from, message, sizeof message) != 0)
        return complain(path, message);
    bool has_outer = n == 4 || (n == 3 && !heads), has_inner = n == 4 || (n == 3 && heads);
    a->data = a->array.data;
    a->outer = has_outer ? from->shape[0] : 1;
    a->inner = has_inner ? from->shape[n - 3] : 1;
    a->outer_name = has_outer ? outer : NULL;
    a->inner_name = has_inner ? "head" : NULL;
    a->queries = from->shape[n - 2];
    a->keys = from->shape[n - 1];
    for (int64_t i = 0; i < a->outer * a->inner * a->queries * a->keys; i++) {
        if (!isfinite(a->data[i]))
            return complain(path, "it has entries that are not finite");
    }
    return GRAM_EXIT_OK;
}

static int read_file(gram_attention *a, const char *path, const char *origin, const char *outer, bool heads)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array array = {0};
    if (gram_npy_read(&array, path, message, sizeof message) != 0) {
        fprintf(stderr, "error: %s\n", message);
        return GRAM_EXIT_FAULT;
    }
    int status = take_array(a, &array, origin, outer, heads);
    gram_array_free(&array);
    return status;
}

/* ---- from a spec ---- */

static bool of_pairs(const gram_output *output)
{
    return !gram_dim_known(output->node->rows) && !gram_dim_known(output->node->cols);
}

/* The output asked for, or the only one of pairs; NULL after an error was printed, with its exit status. */
static const gram_output *find_output(const gram_cli *cli, const gram_spec *spec, int *status)
{
    const gram_output *found = NULL;
    int count = 0;
    for (int i = 0; i < spec->noutputs; i++) {
        const gram_output *output = &spec->outputs[i];
        if (!of_pairs(output) || (cli->name && strcmp(cli->name, output->name) != 0))
            continue;
        found = output;
        count++;
    }
    if (count == 0)
        *status = complain(cli->spec, cli->name ? "it has no output of that name with a value for each pair of tokens"
                                                : "it has no output with a value for each pair of tokens");
    else if (count > 1)
        *status = gram_usage(cli, "%s has several such outputs: say which with --output NAME", cli->spec);
    return count == 1 ? found : NULL;
}

/* gram run's command line, with NAME=path added. */
static int run_into(const gram_cli *cli, const char *name, const char *path)
{
    gram_cli run = *cli;
    run.fields = calloc((size_t)cli->nfields + 1, sizeof *run.fields);
    if (!run.fields)
        return gram_fault("error: out of memory");
    for (int i = 0; i < cli->nfields; i++)
        run.fields[i] = cli->fields[i];
    run.fields[run.nfields++] = (gram_field){name, path};
    int status = gram_cmd_run(&run);
    free(run.fields);
    return status;
}

static int run_spec(const gram_cli *cli, gram_attention *a, const gram_output *output)
{
    char folder[1024], path[1100];
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/gram-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        return complain(folder, "no folder could be made there for the matrix");
    snprintf(path, sizeof path, "%s/matrix.npy", folder);
    int status = run_into(cli, output->name, path);
    if (status == GRAM_EXIT_OK)
        status = read_file(a, path, cli->spec, "item", output->node->heads > 0);
    unlink(path);
    rmdir(folder);
    return status;
}

static int read_spec(const gram_cli *cli, gram_attention *a)
{
    int status;
    gram_kernel *kernel = gram_cli_load(cli, "reference", &status);
    if (!kernel)
        return status;
    const gram_output *output = find_output(cli, kernel->build.spec, &status);
    if (output)
        status = run_spec(cli, a, output);
    gram_free(kernel);
    return status;
}

/* ---- the whole ---- */

int gram_attention_read(const gram_cli *cli, gram_attention *a)
{
    const char *dot = strrchr(cli->spec, '.');
    *a = (gram_attention){0};
    if (dot && strcmp(dot, ".lua") == 0)
        return read_spec(cli, a);
    if (cli->nfields > 0)
        return gram_usage(cli, "%s=... is for a spec, and %s is none", cli->fields[0].name, cli->spec);
    return read_file(a, cli->spec, cli->spec, "layer", true);
}

void gram_attention_free(gram_attention *a)
{
    gram_array_free(&a->array);
    *a = (gram_attention){0};
}

const double *gram_attention_matrix(const gram_attention *a, int64_t outer, int64_t inner)
{
    return a->data + (outer * a->inner + inner) * a->queries * a->keys;
}

void gram_json_number(double value)
{
    if (isfinite(value))
        printf("%.10g", value);
    else
        fputs("null", stdout);
}
