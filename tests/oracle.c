/* Runs every spec through libgram on random arrays of awkward sizes and compares with its oracle (oracle.h).
 *
 *     oracle [--jit tcc|cc|reference] [--bits 32|64] [SPEC ...]
 *
 * Without --jit: the reference and tcc, in both types. A spec in specs/ without an oracle is a failure. */
#include <dirent.h>

#include "oracle_companions.h"
#include "oracle_datapoints.h"
#include "oracle_kernels.h"
#include "oracle_paper.h"
#include "oracle_practice.h"
#include "oracle_run.h"
#include "oracle_scan.h"
#include "oracle_time.h"

/* The sizes: none, one, odd ones, and one beyond a tile of 64 keys. */
static const problem trials[] = {
    {.b = 1, .n = 5, .m = 7, .k = 3, .d = 4, .e = 6, .r = 2},
    {.b = 2, .n = 1, .m = 1, .k = 2, .d = 6, .e = 3, .r = 0},
    {.b = 2, .n = 0, .m = 3, .k = 4, .d = 2, .e = 2, .r = 1},
    {.b = 1, .n = 3, .m = 0, .k = 1, .d = 8, .e = 3, .r = 9},
    {.b = 3, .n = 13, .m = 9, .k = 5, .d = 12, .e = 7, .r = 3},
    {.b = 1, .n = 67, .m = 131, .k = 9, .d = 16, .e = 5, .r = 40},
};

static const oracle *const tables[] = {oracles_paper, oracles_kernels, oracles_practice, oracles_companions, oracles_time,
                                       oracles_datapoints, oracles_scan};

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

/* Every spec there is. */
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

static int check(settings with, int count, char **specs)
{
    if (count == 0)
        check_all(&with);
    for (int k = 0; k < count; k++)
        check_spec(&with, specs[k]);
    return gram_tally_end(&with.tally);
}

static int check_back_ends(void)
{
    static const settings back_ends[] = {
        {.jit = "reference", .bits = 64}, {.jit = "tcc", .bits = 64}, {.jit = "tcc", .bits = 32}};
    gram_tally sum = {0};
    for (size_t k = 0; k < sizeof back_ends / sizeof *back_ends; k++) {
        settings with = back_ends[k];
        check_all(&with);
        sum.passed += with.tally.passed;
        sum.failed += with.tally.failed;
    }
    return gram_tally_end(&sum);
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
    return argc == 1 ? check_back_ends() : check(with, argc - k, argv + k);
}
