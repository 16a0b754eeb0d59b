/* The end of a spec: kernel(name, outputs, options). */
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "trace.h"

/* The functions of C's math.h, string.h and stdlib.h, and main. */
static const char library[] =
    " abort abs acos acosh aligned_alloc asin asinh atan atan2 atanh atexit atof atoi atol atoll bsearch calloc cbrt "
    "ceil "
    "copysign cos cosh div erf erfc exit exp exp2 expm1 fabs fdim floor fma fmax fmin fmod free frexp getenv hypot "
    "ilogb "
    "isfinite isinf isnan isnormal labs ldexp ldiv lgamma llabs lldiv llrint llround log log10 log1p log2 logb lrint "
    "lround "
    "main malloc memchr memcmp memcpy memmove memset modf nan nearbyint nextafter nexttoward pow qsort quick_exit rand "
    "realloc remainder remquo rint round scalbln scalbn signbit sin sinh sqrt srand strcat strchr strcmp strcoll "
    "strcpy "
    "strcspn strerror strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof strtok strtol strtold "
    "strtoll strtoul strtoull strxfrm system tan tanh tgamma trunc ";

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gram_output *)a)->name, ((const gram_output *)b)->name);
}

/* The names in the table at stack position index, claimed and in order; how many. */
static int read_output_names(gram_tracer *t, lua_State *lua, int index, gram_output *outputs)
{
    int n = 0;
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1), n++)
        if (outputs)
            outputs[n] = (gram_output){.name = gram_check_name(t, -2, "an output")};
    if (outputs)
        qsort(outputs, (size_t)n, sizeof *outputs, by_name);
    return n;
}

/* Items of different sizes lie end to end, a token after the other: so tokens and vectors can, not pairs. */
static const gram_input *find_starts(gram_tracer *t, const gram_output *output)
{
    const gram_node *node = output->node;
    const bool column = node->vector && gram_dim_is(node->cols, 1);
    const gram_dim tokens = column ? node->rows : node->cols, others = column ? node->cols : node->rows;
    const gram_input *starts = gram_starts_of(t->spec, tokens);
    if (gram_dim_is_ragged(t->spec, others) || (gram_dim_is_ragged(t->spec, tokens) && !starts))
        gram_fail(t->ctx, gram_here(t), "the output %s, %s: no array holds that for items of different sizes",
                  output->name, gram_shape_text(t->ctx, node));
    return starts;
}

/* Lua walks a table in no order that would be the same on every run, so the outputs are made in that of their names. */
static void read_outputs(gram_tracer *t, lua_State *lua, int index)
{
    gram_spec *spec = t->spec;
    if (!lua_istable(lua, index))
        gram_fail(t->ctx, gram_here(t), "kernel expects a table of outputs, { O = ... }, got %s",
                  gram_describe(t, index));
    spec->noutputs = read_output_names(t, lua, index, NULL);
    if (spec->noutputs == 0)
        gram_fail(t->ctx, gram_here(t), "kernel: there are no outputs");
    spec->outputs = gram_alloc(t->ctx, (size_t)spec->noutputs * sizeof *spec->outputs);
    read_output_names(t, lua, index, spec->outputs);
    for (int k = 0; k < spec->noutputs; k++) {
        gram_output *output = &spec->outputs[k];
        gram_claim_name(t, output->name, "the output");
        lua_getfield(lua, index, output->name);
        gram_node *node = gram_check_matrix(t, -1, gram_format(t->ctx, "the output %s", output->name));
        if (!gram_dim_is(node->each, 1))
            gram_fail(t->ctx, gram_here(t),
                      "the output %s, %s, is inside of each: only what its function returns leaves it", output->name,
                      gram_node_text(t->ctx, node));
        output->node = gram_as_type(t, node, GRAM_REAL);
        output->starts = find_starts(t, output);
        gram_check_inside_scan(t, output);
        lua_pop(lua, 1);
    }
}

/* The list of inputs' names at the top of the stack. */
static int read_names(gram_tracer *t, lua_State *lua, const char *what, const char ***names)
{
    if (!lua_istable(lua, -1))
        gram_fail(t->ctx, gram_here(t), "kernel: %s is a list of inputs' names, not %s", what, gram_describe(t, -1));
    int n = (int)lua_rawlen(lua, -1);
    *names = gram_alloc(t->ctx, (size_t)n * sizeof **names + 1);
    for (int k = 0; k < n; k++) {
        lua_rawgeti(lua, -1, k + 1);
        const char *name = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;
        const gram_input *input = name ? gram_find_input(t->spec, name) : NULL;
        if (!input)
            gram_fail(t->ctx, gram_here(t), "kernel: %s: %s is no input", what, gram_describe(t, -1));
        (*names)[k] = input->name;
        lua_pop(lua, 1);
    }
    return n;
}

static void read_symmetry(gram_tracer *t, lua_State *lua)
{
    gram_spec *spec = t->spec;
    if (!lua_istable(lua, -1))
        gram_fail(t->ctx, gram_here(t), "kernel: symmetry is a table, not %s", gram_describe(t, -1));
    int index = lua_gettop(lua);
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
        const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "";
        if (strcmp(name, "orthogonal") == 0)
            spec->northogonal = read_names(t, lua, "symmetry.orthogonal", &spec->orthogonal);
        else if (strcmp(name, "permutation") == 0)
            spec->npermutation = read_names(t, lua, "symmetry.permutation", &spec->permutation);
        else
            gram_fail(t->ctx, gram_here(t), "kernel: symmetry is orthogonal or permutation, not %s",
                      gram_describe(t, -2));
    }
}

