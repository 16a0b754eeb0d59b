/* Arrays of a plan: buffers, views of them, packs, and which node's value each holds. */
#include <string.h>

#include "planner.h"

/* --- buffers ------------------------------------------------------------------------------------------------------ */

void *gram_plan_grow(gram_ctx *ctx, void *old, int n, size_t size)
{
    char *more = old;
    if ((n & (n + 1)) == 0) {
        more = gram_alloc(ctx, (size_t)(2 * n + 2) * size);
        if (n)
            memcpy(more, old, (size_t)n * size);
    }
    return more;
}

int gram_plan_new_buffer(gram_planner *p, gram_buffer b)
{
    gram_plan *plan = p->plan;
    plan->buffers = gram_plan_grow(p->ctx, plan->buffers, plan->nbuffers, sizeof b);
    plan->buffers[plan->nbuffers] = b;
    return plan->nbuffers++;
}

gram_buffer gram_buffer_like(const gram_node *node)
{
    return (gram_buffer){.node = node,
                         .storage = GRAM_AT_WORK,
                         .type = node->type,
                         .rows = node->rows,
                         .cols = node->cols,
                         .each = node->each,
                         .heads = node->heads,
                         .batched = node->batched};
}

/* The view, which may be there. */
static int add_view(gram_planner *p, const gram_buffer *view)
{
    for (int k = 0; k < p->plan->nbuffers; k++) {
        const gram_buffer *b = &p->plan->buffers[k];
        if (b->storage == GRAM_AT_VIEW && b->base == view->base && b->view == view->view && b->heads == view->heads &&
            b->index == view->index && b->batched == view->batched && gram_dim_equal(b->rows, view->rows) &&
            gram_dim_equal(b->cols, view->cols) && gram_dim_equal(b->from, view->from) &&
            gram_dim_equal(b->each, view->each))
            return k;
    }
    return gram_plan_new_buffer(p, *view);
}

/* The array `base` seen so, from its start on and at full size until that is changed. */
static gram_buffer view_of(const gram_planner *p, int base, gram_view_of view)
{
    gram_buffer b = p->plan->buffers[base];
    b.name = NULL;
    b.node = NULL;
    b.storage = GRAM_AT_VIEW;
    b.base = base;
    b.view = view;
    b.index = 0;
    b.from = gram_dim_number(0);
    b.flat = false;
    return b;
}

int gram_plan_view(gram_planner *p, int base, gram_view_of view, gram_dim rows, gram_dim cols, gram_dim from)
{
    gram_buffer b = view_of(p, base, view);
    b.rows = rows;
    b.cols = cols;
    b.from = from;
    return add_view(p, &b);
}

int gram_plan_head_view(gram_planner *p, int base, int head)
{
    gram_buffer b = view_of(p, base, GRAM_VIEW_HEAD);
    b.index = head;
    b.heads = 0;
    return add_view(p, &b);
}

/* (H rows) x cols as H heads of rows x cols. */
int gram_plan_split_view(gram_planner *p, int base, int heads, gram_dim rows)
{
    gram_buffer b = view_of(p, base, GRAM_VIEW_SPLIT);
    b.heads = heads;
    b.rows = rows;
    return add_view(p, &b);
}

/* All of a dense array, in node's shape. */
int gram_plan_shape_view(gram_planner *p, int base, const gram_node *node)
{
    gram_buffer b = view_of(p, base, GRAM_VIEW_SHAPE);
    b.rows = node->rows;
    b.cols = node->cols;
    b.each = node->each;
    b.batched = node->batched;
    return add_view(p, &b);
}

bool gram_buffer_is_like(const gram_buffer *b, const gram_node *node)
{
    return b->heads == node->heads && b->batched == node->batched && gram_dim_equal(b->each, node->each);
}

/* Is it no caller's array? In a scan's plan none is. */
static bool is_own(const gram_plan *plan, const gram_buffer *b)
{
    return b->storage == GRAM_AT_WORK || (plan->spec->scan && b->storage != GRAM_AT_VIEW);
}

bool gram_buffer_dense(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    bool shaped = b->storage == GRAM_AT_VIEW && b->view == GRAM_VIEW_SHAPE;
    return shaped || (is_own(plan, b) && b->heads == 0 && !b->flat && !b->weights);
}

