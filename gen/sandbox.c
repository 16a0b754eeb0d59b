/* The Lua state that a spec runs in. Three limits hold whatever it does: a count hook adds up Lua's steps and looks at
 * the clock, the allocator adds up bytes and charges steps for them (so that C functions, which no hook sees, pay for
 * the strings and tables they make), and sandbox.lua replaces the few library functions that could run long without
 * either. A limit ends the spec: pcall does not catch it.
 *
 * Two kinds of error meet here. A builtin fails with gram_fail, which dispatch turns into a Lua error with the same
 * message; Lua's own errors carry a position in the text. Both end in explain, which finds the line of the spec. */
#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "script.h"
#include "trace.h"

enum {
    HOOK_STEPS = 1000,
    BYTES_PER_STEP = 64,
    CALL_STEPS = 16,
    LARGEST_BLOCK_SHARE = 16, /* no string or table has more than this share of the memory: none takes long to copy */
};
static const int64_t STEPS_BETWEEN_CLOCKS = 200 * 1000;

gram_tracer *gram_tracer_of(lua_State *lua)
{
    return *(gram_tracer **)lua_getextraspace(lua);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- where the spec is ---- */

static const char *spec_file(const gram_tracer *t, const char *source)
{
    for (int k = 0; k < t->nfiles; k++)
        if (source[0] == '@' && strcmp(source + 1, t->files[k]) == 0)
            return t->files[k];
    return NULL;
}

static gram_loc end_of_spec(const gram_tracer *t)
{
    gram_loc end = {t->files[0], 1};
    for (const char *at = strchr(t->request->text, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
        end.line++;
    return end;
}

gram_loc gram_here(gram_tracer *t)
{
    lua_Debug frame;
    for (int level = 0; lua_getstack(t->lua, level, &frame); level++) {
        lua_getinfo(t->lua, "Sl", &frame);
        const char *file = spec_file(t, frame.source);
        if (file && frame.currentline > 0)
            return (gram_loc){file, frame.currentline};
    }
    return end_of_spec(t);
}

/* ---- limits ---- */

static void exhaust(gram_tracer *t, const char *what)
{
    if (t->exhausted)
        return;
    t->exhausted = what;
    t->exhausted_at = gram_here(t);
}

static void check_limits(gram_tracer *t)
{
    if (t->steps > t->max_steps)
        exhaust(t, "steps");
    else if (now() > t->deadline)
        exhaust(t, "seconds");
    t->due = STEPS_BETWEEN_CLOCKS;
}

static void hook(lua_State *lua, lua_Debug *event);

/* Setting a hook costs time in the depth of calls, so it is done when something changes only. */
static void set_hook(gram_tracer *t, bool at_once)
{
    int mask = LUA_MASKCOUNT | (t->formula ? LUA_MASKLINE : 0), count = at_once ? 1 : HOOK_STEPS;
    if (t->lua && (lua_gethookmask(t->lua) != mask || lua_gethookcount(t->lua) != count))
        lua_sethook(t->lua, hook, mask, count);
}

void gram_watch(gram_tracer *t)
{
    set_hook(t, t->due == 0);
}

static void hook(lua_State *lua, lua_Debug *event)
{
    gram_tracer *t = gram_tracer_of(lua);
    if (event->event == LUA_HOOKLINE) {
        lua_getinfo(lua, "S", event);
        t->line = spec_file(t, event->source) ? event->currentline : t->line;
        return;
    }
    t->steps += lua_gethookcount(lua);
    check_limits(t);
    set_hook(t, false);
    if (t->exhausted)
        luaL_error(lua, "out of %s", t->exhausted);
}

/* Work is counted anywhere, even in the allocator; the hook, called at the next step of Lua, judges it. */
void gram_charge(gram_tracer *t, int64_t steps)
{
    t->steps = steps < INT64_MAX - t->steps ? t->steps + steps : INT64_MAX;
    t->due = steps < t->due ? t->due - steps : 0;
    if (t->due == 0)
        set_hook(t, true);
}

/* Where memory ran out is noted now: Lua calls no message handler for it. A collection may still help. */
static void *out_of_memory(gram_tracer *t)
{
    if (t->lua && !t->exhausted)
        t->exhausted_at = gram_here(t);
    return NULL;
}

static void *allocate(void *data, void *block, size_t old_size, size_t size)
{
    gram_tracer *t = data;
    int64_t before = block ? (int64_t)old_size : 0;
    if (size == 0) {
        free(block);
        t->bytes -= before;
        return NULL;
    }
    bool grows = (int64_t)size > before;
    if (grows && (size > (size_t)(t->max_bytes / LARGEST_BLOCK_SHARE) ||
                  (int64_t)(size + t->ctx->used) - before > t->max_bytes - t->bytes))
        return out_of_memory(t);
    void *resized = realloc(block, size);
    if (!resized)
        return out_of_memory(t);
    t->bytes += (int64_t)size - before;
    if (grows)
        gram_charge(t, (int64_t)(size / BYTES_PER_STEP));
    return resized;
}

/* ---- builtins ---- */

typedef struct call {
    gram_tracer *t;
    const gram_binding *binding;
    int nresults;
} call;

static void run_builtin(gram_ctx *ctx, void *data)
{
    (void)ctx;
    call *c = data;
    c->nresults = c->binding->f(c->t, c->t->lua);
}

/* The graph is memory of the spec too. */
static void charge_call(gram_tracer *t)
{
    gram_charge(t, CALL_STEPS);
    if ((int64_t)t->ctx->used <= t->max_bytes - t->bytes)
        return;
    exhaust(t, "memory");
    luaL_error(t->lua, "out of memory");
}

static int dispatch(lua_State *lua)
{
    gram_tracer *t = gram_tracer_of(lua);
    call c = {t, lua_touserdata(lua, lua_upvalueindex(1)), 0};
    charge_call(t);
    if (gram_try(t->ctx, run_builtin, &c) == 0)
        return c.nresults;
    lua_pushstring(lua, t->ctx->message);
    return lua_error(lua);
}

void gram_push_builtin(gram_tracer *t, const gram_binding *binding, const void *data)
{
    lua_pushlightuserdata(t->lua, (void *)binding);
    lua_pushlightuserdata(t->lua, (void *)data);
    lua_pushcclosure(t->lua, dispatch, 2);
}

const void *gram_builtin_data(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(2));
}

void gram_set_builtins(gram_tracer *t, const gram_binding *bindings)
{
    for (; bindings->name; bindings++) {
        gram_push_builtin(t, bindings, NULL);
        lua_setfield(t->lua, -2, bindings->name);
    }
}

static int call_wrapped(lua_State *lua)
{
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
    return lua_gettop(lua);
}

void gram_wrap_functions(lua_State *lua)
{
    for (lua_pushnil(lua); lua_next(lua, -2);) {
        if (!lua_isfunction(lua, -1) || lua_iscfunction(lua, -1)) {
            lua_pop(lua, 1);
            continue;
        }
        lua_pushcclosure(lua, call_wrapped, 1);
        lua_pushvalue(lua, -2);
        lua_insert(lua, -2);
        lua_settable(lua, -4);
    }
}

/* ---- errors ---- */

/* Lua shortens long chunk names in its messages. */
static void short_name(const char *file, char *out, size_t size)
{
    size_t length = strlen(file);
    if (length < LUA_IDSIZE)
        snprintf(out, size, "%s", file);
    else
        snprintf(out, size, "...%s", file + length - (LUA_IDSIZE - 4));
}

/* If text starts with "NAME:LINE: ", steps over that and gives the line; else 0. */
static int skip_position(const char **text, const char *name)
{
    size_t length = strlen(name);
    int line = 0, used = 0;
    if (strncmp(*text, name, length) != 0 || sscanf(*text + length, ":%d: %n", &line, &used) != 1 || used == 0)
        return 0;
    *text += length + (size_t)used;
    if (strncmp(*text, "error: ", 7) == 0)
        *text += 7;
    return line;
}

/* Steps over one position in front of text; a library's own position says nothing to the reader of a spec. */
static bool strip_position(gram_tracer *t, const char **text, gram_loc *loc)
{
    char name[LUA_IDSIZE + 8];
    for (int k = 0; k < t->nfiles; k++) {
        int line = skip_position(text, t->files[k]);
        short_name(t->files[k], name, sizeof name);
        line = line ? line : skip_position(text, name);
        if (line) {
            *loc = (gram_loc){t->files[k], line};
            return true;
        }
    }
    return skip_position(text, "std") || skip_position(text, "sandbox") || skip_position(text, "order");
}

/* The message handler: puts the error on top of the stack into words, with the line of the spec. */
static int explain(lua_State *lua)
{
    gram_tracer *t = gram_tracer_of(lua);
    t->failure_at = gram_here(t);
    const char *text = lua_isstring(lua, -1) ? lua_tostring(lua, -1) : NULL;
    while (text && strip_position(t, &text, &t->failure_at))
        ;
    if (text)
        snprintf(t->failure, sizeof t->failure, "%s", text);
    else
        snprintf(t->failure, sizeof t->failure, "the spec raised an error that is a %s", luaL_typename(lua, -1));
    return 1;
}

/* What Lua raised, as an error of the context. */
static _Noreturn void fail_with(gram_tracer *t, int status)
{
    const char *exhausted = t->exhausted ? t->exhausted : status == LUA_ERRMEM ? "memory" : NULL;
    lua_close(t->lua);
    t->lua = NULL;
    if (!exhausted)
        gram_fail(t->ctx, t->failure_at, "%s", t->failure);
    if (strcmp(exhausted, "steps") == 0)
        gram_fail(t->ctx, t->exhausted_at, "the spec takes more than %lld steps", (long long)t->max_steps);
    if (strcmp(exhausted, "seconds") == 0)
        gram_fail(t->ctx, t->exhausted_at, "the spec takes longer than %g s", t->max_seconds);
    gram_fail(t->ctx, t->exhausted_at, "the spec needs more than %.4g MiB of memory", (double)t->max_bytes / (1 << 20));
}

static int call_data(lua_State *lua)
{
    gram_push_builtin(gram_tracer_of(lua), lua_touserdata(lua, 1), NULL);
    lua_call(lua, 0, 0);
    return 0;
}

void gram_sandbox_protect(gram_tracer *t, const gram_binding *f)
{
    jmp_buf *const outer = t->ctx->catch_;
    lua_settop(t->lua, 0);
    lua_pushcfunction(t->lua, explain);
    lua_pushcfunction(t->lua, call_data);
    lua_pushlightuserdata(t->lua, (void *)f);
    int status = lua_pcall(t->lua, 1, 0, 1);
    t->ctx->catch_ = outer; /* a Lua error leaves no builtin's gram_try behind */
    if (status != LUA_OK)
        fail_with(t, status);
}

/* pcall as Lua has it, but a limit goes through; the message that the spec sees names its own lines. */
static int protected_call(lua_State *lua)
{
    gram_tracer *t = gram_tracer_of(lua);
    jmp_buf *const outer = t->ctx->catch_;
    gram_formula *const formula = t->formula;
    luaL_checkany(lua, 1);
    lua_pushcfunction(lua, explain);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, lua_gettop(lua) - 2, LUA_MULTRET, 1);
    t->ctx->catch_ = outer;
    t->formula = formula;
    gram_watch(t);
    if (status == LUA_ERRMEM)
        exhaust(t, "memory");
    if (t->exhausted)
        return luaL_error(lua, "out of %s", t->exhausted);
    lua_pushboolean(lua, status == LUA_OK);
    lua_replace(lua, 1);
    if (status != LUA_OK && lua_type(lua, -1) == LUA_TSTRING) {
        lua_pushfstring(lua, "%s:%d: %s", t->failure_at.file, t->failure_at.line, t->failure);
        lua_replace(lua, -2);
    }
    return lua_gettop(lua);
}

/* ---- the state ---- */

static int charge_steps(gram_tracer *t, lua_State *lua)
{
    lua_Integer steps = luaL_checkinteger(lua, 1);
    gram_charge(t, steps > 0 ? steps : 0);
    return 0;
}

/* When a matrix or symbol was made; nil for anything else. */
static int serial(gram_tracer *t, lua_State *lua)
{
    (void)t;
    gram_value *value = gram_to_value(lua, 1);
    if (value)
        lua_pushinteger(lua, value->serial);
    return value != NULL;
}

static const gram_binding tools[] = {{"charge", charge_steps}, {"serial", serial}, {NULL, NULL}};

/* The libraries are given Lua's own globals and the tools. order.lua returns what sandbox.lua uses of it, and the
 * function that prepares a spec's text; sandbox.lua the globals that a spec sees. */
static int make_globals(gram_tracer *t, lua_State *lua)
{
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 1);
    luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 1);
    lua_newtable(lua);
    gram_set_builtins(t, tools);
    lua_insert(lua, 1);
    lua_settop(lua, 1);
    gram_script_load(lua, &gram_order_lua);
    lua_pushglobaltable(lua);
    lua_pushvalue(lua, 1);
    lua_call(lua, 2, 1);
    lua_getfield(lua, 2, "prepare");
    lua_setfield(lua, LUA_REGISTRYINDEX, "gram.prepare");
    gram_script_load(lua, &gram_sandbox_lua);
    lua_pushglobaltable(lua);
    lua_pushvalue(lua, 1);
    lua_pushvalue(lua, 2);
    lua_call(lua, 3, 1);
    for (const char *const *library = (const char *const[]){LUA_STRLIBNAME, LUA_TABLIBNAME, NULL}; *library;
         library++) {
        lua_getfield(lua, -1, *library);
        gram_wrap_functions(lua);
        lua_pop(lua, 1);
    }
    lua_pushcfunction(lua, protected_call);
    lua_setfield(lua, -2, "pcall");
    lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    return 0;
}

