/* Files in Lua: gram.read gives the tensor of a .npy file, or the tensors by name of a .safetensors or .npz file, as views
 * of the mapped file; gram.write writes a .npy file, whole or not at all. k:weights(FILE) are a kernel's inputs that a
 * file holds. */
#include "tensor.h"

#include "../npy.h"

static int raise(lua_State *lua, const char *message)
{
    return luaL_error(lua, "%s", message);
}

/* gram.read(path) */
static int read_file(lua_State *lua)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array *array = gram_lua_empty(lua);
    if (gram_npy_read(array, luaL_checkstring(lua, 1), message, sizeof message) != 0)
        return raise(lua, message);
    gram_lua_account(lua, array);
    return 1;
}

/* gram.write(path, tensor) */
static int write_file(lua_State *lua)
{
    char message[GRAM_MESSAGE_SIZE];
    if (gram_npy_write(gram_lua_check(lua, 2), luaL_checkstring(lua, 1), message, sizeof message) != 0)
        return raise(lua, message);
    return 0;
}

const luaL_Reg gram_lua_file_functions[] = {{"read", read_file}, {"write", write_file}, {NULL, NULL}};
