/* Arithmetic on tensors, enough for a training script: entry by entry, with numbers and with tensors of a smaller shape
 * (axes of 1 and missing leading axes are repeated), sums, maxima, random numbers. All of it works on rows of at most
 * CHUNK entries, read as doubles and rounded once: results are f8 where an operand is f8 or a wide integer, else f4. */
#include "tensor.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 512, MOST = 3 };

/* ---- rows ---- */

/* What is done to a row: a[i] becomes something of a[i] and b[i]. */
typedef void row_function(double *a, const double *b, int64_t count);

#define BINARY(name, expression) \
    static void name##_row(double *a, const double *b, int64_t count) \
    { \
        for (int64_t i = 0; i < count; i++) \
            a[i] = (expression); \
    }
#define UNARY(name, expression) \
    static void name##_row(double *a, const double *b, int64_t count) \
    { \
        (void)b; \
        for (int64_t i = 0; i < count; i++) \
            a[i] = (expression); \
    }
BINARY(add, a[i] + b[i])
BINARY(sub, a[i] - b[i])
BINARY(mul, a[i] * b[i])
BINARY(div, a[i] / b[i])
BINARY(pow, pow(a[i], b[i]))
BINARY(max, a[i] >= b[i] || isnan(a[i]) ? a[i] : b[i])
BINARY(min, a[i] <= b[i] || isnan(a[i]) ? a[i] : b[i])
UNARY(neg, -a[i])
UNARY(exp, exp(a[i]))
UNARY(log, log(a[i]))
UNARY(sqrt, sqrt(a[i]))
UNARY(tanh, tanh(a[i]))
UNARY(abs, fabs(a[i]))
UNARY(sign, (a[i] > 0) - (a[i] < 0))

/* The operands of one operation, all of one shape: repeated axes have stride 0. The first is written. */
typedef struct operands {
    lua_State *lua;
    row_function *f;
    int n;
    gram_array array[MOST];
} operands;

static gram_array row_of(const gram_array *array, char *data, int64_t count)
{
    gram_array row = {.dtype = array->dtype, .ndim = 1, .shape = {count}, .data = data};
    row.stride[0] = array->ndim ? array->stride[array->ndim - 1] : 1;
    return row;
}

/* to[0] = f(to[1], to[2]) for `count` entries of the last axis, which start at data[k]. */
static void do_row(const operands *o, char *const *data, int64_t count)
{
    double number[MOST - 1][CHUNK];
    for (int k = 1; k < o->n; k++) {
        const gram_array from = row_of(&o->array[k], data[k], count);
        const gram_array to = gram_array_dense(GRAM_F8, 1, &count, number[k - 1]);
        gram_lua_assign(o->lua, &to, &from);
    }
    o->f(number[0], number[1], count);
    const gram_array from = gram_array_dense(GRAM_F8, 1, &count, number[0]), to = row_of(&o->array[0], data[0], count);
    gram_lua_assign(o->lua, &to, &from);
}

static void do_axis(const operands *o, int axis, char *const *data)
{
    const gram_array *first = &o->array[0];
    const int last = first->ndim - 1 <= axis;
    const int64_t size = first->ndim ? first->shape[axis] : 1;
    for (int64_t i = 0; i < size; i += last ? CHUNK : 1) {
        char *part[MOST] = {NULL};
        for (int k = 0; k < o->n; k++) {
            const gram_array *array = &o->array[k];
            part[k] = data[k] + i * (array->ndim ? array->stride[axis] : 0) * (int64_t)gram_dtype_size(array->dtype);
        }
        if (last)
            do_row(o, part, size - i < CHUNK ? size - i : CHUNK);
        else
            do_axis(o, axis + 1, part);
    }
}

static void run(const operands *o)
{
    char *data[MOST] = {NULL};
    for (int k = 0; k < o->n; k++)
        data[k] = o->array[k].data;
    if (gram_array_count(o->array[0].dtype, o->array[0].ndim, o->array[0].shape) > 0)
        do_axis(o, 0, data);
}

