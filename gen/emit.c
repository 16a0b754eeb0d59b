/* Emit: the plan as C.
 *
 * The plan is put into a Lua table, the model, and the templates are rendered over it: a function for each pack and step
 * (emit_step.c), then the frame around them. Lines that depend on the formula come from print.c. A file for any compiler carries the
 * parts of the runtime that it uses (library.c); the text for TinyCC declares them. */
#include <ctype.h>
#include <string.h>

#include "emit.h"
#include "grad.h"
#include "layout.h"
#include "library.h"
#include "passes.h"
#include "print.h"
#include "template.h"
#include "wrap.h"

extern const char gram_template_pack[], gram_template_codes[], gram_template_args[], gram_template_declare[],
    gram_template_kernel[], gram_template_header[], gram_template_file[], gram_template_jit[];

typedef gram_emitter emitter;

static const char *dim(emitter *e, gram_dim d)
{
    return gram_print_dim(e->ctx, e->spec, d);
}

static void set(emitter *e, const char *key, const char *value)
{
    gram_template_set(e->L, key, value);
}

/* --- packs --------------------------------------------------------------------------------------------------------- */

static const char *pack_name(emitter *e, const gram_pack *pack)
{
    return gram_format(e->ctx, "%s_%s", e->plan->buffers[pack->buffer].name, pack->panels ? "panels" : "padded");
}

/* When a pack is made, as a condition: a loop of few queries needs none. "": always, NULL: never. */
static const char *pack_when(emitter *e, int pack)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < e->plan->nsteps; k++) {
        const gram_step *step = e->plan->steps[k];
        const char *many = gram_format(e->ctx, "%s > GRAM_BLOCK", dim(e, step->queries));
        if (!gram_reads_pack(step, pack))
            continue;
        if (step->few == GRAM_FEW_NEVER)
            return "";
        if (!text.data || !strstr(text.data, many))
            gram_put(&text, "%s%s", text.data ? " || " : "", many);
    }
    return text.data;
}

static void add_pack(emitter *e, const gram_pack *pack)
{
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    gram_step like = {.heads = b->heads, .batched = b->batched};
    set(e, "buffer", b->name);
    set(e, "pack", pack_name(e, pack));
    set(e, "items", gram_emit_items(e, b->heads, b->batched));
    set(e, "count", dim(e, pack->panels ? b->rows : b->cols));
    set(e, "inner", dim(e, pack->panels ? b->cols : b->rows));
    set(e, "from", gram_print_at(e->ctx, &like, b, ""));
    set(e, "to", gram_print_at(e->ctx, &like, b, pack->panels ? "_panels" : "_padded"));
    gram_template_set_number(e->L, "heads", b->heads > 1 ? b->heads : 1);
    gram_template_set_flag(e->L, "batched", b->batched);
    gram_template_set_flag(e->L, "panels", pack->panels);
    gram_template_set_flag(e->L, "contiguous", gram_buffer_contiguous(e->plan, pack->buffer));
    gram_put(&e->bodies, "%s", gram_template_render(e->ctx, e->L, gram_template_pack, "pack.c.in"));
}

/* --- the frame ----------------------------------------------------------------------------------------------------- */

/* The dense strides of an array with these axes, as a gram_tensor's members. */
static const char *dense(emitter *e, const gram_axes *axes, const gram_buffer *b)
{
    const char *of[4] = {"0", "0", "0", "0"};
    gram_text product = {.ctx = e->ctx};
    gram_put(&product, "1");
    for (int k = axes->n - 1; k >= 0; k--) {
        const char *letter = strchr("bhrc", axes->axis[k].letter);
        of[letter - "bhrc"] = 0;
        of[strlen("bhrc") - strlen(letter)] = gram_strdup(e->ctx, product.data);
        if (axes->axis[k].letter != 'b') {
            bool one = !strcmp(product.data, "1");
            const char *size = dim(e, axes->axis[k].size), *before = product.data;
            product = (gram_text){.ctx = e->ctx};
            gram_put(&product, one ? "%s%s" : "%s * %s", one ? "" : before, size);
        }
    }
    return gram_format(e->ctx, "{NULL, %s, %s, %s, %s}", b->batched ? of[0] : "0", of[1], of[2], of[3]);
}

