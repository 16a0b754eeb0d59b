/* The Lua that a spec runs in: its own matching, sorting and key order against Lua's, what it must not have, and the
 * limits. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "passes.h"
#include "script.h"
#include "test.h"

/* ---- the scripts that gram carries: as code, and as text for a Lua that is none of the code's ---- */

static void test_script(gram_tally *tally, lua_State *lua, const gram_script *script)
{
    enum { VERSION = 4 }; /* of Lua, in the code's header */
    gram_script foreign = *script;
    char *code = malloc(script->code_size);
    memcpy(code, script->code, script->code_size);
    code[VERSION]++;
    foreign.code = code;
    luaL_loadstring(lua, "local a, b = ...  return string.dump(a) == string.dump(b)");
    gram_script_load(lua, script);
    gram_script_load(lua, &foreign);
    lua_call(lua, 2, 1);
    CHECK(tally, lua_toboolean(lua, -1), "%s: the code is not that of the text", script->name);
    lua_pop(lua, 1);
    free(code);
}

static void test_scripts(gram_tally *tally)
{
    const gram_script *const scripts[] = {&gram_order_lua, &gram_sandbox_lua, &gram_std_lua, &gram_template_lua};
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    for (size_t k = 0; k < sizeof scripts / sizeof *scripts; k++)
        test_script(tally, lua, scripts[k]);
    lua_close(lua);
}

/* ---- patterns: random ones, against Lua's own library ---- */

/* Run in plain Lua; returns how many results agree, and the first that does not. */
static const char compare_patterns[] =
    "local sandbox = ...\n"
    "local host, saved = {}, {}\n"
    "for name, value in pairs(_G) do host[name] = value end\n"
    "for name, value in pairs(getmetatable('')) do saved[name] = value end\n"
    "local order = { pairs = pairs, next = next, remember = function(t) return t end }\n"
    "local mine, theirs = sandbox(host, { charge = function() end }, order).string, string\n"
    "for name, value in pairs(saved) do getmetatable('')[name] = value end\n"
    "local items = { 'a', 'b', '.', '%a', '%d', '[ab]', '[^a]', '*', '+', '-', '?', '(', ')', '^', '$', '%b()', "
    "'%f[a]', '1',\n"
    "    '()', '%1', '[%w_]', 'x', '%%', '[a-c]', '[]]' }\n"
    "local letters = { 'a', 'b', '1', '(', ')', 'x', '_', ']', 'c' }\n"
    "math.randomseed(7)\n"
    "local function some(list, most)\n"
    "    local chosen = {}\n"
    "    for k = 1, math.random(0, most) do chosen[k] = list[math.random(#list)] end\n"
    "    return table.concat(chosen)\n"
    "end\n"
    "local function result(f, ...)\n"
    "    local values = table.pack(pcall(f, ...))\n"
    "    if not values[1] then return values[2]:find('unfinished') and 'unfinished' or 'an error' end\n"
    "    for k = 1, values.n do values[k] = tostring(values[k]) end\n"
    "    return table.concat(values, ' ')\n"
    "end\n"
    "local function all(gmatch, s, p)\n"
    "    local found = {}\n"
    "    for a, b in gmatch(s, p) do found[#found + 1] = tostring(a) .. tostring(b) end\n"
    "    return table.concat(found, ' ')\n"
    "end\n"
    "local agree = 0\n"
    "for trial = 1, 20000 do\n"
    "    local s, p, init = some(letters, 8), some(items, 6), math.random(-3, 10)\n"
    "    for _, name in ipairs { 'find', 'match', 'gmatch', 'gsub' } do\n"
    "        local extra = name == 'gsub' and '<%1>' or init\n"
    "        local a, b = result(theirs[name], s, p, extra), result(mine[name], s, p, extra)\n"
    "        if name == 'gmatch' then a, b = result(all, theirs.gmatch, s, p), result(all, mine.gmatch, s, p) end\n"
    "        if b == 'unfinished' then a = b end -- Lua sees that only where the capture is used\n"
    "        if a ~= b then return agree, name .. ' ' .. s .. ' ' .. p .. ': ' .. a .. ', not ' .. b end\n"
    "        agree = agree + 1\n"
    "    end\n"
    "end\n"
    "return agree\n";

