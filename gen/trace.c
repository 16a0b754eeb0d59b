/* From a spec to its graph: the spec is run once, in Lua, with values that remember what was done to them (trace.h). */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "script.h"
#include "trace.h"

/* ---- require ---- */

/* NAME.lua in the directory of the spec. */
static const char *required_path(gram_tracer *t, const char *name)
{
    const char *spec = t->files[0], *slash = strrchr(spec, '/');
    int directory = slash ? (int)(slash - spec) + 1 : 0;
    return gram_format(t->ctx, "%.*s%s.lua", directory, spec, name);
}

static char *read_file(gram_tracer *t, const char *path)
{
    struct stat info;
    FILE *file = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "rb") : NULL;
    if (!file)
        gram_fail(t->ctx, gram_here(t), "require: there is no file %s", path);
    size_t size = (size_t)info.st_size < (size_t)t->max_bytes / 16 ? (size_t)info.st_size : 0;
    char *text = gram_alloc(t->ctx, size + 1);
    size_t length = fread(text, 1, size, file);
    fclose(file);
    if ((off_t)length != info.st_size)
        gram_fail(t->ctx, gram_here(t), "require: %s cannot be read", path);
    return text;
}

static bool is_file_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return length > 0 && length < 200 && !name[length];
}

/* require "name": what the file NAME.lua beside the spec returns; it runs once. */
static int require(gram_tracer *t, lua_State *lua)
{
    const char *name = lua_type(lua, 1) == LUA_TSTRING ? lua_tostring(lua, 1) : "";
    if (!is_file_name(name))
        gram_fail(t->ctx, gram_here(t), "require expects the name of a file beside the spec, without .lua, got %s",
                  gram_describe(t, 1));
    lua_settop(lua, 1);
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, "gram.required");
    lua_pushvalue(lua, 1);
    if (lua_rawget(lua, 2) != LUA_TNIL)
        return 1;
    if (t->nfiles == GRAM_SPEC_FILES)
        gram_fail(t->ctx, gram_here(t), "require: more than %d files", GRAM_SPEC_FILES - 1);
    const char *path = required_path(t, name);
    for (int k = 0; k < t->nfiles; k++)
        if (strcmp(t->files[k], path) == 0)
            gram_fail(t->ctx, gram_here(t), "require: %s requires itself", path);
    const char *text = read_file(t, path);
    t->files[t->nfiles++] = path;
    t->spec->text = gram_format(t->ctx, "%s%s", t->spec->text, text);
    gram_sandbox_load(t, path, text);
    if (lua_isnil(lua, -1))
        lua_pushboolean(lua, 1);
    lua_pushvalue(lua, 1);
    lua_pushvalue(lua, -2);
    lua_rawset(lua, 2);
    return 1;
}

static const gram_binding require_binding[] = {{"require", require}, {NULL, NULL}};

/* ---- the run ---- */

/* std.lua is given the functions of C and the globals of the spec, to which it adds the language. */
static void open_language(gram_tracer *t, lua_State *lua)
{
    static const gram_binding *const bindings[] = {gram_matrix_bindings, gram_formula_bindings, gram_declare_bindings,
                                                   gram_scan_bindings, gram_kernel_bindings};
    gram_value_open(t);
    gram_matrix_open(t);
    gram_formula_open(t);
    gram_script_load(lua, &gram_std_lua);
    lua_newtable(lua);
    for (size_t k = 0; k < sizeof bindings / sizeof *bindings; k++)
        gram_set_builtins(t, bindings[k]);
    lua_pushglobaltable(lua);
    gram_set_builtins(t, require_binding);
    lua_call(lua, 2, 0);
    lua_pushglobaltable(lua);
    gram_wrap_functions(lua);
}

static int run_spec(gram_tracer *t, lua_State *lua)
{
    open_language(t, lua);
    gram_sandbox_load(t, t->files[0], t->request->text);
    if (lua_touserdata(lua, -1) != t->spec)
        gram_fail(t->ctx, gram_here(t), "the spec returns %s: it ends with return kernel(...)",
                  lua_islightuserdata(lua, -1) ? "no kernel" : gram_describe(t, -1));
    gram_declare_finish(t);
    return 0;
}

static const gram_binding run_binding = {"spec", run_spec};

gram_spec *gram_trace(gram_ctx *ctx, const gram_request *request)
{
    gram_tracer *t = gram_alloc(ctx, sizeof *t);
    gram_spec *spec = gram_alloc(ctx, sizeof *spec);
    t->ctx = ctx;
    t->request = request;
    t->spec = ctx->spec = spec;
    t->setting_used = gram_alloc(ctx, (size_t)request->nsettings + 1);
    gram_sandbox_open(t);
    spec->file = t->files[0];
    spec->text = request->text;
    gram_sandbox_protect(t, &run_binding);
    gram_sandbox_close(t);
    return spec;
}
