/* Tensors in Lua: made from a shape and values, indexed, sliced, reshaped. A tensor either owns its data or is a view,
 * and then keeps its owner alive as its user value. Entries count from 1 as in all of Lua; -1 is the last.
 *
 *     t = gram.tensor({2, 3}, {1, 2, 3, 4, 5, 6})       t:shape() is {2, 3}; a third argument names the type, "f4" else
 *     t[{2, 3}]      6                                  t[1], t[{1}]      the first row, a view
 *     t[{{}, 2}]     the second column, a view          t[{1, {2, 3}}]    entries 2 and 3 of the first row
 *     t[{1, 2}] = 7  writes an entry                    t[1] = u          copies into the row; t[{}] = 0 fills all */
#include "tensor.h"

#include <string.h>

static const char NAME[] = "gram.tensor";

gram_array *gram_lua_check(lua_State *lua, int at)
{
    return luaL_checkudata(lua, at, NAME);
}

gram_array *gram_lua_test(lua_State *lua, int at)
{
    return luaL_testudata(lua, at, NAME);
}

gram_array *gram_lua_empty(lua_State *lua)
{
    gram_array *array = lua_newuserdatauv(lua, sizeof *array, 1);
    *array = (gram_array){0};
    luaL_setmetatable(lua, NAME);
    return array;
}

void gram_lua_account(lua_State *lua, const gram_array *array)
{
    const int64_t count = gram_array_count(array->dtype, array->ndim, array->shape);
    const int64_t kilobytes = count * (int64_t)gram_dtype_size(array->dtype) / 1024;
    if (kilobytes > 0)
        lua_gc(lua, LUA_GCSTEP, kilobytes < 1 << 20 ? (int)kilobytes : 1 << 20);
}

gram_array *gram_lua_new(lua_State *lua, gram_dtype dtype, int ndim, const int64_t *shape)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array *array = gram_lua_empty(lua);
    if (gram_array_new(array, dtype, ndim, shape, message, sizeof message) != 0)
        luaL_error(lua, "%s", message);
    gram_lua_account(lua, array);
    return array;
}

gram_array *gram_lua_view(lua_State *lua, int owner, const gram_array *view)
{
    owner = lua_absindex(lua, owner);
    gram_array *array = gram_lua_empty(lua);
    *array = *view;
    array->storage = NULL;
    lua_pushvalue(lua, owner);
    lua_setiuservalue(lua, -2, 1);
    return array;
}

static int collect(lua_State *lua)
{
    gram_array_free(gram_lua_check(lua, 1));
    return 0;
}

/* ---- types, shapes, single entries ---- */

gram_dtype gram_lua_dtype(lua_State *lua, int at)
{
    const char *name = luaL_optstring(lua, at, "f4");
    for (gram_dtype dtype = 0; dtype < GRAM_NDTYPES; dtype++)
        if (strcmp(gram_dtype_name(dtype), name) == 0)
            return dtype;
    return (gram_dtype)luaL_error(lua, "there is no type '%s': f4, f8, f2, bf16, i4, i8, bool and so on", name);
}

int gram_lua_shape(lua_State *lua, int at, int64_t shape[GRAM_MAX_DIMS])
{
    if (lua_type(lua, at) == LUA_TNUMBER) {
        shape[0] = luaL_checkinteger(lua, at);
        return 1;
    }
    luaL_checktype(lua, at, LUA_TTABLE);
    const lua_Integer ndim = (lua_Integer)lua_rawlen(lua, at);
    luaL_argcheck(lua, ndim <= GRAM_MAX_DIMS, at, "a shape has at most 8 axes");
    for (int axis = 0; axis < ndim; axis++) {
        int is_integer;
        lua_rawgeti(lua, at, axis + 1);
        shape[axis] = lua_tointegerx(lua, -1, &is_integer);
        luaL_argcheck(lua, is_integer && shape[axis] >= 0, at, "a shape is a table of sizes");
        lua_pop(lua, 1);
    }
    return (int)ndim;
}

void gram_lua_push_shape(lua_State *lua, const gram_array *array)
{
    lua_createtable(lua, array->ndim, 0);
    for (int axis = 0; axis < array->ndim; axis++) {
        lua_pushinteger(lua, array->shape[axis]);
        lua_rawseti(lua, -2, axis + 1);
    }
    luaL_setmetatable(lua, "gram.shape");
}

void gram_lua_assign(lua_State *lua, const gram_array *to, const gram_array *from)
{
    char message[GRAM_MESSAGE_SIZE];
    if (gram_array_assign(to, from, message, sizeof message) != 0)
        luaL_error(lua, "%s", message);
}

void gram_lua_push_entry(lua_State *lua, const gram_array *entry)
{
    double real;
    int64_t integer;
    const char kind = gram_dtype_kind(entry->dtype);
    if (kind == 'f' || kind == 'e') {
        const gram_array to = gram_array_dense(GRAM_F8, 0, NULL, &real);
        gram_lua_assign(lua, &to, entry);
        lua_pushnumber(lua, real);
    } else {
        const gram_array to = gram_array_dense(GRAM_I8, 0, NULL, &integer);
        gram_lua_assign(lua, &to, entry);
        lua_pushinteger(lua, integer);
    }
}

