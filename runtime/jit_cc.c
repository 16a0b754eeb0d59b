/* C text to callable code through the system's C compiler: see jit_cc.h. The key of a kernel is a hash of all that its
   code depends on; a library under that key is loaded from the cache, and otherwise built in a temporary folder. */
#include "jit_cc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "command.h"
#include "message.h"
#include "sha256.h"

static const char FIXED_FLAGS[] = "-std=c11 -shared -fPIC";
static const char DEFAULT_FLAGS[] = "-O3 -march=native";

enum { REFUSED = 1 };

/* One request, its defaults filled in, and where complaints go. */
typedef struct request {
    const char *text, *compiler, *flags, *version;
    char *message;
    size_t size;
} request;

static request make_request(const char *text, const gram_cc_options *options, char *message, size_t size)
{
    static const gram_cc_options none = {NULL, NULL, NULL};
    const gram_cc_options *o = options ? options : &none;
    const char *variable = getenv("CC");
    const char *compiler = o->compiler ? o->compiler : variable && *variable ? variable : "cc";
    return (request){text, compiler, o->flags ? o->flags : DEFAULT_FLAGS, o->version, message, size};
}

/* What -march=native looks at: of /proc/cpuinfo the lines that name the first CPU and its features. */
static void add_cpu(gram_sha256 *hash)
{
    static const char *const names[] = {"model name", "flags", "Features", "CPU implementer", "CPU part", "isa"};
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[8192];
    while (file && fgets(line, sizeof line, file) && line[0] != '\n')
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0)
                gram_sha256_add_string(hash, line);
    if (file)
        fclose(file);
}

static int complain_missing(const request *r)
{
    char reason[GRAM_MESSAGE / 2];
    gram_put_message(reason, sizeof reason, "%s", r->message);
    return gram_message(r->message, r->size, "no C compiler (%s): install one, name it in CC, or use TinyCC", reason);
}

static int find_key(const request *r, char key[GRAM_SHA256_HEX])
{
    gram_command ask;
    gram_command_begin(&ask);
    gram_command_words(&ask, r->compiler);
    char path[GRAM_PATH], identity[GRAM_PATH];
    gram_command_path(&ask, path, sizeof path);
    gram_command_word(&ask, "--version");
    if (gram_command_run(&ask, NULL, identity, sizeof identity, r->message, r->size) < 0)
        return complain_missing(r);
    gram_sha256 hash;
    gram_sha256_begin(&hash);
    const char *const parts[] = {r->version, r->compiler, path, identity, FIXED_FLAGS, r->flags, r->text};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        gram_sha256_add_string(&hash, parts[i]);
    add_cpu(&hash);
    gram_sha256_end(&hash, key);
    return 0;
}

static int write_text(const request *r, const char *path)
{
    FILE *file = fopen(path, "we");
    int failed = !file || fputs(r->text, file) < 0;
    failed |= file && fclose(file);
    return failed ? gram_message(r->message, r->size, "%s: the kernel's text cannot be written", path) : 0;
}

/* The first line of the compiler's output that speaks of an error, or else its first line, without the folder. */
static void first_error(const char *output, char *line, size_t room)
{
    const char *found = output;
    for (const char *at = output; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *error = strstr(at, "error");
        if (error && error < at + strcspn(at, "\n")) {
            found = at;
            break;
        }
    }
    snprintf(line, room, "%.*s", (int)strcspn(found, "\n"), found);
    const char *name = strstr(line, "kernel.c:");
    if (name)
        memmove(line, name, strlen(name) + 1);
}

/* kernel.c to kernel.so, both in folder. Returns REFUSED, which is above 0, when the compiler ran and made nothing. */
static int compile_in(const request *r, const char *folder)
{
    char source[GRAM_PATH + 16], library[GRAM_PATH + 16], output[8192];
    snprintf(source, sizeof source, "%s/kernel.c", folder);
    snprintf(library, sizeof library, "%s/kernel.so", folder);
    if (write_text(r, source))
        return -1;
    gram_command command;
    gram_command_begin(&command);
    gram_command_words(&command, r->compiler);
    gram_command_words(&command, FIXED_FLAGS);
    gram_command_words(&command, r->flags);
    gram_command_word(&command, "-o");
    gram_command_word(&command, library);
    gram_command_word(&command, source);
    gram_command_word(&command, "-lm");
    const int status = gram_command_run(&command, folder, output, sizeof output, r->message, r->size);
    if (status < 0)
        return complain_missing(r);
    if (status == 0 && access(library, R_OK) == 0)
        return 0;
    char line[320];
    first_error(output, line, sizeof line);
    gram_put_message(r->message, r->size, "%.80s refuses the kernel: %s", r->compiler,
                     line[0] ? line : "no reason given");
    return REFUSED;
}

