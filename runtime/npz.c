/* .npz: a zip archive whose entries are .npy files, each named after its array. The directory stands at the end of the
   file; its entries say where each file starts. Sizes beyond 32 bits stand in extra fields (zip64). Every offset is
   checked against the file's size before it is followed. */
#include "npz.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "npy.h"

enum { END_BYTES = 22, END_COMMENT = 65535, LOCATOR_BYTES = 20, END64_BYTES = 56, ENTRY_BYTES = 46, LOCAL_BYTES = 30 };
enum { STORED = 0, ENCRYPTED = 1, ZIP64_FIELD = 1 };

/* The archive, and where its complaints go. */
typedef struct archive {
    gram_tensors *file;
    const unsigned char *bytes;
    char *message;
    size_t size;
} archive;

#define REFUSE(a, ...) gram_message((a)->message, (a)->size, __VA_ARGS__)

static uint64_t number(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

/* The bytes [offset, offset + count) of the file; NULL if they are not in it. */
static const unsigned char *part(const archive *a, uint64_t offset, uint64_t count)
{
    return offset <= a->file->bytes && count <= a->file->bytes - offset ? a->bytes + offset : NULL;
}

/* ---- the directory ---- */

typedef struct directory {
    uint64_t entries, offset;
} directory;

static const unsigned char *find_end(const archive *a)
{
    const size_t bytes = a->file->bytes;
    for (size_t back = END_BYTES; back <= bytes && back <= END_BYTES + END_COMMENT; back++)
        if (memcmp(a->bytes + bytes - back, "PK\5\6", 4) == 0)
            return a->bytes + bytes - back;
    return NULL;
}

/* Where the end record's 16 and 32 bits do not suffice, a locator in front of it leads to a larger one. */
static int find_directory(const archive *a, directory *d)
{
    const unsigned char *end = find_end(a);
    if (!end)
        return REFUSE(a, "truncated .npz file: it has no directory");
    d->entries = number(end + 10, 2);
    d->offset = number(end + 16, 4);
    const size_t at = (size_t)(end - a->bytes);
    if (at < LOCATOR_BYTES || memcmp(end - LOCATOR_BYTES, "PK\6\7", 4) != 0)
        return 0;
    const unsigned char *large = part(a, number(end - LOCATOR_BYTES + 8, 8), END64_BYTES);
    if (!large || memcmp(large, "PK\6\6", 4) != 0)
        return REFUSE(a, "malformed .npz file: its directory is not where it says");
    d->entries = number(large + 32, 8);
    d->offset = number(large + 48, 8);
    return 0;
}

/* ---- entries ---- */

typedef struct entry {
    const unsigned char *name;
    size_t name_length;
    uint64_t packed, bytes, offset;
} entry;

/* Those of the sizes that do not fit 32 bits, in this order. */
static int read_large(const archive *a, entry *e, const unsigned char *extra, size_t length)
{
    uint64_t *const wanted[] = {&e->bytes, &e->packed, &e->offset};
    for (size_t at = 0; at + 4 <= length; at += 4 + (size_t)number(extra + at + 2, 2)) {
        size_t rest = (size_t)number(extra + at + 2, 2);
        if (number(extra + at, 2) != ZIP64_FIELD || rest > length - at - 4)
            continue;
        const unsigned char *next = extra + at + 4;
        for (int k = 0; k < 3; k++) {
            if (*wanted[k] != UINT32_MAX)
                continue;
            if (rest < 8)
                return REFUSE(a, "malformed .npz file: an entry lacks its size");
            *wanted[k] = number(next, 8);
            next += 8;
            rest -= 8;
        }
    }
    return 0;
}

/* The entry at *offset, which moves behind it. */
static int read_entry(const archive *a, uint64_t *offset, entry *e)
{
    const unsigned char *at = part(a, *offset, ENTRY_BYTES);
    if (!at || memcmp(at, "PK\1\2", 4) != 0)
        return REFUSE(a, "malformed .npz file: its directory is cut short");
    const size_t name = (size_t)number(at + 28, 2), extra = (size_t)number(at + 30, 2);
    const size_t note = (size_t)number(at + 32, 2);
    if (!part(a, *offset, ENTRY_BYTES + name + extra + note))
        return REFUSE(a, "malformed .npz file: its directory is cut short");
    *e = (entry){at + ENTRY_BYTES, name, number(at + 20, 4), number(at + 24, 4), number(at + 42, 4)};
    *offset += ENTRY_BYTES + name + extra + note;
    if (number(at + 8, 2) & ENCRYPTED)
        return REFUSE(a, "%.*s is encrypted", (int)name, (const char *)e->name);
    if (number(at + 10, 2) != STORED)
        return REFUSE(a, "%.*s is compressed: write it with numpy.savez, not savez_compressed", (int)name,
                      (const char *)e->name);
    return read_large(a, e, at + ENTRY_BYTES + name, extra);
}

static int read_array(const archive *a, const entry *e, gram_array *array)
{
    char reason[GRAM_MESSAGE];
    const unsigned char *local = part(a, e->offset, LOCAL_BYTES);
    if (!local || memcmp(local, "PK\3\4", 4) != 0)
        return REFUSE(a, "malformed .npz file: %.*s is not where it should be", (int)e->name_length,
                      (const char *)e->name);
    const uint64_t start = e->offset + LOCAL_BYTES + number(local + 26, 2) + number(local + 28, 2);
    const unsigned char *data = part(a, start, e->packed);
    if (!data || e->packed != e->bytes)
        return REFUSE(a, "truncated .npz file: %.*s is cut short", (int)e->name_length, (const char *)e->name);
    if (gram_npy_view(array, data, (size_t)e->bytes, reason, sizeof reason))
        return REFUSE(a, "%.*s: %s", (int)e->name_length, (const char *)e->name, reason);
    return 0;
}

/* "x.npy" is the array x; its name is copied to *text, which moves behind it. */
static const char *take_name(const entry *e, char **text)
{
    static const char suffix[] = ".npy";
    const size_t cut = sizeof suffix - 1;
    const int has = e->name_length > cut && memcmp(e->name + e->name_length - cut, suffix, cut) == 0;
    const size_t length = e->name_length - (has ? cut : 0);
    char *name = *text;
    memcpy(name, e->name, length);
    name[length] = '\0';
    *text += length + 1;
    return name;
}

static int list(const archive *a, const directory *d)
{
    gram_tensors *file = a->file;
    uint64_t offset = d->offset;
    char *text = file->names;
    for (uint64_t i = 0; i < d->entries; i++) {
        entry e;
        if (read_entry(a, &offset, &e))
            return -1;
        if (memchr(e.name, 0, e.name_length))
            return REFUSE(a, "malformed .npz file: a name holds a zero byte");
        gram_tensor *tensor = &file->tensors[file->n];
        if (read_array(a, &e, &tensor->array))
            return -1;
        tensor->name = take_name(&e, &text);
        file->n++;
    }
    return 0;
}

int gram_npz_list(gram_tensors *file, char *message, size_t size)
{
    const archive a = {file, file->map, message, size};
    directory d = {0};
    if (find_directory(&a, &d))
        return -1;
    if (d.offset > file->bytes || d.entries > (file->bytes - d.offset) / ENTRY_BYTES || d.entries > INT32_MAX)
        return gram_message(message, size, "malformed .npz file: its directory is cut short");
    file->tensors = calloc((size_t)d.entries + 1, sizeof *file->tensors);
    file->names = malloc(file->bytes - (size_t)d.offset + 1);
    if (!file->tensors || !file->names)
        return gram_message(message, size, "out of memory");
    return list(&a, &d);
}
