/* Matrices and symbols as Lua sees them. Every operator and scalar function comes here as a family: a row of ops.def
 * and its integer twin, if it has one. On plain numbers it computes, on matrices it makes an elementwise node, on
 * symbols the same node, noted in the running formula. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "../runtime/doubles.h"
#include "trace.h"

/* ---- values ---- */

static const char *const flavours[] = {
    [GRAM_MATRIX_VALUE] = "matrix", [GRAM_SYMBOL] = "symbol", [GRAM_TOKEN] = "token"};

void gram_push_value(gram_tracer *t, gram_value value)
{
    gram_value *box = lua_newuserdatauv(t->lua, sizeof *box, 0);
    *box = value;
    box->serial = ++t->values;
    luaL_setmetatable(t->lua, flavours[value.flavour]);
}

void gram_push_matrix(gram_tracer *t, gram_node *node)
{
    gram_push_value(t, (gram_value){.flavour = GRAM_MATRIX_VALUE, .node = node, .entry = -1});
}

gram_value *gram_to_value(lua_State *lua, int index)
{
    for (int flavour = GRAM_MATRIX_VALUE; flavour <= GRAM_TOKEN; flavour++) {
        gram_value *value = luaL_testudata(lua, index, flavours[flavour]);
        if (value)
            return value;
    }
    return NULL;
}

bool gram_is_one_by_one(const gram_node *node)
{
    return gram_dim_is(node->rows, 1) && gram_dim_is(node->cols, 1);
}

const char *gram_describe(gram_tracer *t, int index)
{
    lua_State *lua = t->lua;
    gram_value *value = gram_to_value(lua, index);
    if (value && value->flavour == GRAM_MATRIX_VALUE)
        return gram_format(t->ctx, "%s, a matrix of %s", gram_node_text(t->ctx, value->node),
                           gram_shape_text(t->ctx, value->node));
    if (value)
        return gram_format(t->ctx, "the %s %s", flavours[value->flavour], gram_node_text(t->ctx, value->node));
    if (lua_type(lua, index) == LUA_TSTRING)
        return gram_format(t->ctx, "the string \"%.100s\"", lua_tostring(lua, index));
    if (lua_isinteger(lua, index))
        return gram_format(t->ctx, "the number %lld", lua_tointeger(lua, index));
    if (lua_type(lua, index) == LUA_TNUMBER)
        return gram_format(t->ctx, "the number %g", lua_tonumber(lua, index));
    return lua_isnil(lua, index)    ? "nil"
           : lua_isnone(lua, index) ? "nothing"
                                    : gram_format(t->ctx, "a %s", luaL_typename(lua, index));
}

gram_node *gram_check_matrix(gram_tracer *t, int index, const char *what)
{
    gram_value *value = gram_to_value(t->lua, index);
    if (!value || value->flavour != GRAM_MATRIX_VALUE)
        gram_fail(t->ctx, gram_here(t), "%s expects a matrix, got %s", what, gram_describe(t, index));
    return value->node;
}

gram_node *gram_as_type(gram_tracer *t, gram_node *node, gram_type type)
{
    static const gram_op conversions[] = {[GRAM_REAL] = GRAM_OP_REAL, [GRAM_INT] = GRAM_OP_INT};
    if (node->type == type)
        return node;
    if (node->type == GRAM_BOOL)
        gram_fail(t->ctx, gram_here(t), "%s is a predicate, not a number: where(p, 1, 0) makes a number of it",
                  gram_node_text(t->ctx, node));
    if (type == GRAM_BOOL)
        gram_fail(t->ctx, gram_here(t), "%s is a number, not a predicate: lt le gt ge eq ne make one",
                  gram_node_text(t->ctx, node));
    return gram_node_unary(t->ctx, gram_here(t), conversions[type], node);
}