static const char *place_given(emitter *e, const gram_buffer *b, const char *name, const gram_axes *axes)
{
    const char *type = b->type == GRAM_INT ? "gram_ids" : "gram_tensor",
               *f = b->type == GRAM_INT ? "gram_ids_strided" : "gram_strided";
    const char *strides = dense(e, axes, b);
    if (gram_axes_strided(axes))
        return gram_format(e->ctx, "job->%s = %s(args->%s, args->%s_stride, (%s)%s);", b->name, f, name, name, type,
                           strides);
    const char *cast = b->type == GRAM_INT ? "" : "(gram_real *)";
    return gram_format(e->ctx, "job->%s = (%s)%s;\njob->%s.data = %sargs->%s;", b->name, type, strides, b->name, cast,
                       name);
}

static const char *work_size(emitter *e, const gram_buffer *b)
{
    return gram_format(e->ctx, "%s%s%s * %s", b->batched ? "job->batch * " : "",
                       b->heads > 1 ? gram_format(e->ctx, "%d * ", b->heads) : "", dim(e, b->rows), dim(e, b->cols));
}

static const char *place_work(emitter *e, const gram_buffer *b)
{
    const char *rows = dim(e, b->rows), *cols = dim(e, b->cols),
               *heads = gram_format(e->ctx, "%d", b->heads ? b->heads : 1);
    const char *place = gram_format(e->ctx, "gram_carve(workspace, &used, %s)", work_size(e, b));
    const char *batch = b->batched ? gram_format(e->ctx, "%s * %s * %s", heads, rows, cols) : "0";
    if (b->flat)
        return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s, 1, %s * %s};", b->name, place, batch, rows,
                           heads, rows);
    return gram_format(e->ctx, "job->%s = (gram_tensor){%s, %s, %s * %s, 1, %s};", b->name, place, batch, rows, cols,
                       rows);
}

static const char *place_view(emitter *e, const gram_buffer *b)
{
    const char *base = e->plan->buffers[b->base].name, *from = dim(e, b->from);
    const char *ids = b->type == GRAM_INT ? "_ids" : "";
    switch (b->view) {
    case GRAM_VIEW_TRANSPOSE:
        return gram_format(e->ctx, "job->%s = gram%s_turned(job->%s);", b->name, ids, base);
    case GRAM_VIEW_ROWS:
        return gram_format(e->ctx, "job->%s = gram_part(job->%s, 0, %s, 0);", b->name, base, from);
    case GRAM_VIEW_COLS:
        return gram_format(e->ctx, "job->%s = gram_part(job->%s, 0, 0, %s);", b->name, base, from);
    case GRAM_VIEW_HEAD:
        return gram_format(e->ctx, "job->%s = gram_part(job->%s, %d, 0, 0);", b->name, base, b->index);
    default:
        return gram_format(e->ctx, "job->%s = gram_split(job->%s, %s);", b->name, base, dim(e, b->rows));
    }
}

static const char *place_output(emitter *e, int buffer)
{
    const gram_buffer *b = &e->plan->buffers[buffer];
    gram_axes axes = gram_output_axes(&e->spec->outputs[b->index]);
    const char *given = place_given(e, b, e->spec->outputs[b->index].name, &axes);
    if (!gram_emit_is_read(e->plan, buffer))
        return given;
    return gram_format(e->ctx, "%s\nif (!args->%s) { /* others need it */\n    %s\n}", given,
                       e->spec->outputs[b->index].name, place_work(e, b));
}

static void add_tensor(emitter *e, const char *name, const char *type, const char *place)
{
    gram_template_begin(e->L, NULL);
    set(e, "name", name);
    set(e, "type", type);
    set(e, "place", place);
    gram_template_end(e->L);
}

