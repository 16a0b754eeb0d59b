/* map, keep and pairs_of: a function of the spec is called once, with symbols, and what it returns is the formula.
 *
 * A symbol is a node that broadcasts: the entry a is the matrix A itself, the index i a column 0, 1, 2, ..., j a row.
 * Lua decides `and`, `or`, `not`, `if` and `==` without asking a symbol. So every symbol made is noted with those it
 * was made from, and one that does not lead to the result was swallowed: that is an error on its line. */
#include <lauxlib.h>
#include <string.h>

#include "trace.h"

/* What a formula is traced for. */
typedef struct frame {
    const char *what; /* "map": for messages */
    gram_dim rows, cols;
    int heads;
    bool batched;
    gram_formula formula;
} frame;

static void join_dim(gram_tracer *t, const char *what, gram_dim *joined, gram_dim dim)
{
    if (!gram_dim_is(*joined, 1) && !gram_dim_is(dim, 1) && !gram_dim_meets(*joined, dim))
        gram_fail(t->ctx, gram_here(t), "%s: the matrices' sizes %s and %s differ", what,
                  gram_dim_text(t->ctx, *joined), gram_dim_text(t->ctx, dim));
    if (gram_dim_is(*joined, 1) || (gram_dim_is_sum(*joined) && !gram_dim_is(dim, 1)))
        *joined = dim;
}

static void join_operand(gram_tracer *t, frame *f, const gram_node *node)
{
    join_dim(t, f->what, &f->rows, node->rows);
    join_dim(t, f->what, &f->cols, node->cols);
    if (f->heads && node->heads && f->heads % node->heads != 0 && node->heads % f->heads != 0)
        gram_fail(t->ctx, gram_here(t), "%s: %d heads and %d heads do not meet: one must divide the other", f->what,
                  f->heads, node->heads);
    f->heads = node->heads > f->heads ? node->heads : f->heads;
    f->batched = f->batched || node->batched;
}

/* ---- calling ---- */

static void open_formula(gram_tracer *t, frame *f)
{
    f->formula.outer = t->formula;
    f->formula.id = ++t->formulas;
    t->formula = &f->formula;
    t->line = 0;
    gram_watch(t);
}

static void close_formula(gram_tracer *t, frame *f)
{
    t->formula = f->formula.outer;
    gram_watch(t);
}

static void push_argument(gram_tracer *t, gram_node *node)
{
    gram_push_value(t, (gram_value){.flavour = GRAM_SYMBOL, .node = node, .formula = t->formula->id, .entry = -1});
}

static void push_index(gram_tracer *t, gram_op op, const gram_node *like)
{
    push_argument(t, gram_node_make(t->ctx, gram_here(t), op, 0, NULL, like));
}

/* A number where it is known: a formula may then compute with it in Lua. */
static void push_size(gram_tracer *t, gram_dim dim)
{
    if (gram_dim_known(dim))
        lua_pushinteger(t->lua, dim.number);
    else
        push_index(t, GRAM_OP_SIZE, &(gram_node){.dim = dim});
}

/* i, j, h, batch, rows, cols. */
static int push_indices(gram_tracer *t, const frame *f)
{
    push_index(t, GRAM_OP_ROW, &(gram_node){.rows = f->rows});
    push_index(t, GRAM_OP_COL, &(gram_node){.cols = f->cols});
    if (f->heads)
        push_index(t, GRAM_OP_HEAD, &(gram_node){.heads = f->heads});
    else
        push_argument(t, gram_node_number(t->ctx, gram_here(t), GRAM_INT, 0));
    if (f->batched)
        push_index(t, GRAM_OP_BATCH, NULL);
    else
        push_argument(t, gram_node_number(t->ctx, gram_here(t), GRAM_INT, 0));
    push_size(t, f->rows);
    push_size(t, f->cols);
    return 6;
}

static void check_function(gram_tracer *t, int index, const char *what)
{
    if (lua_type(t->lua, index) != LUA_TFUNCTION)
        gram_fail(t->ctx, gram_here(t), "%s expects a function first, got %s", what, gram_describe(t, index));
}

/* ---- the result ---- */

