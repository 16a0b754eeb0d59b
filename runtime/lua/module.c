/* require "gram": gram for scripts in stock Lua 5.4, over libgram.
 *
 *     local gram = require "gram"
 *     local k = gram.load("specs/x.lua", { jit = "tcc", threads = 2, set = { d = 64 } })     kernel.c, gram.lua
 *     local q = gram.tensor({8, 512, 64}, values)                                            tensor.c, index.c
 *     local out = k { Q = q, K = gram.read("k.npy"), V = gram.normal({8, 512, 64}, 1) }      files.c, random.c
 *     print(out.O:shape(), out.O[{1, 1, 1}], (out.O * out.O):sum())                          arithmetic.c */
#include <string.h>

#include "tensor.h"

extern const char gram_text_gram_lua[];

/* Runs gram.lua with the functions and the tensors' methods; it gives the module and two functions that print. */
static void run_script(lua_State *lua)
{
    static const luaL_Reg *const lists[] = {gram_lua_tensor_functions, gram_lua_random_functions,
                                            gram_lua_file_functions, gram_lua_kernel_functions};
    if (luaL_loadbufferx(lua, gram_text_gram_lua, strlen(gram_text_gram_lua), "=gram", "t") != LUA_OK)
        lua_error(lua);
    lua_newtable(lua);
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        luaL_setfuncs(lua, lists[k], 0);
    lua_pushliteral(lua, GRAM_VERSION);
    lua_setfield(lua, -2, "version");
    gram_lua_open_tensor(lua);
    lua_call(lua, 2, 3);
}

LUAMOD_API int luaopen_gram(lua_State *lua);

int luaopen_gram(lua_State *lua)
{
    gram_lua_open_kernel(lua);
    run_script(lua);
    luaL_getmetatable(lua, "gram.tensor");
    lua_insert(lua, -2);
    lua_setfield(lua, -2, "__tostring");
    lua_pop(lua, 1);
    luaL_newmetatable(lua, "gram.shape");
    lua_insert(lua, -2);
    lua_setfield(lua, -2, "__tostring");
    lua_pop(lua, 1);
    return 1;
}
