/* Kernels in Lua: gram.load makes one, and calling it with a table of tensors runs it.
 *
 *     k = gram.load("specs/x.lua", { jit = "tcc", threads = 2, dtype = "f32", set = { d = 64 } })
 *     out = k { Q = q, K = k_, V = v }         all outputs, made here
 *     k({ Q = q, K = k_, V = v }, { O = o })   only O, into the tensor o; { O = true } makes it
 *     k:grad { Q = q, ..., dO = d }            the gradients { Q = ..., K = ..., V = ... }
 *     k:cost(inputs), k:weights("w.safetensors")
 *     k.name, k.source, k.c_header, k.plan, k.ir, k.inputs, k.outputs, k.sizes
 *
 * Kernels are kept by content in a store that lives as long as the Lua state: loading a spec again compiles nothing. */
#include <string.h>

#include "tensor.h"

enum { SPARE = 8 }; /* so many names that the kernel does not have still get the error that says so */
static const char NAME[] = "gram.kernel", STORE[] = "gram.store"; /* metatables */
static const char KEPT[] = "gram.store.kept";                     /* the store of this Lua state */

/* A call fills `arguments`, which has room for every input and output; nothing else runs in between. */
typedef struct kernel {
    gram_kernel *gram;
    int room;
    gram_array *arrays;
    int64_t *numbers;
    gram_argument arguments[];
} kernel;

static int raise(lua_State *lua, const char *message)
{
    lua_pushstring(lua, strncmp(message, "error: ", 7) == 0 ? message + 7 : message);
    return lua_error(lua);
}

static kernel *check(lua_State *lua, int at)
{
    return luaL_checkudata(lua, at, NAME);
}

static int collect(lua_State *lua)
{
    kernel *k = check(lua, 1);
    gram_free(k->gram);
    k->gram = NULL;
    return 0;
}

static int collect_store(lua_State *lua)
{
    gram_store **store = luaL_checkudata(lua, 1, STORE);
    gram_store_free(*store);
    *store = NULL;
    return 0;
}

/* ---- loading ---- */

enum { FILE_NAME = 1, TEXT, TABLE, SET }; /* places on the stack of load */

/* The options of gram.load. */
typedef struct loading {
    gram_load_options options;
    gram_option *set;
    const char *file, *text;
} loading;

/* A wrong option, on the line that called gram.load: level 1 is gram.lua. */
static int misuse(lua_State *lua, const char *format, const char *what)
{
    luaL_where(lua, 2);
    lua_pushfstring(lua, format, what);
    lua_concat(lua, 2);
    return lua_error(lua);
}

static void take_text(lua_State *lua, const char **to)
{
    if (lua_type(lua, -1) != LUA_TSTRING)
        misuse(lua, "a string is expected as option of gram.load, not a %s", luaL_typename(lua, -1));
    *to = lua_tostring(lua, -1);
}

static void take_jit(lua_State *lua, loading *l)
{
    take_text(lua, &l->options.jit);
}

static void take_cc(lua_State *lua, loading *l)
{
    take_text(lua, &l->options.cc);
}

static void take_flags(lua_State *lua, loading *l)
{
    take_text(lua, &l->options.flags);
}

static void take_threads(lua_State *lua, loading *l)
{
    int is_integer;
    const lua_Integer threads = lua_tointegerx(lua, -1, &is_integer);
    if (!is_integer || threads < 0 || threads > 1024)
        misuse(lua, "%s is a number from 1 to 1024, or 0 for one for each CPU", "threads");
    l->options.threads = (int)threads;
}

static void take_dtype(lua_State *lua, loading *l)
{
    take_text(lua, &l->options.dtype);
}

static void take_seconds(lua_State *lua, loading *l)
{
    if (lua_type(lua, -1) != LUA_TNUMBER)
        misuse(lua, "%s is a number", "seconds");
    l->options.max_seconds = lua_tonumber(lua, -1);
}