void gram_push_symbol(gram_tracer *t, gram_node *node, const int from[3])
{
    gram_formula *formula = t->formula;
    if (formula->count == formula->capacity) {
        formula->capacity = formula->capacity ? 2 * formula->capacity : 16;
        gram_symbol_entry *grown = gram_alloc(t->ctx, (size_t)formula->capacity * sizeof *grown);
        if (formula->count)
            memcpy(grown, formula->entries, (size_t)formula->count * sizeof *grown);
        formula->entries = grown;
    }
    int entry = formula->count++;
    formula->entries[entry] = (gram_symbol_entry){gram_here(t), node, {from[0], from[1], from[2]}, false};
    gram_push_value(t, (gram_value){.flavour = GRAM_SYMBOL, .node = node, .formula = formula->id, .entry = entry});
}

/* ---- operands ---- */

static gram_operand value_operand(gram_tracer *t, const gram_value *value, const char *what)
{
    if (value->flavour == GRAM_TOKEN)
        gram_fail(t->ctx, gram_here(t), "%s expects a number, got a whole token: dot, sqnorm or z[p] make one of it",
                  what);
    bool symbol = value->flavour == GRAM_SYMBOL;
    if (symbol && (!t->formula || value->formula != t->formula->id))
        gram_fail(t->ctx, gram_here(t), "%s: the symbol %s belongs to another formula", what,
                  gram_node_text(t->ctx, value->node));
    return (gram_operand){value->node, 0, value->node->type == GRAM_INT, symbol, value->entry};
}

static gram_node *always_true(gram_tracer *t)
{
    gram_node *zero = gram_node_number(t->ctx, gram_here(t), GRAM_INT, 0);
    return gram_node_binary(t->ctx, gram_here(t), GRAM_OP_IEQ, zero, zero);
}

gram_operand gram_read_operand(gram_tracer *t, int index, const char *what)
{
    lua_State *lua = t->lua;
    gram_value *value = gram_to_value(lua, index);
    if (value)
        return value_operand(t, value, what);
    if (lua_type(lua, index) == LUA_TNUMBER)
        return (gram_operand){.number = lua_tonumber(lua, index), .integer = lua_isinteger(lua, index), .entry = -1};
    if (lua_type(lua, index) == LUA_TSTRING)
        gram_fail(t->ctx, gram_here(t), "%s: \"%.100s\" is a string: size(\"%.100s\") is the runtime size as a number",
                  what, lua_tostring(lua, index), lua_tostring(lua, index));
    if (lua_isboolean(lua, index) && t->shadow)
        return (gram_operand){.node = always_true(t), .symbol = true, .entry = -1};
    if (lua_isboolean(lua, index))
        gram_fail(t->ctx, gram_here(t), "%s: a plain boolean, as == gives: predicates are made by eq ne lt le gt ge",
                  what);
    gram_fail(t->ctx, gram_here(t), "%s expects a number, a matrix or a symbol, got %s", what, gram_describe(t, index));
}

gram_node *gram_operand_node(gram_tracer *t, const gram_operand *o, char letter)
{
    gram_type type = letter == 'R' ? GRAM_REAL : letter == 'I' ? GRAM_INT : GRAM_BOOL;
    if (o->node)
        return gram_as_type(t, o->node, type);
    if (type == GRAM_BOOL)
        gram_fail(t->ctx, gram_here(t), "%g is a number, not a predicate: lt le gt ge eq ne make one", o->number);
    if (type == GRAM_INT && fabs(o->number) > INT32_MAX)
        gram_fail(t->ctx, gram_here(t), "%.17g does not fit an integer of 32 bits", o->number);
    return gram_node_number(t->ctx, gram_here(t), type, o->number);
}

void gram_refuse_bare_matrices(gram_tracer *t, const gram_operand *operands, int n)
{
    bool symbols = false;
    for (int k = 0; k < n; k++)
        symbols = symbols || operands[k].symbol;
    for (int k = 0; k < n && symbols; k++)
        if (operands[k].node && !operands[k].symbol && !gram_is_one_by_one(operands[k].node))
            gram_fail(t->ctx, gram_here(t),
                      "%s is a matrix of %s: inside a formula an entry of it is read, as in A(i, j)",
                      gram_node_text(t->ctx, operands[k].node), gram_shape_text(t->ctx, operands[k].node));
}