static const gram_binding globals_binding = {"globals", make_globals};

void gram_sandbox_open(gram_tracer *t)
{
    const gram_request *request = t->request;
    t->max_steps = request->max_steps > 0 ? request->max_steps : 50 * 1000 * 1000;
    t->max_bytes = request->max_bytes > 0 ? request->max_bytes : 256 << 20;
    t->max_seconds = request->max_seconds > 0 ? request->max_seconds : 1;
    t->deadline = now() + t->max_seconds;
    t->due = STEPS_BETWEEN_CLOCKS;
    t->files[t->nfiles++] = request->file ? request->file : "spec";
    t->lua = NULL;
    lua_State *lua = lua_newstate(allocate, t);
    if (!lua)
        gram_fail(t->ctx, (gram_loc){0}, "out of memory");
    *(gram_tracer **)lua_getextraspace(lua) = t;
    t->lua = lua;
    gram_watch(t);
    gram_sandbox_protect(t, &globals_binding);
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[length]))
            return true;
    return false;
}

static void load_text(gram_tracer *t, const char *name, const char *text, size_t size)
{
    if (luaL_loadbufferx(t->lua, text, size, name, "t") != LUA_OK)
        lua_error(t->lua);
}

/* The text is loaded twice: as it is written, for errors of syntax, then prepared so that its tables know their
 * order. */
void gram_sandbox_load(gram_tracer *t, const char *name, const char *text)
{
    lua_State *lua = t->lua;
    const char *chunk = gram_format(t->ctx, "@%s", name);
    t->mentions_or = t->mentions_or || has_word(text, "or");
    load_text(t, chunk, text, strlen(text));
    lua_getfield(lua, LUA_REGISTRYINDEX, "gram.prepare");
    lua_pushstring(lua, text);
    lua_call(lua, 1, 1);
    size_t size;
    const char *prepared = lua_tolstring(lua, -1, &size);
    load_text(t, chunk, prepared, size);
    lua_insert(lua, -3);
    lua_pop(lua, 2);
    lua_call(lua, 0, 1);
}

void gram_sandbox_close(gram_tracer *t)
{
    lua_close(t->lua);
    t->lua = NULL;
}