/* Where the formula ended: its last line, for a result that is no symbol and so has no line. */
static gram_loc end_of_formula(gram_tracer *t)
{
    gram_loc here = gram_here(t);
    if (t->line > 0)
        here.line = t->line;
    return here;
}

/* Marks what the result was made from; users come after what they use. */
static void mark_used(gram_formula *formula, int result)
{
    if (result >= 0)
        formula->entries[result].used = true;
    for (int e = formula->count - 1; e >= 0; e--)
        for (int k = 0; k < 3 && formula->entries[e].used; k++)
            if (formula->entries[e].from[k] >= 0)
                formula->entries[formula->entries[e].from[k]].used = true;
}

static const gram_symbol_entry *first_unused(const gram_formula *formula, bool predicate)
{
    for (int e = 0; e < formula->count; e++)
        if (!formula->entries[e].used && (!predicate || formula->entries[e].node->type == GRAM_BOOL))
            return &formula->entries[e];
    return NULL;
}

static void refuse_unused(gram_tracer *t, const gram_formula *formula)
{
    const gram_symbol_entry *lost = first_unused(formula, true);
    if (lost)
        gram_fail(t->ctx, lost->loc,
                  "the predicate %s is computed here but missing from the formula's result: Lua's and, or, "
                  "not, if and == do not see symbols; & | ~ and where do",
                  gram_node_text(t->ctx, lost->node));
    lost = first_unused(formula, false);
    if (lost)
        gram_fail(t->ctx, lost->loc,
                  "%s is computed here but not used in the formula's result: Lua's and, or, not, if and == "
                  "do not see symbols; eq, where, & | ~ do",
                  gram_node_text(t->ctx, lost->node));
}

static gram_node *number_result(gram_tracer *t, lua_State *lua)
{
    gram_type type = lua_isinteger(lua, -1) ? GRAM_INT : GRAM_REAL;
    return gram_node_number(t->ctx, gram_here(t), type, lua_tonumber(lua, -1));
}

/* The formula on top of the stack as a node; takes it off. */
static gram_node *take_result(gram_tracer *t, lua_State *lua, frame *f)
{
    gram_value *value = gram_to_value(lua, -1);
    gram_loc end = end_of_formula(t);
    gram_node *node = value ? value->node : NULL;
    if (lua_isboolean(lua, -1))
        gram_fail(t->ctx, end,
                  "%s: the formula gives a plain boolean: Lua's ==, and, or, not do not see symbols; "
                  "eq ne lt le gt ge, & | ~ do",
                  f->what);
    if (lua_type(lua, -1) == LUA_TNUMBER)
        node = number_result(t, lua);
    if (!node || (value && value->flavour == GRAM_TOKEN))
        gram_fail(t->ctx, end, "%s: the formula gives %s, not a number", f->what, gram_describe(t, -1));
    if (value && value->flavour == GRAM_SYMBOL && value->formula != f->formula.id)
        gram_fail(t->ctx, end, "%s: the formula gives a symbol of another formula", f->what);
    if (value && value->flavour == GRAM_MATRIX_VALUE && !(gram_dim_is(node->rows, 1) && gram_dim_is(node->cols, 1)))
        gram_fail(t->ctx, end, "%s: the formula gives %s: an entry of it is read, as in A(i, j)", f->what,
                  gram_describe(t, -1));
    mark_used(&f->formula, value && value->flavour == GRAM_SYMBOL ? value->entry : -1);
    refuse_unused(t, &f->formula);
    lua_pop(lua, 1);
    return node;
}

/* ---- or ---- */

static int next_predicate(const gram_formula *formula, int e)
{
    while (e < formula->count && formula->entries[e].node->type != GRAM_BOOL)
        e++;
    return e;
}

static int count_predicates(const gram_formula *formula)
{
    int n = 0;
    for (int e = next_predicate(formula, 0); e < formula->count; e = next_predicate(formula, e + 1))
        n++;
    return n;
}

/* The first predicate of the second run that the first has not; NULL where it has no more of them. */
static const gram_symbol_entry *extra_predicate(const gram_formula *first, const gram_formula *second)
{
    if (count_predicates(second) <= count_predicates(first))
        return NULL;
    int a = next_predicate(first, 0), b = next_predicate(second, 0);
    while (a < first->count && b < second->count && /* NOLINTNEXTLINE(*NullDereference): there are entries, then */
           first->entries[a].loc.line == second->entries[b].loc.line &&
           first->entries[a].node->op == second->entries[b].node->op) {
        a = next_predicate(first, a + 1);
        b = next_predicate(second, b + 1);
    }
    return &second->entries[b];
}

