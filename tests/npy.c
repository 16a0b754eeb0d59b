/* Arrays and .npy files: conversions between types, files written and read back, hostile files refused.
   `npy`            runs the tests, in a folder of its own under TMPDIR
   `npy copy A B T` reads A.npy, converts to type T and writes B.npy: tests/npy_numpy.py holds this against numpy */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../runtime/array.h"
#include "../runtime/draft.h"
#include "../runtime/message.h"
#include "../runtime/npy.h"
#include "test.h"

enum { PATH_SIZE = 512 };

static void path_in(char *path, const char *folder, const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
}

/* Every 16-bit pattern survives the way through float and back, and halfway values go to the even neighbour. */
static void test_half(gram_tally *t)
{
    int wrong = 0;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const float f16 = gram_f16_to_float((uint16_t)bits), bf16 = gram_bf16_to_float((uint16_t)bits);
        wrong += isnan(f16) ? !isnan(gram_f16_to_float(gram_f16_from_double(f16))) : gram_f16_from_double(f16) != bits;
        wrong += isnan(bf16) ? !isnan(gram_bf16_to_float(gram_bf16_from_double(bf16)))
                             : gram_bf16_from_double(bf16) != bits;
    }
    CHECK(t, wrong == 0, "%d patterns of 16 bits change on their way through float", wrong);
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        const double low = gram_f16_to_float((uint16_t)bits), high = gram_f16_to_float((uint16_t)(bits + 1));
        const double middle = (low + high) / 2;
        wrong += gram_f16_from_double(middle) != bits + (bits & 1);
        wrong += gram_f16_from_double(nextafter(middle, 1e9)) != bits + 1;
        wrong += gram_f16_from_double(nextafter(-middle, 0)) != (bits | 0x8000);
    }
    CHECK(t, wrong == 0, "%d halfway values round wrongly to f16", wrong);
    for (uint32_t bits = 0; bits < 0x7f7f; bits++) {
        const double low = gram_bf16_to_float((uint16_t)bits), high = gram_bf16_to_float((uint16_t)(bits + 1));
        wrong += gram_bf16_from_double((low + high) / 2) != bits + (bits & 1);
    }
    CHECK(t, wrong == 0, "%d halfway values round wrongly to bf16", wrong);
    CHECK(t, gram_f16_from_double(65519.99) == 0x7bff && gram_f16_from_double(65520) == 0x7c00, "f16 overflow");
    CHECK(t, gram_f16_from_double(1e300) == 0x7c00 && gram_f16_from_double(-1e-300) == 0x8000, "f16 extremes");
    CHECK(t, gram_bf16_from_double(-INFINITY) == 0xff80 && gram_bf16_from_double(3e38) == 0x7f62, "bf16 extremes");
}

/* One value from a type to another: what comes out, or the complaint. */
static const struct {
    gram_dtype from, to;
    double value, result;
    const char *complaint;
} CONVERSIONS[] = {
    {GRAM_F8, GRAM_F4, 0.1, 0.1f, NULL},
    {GRAM_F8, GRAM_F4, 1e300, INFINITY, NULL},
    {GRAM_F2, GRAM_F8, 0.333251953125, 0.333251953125, NULL},
    {GRAM_I1, GRAM_F4, -128, -128, NULL},
    {GRAM_U8, GRAM_F8, 4294967296.0, 4294967296.0, NULL},
    {GRAM_I8, GRAM_I4, 2147483647, 2147483647, NULL},
    {GRAM_I8, GRAM_I4, 2147483648.0, 0, "the value 2147483648 at [1, 2] does not fit type i4"},
    {GRAM_I8, GRAM_I4, -2147483649.0, 0, "the value -2147483649 at [1, 2] does not fit type i4"},
    {GRAM_U1, GRAM_I1, 128, 0, "the value 128 at [1, 2] does not fit type i1"},
    {GRAM_F4, GRAM_I4, 3, 3, NULL},
    {GRAM_F4, GRAM_I4, 2.5, 0, "the value 2.5 at [1, 2] does not fit type i4"},
    {GRAM_F8, GRAM_I4, NAN, 0, "at [1, 2] does not fit type i4"},
    {GRAM_F8, GRAM_U8, INFINITY, 0, "the value inf at [1, 2] does not fit type u8"},
    {GRAM_I2, GRAM_U2, -1, 0, "the value -1 at [1, 2] does not fit type u2"},
    {GRAM_I4, GRAM_B1, 1, 1, NULL},
    {GRAM_I4, GRAM_B1, 2, 0, "the value 2 at [1, 2] does not fit type bool"},
    {GRAM_B1, GRAM_F4, 1, 1, NULL},
    {GRAM_F4, GRAM_BF16, 1.00390625, 1, NULL},
    {GRAM_BF16, GRAM_F2, 0.5, 0.5, NULL},
};

