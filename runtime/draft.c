/* A file that appears whole or not at all: see draft.h. */
#include "draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "message.h"

static void forget(gram_draft *draft)
{
    free(draft->path);
    free(draft->temporary);
    *draft = (gram_draft)GRAM_DRAFT_NONE;
}

static int failed(gram_draft *draft, const char *what, char *message, size_t size)
{
    gram_put_message(message, size, "%s: %s: %s", draft->path, what, strerror(errno));
    gram_draft_discard(draft);
    return -1;
}

/* A name beside path, hidden, that no other process or thread is likely to choose; O_EXCL settles the rest. */
static char *temporary_name(const char *path, int attempt)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uintptr_t place = (uintptr_t)&now;
    const uint64_t seed = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) ^ (uint64_t)place << 20;
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash + 1 - path) : 0;
    const size_t room = strlen(path) + 64;
    char *name = malloc(room);
    if (name)
        snprintf(name, room, "%.*s.gram-%ld-%llx-%d", folder, path, (long)getpid(), seed * 0x9E3779B97F4A7C15ULL,
                 attempt);
    return name;
}

/* The temporary gets the old file's permissions if there is one. */
static int open_temporary(gram_draft *draft, const struct stat *old)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        free(draft->temporary);
        draft->temporary = temporary_name(draft->path, attempt);
        if (!draft->temporary)
            break;
        draft->fd = open(draft->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (draft->fd >= 0 && old)
            (void)!fchmod(draft->fd, old->st_mode & 0777);
        if (draft->fd >= 0 || errno != EEXIST)
            break;
    }
    if (draft->fd < 0) {
        free(draft->temporary);
        draft->temporary = NULL;
    }
    return draft->fd < 0 ? -1 : 0;
}

int gram_draft_open(gram_draft *draft, const char *path, char *message, size_t size)
{
    *draft = (gram_draft)GRAM_DRAFT_NONE;
    struct stat old;
    const int exists = stat(path, &old) == 0;
    draft->path = exists ? realpath(path, NULL) : strdup(path);
    if (!draft->path)
        return gram_message(message, size, "%s: cannot be written: %s", path, strerror(errno));
    if (exists && !S_ISREG(old.st_mode))
        draft->fd = open(draft->path, O_WRONLY | O_CLOEXEC);
    else
        open_temporary(draft, exists ? &old : NULL);
    return draft->fd < 0 ? failed(draft, "cannot be written", message, size) : 0;
}

int gram_draft_write(gram_draft *draft, const void *data, size_t bytes, char *message, size_t size)
{
    const char *at = data;
    while (bytes > 0) {
        const ssize_t written = write(draft->fd, at, bytes < 1u << 30 ? bytes : 1u << 30);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failed(draft, "writing failed", message, size);
        at += written;
        bytes -= (size_t)written;
    }
    return 0;
}

int gram_draft_close(gram_draft *draft, char *message, size_t size)
{
    const int fd = draft->fd;
    draft->fd = -1;
    return fd >= 0 && close(fd) ? failed(draft, "writing failed", message, size) : 0;
}

int gram_draft_commit(gram_draft *draft, char *message, size_t size)
{
    if (gram_draft_close(draft, message, size))
        return -1;
    if (draft->temporary && rename(draft->temporary, draft->path))
        return failed(draft, "cannot be written", message, size);
    forget(draft);
    return 0;
}

void gram_draft_discard(gram_draft *draft)
{
    if (draft->fd >= 0)
        close(draft->fd);
    if (draft->temporary)
        unlink(draft->temporary);
    forget(draft);
}
