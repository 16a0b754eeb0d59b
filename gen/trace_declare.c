/* What a spec declares: inputs, runtime sizes and options. The names of inputs, outputs and sizes become members of one
 * C struct, so they share one space. */
#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "layout.h"
#include "trace.h"

enum { MOST_HEADS = 4096, MOST_INPUTS = 4096 };

/* ---- names ---- */

/* Of C and of C++, in whose headers the names stand too. */
static const char keywords[] =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const consteval "
    "constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double "
    "dynamic_cast "
    "else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept "
    "not "
    "not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return "
    "short "
    "signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef "
    "typeid "
    "typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq NULL NAN INFINITY errno stdin "
    "stdout stderr EOF ";

bool gram_is_listed(const char *words, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(words, name); at; at = strstr(at + 1, name))
        if (at[-1] == ' ' && at[length] == ' ')
            return true;
    return false;
}

static bool is_identifier(const char *name)
{
    const char *rest = name;
    while (isalnum((unsigned char)*rest) || *rest == '_')
        rest++;
    return *name && !*rest && !isdigit((unsigned char)*name) && rest - name < 64;
}

const char *gram_check_name(gram_tracer *t, int index, const char *what)
{
    size_t length = 0;
    const char *name = lua_type(t->lua, index) == LUA_TSTRING ? lua_tolstring(t->lua, index, &length) : NULL;
    if (!name)
        gram_fail(t->ctx, gram_here(t), "%s expects a name, got %s", what, gram_describe(t, index));
    if (length != strlen(name) || !is_identifier(name))
        gram_fail(t->ctx, gram_here(t), "%s: \"%.100s\" is no name: letters, digits and _, at most 63, as in C", what,
                  name);
    if (gram_is_listed(keywords, name) || name[0] == '_')
        gram_fail(t->ctx, gram_here(t), "%s: the name %s is reserved in C or C++", what, name);
    return gram_strdup(t->ctx, name);
}

const gram_input *gram_find_input(const gram_spec *spec, const char *name)
{
    for (int k = 0; k < spec->ninputs; k++)
        if (strcmp(spec->inputs[k]->name, name) == 0)
            return spec->inputs[k];
    return NULL;
}

static int find_size(const gram_spec *spec, const char *name)
{
    for (int s = 0; s < spec->nsizes; s++)
        if (strcmp(spec->sizes[s], name) == 0)
            return s;
    return -1;
}

const char *gram_meaning(gram_tracer *t, const char *name)
{
    const gram_input *input = gram_find_input(t->spec, name);
    if (input)
        return gram_format(t->ctx, "the input of line %d", input->loc.line);
    if (find_size(t->spec, name) >= 0)
        return "a runtime size";
    return strcmp(name, "batch") == 0 ? "the number of batch items" : NULL;
}

void gram_claim_name(gram_tracer *t, const char *name, const char *what)
{
    const char *other = gram_meaning(t, name);
    if (other)
        gram_fail(t->ctx, gram_here(t), "%s %s: the name is already %s", what, name, other);
}

/* ---- numbers and sizes ---- */

int64_t gram_check_integer(gram_tracer *t, int index, int64_t low, int64_t high, const char *what)
{
    int whole = 0;
    lua_Integer n = lua_type(t->lua, index) == LUA_TNUMBER ? lua_tointegerx(t->lua, index, &whole) : 0;
    if (!whole || n < low || n > high)
        gram_fail(t->ctx, gram_here(t), "%s is a whole number from %lld to %lld, not %s", what, (long long)low,
                  (long long)high, gram_describe(t, index));
    return n;
}

static gram_dim named_size(gram_tracer *t, int index, const char *what)
{
    const char *name = gram_check_name(t, index, what);
    gram_spec *spec = t->spec;
    int s = find_size(spec, name);
    if (s >= 0)
        return gram_dim_size(s);
    gram_claim_name(t, name, "the size");
    if (spec->nsizes == GRAM_SIZES)
        gram_fail(t->ctx, gram_here(t), "%s: more than %d runtime sizes", what, GRAM_SIZES);
    spec->sizes[spec->nsizes] = name;
    t->size_at[spec->nsizes] = gram_here(t);
    return gram_dim_size(spec->nsizes++);
}

/* size("n") + 1 and the like. */
static bool node_dim(const gram_node *node, gram_dim *dim)
{
    gram_dim other;
    if (node->op == GRAM_OP_SIZE || node->op == GRAM_OP_NUMBER) {
        *dim = node->op == GRAM_OP_SIZE ? node->dim : gram_dim_number((int64_t)node->number);
        return node->op == GRAM_OP_SIZE || (node->number >= 0 && node->number == floor(node->number));
    }
    if (node->op != GRAM_OP_IADD || !node_dim(node->args[0], dim) || !node_dim(node->args[1], &other) ||
        !gram_dim_fits(*dim, other))
        return false;
    *dim = gram_dim_add(*dim, other);
    return true;
}