int gram_lua_number(lua_State *lua, int at, gram_array *array, int64_t *room)
{
    if (lua_isboolean(lua, at)) {
        *room = lua_toboolean(lua, at);
        *array = gram_array_dense(GRAM_I8, 0, NULL, room);
    } else if (lua_isinteger(lua, at)) {
        *room = lua_tointeger(lua, at);
        *array = gram_array_dense(GRAM_I8, 0, NULL, room);
    } else if (lua_type(lua, at) == LUA_TNUMBER) {
        const double value = lua_tonumber(lua, at);
        memcpy(room, &value, sizeof value);
        *array = gram_array_dense(GRAM_F8, 0, NULL, room);
    } else {
        return 0;
    }
    return 1;
}

/* ---- making ---- */

/* The numbers in the table on top of the stack, at any depth, go to *at up to end. */
static void flatten(lua_State *lua, double **at, const double *end, int depth)
{
    const lua_Integer n = (lua_Integer)lua_rawlen(lua, -1);
    luaL_checkstack(lua, 4, NULL);
    for (lua_Integer i = 1; i <= n; i++) {
        const int type = lua_rawgeti(lua, -1, i);
        if (type == LUA_TTABLE && depth < GRAM_MAX_DIMS)
            flatten(lua, at, end, depth + 1);
        else if (type != LUA_TNUMBER && type != LUA_TBOOLEAN)
            luaL_error(lua, "values of a tensor are numbers, not %s", luaL_typename(lua, -1));
        else if (*at == end)
            luaL_error(lua, "there are more values than the shape has room for");
        else
            *(*at)++ = type == LUA_TBOOLEAN ? lua_toboolean(lua, -1) : lua_tonumber(lua, -1);
        lua_pop(lua, 1);
    }
}

static void take_values(lua_State *lua, const gram_array *array, int at)
{
    gram_array *numbers = gram_lua_new(lua, GRAM_F8, array->ndim, array->shape);
    double *next = numbers->data, *end = next + gram_array_count(GRAM_F8, array->ndim, array->shape);
    lua_pushvalue(lua, at);
    flatten(lua, &next, end, 1);
    if (next != end)
        luaL_error(lua, "there are %d values for a shape of %d", (int)(next - (double *)numbers->data),
                   (int)(end - (double *)numbers->data));
    gram_lua_assign(lua, array, numbers);
    lua_pop(lua, 2);
}

gram_array gram_lua_broadcast(lua_State *lua, const gram_array *from, const gram_array *to)
{
    gram_array wide = *to;
    const int missing = to->ndim - from->ndim;
    if (missing < 0)
        luaL_error(lua, "a tensor of %d axes does not fit in one of %d", from->ndim, to->ndim);
    wide.dtype = from->dtype;
    wide.data = from->data;
    for (int axis = 0; axis < to->ndim; axis++) {
        const int64_t size = axis < missing ? 1 : from->shape[axis - missing];
        if (size != 1 && size != to->shape[axis])
            luaL_error(lua, "axis %d has %I entries where %I are expected", axis + 1, (lua_Integer)size,
                       (lua_Integer)to->shape[axis]);
        wide.stride[axis] = size == 1 ? 0 : from->stride[axis - missing];
    }
    return wide;
}

static void fill_from(lua_State *lua, const gram_array *to, int at)
{
    int64_t room;
    gram_array number, from;
    if (gram_lua_number(lua, at, &number, &room)) {
        from = gram_lua_broadcast(lua, &number, to);
        gram_lua_assign(lua, to, &from);
        return;
    }
    const gram_array *given = gram_lua_check(lua, at); /* may overlap `to`, so it is copied first */
    gram_array *copy = gram_lua_new(lua, given->dtype, given->ndim, given->shape);
    gram_lua_assign(lua, copy, given);
    from = gram_lua_broadcast(lua, copy, to);
    gram_lua_assign(lua, to, &from);
    lua_pop(lua, 1);
}

/* gram.tensor(shape [, values [, dtype]]): values is a table, nested or flat, a number, or nil for zeros. */
static int make(lua_State *lua)
{
    int64_t shape[GRAM_MAX_DIMS];
    const int ndim = gram_lua_shape(lua, 1, shape);
    lua_settop(lua, 3);
    const gram_array *array = gram_lua_new(lua, gram_lua_dtype(lua, 3), ndim, shape);
    if (lua_istable(lua, 2))
        take_values(lua, array, 2);
    else if (!lua_isnil(lua, 2))
        fill_from(lua, array, 2);
    return 1;
}

/* ---- indexing ---- */

static int index_event(lua_State *lua)
{
    const gram_array *array = gram_lua_check(lua, 1);
    if (lua_type(lua, 2) == LUA_TSTRING) {
        lua_pushvalue(lua, 2);
        lua_rawget(lua, lua_upvalueindex(1));
        return 1;
    }
    const gram_array view = gram_lua_select(lua, array, 2);
    if (view.ndim == 0)
        gram_lua_push_entry(lua, &view);
    else
        gram_lua_view(lua, 1, &view);
    return 1;
}