int gram_push_result(gram_tracer *t, gram_node *node, const gram_operand *operands, int n)
{
    int from[3] = {-1, -1, -1};
    bool symbol = t->formula && node->type == GRAM_BOOL;
    for (int k = 0; k < n; k++) {
        from[k] = operands[k].entry;
        symbol = symbol || operands[k].symbol;
    }
    if (symbol)
        gram_push_symbol(t, node, from);
    else
        gram_push_matrix(t, node);
    if (symbol && t->shadow && node->type == GRAM_BOOL)
        lua_pushboolean(t->lua, false);
    return 1;
}

/* ---- families of scalar operations ---- */

typedef struct family {
    const char *name;
    const char *label; /* in messages: "+", "tanh" */
    gram_op real;
    gram_op twin; /* the same on integers, or 0 */
} family;

#define OP(id, name, result, operands, vector, reference, range, ...) \
    static double number_##name(double a, double b, double c) \
    { \
        (void)b, (void)c; \
        return reference; \
    }
#include "../runtime/ops.def"
#undef OP

static double (*const number_functions[GRAM_OP_COUNT])(double a, double b, double c) = {
#define OP(id, name, result, operands, vector, reference, range, ...) [GRAM_OP_##id] = number_##name,
#include "../runtime/ops.def"
#undef OP
};

static bool rounds(gram_op op)
{
    return op == GRAM_OP_FLOOR || op == GRAM_OP_CEIL || op == GRAM_OP_ROUND;
}

static int push_number(gram_tracer *t, gram_op op, const gram_operand *operands, int n)
{
    double x[3] = {0};
    for (int k = 0; k < n; k++)
        x[k] = operands[k].number;
    double result = number_functions[op](x[0], x[1], x[2]);
    if ((gram_ops[op].result == GRAM_INT || rounds(op)) && fabs(result) < 0x1p53)
        lua_pushinteger(t->lua, (lua_Integer)result);
    else
        lua_pushnumber(t->lua, result);
    return 1;
}

/* The integer twin serves where all its number operands are integers. */
static gram_op choose_op(const family *f, const gram_operand *operands, int n)
{
    bool integers = f->twin != 0;
    for (int k = 0; k < n; k++)
        integers = integers && (operands[k].integer || gram_ops[f->real].operands[k] == 'B');
    return integers ? f->twin : f->real;
}

/* Applies a family to n values on the stack from `first` on; pushes the result. */
static int apply(gram_tracer *t, const family *f, int first, int n)
{
    gram_operand operands[3] = {0};
    gram_node *args[3];
    bool plain = true;
    for (int k = 0; k < n; k++) {
        operands[k] = gram_read_operand(t, first + k, f->label);
        plain = plain && !operands[k].node;
    }
    gram_op op = choose_op(f, operands, n);
    if (plain && gram_ops[op].result != GRAM_BOOL)
        return push_number(t, op, operands, n);
    if (plain && !t->formula)
        gram_fail(t->ctx, gram_here(t), "%s of plain numbers: outside formulas they are compared as in Lua", f->name);
    if (rounds(op) && operands[0].integer)
        return lua_pushvalue(t->lua, first), 1;
    gram_refuse_bare_matrices(t, operands, n);
    for (int k = 0; k < n; k++)
        args[k] = gram_operand_node(t, &operands[k], gram_ops[op].operands[k]);
    return gram_push_result(t, gram_node_make(t->ctx, gram_here(t), op, n, args, NULL), operands, n);
}

static int scalar_function(gram_tracer *t, lua_State *lua)
{
    const family *f = gram_builtin_data(lua);
    int arity = (int)strlen(gram_ops[f->real].operands), n = lua_gettop(lua);
    bool folds = f->real == GRAM_OP_MIN || f->real == GRAM_OP_MAX;
    if (folds ? n < 1 : n != arity)
        gram_fail(t->ctx, gram_here(t), "%s expects %d argument%s, got %d", f->name, arity, arity > 1 ? "s" : "", n);
    if (folds && n == 1)
        return 1;
    if (!folds)
        return apply(t, f, 1, n);
    for (; n > 1; n--) {
        apply(t, f, 1, 2);
        lua_replace(lua, 1);
        lua_remove(lua, 2);
    }
    return 1;
}