static void add_pack_tensor(emitter *e, int index)
{
    const gram_pack *pack = &e->plan->packs[index];
    const gram_buffer *b = &e->plan->buffers[pack->buffer];
    const char *inner = dim(e, pack->panels ? b->cols : b->rows), *count = dim(e, pack->panels ? b->rows : b->cols);
    const char *head = pack->panels ? gram_format(e->ctx, "gram_parts(%s, GRAM_TILE) * GRAM_TILE * %s", count, inner)
                                    : gram_format(e->ctx, "%s * GRAM_PADDED(%s)", count, inner);
    const char *heads = gram_format(e->ctx, "%d", b->heads ? b->heads : 1), *name = pack_name(e, pack);
    const char *col = pack->panels ? inner : gram_format(e->ctx, "GRAM_PADDED(%s)", inner), *when = pack_when(e, index);
    const char *size = gram_format(e->ctx, "%s%s * %s", b->batched ? "job->batch * " : "", heads, head);
    if (*when)
        size = gram_format(e->ctx, "%s ? %s : 0", when, size);
    add_tensor(e, name, "gram_tensor",
               gram_format(e->ctx, "job->%s = (gram_tensor){gram_carve(workspace, &used, %s), %s%s%s, %s, 1, %s};",
                           name, size, b->batched ? heads : "0", b->batched ? " * " : "", b->batched ? head : "", head,
                           col));
}

/* Room for the states of a step's parts, or of the threads where there is one part only. */
static void add_states(emitter *e, const gram_step *step)
{
    const char *queries = dim(e, step->queries), *lanes = dim(e, step->lanes);
    const char *size = gram_emit_state_size(e, step, queries, gram_emit_width(e, step));
    const char *parts =
        gram_format(e->ctx, "%sgram_parts(%s, GRAM_PART)", gram_emit_items(e, step->heads, step->batched), lanes);
    const char *room = gram_format(e->ctx, "(%s > GRAM_PART ? %s : threads * %d) * (%s) + GRAM_BLOCK", lanes, parts,
                                   step->heads > 1 ? step->heads : 1, size);
    if (step->few == GRAM_FEW_PERHAPS)
        room = gram_format(e->ctx, "%s <= GRAM_BLOCK ? %s : 0", queries, room);
    const char *name = gram_format(e->ctx, "%s_states", step->name);
    add_tensor(e, name, "gram_tensor",
               gram_format(e->ctx, "job->%s.data = gram_carve(workspace, &used, %s);", name, room));
}

/* A matrix for each block of a linear step. */
static void add_linear_states(emitter *e, const gram_step *step)
{
    const char *name = gram_format(e->ctx, "%s_states", step->name);
    add_tensor(e, name, "gram_tensor",
               gram_format(e->ctx,
                           "job->%s.data = gram_carve(workspace, &used, %sgram_parts(%s, GRAM_BLOCK) * %s * (%s));",
                           name, gram_emit_items(e, step->heads, step->batched), dim(e, step->queries),
                           dim(e, step->leaves[0].inner), gram_emit_width(e, step)));
}

static bool is_used(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    for (int k = 0; k < plan->nsteps; k++)
        for (int s = 0; s < plan->steps[k]->nstores; s++)
            if (plan->steps[k]->stores[s].buffer == buffer)
                return true;
    for (int k = 0; k < plan->nbuffers; k++)
        if (plan->buffers[k].storage == GRAM_AT_VIEW && plan->buffers[k].base == buffer && is_used(plan, k))
            return true;
    return gram_emit_is_read(plan, buffer) || b->storage == GRAM_AT_OUTPUT;
}

static void add_tensors(emitter *e)
{
    gram_template_begin(e->L, "tensors");
    for (int k = 0; k < e->plan->nbuffers; k++) {
        const gram_buffer *b = &e->plan->buffers[k];
        const char *place;
        bool counted = b->node == NULL && b->storage == GRAM_AT_INPUT && b->type == GRAM_INT;
        if (!is_used(e->plan, k) && !counted)
            continue;
        if (b->storage == GRAM_AT_INPUT) {
            gram_axes axes = gram_input_axes(e->spec->inputs[b->index]);
            place = place_given(e, b, b->name, &axes);
            if (e->spec->inputs[b->index]->optional)
                place = gram_format(e->ctx,
                                    "%s\nif (!args->%s) { /* counts as zeros */\n    job->%s.data = "
                                    "gram_carve_zeros(workspace, &used, %s);\n}",
                                    place, b->name, b->name, work_size(e, b));
        } else if (b->storage == GRAM_AT_OUTPUT) {
            place = place_output(e, k);
        } else {
            place = b->storage == GRAM_AT_VIEW ? place_view(e, b) : place_work(e, b);
        }
        add_tensor(e, b->name, b->type == GRAM_INT ? "gram_ids" : "gram_tensor", place);
    }
    for (int k = 0; k < e->plan->npacks; k++)
        if (pack_when(e, k))
            add_pack_tensor(e, k);
    for (int k = 0; k < e->plan->nsteps; k++)
        if (gram_is_linear(e->plan->steps[k]))
            add_linear_states(e, e->plan->steps[k]);
        else if (e->plan->steps[k]->few != GRAM_FEW_NEVER)
            add_states(e, e->plan->steps[k]);
    gram_template_end(e->L);
}

