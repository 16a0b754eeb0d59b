/* Templates filled in: the one place beside the tracer where Lua runs. */
#ifndef GRAM_TEMPLATE_H
#define GRAM_TEMPLATE_H

#include "script.h"
#include "util.h"

/* A state whose stack holds the model, an empty table, at index 1; to be closed with gram_template_close. */
lua_State *gram_template_open(gram_ctx *ctx);
void gram_template_close(lua_State *L);

/* model.key = value, where the model, or the table being filled, is on top of the stack. */
void gram_template_set(lua_State *L, const char *key, const char *value);
void gram_template_set_number(lua_State *L, const char *key, long long value);
void gram_template_set_flag(lua_State *L, const char *key, int value);
/* Opens a table to fill as model.key, or as the next element where key is NULL; closed by gram_template_end. */
void gram_template_begin(lua_State *L, const char *key);
void gram_template_end(lua_State *L);

/* The text that the template makes of the model; fails where the template does. */
const char *gram_template_render(gram_ctx *ctx, lua_State *L, const gram_script *template);

#endif