/* Runs the function below nargs arguments once more, its predicates being plain false; what it declares is forgotten
 * and its errors do not count. */
static gram_formula shadow_run(gram_tracer *t, lua_State *lua, frame *f, int nargs)
{
    gram_formula first = f->formula, second;
    gram_spec spec = *t->spec;
    jmp_buf *const outer = t->ctx->catch_;
    f->formula.entries = NULL;
    f->formula.count = f->formula.capacity = 0;
    t->shadow = true;
    gram_shadow_booleans(t, true);
    int status = lua_pcall(lua, nargs, 1, 0);
    gram_shadow_booleans(t, false);
    t->shadow = false;
    t->ctx->catch_ = outer;
    t->formula = &f->formula;
    *t->spec = spec;
    if (t->exhausted || status == LUA_ERRMEM)
        lua_error(lua);
    lua_pop(lua, 1);
    second = f->formula;
    f->formula = first;
    return second;
}

/* Of `p or q` Lua computes p only, which is true as all symbols are, so that q leaves no trace: it shows where p is
 * false. */
static void refuse_or(gram_tracer *t, lua_State *lua, frame *f, int nargs)
{
    if (!t->mentions_or || t->shadow || count_predicates(&f->formula) == 0) {
        lua_pop(lua, nargs + 1);
        return;
    }
    gram_formula second = shadow_run(t, lua, f, nargs);
    const gram_symbol_entry *lost = extra_predicate(&f->formula, &second);
    if (lost)
        gram_fail(t->ctx, lost->loc,
                  "the predicate %s is never computed, because Lua's or does not see symbols: | joins "
                  "predicates",
                  gram_node_text(t->ctx, lost->node));
}

/* Calls the function below nargs arguments on the stack. */
static gram_node *call_formula(gram_tracer *t, lua_State *lua, frame *f, int nargs)
{
    int function = lua_gettop(lua) - nargs;
    luaL_checkstack(lua, nargs + 1, "a formula of too many matrices");
    for (int k = 0; k <= nargs; k++)
        lua_pushvalue(lua, function + k);
    lua_call(lua, nargs, 1);
    gram_node *node = take_result(t, lua, f);
    refuse_or(t, lua, f, nargs);
    close_formula(t, f);
    return node;
}

/* ---- map ---- */

/* Is p one of the predicates that keep is joined from? */
static bool is_joined(const gram_node *keep, const gram_node *p)
{
    while (keep && keep != p && keep->op == GRAM_OP_AND && keep->args[1] != p)
        keep = keep->args[0];
    return keep == p || (keep && keep->op == GRAM_OP_AND);
}

/* The formula's value in the operands' full shape; what was dropped in an operand is dropped in it, read or not. */
static gram_node *whole_matrix(gram_tracer *t, const frame *f, gram_node *node, gram_node *const *operands, int n)
{
    if (node->type == GRAM_BOOL)
        gram_fail(t->ctx, end_of_formula(t),
                  "%s: the formula gives the predicate %s: where(p, 1, 0) makes a number of it", f->what,
                  gram_node_text(t->ctx, node));
    node = gram_node_expand(t->ctx, gram_here(t), node, f->rows, f->cols);
    for (int k = 0; k < n; k++)
        if (operands[k]->keep && !is_joined(node->keep, operands[k]->keep))
            node = gram_node_binary(t->ctx, gram_here(t), GRAM_OP_KEEP, node, operands[k]->keep);
    return node;
}

static gram_node *map_operand(gram_tracer *t, lua_State *lua, int index)
{
    if (lua_type(lua, index) == LUA_TNUMBER)
        return gram_node_number(t->ctx, gram_here(t), GRAM_REAL, lua_tonumber(lua, index));
    return gram_check_matrix(t, index, "map");
}

