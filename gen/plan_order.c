/* The order of a plan's steps: that in which they were made, each after what it reads, but that a step which leaves no
 * more in the workspace than it found there runs as soon as it can. So what is summed up over the tokens is used up at
 * once, and the arrays of one head, or of one layer, are gone when those of the next come. */
#include <string.h>

#include "chain.h"
#include "planner.h"

enum { READS = 1, WRITES = 2 };

typedef struct order {
    gram_plan *plan;
    char *uses;      /* by step and buffer: READS, WRITES */
    char *needs;     /* by step and step: must that one have run? */
    char *done;      /* by step */
    int *left;       /* by buffer: the steps to come that use it */
    char *begun;     /* by buffer: has one used it? */
    double *numbers; /* by buffer: of the workspace, that grow with a runtime size, were that GRAM_MANY */
} order;

static char uses(const order *o, int step, int buffer)
{
    return o->uses[step * o->plan->nbuffers + buffer];
}

static double numbers_of(const gram_buffer *b)
{
    bool grows = !gram_dim_known(b->rows) || !gram_dim_known(b->cols) || !gram_dim_known(b->each);
    return b->storage == GRAM_AT_WORK && grows ? gram_dim_nominal(b->rows) * gram_dim_nominal(b->cols) *
                                                     gram_dim_nominal(b->each) * (b->heads > 1 ? b->heads : 1)
                                               : 0;
}

/* What a step does with a view it does with the array seen. */
static void list_uses(order *o)
{
    const gram_plan *plan = o->plan;
    for (int b = 0; b < plan->nbuffers; b++) {
        const int base = gram_buffer_base(plan, b);
        o->numbers[b] = numbers_of(&plan->buffers[b]);
        for (int k = 0; k < plan->nsteps; k++)
            o->uses[k * plan->nbuffers + base] |=
                (char)((gram_reads(plan->steps[k], b) ? READS : 0) | (gram_writes(plan->steps[k], b) ? WRITES : 0));
    }
}

/* A step needs those before it that wrote what it uses, or that used what it writes. */
static void list_needs(order *o)
{
    const int n = o->plan->nsteps;
    for (int step = 0; step < n; step++)
        for (int b = 0; b < o->plan->nbuffers; b++) {
            const char use = uses(o, step, b);
            o->left[b] += use != 0;
            for (int before = 0; before < step && use; before++)
                o->needs[step * n + before] |= uses(o, before, b) && ((uses(o, before, b) | use) & WRITES);
        }
}

static bool is_ready(const order *o, int step)
{
    bool ready = !o->done[step];
    for (int before = 0; before < step && ready; before++)
        ready = o->done[before] || !o->needs[step * o->plan->nsteps + before];
    return ready;
}

/* By how much the workspace grows with the step: the arrays that it is first to use, less those that it is last to. */
static double growth(const order *o, int step)
{
    double more = 0;
    for (int b = 0; b < o->plan->nbuffers; b++)
        if (uses(o, step, b))
            more += o->numbers[b] * (!o->begun[b] - (o->left[b] == 1));
    return more;
}

/* The step to run next. */
static int next(const order *o)
{
    int first = 0;
    while (o->done[first])
        first++;
    for (int k = first; k < o->plan->nsteps; k++)
        if (is_ready(o, k) && growth(o, k) <= 0)
            return k;
    return first;
}

static void run(order *o, int step)
{
    o->done[step] = 1;
    for (int b = 0; b < o->plan->nbuffers; b++)
        if (uses(o, step, b)) {
            o->begun[b] = 1;
            o->left[b]--;
        }
}

void gram_order_steps(gram_ctx *ctx, gram_plan *plan)
{
    const size_t nsteps = (size_t)plan->nsteps, nbuffers = (size_t)plan->nbuffers;
    order o = {plan,
               gram_alloc(ctx, nsteps * nbuffers + 1),
               gram_alloc(ctx, nsteps * nsteps + 1),
               gram_alloc(ctx, nsteps + 1),
               gram_alloc(ctx, (nbuffers + 1) * sizeof(int)),
               gram_alloc(ctx, nbuffers + 1),
               gram_alloc(ctx, (nbuffers + 1) * sizeof(double))};
    gram_step **steps = gram_alloc(ctx, (nsteps + 1) * sizeof *steps);
    list_uses(&o);
    list_needs(&o);
    for (int k = 0; k < plan->nsteps; k++) {
        const int step = next(&o);
        run(&o, step);
        steps[k] = plan->steps[step];
    }
    plan->steps = steps;
}