/* The value sits at [1, 2] of a 2 x 3 array of `from` whose strides are given; everything goes through F8. */
static void convert(gram_tally *t, size_t row, int64_t stride0, int64_t stride1)
{
    static const int64_t shape[] = {2, 3};
    double values[6] = {0};
    char from_data[8 * 64] = {0}, to_data[8 * 6], message[GRAM_MESSAGE] = "";
    values[5] = CONVERSIONS[row].value;
    const gram_array start = gram_array_dense(GRAM_F8, 2, shape, values);
    gram_array from = gram_array_dense(CONVERSIONS[row].from, 2, shape, from_data + 8 * 32);
    from.stride[0] = stride0;
    from.stride[1] = stride1;
    const gram_array to = gram_array_dense(CONVERSIONS[row].to, 2, shape, to_data);
    const char *complaint = CONVERSIONS[row].complaint;
    CHECK(t, gram_array_assign(&from, &start, message, sizeof message) == 0, "row %zu: %s", row, message);
    const int status = gram_array_assign(&to, &from, message, sizeof message);
    if (complaint) {
        CHECK(t, status == -1 && strstr(message, complaint), "row %zu: status %d, '%s'", row, status, message);
        return;
    }
    CHECK(t, status == 0, "row %zu: %s", row, message);
    gram_array_assign(&start, &to, message, sizeof message);
    CHECK(t, values[5] == CONVERSIONS[row].result, "row %zu: %.17g, not %.17g", row, values[5],
          CONVERSIONS[row].result);
}

static void test_conversions(gram_tally *t)
{
    for (size_t row = 0; row < sizeof CONVERSIONS / sizeof *CONVERSIONS; row++) {
        convert(t, row, 3, 1);
        convert(t, row, 1, 2);
        convert(t, row, -7, -2);
    }
}

static void test_wide_integers(gram_tally *t)
{
    int64_t from = INT64_MAX, to = 0;
    char message[GRAM_MESSAGE];
    const gram_array a = gram_array_dense(GRAM_I8, 0, NULL, &from), b = gram_array_dense(GRAM_I8, 0, NULL, &to);
    CHECK(t, gram_array_assign(&b, &a, message, sizeof message) == 0 && to == from, "i8 to i8 changed a value");
    const gram_array u = gram_array_dense(GRAM_U8, 0, NULL, &to);
    CHECK(t, gram_array_assign(&u, &a, message, sizeof message) == -1, "i8 beyond 2^53 went to u8");
    static const int64_t huge[][2] = {{INT64_MAX, 2}, {0, INT64_MAX}, {-1, 1}, {INT64_C(1) << 61, 1}};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        CHECK(t, gram_array_count(GRAM_F8, 2, huge[i]) == -1, "shape %zu was counted", i);
}

/* bf16, which numpy lacks, as its bits. */
static void test_bits(gram_tally *t, const char *folder)
{
    char path[PATH_SIZE];
    path_in(path, folder, "bits.npy");
    char message[GRAM_MESSAGE] = "";
    uint16_t bits[] = {0x3f80, 0xff80, 0x7fc0};
    gram_array a = gram_array_dense(GRAM_BF16, 1, (int64_t[]){3}, bits), b;
    CHECK(t, gram_npy_write(&a, path, message, sizeof message) == 0, "%s", message);
    CHECK(t, gram_npy_read(&b, path, message, sizeof message) == 0, "%s", message);
    CHECK(t, b.dtype == GRAM_U2 && !memcmp(b.data, bits, sizeof bits), "bf16 comes back as %s", gram_dtype_name(b.dtype));
    gram_array_free(&b);
}

