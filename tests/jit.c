/* The two ways from C text to callable code: TinyCC in process and the system's compiler with its cache on disk.
   `jit` runs the tests, in a folder of its own under TMPDIR; `jit time` prints what a compile costs. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../runtime/cache.h"
#include "../runtime/jit_cc.h"
#include "../runtime/jit_tcc.h"
#include "../runtime/message.h"
#include "../runtime/sha256.h"
#include "test.h"

enum { THREADS = 8, PROCESSES = 8 };

typedef int unary(int);

static const char TWICE[] = "int twice(int x)\n{\n    return 2 * x;\n}\n";

static double milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int seven(void)
{
    return 7;
}

static int eight(void)
{
    return 8;
}

static const gram_symbol SEVEN[] = {{"seven", (gram_function *)seven}, {NULL, NULL}};
static const gram_symbol OTHERS[] = {
    {"seven", (gram_function *)eight}, {"eight", (gram_function *)eight}, {NULL, NULL},
};
static const gram_symbol *const TABLES[] = {SEVEN, OTHERS, NULL};

/* Texts that use what compiled code may need without a library: each has `int f(int)`, and f(3) is given. */
static const struct {
    const char *text;
    int result;
} PROGRAMS[] = {
    {"int seven(void); int f(int x) { return seven() * x; }", 21},
    {"int eight(void); int f(int x) { return eight() * x; }", 24},
    {"typedef struct big { long a[64]; } big; int f(int x) { big p = {{x}}, q = p; return (int)q.a[0]; }", 3},
    {"int f(int x) { unsigned long u = x * (1ul << 62); double d = u; return (int)((unsigned long)d >> 62); }", 3},
    {"int f(int x) { unsigned long u = x * (1ul << 62); float d = u; return (int)((unsigned long)d >> 62); }", 3},
    {"static int g(int x) { return x + 1; } int f(int x) { int (*p)(int) = g; return p(x); }", 4},
    {"static const float t[] = {1, 2, 3, 4}; int f(int x) { return (int)t[x]; }", 4},
    {"#line 7 \"s.lua\"\n#define A(x) ((x) * __LINE__)\nint f(int x) { return A(x); }", 24},
};

static void test_tcc(gram_tally *t)
{
    for (size_t i = 0; i < sizeof PROGRAMS / sizeof *PROGRAMS; i++) {
        char message[GRAM_MESSAGE] = "";
        gram_module *module;
        const int status = gram_tcc_compile(PROGRAMS[i].text, TABLES, &module, message, sizeof message);
        unary *f = status ? NULL : (unary *)gram_module_symbol(module, "f");
        CHECK(t, f && f(3) == PROGRAMS[i].result, "program %zu: %s", i, f ? "a wrong result" : message);
        CHECK(t, status || !gram_module_symbol(module, "no_such_function"), "program %zu has no_such_function", i);
        gram_module_free(module);
    }
    gram_module_free(NULL);
}

/* The path that a message says a text is kept in must hold that text. */
static int kept(const char *message, const char *text)
{
    const char *path = strstr(message, "the text is kept in /");
    FILE *file = path ? fopen(strchr(path, '/'), "r") : NULL;
    char found[256] = "";
    if (!file)
        return 0;
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    return strcmp(found, text) == 0;
}