int gram_pad(const gram_plan *plan)
{
    return plan->real_bits == 64 ? 8 : 16;
}

bool gram_is_whole_vectors(const gram_plan *plan, gram_dim rows)
{
    return gram_dim_known(rows) && rows.number % gram_pad(plan) == 0;
}

bool gram_buffer_contiguous(const gram_plan *plan, int buffer)
{
    const gram_buffer *b = &plan->buffers[buffer];
    if (b->storage != GRAM_AT_VIEW)
        return !b->weights;
    if (b->view == GRAM_VIEW_TRANSPOSE)
        return plan->buffers[b->base].weights && plan->buffers[b->base].storage != GRAM_AT_VIEW;
    return gram_buffer_contiguous(plan, b->base);
}

bool gram_plan_reads_vectors(gram_planner *p, int buffer, gram_dim rows)
{
    gram_buffer *base = &p->plan->buffers[buffer];
    bool whole = gram_is_whole_vectors(p->plan, rows);
    while (base->storage == GRAM_AT_VIEW)
        base = &p->plan->buffers[base->base];
    if (base->half || !gram_buffer_contiguous(p->plan, buffer) || (!whole && !is_own(p->plan, base)))
        return false;
    base->read_beyond |= !whole;
    return true;
}

int gram_plan_pack(gram_planner *p, int buffer, gram_pack_kind kind, gram_dim inner)
{
    gram_plan *plan = p->plan;
    for (int k = 0; k < plan->npacks; k++)
        if (plan->packs[k].buffer == buffer && plan->packs[k].kind == kind)
            return k;
    plan->packs = gram_plan_grow(p->ctx, plan->packs, plan->npacks, sizeof *plan->packs);
    plan->packs[plan->npacks] = (gram_pack){buffer, kind, inner};
    return plan->npacks++;
}

/* --- the table of what has a buffer ------------------------------------------------------------------------------- */

void gram_plan_know(gram_planner *p, int id)
{
    int size = p->known;
    if (id < size)
        return;
    p->known = 2 * id + 16;
    int *buffer = gram_alloc(p->ctx, (size_t)p->known * sizeof *buffer);
    char *computed = gram_alloc(p->ctx, (size_t)p->known);
    int *users = gram_alloc(p->ctx, (size_t)p->known * sizeof *users);
    int *seen = gram_alloc(p->ctx, (size_t)p->known * sizeof *seen);
    if (size) {
        memcpy(buffer, p->buffer, (size_t)size * sizeof *buffer);
        memcpy(computed, p->computed, (size_t)size);
        memcpy(users, p->users, (size_t)size * sizeof *users);
        memcpy(seen, p->seen, (size_t)size * sizeof *seen);
    }
    p->buffer = buffer;
    p->computed = computed;
    p->users = users;
    p->seen = seen;
}

int gram_plan_hold(gram_planner *p, const gram_node *node, int buffer)
{
    gram_plan_know(p, node->id);
    p->buffer[node->id] = buffer + 1;
    p->computed[node->id] = 1;
    return buffer;
}

/* Node's heads joined, where something needs them so and they have no array yet; or NULL. */
static const gram_node *joined(const gram_planner *p, const gram_node *node)
{
    for (int k = 0; k < p->nlive; k++) {
        const gram_node *user = p->live[k];
        if (user->op == GRAM_OP_CONCAT_HEADS && user->args[0] == node && !p->buffer[user->id])
            return user;
    }
    return NULL;
}

int gram_plan_place(gram_planner *p, const gram_node *node)
{
    gram_plan_know(p, node->id);
    if (p->buffer[node->id])
        return p->buffer[node->id] - 1;
    const gram_node *whole = joined(p, node);
    if (!whole)
        return gram_plan_new_buffer(p, gram_buffer_like(node));
    int buffer = gram_plan_new_buffer(p, gram_buffer_like(whole));
    p->buffer[whole->id] = buffer + 1;
    return gram_plan_split_view(p, buffer, node->heads, node->rows);
}

int gram_plan_reserve(gram_planner *p, const gram_node *node)
{
    return gram_plan_hold(p, node, gram_plan_place(p, node));
}
