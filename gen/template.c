/* Templates: a Lua state that holds the model, and templates run over it. Its fields are their globals, beside what
 * template.lua defines and Lua's own. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>

#include "template.h"

enum { MODEL = 1 }; /* where it is on the stack */

/* Gives the model. */
static int open(lua_State *L)
{
    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    gram_script_load(L, &gram_template_lua);
    lua_call(L, 0, 0);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushglobaltable(L);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}

lua_State *gram_template_open(gram_ctx *ctx)
{
    lua_State *L = luaL_newstate();
    if (!L)
        gram_fail(ctx, (gram_loc){0}, "out of memory");
    lua_gc(L, LUA_GCSTOP); /* it is closed before there is much to collect */
    lua_pushcfunction(L, open);
    if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
        lua_close(L);
        gram_fail(ctx, (gram_loc){0}, "out of memory");
    }
    return L;
}

void gram_template_close(lua_State *L)
{
    lua_close(L);
}

void gram_template_set(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value ? value : "");
    lua_setfield(L, -2, key);
}

void gram_template_set_number(lua_State *L, const char *key, long long value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

void gram_template_set_flag(lua_State *L, const char *key, int value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

void gram_template_begin(lua_State *L, const char *key)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    if (key)
        lua_setfield(L, -3, key);
    else
        lua_seti(L, -3, luaL_len(L, -3) + 1);
}

void gram_template_end(lua_State *L)
{
    lua_pop(L, 1);
}

/* Pushes the template as a function, of the model; it is kept. */
static void push_template(lua_State *L, const gram_script *template)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, template) == LUA_TFUNCTION)
        return;
    gram_script_load(L, template);
    lua_pushvalue(L, MODEL);
    lua_setupvalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, template);
}

/* (part): added to the text. */
static int put(lua_State *L)
{
    size_t size;
    const char *part = luaL_checklstring(L, 1, &size);
    gram_put_bytes(lua_touserdata(L, lua_upvalueindex(1)), part, size);
    return 0;
}

/* (indent, lines): each of the lines but empty ones behind the indentation, without those that are empty at the end. */
static int put_lines(lua_State *L)
{
    gram_text *text = lua_touserdata(L, lua_upvalueindex(1));
    size_t indent_size, size;
    const char *indent = luaL_checklstring(L, 1, &indent_size), *at = luaL_checklstring(L, 2, &size);
    while (size > 0 && at[size - 1] == '\n')
        size--;
    for (const char *end = at + size, *next; at < end; at = next) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        next = stop ? stop + 1 : end;
        if (at != stop)
            gram_put_bytes(text, indent, indent_size);
        gram_put_bytes(text, at, (size_t)(next - at));
    }
    if (size > 0)
        gram_put_bytes(text, "\n", 1);
    return 0;
}

static void push_writer(lua_State *L, lua_CFunction writer, gram_text *text)
{
    lua_pushlightuserdata(L, text);
    lua_pushcclosure(L, writer, 1);
}

/* (model, template, text): the template is run. */
static int render(lua_State *L)
{
    gram_text *text = lua_touserdata(L, 3);
    push_template(L, lua_touserdata(L, 2));
    push_writer(L, put, text);
    push_writer(L, put_lines, text);
    lua_call(L, 2, 0);
    return 0;
}

const char *gram_template_render(gram_ctx *ctx, lua_State *L, const gram_script *template)
{
    gram_text text = {.ctx = ctx};
    lua_pushcfunction(L, render);
    lua_pushvalue(L, MODEL);
    lua_pushlightuserdata(L, (void *)template);
    lua_pushlightuserdata(L, &text);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK)
        gram_fail(ctx, (gram_loc){0}, "%s", lua_tostring(L, -1));
    return text.data ? text.data : "";
}
