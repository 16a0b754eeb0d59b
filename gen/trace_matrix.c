/* What std.lua makes matrices with: any matrix operation by name, and a matrix's sizes as values. And what can be read
 * off a matrix: an entry, a head. */
#include <lauxlib.h>
#include <string.h>

#include "trace.h"

enum { MOST_HEADS = 4096 };

/* Operations that move entries work on integers as well; the others are of reals. */
static bool moves_entries(gram_op op)
{
    static const bool moves[GRAM_OP_COUNT] = {
        [GRAM_OP_EXPAND] = true,      [GRAM_OP_HCAT] = true,        [GRAM_OP_VCAT] = true,
        [GRAM_OP_ROWS] = true,        [GRAM_OP_STACK_HEADS] = true, [GRAM_OP_RESHAPE] = true,
        [GRAM_OP_SPLIT_HEADS] = true, [GRAM_OP_CONCAT_HEADS] = true};
    return moves[op];
}

static gram_op find_op(gram_tracer *t, const char *name)
{
    for (int op = 0; op < GRAM_OP_FIRST_SCALAR; op++)
        if (strcmp(gram_ops[op].name, name) == 0)
            return (gram_op)op;
    gram_fail(t->ctx, gram_here(t), "no operation %s", name);
}

/* The attributes in the table at stack position 2, if there is one: sizes rows and from, heads, and a function's name
 * fn. */
static gram_node read_attributes(gram_tracer *t, lua_State *lua, const char *what)
{
    gram_node like = {.each = gram_dim_number(1)};
    if (lua_isnil(lua, 2))
        return like;
    int top = lua_gettop(lua);
    if (lua_getfield(lua, 2, "rows") != LUA_TNIL)
        like.rows = gram_check_dim(t, -1, what);
    if (lua_getfield(lua, 2, "cols") != LUA_TNIL)
        like.cols = gram_check_dim(t, -1, what);
    if (lua_getfield(lua, 2, "each") != LUA_TNIL)
        like.each = gram_check_dim(t, -1, what);
    if (lua_getfield(lua, 2, "from") != LUA_TNIL)
        like.dim = gram_check_dim(t, -1, what);
    if (lua_getfield(lua, 2, "heads") != LUA_TNIL)
        like.heads = (int)gram_check_integer(t, -1, 1, MOST_HEADS, "the number of heads");
    if (lua_getfield(lua, 2, "fn") != LUA_TNIL)
        like.fn = gram_strdup(t->ctx, lua_tostring(lua, -1));
    lua_settop(lua, top);
    return like;
}

/* node(name, attributes or nil, A, B, ...): the matrix operation of that name. `what` in messages is
 * attributes.what. */
static int make_node(gram_tracer *t, lua_State *lua)
{
    const char *name = luaL_checkstring(lua, 1);
    gram_op op = find_op(t, name);
    int n = lua_gettop(lua) - 2;
    gram_node like = read_attributes(t, lua, name);
    if (n > MOST_HEADS)
        gram_fail(t->ctx, gram_here(t), "%s of more than %d matrices", name, MOST_HEADS);
    gram_node **args = gram_alloc(t->ctx, (size_t)(n + 1) * sizeof *args);
    bool integers = moves_entries(op);
    for (int k = 0; k < n; k++) {
        args[k] = gram_check_matrix(t, 3 + k, name);
        integers = integers && args[k]->type == GRAM_INT;
    }
    for (int k = 0; k < n; k++)
        args[k] = gram_as_type(t, args[k], integers ? GRAM_INT : GRAM_REAL);
    gram_push_matrix(t, gram_node_make(t->ctx, gram_here(t), op, n, args, &like));
    return 1;
}

/* constant(x): the plain number x as a matrix of 1 x 1. */
static int constant(gram_tracer *t, lua_State *lua)
{
    gram_push_matrix(t, gram_node_number(t->ctx, gram_here(t), GRAM_REAL, luaL_checknumber(lua, 1)));
    return 1;
}

/* A number where the size is known, else a matrix of 1 x 1. */
static int push_dim(gram_tracer *t, gram_dim dim)
{
    gram_node like = {.dim = dim};
    if (gram_dim_known(dim))
        lua_pushinteger(t->lua, dim.number);
    else
        gram_push_matrix(t, gram_node_make(t->ctx, gram_here(t), GRAM_OP_SIZE, 0, NULL, &like));
    return 1;
}

static int rows_of(gram_tracer *t, lua_State *lua)
{
    return push_dim(t, gram_check_matrix(t, 1, luaL_checkstring(lua, 2))->rows);
}

static int cols_of(gram_tracer *t, lua_State *lua)
{
    return push_dim(t, gram_check_matrix(t, 1, luaL_checkstring(lua, 2))->cols);
}

/* size(n): a runtime size, or a number as it is. */
static int size(gram_tracer *t, lua_State *lua)
{
    (void)lua;
    return push_dim(t, gram_check_dim(t, 1, "size"));
}

/* items(A): how many items `each` makes; 1 outside of one. */
static int items_of(gram_tracer *t, lua_State *lua)
{
    (void)lua;
    return push_dim(t, gram_check_matrix(t, 1, "each")->each);
}

static int heads_of(gram_tracer *t, lua_State *lua)
{
    lua_pushinteger(lua, gram_check_matrix(t, 1, "heads")->heads);
    return 1;
}

/* Has the matrix dropped entries? */
static int is_kept(gram_tracer *t, lua_State *lua)
{
    lua_pushboolean(lua, gram_check_matrix(t, 1, "keep")->keep != NULL);
    return 1;
}

