/* Another program run to its end: see command.h. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"

void gram_command_begin(gram_command *command)
{
    command->words[0] = NULL;
    command->count = 0;
    command->used = 0;
    command->overflow = 0;
}

static void add_word(gram_command *command, const char *word, size_t length)
{
    if (command->count + 1 >= GRAM_COMMAND_WORDS || length >= GRAM_COMMAND_TEXT - command->used) {
        command->overflow = 1;
        return;
    }
    char *copy = command->text + command->used;
    memcpy(copy, word, length);
    copy[length] = '\0';
    command->used += length + 1;
    command->words[command->count++] = copy;
    command->words[command->count] = NULL;
}

void gram_command_word(gram_command *command, const char *word)
{
    add_word(command, word, strlen(word));
}

void gram_command_words(gram_command *command, const char *words)
{
    for (size_t length; words += strspn(words, " "), (length = strcspn(words, " ")) > 0; words += length)
        add_word(command, words, length);
}

/* The environment with TMPDIR replaced, the strings still the environment's own; setting[] holds the new one. (By the
 * name that only libc has for it: in the shared library `environ` is as it was at first, see shared/streams.c.) */
static char **environment_with(char *setting, const char *temporary)
{
    size_t count = 0, kept = 0;
    while (__environ && __environ[count])
        count++;
    char **list = malloc((count + 2) * sizeof *list);
    if (!list)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!temporary || strncmp(__environ[i], "TMPDIR=", 7) != 0)
            list[kept++] = __environ[i];
    if (temporary)
        list[kept++] = setting;
    snprintf(setting, PATH_MAX, "TMPDIR=%s", temporary ? temporary : "");
    list[kept] = NULL;
    return list;
}

static int spawn(const gram_command *command, const char *temporary, int out, pid_t *child)
{
    char setting[PATH_MAX];
    char **environment = environment_with(setting, temporary);
    posix_spawn_file_actions_t actions;
    if (!environment || posix_spawn_file_actions_init(&actions)) {
        free(environment);
        return ENOMEM;
    }
    int error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int stream = 1; stream <= 2 && !error; stream++)
        error = posix_spawn_file_actions_adddup2(&actions, out, stream);
    if (!error)
        error = posix_spawnp(child, command->words[0], &actions, NULL, command->words, environment);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return error;
}

/* Reads to the end, so that the child is never held up, and keeps what there is room for. */
static void drain(int in, char *output, size_t room)
{
    char more[4096];
    size_t used = 0;
    for (ssize_t got; (got = read(in, more, sizeof more)) > 0 || (got < 0 && errno == EINTR);) {
        const size_t some = got <= 0 ? 0 : (size_t)got < room - 1 - used ? (size_t)got : room - 1 - used;
        memcpy(output + used, more, some);
        used += some;
    }
    output[used] = '\0';
}

/* Where the host ignores SIGCHLD there is no status to be had: the caller then judges by what was built. */
static int wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

int gram_command_run(const gram_command *command, const char *temporary, char *output, size_t room, char *message,
                     size_t size)
{
    if (command->overflow || command->count == 0)
        return gram_message(message, size, "a command line that is empty or too long");
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return gram_message(message, size, "%s: %s", command->words[0], strerror(errno));
    pid_t child;
    const int error = spawn(command, temporary, ends[1], &child);
    close(ends[1]);
    if (error)
        gram_put_message(message, size, "%s: %s", command->words[0], strerror(error));
    else
        drain(ends[0], output, room);
    close(ends[0]);
    return error ? -1 : wait_for(child);
}

void gram_command_path(const gram_command *command, char *path, size_t room)
{
    const char *word = command->count ? command->words[0] : "", *folders = getenv("PATH");
    char found[PATH_MAX], resolved[PATH_MAX];
    snprintf(found, sizeof found, "%s", word);
    for (size_t length; folders && !strchr(word, '/') && *folders; folders += length + (folders[length] == ':')) {
        length = strcspn(folders, ":");
        if (length > INT_MAX || snprintf(found, sizeof found, "%.*s/%s", (int)length, folders, word) >= PATH_MAX)
            continue;
        if (access(found, X_OK) == 0)
            break;
    }
    snprintf(path, room, "%s", realpath(found, resolved) ? resolved : found);
}
