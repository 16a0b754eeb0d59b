/* What the files of the tracer share: the tracer itself, values as Lua holds them, and how a C function for specs
 * looks.
 *
 *   sandbox.c         the Lua state: limits, what a spec may call, where an error is
 *   trace.c           the pass: runs the spec, gives back the graph
 *   trace_value.c     matrices and symbols in Lua: operators, scalar functions
 *   trace_matrix.c    what std.lua makes matrices with; reading an entry
 *   trace_formula.c   map, keep, pairs_of: calling a formula with symbols; symbols that Lua swallowed
 *   trace_scan.c      scan: what stands in for its state and columns
 *   trace_declare.c   inputs, sizes, options
 *   trace_kernel.c    kernel
 *   sandbox.lua       the part of Lua's library that needs a budget, in Lua
 *   order.lua         tables that remember the order of their keys
 *   std.lua           the language's own library */
#ifndef GRAM_TRACE_H
#define GRAM_TRACE_H

#include <lua.h>

#include "passes.h"

/* A symbol made while a formula runs: from where, and from which other symbols of that formula (-1: none). */
typedef struct gram_symbol_entry {
    gram_loc loc;
    const gram_node *node;
    int from[3];
    bool used;
} gram_symbol_entry;

/* A call of a spec's function with symbols. */
typedef struct gram_formula {
    struct gram_formula *outer;
    int id; /* above 0, never given twice */
    int count, capacity;
    gram_symbol_entry *entries; /* in order of making */
} gram_formula;

/* What Lua holds as a matrix, a symbol (an entry inside a formula) or a token (a column inside pairs_of). */
typedef enum gram_flavour { GRAM_MATRIX_VALUE, GRAM_SYMBOL, GRAM_TOKEN } gram_flavour;
/* Whose column a token is: z of pairs_of, along the rows; x, along the columns; or triples_of's third, the column that an
 * OVER makes. */
typedef enum gram_role { GRAM_OF_ROWS, GRAM_OF_COLS, GRAM_OF_LOOP } gram_role;
typedef struct gram_value {
    gram_flavour flavour;
    gram_node *node;
    int formula;    /* the formula that a symbol belongs to; 0 for matrices */
    int entry;      /* in that formula; -1: an argument */
    int serial;     /* in order of making */
    gram_role role; /* of a token */
} gram_value;

enum { GRAM_SPEC_FILES = 64 };
typedef struct gram_tracer {
    gram_ctx *ctx;
    const gram_request *request;
    gram_spec *spec;
    lua_State *lua;
    gram_formula *formula; /* the one running, or NULL */
    int formulas, values;  /* made so far */
    int ninputs_capacity;
    bool *setting_used;
    gram_loc size_at[GRAM_SIZES]; /* where each size was named first */
    bool mentions_or;             /* a file of the spec has the word */
    bool shadow;                  /* a formula is run again, its predicates being false: trace_formula.c */
    bool made_kernel;
    int nfiles; /* the spec and what it requires */
    const char *files[GRAM_SPEC_FILES];
    /* limits */
    int64_t steps, due; /* taken so far; before the next look at the clock */
    int64_t max_steps, max_bytes, bytes;
    double max_seconds, deadline;
    int line;              /* of the spec, last seen while a formula ran */
    const char *exhausted; /* what ran out, or NULL */
    gram_loc exhausted_at;
    char failure[1024]; /* the error that ended the spec, and where */
    gram_loc failure_at;
} gram_tracer;

/* A function that specs or std.lua call. It may fail with gram_fail as well as raise a Lua error. */
typedef struct gram_binding {
    const char *name;
    int (*f)(gram_tracer *t, lua_State *lua);
} gram_binding;

/* sandbox.c */
void gram_sandbox_open(gram_tracer *t);
/* Runs a file of the spec; its first result is on the stack. Raises a Lua error. */
void gram_sandbox_load(gram_tracer *t, const char *name, const char *text);
void gram_sandbox_close(gram_tracer *t);
/* The tracer whose state it is. */
gram_tracer *gram_tracer_of(lua_State *lua);
/* Calls f; on an error of any kind, closes the state and fails in the context. */
void gram_sandbox_protect(gram_tracer *t, const gram_binding *f);
/* Pushes a binding as a Lua function; `data` is for it to read with gram_builtin_data. */
void gram_push_builtin(gram_tracer *t, const gram_binding *binding, const void *data);
const void *gram_builtin_data(lua_State *lua);
/* Makes C functions of the Lua functions in the table on top of the stack: a caller's line stays known if it calls them
 * last, and map knows them as built-in. */
