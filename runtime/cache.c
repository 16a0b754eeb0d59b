/* The cache folder: see cache.h. A sealed file is a shared library, which the loader does not mind being longer than
   its headers say, followed by the 64 digits of a SHA-256 over the key and the library. */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "draft.h"
#include "message.h"
#include "sha256.h"

enum { SEAL = GRAM_SHA256_HEX - 1 };

/* The variable's value with a suffix; 0 when it is unset or, as the XDG specification asks, not an absolute path. */
static int from_variable(char folder[GRAM_PATH], const char *variable, const char *suffix)
{
    const char *value = getenv(variable);
    if (!value || value[0] != '/')
        return 0;
    return snprintf(folder, GRAM_PATH, "%s%s", value, suffix) < GRAM_PATH;
}

static int make_folders(char *folder)
{
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const int failed = mkdir(folder, 0700) && errno != EEXIST;
        *slash = '/';
        if (failed)
            return -1;
    }
    return mkdir(folder, 0700) && errno != EEXIST ? -1 : 0;
}

int gram_cache_folder(char folder[GRAM_PATH], char *message, size_t size)
{
    if (!from_variable(folder, "GRAM_CACHE", "") && !from_variable(folder, "XDG_CACHE_HOME", "/gram") &&
        !from_variable(folder, "HOME", "/.cache/gram"))
        return gram_message(message, size, "no cache folder: set GRAM_CACHE or HOME to an absolute path");
    struct stat found;
    if (make_folders(folder) || stat(folder, &found))
        return gram_message(message, size, "%s: %s", folder, strerror(errno));
    if (!S_ISDIR(found.st_mode))
        return gram_message(message, size, "%s: not a folder", folder);
    if (found.st_uid != geteuid() || found.st_mode & 022)
        return gram_message(message, size, "%s: not safe to load code from: others may write there", folder);
    return 0;
}

/* The whole file, freed by the caller; NULL when it cannot be read. */
static char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return NULL;
    struct stat found;
    char *data = NULL;
    if (fstat(fileno(file), &found) == 0 && S_ISREG(found.st_mode)) {
        *bytes = (size_t)found.st_size;
        data = malloc(*bytes + 1);
    }
    if (data && fread(data, 1, *bytes, file) != *bytes) {
        free(data);
        data = NULL;
    }
    fclose(file);
    return data;
}

static void seal_of(const char *key, const char *data, size_t bytes, char seal[GRAM_SHA256_HEX])
{
    gram_sha256 hash;
    gram_sha256_begin(&hash);
    gram_sha256_add_string(&hash, key);
    gram_sha256_add(&hash, data, bytes);
    gram_sha256_end(&hash, seal);
}

int gram_cache_put(const char *built, const char *path, const char *key, char *message, size_t size)
{
    size_t bytes = 0;
    char *data = read_file(built, &bytes);
    if (!data)
        return gram_message(message, size, "%s: %s", built, strerror(errno));
    char seal[GRAM_SHA256_HEX];
    seal_of(key, data, bytes, seal);
    gram_draft draft;
    int status = gram_draft_open(&draft, path, message, size);
    if (status == 0)
        status = gram_draft_write(&draft, data, bytes, message, size);
    if (status == 0)
        status = gram_draft_write(&draft, seal, SEAL, message, size);
    free(data);
    return status ? status : gram_draft_commit(&draft, message, size);
}

int gram_cache_intact(const char *path, const char *key)
{
    size_t bytes = 0;
    char *data = read_file(path, &bytes);
    if (!data)
        return 0;
    int intact = bytes > SEAL;
    if (intact) {
        char seal[GRAM_SHA256_HEX];
        seal_of(key, data, bytes - SEAL, seal);
        intact = memcmp(data + bytes - SEAL, seal, SEAL) == 0;
    }
    free(data);
    return intact;
}

static int keep_in(const char *folder, const char *text, char path[GRAM_PATH])
{
    char seal[GRAM_SHA256_HEX], message[GRAM_MESSAGE];
    seal_of("", text, strlen(text), seal);
    gram_draft draft;
    if (snprintf(path, GRAM_PATH, "%s/refused-%.16s.c", folder, seal) >= GRAM_PATH ||
        gram_draft_open(&draft, path, message, sizeof message) ||
        gram_draft_write(&draft, text, strlen(text), message, sizeof message))
        return -1;
    return gram_draft_commit(&draft, message, sizeof message);
}

void gram_cache_keep(const char *text, char path[GRAM_PATH])
{
    char folder[GRAM_PATH], message[GRAM_MESSAGE];
    if (gram_cache_folder(folder, message, sizeof message) == 0 && keep_in(folder, text, path) == 0)
        return;
    const char *temporary = getenv("TMPDIR");
    if (keep_in(temporary && *temporary ? temporary : "/tmp", text, path))
        path[0] = '\0';
}