/* Names stay in the caller's table for as long as they are needed; the list is kept in the slot `SET` of the stack. */
static void take_set(lua_State *lua, loading *l)
{
    const int table = lua_gettop(lua);
    if (!lua_istable(lua, table))
        misuse(lua, "%s is a table of numbers by name", "set");
    size_t n = 0;
    for (lua_pushnil(lua); lua_next(lua, table); lua_pop(lua, 1))
        n++;
    l->set = lua_newuserdatauv(lua, (n + 1) * sizeof *l->set, 0);
    lua_replace(lua, SET);
    for (lua_pushnil(lua); lua_next(lua, table); lua_pop(lua, 1)) {
        if (lua_type(lua, -2) != LUA_TSTRING || lua_type(lua, -1) != LUA_TNUMBER)
            misuse(lua, "%s is a table of numbers by name", "set");
        l->set[l->options.noptions++] = (gram_option){lua_tostring(lua, -2), lua_tonumber(lua, -1)};
    }
    l->options.options = l->set;
}

static const struct {
    const char *name;
    void (*take)(lua_State *lua, loading *l);
} OPTIONS[] = {
    {"jit", take_jit},     {"cc", take_cc},   {"flags", take_flags},     {"threads", take_threads},
    {"dtype", take_dtype}, {"set", take_set}, {"seconds", take_seconds},
};
enum { NOPTIONS = sizeof OPTIONS / sizeof *OPTIONS };

static void check_names(lua_State *lua)
{
    for (lua_pushnil(lua); lua_next(lua, TABLE); lua_pop(lua, 1)) {
        const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
        int k = 0;
        while (k < NOPTIONS && strcmp(OPTIONS[k].name, name) != 0)
            k++;
        if (k == NOPTIONS)
            misuse(lua, "gram.load has no option '%s': jit, cc, flags, threads, dtype, set, seconds", name);
    }
}

static void take_options(lua_State *lua, loading *l)
{
    if (!lua_istable(lua, TABLE))
        misuse(lua, "the options of %s are a table", "gram.load");
    check_names(lua);
    for (int k = 0; k < NOPTIONS; k++) {
        if (lua_getfield(lua, TABLE, OPTIONS[k].name) != LUA_TNIL)
            OPTIONS[k].take(lua, l);
        lua_pop(lua, 1);
    }
}

/* Room for a call is made at once, so that calls ask for no memory but their results. */
static kernel *new_kernel(lua_State *lua, gram_kernel *gram)
{
    const gram_port *ports;
    const int room = gram_inputs(gram, &ports) + gram_outputs(gram, &ports) + SPARE;
    const size_t each = sizeof(gram_argument) + sizeof(gram_array) + sizeof(int64_t);
    kernel *k = lua_newuserdatauv(lua, sizeof *k + (size_t)room * each, 2); /* its user values: the gradients */
    k->gram = gram;
    k->room = room;
    k->arrays = (gram_array *)(k->arguments + room);
    k->numbers = (int64_t *)(k->arrays + room);
    luaL_setmetatable(lua, NAME);
    return k;
}

static int make_kernel(lua_State *lua)
{
    new_kernel(lua, lua_touserdata(lua, 1));
    return 1;
}

/* A kernel just loaded must not be lost where Lua has no memory for its object. */
static int wrap(lua_State *lua, gram_kernel *gram)
{
    lua_pushcfunction(lua, make_kernel);
    lua_pushlightuserdata(lua, gram);
    if (lua_pcall(lua, 1, 1, 0) == LUA_OK)
        return 1;
    gram_free(gram);
    return lua_error(lua);
}

/* load(file, text or nil, options): what gram.lua's gram.load calls. */
static int load(lua_State *lua)
{
    char message[GRAM_MESSAGE_SIZE];
    loading l = {.file = luaL_checkstring(lua, FILE_NAME), .text = luaL_optstring(lua, TEXT, NULL)};
    gram_kernel *gram;
    lua_settop(lua, SET);
    if (!lua_isnil(lua, TABLE))
        take_options(lua, &l);
    lua_getfield(lua, LUA_REGISTRYINDEX, KEPT);
    l.options.store = *(gram_store **)lua_touserdata(lua, -1);
    const gram_status status = l.text ? gram_load_text(l.file, l.text, &l.options, &gram, message, sizeof message)
                                      : gram_load_file(l.file, &l.options, &gram, message, sizeof message);
    return status == GRAM_OK ? wrap(lua, gram) : raise(lua, message);
}