static int is_matrix(gram_tracer *t, lua_State *lua)
{
    (void)t;
    gram_value *value = gram_to_value(lua, 1);
    lua_pushboolean(lua, value && value->flavour == GRAM_MATRIX_VALUE);
    return 1;
}

static int is_token(gram_tracer *t, lua_State *lua)
{
    (void)t;
    gram_value *value = gram_to_value(lua, 1);
    lua_pushboolean(lua, value && value->flavour == GRAM_TOKEN);
    return 1;
}

static int scalar_name(gram_tracer *t, lua_State *lua)
{
    lua_pushstring(lua, gram_scalar_name(t, 1));
    return 1;
}

static int describe(gram_tracer *t, lua_State *lua)
{
    lua_pushstring(lua, gram_describe(t, 1));
    return 1;
}

/* fail(message): an error on the line of the spec. */
static int fail(gram_tracer *t, lua_State *lua)
{
    gram_fail(t->ctx, gram_here(t), "%s", luaL_checkstring(lua, 1));
}

/* ---- reading entries, heads, methods ---- */

static gram_node *index_node(gram_tracer *t, gram_operand *index)
{
    gram_refuse_bare_matrices(t, (gram_operand[]){*index, {.symbol = true}}, 2);
    return index->node ? gram_as_type(t, index->node, GRAM_INT) : gram_operand_node(t, index, 'I');
}

/* What has one index by its declaration; other columns and rows may be read by two as well. */
static bool is_list(const gram_node *a)
{
    return a->op == GRAM_OP_INPUT && (a->input->kind == GRAM_VECTOR || a->input->kind == GRAM_IDS);
}

/* A(i, j), v(i), s(): an entry of a matrix. A row or column of one may be left out of the indices. */
static int read_entry(gram_tracer *t, lua_State *lua)
{
    gram_node *a = gram_check_matrix(t, 1, "reading an entry");
    int n = lua_gettop(lua) - 1;
    bool one = gram_is_one_by_one(a), column = gram_dim_is(a->cols, 1), row = gram_dim_is(a->rows, 1);
    gram_operand indices[2] = {{.integer = true, .entry = -1}, {.integer = true, .entry = -1}};
    if (n == 0 && one)
        return gram_push_result(t, a, &(gram_operand){.entry = -1, .symbol = t->formula != NULL}, 1);
    if (n < 1 || n > 2 || (n == 1 && !column && !row) || (n == 2 && is_list(a)))
        gram_fail(t->ctx, gram_here(t), "%s is %s: %s, not by %d", gram_node_text(t->ctx, a),
                  gram_shape_text(t->ctx, a),
                  column || row ? "an entry is read by one index" : "an entry is read by two indices, (i, j)", n);
    if (n == 1)
        indices[column ? 0 : 1] = gram_read_operand(t, 2, "an index");
    for (int k = 0; k < n && n == 2; k++)
        indices[k] = gram_read_operand(t, 2 + k, "an index");
    gram_node *at[2] = {index_node(t, &indices[0]), index_node(t, &indices[1])};
    indices[0].symbol = indices[0].symbol || t->formula;
    return gram_push_result(t, gram_node_ternary(t->ctx, gram_here(t), GRAM_OP_GATHER, a, at[0], at[1]), indices, 2);
}

static int transpose(gram_tracer *t, lua_State *lua)
{
    (void)lua;
    gram_push_matrix(t, gram_node_unary(t->ctx, gram_here(t), GRAM_OP_TRANSPOSE, gram_check_matrix(t, 1, ":t()")));
    return 1;
}

static const gram_binding transpose_binding = {"t", transpose};

/* A[h] is head h, A.t the method. */
static int index_matrix(gram_tracer *t, lua_State *lua)
{
    gram_node *a = gram_check_matrix(t, 1, "[]");
    const char *field = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : NULL;
    int whole = 0;
    if (field && strcmp(field, "t") == 0) {
        gram_push_builtin(t, &transpose_binding, NULL);
        return 1;
    }
    if (field)
        gram_fail(t->ctx, gram_here(t), "%s has no field %.100s: A:t() transposes it, A[h] is its head h",
                  gram_describe(t, 1), field);
    lua_Integer head = lua_type(lua, 2) == LUA_TNUMBER ? lua_tointegerx(lua, 2, &whole) : 0;
    if (!whole || head < 0 || head > INT32_MAX)
        gram_fail(t->ctx, gram_here(t), "%s[h]: h is a head, a whole number from 0, not %s", gram_node_text(t->ctx, a),
                  gram_describe(t, 2));
    gram_node like = {.index = (int)head};
    gram_push_matrix(t, gram_node_make(t->ctx, gram_here(t), GRAM_OP_HEAD_AT, 1, &a, &like));
    return 1;
}

static const gram_binding matrix_events[] = {{"__call", read_entry}, {"__index", index_matrix}, {NULL, NULL}};

void gram_matrix_open(gram_tracer *t)
{
    luaL_getmetatable(t->lua, "matrix");
    gram_set_builtins(t, matrix_events);
    lua_pop(t->lua, 1);
}

const gram_binding gram_matrix_bindings[] = {
    {"node", make_node},
    {"constant", constant},
    {"rows", rows_of},
    {"cols", cols_of},
    {"items", items_of},
    {"size", size},
    {"heads", heads_of},
    {"is_kept", is_kept},
    {"is_matrix", is_matrix},
    {"is_token", is_token},
    {"scalar_name", scalar_name},
    {"describe", describe},
    {"fail", fail},
    {NULL, NULL},
};
