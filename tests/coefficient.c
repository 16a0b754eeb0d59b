/* coefficient{} as the README promises it: every order, kernel, sigma and number of heads, as specs made here, against
 * loops written from its definition: g = sigma(kernel(y_i, b_j)), b_j the columns of B = W1 YY' W2 YY' ... W(K/2) Y.
 *
 * To add a kernel or a sigma: a row in its table. */
#include "oracle_run.h"

typedef double pair_kernel(const double *x, const double *y, int64_t k);

static double cosine(const double *x, const double *y, int64_t k)
{
    return dot(x, y, k) / sqrt(dot(x, x, k) * dot(y, y, k));
}

static double gaussian(const double *x, const double *y, int64_t k)
{
    return exp(-square_distance(x, y, k) / (double)k);
}

static double laplacian(const double *x, const double *y, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += fabs(x[i] - y[i]);
    return exp(-sum / (double)k);
}

static double student(const double *x, const double *y, int64_t k)
{
    return 1 / (1 + square_distance(x, y, k) / (double)k);
}

static double polynomial(const double *x, const double *y, int64_t k)
{
    return pow(dot(x, y, k) + 1, 2);
}

static const struct {
    const char *name;
    pair_kernel *f;
} kernels[] = {{"inner", dot},         {"cosine", cosine},   {"rbf", gaussian},
               {"laplace", laplacian}, {"student", student}, {"poly", polynomial}};

static double silu(double x)
{
    return x * sigmoid(x);
}

static double softplus(double x)
{
    return log(1 + exp(x));
}

/* NULL is the softmax, which is no function of one number. */
static const struct {
    const char *name;
    double (*f)(double);
} sigmas[] = {{"softmax", NULL}, {"tanh", tanh}, {"sigmoid", sigmoid},   {"relu", relu}, {"gelu", gelu}, {"silu", silu},
              {"erf", erf},      {"exp", exp},   {"softplus", softplus}, {"sin", sin},   {"cos", cos},   {"abs", fabs}};

typedef struct coefficient {
    int order, heads; /* 0: no heads */
    size_t kernel, sigma;
} coefficient;

/* Y = Z'X / sqrt(d n), so that no order grows with n; O = X g. */
static void compute(problem *p, int64_t b)
{
    static const char *const names[] = {"W1", "W2", "W3", "W4"};
    const coefficient *c = p->data;
    mat X = tokens(p, "X", b, 0), Y = scale(1 / sqrt((double)p->n), knowledge_of(p, b));
    for (int64_t h = 0; h < (c->heads ? c->heads : 1); h++) {
        int last = c->order / 2 - 1;
        mat B = mul(weights(p, names[last], h), Y);
        for (int i = last - 1; i >= 0; i--)
            B = mul(mul(mul(weights(p, names[i], h), Y), tr(Y)), B);
        mat pairs = kernel(kernels[c->kernel].f, Y, B);
        store(p, "O", b, h, mul(X, sigmas[c->sigma].f ? map(sigmas[c->sigma].f, pairs) : softmax(pairs)));
    }
}

/* The spec, in the quotes that Lua has besides C's. */
static void write_spec(const coefficient *c, char *text, size_t size)
{
    char heads[32] = "";
    if (c->heads)
        snprintf(heads, sizeof heads, ", heads = %d", c->heads);
    snprintf(text, size,
             "local d, k = option('d', 1), option('k', 1)\n"
             "local X, Z = tokens('X', d, 'n'), tokens('Z', d, k)\n"
             "local Y = Z:t() * X / sqrt(d * size('n'))\n"
             "local g = coefficient { Y, order = %d, kernel = '%s', sigma = %s%s }\n"
             "return kernel('coefficient', { O = X * g })\n",
             c->order, kernels[c->kernel].name, sigmas[c->sigma].name, heads);
}

static void check_coefficient(settings *with, const coefficient *c)
{
    char text[512], name[64], inputs[128] = "X=b.nd Z=b.kd";
    for (int i = 1; i <= c->order / 2; i++)
        snprintf(inputs + strlen(inputs), 32, " W%d=.%ckk", i, c->heads ? '0' + c->heads : '.');
    snprintf(name, sizeof name, "order %d %s %s heads %d", c->order, kernels[c->kernel].name, sigmas[c->sigma].name,
             c->heads);
    write_spec(c, text, sizeof text);
    oracle o = {name, "d k", inputs, c->heads ? "O=b8nd" : "O=b.nd", compute};
    check_trial(with, &o, (problem){.b = 2, .n = 37, .k = 4, .d = 6, .text = text, .data = c});
}

int main(void)
{
    settings with[] = {{.jit = "reference", .bits = 64}, {.jit = "tcc", .bits = 64}, {.jit = "tcc", .bits = 32}};
    gram_tally tally = {0};
    for (size_t w = 0; w < sizeof with / sizeof *with; w++) {
        for (int order = 2; order <= 8; order *= 2)
            for (int heads = 0; heads <= 8; heads += 8)
                for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
                    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++)
                        check_coefficient(&with[w], &(coefficient){order, heads, k, s});
        tally.passed += with[w].tally.passed;
        tally.failed += with[w].tally.failed;
    }
    return gram_tally_end(&tally);
}