static void *find(void *handle, const char *name)
{
    return dlsym(handle, name);
}

static void close_library(void *handle)
{
    dlclose(handle);
}

static int load(const request *r, const char *path, gram_module **module)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        return gram_message(r->message, r->size, "%s cannot be loaded: %s", path, reason ? reason : "unknown reason");
    }
    *module = gram_module_new(handle, find, close_library);
    if (*module)
        return 0;
    dlclose(handle);
    return gram_message(r->message, r->size, "out of memory");
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {"kernel.c", "kernel.so"};
    char path[GRAM_PATH + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* Builds in a folder of its own under `parent`, puts the library into the cache if there is a path for it, and loads
   it from there, or where it was built: a loaded library needs no file. */
static int build_under(const request *r, const char *parent, const char *path, const char *key, gram_module **module)
{
    char folder[GRAM_PATH], library[GRAM_PATH + 16], ignored[GRAM_MESSAGE];
    if (snprintf(folder, sizeof folder, "%s/gram-XXXXXX", parent) >= GRAM_PATH || !mkdtemp(folder))
        return gram_message(r->message, r->size, "%s: no temporary folder can be made there", parent);
    snprintf(library, sizeof library, "%s/kernel.so", folder);
    int status = compile_in(r, folder);
    if (status == 0) {
        const int kept = path[0] && gram_cache_put(library, path, key, ignored, sizeof ignored) == 0;
        status = kept ? load(r, path, module) : -1;
        if (status)
            status = load(r, library, module);
    }
    remove_folder(folder);
    return status;
}

/* A complaint about a kernel's text is a bug in gram, so the text must not be lost. */
static int report(const request *r, int status, const char *reason)
{
    char path[GRAM_PATH];
    if (status != REFUSED)
        return gram_message(r->message, r->size, "%s", reason);
    gram_cache_keep(r->text, path);
    return gram_message(r->message, r->size, "%.500s; the text is kept in %s", reason,
                        path[0] ? path : "(no folder could be written)");
}

/* One folder after the other, as any may be full, read-only or mounted noexec. The first reason is reported. */
static int build(const request *r, const char *path, const char *key, const char *cache, gram_module **module)
{
    const char *temporary = getenv("TMPDIR");
    const char *const parents[] = {temporary && *temporary ? temporary : "/tmp", cache, "/dev/shm"};
    char first[GRAM_MESSAGE], later[GRAM_MESSAGE];
    request attempt = *r;
    int reason = 0;
    for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
        if (!parents[i][0])
            continue;
        attempt.message = reason ? later : first;
        attempt.size = GRAM_MESSAGE;
        const int status = build_under(&attempt, parents[i], path, key, module);
        if (status == 0)
            return 0;
        reason = reason ? reason : status;
    }
    return report(r, reason, first);
}

int gram_cc_compile(const char *text, const gram_cc_options *options, gram_module **module, char *message, size_t size)
{
    const request r = make_request(text, options, message, size);
    char key[GRAM_SHA256_HEX], folder[GRAM_PATH], path[GRAM_PATH + GRAM_SHA256_HEX + 8] = "", ignored[GRAM_MESSAGE];
    *module = NULL;
    if (find_key(&r, key))
        return -1;
    if (gram_cache_folder(folder, ignored, sizeof ignored))
        folder[0] = '\0';
    else
        snprintf(path, sizeof path, "%s/%s.so", folder, key);
    if (path[0] && gram_cache_intact(path, key) && load(&r, path, module) == 0)
        return 0;
    return build(&r, path, key, folder, module);
}