/* Arrays of every type but bf16, dense and strided, written and read back. */
static void test_round_trip(gram_tally *t, const char *folder)
{
    static const int64_t shapes[][3] = {{2, 3, 4}, {5, 0, 7}, {1, 1, 1}};
    char path[PATH_SIZE], message[GRAM_MESSAGE];
    path_in(path, folder, "round.npy");
    for (gram_dtype type = 0; type < GRAM_BF16; type++)
        for (int ndim = 0; ndim <= 3; ndim++)
            for (size_t s = 0; s < 3; s++) {
                gram_array a, b;
                gram_array_new(&a, type, ndim, shapes[s], message, sizeof message);
                const int64_t count = gram_array_count(type, ndim, shapes[s]);
                for (int64_t i = 0; i < count * (int64_t)gram_dtype_size(type); i++)
                    ((unsigned char *)a.data)[i] = (unsigned char)(type == GRAM_B1 ? i & 1 : i * 37 + 11);
                const int status = gram_npy_write(&a, path, message, sizeof message)
                                   || gram_npy_read(&b, path, message, sizeof message);
                CHECK(t, status == 0, "%s", message);
                CHECK(t, status == 0 && b.dtype == type && b.ndim == ndim
                      && memcmp(a.data, b.data, (size_t)count * gram_dtype_size(type)) == 0,
                      "%s, %d axes, shape %zu: read back differently", gram_dtype_name(type), ndim, s);
                gram_array_free(&a);
                if (status == 0)
                    gram_array_free(&b);
            }
}

static void test_strided_write(gram_tally *t, const char *folder)
{
    char path[PATH_SIZE], message[GRAM_MESSAGE];
    path_in(path, folder, "strided.npy");
    float data[12];
    for (int i = 0; i < 12; i++)
        data[i] = (float)i;
    gram_array a = gram_array_dense(GRAM_F4, 2, (const int64_t[]){4, 3}, data), b;
    a.stride[0] = 1;
    a.stride[1] = 4;
    const int status = gram_npy_write(&a, path, message, sizeof message)
                       || gram_npy_read(&b, path, message, sizeof message);
    CHECK(t, status == 0 && ((float *)b.data)[1] == 4 && ((float *)b.data)[3] == 1, "a transposed array: %s", message);
    if (status == 0)
        gram_array_free(&b);
}

/* An output appears whole or not at all: an old file stays, nothing is left beside it. */
static void test_drafts(gram_tally *t, const char *folder)
{
    char path[PATH_SIZE], message[GRAM_MESSAGE];
    double one = 1, two = 2;
    gram_array a = gram_array_dense(GRAM_F8, 0, NULL, &one);
    path_in(path, folder, "nowhere/o.npy");
    CHECK(t, gram_npy_write(&a, path, message, sizeof message) == -1 && strstr(message, path)
          && strstr(message, "No such file"), "a missing folder: '%s'", message);
    path_in(path, folder, "draft.npy");
    CHECK(t, gram_npy_write(&a, path, message, sizeof message) == 0, "%s", message);
    gram_draft draft;
    a.data = &two;
    CHECK(t, gram_npy_draft(&draft, &a, path, message, sizeof message) == 0, "%s", message);
    CHECK(t, access(draft.temporary, F_OK) == 0, "no temporary file");
    char temporary[PATH_SIZE + 64];
    snprintf(temporary, sizeof temporary, "%s", draft.temporary);
    gram_draft_discard(&draft);
    CHECK(t, access(temporary, F_OK) != 0, "%s stayed", temporary);
    gram_array b;
    CHECK(t, gram_npy_read(&b, path, message, sizeof message) == 0 && *(double *)b.data == 1, "the old file changed");
    gram_array_free(&b);
    CHECK(t, gram_npy_write(&a, "/dev/full", message, sizeof message) == -1
          && strcmp(message, "/dev/full: writing failed: No space left on device") == 0, "'%s'", message);
    CHECK(t, gram_npy_write(&a, "/dev/null", message, sizeof message) == 0, "%s", message);
    struct stat null;
    CHECK(t, stat("/dev/null", &null) == 0 && S_ISCHR(null.st_mode), "/dev/null was replaced");
}