static void test_tcc_errors(gram_tally *t)
{
    static const struct {
        const char *text, *complaint;
    } bad[] = {
        {"int f(int x)\n{ return y; }\n", "TinyCC: <string>:2: error: 'y' undeclared"},
        {"int g(int);\nint f(int x) { return g(x); }\n", "undefined symbol 'g'"},
        {"#include <stdio.h>\n", "<string>:1: error: include file 'stdio.h' not found"},
        {"int f(", "error: "},
        {"\x01\xff", "error: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char message[GRAM_MESSAGE] = "";
        gram_module *module;
        const int status = gram_tcc_compile(bad[i].text, TABLES, &module, message, sizeof message);
        CHECK(t, status == -1 && !module && strstr(message, bad[i].complaint), "text %zu: %d '%s'", i, status, message);
        CHECK(t, kept(message, bad[i].text), "text %zu was not kept: '%s'", i, message);
    }
}

static void *compile_often(void *wrong)
{
    for (int i = 0; i < 50; i++) {
        char message[GRAM_MESSAGE], text[128];
        gram_module *module;
        snprintf(text, sizeof text, "int f(int x) { return x + %d; }", i);
        if (gram_tcc_compile(text, TABLES, &module, message, sizeof message)
            || ((unary *)gram_module_symbol(module, "f"))(1) != i + 1)
            ++*(int *)wrong;
        gram_module_free(module);
    }
    return NULL;
}

static void test_tcc_threads(gram_tally *t)
{
    pthread_t threads[THREADS];
    int wrong[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, compile_often, &wrong[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(t, wrong[i] == 0, "thread %d: %d of 50 compiles went wrong", i, wrong[i]);
    }
}

static void test_sha256(gram_tally *t)
{
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        gram_sha256 hash;
        char hex[GRAM_SHA256_HEX];
        gram_sha256_begin(&hash);
        gram_sha256_add(&hash, known[i].text, strlen(known[i].text));
        gram_sha256_end(&hash, hex);
        CHECK(t, strcmp(hex, known[i].hex) == 0, "the hash of '%s' is %s", known[i].text, hex);
    }
}

/* Compiles TWICE with these options; 1 if that worked and the result is right. */
static int twice_works(const gram_cc_options *options, char message[GRAM_MESSAGE])
{
    gram_module *module;
    message[0] = '\0';
    if (gram_cc_compile(TWICE, options, &module, message, GRAM_MESSAGE))
        return 0;
    unary *twice = (unary *)gram_module_symbol(module, "twice");
    const int right = twice && twice(21) == 42;
    gram_module_free(module);
    return right;
}

/* The libraries in the cache; the last one's path, size and inode if they are wanted. */
static int cached(const char *cache, char *path, struct stat *found)
{
    DIR *folder = opendir(cache);
    int count = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' || !dot || strcmp(dot, ".so") != 0)
            continue;
        count++;
        if (path)
            snprintf(path, GRAM_PATH, "%s/%s", cache, entry->d_name);
        if (path && found)
            stat(path, found);
    }
    if (folder)
        closedir(folder);
    return count;
}

static const gram_cc_options FAST = {NULL, "-O0", "test"};

static void test_cc(gram_tally *t, const char *cache)
{
    static const gram_cc_options options[] = {
        {NULL, "-O0", "test"}, {NULL, NULL, "test"}, {NULL, "-O0", "other version"}, {"gcc", "-O1", "test"},
        {"clang", "-O0 -march=native", "test"}, {"tcc", "", "test"},
    };
    char message[GRAM_MESSAGE];
    for (int i = 0; i < (int)(sizeof options / sizeof *options); i++) {
        CHECK(t, twice_works(&options[i], message), "options %d: %s", i, message);
        CHECK(t, cached(cache, NULL, NULL) == i + 1, "options %d: %d in the cache", i, cached(cache, NULL, NULL));
        CHECK(t, twice_works(&options[i], message) && cached(cache, NULL, NULL) == i + 1, "options %d, again", i);
    }
    CHECK(t, twice_works(NULL, message), "no options: %s", message);
}

/* What may have happened to a file in the cache. */
static void cut(const char *path, int64_t bytes)
{
    (void)!truncate(path, bytes / 2);
}

static void empty(const char *path, int64_t bytes)
{
    (void)bytes;
    (void)!truncate(path, 0);
}

