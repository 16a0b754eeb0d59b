/* Library: the parts of the runtime's headers that a kernel needs, in the order they stand there.
 *
 * The headers are rows of chunks parted by blank lines (see runtime/kernel.h). A chunk is needed where a name that it
 * defines occurs in needed text; starting from the kernel's own text, that closes over what chunks use among
 * themselves. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ir.h"
#include "library.h"
#include "resolve.h"

extern const char gram_text_kernel_h[], gram_text_job_h[], gram_text_vector_h[], gram_text_vmath_h[],
    gram_text_pack_h[], gram_text_product_h[], gram_text_softmax_h[], gram_text_tile_h[], gram_text_half_h[],
    gram_text_whole_h[], gram_text_linear_h[], gram_text_fft_h[];

enum { MOST_CHUNKS = 512, SLOTS = 4096 };

typedef struct chunk {
    const char *start, *end;
    bool primitive; /* in the runtime, where code calls it */
    bool needed;
} chunk;

typedef struct name {
    const char *start;
    size_t size;
    int chunk; /* MOST_CHUNKS and more: an elementwise primitive, of the operation that many above */
} name;

typedef struct library {
    gram_ctx *ctx;
    bool calls, wide;
    int real_bits;
    int nchunks;
    chunk chunks[MOST_CHUNKS];
    name names[SLOTS]; /* a hash table, open addressing */
    int work[MOST_CHUNKS], nwork;
    bool maps[GRAM_OP_COUNT]; /* the elementwise primitives that are called */
} library;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Past the comment that starts at `at`. */
static const char *after_comment(const char *at, const char *end)
{
    const char *close = strstr(at, "*/");
    return close && close + 2 < end ? close + 2 : end;
}

/* The next word outside comments that starts with gram_ or GRAM_ in [at, end); its end in *after. NULL: none. */
static const char *next_word(const char *at, const char *end, const char **after)
{
    while (at < end) {
        if (!is_word(*at)) {
            at = at[0] == '/' && at[1] == '*' ? after_comment(at, end) : at + 1;
            continue;
        }
        const char *start = at;
        while (at < end && is_word(*at))
            at++;
        if (at - start > 5 && (!memcmp(start, "gram_", 5) || !memcmp(start, "GRAM_", 5))) {
            *after = at;
            return start;
        }
    }
    return NULL;
}

/* The table's slot for a word: where it is, or the empty one where it would be. */
static name *slot(library *lib, const char *word, size_t size)
{
    unsigned hash = 2166136261u;
    for (size_t k = 0; k < size; k++)
        hash = (hash ^ (unsigned char)word[k]) * 16777619u;
    name *at = &lib->names[hash % SLOTS];
    while (at->start && (at->size != size || memcmp(at->start, word, size) != 0))
        at = at == lib->names + SLOTS - 1 ? lib->names : at + 1;
    return at;
}

static void define(library *lib, const char *word, const char *after, int chunk)
{
    name *at = slot(lib, word, (size_t)(after - word));
    if (!at->start)
        *at = (name){word, (size_t)(after - word), chunk};
}

/* The names that a line of a chunk defines: of a macro, types, an enumeration's members, a function or array. */
static void define_line(library *lib, const char *line, const char *end, bool members, int chunk)
{
    bool all = members || !strncmp(line, "typedef", 7) || *line == '}';
    bool macro = !strncmp(line, "#define ", 8), declares = !strncmp(line, "static", 6);
    if (!all && !macro && !declares)
        return;
    const char *after;
    for (const char *word = next_word(line, end, &after); word; word = next_word(after, end, &after)) {
        bool only = (macro && word == line + 8) || (declares && after < end && (*after == '(' || *after == '['));
        if (all || only)
            define(lib, word, after, chunk);
        if (only)
            return;
    }
}

static const char *skip_comment(const char *at, const char *end)
{
    if (strncmp(at, "/*", 2) != 0)
        return at;
    const char *close = strstr(at, "*/");
    return close && close < end ? close + 3 : at;
}

static void add_chunk(library *lib, const char *start, const char *end, bool primitive)
{
    const char *code = skip_comment(start, end);
    bool one_line = code < end && !memchr(code, '\n', (size_t)(end - code));
    bool guard = one_line && (!strncmp(end - 2, "_H", 2) || !strncmp(code, "#endif", 6));
    int index = lib->nchunks;
    if (code >= end || guard || !strncmp(code, "#include", 8) || index == MOST_CHUNKS)
        return;
    lib->chunks[lib->nchunks++] = (chunk){start, end, primitive && !strncmp(code, "static inline void", 18), false};
    for (const char *line = code; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        define_line(lib, line, stop, !strncmp(code, "enum", 4), index);
        line = stop + 1;
    }
}

