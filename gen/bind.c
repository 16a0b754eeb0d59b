/* Binding: a caller's named arrays are matched with the spec's declarations, the batch and the runtime sizes are read
 * off their shapes, and each is made into what the kernel takes: its element type, a contiguous last axis, and for
 * arrays without strides in the args struct, dense. What already is so is passed as it is. Every misfit fails with one
 * line. */
#include "bind.h"

#include <inttypes.h>
#include <string.h>

static const gram_loc nowhere = {0};

/* What is being bound: the arguments of gram_bind, and which array fixed each size. */
typedef struct binder {
    gram_ctx *ctx;
    const gram_spec *spec;
    gram_binding *binding;
    const gram_argument *fixed_by[GRAM_SIZES];
    const gram_argument *batch_by;
} binder;

/* "Q", or "Q (q.npy)". */
static const char *label(gram_ctx *ctx, const gram_argument *a)
{
    return a->origin ? gram_format(ctx, "%s (%s)", a->name, a->origin) : a->name;
}

/* "f4 [2, 5, 64]" */
static const char *array_text(gram_ctx *ctx, const gram_array *a)
{
    gram_text text = {.ctx = ctx};
    gram_put(&text, "%s [", gram_dtype_name(a->dtype));
    for (int i = 0; i < a->ndim; i++)
        gram_put(&text, "%s%" PRId64, i > 0 ? ", " : "", a->shape[i]);
    gram_put(&text, "]");
    return text.data;
}

/* The shapes that an input may have: "[batch, n, 64]". */
static const char *expected_axes(gram_ctx *ctx, const gram_axes *axes)
{
    return axes->n == 0 ? "[] or [1]" : gram_axes_text(ctx, axes);
}

_Noreturn static void misfit(gram_ctx *ctx, const gram_argument *a, const char *expected)
{
    gram_fail(ctx, nowhere, "%s is %s: expected %s", label(ctx, a), array_text(ctx, a->array), expected);
}

/* ---- names ---- */

static void put_name(gram_text *text, const char *name)
{
    gram_put(text, "%s%s", text->size > 0 ? ", " : "", name);
}

_Noreturn static void unknown_name(gram_ctx *ctx, const gram_spec *spec, const gram_argument *a)
{
    gram_text in = {.ctx = ctx}, out = {.ctx = ctx};
    for (int i = 0; i < spec->ninputs; i++)
        put_name(&in, spec->inputs[i]->name);
    for (int i = 0; i < spec->noutputs; i++)
        put_name(&out, spec->outputs[i].name);
    gram_fail(ctx, nowhere, "%s has no array %s: its inputs are %s, its outputs %s", spec->name, label(ctx, a),
              in.size > 0 ? in.data : "none", out.data);
}

static gram_bound *find_bound(const gram_spec *spec, gram_binding *binding, const char *name)
{
    for (int i = 0; i < spec->ninputs; i++) {
        if (strcmp(spec->inputs[i]->name, name) == 0)
            return &binding->inputs[i];
    }
    for (int i = 0; i < spec->noutputs; i++) {
        if (strcmp(spec->outputs[i].name, name) == 0)
            return &binding->outputs[i];
    }
    return NULL;
}

static void match_names(gram_ctx *ctx, const gram_spec *spec, int n, const gram_argument *arguments,
                        gram_binding *binding)
{
    for (int i = 0; i < n; i++) {
        gram_bound *bound = find_bound(spec, binding, arguments[i].name);
        if (!bound)
            unknown_name(ctx, spec, &arguments[i]);
        if (bound->argument)
            gram_fail(ctx, nowhere, "%s is given twice", label(ctx, &arguments[i]));
        bound->argument = &arguments[i];
    }
    for (int i = 0; i < spec->ninputs; i++) {
        gram_axes axes = gram_input_axes(spec->inputs[i]);
        if (!binding->inputs[i].argument && !spec->inputs[i]->optional)
            gram_fail(ctx, nowhere, "the input %s %s is missing", spec->inputs[i]->name, gram_axes_text(ctx, &axes));
    }
}

/* ---- shapes ---- */

static bool has_batch(const gram_axes *axes)
{
    for (int i = 0; i < axes->n; i++) {
        if (axes->axis[i].letter == 'b')
            return true;
    }
    return false;
}