/* ---- running ---- */

static gram_argument *next_argument(lua_State *lua, kernel *k, int n)
{
    if (n == k->room)
        luaL_error(lua, "%s takes at most %d arrays", gram_name(k->gram), k->room);
    if (lua_type(lua, -2) != LUA_TSTRING)
        luaL_error(lua, "arrays are given by name: { Q = q, ... }");
    k->arguments[n] = (gram_argument){lua_tostring(lua, -2), &k->arrays[n], NULL};
    return &k->arguments[n];
}

static int wants_integers(const kernel *k, const char *name)
{
    const gram_port *ports;
    const int n = gram_inputs(k->gram, &ports);
    for (int i = 0; i < n; i++)
        if (strcmp(ports[i].name, name) == 0)
            return ports[i].integer;
    return 0;
}

/* A number or a boolean: 2 is a float where the kernel takes floats. */
static int take_number(lua_State *lua, const kernel *k, const gram_argument *argument, int64_t *room)
{
    if (!gram_lua_number(lua, -1, argument->array, room))
        return luaL_error(lua, "%s is a %s: expected a tensor or a number", argument->name, luaL_typename(lua, -1));
    if (lua_isinteger(lua, -1) && !wants_integers(k, argument->name)) {
        const double value = (double)lua_tointeger(lua, -1);
        memcpy(room, &value, sizeof value);
        argument->array->dtype = GRAM_F8;
    }
    return 0;
}

/* The inputs: tensors, or numbers for scalars. */
static int take_inputs(lua_State *lua, kernel *k)
{
    int n = 0;
    for (lua_pushnil(lua); lua_next(lua, 2); lua_pop(lua, 1), n++) {
        gram_argument *argument = next_argument(lua, k, n);
        gram_array *tensor = gram_lua_test(lua, -1);
        if (tensor)
            argument->array = tensor;
        else
            take_number(lua, k, argument, &k->numbers[n]);
    }
    return n;
}

/* The outputs of the table `out`, tensors or true; those that are made go to the results on top of the stack. */
static int take_outputs(lua_State *lua, kernel *k, int n)
{
    const int results = lua_gettop(lua);
    for (lua_pushnil(lua); lua_next(lua, 3); lua_pop(lua, 1), n++) {
        gram_argument *argument = next_argument(lua, k, n);
        if (lua_isboolean(lua, -1)) {
            argument->array = gram_lua_empty(lua);
            lua_replace(lua, -2);
        } else {
            argument->array = gram_lua_check(lua, -1);
        }
        lua_pushvalue(lua, -1);
        lua_setfield(lua, results, argument->name);
    }
    return n;
}

static int make_outputs(lua_State *lua, kernel *k, int n)
{
    const gram_port *ports;
    const int noutputs = gram_outputs(k->gram, &ports);
    for (int i = 0; i < noutputs; i++, n++) {
        if (n == k->room)
            luaL_error(lua, "%s takes at most %d arrays", gram_name(k->gram), k->room);
        k->arguments[n] = (gram_argument){ports[i].name, gram_lua_empty(lua), NULL};
        lua_setfield(lua, -2, ports[i].name);
    }
    return n;
}

/* k(inputs [, outputs]) */
static int call(lua_State *lua)
{
    char message[GRAM_MESSAGE_SIZE];
    kernel *k = check(lua, 1);
    luaL_checktype(lua, 2, LUA_TTABLE);
    lua_settop(lua, 3);
    const int given = take_inputs(lua, k), some = lua_istable(lua, 3);
    lua_newtable(lua);
    const int n = some ? take_outputs(lua, k, given) : make_outputs(lua, k, given);
    if (gram_run(k->gram, n, k->arguments, message, sizeof message) != GRAM_OK)
        return raise(lua, message);
    for (int i = given; i < n; i++)
        if (k->arguments[i].array->storage)
            gram_lua_account(lua, k->arguments[i].array);
    return 1;
}

