/* gram show, emit and list: texts about specs, printed or written as files. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../runtime/draft.h"
#include "cmd.h"

/* ---- show ---- */

static const struct {
    const char *name;
    gram_text_kind kind;
} stages[] = {{"plan", GRAM_TEXT_PLAN}, {"ir", GRAM_TEXT_IR}, {"c", GRAM_TEXT_SOURCE}, {"h", GRAM_TEXT_HEADER}};

int gram_cmd_show(const gram_cli *cli)
{
    char message[GRAM_MESSAGE_SIZE];
    const char *text;
    int status, stage = 0, nstages = sizeof stages / sizeof stages[0];
    while (cli->stage && stage < nstages && strcmp(stages[stage].name, cli->stage) != 0)
        stage++;
    if (stage == nstages)
        return gram_usage(cli, "--stage is ir, plan, c or h, not '%s'", cli->stage);
    if (cli->nfields > 0)
        return gram_usage(cli, "it takes no %s=%s", cli->fields[0].name, cli->fields[0].value);
    gram_kernel *kernel = gram_cli_load(cli, "reference", &status);
    if (!kernel)
        return status;
    if (gram_kernel_text(kernel, stages[stage].kind, &text, message, sizeof message) == GRAM_OK)
        fputs(text, stdout);
    else
        status = gram_fault(message);
    gram_free(kernel);
    return status;
}

/* ---- emit ---- */

static int draft_text(gram_draft *draft, const char *path, const char *text, char *message, size_t size)
{
    if (gram_draft_open(draft, path, message, size) != 0)
        return -1;
    return gram_draft_write(draft, text, strlen(text), message, size);
}

/* Both files appear, or neither. */
static int write_pair(const char *folder, const char *name, const char *const texts[2], char *message, size_t size)
{
    gram_draft drafts[2] = {GRAM_DRAFT_NONE, GRAM_DRAFT_NONE};
    int failed = 0;
    for (int i = 0; i < 2 && !failed; i++) {
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s.%c", folder, name, "ch"[i]) >= (int)sizeof path)
            return snprintf(message, size, "the path is too long: %.80s...", path);
        failed = draft_text(&drafts[i], path, texts[i], message, size);
    }
    for (int i = 0; i < 2 && !failed; i++)
        failed = gram_draft_close(&drafts[i], message, size);
    for (int i = 0; i < 2 && !failed; i++)
        failed = gram_draft_commit(&drafts[i], message, size);
    for (int i = 0; i < 2; i++)
        gram_draft_discard(&drafts[i]);
    return failed;
}

static int emit_files(gram_kernel *kernel, const char *folder, char *message, size_t size)
{
    char reason[GRAM_MESSAGE_SIZE - 16];
    const char *texts[2];
    if (gram_kernel_text(kernel, GRAM_TEXT_SOURCE, &texts[0], message, size) != GRAM_OK ||
        gram_kernel_text(kernel, GRAM_TEXT_HEADER, &texts[1], message, size) != GRAM_OK)
        return -1;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return snprintf(message, size, "error: %s: %s", folder, strerror(errno));
    if (write_pair(folder, gram_name(kernel), texts, reason, sizeof reason) != 0)
        return snprintf(message, size, "error: %s", reason);
    return 0;
}

int gram_cmd_emit(const gram_cli *cli)
{
    char message[GRAM_MESSAGE_SIZE];
    int status;
    if (cli->nfields > 0)
        return gram_usage(cli, "it takes no %s=%s", cli->fields[0].name, cli->fields[0].value);
    gram_cli both = *cli; /* the gradient stands beside the spec's kernel, a forward derivative alone */
    both.load.with_gradient = cli->load.nderivatives > 0 && !cli->derivative.forward;
    both.load.nderivatives -= both.load.with_gradient;
    gram_kernel *kernel = gram_cli_load(&both, "reference", &status);
    if (!kernel)
        return status;
    if (emit_files(kernel, cli->output ? cli->output : ".", message, sizeof message) != 0)
        status = gram_fault(message);
    gram_free(kernel);
    return status;
}

/* ---- list ---- */

/* Where the shipped specs are, as seen from the program: in its source tree, or installed. */
static const char *const spec_folders[] = {"../specs", "../share/gram/specs"};

static DIR *open_specs(char *path, size_t size)
{
    char program[2048];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < sizeof spec_folders / sizeof spec_folders[0]; i++) {
        snprintf(path, size, "%s/%s", program, spec_folders[i]);
        DIR *folder = opendir(path);
        if (folder)
            return folder;
    }
    return NULL;
}

/* Prints the name, and under it the file's opening comment without its dashes. */
static void print_opening(const char *folder, const char *name)
{
    char path[5120], line[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    printf("%.*s\n", (int)strlen(name) - 4, name);
    while (file && fgets(line, sizeof line, file) && strncmp(line, "--", 2) == 0) {
        const char *text = line + 2 + (line[2] == ' ');
        printf("%s%s", *text == '\n' ? "" : "    ", text);
    }
    if (file)
        fclose(file);
    putchar('\n');
}

static int is_spec(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".lua") == 0;
}

int gram_cmd_list(const gram_cli *cli)
{
    char path[4096];
    struct dirent **entries;
    (void)cli;
    DIR *folder = open_specs(path, sizeof path);
    if (!folder)
        return gram_fault("error: the specs that come with gram are neither at ../specs nor at ../share/gram/specs "
                          "from the program");
    closedir(folder);
    int n = scandir(path, &entries, is_spec, alphasort);
    for (int i = 0; i < n; i++) {
        print_opening(path, entries[i]->d_name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return GRAM_EXIT_OK;
}