gram_dim gram_check_dim(gram_tracer *t, int index, const char *what)
{
    gram_dim dim;
    gram_value *value = gram_to_value(t->lua, index);
    if (lua_type(t->lua, index) == LUA_TSTRING)
        return named_size(t, index, what);
    if (value && value->flavour == GRAM_MATRIX_VALUE && node_dim(value->node, &dim))
        return dim;
    if (lua_type(t->lua, index) != LUA_TNUMBER)
        gram_fail(t->ctx, gram_here(t), "%s: a size is a number or a name, not %s", what, gram_describe(t, index));
    return gram_dim_number(gram_check_integer(t, index, 0, INT32_MAX, gram_format(t->ctx, "%s: a size", what)));
}

/* ---- inputs ---- */

typedef struct kind_row {
    const char *name;
    gram_kind kind;
    int sizes; /* how many follow the name */
    bool batched;
    const char *options;
} kind_row;

static const kind_row kinds[] = {
    {"tokens", GRAM_TOKENS, 2, true, " heads layout ragged key "},
    {"scores", GRAM_SCORES, 2, true, " heads key "},
    {"matrix", GRAM_MATRIX, 2, false, " heads key "},
    {"vector", GRAM_VECTOR, 1, false, " heads batch key "},
    {"scalar", GRAM_SCALAR, 0, false, " heads key "},
    {"ids", GRAM_IDS, 1, true, " heads below key "},
    {"ids", GRAM_PAIR_IDS, 2, true, " heads below key "},
    {"count", GRAM_COUNT, 0, true, " below key "},
    {NULL, GRAM_TOKENS, 0, false, NULL},
};

static bool holds_integers(gram_kind kind)
{
    return kind == GRAM_IDS || kind == GRAM_PAIR_IDS || kind == GRAM_COUNT;
}

static void add_input(gram_tracer *t, gram_input *input)
{
    gram_spec *spec = t->spec;
    if (spec->ninputs == t->ninputs_capacity) {
        t->ninputs_capacity = t->ninputs_capacity ? 2 * t->ninputs_capacity : 16;
        gram_input **grown = gram_alloc(t->ctx, (size_t)t->ninputs_capacity * sizeof *grown);
        if (spec->ninputs)
            memcpy(grown, spec->inputs, (size_t)spec->ninputs * sizeof *grown);
        spec->inputs = grown;
    }
    if (spec->ninputs == MOST_INPUTS)
        gram_fail(t->ctx, gram_here(t), "more than %d inputs", MOST_INPUTS);
    input->index = spec->ninputs;
    spec->inputs[spec->ninputs++] = input;
}

static gram_input *new_input(gram_tracer *t, const char *name, gram_kind kind)
{
    gram_input *input = gram_alloc(t->ctx, sizeof *input);
    *input = (gram_input){
        .name = name, .kind = kind, .rows = gram_dim_number(1), .cols = gram_dim_number(1), .loc = gram_here(t)};
    return input;
}

static const gram_input *add_starts(gram_tracer *t, const char *name)
{
    gram_claim_name(t, name, "ragged:");
    gram_input *starts = new_input(t, name, GRAM_STARTS);
    add_input(t, starts);
    return starts;
}

typedef struct option_row {
    const char *name;
    void (*read)(gram_tracer *t, gram_input *input, const char *what); /* the value is on top of the stack */
} option_row;

static void read_heads(gram_tracer *t, gram_input *input, const char *what)
{
    input->heads = (int)gram_check_integer(t, -1, 1, MOST_HEADS, gram_format(t->ctx, "%s: heads", what));
}

static void read_layout(gram_tracer *t, gram_input *input, const char *what)
{
    const char *layout = lua_type(t->lua, -1) == LUA_TSTRING ? lua_tostring(t->lua, -1) : "";
    if (strcmp(layout, "token") != 0 && strcmp(layout, "head") != 0)
        gram_fail(t->ctx, gram_here(t), "%s: layout is \"token\" or \"head\", not %s", what, gram_describe(t, -1));
    input->kind = strcmp(layout, "token") == 0 ? GRAM_TOKENS_FLAT : GRAM_TOKENS;
}

/* The name of the array that says where each item's tokens start. */
static void read_ragged(gram_tracer *t, gram_input *input, const char *what)
{
    const char *name = gram_check_name(t, -1, gram_format(t->ctx, "%s: ragged", what));
    const gram_input *known = gram_find_input(t->spec, name);
    if (known && known->kind != GRAM_STARTS)
        gram_fail(t->ctx, gram_here(t), "%s: ragged: the name %s is already the input of line %d", what, name,
                  known->loc.line);
    input->starts = known ? known : add_starts(t, name);
}

