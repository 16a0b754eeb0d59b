/* The context, its arena and growing text: see util.h. Nothing here is freed piece by piece; a compilation takes what
 * it needs and gives it back as a whole. */
#include "util.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gram_chunk {
    gram_chunk *next;
    size_t used, capacity;
    _Alignas(16) char data[];
};

enum { CHUNK = 64 * 1024 };

gram_ctx *gram_ctx_new(void)
{
    return calloc(1, sizeof(gram_ctx));
}

void gram_ctx_free(gram_ctx *ctx)
{
    if (!ctx)
        return;
    for (gram_chunk *chunk = ctx->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(ctx);
}

static gram_chunk *chunk_for(gram_ctx *ctx, size_t size)
{
    if (ctx->chunks && ctx->chunks->capacity - ctx->chunks->used >= size)
        return ctx->chunks;
    bool big = size > CHUNK / 4;
    size_t capacity = big ? size : CHUNK;
    gram_chunk *chunk = capacity <= SIZE_MAX - sizeof *chunk ? calloc(1, sizeof *chunk + capacity) : NULL;
    if (!chunk)
        gram_fail(ctx, (gram_loc){0}, "out of memory");
    chunk->capacity = capacity;
    /* A big block goes behind the current chunk, whose rest stays in use. */
    gram_chunk **place = big && ctx->chunks ? &ctx->chunks->next : &ctx->chunks;
    chunk->next = *place;
    *place = chunk;
    return chunk;
}

void *gram_alloc(gram_ctx *ctx, size_t size)
{
    if (size > SIZE_MAX - 64)
        gram_fail(ctx, (gram_loc){0}, "out of memory");
    size = (size + 15) & ~(size_t)15;
    gram_chunk *chunk = chunk_for(ctx, size);
    void *block = chunk->data + chunk->used;
    chunk->used += size;
    ctx->used += size;
    return block;
}

char *gram_strdup(gram_ctx *ctx, const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(gram_alloc(ctx, size), s, size);
}

/* Formats into the room as far as it goes; the length of the whole. */
static size_t format_into(gram_ctx *ctx, char *room, size_t size, const char *format, va_list args)
{
    va_list copy;
    va_copy(copy, args);
    int length = vsnprintf(room, size, format, copy);
    va_end(copy);
    if (length < 0)
        gram_fail(ctx, (gram_loc){0}, "text cannot be formatted");
    return (size_t)length;
}

char *gram_format(gram_ctx *ctx, const char *format, ...)
{
    char room[256];
    va_list args;
    va_start(args, format);
    size_t length = format_into(ctx, room, sizeof room, format, args);
    char *s = gram_alloc(ctx, length + 1);
    if (length < sizeof room)
        memcpy(s, room, length + 1);
    else
        format_into(ctx, s, length + 1, format, args);
    va_end(args);
    return s;
}

/* Room for `size` more bytes and the terminator. */
static void text_reserve(gram_text *text, size_t size)
{
    if (size > SIZE_MAX / 4 - text->size)
        gram_fail(text->ctx, (gram_loc){0}, "out of memory");
    size_t needed = text->size + size + 1;
    if (needed <= text->capacity)
        return;
    size_t capacity = text->capacity ? text->capacity * 2 : 256;
    while (capacity < needed)
        capacity *= 2;
    char *data = gram_alloc(text->ctx, capacity);
    if (text->size)
        memcpy(data, text->data, text->size);
    text->data = data;
    text->capacity = capacity;
}

void gram_put(gram_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_reserve(text, 0);
    size_t room = text->capacity - text->size;
    size_t length = format_into(text->ctx, text->data + text->size, room, format, args);
    if (length >= room) {
        text_reserve(text, length);
        format_into(text->ctx, text->data + text->size, length + 1, format, args);
    }
    text->size += length;
    va_end(args);
}

void gram_put_bytes(gram_text *text, const char *bytes, size_t size)
{
    text_reserve(text, size);
    if (size)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void gram_put_string(gram_text *text, const char *string)
{
    gram_put_bytes(text, string, strlen(string));
}