/* ---- operators ---- */

static int operator(gram_tracer *t, lua_State *lua)
{
    const family *f = gram_builtin_data(lua);
    return apply(t, f, 1, (int)strlen(gram_ops[f->real].operands)); /* unary operators are given their operand twice */
}

static bool is_matrix(gram_tracer *t, int index)
{
    gram_value *value = gram_to_value(t->lua, index);
    return value && value->flavour == GRAM_MATRIX_VALUE && !gram_is_one_by_one(value->node);
}

/* M * z: each token z of Z, times the matrix M. */
static int multiply_token(gram_tracer *t, gram_value token)
{
    gram_node *m = gram_as_type(t, gram_check_matrix(t, 1, "*"), GRAM_REAL);
    token.node = gram_node_binary(t->ctx, gram_here(t), GRAM_OP_MATMUL, m, token.node);
    gram_push_value(t, token);
    return 1;
}

/* `*`: the matrix product of two matrices, else by a number. */
static int multiply(gram_tracer *t, lua_State *lua)
{
    const gram_value *token = luaL_testudata(lua, 2, flavours[GRAM_TOKEN]);
    if (token && is_matrix(t, 1))
        return multiply_token(t, *token);
    if (!is_matrix(t, 1) || !is_matrix(t, 2))
        return operator(t, lua);
    gram_node *a = gram_as_type(t, gram_check_matrix(t, 1, "*"), GRAM_REAL);
    gram_node *b = gram_as_type(t, gram_check_matrix(t, 2, "*"), GRAM_REAL);
    gram_push_matrix(t, gram_node_binary(t->ctx, gram_here(t), GRAM_OP_MATMUL, a, b));
    return 1;
}

/* `/`: by a number; also each column or row by its own. */
static int divide(gram_tracer *t, lua_State *lua)
{
    gram_value *by = gram_to_value(lua, 2);
    if (is_matrix(t, 2) && !gram_dim_is(by->node->rows, 1) && !gram_dim_is(by->node->cols, 1))
        gram_fail(t->ctx, gram_here(t), "/ divides by a number, a row or a column, not by %s: map divides entries",
                  gram_describe(t, 2));
    return operator(t, lua);
}

/* `^ // %`: of numbers and symbols. */
static int number_operator(gram_tracer *t, lua_State *lua)
{
    const family *f = gram_builtin_data(lua);
    for (int k = 1; k <= 2; k++)
        if (is_matrix(t, k))
            gram_fail(t->ctx, gram_here(t), "%s of %s: inside map it works on entries", f->label, gram_describe(t, k));
    return operator(t, lua);
}

static int refuse_comparison(gram_tracer *t, lua_State *lua)
{
    (void)lua;
    gram_fail(t->ctx, gram_here(t), "Lua's < <= > >= do not see symbols: use lt, le, gt or ge");
}

static int refuse_equality(gram_tracer *t, lua_State *lua)
{
    (void)lua;
    gram_fail(t->ctx, gram_here(t), "Lua's == and ~= do not see symbols and matrices: use eq or ne");
}

static int value_text(gram_tracer *t, lua_State *lua)
{
    lua_pushstring(lua, gram_describe(t, 1));
    return 1;
}

/* ---- metatables and names ---- */

typedef struct operator_row {
    const char *event, *family;
    gram_binding binding;
} operator_row;

static const operator_row operators[] = {
    {"__add", "add", {"+", operator} },
     {"__sub", "sub", {"-", operator} },
      {"__unm", "neg", {"-", operator} }, {"__mul", "mul", {"*", multiply}}, {"__div", "div", {"/", divide}},
       {"__pow", "pow", {"^", number_operator}}, {"__idiv", "fdiv", {"//", number_operator}},
       {"__mod", "fmod", {"%", number_operator}},
       {"__band", "and", {"&", operator} },
        {"__bor", "or", {"|", operator} },
         {"__bnot", "not",
          {
              "~",
              operator} },
          {"__lt", NULL, {"<", refuse_comparison}}, {"__le", NULL, {"<=", refuse_comparison}},
          {"__eq", NULL, {"==", refuse_equality}}, {"__tostring", NULL, {"tostring", value_text}},
         };