/* k:cost(inputs): what a run on them takes, { operations, bytes, workspace }. */
static int cost(lua_State *lua)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_cost takes;
    kernel *k = check(lua, 1);
    luaL_checktype(lua, 2, LUA_TTABLE);
    lua_settop(lua, 2);
    if (gram_run_cost(k->gram, take_inputs(lua, k), k->arguments, &takes, message, sizeof message) != GRAM_OK)
        return raise(lua, message);
    lua_createtable(lua, 0, 3);
    lua_pushnumber(lua, takes.operations);
    lua_setfield(lua, -2, "operations");
    lua_pushnumber(lua, takes.bytes);
    lua_setfield(lua, -2, "bytes");
    lua_pushinteger(lua, (lua_Integer)takes.workspace);
    lua_setfield(lua, -2, "workspace");
    return 1;
}

/* k:weights(path): the inputs that a .safetensors or .npz file holds, by their key or name. */
static int weights(lua_State *lua)
{
    gram_lua_push_weights(lua, check(lua, 1)->gram, luaL_checkstring(lua, 2));
    return 1;
}

/* ---- gradients ---- */

static void load_gradient(lua_State *lua, const kernel *k, int n, const char *const *names, int given)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_kernel *gradient;
    if (gram_load_derivative(k->gram, &(gram_derivative){0, n, names, given}, &gradient, message, sizeof message) !=
        GRAM_OK)
        raise(lua, message);
    wrap(lua, gradient);
}

/* k:gradient("Q", ...): the kernel that takes k's inputs and dO, and gives dQ. */
static int gradient(lua_State *lua)
{
    const kernel *k = check(lua, 1);
    const int n = lua_gettop(lua) - 1;
    const char **names = lua_newuserdatauv(lua, (size_t)(n + 1) * sizeof *names, 0);
    for (int i = 0; i < n; i++)
        names[i] = luaL_checkstring(lua, i + 2);
    load_gradient(lua, k, n, names, 0);
    return 1;
}

/* Is the kernel's first output among the arrays at index 2? */
static int gives_outputs(lua_State *lua, const kernel *k)
{
    const gram_port *outputs;
    if (gram_outputs(k->gram, &outputs) == 0 || !lua_istable(lua, 2))
        return 0;
    const int given = lua_getfield(lua, 2, outputs[0].name) != LUA_TNIL;
    lua_pop(lua, 1);
    return given;
}

/* k:grad { Q = q, ..., dO = d }: the gradients by every input that takes floats, under the inputs' names. With O = o,
 * all outputs as k gave them, what they hold is not computed again. */
static int grad(lua_State *lua)
{
    const kernel *k = check(lua, 1);
    lua_settop(lua, 2);
    const int given = gives_outputs(lua, k);
    if (lua_getiuservalue(lua, 1, 1 + given) != LUA_TUSERDATA) {
        load_gradient(lua, k, 0, NULL, given);
        lua_pushvalue(lua, -1);
        lua_setiuservalue(lua, 1, 1 + given);
    }
    lua_pushvalue(lua, 2);
    lua_call(lua, 1, 1);
    lua_newtable(lua);
    for (lua_pushnil(lua); lua_next(lua, -3); lua_pop(lua, 1)) {
        lua_pushvalue(lua, -1);
        lua_setfield(lua, -4, lua_tostring(lua, -3) + 1);
    }
    return 1;
}

/* ---- questions ---- */

static void push_ports(lua_State *lua, int n, const gram_port *ports)
{
    lua_createtable(lua, n, 0);
    for (int i = 0; i < n; i++) {
        lua_createtable(lua, 0, 5);
        lua_pushstring(lua, ports[i].name);
        lua_setfield(lua, -2, "name");
        lua_pushstring(lua, ports[i].kind);
        lua_setfield(lua, -2, "kind");
        lua_pushstring(lua, ports[i].shape);
        lua_setfield(lua, -2, "shape");
        lua_pushboolean(lua, ports[i].integer);
        lua_setfield(lua, -2, "integer");
        lua_pushstring(lua, ports[i].key);
        lua_setfield(lua, -2, "key");
        lua_rawseti(lua, -2, i + 1);
    }
}

