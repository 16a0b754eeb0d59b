/* The axes of arrays and the slots of the args struct; see layout.h, and interface.md's "Emitted C" for the
 * contract. */
#include "layout.h"

/* Axes by kind of declaration, outermost first; a letter that the declaration does not have is left out. */
static const char *const kind_axes[] = {
    [GRAM_TOKENS] = "bhcr",      [GRAM_SCORES] = "bhcr", [GRAM_MATRIX] = "hrc", [GRAM_VECTOR] = "bhr",
    [GRAM_SCALAR] = "bh",        [GRAM_IDS] = "bhr",     [GRAM_COUNT] = "bh",   [GRAM_PAIR_IDS] = "bhcr",
    [GRAM_TOKENS_FLAT] = "bchr", [GRAM_STARTS] = "s",
};

static gram_axes axes_make(const char *letters, bool batched, int heads, gram_dim rows, gram_dim cols)
{
    gram_axes axes = {0};
    for (const char *c = letters; *c; c++) {
        if ((*c == 'b' && !batched) || (*c == 'h' && heads == 0))
            continue;
        gram_dim size = *c == 'h' ? gram_dim_number(heads) : *c == 'r' ? rows : *c == 'c' ? cols : gram_dim_number(0);
        axes.axis[axes.n++] = (gram_axis){*c, size};
    }
    return axes;
}

gram_axes gram_input_axes(const gram_input *input)
{
    return axes_make(kind_axes[input->kind], input->batched && !input->starts, input->heads, input->rows, input->cols);
}

const gram_input *gram_output_starts(const gram_output *output)
{
    const gram_input *as = output->like ? output->like : output->over;
    return as ? as->starts : output->starts;
}

bool gram_is_ragged(const gram_spec *spec)
{
    bool ragged = false;
    for (int s = 0; s < spec->nsizes; s++)
        ragged = ragged || spec->starts[s];
    return ragged;
}

const gram_input *gram_starts_of(const gram_spec *spec, gram_dim dim)
{
    for (int s = 0; s < spec->nsizes; s++)
        if (spec->starts[s] && gram_dim_equal(dim, gram_dim_size(s)))
            return spec->starts[s];
    return NULL;
}

bool gram_dim_is_ragged(const gram_spec *spec, gram_dim dim)
{
    bool ragged = false;
    for (int s = 0; s < spec->nsizes; s++)
        ragged = ragged || (spec->starts[s] && dim.times[s]);
    return ragged;
}

void gram_mean_sizes(const gram_spec *spec, int64_t batch, const int64_t *sizes, int64_t *mean)
{
    for (int s = 0; s < spec->nsizes; s++)
        mean[s] = spec->starts[s] && batch > 0 ? sizes[s] / batch : sizes[s];
}

bool gram_is_weights(const gram_node *node)
{
    return !node->batched && (node->of_matrix || gram_dim_known(node->cols));
}

gram_axes gram_output_axes(const gram_output *output)
{
    const gram_node *node = output->traced ? output->traced : output->node;
    if (output->like || output->over)
        return gram_input_axes(output->like ? output->like : output->over);
    bool column = node->vector && gram_dim_is(node->cols, 1), row = node->vector && gram_dim_is(node->rows, 1);
    const char *matrix = output->starts ? "chr" : gram_is_weights(node) ? "hrc" : "bhcr";
    const char *letters = column && row ? "bh" : column ? "bhr" : row ? "bhc" : matrix;
    return axes_make(letters, node->batched && !output->starts, node->heads, node->rows, node->cols);
}

static bool has_axis(const gram_axes *axes, char letter)
{
    for (int i = 0; i < axes->n; i++) {
        if (axes->axis[i].letter == letter)
            return true;
    }
    return false;
}

bool gram_axes_strided(const gram_axes *axes)
{
    return has_axis(axes, 'b') && has_axis(axes, 'r') && has_axis(axes, 'c');
}