void gram_wrap_functions(lua_State *lua);
/* Sets fields of the table on top of the stack, up to a row without a name. */
void gram_set_builtins(gram_tracer *t, const gram_binding *bindings);
/* Counts work that Lua's own counter does not see. */
void gram_charge(gram_tracer *t, int64_t steps);
/* Has the hook follow the spec's lines while a formula runs: to be called when t->formula has changed. */
void gram_watch(gram_tracer *t);
/* The line of the spec being run: of the innermost frame that is in a spec's file; without one, the spec's last. */
gram_loc gram_here(gram_tracer *t);

/* trace_value.c */
void gram_value_open(gram_tracer *t);
/* "tanh" where the built-in scalar function of that name is at stack position index, else NULL. */
const char *gram_scalar_name(gram_tracer *t, int index);
void gram_push_value(gram_tracer *t, gram_value value);
void gram_push_matrix(gram_tracer *t, gram_node *node);
/* Gives plain booleans the operators of predicates, or takes them away again. */
void gram_shadow_booleans(gram_tracer *t, bool on);
/* Pushes a symbol just made from others, and notes it in the running formula. */
void gram_push_symbol(gram_tracer *t, gram_node *node, const int from[3]);
/* The value at stack position index, or NULL where there is something else. */
gram_value *gram_to_value(lua_State *lua, int index);
/* The matrix there; fails, naming `what` is being done, where there is none. */
gram_node *gram_check_matrix(gram_tracer *t, int index, const char *what);
/* Scalars of the other types as the type asked for; fails on a predicate. */
gram_node *gram_as_type(gram_tracer *t, gram_node *node, gram_type type);
/* "a matrix of 64 x n", "nil", "the string \"n\"": what is there, for a message. */
const char *gram_describe(gram_tracer *t, int index);

/* An operand of a scalar operation: a plain number (node NULL), a matrix or a symbol. */
typedef struct gram_operand {
    gram_node *node;
    double number;
    bool integer, symbol;
    int entry;
} gram_operand;
bool gram_is_one_by_one(const gram_node *node);
/* What is at stack position index; fails, naming `what` is being done, where it is none. */
gram_operand gram_read_operand(gram_tracer *t, int index, const char *what);
/* The operand as a node of the type that an operation's letter (R, I, B) asks for. */
gram_node *gram_operand_node(gram_tracer *t, const gram_operand *o, char letter);
/* In a formula a whole matrix has no meaning; one number may be used as it is. */
void gram_refuse_bare_matrices(gram_tracer *t, const gram_operand *operands, int n);
/* Pushes what was computed from operands: a symbol where one is among them, and every predicate of a formula. */
int gram_push_result(gram_tracer *t, gram_node *node, const gram_operand *operands, int n);

/* trace_matrix.c */
void gram_matrix_open(gram_tracer *t);
extern const gram_binding gram_matrix_bindings[];

/* trace_formula.c */
void gram_formula_open(gram_tracer *t);
extern const gram_binding gram_formula_bindings[];

/* trace_scan.c */
/* Fails where an output is made of what stands for a scan's state or column, outside of that scan's function. */
void gram_check_inside_scan(gram_tracer *t, const gram_output *output);
extern const gram_binding gram_scan_bindings[];

/* trace_declare.c */
extern const gram_binding gram_declare_bindings[];
/* The size at stack position index: a number, a name, size("n") or a sum of those. */
gram_dim gram_check_dim(gram_tracer *t, int index, const char *what);
/* A whole number from low to high; fails naming `what`. */
int64_t gram_check_integer(gram_tracer *t, int index, int64_t low, int64_t high, const char *what);
/* Is the name among these words, each between spaces? */
bool gram_is_listed(const char *words, const char *name);
/* The C name at stack position index; fails for no name, and for C's and C++'s own. */
const char *gram_check_name(gram_tracer *t, int index, const char *what);
const gram_input *gram_find_input(const gram_spec *spec, const char *name);
/* What a name already means, or NULL. */
const char *gram_meaning(gram_tracer *t, const char *name);
/* Fails where the name means something already. */
void gram_claim_name(gram_tracer *t, const char *name, const char *what);
/* The checks that can only be made when the spec has ended. */
void gram_declare_finish(gram_tracer *t);

/* trace_kernel.c */
extern const gram_binding gram_kernel_bindings[];

#endif