#define V1(header) "\x93NUMPY\x01\x00", header
#define SHAPE(shape) V1("{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }")
#define DESCR(descr) V1("{'descr': " descr ", 'fortran_order': False, 'shape': (1,), }")

/* The first bytes of a file, its header (its length is filled in), its data, and the complaint. */
static const struct {
    const char *start, *header;
    size_t data;
    const char *complaint;
} BAD[] = {
    {"", NULL, 0, "truncated .npy file: its magic has 0 bytes, 8 are expected"},
    {"\x93NUM", NULL, 0, "truncated .npy file: its magic has 4 bytes, 8 are expected"},
    {"PK\x03\x04" "12345678", NULL, 0, "not a .npy file"},
    {"\x93NUMPX\x01\x01", NULL, 0, "not a .npy file"},
    {"\x93NUMPY\x04\x01", "{}", 0, "version 4.1 of .npy is not supported: 1.0, 2.0 and 3.0 are"},
    {"\x93NUMPY\x01\x01", "{}", 0, "version 1.1 of .npy is not supported: 1.0, 2.0 and 3.0 are"},
    {V1(NULL), 0, "truncated .npy file: its header length has 0 bytes, 2 are expected"},
    {V1(""), 0, "malformed header: "},
    {V1("garbage"), 0, "malformed header: garbage"},
    {V1("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)"), 4, "malformed header: "},
    {V1("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x"), 4, "malformed header: x"},
    {V1("{'descr': '<f4', 'shape': (1,), }"), 4, "its header has no 'fortran_order'"},
    {V1("{'descr': '<f4', 'descr': '<f4'}"), 4, "its header has 'descr' twice"},
    {V1("{'fortran': False}"), 4, "its header has an unknown key 'fortran'"},
    {V1("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,), }"), 4, "malformed fortran_order in its header: 1,"},
    {SHAPE("(-1,)"), 4, "a negative size in its shape: -1,)"},
    {SHAPE("(2.5,)"), 4, "malformed shape in its header: .5,)"},
    {SHAPE("(4)"), 16, "malformed shape in its header: )"},
    {SHAPE("[4]"), 16, "malformed shape in its header: [4]"},
    {SHAPE("(1"), 4, "malformed shape in its header: "},
    {SHAPE("('1',)"), 4, "malformed shape in its header: '1',)"},
    {SHAPE("(99999999999999999999,)"), 4, "a size in its shape is too large: 99999999999999999999,)"},
    {SHAPE("(4611686018427387904, 4)"), 4, "its shape is too large"},
    {SHAPE("(0, 4611686018427387904, 4)"), 4, "its shape is too large"},
    {SHAPE("(1, 1, 1, 1, 1, 1, 1, 1, 1)"), 4, "more than 8 axes are not supported"},
    {SHAPE("(1000000, 1000000)"), 4, "truncated .npy file: its data has 4 bytes, 4000000000000 are expected"},
    {SHAPE("(2,)"), 7, "truncated .npy file: its data has 7 bytes, 8 are expected"},
    {DESCR("'|O'"), 8, "dtype object is not supported"},
    {DESCR("'<c8'"), 8, "dtype '<c8' is not supported: booleans, integers and floats of up to 8 bytes are"},
    {DESCR("'<f16'"), 16, "dtype '<f16' is not supported: booleans, integers and floats of up to 8 bytes are"},
    {DESCR("'<U5'"), 20, "dtype '<U5' is not supported: booleans, integers and floats of up to 8 bytes are"},
    {DESCR("'f4'"), 4, "dtype 'f4' is not supported: booleans, integers and floats of up to 8 bytes are"},
    {DESCR("''"), 4, "dtype '' is not supported: booleans, integers and floats of up to 8 bytes are"},
    {DESCR("'<f4<f4<f4<f4<f4<f4'"), 4, "malformed dtype in its header: '<f4<f4<f4<f4<f4<f4'"},
    {DESCR("[('x', '<f4')]"), 4, "a structured dtype is not supported: [('x', '<f4')]"},
    {DESCR("4"), 4, "malformed dtype in its header: 4, 'fortran_order'"},
};