const char *gram_axes_text(gram_ctx *ctx, const gram_axes *axes)
{
    gram_text text = {.ctx = ctx};
    gram_put(&text, "[");
    for (int i = 0; i < axes->n; i++) {
        const gram_axis *axis = &axes->axis[i];
        const char *size = axis->letter == 'b'   ? "batch"
                           : axis->letter == 's' ? "batch + 1"
                                                 : gram_dim_text(ctx, axis->size);
        gram_put(&text, "%s%s", i > 0 ? ", " : "", size);
    }
    gram_put(&text, "]");
    return text.data;
}

int64_t gram_dim_value(gram_dim dim, const int64_t *sizes)
{
    int64_t value = dim.number, part;
    for (int s = 0; s < GRAM_SIZES; s++) {
        if (dim.times[s] == 0)
            continue;
        if (__builtin_mul_overflow(sizes[s], (int64_t)dim.times[s], &part) ||
            __builtin_add_overflow(value, part, &value))
            return -1;
    }
    return value;
}

static void add_slot(gram_layout *layout, gram_slot slot, int words)
{
    slot.word = layout->nwords;
    layout->slots[layout->nslots++] = slot;
    layout->nwords += words;
}

static void add_strides(gram_ctx *ctx, gram_layout *layout, gram_slot_kind kind, int index, gram_axes axes,
                        const char *name)
{
    if (gram_axes_strided(&axes))
        add_slot(layout, (gram_slot){kind, index, 0, "int64_t", gram_format(ctx, "%s_stride", name)}, 3);
}

const gram_output *gram_overwritten_by(const gram_spec *spec, const gram_input *input)
{
    for (int i = 0; i < spec->noutputs; i++)
        if (spec->outputs[i].over && spec->outputs[i].over->index == input->index)
            return &spec->outputs[i];
    return NULL;
}

bool gram_input_is_integer(const gram_input *input)
{
    static const bool integers[] = {[GRAM_IDS] = true,
                                    [GRAM_PAIR_IDS] = true,
                                    [GRAM_COUNT] = true,
                                    [GRAM_TOKENS_FLAT] = false,
                                    [GRAM_STARTS] = true};
    return integers[input->kind];
}

gram_layout gram_layout_make(gram_ctx *ctx, const gram_spec *spec, const char *real)
{
    int most = 2 * (spec->ninputs + spec->noutputs) + spec->nsizes + 1;
    gram_layout layout = {.slots = gram_alloc(ctx, (size_t)most * sizeof(gram_slot))};
    for (int i = 0; i < spec->ninputs; i++) {
        const gram_input *in = spec->inputs[i];
        const char *entry = gram_input_is_integer(in) ? "int32_t *" : real;
        const char *type = gram_overwritten_by(spec, in) ? entry : gram_format(ctx, "const %s", entry);
        add_slot(&layout, (gram_slot){GRAM_SLOT_INPUT, i, 0, type, in->name}, 1);
    }
    for (int i = 0; i < spec->noutputs; i++)
        if (!spec->outputs[i].over)
            add_slot(&layout, (gram_slot){GRAM_SLOT_OUTPUT, i, 0, real, spec->outputs[i].name}, 1);
    add_slot(&layout, (gram_slot){GRAM_SLOT_BATCH, 0, 0, "int64_t", "batch"}, 1);
    for (int i = 0; i < spec->nsizes; i++)
        add_slot(&layout, (gram_slot){GRAM_SLOT_SIZE, i, 0, "int64_t", spec->sizes[i]}, 1);
    for (int i = 0; i < spec->ninputs; i++)
        add_strides(ctx, &layout, GRAM_SLOT_INPUT_STRIDES, i, gram_input_axes(spec->inputs[i]), spec->inputs[i]->name);
    for (int i = 0; i < spec->noutputs; i++)
        if (!spec->outputs[i].over)
            add_strides(ctx, &layout, GRAM_SLOT_OUTPUT_STRIDES, i, gram_output_axes(&spec->outputs[i]),
                        spec->outputs[i].name);
    return layout;
}
