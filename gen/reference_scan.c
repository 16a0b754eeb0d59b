/* The reference's scan: f in double on one column after the other, which are the items of a batch to it. A state's
 * first value and what follows each column lie one after the other, so that an item reads the state that the one before
 * it wrote. */
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "scan.h"

typedef struct walk {
    gram_work *work;
    const gram_scan *scan;
    int64_t n;
    double **rooms; /* of each result: states from the first on, or output columns */
} walk;

static int64_t size_of(const walk *w, gram_dim dim)
{
    return gram_size_of(w->work->spec, w->work->sizes, dim);
}

static int64_t numbers_of(const walk *w, const gram_node *node)
{
    return size_of(w, node->rows) * size_of(w, node->cols);
}

/* The first values stand before all that f writes. */
static bool take_rooms(walk *w)
{
    bool all = true;
    for (int k = 0; k < w->scan->nresults; k++) {
        size_t size = (size_t)numbers_of(w, w->scan->results[k]);
        w->rooms[k] = calloc(size * ((size_t)w->n + 1) + 1, sizeof(double));
        all = all && w->rooms[k];
        const gram_operand *first = &w->work->x[k];
        for (int64_t j = 0; all && k < w->scan->nstates && j < first->cols; j++)
            for (int64_t i = 0; i < first->rows; i++)
                w->rooms[k][j * first->rows + i] = gram_entry(first, i, j);
    }
    return all;
}

static gram_view input_view(const walk *w, int k)
{
    const gram_operand *x = &w->work->x[k];
    const gram_node *leaf = w->scan->inputs[k];
    int64_t last = w->scan->backwards ? w->n - 1 : 0;
    if (k < w->scan->nstates)
        return (gram_view){w->rooms[k], numbers_of(w, leaf), 0, 1, size_of(w, leaf->rows)};
    if (k < w->scan->nstates + w->scan->ncolumns)
        return (gram_view){x->data + last * x->col, w->scan->backwards ? -x->col : x->col, 0, x->row, 0};
    return (gram_view){x->data, 0, 0, x->row, x->col};
}

static gram_view output_view(const walk *w, int k)
{
    const gram_node *result = w->scan->results[k];
    int64_t size = numbers_of(w, result);
    if (k < w->scan->nstates)
        return (gram_view){w->rooms[k] + size, size, 0, 1, size_of(w, result->rows)};
    bool back = w->scan->backwards;
    return (gram_view){w->rooms[k] + (back ? (w->n - 1) * size : 0), back ? -size : size, 0, 1, 0};
}

static void walk_columns(walk *w)
{
    gram_ctx *ctx = w->work->ctx;
    const gram_spec *spec = gram_scan_spec(ctx, w->work->spec, w->scan, "scan", NULL);
    gram_view *inputs = gram_alloc(ctx, (size_t)(spec->ninputs + 1) * sizeof *inputs);
    gram_view *outputs = gram_alloc(ctx, (size_t)(spec->noutputs + 1) * sizeof *outputs);
    for (int k = 0; k < spec->ninputs; k++)
        inputs[k] = input_view(w, k);
    for (int k = 0; k < spec->noutputs; k++)
        outputs[k] = output_view(w, k);
    gram_reference(ctx, spec, w->n, w->work->sizes, inputs, outputs);
}

void gram_reference_scan(gram_work *work)
{
    walk w = {work, work->node->scan, gram_size_of(work->spec, work->sizes, work->node->dim), NULL};
    w.rooms = gram_alloc(work->ctx, (size_t)(w.scan->nresults + 1) * sizeof *w.rooms);
    bool room = take_rooms(&w);
    if (room && w.n > 0)
        walk_columns(&w);
    int k = work->node->index;
    int64_t size = work->out.rows * work->out.cols, at = k < w.scan->nstates ? w.n * size : 0;
    if (room)
        memcpy(work->out.data, w.rooms[k] + at, (size_t)size * sizeof(double));
    for (int r = 0; r < w.scan->nresults; r++)
        free(w.rooms[r]);
    if (!room)
        gram_fail(work->ctx, work->node->loc, "out of memory for a scan of %lld columns", (long long)w.n);
}