static void add_text(library *lib, const char *text, bool primitive)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        end = end ? end : text + strlen(text);
        add_chunk(lib, text, end, primitive);
        text = end;
        while (*text == '\n')
            text++;
    }
}

static void need(library *lib, const char *start, const char *end)
{
    const char *after;
    for (const char *word = next_word(start, end, &after); word; word = next_word(after, end, &after)) {
        const name *found = slot(lib, word, (size_t)(after - word));
        if (found->start && found->chunk >= MOST_CHUNKS) {
            lib->maps[found->chunk - MOST_CHUNKS] = true;
        } else if (found->start && !lib->chunks[found->chunk].needed) {
            lib->chunks[found->chunk].needed = true;
            lib->work[lib->nwork++] = found->chunk;
        }
    }
}

/* What of a chunk goes into the text: all, or a primitive's prototype. */
static const char *body_end(const library *lib, const chunk *c)
{
    return lib->calls && c->primitive ? strstr(skip_comment(c->start, c->end), ") {") + 1 : c->end;
}

static void put_chunk(const library *lib, const chunk *c, gram_text *out)
{
    const char *code = skip_comment(c->start, c->end);
    if (lib->calls && c->primitive) {
        code += strlen("static inline ");
        gram_put_bytes(out, code, (size_t)(body_end(lib, c) - code));
        gram_put(out, ";\n");
    } else {
        code = lib->calls ? code : c->start;
        gram_put_bytes(out, code, (size_t)(c->end - code));
        gram_put(out, lib->calls ? "\n" : "\n\n");
    }
}

/* A chunk of one kind of numbers. */
static void resolve(library *lib, chunk *c)
{
    c->start = gram_resolve(lib->ctx, c->start, (size_t)(c->end - c->start), lib->real_bits, lib->wide);
    c->end = c->start + strlen(c->start);
    while (c->end > c->start && c->end[-1] == '\n')
        c->end--;
}

static void define_maps(library *lib)
{
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++) {
        const char *map = gram_format(lib->ctx, "gram_map_%s", gram_ops[op].name);
        define(lib, map, map + strlen(map), MOST_CHUNKS + op);
    }
}

/* The elementwise primitives that are called, declared from ops.def. */
static void put_maps(const library *lib, gram_text *out)
{
    static const char *const operand[] = {"gram_real", "gram_int", "gram_bits"};
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++) {
        if (!lib->maps[op])
            continue;
        gram_put(out, "void gram_map_%s(%s *, int64_t, int64_t", gram_ops[op].name, operand[gram_ops[op].result]);
        for (const char *t = gram_ops[op].operands; *t; t++)
            gram_put(out, ", const %s *, int64_t, int64_t", operand[*t == 'R' ? 0 : *t == 'I' ? 1 : 2]);
        gram_put(out, ");\n");
    }
}

static const struct {
    const char *text;
    bool primitives; /* functions that the runtime has: called by JIT text, not carried */
} texts[] = {{gram_text_kernel_h, false}, {gram_text_job_h, false},   {gram_text_vector_h, false},
             {gram_text_vmath_h, false},  {gram_text_pack_h, true},   {gram_text_product_h, true},
             {gram_text_softmax_h, true}, {gram_text_tile_h, true},   {gram_text_half_h, true},
             {gram_text_whole_h, true},   {gram_text_linear_h, true}, {gram_text_fft_h, true}};

/* What is defined, and where. */
static library *open_library(gram_ctx *ctx, bool calls, int real_bits, bool wide)
{
    library *lib = gram_alloc(ctx, sizeof *lib);
    lib->ctx = ctx;
    lib->calls = calls;
    lib->wide = wide;
    lib->real_bits = real_bits;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        add_text(lib, texts[k].text, texts[k].primitives);
    if (calls)
        define_maps(lib);
    return lib;
}

/* What the text needs, and what that needs. */
static void need_all(library *lib, const char *text)
{
    static const char always[] = "gram_real gram_int gram_bits";
    need(lib, text, text + strlen(text));
    if (lib->calls)
        need(lib, always, always + sizeof always - 1);
    for (int k = 0; k < lib->nwork; k++) {
        chunk *c = &lib->chunks[lib->work[k]];
        resolve(lib, c);
        need(lib, c->start, body_end(lib, c));
    }
    if (!lib->calls)
        lib->chunks[slot(lib, "gram_team", 9)->chunk].needed = false; /* the header has it */
}

const char *gram_library_for(gram_ctx *ctx, const char *text, int calls, int real_bits, int wide)
{
    library *lib = open_library(ctx, calls != 0, real_bits, wide != 0);
    gram_text out = {.ctx = ctx};
    need_all(lib, text);
    for (int k = 0; k < lib->nchunks; k++)
        if (lib->chunks[k].needed)
            put_chunk(lib, &lib->chunks[k], &out);
    put_maps(lib, &out);
    return out.data ? out.data : "";
}