/* A start with the magic is 8 bytes long; where its last byte, the minor version, is 0, strlen would not count it. */
static void write_bad(const char *path, size_t row)
{
    FILE *file = fopen(path, "wb");
    const char *start = BAD[row].start, *header = BAD[row].header;
    const int versioned = strncmp(start, "\x93NUMPY", 6) == 0;
    fwrite(start, 1, versioned ? 8 : strlen(start), file);
    if (header) {
        const size_t length = strlen(header);
        fputc((int)(length & 0xff), file);
        fputc((int)(length >> 8), file);
        fwrite(header, 1, length, file);
    }
    for (size_t i = 0; i < BAD[row].data; i++)
        fputc(0, file);
    fclose(file);
}

static void refused(gram_tally *t, const char *path, const char *complaint)
{
    char message[GRAM_MESSAGE] = "", expected[PATH_SIZE + 128];
    snprintf(expected, sizeof expected, "%s: %s", path, complaint);
    gram_array array;
    const int status = gram_npy_read(&array, path, message, sizeof message);
    CHECK(t, status == -1 && strncmp(message, expected, strlen(expected)) == 0, "'%s' was expected, got %d '%s'",
          expected, status, message);
    if (status == 0)
        gram_array_free(&array);
}

static void test_bad_files(gram_tally *t, const char *folder)
{
    char path[PATH_SIZE];
    path_in(path, folder, "bad.npy");
    for (size_t row = 0; row < sizeof BAD / sizeof *BAD; row++) {
        write_bad(path, row);
        refused(t, path, BAD[row].complaint);
    }
    FILE *file = fopen(path, "wb");
    fwrite("\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'", 1, 20, file);
    fclose(file);
    refused(t, path, "a header of 4294967295 bytes: at most 65536 are supported");
    refused(t, folder, "Is a directory");
    unlink(path);
    refused(t, path, "No such file or directory");
}

static void test_pipe(gram_tally *t, const char *folder)
{
    char path[PATH_SIZE], pipe_path[PATH_SIZE], command[3 * PATH_SIZE], message[GRAM_MESSAGE] = "";
    path_in(path, folder, "piped.npy");
    path_in(pipe_path, folder, "pipe");
    double values[] = {1, 2, 3};
    gram_array a = gram_array_dense(GRAM_F8, 1, (const int64_t[]){3}, values), b;
    gram_npy_write(&a, path, message, sizeof message);
    if (mkfifo(pipe_path, 0600))
        return;
    snprintf(command, sizeof command, "cat '%s' > '%s' &", path, pipe_path);
    const int status = system(command) || gram_npy_read(&b, pipe_path, message, sizeof message);
    CHECK(t, status == 0 && ((double *)b.data)[2] == 3, "reading a pipe: %s", message);
    if (status == 0)
        gram_array_free(&b);
}

static int copy(const char *from, const char *to, const char *type)
{
    char message[GRAM_MESSAGE];
    gram_array a, b = {.storage = NULL};
    gram_dtype dtype = 0;
    while (dtype < GRAM_NDTYPES - 1 && strcmp(gram_dtype_name(dtype), type) != 0)
        dtype++;
    int status = gram_npy_read(&a, from, message, sizeof message);
    if (status == 0) {
        status = gram_array_new(&b, dtype, a.ndim, a.shape, message, sizeof message)
                 || gram_array_assign(&b, &a, message, sizeof message)
                 || gram_npy_write(&b, to, message, sizeof message);
        gram_array_free(&a);
        gram_array_free(&b);
    }
    if (status)
        fprintf(stderr, "%s\n", message);
    return status ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "copy") == 0)
        return copy(argv[2], argv[3], argv[4]);
    char folder[PATH_SIZE / 2], command[PATH_SIZE];
    snprintf(folder, sizeof folder, "%.200s/gram-npy-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    gram_tally t = {0, 0};
    test_half(&t);
    test_conversions(&t);
    test_wide_integers(&t);
    test_bits(&t, folder);
    test_round_trip(&t, folder);
    test_strided_write(&t, folder);
    test_drafts(&t, folder);
    test_bad_files(&t, folder);
    test_pipe(&t, folder);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    if (system(command))
        return 1;
    return gram_tally_end(&t);
}