static void add_names(emitter *e)
{
    gram_template_begin(e->L, "sizes");
    for (int k = 0; k < e->spec->nsizes; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "name", e->spec->sizes[k]);
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

static void add_slots(emitter *e)
{
    gram_layout layout = gram_layout_make(e->ctx, e->spec, e->plan->real_bits);
    gram_template_begin(e->L, "slots");
    for (int k = 0; k < layout.nslots; k++) {
        const gram_slot *slot = &layout.slots[k];
        bool strides = slot->kind == GRAM_SLOT_INPUT_STRIDES || slot->kind == GRAM_SLOT_OUTPUT_STRIDES;
        const char *gap = slot->type[strlen(slot->type) - 1] == '*' ? "" : " ", *comment = "";
        if (slot->kind == GRAM_SLOT_INPUT) {
            gram_axes axes = gram_input_axes(e->spec->inputs[slot->index]);
            comment = gram_format(e->ctx, " /* %s */", gram_axes_text(e->ctx, &axes));
        } else if (slot->kind == GRAM_SLOT_OUTPUT) {
            gram_axes axes = gram_output_axes(&e->spec->outputs[slot->index]);
            comment = gram_format(e->ctx, " /* %s, or NULL */", gram_axes_text(e->ctx, &axes));
        } else if (strides) {
            comment = " /* batch, head, token, in elements; all 0: dense */";
        }
        gram_template_begin(e->L, NULL);
        set(e, "text", gram_format(e->ctx, "%s%s%s%s;%s", slot->type, gap, slot->name, strides ? "[3]" : "", comment));
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

static void add_phase(emitter *e, const char *name, const char *when)
{
    gram_template_begin(e->L, NULL);
    set(e, "name", gram_format(e->ctx, "%s_%s", e->spec->name, name));
    if (*when)
        set(e, "when", when);
    gram_template_end(e->L);
}

/* A stream has its loop over blocks, and that of few queries with the merging of its parts. */
static void add_step_phases(emitter *e, const gram_step *step)
{
    if (gram_is_linear(step)) {
        add_phase(e, gram_format(e->ctx, "%s_blocks", step->name), "");
        add_phase(e, gram_format(e->ctx, "%s_before", step->name), "");
    }
    const char *few = gram_format(e->ctx, "%s <= GRAM_BLOCK", dim(e, step->queries));
    const char *parts = gram_format(e->ctx, "%s > GRAM_PART", dim(e, step->lanes));
    bool perhaps = step->few == GRAM_FEW_PERHAPS;
    if (step->few != GRAM_FEW_ALWAYS)
        add_phase(e, step->name, perhaps ? gram_format(e->ctx, "%s > GRAM_BLOCK", dim(e, step->queries)) : "");
    if (step->few == GRAM_FEW_NEVER)
        return;
    add_phase(e, gram_format(e->ctx, "%s_few", step->name), perhaps ? few : "");
    add_phase(e, gram_format(e->ctx, "%s_merge", step->name),
              perhaps ? gram_format(e->ctx, "%s && %s", few, parts) : parts);
}

static void add_phases(emitter *e)
{
    gram_template_begin(e->L, "phases");
    for (int k = 0; k < e->plan->norder; k++) {
        const gram_phase *phase = &e->plan->order[k];
        const gram_pack *pack = &e->plan->packs[phase->pack >= 0 ? phase->pack : 0];
        if (phase->pack < 0)
            add_step_phases(e, e->plan->steps[phase->step]);
        else if (pack_when(e, phase->pack))
            add_phase(e, gram_format(e->ctx, "pack_%s", pack_name(e, pack)), pack_when(e, phase->pack));
    }
    gram_template_end(e->L);
}

static const char *kernel_body(emitter *e)
{
    const char **rooms = gram_alloc(e->ctx, (size_t)(e->plan->nsteps + 1) * sizeof *rooms);
    bool scratch = false;
    for (int k = 0; k < e->plan->npacks; k++)
        if (pack_when(e, k))
            add_pack(e, &e->plan->packs[k]);
    for (int k = 0; k < e->plan->nsteps; k++) {
        rooms[k] = gram_emit_step(e, e->plan->steps[k]);
        scratch |= strcmp(rooms[k], "0") != 0;
    }
    gram_template_begin(e->L, "steps");
    for (int k = 0; k < e->plan->nsteps; k++) {
        gram_template_begin(e->L, NULL);
        set(e, "scratch", rooms[k]);
        gram_template_end(e->L);
    }
    gram_template_end(e->L);
    add_checks(e);
    gram_template_set_flag(e->L, "scratch", scratch);
    add_tensors(e);
    add_phases(e);
    set(e, "bodies", e->bodies.data);
    return gram_template_render(e->ctx, e->L, gram_template_kernel, "kernel.c.in");
}

/* --- the whole text ------------------------------------------------------------------------------------------------ */

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
    set(e, "struct", gram_template_render(e->ctx, e->L, gram_template_args, "args.h.in"));
}

static const char *all_declarations(emitter *e, const kernel *kernels, int n)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < n; k++) {
        start_kernel(e, &kernels[k]);
        gram_put(&text, "%s", gram_template_render(e->ctx, e->L, gram_template_declare, "declare.h.in"));
    }
    return text.data;
}