/* map(f, A, B, ...): f(a, b, ..., i, j, h, batch, rows, cols); a built-in gets the entries only. */
static int map(gram_tracer *t, lua_State *lua)
{
    int n = lua_gettop(lua) - 1;
    frame f = {.what = "map", .rows = gram_dim_number(1), .cols = gram_dim_number(1)};
    check_function(t, 1, "map");
    if (n < 1)
        gram_fail(t->ctx, gram_here(t), "map expects a matrix after the function");
    gram_node **operands = gram_alloc(t->ctx, (size_t)n * sizeof *operands);
    for (int k = 0; k < n; k++) {
        operands[k] = map_operand(t, lua, 2 + k);
        join_operand(t, &f, operands[k]);
    }
    luaL_checkstack(lua, n + 8, "map of too many matrices");
    open_formula(t, &f);
    lua_pushvalue(lua, 1);
    for (int k = 0; k < n; k++)
        push_argument(t, operands[k]);
    gram_node *node = call_formula(t, lua, &f, n + (lua_iscfunction(lua, 1) ? 0 : push_indices(t, &f)));
    gram_push_matrix(t, whole_matrix(t, &f, node, operands, n));
    return 1;
}

/* ---- keep ---- */

/* keep(pred, A): pred(i, j, h, batch, rows, cols). */
static int keep(gram_tracer *t, lua_State *lua)
{
    frame f = {.what = "keep", .rows = gram_dim_number(1), .cols = gram_dim_number(1)};
    check_function(t, 1, "keep");
    gram_node *a = gram_check_matrix(t, 2, "keep");
    if (lua_gettop(lua) > 2)
        gram_fail(t->ctx, gram_here(t), "keep expects a function and a matrix: %s is one too many",
                  gram_describe(t, 3));
    join_operand(t, &f, a);
    open_formula(t, &f);
    lua_pushvalue(lua, 1);
    gram_node *predicate = call_formula(t, lua, &f, push_indices(t, &f));
    if (predicate->type != GRAM_BOOL)
        gram_fail(t->ctx, end_of_formula(t), "keep: %s is a number, not a predicate: lt le gt ge eq ne make one",
                  gram_node_text(t->ctx, predicate));
    gram_push_matrix(t, gram_node_binary(t->ctx, gram_here(t), GRAM_OP_KEEP, a, predicate));
    return 1;
}

/* ---- pairs_of ---- */

static gram_node *real_matrix(gram_tracer *t, int index, const char *what)
{
    return gram_as_type(t, gram_check_matrix(t, index, what), GRAM_REAL);
}

static void push_token(gram_tracer *t, gram_node *tokens, gram_role role)
{
    gram_push_value(
        t, (gram_value){.flavour = GRAM_TOKEN, .node = tokens, .formula = t->formula->id, .entry = -1, .role = role});
}

/* pairs_of(f, Z, X, A, ...): f(z, x, a, ..., i, j, h, batch, rows, cols) for each column z of Z and x of X, and the
 * entry a of a pair matrix A. */
static int pairs_of(gram_tracer *t, lua_State *lua)
{
    int n = lua_gettop(lua) > 3 ? lua_gettop(lua) - 3 : 0;
    check_function(t, 1, "pairs_of");
    gram_node *z = real_matrix(t, 2, "pairs_of"), *x = real_matrix(t, 3, "pairs_of");
    frame f = {.what = "pairs_of", .rows = z->cols, .cols = x->cols, .batched = z->batched || x->batched};
    if (!gram_dim_meets(z->rows, x->rows))
        gram_fail(t->ctx, gram_here(t), "pairs_of: tokens of size %s and %s", gram_dim_text(t->ctx, z->rows),
                  gram_dim_text(t->ctx, x->rows));
    f.heads = z->heads > x->heads ? z->heads : x->heads;
    gram_node **operands = gram_alloc(t->ctx, (size_t)n * sizeof *operands + 1);
    for (int k = 0; k < n; k++) {
        operands[k] = gram_check_matrix(t, 4 + k, "pairs_of");
        join_operand(t, &f, operands[k]);
    }
    luaL_checkstack(lua, n + 12, "pairs_of too many matrices");
    open_formula(t, &f);
    lua_pushvalue(lua, 1);
    push_token(t, z, GRAM_OF_ROWS);
    push_token(t, x, GRAM_OF_COLS);
    for (int k = 0; k < n; k++)
        push_argument(t, operands[k]);
    gram_node *node = call_formula(t, lua, &f, 2 + n + push_indices(t, &f));
    gram_push_matrix(t, whole_matrix(t, &f, node, operands, n));
    return 1;
}