/* ---- shapes ---- */

static gram_dtype real_of(gram_dtype dtype)
{
    const char kind = gram_dtype_kind(dtype);
    return dtype == GRAM_F8 || (strchr("iu", kind) && gram_dtype_size(dtype) > 2) ? GRAM_F8 : GRAM_F4;
}

/* The array with leading axes of 1 up to ndim. */
static gram_array with_axes(const gram_array *array, int ndim)
{
    gram_array wide = *array;
    const int missing = ndim - array->ndim;
    for (int axis = 0; axis < ndim; axis++) {
        wide.shape[axis] = axis < missing ? 1 : array->shape[axis - missing];
        wide.stride[axis] = axis < missing ? 0 : array->stride[axis - missing];
    }
    wide.ndim = ndim;
    return wide;
}

/* Both operands with one shape, axes of 1 repeated. */
static void meet(lua_State *lua, gram_array *a, gram_array *b)
{
    const int ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    *a = with_axes(a, ndim);
    *b = with_axes(b, ndim);
    for (int axis = 0; axis < ndim; axis++) {
        gram_array *const one = a->shape[axis] == 1 ? a : b, *const other = one == a ? b : a;
        if (one->shape[axis] != other->shape[axis] && one->shape[axis] != 1)
            luaL_error(lua, "the shapes do not fit: axis %d has %I and %I entries", axis + 1,
                       (lua_Integer)a->shape[axis], (lua_Integer)b->shape[axis]);
        one->stride[axis] = one->shape[axis] == 1 ? 0 : one->stride[axis];
        one->shape[axis] = other->shape[axis];
    }
}

static gram_array operand(lua_State *lua, int at, int64_t *room)
{
    gram_array number;
    return gram_lua_number(lua, at, &number, room) ? number : *gram_lua_check(lua, at);
}

/* A number takes the type of the tensor that it meets. */
static gram_dtype result_type(lua_State *lua, const gram_array *a, const gram_array *b)
{
    const int is_a = gram_lua_test(lua, 1) != NULL, is_b = gram_lua_test(lua, 2) != NULL;
    const int narrow = (is_a && real_of(a->dtype) == GRAM_F4) || (is_b && real_of(b->dtype) == GRAM_F4);
    const int wide = (is_a && real_of(a->dtype) == GRAM_F8) || (is_b && real_of(b->dtype) == GRAM_F8);
    return narrow && !wide ? GRAM_F4 : GRAM_F8;
}

static int binary(lua_State *lua, row_function *f)
{
    int64_t room[2];
    gram_array a = operand(lua, 1, &room[0]), b = operand(lua, 2, &room[1]);
    const gram_dtype dtype = result_type(lua, &a, &b);
    meet(lua, &a, &b);
    const gram_array *result = gram_lua_new(lua, dtype, a.ndim, a.shape);
    run(&(operands){lua, f, 3, {*result, a, b}});
    return 1;
}

static int unary(lua_State *lua, row_function *f)
{
    const gram_array a = *gram_lua_check(lua, 1);
    const gram_array *result = gram_lua_new(lua, real_of(a.dtype), a.ndim, a.shape);
    run(&(operands){lua, f, 2, {*result, a}});
    return 1;
}

