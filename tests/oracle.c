/* Runs every spec through libgram on random arrays of awkward sizes and compares with its oracle (oracle.h).
 *
 *     oracle [--jit tcc|cc|reference] [--bits 32|64] [SPEC ...]
 *
 * A spec in specs/ without an oracle is a failure. */
#include <dirent.h>

#include "../gen/gram.h"
#include "oracle_kernels.h"
#include "oracle_paper.h"
#include "oracle_practice.h"
#include "test.h"

/* ---- problems ---- */

/* The sizes: none, one, odd ones, and one beyond a tile of 64 keys. */
static const problem trials[] = {
    {.b = 1, .n = 5, .m = 7, .k = 3, .d = 4, .e = 6, .r = 2},
    {.b = 2, .n = 1, .m = 1, .k = 2, .d = 6, .e = 3, .r = 0},
    {.b = 2, .n = 0, .m = 3, .k = 4, .d = 2, .e = 2, .r = 1},
    {.b = 1, .n = 3, .m = 0, .k = 1, .d = 8, .e = 3, .r = 9},
    {.b = 3, .n = 13, .m = 9, .k = 5, .d = 12, .e = 7, .r = 3},
    {.b = 1, .n = 67, .m = 131, .k = 9, .d = 16, .e = 5, .r = 40},
};

static int64_t size_of(const problem *p, char letter)
{
    const struct {
        char letter;
        int64_t size;
    } sizes[] = {
        {'b', p->b}, {'n', p->n}, {'m', p->m}, {'s', p->n + p->m}, {'k', p->k}, {'d', p->d},
        {'e', p->e}, {'r', p->r}, {'z', 12},   {'t', 2 * p->r + 1}, {'f', 4 * p->d}, {'g', 2 * p->d},
        {'u', 2 * p->e}, {'y', 4 * p->e}, {'.', 1},
    };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        if (sizes[s].letter == letter)
            return sizes[s].size;
    return letter - '0';
}

/* Roughly normal, and a float, so that every back end sees the same inputs. */
static double random_value(uint32_t *seed, double scale, int is_integer)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) {
        *seed = *seed * 1664525 + 1013904223;
        sum += (double)(*seed >> 8) / (1 << 24);
    }
    return is_integer ? (double)(*seed >> 30) : (float)(scale * sum);
}

static void fill(problem *p, array *a, const char *axes, uint32_t *seed)
{
    int64_t count = 1;
    for (int k = 0; k < 4; k++) {
        a->size[k] = size_of(p, axes[k]);
        count *= a->size[k];
        if (axes[k] != '.')
            a->shape[a->ndim++] = a->size[k];
    }
    a->data = allocate(p, count);
    int is_matrix = axes[0] == '.' && axes[2] != '.'; /* of weights, scaled as if to be trained */
    for (int64_t i = 0; i < count && !a->is_output; i++)
        a->data[i] = random_value(seed, is_matrix ? 1 / sqrt((double)a->size[3]) : 1, a->is_integer);
}

/* Adds the arrays that "X=b.nd doc#b.n." declares. */
static void declare(problem *p, const char *text, int is_output, uint32_t *seed)
{
    char name[32], axes[8], kind;
    int used;
    for (; sscanf(text, " %31[^=#]%c%4s%n", name, &kind, axes, &used) == 3; text += used) {
        array *a = &p->arrays[p->narrays++];
        *a = (array){.is_integer = kind == '#', .is_output = is_output};
        memcpy(a->name, name, sizeof name);
        fill(p, a, axes, seed);
    }
}

