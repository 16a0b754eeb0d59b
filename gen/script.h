/* The Lua that gram carries: its own scripts and what its templates are translated to. gen/embed makes them. */
#ifndef GRAM_SCRIPT_H
#define GRAM_SCRIPT_H

#include <lua.h>

typedef struct gram_script {
    const char *name; /* as Lua wants it: "=std" */
    const char *text;
    const char *code; /* what Lua made of the text when gram was built */
    size_t code_size;
} gram_script;

/* Pushes the script as a function; raises a Lua error. */
void gram_script_load(lua_State *lua, const gram_script *script);

extern const gram_script gram_std_lua, gram_sandbox_lua, gram_order_lua, gram_template_lua;

#endif