static void read_batch(gram_tracer *t, gram_input *input, const char *what)
{
    if (!lua_isboolean(t->lua, -1))
        gram_fail(t->ctx, gram_here(t), "%s: batch is true or false, not %s", what, gram_describe(t, -1));
    input->batched = lua_toboolean(t->lua, -1);
}

static void read_below(gram_tracer *t, gram_input *input, const char *what)
{
    input->below = gram_check_integer(t, -1, 1, INT32_MAX, gram_format(t->ctx, "%s: below", what));
}

static void read_key(gram_tracer *t, gram_input *input, const char *what)
{
    if (lua_type(t->lua, -1) != LUA_TSTRING)
        gram_fail(t->ctx, gram_here(t), "%s: key is the name of a tensor, not %s", what, gram_describe(t, -1));
    input->key = gram_strdup(t->ctx, lua_tostring(t->lua, -1));
}

static const option_row options[] = {
    {"heads", read_heads}, {"layout", read_layout}, {"ragged", read_ragged},
    {"batch", read_batch}, {"below", read_below},   {"key", read_key},
    {NULL, NULL},
};

static void read_option(gram_tracer *t, gram_input *input, const kind_row *kind, const char *what, const char *name)
{
    if (!gram_is_listed(kind->options, name))
        gram_fail(t->ctx, gram_here(t), "%s has no option %s: there are%.*s", what, name,
                  (int)strlen(kind->options) - 1, kind->options);
    for (const option_row *row = options; row->name; row++)
        if (strcmp(row->name, name) == 0)
            row->read(t, input, what);
}

/* The table of options at stack position `index`, if any. */
static void read_options(gram_tracer *t, int index, gram_input *input, const kind_row *kind, const char *what)
{
    lua_State *lua = t->lua;
    if (lua_isnoneornil(lua, index))
        return;
    if (!lua_istable(lua, index))
        gram_fail(t->ctx, gram_here(t), "%s: options are a table, not %s", what, gram_describe(t, index));
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
        if (lua_type(lua, -2) != LUA_TSTRING)
            gram_fail(t->ctx, gram_here(t), "%s: options are named, as in { heads = 8 }", what);
        read_option(t, input, kind, what, lua_tostring(lua, -2));
    }
}

/* ---- ragged tokens ---- */

static int size_of(const gram_spec *spec, gram_dim dim)
{
    for (int s = 0; s < spec->nsizes; s++)
        if (gram_dim_equal(dim, gram_dim_size(s)))
            return s;
    return -1;
}

/* A size is either one for all items or each item's own, and then in every array. */
static void check_size(gram_tracer *t, const gram_input *input, int s, const char *what)
{
    const gram_spec *spec = t->spec;
    const char *size = spec->sizes[s], *starts = input->starts->name;
    for (int k = 0; k < spec->ninputs && !spec->starts[s]; k++)
        if (spec->inputs[k]->rows.times[s] || spec->inputs[k]->cols.times[s])
            gram_fail(t->ctx, gram_here(t), "%s: ragged, but %s of line %d has one %s for all items", what,
                      spec->inputs[k]->name, spec->inputs[k]->loc.line, size);
    if (spec->starts[s] && spec->starts[s] != input->starts)
        gram_fail(t->ctx, gram_here(t), "%s: ragged: where the items' %s start is in %s already", what, size,
                  spec->starts[s]->name);
    for (int other = 0; other < spec->nsizes; other++)
        if (other != s && spec->starts[other] == input->starts)
            gram_fail(t->ctx, gram_here(t), "%s: ragged: %s says where the items' %s start, and is not for %s too",
                      what, starts, spec->sizes[other], size);
}

static void claim_size(gram_tracer *t, gram_input *input, const char *what)
{
    const int s = size_of(t->spec, input->cols);
    if (s < 0 || !gram_dim_known(input->rows))
        gram_fail(t->ctx, gram_here(t), "%s: ragged: the number of tokens is a name, and they are of a known size",
                  what);
    check_size(t, input, s, what);
    t->spec->starts[s] = input->starts;
    input->kind = GRAM_TOKENS_FLAT;
}

/* The arrays that can hold items of different sizes: tokens that say so, and ids without heads. */
static void check_ragged(gram_tracer *t, gram_input *input, const char *what)
{
    const gram_spec *spec = t->spec;
    if (input->starts)
        claim_size(t, input, what);
    else if (input->kind == GRAM_IDS && !input->heads)
        input->starts = gram_starts_of(spec, input->rows);
    else if (gram_dim_is_ragged(spec, input->rows) || gram_dim_is_ragged(spec, input->cols))
        gram_fail(t->ctx, gram_here(t), "%s: each item has a number of tokens of its own, so these are ragged too",
                  what);
}

