/* Resolve: the runtime's headers serve floats and doubles alike; a kernel is of one kind, and the text that it carries
 * should say nothing of the other. Line by line, the questions whose answer is known are taken out. */
#include <string.h>

#include "resolve.h"

enum { MOST_NESTED = 16 };

typedef struct resolver {
    gram_text out;
    bool f64, wide;
    int depth;
    struct {
        bool known; /* the #if was one of ours: its lines are not copied */
        bool holds; /* the branch that the lines now read belong to */
    } nest[MOST_NESTED];
} resolver;

static bool starts(const char *line, const char *with)
{
    return !strncmp(line, with, strlen(with));
}

static bool copies(const resolver *r)
{
    for (int k = 0; k < r->depth; k++)
        if (r->nest[k].known && !r->nest[k].holds)
            return false;
    return true;
}

/* Is the line an #if whose answer is known? Then *holds is it. */
static bool is_known(const resolver *r, const char *line, bool *holds)
{
    *holds = r->f64 || r->wide;
    if (starts(line, "#if defined(GRAM_F64) || defined(GRAM_INT64)\n"))
        return true;
    *holds = r->f64;
    return starts(line, "#ifdef GRAM_F64\n");
}

/* The end of the operand that starts at `at`: at a comma or parenthesis of its own depth. */
static const char *operand_end(const char *at)
{
    for (int depth = 0; *at && (depth || (*at != ',' && *at != ')')); at++)
        depth += (*at == '(') - (*at == ')');
    return at;
}

static const char pick[] = "GRAM_PICK(";

/* Where pick stands in [line, end); NULL: nowhere. */
static const char *find_pick(const char *line, const char *end)
{
    for (const char *at = line; (at = memchr(at, *pick, (size_t)(end - at))) != NULL; at++)
        if (starts(at, pick))
            return at;
    return NULL;
}

/* Copies a line; GRAM_PICK(a, b) becomes a or b. */
static void put_line(resolver *r, const char *line, const char *end)
{
    const char *at;
    while (line < end && (at = find_pick(line, end)) != NULL) {
        const char *first = at + strlen(pick), *comma = operand_end(first),
                   *second = comma + 1 + strspn(comma + 1, " \n");
        const char *close = operand_end(second);
        gram_put_bytes(&r->out, line, (size_t)(at - line));
        if (r->f64)
            gram_put_bytes(&r->out, second, (size_t)(close - second));
        else
            gram_put_bytes(&r->out, first, (size_t)(comma - first));
        line = close + 1;
    }
    if (line < end)
        gram_put_bytes(&r->out, line, (size_t)(end - line));
}

static void directive(resolver *r, const char *line, const char *end)
{
    bool holds = true, opens = starts(line, "#if"), closes = starts(line, "#endif");
    bool known = opens ? is_known(r, line, &holds) : r->depth && r->nest[r->depth - 1].known;
    if (opens && r->depth < MOST_NESTED) {
        r->nest[r->depth].known = known;
        r->nest[r->depth++].holds = known ? holds : true;
    } else if (starts(line, "#else") && known) {
        r->nest[r->depth - 1].holds = !r->nest[r->depth - 1].holds;
    }
    if (!known && copies(r))
        put_line(r, line, end);
    r->depth -= closes && r->depth > 0;
}

const char *gram_resolve(gram_ctx *ctx, const char *text, size_t size, int real_bits, bool wide)
{
    resolver r = {.out = {.ctx = ctx}, .f64 = real_bits == 64, .wide = wide};
    for (const char *end, *stop = text + size; text < stop; text = end) {
        end = memchr(text, '\n', (size_t)(stop - text));
        end = end ? end + 1 : stop;
        if (*text == '#' &&
            (starts(text, "#if") || starts(text, "#else") || starts(text, "#elif") || starts(text, "#endif")))
            directive(&r, text, end);
        else if (copies(&r) && !starts(text, "#define GRAM_PICK("))
            put_line(&r, text, end);
    }
    return r.out.data ? r.out.data : "";
}
