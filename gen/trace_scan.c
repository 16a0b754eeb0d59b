/* scan over as many columns as a matrix has: std.lua calls f once, with leaves that stand in for its state and for a
 * column of each matrix, and what f makes of them is the graph of every step (scan.h). */
#include <lauxlib.h>

#include "scan.h"
#include "trace.h"

/* stand_in(A, column): a leaf of A's shape, or of one of its columns'. */
static int stand_in(gram_tracer *t, lua_State *lua)
{
    const gram_node *a = gram_check_matrix(t, 1, "scan");
    bool column = lua_toboolean(lua, 2);
    gram_push_matrix(t, gram_scan_stand_in(t->ctx, gram_here(t), column ? "column" : "state", a->rows,
                                           column ? gram_dim_number(1) : a->cols, true));
    return 1;
}

/* The matrices of the list at stack position index. */
static gram_node **read_list(gram_tracer *t, int index, int *n)
{
    *n = (int)lua_rawlen(t->lua, index);
    gram_node **list = gram_alloc(t->ctx, (size_t)(*n + 1) * sizeof *list);
    for (int k = 0; k < *n; k++) {
        lua_rawgeti(t->lua, index, k + 1);
        gram_node *a = gram_as_type(t, gram_check_matrix(t, -1, "scan"), GRAM_REAL);
        list[k] = gram_node_filled(t->ctx, a->loc, a); /* dropped entries are read as zeros */
        lua_pop(t->lua, 1);
    }
    return list;
}

/* Of columns that f does not use, too. */
static void check_columns(gram_tracer *t, const gram_scan_draft *draft)
{
    for (int k = 1; k < draft->ncolumns; k++)
        if (!gram_dim_meets(draft->cols, draft->columns[k]->cols))
            gram_fail(t->ctx, gram_here(t), "scan: %s has %s columns, and %s %s",
                      gram_node_text(t->ctx, draft->columns[0]), gram_dim_text(t->ctx, draft->cols),
                      gram_node_text(t->ctx, draft->columns[k]), gram_dim_text(t->ctx, draft->columns[k]->cols));
}

/* scan(states, their stand-ins, matrices, their stand-ins, f's results): the list of the results. */
static int scan(gram_tracer *t, lua_State *lua)
{
    gram_scan_draft draft = {.backwards = false};
    draft.states = read_list(t, 1, &draft.nstates);
    draft.state_ins = read_list(t, 2, &draft.nstates);
    draft.columns = read_list(t, 3, &draft.ncolumns);
    draft.column_ins = read_list(t, 4, &draft.ncolumns);
    draft.results = read_list(t, 5, &draft.nresults);
    draft.cols = draft.columns[0]->cols;
    check_columns(t, &draft);
    gram_node **made = gram_scan_make(t->ctx, gram_here(t), &draft);
    lua_newtable(lua);
    for (int k = 0; k < draft.nresults; k++) {
        gram_push_matrix(t, made[k]);
        lua_rawseti(lua, -2, k + 1);
    }
    return 1;
}

/* A leaf below node that is no input of the spec, or NULL. */
static const gram_node *stray_leaf(gram_tracer *t, const gram_node *node, char *seen)
{
    const gram_node *stray = NULL;
    if (seen[node->id])
        return NULL;
    seen[node->id] = 1;
    if (node->op == GRAM_OP_INPUT && gram_find_input(t->spec, node->input->name) != node->input)
        return node;
    for (int k = 0; k < node->nargs && !stray; k++)
        stray = stray_leaf(t, node->args[k], seen);
    return stray;
}

void gram_check_inside_scan(gram_tracer *t, const gram_output *output)
{
    const gram_node *node = output->node;
    if (stray_leaf(t, node, gram_alloc(t->ctx, (size_t)node->id + 1)))
        gram_fail(t->ctx, gram_here(t),
                  "the output %s, %s, is inside of scan: only what its function returns leaves it", output->name,
                  gram_node_text(t->ctx, node));
}

const gram_binding gram_scan_bindings[] = {{"stand_in", stand_in}, {"scan", scan}, {NULL, NULL}};
