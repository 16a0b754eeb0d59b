/* numpy's .npy files: see npy.h. A file is "\x93NUMPY", a version, the length of a header, the header, which is the
   text of a Python dictionary such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, and the data. */
#include "npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"

static const char MAGIC[] = "\x93NUMPY";
enum { MAGIC_SIZE = 6, HEADER_MAX = 65536, ALIGNMENT = 64 };

static char native_order(void)
{
    const uint16_t one = 1;
    unsigned char low;
    memcpy(&low, &one, 1);
    return low ? '<' : '>';
}

/* A file being read, or its bytes in memory, and where complaints go. */
typedef struct reader {
    int fd;
    const char *path;
    char *message;
    size_t size;
    const char **bytes; /* in memory: what is left of it */
    size_t *left;
} reader;

#define REFUSE(r, ...) refuse((r), gram_message((r)->message, (r)->size, __VA_ARGS__))

/* Puts the path, where there is one, before the message that has just been written. */
static int refuse(const reader *r, int status)
{
    if (!r->path)
        return status;
    char *copy = strdup(r->message);
    if (copy)
        gram_put_message(r->message, r->size, "%s: %s", r->path, copy);
    free(copy);
    return status;
}

static int read_fully(const reader *r, void *to, size_t bytes, const char *part)
{
    size_t done = 0;
    while (done < bytes) {
        const size_t rest = bytes - done;
        const ssize_t got = read(r->fd, (char *)to + done, rest < 1u << 30 ? rest : 1u << 30);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return REFUSE(r, "%s", strerror(errno));
        if (got == 0)
            return REFUSE(r, "truncated .npy file: its %s has %zu bytes, %zu are expected", part, done, bytes);
        done += (size_t)got;
    }
    return 0;
}

/* What the header says, before it is believed. */
typedef struct header {
    char descr[16];
    int fortran, ndim, seen;
    int64_t shape[GRAM_MAX_DIMS];
} header;

/* The value parsers move *at behind what they read. */
static void skip_space(const char **at)
{
    *at += strspn(*at, " \t\r\n");
}

static int accept(const char **at, const char *text)
{
    skip_space(at);
    const size_t length = strlen(text);
    const int found = strncmp(*at, text, length) == 0;
    *at += found ? length : 0;
    return found;
}

static int parse_string(const char **at, char *to, size_t room)
{
    skip_space(at);
    const char quote = **at;
    if (quote != '\'' && quote != '"')
        return -1;
    const char *end = strchr(*at + 1, quote);
    if (!end || (size_t)(end - *at) > room)
        return -1;
    memcpy(to, *at + 1, (size_t)(end - *at - 1));
    to[end - *at - 1] = '\0';
    *at = end + 1;
    return 0;
}

static int parse_descr(const reader *r, const char **at, header *h)
{
    skip_space(at);
    if (**at == '[')
        return REFUSE(r, "a structured dtype is not supported: %.60s", *at);
    return parse_string(at, h->descr, sizeof h->descr) ? REFUSE(r, "malformed dtype in its header: %.60s", *at) : 0;
}

static int parse_order(const reader *r, const char **at, header *h)
{
    h->fortran = accept(at, "True");
    return h->fortran || accept(at, "False") ? 0 : REFUSE(r, "malformed fortran_order in its header: %.60s", *at);
}

/* Python 2 wrote sizes with an L behind. */
static int parse_size(const reader *r, const char **at, int64_t *to)
{
    skip_space(at);
    if (**at == '-')
        return REFUSE(r, "a negative size in its shape: %.60s", *at);
    if (!strchr("0123456789", **at) || !**at)
        return REFUSE(r, "malformed shape in its header: %.60s", *at);
    char *end;
    errno = 0;
    const long long value = strtoll(*at, &end, 10);
    if (errno)
        return REFUSE(r, "a size in its shape is too large: %.60s", *at);
    *to = value;
    *at = end + (*end == 'L');
    return 0;
}

