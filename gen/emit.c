/* Emit: the plan as C.
 *
 * The plan is put into a Lua table, the model, and the templates are rendered over it: a function for each pack and
 * step (emit_step.c), then the frame around them. Lines that depend on the formula come from print.c. A file for any
 * compiler carries the parts of the runtime that it uses (library.c); the text for TinyCC declares them. */
#include <ctype.h>
#include <string.h>

#include "emit.h"
#include "grad.h"
#include "layout.h"
#include "library.h"
#include "wrap.h"

extern const gram_script gram_template_pack, gram_template_codes, gram_template_args, gram_template_declare,
    gram_template_place, gram_template_kernel, gram_template_header, gram_template_file, gram_template_jit,
    gram_template_entry, gram_template_ragged;

/* --- packs -------------------------------------------------------------------------------------------------------- */

static void add_pack(emitter *e, const gram_pack *pack)
{
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    gram_step like = {.heads = b->heads, .batched = b->batched, .each = b->each};
    set(e, "buffer", b->name);
    set(e, "half", gram_half(e->plan, pack->buffer));
    set(e, "pack", gram_emit_pack_name(e, pack));
    set(e, "items", gram_emit_items(e, b->heads, b->batched, b->each));
    const bool panels = pack->kind != GRAM_PACK_PADDED;
    set(e, "count", dim(e, panels ? b->rows : b->cols));
    set(e, "inner", dim(e, pack->inner));
    set(e, "terms", dim(e, b->cols));
    set(e, "from", gram_print_at(e->ctx, e->plan, &like, b, ""));
    set(e, "to", gram_print_at(e->ctx, e->plan, &like, b, gram_format(e->ctx, "_%s", gram_pack_suffix(pack->kind))));
    gram_template_set_number(e->L, "heads", b->heads > 1 ? b->heads : 1);
    gram_template_set_flag(e->L, "batched", b->batched);
    gram_template_set_flag(e->L, "panels", panels);
    gram_template_set_flag(e->L, "planes", pack->kind == GRAM_PACK_PLANES);
    gram_template_set_flag(e->L, "contiguous", gram_buffer_contiguous(e->plan, pack->buffer));
    gram_put_string(&e->bodies, render(e, &gram_template_pack));
}

/* --- the frame ---------------------------------------------------------------------------------------------------- */