/* The caller's array with all the declared axes: a batch axis of 1 where it was left out, a scalar's [1] as []. */
static bool with_all_axes(const gram_axes *axes, const gram_array *from, gram_array *to)
{
    *to = *from;
    to->storage = NULL;
    int missing = axes->n - from->ndim;
    if (missing == 1 && has_batch(axes)) {
        memmove(to->shape + 1, from->shape, (size_t)from->ndim * sizeof to->shape[0]);
        memmove(to->stride + 1, from->stride, (size_t)from->ndim * sizeof to->stride[0]);
        to->shape[0] = 1;
        to->stride[0] = 0;
    } else if (missing != 0 && !(axes->n == 0 && from->ndim == 1 && from->shape[0] == 1)) {
        return false;
    }
    to->ndim = axes->n;
    return true;
}

/* numpy has no bf16, and holds such arrays as integers of their bits: a kernel of bf16 takes them as what they are. */
static void take_bits(const gram_binding *binding, gram_array *array)
{
    if (binding->made == GRAM_BF16 && array->dtype == GRAM_U2)
        array->dtype = GRAM_BF16;
}

/* The one runtime size that a dim is, or -1. */
static int dim_size(gram_dim dim)
{
    for (int s = 0; s < GRAM_SIZES; s++) {
        if (gram_dim_equal(dim, gram_dim_size(s)))
            return s;
    }
    return -1;
}

/* A value read off an array: taken if it is the first, else it must agree. */
static void learn(binder *b, const char *name, int64_t *known, const gram_argument **by, int64_t value,
                  const gram_argument *a)
{
    if (!*by) {
        *known = value;
        *by = a;
    } else if (*known != value) {
        gram_fail(b->ctx, nowhere, "%s is %" PRId64 " in %s and %" PRId64 " in %s", name, *known, label(b->ctx, *by),
                  value, label(b->ctx, a));
    }
}

static void learn_axis(binder *b, const gram_axis *axis, int64_t length, const gram_argument *a)
{
    int size = axis->letter == 'b' || axis->letter == 's' ? -1 : dim_size(axis->size);
    if (axis->letter == 'b' && length != 1)
        learn(b, "batch", &b->binding->batch, &b->batch_by, length, a);
    if (axis->letter == 's' && length < 1)
        misfit(b->ctx, a, "[batch + 1]");
    if (axis->letter == 's')
        learn(b, "batch", &b->binding->batch, &b->batch_by, length - 1, a);
    if (size >= 0)
        learn(b, b->spec->sizes[size], &b->binding->sizes[size], &b->fixed_by[size], length, a);
}

static void learn_sizes(binder *b)
{
    b->binding->batch = 1;
    for (int i = 0; i < b->spec->ninputs; i++) {
        gram_bound *bound = &b->binding->inputs[i];
        const gram_argument *a = bound->argument;
        gram_axes axes = gram_input_axes(b->spec->inputs[i]);
        if (!a)
            continue;
        if (!with_all_axes(&axes, a->array, &bound->array))
            misfit(b->ctx, a, expected_axes(b->ctx, &axes));
        if (!gram_input_is_integer(b->spec->inputs[i]))
            take_bits(b->binding, &bound->array);
        if ((has_batch(&axes) && a->array->ndim == axes.n) || b->spec->inputs[i]->kind == GRAM_STARTS)
            b->binding->batch_axis = true;
        for (int k = 0; k < axes.n; k++)
            learn_axis(b, &axes.axis[k], bound->array.shape[k], a);
    }
    for (int s = 0; s < b->spec->nsizes; s++) {
        if (!b->fixed_by[s])
            gram_fail(b->ctx, nowhere, "no array says how large %s is", b->spec->sizes[s]);
    }
}

static void check_numbers(binder *b)
{
    for (int i = 0; i < b->spec->ninputs; i++) {
        const gram_bound *bound = &b->binding->inputs[i];
        gram_axes axes = gram_input_axes(b->spec->inputs[i]);
        for (int k = 0; k < axes.n && bound->argument; k++) {
            const gram_axis *axis = &axes.axis[k];
            if (axis->letter != 'b' && axis->letter != 's' &&
                bound->array.shape[k] != gram_dim_value(axis->size, b->binding->sizes))
                misfit(b->ctx, bound->argument, gram_axes_text(b->ctx, &axes));
        }
    }
}

/* ---- ragged tokens ---- */

static double start_at(const gram_bound *bound, int64_t item)
{
    return gram_array_entry(&bound->array, item);
}

/* The starts go up from 0 to the number of all tokens. */
static void check_starts(binder *b, const gram_bound *bound, int64_t total)
{
    const char *name = label(b->ctx, bound->argument);
    const int64_t items = b->binding->batch;
    if (start_at(bound, 0) != 0)
        gram_fail(b->ctx, nowhere, "%s[0] is %.0f: expected 0", name, start_at(bound, 0));
    for (int64_t k = 0; k < items; k++)
        if (start_at(bound, k + 1) < start_at(bound, k))
            gram_fail(b->ctx, nowhere, "%s[%" PRId64 "] is %.0f, less than the %.0f before it", name, k + 1,
                      start_at(bound, k + 1), start_at(bound, k));
    if (start_at(bound, items) != (double)total)
        gram_fail(b->ctx, nowhere, "%s[%" PRId64 "], where the last item ends, is %.0f: there are %" PRId64 " tokens",
                  name, items, start_at(bound, items), total);
}

