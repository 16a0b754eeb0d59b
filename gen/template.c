/* Templates: a Lua state that holds the model, and templates rendered over it by template.lua. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "template.h"

extern const char gram_template_lua[];

lua_State *gram_template_open(gram_ctx *ctx)
{
    lua_State *L = luaL_newstate();
    if (!L)
        gram_fail(ctx, (gram_loc){0}, "out of memory");
    lua_gc(L, LUA_GCSTOP); /* it is closed before there is much to collect */
    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    lua_settop(L, 0);
    lua_newtable(L);
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

/* template.lua's render, which is kept, as the templates are that it has read. */
static void push_render(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, "render") == LUA_TFUNCTION)
        return;
    lua_pop(L, 1);
    if (luaL_loadstring(L, gram_template_lua) != LUA_OK)
        lua_error(L);
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "render");
}

/* render(template, name, model), its message in place of the text where it fails. */
static int render(lua_State *L)
{
    push_render(L);
    lua_insert(L, 1);
    lua_call(L, 3, 1);
    return 1;
}

const char *gram_template_render(gram_ctx *ctx, lua_State *L, const char *template, const char *name)
{
    lua_pushcfunction(L, render);
    lua_pushstring(L, template);
    lua_pushstring(L, name);
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 3, 1, 0);
    char *text = gram_strdup(ctx, lua_tostring(L, -1));
    lua_settop(L, 1);
    if (status != LUA_OK)
        gram_fail(ctx, (gram_loc){0}, "%s", text);
    return text;
}