static void test_patterns(gram_tally *tally)
{
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    int failed = luaL_loadstring(lua, compare_patterns);
    gram_script_load(lua, &gram_sandbox_lua);
    failed = failed || lua_pcall(lua, 1, 2, 0);
    CHECK(tally, !failed && lua_isnil(lua, -1) && lua_tointeger(lua, -2) == 80000, "%s", lua_tostring(lua, -1));
    lua_close(lua);
}

/* ---- specs ---- */

typedef struct attempt {
    gram_request request;
    const char *message; /* how the trace ended */
} attempt;

static void trace(gram_ctx *ctx, void *data)
{
    gram_trace(ctx, &((attempt *)data)->request);
}

/* Every spec here ends in an error; the message says what was found. */
static void expect(gram_tally *tally, gram_request request, const char *expected)
{
    gram_ctx *ctx = gram_ctx_new();
    attempt a = {.request = request};
    a.request.file = "test.lua";
    gram_try(ctx, trace, &a);
    CHECK(tally, strncmp(ctx->message, expected, strlen(expected)) == 0, "%s\n    expected %s\n    got      %s",
          request.text, expected, ctx->message);
    gram_ctx_free(ctx);
}

static const struct {
    const char *text, *message;
} found[] = {
    {"local t = { zeta = 1, alpha = 2, 10, [\"x y\"] = 3, mid = { b = 1 } }\n"
     "t.new = 4  t.zeta = nil  t.zeta = 5  t[3] = 6\n"
     "local keys = {}\n"
     "for key in pairs(t) do keys[#keys + 1] = tostring(key) end\n"
     "error(table.concat(keys, ' '))",
     "test.lua:5: error: 1 alpha mid x y new zeta 3"},
    {"local function f(t) return next(t) end\nerror(f{ q = 1, k = 2 } .. f { [ [[v]] ] = 3 })",
     "test.lua:2: error: qv"},
    {"local t = {}\nfor key in ('w c x b'):gmatch('%a') do t[key] = 1 end\nlocal s = ''\n"
     "for key in pairs(t) do s = s .. key t[key] = nil end\nerror(s .. tostring(next(t)))",
     "test.lua:5: error: wcxbnil"},
    {"local A, B = tokens('A', 4, 'n'), tokens('B', 4, 'n')\nlocal s = ''\n"
     "for _, name in pairs { [B] = 'b', [A] = 'a' } do s = s .. name end\nerror(s)",
     "test.lua:4: error: ab"},
    {"local s = 'a{b}' -- { \nlocal l = [[ { ]] .. [==[ }]] ]==] .. '\\'{'\nerror(#s + #l .. s)",
     "test.lua:3: error: 14a{b}"},
    {"local l = { 5, 2, 8, 1 }\ntable.sort(l, function(a, b) return a > b end)\ntable.insert(l, 1, 9)\ntable.insert(l, "
     "0)\n"
     "table.remove(l, 2)\ntable.move(l, 1, 3, 2)\nerror(table.concat(l, ','))",
     "test.lua:7: error: 9,9,5,2,0"},
    {"local l = { 3, 1, 2, 11, 13, 12 }\ntable.sort(l, function(a, b) return a // 10 > b // 10 end)\n"
     "error(table.concat(l, ','))",
     "test.lua:3: error: 11,13,12,3,1,2"},
    {"error(tostring({}) .. tostring(error) .. string.format('%s %d', {}, 3))",
     "test.lua:1: error: tablefunctiontable 3"},
    {"error(('abc'):upper():rep(2, '-') .. #('x'):rep(3))", "test.lua:1: error: ABC-ABC3"},
    {"error(math.max(1, 2) + math.floor(2.5))", "test.lua:1: error: 4"},
    {"local ok, message = pcall(softmax, 3)\nerror(message)",
     "test.lua:1: error: softmax expects a matrix, got the number 3"},
    {"local function f()\n    return softmax(3)\nend\nf()", "test.lua:2: error: softmax expects a matrix"},
    {"local f <const> = function()\n    return nothing.x\nend\nlocal t = { f() }",
     "test.lua:2: error: attempt to index a nil"},
    {"error('two\\nlines')", "test.lua:1: error: two lines"},
    {"for _, name in ipairs { 'os', 'io', 'debug', 'load', 'dofile', 'loadfile', 'collectgarbage', 'setmetatable', "
     "'rawset',\n"
     "    'getmetatable', 'print', 'coroutine', 'package', 'utf8', '_G' } do\n"
     "    if _ENV[name] ~= nil then error('there is ' .. name) end\nend\nerror('none')",
     "test.lua:5: error: none"},
    {"error(tostring(math.random) .. tostring(string.dump) .. tostring(('').dump))", "test.lua:1: error: nilnilnil"},
};