/* The same operation on integers; / has none, because it always gives reals. */
static gram_op twin_of(gram_op real)
{
    static const gram_op irregular[][2] = {
        {GRAM_OP_DIV, 0}, {GRAM_OP_FDIV, GRAM_OP_IDIV}, {GRAM_OP_FMOD, GRAM_OP_IMOD}};
    for (size_t k = 0; k < sizeof irregular / sizeof *irregular; k++)
        if (irregular[k][0] == real)
            return irregular[k][1];
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++)
        if (gram_ops[op].name[0] == 'i' && strcmp(gram_ops[op].name + 1, gram_ops[real].name) == 0)
            return (gram_op)op;
    return 0;
}

static bool is_twin(const family *families, gram_op op)
{
    while (families->name && families->twin != op)
        families++;
    return families->name != NULL;
}

static const operator_row *operator_of(const char *name)
{
    for (size_t k = 0; k < sizeof operators / sizeof *operators; k++)
        if (operators[k].family && strcmp(operators[k].family, name) == 0)
            return &operators[k];
    return NULL;
}

/* Operators have no other name, and conversions happen by themselves. */
static bool is_named(const family *families, gram_op op)
{
    return !operator_of(gram_ops[op].name) && !is_twin(families, op) && op != GRAM_OP_REAL && op != GRAM_OP_INT;
}

static const gram_binding scalar_binding = {"scalar", scalar_function};

const char *gram_scalar_name(gram_tracer *t, int index)
{
    lua_State *lua = t->lua;
    const char *name = NULL;
    if (!lua_iscfunction(lua, index) || !lua_getupvalue(lua, index, 1))
        return NULL;
    if (lua_touserdata(lua, -1) == &scalar_binding && lua_getupvalue(lua, index, 2)) {
        name = ((const family *)lua_touserdata(lua, -1))->name;
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return name;
}

static const family *find_family(const family *families, const char *name)
{
    while (families->name && strcmp(families->name, name) != 0)
        families++;
    return families->name ? families : NULL;
}

static void set_operators(gram_tracer *t, const family *families)
{
    for (size_t k = 0; k < sizeof operators / sizeof *operators; k++) {
        const operator_row *row = &operators[k];
        gram_push_builtin(t, &row->binding, row->family ? find_family(families, row->family) : NULL);
        lua_setfield(t->lua, -2, row->event);
    }
}

void gram_shadow_booleans(gram_tracer *t, bool on)
{
    lua_pushboolean(t->lua, false);
    if (on)
        luaL_getmetatable(t->lua, "shadow");
    else
        lua_pushnil(t->lua);
    lua_setmetatable(t->lua, -2);
    lua_pop(t->lua, 1);
}

void gram_value_open(gram_tracer *t)
{
    family *families = gram_alloc(t->ctx, (GRAM_OP_COUNT + 1) * sizeof *families);
    int n = 0;
    for (int op = GRAM_OP_FIRST_SCALAR; op < GRAM_OP_COUNT; op++) {
        const operator_row *row = operator_of(gram_ops[op].name);
        const char *name = gram_ops[op].name;
        families[n++] = (family){name, row ? row->binding.name : name, (gram_op)op, twin_of((gram_op)op)};
    }
    for (int flavour = GRAM_MATRIX_VALUE; flavour <= GRAM_TOKEN; flavour++) {
        luaL_newmetatable(t->lua, flavours[flavour]);
        set_operators(t, families);
        lua_pop(t->lua, 1);
    }
    luaL_newmetatable(t->lua, "shadow");
    set_operators(t, families);
    lua_pop(t->lua, 1);
    for (int k = 0; k < n; k++)
        if (is_named(families, families[k].real)) {
            gram_push_builtin(t, &scalar_binding, &families[k]);
            lua_setglobal(t->lua, families[k].name);
        }
}