/* The terms (k, i) that count for column j: k neither i nor j. */
static gram_node *other_tokens(gram_tracer *t, gram_node *terms, gram_dim n, gram_node *loop)
{
    gram_loc here = gram_here(t);
    gram_node one = {.type = GRAM_INT, .rows = n, .cols = gram_dim_number(1)},
              row = {.type = GRAM_INT, .rows = gram_dim_number(1), .cols = n};
    gram_node *k = gram_node_make(t->ctx, here, GRAM_OP_ROW, 0, NULL, &one);
    gram_node *i = gram_node_make(t->ctx, here, GRAM_OP_COL, 0, NULL, &row);
    gram_node *apart = gram_node_binary(t->ctx, here, GRAM_OP_AND, gram_node_binary(t->ctx, here, GRAM_OP_INE, k, i),
                                        gram_node_binary(t->ctx, here, GRAM_OP_INE, k, loop));
    return gram_node_binary(t->ctx, here, GRAM_OP_KEEP, terms, apart);
}

/* triples_of(f, Y): the sum over k of f(yk, yi, yj), k neither i nor j, as row i and column j. */
static int triples_of(gram_tracer *t, lua_State *lua)
{
    check_function(t, 1, "triples_of");
    gram_loc here = gram_here(t);
    gram_node *y = real_matrix(t, 2, "triples_of"), like = {.cols = y->cols};
    gram_node *loop = gram_node_make(t->ctx, here, GRAM_OP_LOOP, 0, NULL, &like);
    frame f = {.what = "triples_of", .rows = y->cols, .cols = y->cols, .batched = y->batched, .heads = y->heads};
    luaL_checkstack(lua, 16, "triples_of");
    open_formula(t, &f);
    lua_pushvalue(lua, 1);
    push_token(t, y, GRAM_OF_ROWS);
    push_token(t, y, GRAM_OF_COLS);
    push_token(t, y, GRAM_OF_LOOP);
    gram_node *terms = whole_matrix(t, &f, call_formula(t, lua, &f, 3), NULL, 0);
    gram_node *sum = gram_node_unary(t->ctx, here, GRAM_OP_SUM, other_tokens(t, terms, y->cols, loop));
    gram_node *column = gram_node_unary(t->ctx, here, GRAM_OP_TRANSPOSE, sum);
    gram_push_matrix(t, gram_node_make(t->ctx, here, GRAM_OP_OVER, 1, &column, &like));
    return 1;
}

static const gram_value *check_token(gram_tracer *t, int index, const char *what)
{
    const gram_value *value = gram_to_value(t->lua, index);
    if (!value || value->flavour != GRAM_TOKEN)
        gram_fail(t->ctx, gram_here(t), "%s expects tokens, as pairs_of gives them, got %s", what,
                  gram_describe(t, index));
    if (!t->formula || value->formula != t->formula->id)
        gram_fail(t->ctx, gram_here(t), "%s: the token belongs to another formula", what);
    return value;
}

/* Column j of a matrix, j being the column that an OVER makes. */
static gram_node *column_of_loop(gram_tracer *t, gram_node *a)
{
    gram_node rows = {.type = GRAM_INT, .rows = a->rows, .cols = gram_dim_number(1)}, cols = {.cols = a->cols};
    gram_node *i = gram_dim_is(a->rows, 1) ? gram_node_number(t->ctx, gram_here(t), GRAM_INT, 0)
                                           : gram_node_make(t->ctx, gram_here(t), GRAM_OP_ROW, 0, NULL, &rows);
    gram_node *j = gram_node_make(t->ctx, gram_here(t), GRAM_OP_LOOP, 0, NULL, &cols);
    return gram_node_ternary(t->ctx, gram_here(t), GRAM_OP_GATHER, a, i, j);
}

