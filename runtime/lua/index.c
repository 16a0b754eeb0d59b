/* What stands in the brackets of t[key]: an integer picks an entry of an axis, a table {from, to} a range of it, both
 * ends included, and an empty table all of it. A key is one of these for the first axis, or a table of them, axis by
 * axis; axes that it does not reach stay whole. */
#include "tensor.h"

#include <string.h>

/* The selection under way: axes before `axis` are done, `view` has those kept so far in front. */
typedef struct selection {
    lua_State *lua;
    const gram_array *array;
    gram_array view;
    int axis;
} selection;

/* From Lua's count to C's: 1 is 0, -1 the last. */
static int64_t place(selection *s, int at)
{
    int is_integer;
    const int64_t size = s->array->shape[s->axis];
    const lua_Integer i = lua_tointegerx(s->lua, at, &is_integer);
    if (!is_integer)
        luaL_error(s->lua, "an index is an integer or a range {from, to}, not %s", luaL_typename(s->lua, at));
    if (i == 0 || i > size || i < -size)
        luaL_error(s->lua, "index %I is outside axis %d, which has %I entries", i, s->axis + 1, (lua_Integer)size);
    return i > 0 ? i - 1 : size + i;
}

static void move(selection *s, int64_t first)
{
    const int64_t bytes = s->array->stride[s->axis] * (int64_t)gram_dtype_size(s->array->dtype);
    if (s->view.data)
        s->view.data = (char *)s->view.data + first * bytes;
}

static void keep(selection *s, int64_t first, int64_t count)
{
    if (count > 0)
        move(s, first);
    s->view.shape[s->view.ndim] = count;
    s->view.stride[s->view.ndim++] = s->array->stride[s->axis];
}

/* {} or {from, to} at that place of the stack. An empty range is {from, from - 1}. */
static void take_range(selection *s, int at)
{
    const lua_Unsigned n = lua_rawlen(s->lua, at);
    if (n == 0) {
        keep(s, 0, s->array->shape[s->axis]);
        return;
    }
    if (n != 2)
        luaL_error(s->lua, "a range is {from, to} or {}");
    lua_rawgeti(s->lua, at, 1);
    lua_rawgeti(s->lua, at, 2);
    const lua_Integer from = lua_tointeger(s->lua, -2);
    const int empty = from > 0 && from <= s->array->shape[s->axis] + 1 && lua_tointeger(s->lua, -1) == from - 1;
    const int64_t first = empty ? 0 : place(s, -2), last = empty ? -1 : place(s, -1);
    if (last < first - 1)
        luaL_error(s->lua, "a range ends before it begins");
    keep(s, first, last - first + 1);
    lua_pop(s->lua, 2);
}

static void take(selection *s, int at)
{
    if (s->axis == s->array->ndim)
        luaL_error(s->lua, "there are more indices than the tensor's %d axes", s->array->ndim);
    if (lua_istable(s->lua, at))
        take_range(s, lua_absindex(s->lua, at));
    else
        move(s, place(s, at));
    s->axis++;
}

gram_array gram_lua_select(lua_State *lua, const gram_array *array, int key)
{
    selection s = {.lua = lua, .array = array, .view = *array};
    s.view.ndim = 0;
    s.view.storage = NULL;
    const lua_Unsigned n = lua_istable(lua, key) ? lua_rawlen(lua, key) : 0;
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_rawgeti(lua, key, (lua_Integer)i);
        take(&s, -1);
        lua_pop(lua, 1);
    }
    if (!lua_istable(lua, key))
        take(&s, key);
    for (; s.axis < array->ndim; s.axis++)
        keep(&s, 0, array->shape[s.axis]);
    return s.view;
}