static const char *all_bodies(emitter *e, const kernel *kernels, int n)
{
    gram_text text = {.ctx = e->ctx};
    for (int k = 0; k < n; k++) {
        start_kernel(e, &kernels[k]);
        gram_put(&text, "%s%s", k ? "\n" : "", kernel_body(e));
    }
    return text.data;
}

static const char *header(emitter *e, const kernel *kernels, int n)
{
    set(e, "codes", gram_template_render(e->ctx, e->L, gram_template_codes, "codes.h.in"));
    set(e, "kernels", all_declarations(e, kernels, n));
    start_kernel(e, &kernels[0]);
    return gram_template_render(e->ctx, e->L, gram_template_header, "header.h.in");
}

/* For TinyCC: types and declarations in place of headers, and one kernel. */
static const char *jit_text(emitter *e, const kernel *k)
{
    const char *prelude = gram_template_render(e->ctx, e->L, gram_template_jit, "jit.c.in");
    const char *codes = gram_template_render(e->ctx, e->L, gram_template_codes, "codes.h.in");
    start_kernel(e, k);
    const char *args = gram_template_render(e->ctx, e->L, gram_template_args, "args.h.in"), *body = kernel_body(e);
    return gram_format(e->ctx, "%s%s%s%s%s", prelude,
                       gram_library_for(e->ctx, body, true, k->plan->real_bits, k->plan->wide), codes, args, body);
}

static const char *file_text(emitter *e, const kernel *kernels, int n)
{
    set(e, "header", header(e, kernels, n));
    const char *top = gram_template_render(e->ctx, e->L, gram_template_file, "file.c.in"),
               *body = all_bodies(e, kernels, n);
    return gram_format(e->ctx, "%s%s%s", top,
                       gram_library_for(e->ctx, body, false, kernels[0].plan->real_bits, kernels[0].plan->wide), body);
}

static const char *whole(emitter *e, gram_target target, const kernel *kernels, int n)
{
    set(e, "name", kernels[0].spec->name);
    set(e, "upper", upper(e->ctx, kernels[0].spec->name));
    set(e, "about", gram_emit_about(e->ctx, kernels[0].spec, kernels[0].plan, e->request));
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
    const gram_spec *gradient = gram_gradient(ctx, traced, traced->ngrad, traced->grad);
    gram_plan *backward = gram_plan_make(ctx, gram_simplify(ctx, gradient), plan->real_bits);
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