static void check_all_starts(binder *b)
{
    for (int s = 0; s < b->spec->nsizes; s++)
        if (b->spec->starts[s])
            check_starts(b, &b->binding->inputs[b->spec->starts[s]->index], b->binding->sizes[s]);
}

/* ---- element types and layout ---- */

static int64_t count_of(const gram_array *a)
{
    return gram_array_count(a->dtype, a->ndim, a->shape);
}

/* May the kernel read or write it where it is? Its args struct has strides (batch, head, token) or has none. Strides
 * that are all 0 mean dense there, so tokens that share one place do not pass. */
static bool fits(const gram_array *a, gram_dtype dtype, const gram_axes *axes)
{
    if (a->dtype != dtype || (uintptr_t)a->data % gram_dtype_size(dtype) != 0)
        return false;
    if (!gram_axes_strided(axes))
        return gram_array_is_dense(a);
    int last = a->ndim - 1;
    for (int k = 0; k < last; k++) {
        if (axes->axis[k].letter == 'c' && a->shape[k] > 1 && a->stride[k] == 0)
            return false;
    }
    return a->shape[last] <= 1 || a->stride[last] == 1;
}

/* bound->array becomes a dense copy of type dtype with `items` batch items, of which it may have held one for all. */
static void make_copy(gram_ctx *ctx, gram_bound *bound, gram_dtype dtype, const gram_axes *axes, int64_t items)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array from = bound->array, copy;
    for (int k = 0; k < axes->n; k++) {
        if (axes->axis[k].letter == 'b' && from.shape[k] != items) {
            from.shape[k] = items;
            from.stride[k] = 0;
        }
    }
    if (gram_array_new(&copy, dtype, from.ndim, from.shape, message, sizeof message) != 0)
        gram_fail(ctx, nowhere, "%s: %s", label(ctx, bound->argument), message);
    int failed = gram_array_assign(&copy, &from, message, sizeof message);
    gram_array_free(&bound->copy);
    bound->copy = bound->array = copy;
    if (failed)
        gram_fail(ctx, nowhere, "%s: %s", label(ctx, bound->argument), message);
}

static int64_t batch_items(const gram_array *a, const gram_axes *axes)
{
    return has_batch(axes) ? a->shape[0] : 1;
}

/* "[1, 3]", the place in the caller's array of an entry of its dense copy. */
static const char *index_text(gram_ctx *ctx, const gram_bound *bound, int64_t flat)
{
    const gram_array *a = &bound->array;
    int first = a->ndim - bound->argument->array->ndim;
    gram_text text = {.ctx = ctx};
    for (int i = first > 0 ? first : 0; i < a->ndim; i++) {
        gram_put(&text, "%s%" PRId64, text.size > 0 ? ", " : "[", flat / a->stride[i]);
        flat %= a->stride[i];
    }
    gram_put(&text, text.size > 0 ? "]" : "");
    return text.data;
}

static void check_below(gram_ctx *ctx, const gram_bound *bound, int64_t below)
{
    const int32_t *values = bound->array.data;
    int64_t count = below > 0 ? count_of(&bound->array) : 0;
    for (int64_t i = 0; i < count; i++) {
        if (values[i] < 0 || values[i] >= below)
            gram_fail(ctx, nowhere, "%s%s is %" PRId32 ": expected 0 to %" PRId64, label(ctx, bound->argument),
                      index_text(ctx, bound, i), values[i], below - 1);
    }
}

static void check_type(gram_ctx *ctx, const gram_input *input, const gram_bound *bound)
{
    bool integer = gram_input_is_integer(input);
    const char *kinds = integer ? "biu" : "fe", *words = integer ? "integers or booleans" : "floats";
    gram_axes axes = gram_input_axes(input);
    if (!strchr(kinds, gram_dtype_kind(bound->array.dtype)))
        misfit(ctx, bound->argument, gram_format(ctx, "%s %s", words, expected_axes(ctx, &axes)));
    if (!bound->array.data && count_of(&bound->array) != 0)
        gram_fail(ctx, nowhere, "%s has no data", label(ctx, bound->argument));
}

