/* Runs a Lua script with its arguments while gram is built, by the very Lua library that gram will be linked with: the
 * code that string.dump gives is this library's. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    lua_State *lua = luaL_newstate();
    if (!lua || argc < 2)
        return EXIT_FAILURE;
    luaL_openlibs(lua);
    bool failed = !lua_checkstack(lua, argc) || luaL_loadfile(lua, argv[1]) != LUA_OK;
    for (int k = 2; k < argc && !failed; k++)
        lua_pushstring(lua, argv[k]);
    failed = failed || lua_pcall(lua, argc - 2, 0, 0) != LUA_OK;
    if (failed)
        fprintf(stderr, "%s\n", lua_tostring(lua, -1));
    lua_close(lua);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
