/* gram run: arrays from files or at random, through the kernel, to files that appear together or not at all. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/npy.h"
#include "cmd.h"
#include "sample.h"

/* A size and what says so, an input or the command line; by is NULL until something does. */
typedef struct known_size {
    int64_t value;
    const char *by;
} known_size;

/* One gram run: arguments, each with its array; inputs first, then outputs. */
typedef struct job {
    const gram_cli *cli;
    gram_kernel *kernel;
    known_size batch; /* --random: without a value, what is made up has no batch axis */
    known_size sizes[GRAM_SIZES];
    int n;
    gram_argument *arguments;
    gram_array *arrays;
    gram_tensors **files; /* open files of tensors: one for each argument at most, and --weights */
    int nfiles;
    char message[GRAM_MESSAGE_SIZE];
} job;

typedef enum role { IS_UNKNOWN, IS_INPUT, IS_OUTPUT } role;

static role role_of(const gram_kernel *kernel, const char *name)
{
    const gram_port *inputs, *outputs;
    int ninputs = gram_inputs(kernel, &inputs), noutputs = gram_outputs(kernel, &outputs);
    for (int i = 0; i < ninputs; i++) {
        if (strcmp(inputs[i].name, name) == 0)
            return IS_INPUT;
    }
    for (int i = 0; i < noutputs; i++) {
        if (strcmp(outputs[i].name, name) == 0)
            return IS_OUTPUT;
    }
    return IS_UNKNOWN;
}

/* Where the value of "n" or "batch" goes; NULL for other names. */
static known_size *size_place(job *j, const char *name)
{
    const char *const *names;
    int n = gram_sizes(j->kernel, &names);
    for (int s = 0; s < n; s++) {
        if (strcmp(names[s], name) == 0)
            return &j->sizes[s];
    }
    return strcmp(name, "batch") == 0 ? &j->batch : NULL;
}

static gram_argument *add_argument(job *j, const char *name, const char *origin)
{
    j->arguments[j->n] = (gram_argument){name, &j->arrays[j->n], origin};
    return &j->arguments[j->n++];
}

static bool has_argument(const job *j, const char *name)
{
    for (int i = 0; i < j->n; i++) {
        if (strcmp(j->arguments[i].name, name) == 0)
            return true;
    }
    return false;
}

static int complain(const job *j)
{
    fprintf(stderr, "error: %s\n", j->message);
    return GRAM_EXIT_FAULT;
}

static const gram_tensors *open_tensors(job *j, const char *path)
{
    gram_tensors **file = &j->files[j->nfiles];
    if (gram_tensors_open(file, path, j->message, sizeof j->message) != 0)
        return NULL;
    j->nfiles++;
    return *file;
}

/* "w.safetensors:q.weight" is one tensor of a file. Where a file of the whole name exists, it is meant. */
static int read_tensor(job *j, gram_argument *a, const char *value)
{
    const char *colon = strrchr(value, ':');
    char *path = colon && access(value, F_OK) != 0 ? strndup(value, (size_t)(colon - value)) : NULL;
    if (!path)
        return gram_npy_read(a->array, value, j->message, sizeof j->message);
    const gram_tensors *file = open_tensors(j, path);
    const gram_array *array = file ? gram_tensors_find(file, colon + 1) : NULL;
    if (file && !array)
        snprintf(j->message, sizeof j->message, "%s has no tensor %s", path, colon + 1);
    free(path);
    if (!array)
        return -1;
    *a->array = *array;
    a->array->storage = NULL;
    return 0;
}

/* Inputs that no field gave, from --weights: what has a key has to be there, others may come from elsewhere. */
static int add_weights(job *j)
{
    const gram_port *inputs;
    const int n = gram_inputs(j->kernel, &inputs);
    const gram_tensors *file = open_tensors(j, j->cli->weights);
    if (!file)
        return complain(j);
    for (int i = 0; i < n; i++) {
        const gram_array *array = has_argument(j, inputs[i].name) ? NULL : gram_port_weights(&inputs[i], file);
        if (array) {
            gram_argument *a = add_argument(j, inputs[i].name, j->cli->weights);
            *a->array = *array;
            a->array->storage = NULL;
        } else if (inputs[i].key && !has_argument(j, inputs[i].name)) {
            snprintf(j->message, sizeof j->message, "%s has no tensor %s for %s", j->cli->weights, inputs[i].key,
                     inputs[i].name);
            return complain(j);
        }
    }
    return 0;
}

/* A field is a size of --random, or an array's file. Names that the spec does not have are left to gram_run's error. */
static int take_field(job *j, const gram_field *field)
{
    known_size *size = size_place(j, field->name);
    if (size && !j->cli->random)
        return gram_usage(j->cli, "%s is a size, read off the arrays; --random %s=%s makes arrays up", field->name,
                          field->name, field->value);
    if (size) {
        *size = (known_size){gram_cli_number(field->value), "the command line"};
        return size->value < 0 ? gram_usage(j->cli, "%s=%s is not a size", field->name, field->value) : 0;
    }
    gram_argument *a = add_argument(j, field->name, field->value);
    if (role_of(j->kernel, field->name) == IS_INPUT && read_tensor(j, a, field->value) != 0)
        return complain(j);
    return 0;
}