static const struct {
    const char *text;
} endless[] = {
    {"while true do end"},
    {"while true do pcall(function() while true do end end) end"},
    {"local function f() return f() end f()"},
    {"local s = ('a'):rep(2000) s:find(('a*'):rep(20) .. 'b')"},
    {"local s = ('a'):rep(2000) while true do pcall(s.gsub, s, ('.-'):rep(20) .. 'b', '') end"},
    {"while true do ('x'):rep(100000) end"},
    {"local s = ('x'):rep(100000) while true do local t = s .. 'y' end"},
    {"local s = ('x'):rep(100000) while true do s:upper() end"},
    {"table.move({}, 1, 1e15, 2)"},
    {"while true do pcall(table.unpack, {}, 1, 1e6) end"},
    {"local t = {} for k = 1, 1000 do t[k] = 1 end while true do table.sort(t) end"},
    {"local t = {} for k = 1, 1000 do t[k] = 'x' end while true do table.concat(t) end"},
    {"local t = {} for k = 1, 1000 do t[k] = 1 end while true do table.insert(t, 1, 1) table.remove(t, 1) end"},
    {"local t = {} for k = 1, 1000 do t['x' .. k] = 1 end while true do next(t) pairs(t) end"},
    {"local s = ('x'):rep(50000) while true do string.format('%s%s', s, s) end"},
    {"local s = ('x'):rep(50000) while true do s:byte(1, 40000) end"},
    {"local s = 'x' while true do s = s .. s end"},
    {"local t = {} while true do t = { t } end"},
    {"local X = tokens('X', 4, 'n') while true do X = cumsum(X) end"},
    {"local X = tokens('X', 4, 'n') while true do pcall(function() return X * X end) end"},
    {"local X = tokens('X', 4, 'n') while true do map(function(x) return x + 1 end, X) end"},
    {"local X = tokens('X', 4, 'n') map(function(x) while true do local y = x + 1 end end, X)"},
    {"for k = 1, 1e9 do vector('v' .. k, 4) end"},
};

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* A spec that never ends is ended by each limit alone, soon after it is reached. */
static void test_endless(gram_tally *tally)
{
    for (size_t k = 0; k < sizeof endless / sizeof *endless; k++) {
        const char *text = endless[k].text;
        double start = seconds();
        expect(tally, (gram_request){.text = text, .max_steps = 300000, .max_seconds = 100}, "test.lua:1: error: ");
        expect(tally, (gram_request){.text = text, .max_seconds = 0.05, .max_steps = INT64_C(1) << 60},
               "test.lua:1: error: ");
        CHECK(tally, seconds() - start < 10, "%s took %g s", text, seconds() - start);
    }
    expect(tally, (gram_request){.text = "while true do end", .max_steps = 5000},
           "test.lua:1: error: the spec takes more than 5000 steps");
    expect(tally, (gram_request){.text = "while true do end", .max_seconds = 0.01, .max_steps = INT64_C(1) << 60},
           "test.lua:1: error: the spec takes longer than 0.01 s");
    expect(tally, (gram_request){.text = "local t = {}\nwhile true do t = { t } end", .max_bytes = 4 << 20},
           "test.lua:2: error: the spec needs more than 4 MiB of memory");
}

int main(void)
{
    gram_tally tally = {0};
    test_scripts(&tally);
    test_patterns(&tally);
    for (size_t k = 0; k < sizeof found / sizeof *found; k++)
        expect(&tally, (gram_request){.text = found[k].text}, found[k].message);
    test_endless(&tally);
    return gram_tally_end(&tally);
}