static int parse_shape(const reader *r, const char **at, header *h)
{
    if (!accept(at, "("))
        return REFUSE(r, "malformed shape in its header: %.60s", *at);
    for (h->ndim = 0; !accept(at, ")"); h->ndim++) {
        if (h->ndim == GRAM_MAX_DIMS)
            return REFUSE(r, "more than %d axes are not supported", GRAM_MAX_DIMS);
        if (parse_size(r, at, &h->shape[h->ndim]))
            return -1;
        if (!accept(at, ",") && (**at != ')' || h->ndim == 0))
            return REFUSE(r, "malformed shape in its header: %.60s", *at);
    }
    return 0;
}

static const struct {
    const char *name;
    int (*parse)(const reader *r, const char **at, header *h);
} KEYS[] = {{"descr", parse_descr}, {"fortran_order", parse_order}, {"shape", parse_shape}};
enum { NKEYS = sizeof KEYS / sizeof *KEYS };

static int parse_entry(const reader *r, const char **at, header *h)
{
    char name[32];
    if (parse_string(at, name, sizeof name) || !accept(at, ":"))
        return REFUSE(r, "malformed header: %.60s", *at);
    for (int key = 0; key < NKEYS; key++) {
        if (strcmp(name, KEYS[key].name) != 0)
            continue;
        if (h->seen & 1 << key)
            return REFUSE(r, "its header has '%s' twice", name);
        h->seen |= 1 << key;
        return KEYS[key].parse(r, at, h);
    }
    return REFUSE(r, "its header has an unknown key '%s'", name);
}

static int parse_header(const reader *r, const char *text, header *h)
{
    const char *at = text;
    if (!accept(&at, "{"))
        return REFUSE(r, "malformed header: %.60s", at);
    while (!accept(&at, "}")) {
        if (parse_entry(r, &at, h))
            return -1;
        if (!accept(&at, ",") && (skip_space(&at), *at != '}'))
            return REFUSE(r, "malformed header: %.60s", at);
    }
    skip_space(&at);
    if (*at)
        return REFUSE(r, "malformed header: %.60s", at);
    for (int key = 0; key < NKEYS; key++)
        if (!(h->seen & 1 << key))
            return REFUSE(r, "its header has no '%s'", KEYS[key].name);
    return 0;
}

/* Magic, version and header length; `get` brings the next bytes of the file. The header's text is the caller's
 * to free. */
typedef int get_bytes(const reader *r, void *to, size_t bytes, const char *part);

static int read_header(const reader *r, get_bytes *get, char **text)
{
    unsigned char start[MAGIC_SIZE + 2], count[4] = {0};
    if (get(r, start, sizeof start, "magic"))
        return -1;
    if (memcmp(start, MAGIC, MAGIC_SIZE) != 0)
        return REFUSE(r, "not a .npy file");
    const int major = start[MAGIC_SIZE], minor = start[MAGIC_SIZE + 1];
    if (major < 1 || major > 3 || minor != 0)
        return REFUSE(r, "version %d.%d of .npy is not supported: 1.0, 2.0 and 3.0 are", major, minor);
    if (get(r, count, major == 1 ? 2 : 4, "header length"))
        return -1;
    const uint32_t length = count[0] | (uint32_t)count[1] << 8 | (uint32_t)count[2] << 16 | (uint32_t)count[3] << 24;
    if (length > HEADER_MAX)
        return REFUSE(r, "a header of %" PRIu32 " bytes: at most %d are supported", length, HEADER_MAX);
    *text = calloc(length + 1, 1);
    if (!*text)
        return REFUSE(r, "out of memory");
    if (get(r, *text, length, "header"))
        return -1;
    return strlen(*text) == length ? 0 : REFUSE(r, "malformed header: it holds a zero byte");
}