#define EVENT(name) \
    static int name(lua_State *lua) \
    { \
        return binary(lua, name##_row); \
    }
#define METHOD(name) \
    static int name##_of(lua_State *lua) \
    { \
        return unary(lua, name##_row); \
    }
EVENT(add)
EVENT(sub)
EVENT(mul)
EVENT(div)
METHOD(neg)
METHOD(exp)
METHOD(log)
METHOD(sqrt)
METHOD(tanh)
METHOD(abs)
METHOD(sign)

static int pow_of(lua_State *lua)
{
    return binary(lua, pow_row);
}

static int maximum(lua_State *lua)
{
    return binary(lua, max_row);
}

static int minimum(lua_State *lua)
{
    return binary(lua, min_row);
}

/* t:add(u [, scale]): t = t + scale u, in place; u a tensor or a number. Returns t. */
static int add_to(lua_State *lua)
{
    int64_t room;
    const gram_array *t = gram_lua_check(lua, 1);
    lua_settop(lua, 3);
    if (!lua_isnil(lua, 3)) {
        lua_pushcfunction(lua, mul);
        lua_insert(lua, 2);
        lua_call(lua, 2, 1);
    }
    const gram_array u = operand(lua, 2, &room), wide = gram_lua_broadcast(lua, &u, t);
    run(&(operands){lua, add_row, 3, {*t, *t, wide}});
    lua_settop(lua, 1);
    return 1;
}

/* t:map(f): f of each entry. */
static int map(lua_State *lua)
{
    const gram_array *t = gram_lua_check(lua, 1);
    gram_array *numbers = gram_lua_new(lua, GRAM_F8, t->ndim, t->shape);
    const int64_t count = gram_array_count(GRAM_F8, t->ndim, t->shape);
    double *data = numbers->data;
    gram_lua_assign(lua, numbers, t);
    for (int64_t i = 0; i < count; i++) {
        lua_pushvalue(lua, 2);
        lua_pushnumber(lua, data[i]);
        lua_call(lua, 1, 1);
        data[i] = luaL_checknumber(lua, -1);
        lua_pop(lua, 1);
    }
    gram_lua_assign(lua, gram_lua_new(lua, real_of(t->dtype), t->ndim, t->shape), numbers);
    return 1;
}

/* ---- over an axis, or over all ---- */

/* The axis, or all of the entries as if they were one. */
static int fold(lua_State *lua, row_function *f, double start)
{
    const gram_array *array = gram_lua_check(lua, 1);
    const int all = lua_isnoneornil(lua, 2);
    const lua_Integer axis = all ? 1 : luaL_checkinteger(lua, 2);
    luaL_argcheck(lua, all || (axis >= 1 && axis <= array->ndim), 2, "there is no such axis");
    int64_t outer = 1, size = 1, inner = 1, shape[GRAM_MAX_DIMS];
    int ndim = 0;
    for (int k = 0; k < array->ndim; k++) {
        *(all || k == axis - 1 ? &size : k < axis - 1 ? &outer : &inner) *= array->shape[k];
        if (!all && k != axis - 1)
            shape[ndim++] = array->shape[k];
    }
    const gram_array *from = gram_lua_new(lua, GRAM_F8, array->ndim, array->shape);
    const gram_array *to = gram_lua_new(lua, GRAM_F8, ndim, shape);
    gram_lua_assign(lua, from, array);
    for (int64_t i = 0; i < outer * inner; i++)
        ((double *)to->data)[i] = start;
    for (int64_t i = 0; i < outer * size; i++)
        f((double *)to->data + i / size * inner, (const double *)from->data + i * inner, inner);
    if (ndim == 0)
        gram_lua_push_entry(lua, to);
    else
        gram_lua_assign(lua, gram_lua_new(lua, real_of(array->dtype), ndim, shape), to);
    return 1;
}

static int sum(lua_State *lua)
{
    return fold(lua, add_row, 0);
}

static int max_of(lua_State *lua)
{
    return fold(lua, max_row, -INFINITY);
}

static int min_of(lua_State *lua)
{
    return fold(lua, min_row, INFINITY);
}

const luaL_Reg gram_lua_math_events[] = {
    {"__add", add}, {"__sub", sub}, {"__mul", mul}, {"__div", div}, {"__pow", pow_of}, {"__unm", neg_of}, {NULL, NULL},
};
const luaL_Reg gram_lua_math_methods[] = {
    {"exp", exp_of},   {"log", log_of},      {"sqrt", sqrt_of},    {"tanh", tanh_of}, {"abs", abs_of},
    {"sign", sign_of}, {"maximum", maximum}, {"minimum", minimum}, {"add", add_to},   {"map", map},
    {"sum", sum},      {"max", max_of},      {"min", min_of},      {NULL, NULL},
};