/* ---- --random ---- */

static int learn_size(job *j, const char *name, known_size *size, int64_t value, const char *by)
{
    if (size->by && size->value != value) {
        snprintf(j->message, sizeof j->message, "%s is %" PRId64 " by %s and %" PRId64 " by %s", name, value, by,
                 size->value, size->by);
        return complain(j);
    }
    *size = (known_size){value, by};
    return 0;
}

/* The sizes that an array from a file has. One whose axes do not fit is left to gram_run's error. */
static int learn_sizes(job *j, const gram_input *input, const gram_array *array)
{
    const gram_spec *spec = j->kernel->build.spec;
    gram_axes axes = gram_input_axes(input);
    const int first = axes.n - array->ndim;
    int status = 0;
    for (int k = first; k < axes.n && (first == 0 || first == 1) && status == 0; k++) {
        const gram_axis *axis = &axes.axis[k];
        const int64_t length = array->shape[k - first];
        for (int s = 0; s < spec->nsizes && status == 0; s++) {
            if (axis->letter != 'b' && axis->letter != 's' && gram_dim_equal(axis->size, gram_dim_size(s)))
                status = learn_size(j, spec->sizes[s], &j->sizes[s], length, input->name);
        }
        if (((axis->letter == 'b' && length != 1) || axis->letter == 's') && status == 0)
            status = learn_size(j, "batch", &j->batch, length - (axis->letter == 's'), input->name);
    }
    return status;
}

static bool needs_size(const gram_spec *spec, const gram_input *input, int s)
{
    return spec->starts[s] == input || gram_dim_equal(input->rows, gram_dim_size(s)) ||
           gram_dim_equal(input->cols, gram_dim_size(s));
}

static int add_random_input(job *j, const gram_input *input)
{
    const gram_spec *spec = j->kernel->build.spec;
    int64_t sizes[GRAM_SIZES] = {0};
    for (int s = 0; s < spec->nsizes; s++) {
        if (!j->sizes[s].by && needs_size(spec, input, s))
            return gram_usage(j->cli, "--random needs the size %s=...", spec->sizes[s]);
        sizes[s] = j->sizes[s].value;
    }
    gram_argument *a = add_argument(j, input->name, NULL);
    if (gram_sample(j->kernel, input, j->batch.by ? j->batch.value : -1, sizes, j->cli->seed, a->array, j->message,
                    sizeof j->message) == 0)
        return 0;
    fprintf(stderr, "error: %s: %s\n", a->name, j->message);
    return GRAM_EXIT_FAULT;
}

/* Inputs without a file are made up, of sizes that the command line or the files say. */
static int add_random_inputs(job *j)
{
    const gram_spec *spec = j->kernel->build.spec;
    const int given = j->n;
    int status = 0;
    for (int k = 0; k < given && status == 0; k++) {
        for (int i = 0; i < spec->ninputs && status == 0; i++) {
            if (strcmp(spec->inputs[i]->name, j->arguments[k].name) == 0)
                status = learn_sizes(j, spec->inputs[i], j->arguments[k].array);
        }
    }
    for (int i = 0; i < spec->ninputs && status == 0; i++) {
        if (!has_argument(j, spec->inputs[i]->name))
            status = add_random_input(j, spec->inputs[i]);
    }
    return status;
}

/* Where no output is asked for, all are made and summed up on stdout. */
static bool add_all_outputs(job *j)
{
    const gram_port *outputs;
    int n = gram_outputs(j->kernel, &outputs);
    for (int i = 0; i < n; i++) {
        if (has_argument(j, outputs[i].name))
            return false;
    }
    for (int i = 0; i < n; i++)
        add_argument(j, outputs[i].name, NULL);
    return true;
}

/* NaN has no sign here. */
static void print_number(double value)
{
    if (isnan(value))
        fputs("nan", stdout);
    else
        printf("%.6g", value);
}

/* "O  f4 [8, 64, 64]  norm 12.3  0.1 -0.2 ..." */
static void print_output(const gram_argument *a)
{
    const gram_array *array = a->array;
    int64_t count = gram_array_count(array->dtype, array->ndim, array->shape);
    double squares = 0;
    printf("%-8s %s [", a->name, gram_dtype_name(array->dtype));
    for (int i = 0; i < array->ndim; i++)
        printf("%s%" PRId64, i > 0 ? ", " : "", array->shape[i]);
    for (int64_t i = 0; i < count; i++)
        squares += gram_array_entry(array, i) * gram_array_entry(array, i);
    fputs("]  norm ", stdout);
    print_number(sqrt(squares));
    for (int64_t i = 0; i < count && i < 4; i++) {
        fputs(i == 0 ? "  " : " ", stdout);
        print_number(gram_array_entry(array, i));
    }
    puts(count > 4 ? " ..." : "");
}