static gram_node *input_node(gram_tracer *t, gram_input *input)
{
    add_input(t, input);
    gram_node like = {.type = holds_integers(input->kind) ? GRAM_INT : GRAM_REAL,
                      .rows = input->rows,
                      .cols = input->cols,
                      .heads = input->heads,
                      .batched = input->batched,
                      .input = input};
    return gram_node_make(t->ctx, input->loc, GRAM_OP_INPUT, 0, NULL, &like);
}

/* Weights of the paper's finite information principle have no runtime size in their shape. */
static void count_parameters(gram_spec *spec, const gram_input *input)
{
    bool weights = (input->kind == GRAM_MATRIX || input->kind == GRAM_VECTOR) && !input->batched;
    if (weights && (!gram_dim_known(input->rows) || !gram_dim_known(input->cols)))
        spec->nparameters_with_size++;
}

static const kind_row *find_kind(gram_tracer *t, const char *name)
{
    const kind_row *row = kinds;
    while (strcmp(row->name, name) != 0)
        row++;
    bool pairs = row->kind == GRAM_IDS && !lua_istable(t->lua, 4) && !lua_isnoneornil(t->lua, 4);
    return pairs ? row + 1 : row;
}

static bool is_computed(gram_dim dim)
{
    return gram_dim_is_sum(dim) && !gram_dim_known(dim);
}

/* declare(kind, name, sizes ..., options): the input as a matrix. */
static int declare(gram_tracer *t, lua_State *lua)
{
    const kind_row *kind = find_kind(t, luaL_checkstring(lua, 1));
    lua_settop(lua, 3 + kind->sizes);
    gram_input *input = new_input(t, gram_check_name(t, 2, kind->name), kind->kind);
    input->batched = kind->batched;
    const char *what = gram_format(t->ctx, "%s %s", kind->name, input->name);
    gram_claim_name(t, input->name, kind->name);
    if (kind->sizes > 0)
        input->rows = gram_check_dim(t, 3, what);
    if (kind->sizes > 1)
        input->cols = gram_check_dim(t, 4, what);
    if (is_computed(input->rows) || is_computed(input->cols))
        gram_fail(t->ctx, gram_here(t), "%s: the size of an input is a number or one name", what);
    read_options(t, 3 + kind->sizes, input, kind, what);
    gram_claim_name(t, input->name, kind->name); /* its own sizes may have taken the name */
    check_ragged(t, input, what);
    count_parameters(t->spec, input);
    gram_push_matrix(t, input_node(t, input));
    return 1;
}

/* ---- options of the spec ---- */

static const gram_setting *find_setting(gram_tracer *t, const char *name)
{
    const gram_request *request = t->request;
    for (int k = 0; k < request->nsettings; k++)
        if (strcmp(request->settings[k].name, name) == 0) {
            t->setting_used[k] = true;
            return &request->settings[k];
        }
    return NULL;
}

/* option(name, default): a number; a whole one where the default is one and it can be. */
static int option(gram_tracer *t, lua_State *lua)
{
    const char *name = lua_type(lua, 1) == LUA_TSTRING ? lua_tostring(lua, 1) : NULL;
    if (!name || lua_type(lua, 2) != LUA_TNUMBER)
        gram_fail(t->ctx, gram_here(t), "option expects a name and a default number, got %s and %s",
                  gram_describe(t, 1), gram_describe(t, 2));
    const gram_setting *setting = find_setting(t, name);
    if (!setting)
        return lua_pushvalue(lua, 2), 1;
    bool whole = lua_isinteger(lua, 2) && setting->value == floor(setting->value) && fabs(setting->value) < 0x1p53;
    if (whole)
        lua_pushinteger(lua, (lua_Integer)setting->value);
    else
        lua_pushnumber(lua, setting->value);
    return 1;
}

/* A runtime size is read off an array, so one must have it. */
static void check_sizes(gram_tracer *t)
{
    const gram_spec *spec = t->spec;
    for (int s = 0; s < spec->nsizes; s++) {
        bool found = false;
        for (int k = 0; k < spec->ninputs; k++)
            found = found || gram_dim_equal(spec->inputs[k]->rows, gram_dim_size(s)) ||
                    gram_dim_equal(spec->inputs[k]->cols, gram_dim_size(s));
        if (!found)
            gram_fail(t->ctx, t->size_at[s], "the size %s is that of no input, so it cannot be known", spec->sizes[s]);
    }
}

void gram_declare_finish(gram_tracer *t)
{
    for (int k = 0; k < t->request->nsettings; k++)
        if (!t->setting_used[k])
            gram_fail(t->ctx, gram_here(t), "the spec has no option %s to set", t->request->settings[k].name);
    check_sizes(t);
}

const gram_binding gram_declare_bindings[] = {
    {"declare", declare},
    {"option", option},
    {NULL, NULL},
};