static void push_inputs(lua_State *lua, const kernel *k)
{
    const gram_port *ports;
    const int n = gram_inputs(k->gram, &ports);
    push_ports(lua, n, ports);
}

static void push_outputs(lua_State *lua, const kernel *k)
{
    const gram_port *ports;
    const int n = gram_outputs(k->gram, &ports);
    push_ports(lua, n, ports);
}

static void push_sizes(lua_State *lua, const kernel *k)
{
    const char *const *names;
    const int n = gram_sizes(k->gram, &names);
    lua_createtable(lua, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(lua, names[i]);
        lua_rawseti(lua, -2, i + 1);
    }
}

static void push_name(lua_State *lua, const kernel *k)
{
    lua_pushstring(lua, gram_name(k->gram));
}

static void push_cost(lua_State *lua, const kernel *k)
{
    (void)k;
    lua_pushcfunction(lua, cost);
}

static void push_grad(lua_State *lua, const kernel *k)
{
    (void)k;
    lua_pushcfunction(lua, grad);
}

static void push_gradient(lua_State *lua, const kernel *k)
{
    (void)k;
    lua_pushcfunction(lua, gradient);
}

static void push_weights(lua_State *lua, const kernel *k)
{
    (void)k;
    lua_pushcfunction(lua, weights);
}

static void push_text(lua_State *lua, const kernel *k, gram_text_kind kind)
{
    char message[GRAM_MESSAGE_SIZE];
    const char *text;
    if (gram_kernel_text(k->gram, kind, &text, message, sizeof message) != GRAM_OK)
        raise(lua, message);
    lua_pushstring(lua, text);
}

static void push_source(lua_State *lua, const kernel *k)
{
    push_text(lua, k, GRAM_TEXT_SOURCE);
}

static void push_header(lua_State *lua, const kernel *k)
{
    push_text(lua, k, GRAM_TEXT_HEADER);
}

static void push_plan(lua_State *lua, const kernel *k)
{
    push_text(lua, k, GRAM_TEXT_PLAN);
}

static void push_ir(lua_State *lua, const kernel *k)
{
    push_text(lua, k, GRAM_TEXT_IR);
}

static const struct {
    const char *name;
    void (*push)(lua_State *lua, const kernel *k);
} FIELDS[] = {
    {"name", push_name}, {"source", push_source},   {"c_header", push_header}, {"plan", push_plan},
    {"ir", push_ir},     {"inputs", push_inputs},   {"outputs", push_outputs}, {"sizes", push_sizes},
    {"cost", push_cost}, {"weights", push_weights}, {"grad", push_grad},       {"gradient", push_gradient},
};

static int index_event(lua_State *lua)
{
    const kernel *k = check(lua, 1);
    const char *name = luaL_checkstring(lua, 2);
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        if (strcmp(FIELDS[i].name, name) == 0) {
            FIELDS[i].push(lua, k);
            return 1;
        }
    }
    return luaL_error(lua, "a kernel has no field '%s'", name);
}

static int to_string(lua_State *lua)
{
    lua_pushfstring(lua, "kernel %s", gram_name(check(lua, 1)->gram));
    return 1;
}

static const luaL_Reg events[] = {
    {"__call", call}, {"__index", index_event}, {"__gc", collect}, {"__tostring", to_string}, {NULL, NULL},
};
const luaL_Reg gram_lua_kernel_functions[] = {{"load", load}, {NULL, NULL}};

void gram_lua_open_kernel(lua_State *lua)
{
    luaL_newmetatable(lua, NAME);
    luaL_setfuncs(lua, events, 0);
    luaL_newmetatable(lua, STORE);
    lua_pushcfunction(lua, collect_store);
    lua_setfield(lua, -2, "__gc");
    gram_store **store = lua_newuserdatauv(lua, sizeof *store, 0);
    *store = NULL;
    luaL_setmetatable(lua, STORE);
    *store = gram_store_new();
    if (!*store)
        luaL_error(lua, "out of memory");
    lua_setfield(lua, LUA_REGISTRYINDEX, KEPT);
    lua_pop(lua, 2);
}