static int write_outputs(job *j)
{
    gram_draft *drafts = calloc((size_t)j->n + 1, sizeof *drafts);
    int failed = drafts ? 0 : snprintf(j->message, sizeof j->message, "out of memory");
    for (int i = 0; i < j->n && drafts; i++)
        drafts[i] = (gram_draft)GRAM_DRAFT_NONE;
    for (int i = 0; i < j->n && !failed; i++) {
        if (role_of(j->kernel, j->arguments[i].name) == IS_OUTPUT)
            failed = gram_npy_draft(&drafts[i], j->arguments[i].array, j->arguments[i].origin, j->message,
                                    sizeof j->message);
    }
    for (int i = 0; i < j->n && !failed; i++) {
        if (role_of(j->kernel, j->arguments[i].name) == IS_OUTPUT)
            failed = gram_draft_commit(&drafts[i], j->message, sizeof j->message);
    }
    for (int i = 0; i < j->n && drafts; i++)
        gram_draft_discard(&drafts[i]);
    free(drafts);
    return failed ? complain(j) : GRAM_EXIT_OK;
}

/* Two arrays of one file would leave only the last. */
static int check_files(const job *j)
{
    for (int i = 0; i < j->n; i++) {
        for (int k = 0; k < i; k++) {
            const gram_argument *a = &j->arguments[i], *b = &j->arguments[k];
            if (role_of(j->kernel, a->name) == IS_OUTPUT && role_of(j->kernel, b->name) == IS_OUTPUT && a->origin &&
                strcmp(a->origin, b->origin) == 0)
                return gram_usage(j->cli, "%s and %s cannot both be written to %s", b->name, a->name, a->origin);
        }
    }
    return 0;
}

static int run_job(job *j)
{
    int status = 0;
    for (int i = 0; i < j->cli->nfields && status == 0; i++)
        status = take_field(j, &j->cli->fields[i]);
    if (status == 0 && j->cli->weights)
        status = add_weights(j);
    if (status == 0 && j->cli->random)
        status = add_random_inputs(j);
    if (status == 0)
        status = check_files(j);
    if (status != 0)
        return status;
    bool summary = add_all_outputs(j);
    if (gram_run(j->kernel, j->n, j->arguments, j->message, sizeof j->message) != GRAM_OK)
        return gram_fault(j->message);
    if (!summary)
        return write_outputs(j);
    for (int i = 0; i < j->n; i++) {
        if (role_of(j->kernel, j->arguments[i].name) == IS_OUTPUT)
            print_output(&j->arguments[i]);
    }
    return GRAM_EXIT_OK;
}

static int run_kernel(const gram_cli *cli)
{
    const gram_port *inputs, *outputs;
    int status;
    job j = {.cli = cli, .kernel = gram_cli_load(cli, NULL, &status)};
    if (!j.kernel)
        return status;
    int most = cli->nfields + gram_inputs(j.kernel, &inputs) + gram_outputs(j.kernel, &outputs);
    j.arguments = calloc((size_t)most, sizeof *j.arguments);
    j.arrays = calloc((size_t)most, sizeof *j.arrays);
    j.files = calloc((size_t)cli->nfields + 1, sizeof *j.files);
    status = j.arguments && j.arrays && j.files ? run_job(&j) : gram_fault("error: out of memory");
    for (int i = 0; i < j.n; i++)
        gram_array_free(j.arguments[i].array);
    for (int i = 0; i < j.nfiles; i++)
        gram_tensors_close(j.files[i]);
    free(j.arguments);
    free(j.arrays);
    free(j.files);
    gram_free(j.kernel);
    return status;
}

/* The inputs X that a field dX names, in forward mode tX: 0, or the status of what went wrong. */
static int named_inputs(const gram_cli *cli, const char **names, int *n)
{
    const gram_port *inputs;
    gram_cli plain = *cli;
    int status;
    plain.load.nderivatives = 0;
    gram_kernel *kernel = gram_cli_load(&plain, "reference", &status);
    for (int i = 0; i < cli->nfields && kernel; i++) {
        const char *field = cli->fields[i].name;
        for (int k = 0; k < gram_inputs(kernel, &inputs); k++)
            if (field[0] == (cli->derivative.forward ? 't' : 'd') && strcmp(field + 1, inputs[k].name) == 0)
                names[(*n)++] = field + 1;
    }
    gram_free(kernel);
    return status;
}

/* The derivative by the inputs that the fields name: others need not have one. */
static int run_derivative(const gram_cli *cli)
{
    gram_cli derived = *cli;
    gram_derivative by = cli->derivative;
    const char **names = calloc((size_t)cli->nfields + 1, sizeof *names);
    int status = names ? named_inputs(cli, names, &by.n) : gram_fault("error: out of memory");
    by.names = names;
    derived.load.derivatives = &by;
    status = status == 0 ? run_kernel(&derived) : status;
    free(names);
    return status;
}

int gram_cmd_run(const gram_cli *cli)
{
    return cli->load.nderivatives > 0 ? run_derivative(cli) : run_kernel(cli);
}
