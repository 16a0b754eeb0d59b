/* Scripts are loaded as the code they were compiled to when gram was built: reading std.lua's text takes as long as
 * tracing a spec. A Lua that is not of the kind it was built with refuses code by its header; it reads the text. */
#include "script.h"

#include <lauxlib.h>
#include <string.h>

void gram_script_load(lua_State *lua, const gram_script *script)
{
    if (luaL_loadbufferx(lua, script->code, script->code_size, script->name, "b") == LUA_OK)
        return;
    lua_pop(lua, 1);
    if (luaL_loadbufferx(lua, script->text, strlen(script->text), script->name, "t") != LUA_OK)
        lua_error(lua);
}