static int newindex_event(lua_State *lua)
{
    const gram_array view = gram_lua_select(lua, gram_lua_check(lua, 1), 2);
    fill_from(lua, &view, 3);
    return 0;
}

static int length_event(lua_State *lua)
{
    const gram_array *array = gram_lua_check(lua, 1);
    lua_pushinteger(lua, array->ndim ? array->shape[0] : 1);
    return 1;
}

/* ---- methods ---- */

static int shape_of(lua_State *lua)
{
    gram_lua_push_shape(lua, gram_lua_check(lua, 1));
    return 1;
}

static int dtype_of(lua_State *lua)
{
    lua_pushstring(lua, gram_dtype_name(gram_lua_check(lua, 1)->dtype));
    return 1;
}

/* t:copy([dtype]): dense, with data of its own. */
static int copy(lua_State *lua)
{
    const gram_array *array = gram_lua_check(lua, 1);
    const gram_dtype dtype = lua_isnoneornil(lua, 2) ? array->dtype : gram_lua_dtype(lua, 2);
    gram_lua_assign(lua, gram_lua_new(lua, dtype, array->ndim, array->shape), array);
    return 1;
}

/* t:reshape(shape): a view where t is dense, else a copy. */
static int reshape(lua_State *lua)
{
    int64_t shape[GRAM_MAX_DIMS];
    const gram_array *array = gram_lua_check(lua, 1);
    const int ndim = gram_lua_shape(lua, 2, shape);
    const int64_t count = gram_array_count(array->dtype, ndim, shape);
    luaL_argcheck(lua, count == gram_array_count(array->dtype, array->ndim, array->shape), 2,
                  "the new shape has another number of entries");
    if (!gram_array_is_dense(array)) {
        lua_settop(lua, 1);
        copy(lua);
        array = gram_lua_check(lua, 2);
    }
    const gram_array view = gram_array_dense(array->dtype, ndim, shape, array->data);
    gram_lua_view(lua, gram_lua_test(lua, 2) ? 2 : 1, &view);
    return 1;
}

/* t:transpose(a, b): a view with the two axes swapped; the last two by default. */
static int transpose(lua_State *lua)
{
    gram_array view = *gram_lua_check(lua, 1);
    const lua_Integer a = luaL_optinteger(lua, 2, view.ndim - 1) - 1, b = luaL_optinteger(lua, 3, view.ndim) - 1;
    luaL_argcheck(lua, a >= 0 && a < view.ndim, 2, "there is no such axis");
    luaL_argcheck(lua, b >= 0 && b < view.ndim, 3, "there is no such axis");
    const int64_t shape = view.shape[a], stride = view.stride[a];
    view.shape[a] = view.shape[b];
    view.stride[a] = view.stride[b];
    view.shape[b] = shape;
    view.stride[b] = stride;
    gram_lua_view(lua, 1, &view);
    return 1;
}

static void push_table(lua_State *lua, const gram_array *array)
{
    luaL_checkstack(lua, 4, NULL);
    if (array->ndim == 0) {
        gram_lua_push_entry(lua, array);
        return;
    }
    gram_array part = *array;
    part.ndim--;
    memmove(part.shape, part.shape + 1, sizeof part.shape - sizeof part.shape[0]);
    memmove(part.stride, part.stride + 1, sizeof part.stride - sizeof part.stride[0]);
    lua_createtable(lua, (int)array->shape[0], 0);
    for (int64_t i = 0; i < array->shape[0]; i++) {
        part.data = (char *)array->data + i * array->stride[0] * (int64_t)gram_dtype_size(array->dtype);
        push_table(lua, &part);
        lua_rawseti(lua, -2, i + 1);
    }
}

/* t:table(): the entries as nested tables. */
static int table_of(lua_State *lua)
{
    push_table(lua, gram_lua_check(lua, 1));
    return 1;
}

static const luaL_Reg methods[] = {
    {"shape", shape_of},      {"dtype", dtype_of}, {"copy", copy}, {"reshape", reshape},
    {"transpose", transpose}, {"table", table_of}, {NULL, NULL},
};
static const luaL_Reg events[] = {
    {"__newindex", newindex_event},
    {"__len", length_event},
    {"__gc", collect},
    {NULL, NULL},
};
const luaL_Reg gram_lua_tensor_functions[] = {{"tensor", make}, {NULL, NULL}};

void gram_lua_open_tensor(lua_State *lua)
{
    luaL_newmetatable(lua, NAME);
    luaL_setfuncs(lua, events, 0);
    luaL_setfuncs(lua, gram_lua_math_events, 0);
    lua_newtable(lua);
    luaL_setfuncs(lua, methods, 0);
    luaL_setfuncs(lua, gram_lua_math_methods, 0);
    lua_pushvalue(lua, -1);
    lua_pushcclosure(lua, index_event, 1);
    lua_setfield(lua, -3, "__index");
    lua_remove(lua, -2);
}
