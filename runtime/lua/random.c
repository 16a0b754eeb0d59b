/* Random tensors: the same numbers for the same seed on every machine. */
#include <math.h>

#include "tensor.h"

/* splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Box and Muller; the logarithm's argument is in (0, 1]. */
static double normal(uint64_t *state)
{
    const double radius = sqrt(-2 * log(1 - uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

/* gram.normal(shape, seed [, dtype]), gram.uniform(shape, seed [, dtype]) */
static int fill(lua_State *lua, double (*draw)(uint64_t *state))
{
    int64_t shape[GRAM_MAX_DIMS];
    const int ndim = gram_lua_shape(lua, 1, shape);
    uint64_t state = (uint64_t)luaL_checkinteger(lua, 2) * 1000003;
    const gram_dtype dtype = gram_lua_dtype(lua, 3);
    const gram_array *numbers = gram_lua_new(lua, GRAM_F8, ndim, shape);
    const int64_t count = gram_array_count(GRAM_F8, ndim, shape);
    uniform(&state);
    for (int64_t i = 0; i < count; i++)
        ((double *)numbers->data)[i] = draw(&state);
    if (dtype != GRAM_F8)
        gram_lua_assign(lua, gram_lua_new(lua, dtype, ndim, shape), numbers);
    return 1;
}

static int fill_uniform(lua_State *lua)
{
    return fill(lua, uniform);
}

static int fill_normal(lua_State *lua)
{
    return fill(lua, normal);
}

const luaL_Reg gram_lua_random_functions[] = {{"normal", fill_normal}, {"uniform", fill_uniform}, {NULL, NULL}};
