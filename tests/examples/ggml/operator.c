/* A kernel of gram as an operator of ggml, forward and backward:
 *
 *     cc -c operator.c $(pkg-config --cflags gram) -I ggml/include
 *
 * ggml says a tensor's sizes from the innermost on and its steps in bytes: Q of ne = {d, n, heads, batch} is gram's
 * [batch, heads, n, d], and is read where it lies. ggml's graph calls the operator on one thread of its own (n_tasks
 * 1); the kernel then runs on gram's. ggml has no gradient for custom operators: a graph that learns has
 * attention_gradient's node for each of them, which needs the gradient of the operator's result. */
#include <stdio.h>
#include <stdlib.h>

#include <ggml.h>
#include <gram.h>

/* What the operators' userdata is: loaded once, and free to be used by many nodes. */
typedef struct attention {
    gram_kernel *forward, *backward; /* of a spec with inputs Q, K, V and an output O, all with heads */
} attention;

/* The tensor's numbers as gram's array [batch, heads, n, d]. */
static gram_array array_of(const struct ggml_tensor *t)
{
    gram_array a = {.dtype = GRAM_F4, .ndim = 4, .data = t->data};
    for (int k = 0; k < 4; k++) {
        a.shape[k] = t->ne[3 - k];
        a.stride[k] = (int64_t)(t->nb[3 - k] / sizeof(float));
    }
    return a;
}

/* An operator of ggml cannot fail, so what cannot be run ends the program. */
static void run(gram_kernel *kernel, int n, const gram_argument *arguments)
{
    char message[GRAM_MESSAGE_SIZE];
    if (gram_run(kernel, n, arguments, message, sizeof message) != GRAM_OK) {
        fprintf(stderr, "%s\n", message);
        abort();
    }
}

static void forward(struct ggml_tensor *dst, const struct ggml_tensor *q, const struct ggml_tensor *k,
                    const struct ggml_tensor *v, int ith, int nth, void *userdata)
{
    const attention *self = userdata;
    gram_array Q = array_of(q), K = array_of(k), V = array_of(v), O = array_of(dst);
    (void)ith, (void)nth;
    run(self->forward, 4, (gram_argument[]){{"Q", &Q, NULL}, {"K", &K, NULL}, {"V", &V, NULL}, {"O", &O, NULL}});
}

/* O of Q, K and V, of Q's shape: d, n, heads, batch. */
struct ggml_tensor *attention_of(struct ggml_context *ctx, const attention *self, struct ggml_tensor *q,
                                 struct ggml_tensor *k, struct ggml_tensor *v)
{
    return ggml_map_custom3(ctx, q, k, v, forward, 1, (void *)self);
}

/* dst has room for dQ, dK and dV, one after the other; its sources are Q, K, V and dO. */
static void backward(struct ggml_tensor *dst, int ith, int nth, void *userdata)
{
    const attention *self = userdata;
    gram_array in[4], out[3];
    float *at = dst->data;
    (void)ith, (void)nth;
    for (int k = 0; k < 4; k++)
        in[k] = array_of(dst->src[k]);
    for (int k = 0; k < 3; k++) {
        out[k] = gram_array_dense(GRAM_F4, 4, in[k].shape, at);
        at += ggml_nelements(dst->src[k]);
    }
    run(self->backward, 7,
        (gram_argument[]){{"Q", &in[0], NULL}, {"K", &in[1], NULL}, {"V", &in[2], NULL}, {"dO", &in[3], NULL},
                          {"dQ", &out[0], NULL}, {"dK", &out[1], NULL}, {"dV", &out[2], NULL}});
}

/* The gradients of Q, K and V, one after the other in one row; ggml_view_4d takes them apart. */
struct ggml_tensor *attention_gradient(struct ggml_context *ctx, const attention *self, struct ggml_tensor *q,
                                       struct ggml_tensor *k, struct ggml_tensor *v, struct ggml_tensor *slope)
{
    struct ggml_tensor *sources[] = {q, k, v, slope};
    int64_t size = ggml_nelements(q) + ggml_nelements(k) + ggml_nelements(v);
    return ggml_custom_4d(ctx, GGML_TYPE_F32, size, 1, 1, 1, sources, 4, backward, 1, (void *)self);
}

/* Loads the spec and its gradient by Q, K and V; 0, or -1 with a line in message. */
int attention_load(attention *self, const char *file, char *message, size_t size)
{
    static const char *const names[] = {"Q", "K", "V"};
    const gram_derivative by = {.n = 3, .names = names};
    if (gram_load_file(file, NULL, &self->forward, message, size) != GRAM_OK)
        return -1;
    if (gram_load_derivative(self->forward, &by, &self->backward, message, size) == GRAM_OK)
        return 0;
    gram_free(self->forward);
    return -1;
}

void attention_free(attention *self)
{
    gram_free(self->backward);
    gram_free(self->forward);
}
