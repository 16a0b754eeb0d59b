/* Files in Lua: gram.read gives the tensor of a .npy file, or the tensors by name of a .safetensors or .npz file, as
 * views of the mapped file; gram.write writes a .npy file, whole or not at all. k:weights(FILE) are a kernel's inputs
 * that a file holds. */
#include <string.h>

#include "tensor.h"

#include "../npy.h"

static int raise(lua_State *lua, const char *message)
{
    return luaL_error(lua, "%s", message);
}

/* ---- files of several tensors ---- */

static const char NAME[] = "gram.file";

static int collect(lua_State *lua)
{
    gram_tensors **file = luaL_checkudata(lua, 1, NAME);
    gram_tensors_close(*file);
    *file = NULL;
    return 0;
}

/* Pushes the open file: tensors are views that keep it open. */
static gram_tensors *open_file(lua_State *lua, const char *path)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_tensors **file = lua_newuserdatauv(lua, sizeof *file, 0);
    *file = NULL;
    if (luaL_newmetatable(lua, NAME)) {
        lua_pushcfunction(lua, collect);
        lua_setfield(lua, -2, "__gc");
    }
    lua_setmetatable(lua, -2);
    if (gram_tensors_open(file, path, message, sizeof message) != 0)
        raise(lua, message);
    return *file;
}

static int read_tensors(lua_State *lua, const char *path)
{
    const gram_tensors *file = open_file(lua, path);
    lua_createtable(lua, 0, file->n);
    for (int i = 0; i < file->n; i++) {
        gram_lua_view(lua, -2, &file->tensors[i].array);
        lua_setfield(lua, -2, file->tensors[i].name);
    }
    return 1;
}

void gram_lua_push_weights(lua_State *lua, const gram_kernel *kernel, const char *path)
{
    const gram_port *ports;
    const int n = gram_inputs(kernel, &ports);
    const gram_tensors *file = open_file(lua, path);
    lua_newtable(lua);
    for (int i = 0; i < n; i++) {
        const gram_array *array = gram_port_weights(&ports[i], file);
        if (array) {
            gram_lua_view(lua, -2, array);
            lua_setfield(lua, -2, ports[i].name);
        } else if (ports[i].key) {
            luaL_error(lua, "%s has no tensor %s for %s", path, ports[i].key, ports[i].name);
        }
    }
}

/* ---- read and write ---- */

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* gram.read(path): a tensor, or a table of tensors by name. */
static int read_file(lua_State *lua)
{
    char message[GRAM_MESSAGE_SIZE];
    const char *path = luaL_checkstring(lua, 1);
    if (ends_with(path, ".npz") || ends_with(path, ".safetensors"))
        return read_tensors(lua, path);
    gram_array *array = gram_lua_empty(lua);
    if (gram_npy_read(array, path, message, sizeof message) != 0)
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