static void flip(const char *path, int64_t bytes)
{
    FILE *file = fopen(path, "r+b");
    fseek(file, (long)(bytes / 3), SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void replace_by_folder(const char *path, int64_t bytes)
{
    (void)bytes;
    unlink(path);
    mkdir(path, 0700);
}

static void test_damage(gram_tally *t, const char *cache)
{
    static void (*const damages[])(const char *path, int64_t bytes) = {cut, empty, flip, replace_by_folder};
    char message[GRAM_MESSAGE], path[GRAM_PATH];
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct stat before, after;
        CHECK(t, twice_works(&FAST, message) && cached(cache, path, &before) == 1, "damage %zu: %s", i, message);
        damages[i](path, (int64_t)before.st_size);
        CHECK(t, twice_works(&FAST, message), "damage %zu: %s", i, message);
        const int repaired = stat(path, &after) == 0 && after.st_ino != before.st_ino
                             && after.st_size == before.st_size;
        CHECK(t, repaired || damages[i] == replace_by_folder, "damage %zu was not repaired", i);
    }
    rmdir(path);
}

static void test_cc_errors(gram_tally *t)
{
    static const char wrong[] = "int f(int x)\n{\n    return y;\n}\n";
    char message[GRAM_MESSAGE] = "";
    gram_module *module;
    CHECK(t, gram_cc_compile(wrong, &FAST, &module, message, sizeof message) == -1 && !module
          && strstr(message, "refuses the kernel: kernel.c:3:") && kept(message, wrong), "'%s'", message);
    const gram_cc_options missing = {"no-such-compiler -x", NULL, NULL}, odd = {"false", NULL, NULL};
    const gram_cc_options none = {"", NULL, NULL};
    CHECK(t, !twice_works(&missing, message)
          && strcmp(message, "no C compiler (no-such-compiler: No such file or directory): "
                    "install one, name it in CC, or use TinyCC") == 0, "'%s'", message);
    CHECK(t, !twice_works(&odd, message) && strstr(message, "false refuses the kernel: "), "'%s'", message);
    CHECK(t, !twice_works(&none, message) && strstr(message, "no C compiler"), "'%s'", message);
    const gram_cc_options liar = {"true", NULL, NULL}, strange = {NULL, "-O0 --no-such-flag", NULL};
    CHECK(t, !twice_works(&liar, message) && strstr(message, "true refuses the kernel: no reason"), "'%s'", message);
    CHECK(t, !twice_works(&strange, message) && strstr(message, "no-such-flag"), "'%s'", message);
    setenv("CC", "no-such-compiler", 1);
    CHECK(t, !twice_works(NULL, message) && strstr(message, "no C compiler (no-such-compiler"), "'%s'", message);
    unsetenv("CC");
}

/* Folders that cannot be used as a cache: the kernel is built all the same. */
static void test_no_cache(gram_tally *t, const char *folder)
{
    char message[GRAM_MESSAGE], path[GRAM_PATH];
    static const char *const useless[] = {"/proc/nowhere", "/dev/null/cache", "relative"};
    unsetenv("HOME");
    for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
        setenv("GRAM_CACHE", useless[i], 1);
        CHECK(t, twice_works(&FAST, message), "with the cache in %s: %s", useless[i], message);
    }
    snprintf(path, sizeof path, "%s/open", folder);
    mkdir(path, 0700);
    chmod(path, 0777);
    setenv("GRAM_CACHE", path, 1);
    CHECK(t, twice_works(&FAST, message) && cached(path, NULL, NULL) == 0, "a cache open to all was used: %s", message);
    unsetenv("GRAM_CACHE");
    setenv("XDG_CACHE_HOME", folder, 1);
    snprintf(path, sizeof path, "%s/gram", folder);
    CHECK(t, twice_works(&FAST, message) && cached(path, NULL, NULL) == 1, "XDG_CACHE_HOME was not used: %s", message);
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", folder, 1);
    snprintf(path, sizeof path, "%s/.cache/gram", folder);
    CHECK(t, twice_works(&FAST, message) && cached(path, NULL, NULL) == 1, "HOME was not used: %s", message);
    setenv("TMPDIR", "/proc/nowhere", 1);
    CHECK(t, twice_works(&(gram_cc_options){NULL, "-O0", "no TMPDIR"}, message), "without TMPDIR: %s", message);
    unsetenv("TMPDIR");
}

/* A disk on which nothing can be written, for this process and those it starts. */
static int without_disk(void)
{
    char message[GRAM_MESSAGE] = "";
    const struct rlimit nothing = {0, 0};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &nothing);
    return !twice_works(&(gram_cc_options){NULL, "-O0", "full"}, message) && message[0] ? 0 : 1;
}

static int build_in_child(void)
{
    char message[GRAM_MESSAGE];
    for (int i = 0; i < 3; i++)
        if (!twice_works(&(gram_cc_options){NULL, "-O0", "many"}, message))
            return 1;
    return 0;
}

static pid_t start(int (*body)(void))
{
    const pid_t child = fork();
    if (child == 0)
        _exit(body());
    return child;
}