/* The inputs by which the kernel's gradient is asked for. */
static void read_grad(gram_tracer *t, lua_State *lua)
{
    t->spec->ngrad = read_names(t, lua, "grad", &t->spec->grad);
}

static void read_tolerance(gram_tracer *t, lua_State *lua)
{
    double tolerance = lua_type(lua, -1) == LUA_TNUMBER ? lua_tonumber(lua, -1) : 0;
    if (!(tolerance > 0 && tolerance < 1))
        gram_fail(t->ctx, gram_here(t), "kernel: tolerance is a number between 0 and 1, not %s", gram_describe(t, -1));
    t->spec->tolerance = tolerance;
}

static void read_doc(gram_tracer *t, lua_State *lua)
{
    if (lua_type(lua, -1) != LUA_TSTRING)
        gram_fail(t->ctx, gram_here(t), "kernel: doc is a text, not %s", gram_describe(t, -1));
    t->spec->doc = gram_strdup(t->ctx, lua_tostring(lua, -1));
}

static gram_output *find_output(const gram_spec *spec, const char *name)
{
    for (int k = 0; k < spec->noutputs; k++)
        if (strcmp(spec->outputs[k].name, name) == 0)
            return &spec->outputs[k];
    return NULL;
}

/* Does the output fill the input's array? */
static bool fills(const gram_output *output, const gram_input *input)
{
    const gram_node *node = output->node;
    return node->type == GRAM_REAL && !gram_input_is_integer(input) && gram_dim_equal(node->rows, input->rows) &&
           gram_dim_equal(node->cols, input->cols) && node->heads == input->heads && node->batched == input->batched;
}

/* {output = "input"}: what overwrites an input. */
static void read_inplace(gram_tracer *t, lua_State *lua)
{
    if (!lua_istable(lua, -1))
        gram_fail(t->ctx, gram_here(t), "kernel: inplace is a table, { K2 = \"K\" }, not %s", gram_describe(t, -1));
    int index = lua_gettop(lua);
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
        const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "";
        const char *over = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "";
        gram_output *output = find_output(t->spec, name);
        const gram_input *input = gram_find_input(t->spec, over);
        if (!output)
            gram_fail(t->ctx, gram_here(t), "kernel: inplace: %s is no output", gram_describe(t, -2));
        if (!input)
            gram_fail(t->ctx, gram_here(t), "kernel: inplace: %s is no input", gram_describe(t, -1));
        if (gram_overwritten_by(t->spec, input))
            gram_fail(t->ctx, gram_here(t), "kernel: inplace: two outputs overwrite %s", over);
        if (!fills(output, input))
            gram_fail(t->ctx, gram_here(t), "kernel: inplace: %s, %s, is not of the shape, heads and items of %s", name,
                      gram_shape_text(t->ctx, output->node), over);
        output->over = input;
    }
}

static const struct {
    const char *name;
    void (*read)(gram_tracer *t, lua_State *lua); /* the value is on top of the stack, its name below */
} kernel_options[] = {
    {"symmetry", read_symmetry}, {"tolerance", read_tolerance}, {"doc", read_doc},
    {"grad", read_grad},         {"inplace", read_inplace},
};

static void read_kernel_option(gram_tracer *t, lua_State *lua)
{
    const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "";
    for (size_t k = 0; k < sizeof kernel_options / sizeof *kernel_options; k++)
        if (strcmp(kernel_options[k].name, name) == 0) {
            kernel_options[k].read(t, lua);
            return;
        }
    gram_fail(t->ctx, gram_here(t), "kernel has no option %s: there are symmetry tolerance doc",
              *name ? name : gram_describe(t, -2));
}

/* The struct has a member NAME_stride for arrays. */
static void check_stride_names(gram_tracer *t)
{
    const gram_spec *spec = t->spec;
    for (int k = 0; k < spec->ninputs + spec->noutputs; k++) {
        const char *name = k < spec->ninputs ? spec->inputs[k]->name : spec->outputs[k - spec->ninputs].name;
        const char *stride = gram_format(t->ctx, "%s_stride", name);
        bool output = false;
        for (int o = 0; o < spec->noutputs; o++)
            output = output || strcmp(spec->outputs[o].name, stride) == 0;
        if (output || gram_meaning(t, stride))
            gram_fail(t->ctx, gram_here(t), "the name %s is taken: it is where the strides of %s are given", stride,
                      name);
    }
}

/* The kernel is a C function, beside those that emitted C calls. */
static const char *check_kernel_name(gram_tracer *t)
{
    const char *name = gram_check_name(t, 1, "kernel");
    if (gram_is_listed(library, name))
        gram_fail(t->ctx, gram_here(t), "kernel: %s is a function of C's library", name);
    return name;
}

/* kernel(name, outputs, options). */
static int kernel(gram_tracer *t, lua_State *lua)
{
    lua_settop(lua, 3);
    if (t->made_kernel)
        gram_fail(t->ctx, gram_here(t), "a spec makes one kernel: this is the second");
    t->spec->name = check_kernel_name(t);
    read_outputs(t, lua, 2);
    if (!lua_isnil(lua, 3) && !lua_istable(lua, 3))
        gram_fail(t->ctx, gram_here(t), "kernel: options are a table, not %s", gram_describe(t, 3));
    for (lua_isnil(lua, 3) ? (void)0 : lua_pushnil(lua); lua_gettop(lua) > 3 && lua_next(lua, 3); lua_pop(lua, 1))
        read_kernel_option(t, lua);
    check_stride_names(t);
    t->made_kernel = true;
    lua_pushlightuserdata(lua, t->spec);
    return 1;
}

const gram_binding gram_kernel_bindings[] = {{"kernel", kernel}, {NULL, NULL}};
