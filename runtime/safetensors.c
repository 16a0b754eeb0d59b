/* .safetensors: eight bytes that say how long the header is, the header, which is JSON such as {"w": {"dtype": "F32",
   "shape": [3, 4], "data_offsets": [0, 48]}, "__metadata__": {...}}, and the data. The header comes from strangers:
   every number is checked, and the tensors must cover the data without overlap or gap. */
#include "safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

enum { HEADER_MAX = 100 << 20 };

static const struct {
    const char *name;
    gram_dtype dtype;
} DTYPES[] = {
    {"BOOL", GRAM_B1}, {"U8", GRAM_U1},  {"I8", GRAM_I1},     {"U16", GRAM_U2}, {"I16", GRAM_I2},
    {"U32", GRAM_U4},  {"I32", GRAM_I4}, {"U64", GRAM_U8},    {"I64", GRAM_I8}, {"F16", GRAM_F2},
    {"F32", GRAM_F4},  {"F64", GRAM_F8}, {"BF16", GRAM_BF16},
};

/* The header being read: `at` is behind what has been, `text` where the next decoded string goes. */
typedef struct parser {
    const char *at, *end;
    char *text;
    gram_tensors *file;
    int capacity;
    const char *data;
    size_t data_bytes;
    char *message;
    size_t size;
} parser;

#define REFUSE(p, ...) gram_message((p)->message, (p)->size, __VA_ARGS__)

static int malformed(parser *p)
{
    return REFUSE(p, "malformed .safetensors header at %.*s", (int)(p->end - p->at < 40 ? p->end - p->at : 40), p->at);
}

/* ---- JSON ---- */

static void skip_space(parser *p)
{
    while (p->at < p->end && strchr(" \t\r\n", *p->at) && *p->at)
        p->at++;
}

static int accept(parser *p, char c)
{
    skip_space(p);
    const int found = p->at < p->end && *p->at == c;
    p->at += found;
    return found;
}

static int hex4(parser *p, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        static const char digits[] = "0123456789abcdef";
        const char c = p->at < p->end ? *p->at : 'x';
        const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (!digit)
            return malformed(p);
        *code = *code << 4 | (unsigned)(digit - digits);
    }
    return 0;
}

static void put_utf8(parser *p, unsigned code)
{
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    *p->text++ = (char)(first[more] | code >> 6 * more);
    for (int k = more - 1; k >= 0; k--)
        *p->text++ = (char)(0x80 | (code >> 6 * k & 0x3f));
}