/* The strides by letter; 0 along an axis of 1, but for tokens, where all strides 0 would mean dense. */
static gram_view view_of(const gram_array *a, const gram_axes *axes)
{
    gram_array dense = gram_array_dense(a->dtype, a->ndim, a->shape, a->data);
    gram_view view = {0};
    for (int k = 0; k < axes->n; k++) {
        char letter = axes->axis[k].letter;
        int64_t stride = a->shape[k] > 1 ? a->stride[k] : letter == 'c' ? dense.stride[k] : 0;
        int64_t *place = letter == 'b'   ? &view.batch
                         : letter == 'h' ? &view.head
                         : letter == 'r' ? &view.row
                                         : &view.col;
        *place = stride;
    }
    return view;
}

static void prepare_input(gram_ctx *ctx, const gram_input *input, gram_binding *binding, gram_bound *bound)
{
    gram_axes axes = gram_input_axes(input);
    bool integer = gram_input_is_integer(input), views = binding->integer != GRAM_I4;
    check_type(ctx, input, bound);
    int64_t items = batch_items(&bound->array, &axes);
    if (integer) {
        if (bound->array.dtype != GRAM_I4 || !gram_array_is_dense(&bound->array))
            make_copy(ctx, bound, GRAM_I4, &axes, items);
        check_below(ctx, bound, input->below);
    }
    gram_dtype wanted = integer ? binding->integer : binding->real;
    if (!fits(&bound->array, wanted, &axes))
        make_copy(ctx, bound, wanted, &axes, items);
    if (has_batch(&axes) && items != binding->batch && !gram_axes_strided(&axes) && !views)
        make_copy(ctx, bound, wanted, &axes, binding->batch);
    bound->strides = view_of(&bound->array, &axes);
}

/* ---- outputs ---- */

static void output_shape(binder *b, const gram_output *output, const gram_axes *axes, int64_t *shape)
{
    for (int k = 0; k < axes->n; k++) {
        const gram_axis *axis = &axes->axis[k];
        shape[k] = axis->letter == 'b' ? b->binding->batch : gram_dim_value(axis->size, b->binding->sizes);
    }
    if (gram_array_count(b->binding->real, axes->n, shape) < 0)
        gram_fail(b->ctx, nowhere, "the output %s %s would be too large", output->name, gram_axes_text(b->ctx, axes));
}

static void make_output(binder *b, gram_bound *bound, const gram_axes *axes, const int64_t *shape)
{
    char message[GRAM_MESSAGE_SIZE];
    int skip = has_batch(axes) && !b->binding->batch_axis ? 1 : 0;
    if (gram_array_new(bound->argument->array, b->binding->made, axes->n - skip, shape + skip, message, sizeof message))
        gram_fail(b->ctx, nowhere, "the output %s: %s", bound->argument->name, message);
    bound->made = true;
}

static void check_output(binder *b, gram_bound *bound, const gram_axes *axes, const int64_t *shape)
{
    gram_array expected = gram_array_dense(b->binding->made, axes->n, shape, NULL);
    const gram_array *given = &bound->array;
    bool same = with_all_axes(axes, bound->argument->array, &bound->array);
    take_bits(b->binding, &bound->array);
    for (int k = 0; same && k < axes->n; k++)
        same = given->shape[k] == shape[k] && (given->stride[k] != 0 || given->shape[k] <= 1);
    if (!same || !strchr("fe", gram_dtype_kind(given->dtype)))
        misfit(b->ctx, bound->argument, array_text(b->ctx, &expected));
}

static void prepare_output(binder *b, const gram_output *output, gram_bound *bound)
{
    char message[GRAM_MESSAGE_SIZE];
    int64_t shape[4];
    gram_axes axes = gram_output_axes(output);
    output_shape(b, output, &axes, shape);
    if (!bound->argument->array->data)
        make_output(b, bound, &axes, shape);
    check_output(b, bound, &axes, shape);
    bound->caller = bound->array;
    if (!fits(&bound->array, b->binding->real, &axes)) {
        if (gram_array_new(&bound->copy, b->binding->real, axes.n, shape, message, sizeof message) != 0)
            gram_fail(b->ctx, nowhere, "the output %s: %s", output->name, message);
        bound->array = bound->copy;
    }
    bound->strides = view_of(&bound->array, &axes);
}

/* Is the one array the other? */
static bool is_same(const gram_array *a, const gram_array *b)
{
    bool same = a->data == b->data && a->dtype == b->dtype && a->ndim == b->ndim;
    for (int k = 0; same && k < a->ndim; k++)
        same = a->shape[k] == b->shape[k] && (a->shape[k] <= 1 || a->stride[k] == b->stride[k]);
    return same;
}