/* numpy's name of a type: byte order, kind, bytes. */
static int find_dtype(const reader *r, const char *descr, gram_dtype *dtype)
{
    if (descr[0] && strchr("<>=|", descr[0])) {
        for (gram_dtype type = 0; type < GRAM_BF16; type++) {
            char name[8];
            snprintf(name, sizeof name, "%c%zu", gram_dtype_kind(type), gram_dtype_size(type));
            *dtype = type;
            if (strcmp(descr + 1, name) == 0)
                return 0;
        }
        if (descr[1] == 'O')
            return REFUSE(r, "dtype object is not supported");
    }
    return REFUSE(r, "dtype '%s' is not supported: booleans, integers and floats of up to 8 bytes are", descr);
}

static void swap_bytes(char *data, int64_t count, size_t bytes)
{
    for (char *at = data, *end = data + count * (int64_t)bytes; at < end; at += bytes)
        for (size_t low = 0, high = bytes - 1; low < high; low++, high--) {
            const char byte = at[low];
            at[low] = at[high];
            at[high] = byte;
        }
}

/* A header may claim any size: what a regular file cannot hold is refused before memory is asked for. */
static int check_length(const reader *r, int64_t bytes)
{
    struct stat file;
    if (fstat(r->fd, &file) || !S_ISREG(file.st_mode))
        return 0;
    const int64_t rest = (int64_t)(file.st_size - lseek(r->fd, 0, SEEK_CUR));
    if (rest < bytes)
        return REFUSE(r, "truncated .npy file: its data has %" PRId64 " bytes, %" PRId64 " are expected", rest, bytes);
    return 0;
}

static void reverse_strides(gram_array *array, const int64_t *shape)
{
    int64_t stride = 1;
    for (int axis = 0; axis < array->ndim; axis++) {
        array->shape[axis] = shape[axis];
        array->stride[axis] = stride;
        stride *= shape[axis] ? shape[axis] : 1;
    }
}

/* The type of the data, and how many numbers they are. */
static int measure(const reader *r, const header *h, gram_dtype *dtype, int64_t *count)
{
    if (find_dtype(r, h->descr, dtype))
        return -1;
    *count = gram_array_count(*dtype, h->ndim, h->shape);
    return *count < 0 ? REFUSE(r, "its shape is too large") : 0;
}

static int read_data(const reader *r, const header *h, gram_array *array)
{
    gram_dtype dtype;
    int64_t count;
    if (measure(r, h, &dtype, &count))
        return -1;
    const int64_t bytes = count * (int64_t)gram_dtype_size(dtype);
    if (check_length(r, bytes))
        return -1;
    if (gram_array_new(array, dtype, h->ndim, h->shape, r->message, r->size))
        return refuse(r, -1);
    if (read_fully(r, array->data, (size_t)bytes, "data")) {
        gram_array_free(array);
        return -1;
    }
    if (strchr("<>", h->descr[0]) && h->descr[0] != native_order())
        swap_bytes(array->data, count, gram_dtype_size(dtype));
    if (h->fortran)
        reverse_strides(array, h->shape);
    return 0;
}

int gram_npy_read(gram_array *array, const char *path, char *message, size_t size)
{
    const reader r = {open(path, O_RDONLY | O_CLOEXEC), path, message, size, NULL, NULL};
    if (r.fd < 0)
        return REFUSE(&r, "%s", strerror(errno));
    char *text = NULL;
    header h = {.ndim = 0};
    int status = read_header(&r, read_fully, &text);
    if (status == 0)
        status = parse_header(&r, text, &h);
    if (status == 0)
        status = read_data(&r, &h, array);
    free(text);
    close(r.fd);
    return status;
}

/* ---- in memory ---- */

static int take_bytes(const reader *r, void *to, size_t bytes, const char *part)
{
    if (bytes > *r->left)
        return REFUSE(r, "truncated .npy file: its %s has %zu bytes, %zu are expected", part, *r->left, bytes);
    memcpy(to, *r->bytes, bytes);
    *r->bytes += bytes;
    *r->left -= bytes;
    return 0;
}