/* Pushes a value per token, a row over their columns, as the token's index stands: of a row, a column or the loop. */
static int push_per_token(gram_tracer *t, gram_node *row, gram_role role)
{
    if (role == GRAM_OF_ROWS)
        row = gram_node_unary(t->ctx, gram_here(t), GRAM_OP_TRANSPOSE, row);
    else if (role == GRAM_OF_LOOP)
        row = column_of_loop(t, row);
    gram_push_symbol(t, row, (int[3]){-1, -1, -1});
    return 1;
}

/* The entries whose sum down a column is a pair operation of two tokens of one index. */
static gram_node *pair_terms(gram_tracer *t, gram_op op, gram_node *a, gram_node *b)
{
    gram_loc here = gram_here(t);
    if (op == GRAM_OP_MATMUL)
        return gram_node_binary(t->ctx, here, GRAM_OP_MUL, a, b);
    gram_node *d = gram_node_binary(t->ctx, here, GRAM_OP_SUB, a, b);
    return op == GRAM_OP_SQDIST ? gram_node_binary(t->ctx, here, GRAM_OP_MUL, d, d)
                                : gram_node_unary(t->ctx, here, GRAM_OP_ABS, d);
}

/* The operation of every pair of columns, as the two tokens' indices stand, z's before x's among rows, columns, loop. */
static gram_node *pair_of(gram_tracer *t, gram_op op, const gram_value *z, const gram_value *x)
{
    gram_loc here = gram_here(t);
    gram_node *left = op == GRAM_OP_MATMUL ? gram_node_unary(t->ctx, here, GRAM_OP_TRANSPOSE, z->node) : z->node;
    gram_node *pairs = gram_node_binary(t->ctx, here, op, left, x->node);
    gram_node *picked = x->role == GRAM_OF_LOOP ? column_of_loop(t, pairs) : pairs;
    return z->role == GRAM_OF_COLS ? gram_node_unary(t->ctx, here, GRAM_OP_TRANSPOSE, picked) : picked;
}

/* token_pair(a, b, which): "sqdist", "dist1", else <a, b>. */
static int token_pair(gram_tracer *t, lua_State *lua)
{
    const char *which = luaL_checkstring(lua, 3);
    const gram_value *a = check_token(t, 1, which), *b = check_token(t, 2, which);
    gram_loc here = gram_here(t);
    gram_op op = strcmp(which, "sqdist") == 0  ? GRAM_OP_SQDIST
                 : strcmp(which, "dist1") == 0 ? GRAM_OP_DIST1
                                               : GRAM_OP_MATMUL;
    if (!gram_dim_meets(a->node->rows, b->node->rows))
        gram_fail(t->ctx, here, "%s: tokens of size %s and %s", which, gram_dim_text(t->ctx, a->node->rows),
                  gram_dim_text(t->ctx, b->node->rows));
    if (a->role == b->role) {
        gram_node *terms = pair_terms(t, op, a->node, b->node);
        return push_per_token(t, gram_node_unary(t->ctx, here, GRAM_OP_SUM, terms), a->role);
    }
    gram_push_symbol(t, pair_of(t, op, a->role < b->role ? a : b, a->role < b->role ? b : a), (int[3]){-1, -1, -1});
    return 1;
}

/* z[p]: the token's p-th number, from 0. */
static int token_entry(gram_tracer *t, lua_State *lua)
{
    (void)lua;
    const gram_value *token = check_token(t, 1, "z[p]");
    int64_t p = gram_check_integer(t, 2, 0, INT32_MAX, "p in z[p]");
    gram_node like = {.rows = gram_dim_number(1), .dim = gram_dim_number(p)};
    gram_node *tokens = token->node;
    return push_per_token(t, gram_node_make(t->ctx, gram_here(t), GRAM_OP_ROWS, 1, &tokens, &like), token->role);
}

static const gram_binding token_events[] = {{"__index", token_entry}, {NULL, NULL}};

void gram_formula_open(gram_tracer *t)
{
    luaL_getmetatable(t->lua, "token");
    gram_set_builtins(t, token_events);
    lua_pop(t->lua, 1);
}

const gram_binding gram_formula_bindings[] = {
    {"map", map}, {"keep", keep}, {"pairs_of", pairs_of}, {"triples_of", triples_of}, {"token_pair", token_pair},
    {NULL, NULL},
};