/* What overwrites an input: the kernel has one array for both, the output's, which starts as the input; nothing is
 * copied where the caller gives the same for both. Without an output the input stays as it is, too. */
static void share_array(binder *b, const gram_output *output, gram_bound *out, gram_bound *in)
{
    char message[GRAM_MESSAGE_SIZE];
    int64_t shape[4];
    gram_axes axes = gram_output_axes(output);
    gram_array from = in->array;
    if (b->binding->integer != GRAM_I4) { /* the reference computes one output after the other */
        if (out->argument && from.data == out->array.data)
            make_copy(b->ctx, in, b->binding->real, &axes, batch_items(&from, &axes));
        in->strides = view_of(&in->array, &axes);
        return;
    }
    output_shape(b, output, &axes, shape);
    if (!out->argument && gram_array_new(&out->copy, b->binding->real, axes.n, shape, message, sizeof message) != 0)
        gram_fail(b->ctx, nowhere, "the output %s: %s", output->name, message);
    if (!out->argument)
        out->array = out->copy;
    for (int k = 0; k < axes.n; k++) {
        from.stride[k] = from.shape[k] == shape[k] ? from.stride[k] : 0;
        from.shape[k] = shape[k];
    }
    if (!is_same(&from, &out->array) && gram_array_assign(&out->array, &from, message, sizeof message) != 0)
        gram_fail(b->ctx, nowhere, "the output %s: %s", output->name, message);
    in->array = out->array;
    in->strides = out->strides = view_of(&out->array, &axes);
}

/* An output's gradient that was left out counts as zeros. */
static void make_zeros(binder *b, const gram_input *input, gram_bound *bound)
{
    char message[GRAM_MESSAGE_SIZE];
    int64_t shape[4];
    gram_axes axes = gram_input_axes(input);
    for (int k = 0; k < axes.n; k++) {
        const gram_axis *axis = &axes.axis[k];
        shape[k] = axis->letter == 'b' ? b->binding->batch : gram_dim_value(axis->size, b->binding->sizes);
    }
    if (gram_array_new(&bound->copy, b->binding->real, axes.n, shape, message, sizeof message) != 0)
        gram_fail(b->ctx, nowhere, "%s: %s", input->name, message);
    bound->array = bound->copy;
    bound->strides = view_of(&bound->array, &axes);
}

/* ---- the whole ---- */

void gram_bind(gram_ctx *ctx, const gram_spec *spec, int narguments, const gram_argument *arguments,
               gram_binding *binding)
{
    binder b = {.ctx = ctx, .spec = spec, .binding = binding};
    binding->inputs = gram_alloc(ctx, (size_t)spec->ninputs * sizeof(gram_bound));
    binding->outputs = gram_alloc(ctx, (size_t)spec->noutputs * sizeof(gram_bound));
    match_names(ctx, spec, narguments, arguments, binding);
    learn_sizes(&b);
    check_numbers(&b);
    for (int i = 0; i < spec->ninputs; i++) {
        if (binding->inputs[i].argument)
            prepare_input(ctx, spec->inputs[i], binding, &binding->inputs[i]);
        else
            make_zeros(&b, spec->inputs[i], &binding->inputs[i]);
    }
    check_all_starts(&b);
    for (int i = 0; i < spec->noutputs; i++) {
        if (binding->outputs[i].argument)
            prepare_output(&b, &spec->outputs[i], &binding->outputs[i]);
    }
    for (int i = 0; i < spec->noutputs; i++) {
        if (spec->outputs[i].over)
            share_array(&b, &spec->outputs[i], &binding->outputs[i], &binding->inputs[spec->outputs[i].over->index]);
    }
}

void gram_bind_finish(gram_ctx *ctx, const gram_spec *spec, gram_binding *binding)
{
    char message[GRAM_MESSAGE_SIZE];
    for (int i = 0; i < spec->noutputs; i++) {
        gram_bound *bound = &binding->outputs[i];
        if (bound->argument && bound->copy.storage &&
            gram_array_assign(&bound->caller, &bound->array, message, sizeof message) != 0)
            gram_fail(ctx, nowhere, "the output %s: %s", spec->outputs[i].name, message);
    }
}

void gram_bind_free(const gram_spec *spec, gram_binding *binding, bool failed)
{
    for (int i = 0; binding->inputs && i < spec->ninputs; i++)
        gram_array_free(&binding->inputs[i].copy);
    for (int i = 0; binding->outputs && i < spec->noutputs; i++) {
        gram_bound *bound = &binding->outputs[i];
        gram_array_free(&bound->copy);
        if (failed && bound->made)
            gram_array_free(bound->argument->array);
    }
}