static int view_data(const reader *r, const header *h, gram_array *array)
{
    gram_dtype dtype;
    int64_t count;
    if (measure(r, h, &dtype, &count))
        return -1;
    const size_t bytes = (size_t)count * gram_dtype_size(dtype);
    if (bytes > *r->left)
        return REFUSE(r, "truncated .npy file: its data has %zu bytes, %zu are expected", *r->left, bytes);
    *array = gram_array_dense(dtype, h->ndim, h->shape, (void *)*r->bytes);
    if (strchr("<>", h->descr[0]) && h->descr[0] != native_order()) {
        if (gram_array_new(array, dtype, h->ndim, h->shape, r->message, r->size))
            return -1;
        memcpy(array->data, *r->bytes, bytes);
        swap_bytes(array->data, count, gram_dtype_size(dtype));
    }
    if (h->fortran)
        reverse_strides(array, h->shape);
    return 0;
}

int gram_npy_view(gram_array *array, const void *bytes, size_t count, char *message, size_t size)
{
    const char *at = bytes;
    const reader r = {-1, NULL, message, size, &at, &count};
    char *text = NULL;
    header h = {.ndim = 0};
    int status = read_header(&r, take_bytes, &text);
    if (status == 0)
        status = parse_header(&r, text, &h);
    if (status == 0)
        status = view_data(&r, &h, array);
    free(text);
    return status;
}

/* ---- writing ---- */

/* The header, padded with spaces so that the data starts at a multiple of 64 bytes. Returns its length. */
static size_t print_header(char *to, size_t room, const gram_array *array)
{
    const size_t start = MAGIC_SIZE + 4;
    const char kind = array->dtype == GRAM_BF16 ? 'u' : gram_dtype_kind(array->dtype);
    const size_t bytes = gram_dtype_size(array->dtype);
    size_t used = start;
    used += (size_t)snprintf(to + used, room - used, "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': (",
                             bytes == 1 ? '|' : native_order(), kind, bytes);
    for (int axis = 0; axis < array->ndim; axis++)
        used += (size_t)snprintf(to + used, room - used, "%s%" PRId64 "%s", axis ? ", " : "", array->shape[axis],
                                 array->ndim == 1 ? "," : "");
    used += (size_t)snprintf(to + used, room - used, "), }");
    const size_t total = (used / ALIGNMENT + 1) * ALIGNMENT, length = total - start;
    memset(to + used, ' ', total - used);
    to[total - 1] = '\n';
    memcpy(to, MAGIC, MAGIC_SIZE);
    memcpy(to + MAGIC_SIZE, (const char[]){1, 0, (char)(length & 0xff), (char)(length >> 8)}, 4);
    return total;
}

int gram_npy_draft(gram_draft *draft, const gram_array *array, const char *path, char *message, size_t size)
{
    *draft = (gram_draft)GRAM_DRAFT_NONE;
    gram_array dense = *array;
    if (!gram_array_is_dense(array)) {
        if (gram_array_new(&dense, array->dtype, array->ndim, array->shape, message, size))
            return -1;
        gram_array_assign(&dense, array, message, size);
    }
    char header[512];
    const size_t length = print_header(header, sizeof header, array);
    const int64_t count = gram_array_count(array->dtype, array->ndim, array->shape);
    int status = gram_draft_open(draft, path, message, size);
    if (status == 0)
        status = gram_draft_write(draft, header, length, message, size);
    if (status == 0)
        status = gram_draft_write(draft, dense.data, (size_t)count * gram_dtype_size(array->dtype), message, size);
    if (dense.data != array->data)
        gram_array_free(&dense);
    return status;
}

int gram_npy_write(const gram_array *array, const char *path, char *message, size_t size)
{
    gram_draft draft;
    if (gram_npy_draft(&draft, array, path, message, size))
        return -1;
    return gram_draft_commit(&draft, message, size);
}