/* \uXXXX, of which two may make one character. A zero byte would end the name. */
static int parse_unicode(parser *p)
{
    unsigned code, low;
    if (hex4(p, &code))
        return -1;
    if (code >= 0xd800 && code < 0xdc00) {
        if (p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u')
            return malformed(p);
        p->at += 2;
        if (hex4(p, &low))
            return -1;
        if (low < 0xdc00 || low > 0xdfff)
            return malformed(p);
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
    }
    if (code == 0 || (code >= 0xdc00 && code < 0xe000))
        return malformed(p);
    put_utf8(p, code);
    return 0;
}

static int parse_escape(parser *p)
{
    static const char codes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char c = p->at < p->end ? *p->at++ : 0;
    if (c == 'u')
        return parse_unicode(p);
    const char *code = c ? strchr(codes, c) : NULL;
    if (!code)
        return malformed(p);
    *p->text++ = values[code - codes];
    return 0;
}

/* A decoded string is never longer than its text, so it fits where the header's length was set aside for all of them.
 * */
static int parse_string(parser *p, const char **string)
{
    if (!accept(p, '"'))
        return malformed(p);
    *string = p->text;
    while (p->at < p->end && *p->at != '"') {
        if ((unsigned char)*p->at < ' ')
            return malformed(p);
        if (*p->at != '\\')
            *p->text++ = *p->at++;
        else if (p->at++, parse_escape(p))
            return -1;
    }
    *p->text++ = '\0';
    return accept(p, '"') ? 0 : malformed(p);
}

static int parse_size(parser *p, int64_t *value)
{
    skip_space(p);
    const char *start = p->at;
    for (*value = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        if (*value > (INT64_MAX - 9) / 10)
            return REFUSE(p, "a number in the .safetensors header is too large");
        *value = *value * 10 + (*p->at - '0');
    }
    return p->at > start ? 0 : malformed(p);
}

/* [1, 2, 3], at most `most` numbers. */
static int parse_sizes(parser *p, int64_t *values, int most, int *n)
{
    *n = 0;
    if (!accept(p, '['))
        return malformed(p);
    if (accept(p, ']'))
        return 0;
    do {
        if (*n == most)
            return REFUSE(p, "more than %d numbers in a list of the .safetensors header", most);
        if (parse_size(p, &values[(*n)++]))
            return -1;
    } while (accept(p, ','));
    return accept(p, ']') ? 0 : malformed(p);
}

/* { "key": member, ... } */
static int parse_object(parser *p, int (*member)(parser *p, const char *key, void *data), void *data)
{
    const char *key;
    if (!accept(p, '{'))
        return malformed(p);
    if (accept(p, '}'))
        return 0;
    do {
        if (parse_string(p, &key))
            return -1;
        if (!accept(p, ':'))
            return malformed(p);
        if (member(p, key, data))
            return -1;
    } while (accept(p, ','));
    return accept(p, '}') ? 0 : malformed(p);
}

/* ---- tensors ---- */

typedef struct entry {
    const char *name;
    const char *dtype;
    int ndim, noffsets;
    int has_shape;
    int64_t shape[GRAM_MAX_DIMS], offsets[2];
} entry;

static int take_member(parser *p, const char *key, void *data)
{
    entry *e = data;
    if (strcmp(key, "dtype") == 0 && !e->dtype)
        return parse_string(p, &e->dtype);
    if (strcmp(key, "shape") == 0 && !e->has_shape++)
        return parse_sizes(p, e->shape, GRAM_MAX_DIMS, &e->ndim);
    if (strcmp(key, "data_offsets") == 0 && !e->noffsets)
        return parse_sizes(p, e->offsets, 2, &e->noffsets);
    return REFUSE(p, "%s: its header has an unknown or repeated key %s", e->name, key);
}

static int find_dtype(parser *p, const entry *e, gram_dtype *dtype)
{
    for (size_t k = 0; k < sizeof DTYPES / sizeof *DTYPES; k++) {
        *dtype = DTYPES[k].dtype;
        if (strcmp(DTYPES[k].name, e->dtype) == 0)
            return 0;
    }
    return REFUSE(p, "%s: dtype %s is not supported", e->name, e->dtype);
}

static gram_tensor *add_tensor(parser *p)
{
    gram_tensors *file = p->file;
    if (file->n == p->capacity) {
        const int capacity = p->capacity ? 2 * p->capacity : 16;
        gram_tensor *more = realloc(file->tensors, (size_t)capacity * sizeof *more);
        if (!more)
            return NULL;
        file->tensors = more;
        p->capacity = capacity;
    }
    return &file->tensors[file->n++];
}

static int place(parser *p, const entry *e)
{
    gram_dtype dtype;
    if (!e->dtype || !e->has_shape || e->noffsets != 2)
        return REFUSE(p, "%s: its header lacks dtype, shape or data_offsets", e->name);
    if (find_dtype(p, e, &dtype))
        return -1;
    const int64_t count = gram_array_count(dtype, e->ndim, e->shape), begin = e->offsets[0], end = e->offsets[1];
    if (begin > end || (uint64_t)end > p->data_bytes)
        return REFUSE(p, "%s: its data is outside the file: bytes %" PRId64 " to %" PRId64 " of %zu", e->name, begin,
                      end, p->data_bytes);
    if (count < 0 || count * (int64_t)gram_dtype_size(dtype) != end - begin)
        return REFUSE(p, "%s: its shape does not fit its %" PRId64 " bytes", e->name, end - begin);
    gram_tensor *tensor = add_tensor(p);
    if (!tensor)
        return REFUSE(p, "out of memory");
    *tensor = (gram_tensor){e->name, gram_array_dense(dtype, e->ndim, e->shape, (void *)(p->data + begin))};
    return 0;
}

static int take_metadata(parser *p, const char *key, void *data)
{
    const char *value;
    (void)key;
    (void)data;
    return parse_string(p, &value);
}

static int take_tensor(parser *p, const char *key, void *data)
{
    entry e = {.name = key};
    (void)data;
    if (strcmp(key, "__metadata__") == 0)
        return parse_object(p, take_metadata, NULL);
    return parse_object(p, take_member, &e) ? -1 : place(p, &e);
}

static int by_place(const void *a, const void *b)
{
    const gram_array *x = &((const gram_tensor *)a)->array, *y = &((const gram_tensor *)b)->array;
    const int64_t n = gram_array_count(x->dtype, x->ndim, x->shape), m = gram_array_count(y->dtype, y->ndim, y->shape);
    const char *from = x->data, *to = y->data;
    return from != to ? (from > to) - (from < to) : (n > 0) - (m > 0);
}

static int check_cover(parser *p)
{
    const char *reached = p->data;
    if (p->file->n > 0)
        qsort(p->file->tensors, (size_t)p->file->n, sizeof *p->file->tensors, by_place);
    for (int i = 0; i < p->file->n; i++) {
        const gram_array *a = &p->file->tensors[i].array;
        if ((const char *)a->data != reached)
            return REFUSE(p, "%s: its data overlaps another tensor's, or leaves a gap", p->file->tensors[i].name);
        reached += gram_array_count(a->dtype, a->ndim, a->shape) * (int64_t)gram_dtype_size(a->dtype);
    }
    return reached == p->data + p->data_bytes ? 0 : REFUSE(p, "the file has bytes that belong to no tensor");
}

int gram_safetensors_list(gram_tensors *file, char *message, size_t size)
{
    const unsigned char *bytes = file->map;
    uint64_t length = 0;
    for (int k = 7; k >= 0 && file->bytes >= 8; k--)
        length = length << 8 | bytes[k];
    if (length < 2 || length > HEADER_MAX || length > file->bytes - 8 || bytes[8] != '{')
        return gram_message(message, size, "not a .safetensors, .npz or .npy file");
    const char *header = (const char *)file->map + 8;
    parser p = {.at = header,
                .end = header + length,
                .file = file,
                .data = header + length,
                .data_bytes = file->bytes - 8 - (size_t)length,
                .message = message,
                .size = size};
    file->names = p.text = malloc((size_t)length + 1);
    if (!file->names)
        return gram_message(message, size, "out of memory");
    if (parse_object(&p, take_tensor, NULL))
        return -1;
    skip_space(&p);
    return p.at == p.end ? check_cover(&p) : malformed(&p);
}