static void release(problem *p)
{
    for (block *b = p->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
}

/* ---- the run ---- */

typedef struct settings {
    const char *jit;
    int bits;
    gram_tally tally;
} settings;

enum { MOST_ARRAYS = 32, MOST_OPTIONS = 16 };

/* Reads "d d1=e softcap=20"; the names go into `names`. */
static int read_options(const problem *p, const char *text, char names[][32], gram_option *options)
{
    int count = 0, used;
    for (char name[32], value[32]; sscanf(text, " %31[^ =]%n", name, &used) == 1; count++) {
        text += used;
        memcpy(value, name, sizeof value);
        if (sscanf(text, "=%31s%n", value, &used) == 1)
            text += used;
        memcpy(names[count], name, sizeof name);
        int is_letter = value[0] >= 'a' && value[0] <= 'z';
        options[count] = (gram_option){names[count], is_letter ? (double)size_of(p, value[0]) : atof(value)};
    }
    return count;
}

static gram_kernel *load(const settings *with, const oracle *o, const problem *p, char *message)
{
    char file[128], names[MOST_OPTIONS][32];
    gram_option options[MOST_OPTIONS];
    gram_load_options load = {.jit = with->jit, .real_bits = with->bits, .threads = 1, .options = options};
    load.noptions = read_options(p, o->options, names, options);
    snprintf(file, sizeof file, "specs/%s.lua", o->spec);
    gram_kernel *kernel = NULL;
    return gram_load_file(file, &load, &kernel, message, GRAM_MESSAGE_SIZE) == GRAM_OK ? kernel : NULL;
}

/* Runs the kernel; outputs come back as arrays of the library's. */
static int run(gram_kernel *kernel, const problem *p, gram_array *arrays, char *message)
{
    gram_argument arguments[MOST_ARRAYS];
    for (int k = 0; k < p->narrays; k++) {
        array *a = &p->arrays[k];
        arrays[k] = (gram_array){0};
        if (a->is_integer) {
            if (gram_array_new(&arrays[k], GRAM_I4, a->ndim, a->shape, message, GRAM_MESSAGE_SIZE) != 0)
                return -1;
            gram_array from = gram_array_dense(GRAM_F8, a->ndim, a->shape, a->data);
            gram_array_assign(&arrays[k], &from, message, GRAM_MESSAGE_SIZE);
        } else if (!a->is_output) {
            arrays[k] = gram_array_dense(GRAM_F8, a->ndim, a->shape, a->data);
        }
        arguments[k] = (gram_argument){a->name, &arrays[k], NULL};
    }
    return gram_run(kernel, p->narrays, arguments, message, GRAM_MESSAGE_SIZE) == GRAM_OK ? 0 : -1;
}

/* The error's norm relative to the output's; infinite where one is not finite and the other differs. */
static double error_of(int64_t count, const double *got, const double *wanted)
{
    double error = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(got[i]) || !isfinite(wanted[i])) {
            if (got[i] != wanted[i])
                return INFINITY;
            continue;
        }
        error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
        norm += wanted[i] * wanted[i];
    }
    return error > 0 ? sqrt(error / norm) : 0;
}

static void compare(settings *with, const oracle *o, problem *p, const array *a, const gram_array *got)
{
    char message[GRAM_MESSAGE_SIZE];
    int64_t count = a->size[0] * a->size[1] * a->size[2] * a->size[3];
    int same = got->ndim == a->ndim && memcmp(got->shape, a->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
    CHECK(&with->tally, same, "%s: %s has another shape", o->spec, a->name);
    if (!same)
        return;
    gram_array to = gram_array_dense(GRAM_F8, a->ndim, a->shape, allocate(p, count));
    gram_array_assign(&to, got, message, sizeof message);
    double error = error_of(count, to.data, a->data);
    CHECK(&with->tally, error <= (with->bits == 64 ? 1e-12 : 1e-5),
          "%s: %s is off by %.2e at b=%d n=%d m=%d k=%d d=%d d1=%d", o->spec, a->name, error, (int)p->b,
          (int)p->n, (int)p->m, (int)p->k, (int)p->d, (int)p->e);
}

static void check_trial(settings *with, const oracle *o, problem p)
{
    char message[GRAM_MESSAGE_SIZE] = "";
    array arrays[MOST_ARRAYS];
    gram_array given[MOST_ARRAYS];
    uint32_t seed = 1;
    p.arrays = arrays;
    declare(&p, o->inputs, 0, &seed);
    declare(&p, o->outputs, 1, &seed);
    gram_kernel *kernel = load(with, o, &p, message);
    int ran = kernel && run(kernel, &p, given, message) == 0;
    CHECK(&with->tally, ran, "%s", message);
    for (int64_t b = 0; ran && b < p.b; b++)
        o->compute(&p, b);
    for (int k = 0; ran && k < p.narrays; k++) {
        if (arrays[k].is_output)
            compare(with, o, &p, &arrays[k], &given[k]);
        gram_array_free(&given[k]);
    }
    gram_free(kernel);
    release(&p);
}

static const oracle *const tables[] = {oracles_paper, oracles_kernels, oracles_practice};

static void check_spec(settings *with, const char *spec)
{
    int rows = 0;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const oracle *o = tables[t]; o->spec; o++)
            for (size_t k = 0; strcmp(o->spec, spec) == 0 && k < sizeof trials / sizeof *trials; k++, rows++)
                check_trial(with, o, trials[k]);
    CHECK(&with->tally, rows > 0, "specs/%s.lua has no oracle", spec);
}

static int is_spec(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".lua") == 0;
}

static void check_all(settings *with)
{
    struct dirent **entries;
    int count = scandir("specs", &entries, is_spec, alphasort);
    CHECK(&with->tally, count > 0, "specs/ cannot be read from here");
    for (int k = 0; k < count; k++) {
        entries[k]->d_name[strlen(entries[k]->d_name) - 4] = '\0';
        check_spec(with, entries[k]->d_name);
        free(entries[k]);
    }
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    settings with = {.jit = "reference", .bits = 64};
    int k = 1;
    for (; k + 1 < argc && argv[k][0] == '-'; k += 2) {
        if (strcmp(argv[k], "--jit") == 0)
            with.jit = argv[k + 1];
        else
            with.bits = atoi(argv[k + 1]);
    }
    if (k == argc)
        check_all(&with);
    for (; k < argc; k++)
        check_spec(&with, argv[k]);
    return gram_tally_end(&with.tally);
}
