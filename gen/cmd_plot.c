/* gram plot: an attention matrix, coefficients or a mask, as a picture: a field for each head, query i in row i, key j
 * in column j, the darker, the more. Each field has its own scale, from its least to its greatest entry, which is
 * printed. Heads lie side by side; layers or items, or the rest of many heads, below. */
#include <inttypes.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runtime/draft.h"
#include "cmd_attention.h"

enum { SHADES = 255, BETWEEN = SHADES, GAP = 8, FIELD = 480, MOST_SCALE = 16, MOST_PIXELS = 1 << 28 };

/* Shades between these, evenly apart: paper, sky, sea, night. */
static const unsigned char colours[][3] = {{255, 255, 255}, {158, 202, 225}, {33, 113, 181}, {8, 29, 68}};
enum { NCOLOURS = sizeof colours / sizeof colours[0] };

/* The picture: fields of so many cells, each a square of scale pixels. */
typedef struct picture {
    const gram_attention *attention;
    int64_t scale, across, down; /* pixels of a cell; fields beside and above each other */
    int64_t width, height;
    unsigned char *shades; /* height x width */
} picture;

static void fill_palette(unsigned char palette[SHADES + 1][3])
{
    memset(palette[BETWEEN], 210, 3);
    for (int s = 0; s < SHADES; s++) {
        const double at = (double)s / (SHADES - 1) * (NCOLOURS - 1);
        const int from = at < NCOLOURS - 1 ? (int)at : NCOLOURS - 2;
        for (int c = 0; c < 3; c++)
            palette[s][c] =
                (unsigned char)lround(colours[from][c] + (at - from) * (colours[from + 1][c] - colours[from][c]));
    }
}

/* Heads of one matrix in a near square; with more axes than one, a row of fields for each of the outer. */
static void lay_out(picture *p, const gram_attention *a)
{
    const int64_t longest = a->queries > a->keys ? a->queries : a->keys;
    p->attention = a;
    p->scale = longest > 0 && FIELD / longest > 1 ? FIELD / longest : 1;
    p->scale = p->scale < MOST_SCALE ? p->scale : MOST_SCALE;
    p->across = a->outer > 1 ? a->inner : (int64_t)ceil(sqrt((double)a->inner));
    p->down = a->outer > 1 ? a->outer : (a->inner + p->across - 1) / p->across;
    p->width = p->across * (a->keys * p->scale + GAP) - GAP;
    p->height = p->down * (a->queries * p->scale + GAP) - GAP;
}

static void draw_field(picture *p, const double *matrix, int64_t place, double low, double high)
{
    const gram_attention *a = p->attention;
    const int64_t top = place / p->across * (a->queries * p->scale + GAP);
    const int64_t left = place % p->across * (a->keys * p->scale + GAP);
    for (int64_t y = 0; y < a->queries * p->scale; y++) {
        const double *row = matrix + y / p->scale * a->keys;
        unsigned char *to = p->shades + (top + y) * p->width + left;
        for (int64_t x = 0; x < a->keys * p->scale; x++)
            to[x] = high > low ? (unsigned char)lround((row[x / p->scale] - low) / (high - low) * (SHADES - 1)) : 0;
    }
}

/* "layer 0, head 3: 0 to 0.91", as far as there are such axes. */
static void print_range(const gram_attention *a, int64_t outer, int64_t inner, double low, double high)
{
    if (a->outer_name)
        printf("%s %" PRId64 "%s", a->outer_name, outer, a->inner_name ? ", " : ": ");
    if (a->inner_name)
        printf("%s %" PRId64 ": ", a->inner_name, inner);
    printf("%.4g to %.4g\n", low, high);
}

static void draw(picture *p)
{
    const gram_attention *a = p->attention;
    for (int64_t place = 0; place < a->outer * a->inner; place++) {
        const int64_t outer = place / a->inner, inner = place % a->inner;
        const double *matrix = gram_attention_matrix(a, outer, inner);
        double low = INFINITY, high = -INFINITY;
        for (int64_t k = 0; k < a->queries * a->keys; k++) {
            low = fmin(low, matrix[k]);
            high = fmax(high, matrix[k]);
        }
        draw_field(p, matrix, place, low, high);
        print_range(a, outer, inner, low, high);
    }
}

/* The file appears whole or not at all. */
static int write_file(const char *path, const void *bytes, size_t size)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_draft draft = GRAM_DRAFT_NONE;
    const bool failed = gram_draft_open(&draft, path, message, sizeof message) != 0 ||
                        gram_draft_write(&draft, bytes, size, message, sizeof message) != 0 ||
                        gram_draft_close(&draft, message, sizeof message) != 0 ||
                        gram_draft_commit(&draft, message, sizeof message) != 0;
    gram_draft_discard(&draft);
    if (failed)
        fprintf(stderr, "error: %s\n", message);
    return failed ? GRAM_EXIT_FAULT : GRAM_EXIT_OK;
}

static int write_png(const picture *p, const char *path)
{
    unsigned char palette[SHADES + 1][3];
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)p->width,
                       .height = (png_uint_32)p->height,
                       .format = PNG_FORMAT_RGB_COLORMAP,
                       .colormap_entries = SHADES + 1};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *bytes = malloc(size);
    int status = GRAM_EXIT_FAULT;
    fill_palette(palette);
    if (!bytes)
        fputs("error: out of memory\n", stderr);
    else if (!png_image_write_to_memory(&image, bytes, &size, 0, p->shades, (png_int_32)p->width, palette))
        fprintf(stderr, "error: %s: %s\n", path, image.message);
    else
        status = write_file(path, bytes, size);
    free(bytes);
    return status;
}

static int plot(const gram_cli *cli, const gram_attention *a)
{
    picture p = {0};
    if (a->outer * a->inner * a->queries * a->keys == 0)
        return gram_fault("error: the matrix is empty");
    lay_out(&p, a);
    if (p.width > MOST_PIXELS / p.height)
        return gram_fault("error: the picture would be too large: plot some of the heads, or fewer tokens");
    p.shades = malloc((size_t)p.width * (size_t)p.height);
    if (!p.shades)
        return gram_fault("error: out of memory");
    memset(p.shades, BETWEEN, (size_t)p.width * (size_t)p.height);
    draw(&p);
    int status = write_png(&p, cli->output);
    free(p.shades);
    return status;
}

int gram_cmd_plot(const gram_cli *cli)
{
    gram_attention a;
    if (!cli->output)
        return gram_usage(cli, "where to? -o FILE.png");
    int status = gram_attention_read(cli, &a);
    if (status == GRAM_EXIT_OK)
        status = plot(cli, &a);
    gram_attention_free(&a);
    return status;
}