static void add_names(emitter *e)
{
    gram_template_set_flag(e->L, "ragged", gram_is_ragged(e->spec));
    gram_template_begin(e->L, "sizes");
    for (int k = 0; k < e->spec->nsizes; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "name", e->spec->sizes[k]);
        if (e->spec->starts[k])
            set(e, "starts", e->spec->starts[k]->name);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    gram_template_begin(e->L, "inputs");
    for (int k = 0; k < e->spec->ninputs; k++) {
        if (e->spec->inputs[k]->optional)
            continue;
        gram_template_begin(e->L, NULL);
        set(e, "name", e->spec->inputs[k]->name);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *argument_dim(emitter *e, gram_dim d)
{
    gram_text text = {.ctx = e->ctx};
    gram_put(&text, "%lld", (long long)d.number);
    for (int s = 0; s < e->spec->nsizes; s++)
        for (int k = 0; k < d.times[s]; k++)
            if (e->spec->starts[s])
                gram_put(&text, " + %s_item_%s(args, item)", e->spec->name, e->spec->sizes[s]);
            else
                gram_put(&text, " + args->%s", e->spec->sizes[s]);
    return text.data;
}

static void add_checks(emitter *e)
{
    gram_template_begin(e->L, "checks");
    for (int k = 0; k < e->spec->nchecks; k++) {
        const gram_check *check = &e->spec->checks[k];
        gram_template_begin(e->L, NULL);
        set(e, "condition", gram_format(e->ctx, "%s != %s", argument_dim(e, check->a), argument_dim(e, check->b)));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *input_comment(emitter *e, const gram_input *in)
{
    const gram_output *by = gram_overwritten_by(e->spec, in);
    gram_axes axes = gram_input_axes(in);
    if (in->kind == GRAM_STARTS)
        return " /* [batch + 1]: where each item's tokens start, and the last one's end */";
    return gram_format(e->ctx, " /* %s%s%s */", gram_axes_text(e->ctx, &axes), by ? ", becomes " : "",
                       by ? by->name : "");
}

static const char *slot_comment(emitter *e, const gram_slot *slot)
{
    gram_axes axes;
    switch (slot->kind) {
    case GRAM_SLOT_INPUT:
        return input_comment(e, e->spec->inputs[slot->index]);
    case GRAM_SLOT_OUTPUT:
        axes = gram_output_axes(&e->spec->outputs[slot->index]);
        return gram_format(e->ctx, " /* %s, or NULL */", gram_axes_text(e->ctx, &axes));
    case GRAM_SLOT_SIZE:
        return e->spec->starts[slot->index] ? " /* of all items together */" : "";
    case GRAM_SLOT_INPUT_STRIDES:
    case GRAM_SLOT_OUTPUT_STRIDES:
        return " /* batch, head, token, in elements; all 0: dense */";
    default:
        return "";
    }
}

static void add_slots(emitter *e)
{
    gram_layout layout = gram_layout_make(e->ctx, e->spec, e->plan->real->member);
    gram_template_begin(e->L, "slots");
    for (int k = 0; k < layout.nslots; k++) {
        const gram_slot *slot = &layout.slots[k];
        bool strides = slot->kind == GRAM_SLOT_INPUT_STRIDES || slot->kind == GRAM_SLOT_OUTPUT_STRIDES;
        const char *gap = slot->type[strlen(slot->type) - 1] == '*' ? "" : " ";
        gram_template_begin(e->L, NULL);
        set(e, "text",
            gram_format(e->ctx, "%s%s%s%s;%s", slot->type, gap, slot->name, strides ? "[3]" : "",
                        slot_comment(e, slot)));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *upper(gram_ctx *ctx, const char *name)
{
    char *text = gram_strdup(ctx, name);
    for (char *c = text; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return text;
}

/* Of a scan's column, what depends on no column is fixed: run once for all. */
static void begin_phase(emitter *e, const char *name, bool fixed)
{
    gram_template_begin(e->L, NULL);
    gram_template_set_flag(e->L, "fixed", fixed);
    set(e, "name", gram_format(e->ctx, "%s_%s", e->spec->name, name));
}

static void add_phase(emitter *e, const char *name, const char *when, bool fixed)
{
    begin_phase(e, name, fixed);
    if (*when)
        set(e, "when", when);
    gram_template_end(e->L);
}

/* A stream with sides runs once for each part of its lanes. */
static void add_turns(emitter *e, const gram_step *step)
{
    begin_phase(e, step->name, !step->batched);
    set(e, "turns", gram_emit_side_parts(e, step));
    gram_template_end(e->L);
    if (!gram_sides_in_place(e->plan, step))
        add_phase(e, gram_format(e->ctx, "%s_join", step->name), "", !step->batched);
}

/* A stream has its loop over blocks, and that of few queries with the merging of its parts. */
static void add_step_phases(emitter *e, const gram_step *step)
{
    if (gram_is_linear(step)) {
        const char *cut = gram_format(e->ctx, "%s > 1", gram_emit_linear_runs(e, step));
        add_phase(e, gram_format(e->ctx, "%s_runs", step->name), cut, !step->batched);
        add_phase(e, gram_format(e->ctx, "%s_before", step->name), cut, !step->batched);
    }
    const char *few = gram_format(e->ctx, "%s <= GRAM_BLOCK", dim(e, step->queries));
    const char *parts = gram_format(e->ctx, "%s > GRAM_PART", dim(e, step->lanes));
    bool perhaps = step->few == GRAM_FEW_PERHAPS;
    if (step->nsides) {
        add_turns(e, step);
        return;
    }
    if (step->few != GRAM_FEW_ALWAYS)
        add_phase(e, step->name, perhaps ? gram_format(e->ctx, "%s > GRAM_BLOCK", dim(e, step->queries)) : "",
                  !step->batched);
    if (step->few == GRAM_FEW_NEVER)
        return;
    add_phase(e, gram_format(e->ctx, "%s_few", step->name), perhaps ? few : "", !step->batched);
    if (gram_has_parts(step))
        add_phase(e, gram_format(e->ctx, "%s_merge", step->name),
                  perhaps ? gram_format(e->ctx, "%s && %s", few, parts) : parts, !step->batched);
}

static void add_phases(emitter *e)
{
    bool turns = false;
    for (int k = 0; k < e->plan->nsteps; k++)
        turns |= e->plan->steps[k]->nsides > 0;
    gram_template_set_flag(e->L, "turns", turns);
    gram_template_begin(e->L, "phases");
    for (int k = 0; k < e->plan->norder; k++) {
        const gram_phase *phase = &e->plan->order[k];
        const gram_pack *pack = &e->plan->packs[phase->pack >= 0 ? phase->pack : 0];
        if (phase->pack < 0)
            add_step_phases(e, e->plan->steps[phase->step]);
        else if (gram_emit_pack_when(e, phase->pack))
            add_phase(e, gram_format(e->ctx, "pack_%s", gram_emit_pack_name(e, pack)),
                      gram_emit_pack_when(e, phase->pack), !e->plan->buffers[pack->buffer].batched);
    }
    gram_template_end(e->L);
}

/* Another step's room, unless it is none, or one like it is there. */
static void add_new(const char **rooms, int *n, const char *room)
{
    bool known = !strcmp(room, "0");
    for (int k = 0; k < *n; k++)
        known = known || !strcmp(rooms[k], room);
    if (!known)
        rooms[(*n)++] = room;
}

void gram_emit_frame(emitter *e)
{
    const char **rooms = gram_alloc(e->ctx, (size_t)(e->plan->nsteps + 1) * sizeof *rooms);
    int nrooms = 0;
    for (int k = 0; k < e->plan->npacks; k++)
        if (gram_emit_pack_when(e, k))
            add_pack(e, &e->plan->packs[k]);
    for (int k = 0; k < e->plan->nsteps; k++)
        add_new(rooms, &nrooms, gram_emit_step(e, e->plan->steps[k]));
    gram_template_begin(e->L, "scratches");
    for (int k = 0; k < nrooms; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "room", rooms[k]);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    gram_emit_tensors(e);
    add_phases(e);
    set(e, "bodies", e->bodies.data);
    set(e, "places_of_arrays", render(e, &gram_template_place));
}

/* Of ragged tokens, where one item runs after the other. */
static void add_item_sums(emitter *e)
{
    gram_template_begin(e->L, "item_sums");
    for (int k = 0; k < e->plan->nbuffers && gram_is_ragged(e->spec); k++) {
        const gram_buffer *b = &e->plan->buffers[k];
        if (b->storage != GRAM_AT_OUTPUT || !e->spec->outputs[b->index].summed)
            continue;
        gram_template_begin(e->L, NULL);
        set(e, "name", b->name);
        set(e, "count", gram_emit_count(e, b));
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
}

static const char *kernel_body(emitter *e)
{
    gram_emit_frame(e);
    add_checks(e);
    add_item_sums(e);
    set(e, "entry", render(e, gram_is_ragged(e->spec) ? &gram_template_ragged : &gram_template_entry));
    return render(e, &gram_template_kernel);
}

/* --- the whole text ----------------------------------------------------------------------------------------------- */

/* One kernel of the text: the spec's, or that of its gradient. */
typedef struct kernel {
    const gram_spec *spec;
    const gram_plan *plan;
} kernel;

static bool is_gradient(const gram_spec *spec)
{
    const char *end = strrchr(spec->name, '_');
    return spec->noutputs && spec->outputs[0].like && end && !strcmp(end, "_backward");
}

/* "attention_args"; of the gradient attention_backward, "attention_grad_args". */
static const char *args_name(emitter *e)
{
    const char *name = e->spec->name;
    int size = (int)(is_gradient(e->spec) ? strrchr(name, '_') - name : (ptrdiff_t)strlen(name));
    return gram_format(e->ctx, "%.*s%s", size, name, is_gradient(e->spec) ? "_grad_args" : "_args");
}

/* Turns the emitter and the model to this kernel. */
static void start_kernel(emitter *e, const kernel *k)
{
    e->spec = k->spec;
    e->plan = k->plan;
    e->bodies = (gram_text){.ctx = e->ctx};
    set(e, "name", e->spec->name);
    set(e, "args", args_name(e));
    gram_template_set_flag(e->L, "gradient", is_gradient(e->spec));
    add_names(e);
    add_slots(e);
    set(e, "struct", render(e, &gram_template_args));
}

static const char *all_declarations(emitter *e, const kernel *kernels, int n)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < n; k++) {
        start_kernel(e, &kernels[k]);
        gram_put_string(&text, render(e, &gram_template_declare));
    }
    return text.data;
}

static const char *all_bodies(emitter *e, const kernel *kernels, int n)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < n; k++) {
        start_kernel(e, &kernels[k]);
        gram_put_string(&text, k ? "\n" : "");
        gram_put_string(&text, kernel_body(e));
    }
    return text.data;
}

/* The parts one after the other, up to NULL. */
static const char *join(gram_ctx *ctx, const char *const *parts)
{
    gram_text text = {.ctx = ctx};
    for (; *parts; parts++)
        gram_put_string(&text, *parts);
    return text.data;
}

static const char *header(emitter *e, const kernel *kernels, int n)
{
    set(e, "about", gram_emit_about(e->ctx, kernels[0].spec, kernels[0].plan, e->request));
    set(e, "codes", render(e, &gram_template_codes));
    set(e, "kernels", all_declarations(e, kernels, n));
    start_kernel(e, &kernels[0]);
    return render(e, &gram_template_header);
}

/* For TinyCC: types and declarations in place of headers, and one kernel. */
static const char *jit_text(emitter *e, const kernel *k)
{
    const char *prelude = render(e, &gram_template_jit);
    const char *codes = render(e, &gram_template_codes);
    start_kernel(e, k);
    const char *args = render(e, &gram_template_args), *body = kernel_body(e);
    const char *library = gram_library_for(e->ctx, body, true, k->plan->real_bits, k->plan->wide);
    return join(e->ctx, (const char *const[]){prelude, library, codes, args, body, NULL});
}

static const char *file_text(emitter *e, const kernel *kernels, int n)
{
    set(e, "header", header(e, kernels, n));
    const char *top = render(e, &gram_template_file), *body = all_bodies(e, kernels, n);
    const gram_plan *plan = kernels[0].plan;
    const char *library = gram_library_for(e->ctx, body, false, plan->real_bits, plan->wide);
    return join(e->ctx, (const char *const[]){top, library, body, NULL});
}

static const char *whole(emitter *e, gram_target target, const kernel *kernels, int n)
{
    set(e, "name", kernels[0].spec->name);
    set(e, "upper", upper(e->ctx, kernels[0].spec->name));
    gram_template_set_number(e->L, "bits", kernels[0].plan->real_bits);
    gram_template_set_flag(e->L, "wide", kernels[0].plan->wide);
    gram_template_set_flag(e->L, "include", target == GRAM_TARGET_C);
    if (target == GRAM_TARGET_TCC)
        return jit_text(e, kernels);
    return gram_wrap(e->ctx, target == GRAM_TARGET_HEADER ? header(e, kernels, n) : file_text(e, kernels, n));
}

/* The kernels that a file holds: where the spec asks for its gradient, that one too. */
static int list_kernels(gram_ctx *ctx, const gram_spec *traced, gram_plan *plan, gram_target target, bool gradient_too,
                        kernel *kernels)
{
    bool file = target == GRAM_TARGET_C || target == GRAM_TARGET_HEADER;
    kernels[0] = (kernel){traced, plan};
    if (!file || (!traced->ngrad && !gradient_too))
        return 1;
    const gram_spec *gradient = gram_gradient(ctx, traced, traced->ngrad, traced->grad, false);
    gram_plan *backward = gram_plan_make(ctx, gram_simplify(ctx, gradient), plan->real);
    plan->wide = backward->wide = plan->wide || backward->wide;
    kernels[1] = (kernel){gradient, backward};
    return 2;
}

const char *gram_emit(gram_ctx *ctx, const gram_spec *traced, gram_plan *plan, gram_target target,
                      const gram_request *request)
{
    emitter e = {.ctx = ctx, .request = request, .tcc = target == GRAM_TARGET_TCC};
    kernel kernels[2];
    int n = list_kernels(ctx, traced, plan, target, request->with_gradient, kernels);
    e.L = gram_template_open(ctx);
    const char *text = whole(&e, target, kernels, n);
    gram_template_close(e.L);
    return text;
}