static void test_processes(gram_tally *t, const char *cache)
{
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(build_in_child);
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        CHECK(t, status == 0, "process %d of %d: status %d", i, PROCESSES, status);
    }
    char path[GRAM_PATH];
    CHECK(t, cached(cache, path, NULL) == 1, "%d libraries for one kernel", cached(cache, NULL, NULL));
    int status = -1;
    waitpid(start(without_disk), &status, 0);
    CHECK(t, status == 0, "a full disk: status %d", status);
}

/* A text like a kernel's: about `lines` lines of loops that call primitives. */
static char *kernel_like(int lines)
{
    const size_t room = (size_t)lines * 128 + 1024;
    char *text = malloc(room);
    size_t used = (size_t)snprintf(text, room, "typedef long int64_t;\n"
                                   "void primitive(float *, int64_t, const float *);\n"
                                   "int f(float *out, const float *in, int64_t n, int64_t m)\n{\n");
    for (int i = 0; i < lines / 4; i++)
        used += (size_t)snprintf(text + used, room - used,
                                 "    for (int64_t i = 0; i < n; i += 48) {\n"
                                 "        int64_t rows = n - i < 48 ? n - i : 48;\n"
                                 "        primitive(out + i * 64, rows, in + i * m);\n    }\n");
    snprintf(text + used, room - used, "    return 0;\n}\n");
    return text;
}

static int print_times(void)
{
    enum { SYMBOLS = 300, TIMES = 200 };
    static gram_symbol symbols[SYMBOLS + 1] = {{"primitive", (gram_function *)seven}};
    static char names[SYMBOLS][32];
    for (int i = 1; i < SYMBOLS; i++) {
        snprintf(names[i], sizeof names[i], "gram_primitive_%d", i);
        symbols[i] = (gram_symbol){names[i], (gram_function *)seven};
    }
    const gram_symbol *const tables[] = {symbols, NULL};
    for (int lines = 0; lines <= 400; lines += 200) {
        char *text = kernel_like(lines), message[GRAM_MESSAGE];
        double best = 1e9, sum = 0;
        for (int i = 0; i < TIMES; i++) {
            gram_module *module;
            const double begin = milliseconds();
            if (gram_tcc_compile(text, tables, &module, message, sizeof message))
                return printf("%s\n", message), 1;
            const double took = milliseconds() - begin;
            best = took < best ? took : best;
            sum += took;
            gram_module_free(module);
        }
        printf("TinyCC, %d lines (%zu bytes), %d symbols: best %.3f ms, mean %.3f ms\n", lines, strlen(text), SYMBOLS,
               best, sum / TIMES);
        free(text);
    }
    char message[GRAM_MESSAGE];
    for (int i = 0; i < 3; i++) {
        const double begin = milliseconds();
        if (!twice_works(NULL, message))
            return printf("%s\n", message), 1;
        printf("system's compiler, %s: %.1f ms\n", i ? "from the cache" : "first call", milliseconds() - begin);
    }
    return 0;
}

/* Each test has a cache of its own. */
static void fresh_cache(char *cache, const char *folder, const char *name)
{
    snprintf(cache, GRAM_PATH, "%s/%s", folder, name);
    setenv("GRAM_CACHE", cache, 1);
}

int main(int argc, char **argv)
{
    char folder[512], cache[GRAM_PATH], command[2 * sizeof folder + 64];
    snprintf(folder, sizeof folder, "%.400s/gram-jit-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    fresh_cache(cache, folder, "tcc");
    gram_tally t = {0, 0};
    int status = 0;
    if (argc == 2 && strcmp(argv[1], "time") == 0) {
        status = print_times();
    } else {
        test_sha256(&t);
        test_tcc(&t);
        test_tcc_errors(&t);
        test_tcc_threads(&t);
        fresh_cache(cache, folder, "cc/nested");
        test_cc(&t, cache);
        test_cc_errors(&t);
        fresh_cache(cache, folder, "damage");
        test_damage(&t, cache);
        fresh_cache(cache, folder, "processes");
        test_processes(&t, cache);
        test_no_cache(&t, folder);
        status = gram_tally_end(&t);
    }
    snprintf(command, sizeof command, "chmod -R u+w '%s'; rm -r '%s'", folder, folder);
    return system(command) || status;
}
