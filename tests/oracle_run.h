/* Running an oracle: makes random arrays of a problem's sizes, gives them to the spec through libgram and to the
 * oracle, and compares. Inputs are roughly normal, weights scaled as if to be trained. */
#ifndef GRAM_TESTS_ORACLE_RUN_H
#define GRAM_TESTS_ORACLE_RUN_H

#include "../gen/gram.h"
#include "oracle.h"
#include "test.h"

static int64_t size_of(const problem *p, char letter)
{
    const struct {
        char letter;
        int64_t size;
    } sizes[] = {
        {'b', p->b}, {'n', p->n}, {'m', p->m}, {'s', p->n + p->m}, {'k', p->k}, {'d', p->d},
        {'e', p->e}, {'r', p->r}, {'z', 12},   {'t', 2 * p->r + 1}, {'f', 4 * p->d}, {'g', 2 * p->d},
        {'u', 2 * p->e}, {'y', 4 * p->e}, {'i', 2 * p->k}, {'v', 20}, {'h', p->d + 2 * p->k},
        {'w', p->d + 5 * p->k}, {'x', p->d + p->k}, {'a', p->b + 1}, {'q', 3 * p->d}, {'p', 12 * p->d}, {'.', 1},
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

static void fill_starts(const problem *p, array *a)
{
    for (int64_t b = 0; b <= p->b; b++)
        a->data[b] = (double)(p->n * b * b / (p->b * p->b));
}

/* Adds the arrays that "X=b.nd doc#b.n. starts@a..." declares. */
static void declare(problem *p, const char *text, int is_output, uint32_t *seed)
{
    char name[32], axes[8], kind;
    int used;
    for (; sscanf(text, " %31[^=#@]%c%4s%n", name, &kind, axes, &used) == 3; text += used) {
        array *a = &p->arrays[p->narrays++];
        *a = (array){.is_integer = kind != '=', .is_output = is_output};
        memcpy(a->name, name, sizeof name);
        fill(p, a, axes, seed);
        if (kind == '@')
            fill_starts(p, a);
    }
}

static void release(problem *p)
{
    for (block *b = p->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
}

typedef struct settings {
    const char *jit;
    int bits;
    gram_tally tally;
} settings;

enum { MOST_ARRAYS = 64, MOST_OPTIONS = 16 };

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
    gram_load_options load = {.jit = with->jit, .dtype = with->bits == 64 ? "f64" : "f32", .threads = 1, .options = options};
    load.noptions = read_options(p, o->options, names, options);
    snprintf(file, sizeof file, "specs/%s.lua", o->spec);
    gram_kernel *kernel = NULL;
    gram_status status = p->text ? gram_load_text(file, p->text, &load, &kernel, message, GRAM_MESSAGE_SIZE)
                                 : gram_load_file(file, &load, &kernel, message, GRAM_MESSAGE_SIZE);
    return status == GRAM_OK ? kernel : NULL;
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
          "%s %s f%d: %s is off by %.2e at b=%d n=%d m=%d k=%d d=%d d1=%d", o->spec, with->jit, with->bits, a->name,
          error, (int)p->b, (int)p->n, (int)p->m, (int)p->k, (int)p->d, (int)p->e);
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

#endif
