/* Wrap: what templates and formulas make longer than a line. */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "wrap.h"

enum { COLUMNS = 120 };

static bool is_comment(const char *line)
{
    const char *start = line + strspn(line, " ");
    return start[0] == '*' || (start[0] == '/' && start[1] == '*');
}

/* May a line break behind an operator or comma that ends at at? */
static bool ends_part(const char *at)
{
    return at[-1] == ',' || (at[-1] == '+' && at[-2] == ' ') || !memcmp(at - 2, "||", 2) || !memcmp(at - 2, "&&", 2);
}

/* The place in [line, line + COLUMNS) behind which the line may break; NULL: none. Of a comment it is the last; of code
 * the one within the fewest brackets, the last of such, unless that leaves most of the line empty. */
static const char *break_in(const char *line)
{
    const char *start = line + strspn(line, " *"), *best = NULL;
    int depth = 0, least = INT_MAX;
    for (const char *at = start; at < line + COLUMNS; at++) {
        depth += (*at == '(' || *at == '{') - (*at == ')' || *at == '}');
        bool may = *at == ' ' && (is_comment(line) || (at > line + 1 && ends_part(at)));
        if (may && (is_comment(line) || depth <= least || at < line + COLUMNS / 2)) {
            best = at;
            least = depth;
        }
    }
    return best;
}

/* What a continued line starts with: of a comment, its star. */
static void put_indent(gram_text *out, const char *line)
{
    size_t indent = strspn(line, " ");
    if (is_comment(line))
        gram_put(out, "%.*s *     ", line[indent] == '*' && indent > 0 ? (int)indent - 1 : (int)indent, line);
    else
        gram_put(out, "%.*s    ", (int)indent, line);
}

/* One line, without its end, as one or more. */
static void put_line(gram_text *out, const char *line, size_t size)
{
    const char *at = NULL, *first = line;
    while (size > COLUMNS && *line != '#' && (at = break_in(line)) != NULL) {
        gram_text rest = {.ctx = out->ctx};
        put_indent(&rest, first);
        gram_put_bytes(&rest, at + 1, size - (size_t)(at + 1 - line));
        gram_put_bytes(out, line, (size_t)(at - line));
        gram_put(out, "\n");
        line = rest.data;
        size = rest.size;
    }
    gram_put_bytes(out, line, size);
}

const char *gram_wrap(gram_ctx *ctx, const char *text)
{
    gram_text out = {.ctx = ctx};
    for (size_t size; *text; text += size + (text[size] == '\n')) {
        size = strcspn(text, "\n");
        put_line(&out, text, size);
        if (text[size] == '\n')
            gram_put(&out, "\n");
    }
    return out.data ? out.data : "";
}
