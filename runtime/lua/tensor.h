/* What the files of the Lua module share: tensors are userdata that hold a gram_array. */
#ifndef GRAM_LUA_TENSOR_H
#define GRAM_LUA_TENSOR_H

#include <lauxlib.h>
#include <lua.h>

#include "gram.h"

/* The tensor at that place of the stack; raises a Lua error if it is none. NULL in the second form. */
gram_array *gram_lua_check(lua_State *lua, int at);
gram_array *gram_lua_test(lua_State *lua, int at);

/* Push a tensor: of a shape, zeros; empty, to be filled by the caller; a view of the tensor at `owner`. */
gram_array *gram_lua_new(lua_State *lua, gram_dtype dtype, int ndim, const int64_t *shape);
gram_array *gram_lua_empty(lua_State *lua);
gram_array *gram_lua_view(lua_State *lua, int owner, const gram_array *view);

/* Tells Lua's collector of memory that a tensor holds outside of it. */
void gram_lua_account(lua_State *lua, const gram_array *array);

/* Reads a dtype's name at that place, "f4" where it is nil; a shape, {8, 512, 64} or a number. */
gram_dtype gram_lua_dtype(lua_State *lua, int at);
int gram_lua_shape(lua_State *lua, int at, int64_t shape[GRAM_MAX_DIMS]);
void gram_lua_push_shape(lua_State *lua, const gram_array *array);

/* Pushes a tensor's only entry: an integer of the integer types, else a float. */
void gram_lua_push_entry(lua_State *lua, const gram_array *entry);
/* A number or a boolean as an array of no axes over *room. Returns 0 where the value is neither. */
int gram_lua_number(lua_State *lua, int at, gram_array *array, int64_t *room);

/* Copies with a check; raises a Lua error where a value does not fit. */
void gram_lua_assign(lua_State *lua, const gram_array *to, const gram_array *from);

/* `from`, repeated along its axes of 1 and its missing leading axes, as an array of to's shape. */
gram_array gram_lua_broadcast(lua_State *lua, const gram_array *from, const gram_array *to);

/* index.c: t[key] as a view; key is an integer or a table of integers and ranges. */
gram_array gram_lua_select(lua_State *lua, const gram_array *array, int key);

/* files.c: pushes a table of the kernel's inputs that a file of weights holds. */
void gram_lua_push_weights(lua_State *lua, const gram_kernel *kernel, const char *path);

/* The parts of the module: functions of the table that require "gram" gives, and the tensors' methods. */
extern const luaL_Reg gram_lua_math_methods[], gram_lua_math_events[];
extern const luaL_Reg gram_lua_tensor_functions[], gram_lua_random_functions[], gram_lua_file_functions[];
extern const luaL_Reg gram_lua_kernel_functions[];
void gram_lua_open_tensor(lua_State *lua); /* leaves the table of methods on top */
void gram_lua_open_kernel(lua_State *lua);

#endif
