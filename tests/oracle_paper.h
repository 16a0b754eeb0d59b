/* The oracles of Ma and Ying's own formulas (doi 10.4208/jml.221206): see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_PAPER_H
#define GRAM_TESTS_ORACLE_PAPER_H

#include "oracle.h"

/* X + W_V X S_r(X' W_Q' W_K X / sqrt d1)' */
static void attention(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), WQ = weights(p, "WQ", 0), WK = weights(p, "WK", 0), WV = weights(p, "WV", 0);
    mat A = scale(1 / sqrt((double)p->e), mul(mul(mul(tr(X), tr(WQ)), WK), X));
    store(p, "O", b, 0, add(X, mul(mul(WV, X), softmax(tr(A)))));
}

/* X softmax(X'X / sqrt d) */
static void equivariant(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0);
    store(p, "O", b, 0, mul(X, softmax(scale(1 / sqrt((double)p->d), mul(tr(X), X)))));
}

/* X tanh(G + Y'CY) + Z relu(CY + YG) with G = X'X / d, Y = Z'X / d, C = Z'Z / d */
static void knowledge(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), Z = tokens(p, "Z", b, 0);
    double by = 1 / (double)p->d;
    mat G = scale(by, mul(tr(X), X)), Y = scale(by, mul(tr(Z), X)), C = scale(by, mul(tr(Z), Z));
    mat g1 = map(tanh, add(G, mul(mul(tr(Y), C), Y))), g2 = map(relu, add(mul(C, Y), mul(Y, G)));
    store(p, "O", b, 0, add(mul(X, g1), mul(Z, g2)));
}

/* X S_r(X' W_Q' W_K X / sqrt d1)': what A = [0 I; 0 0] leaves */
static void quadratic(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0);
    mat query = mul(weights(p, "WQ", 0), X), key = mul(weights(p, "WK", 0), X);
    store(p, "O", b, 0, mul(X, softmax(scale(1 / sqrt((double)p->e), mul(tr(key), query)))));
}

/* Y' W Y Y' W Y ... Y' W Y over the q matrices called names[], each over n but the first, and over sqrt k */
static mat form(problem *p, mat Y, int q, const char *const *names)
{
    mat product = mul(mul(tr(Y), weights(p, names[0], 0)), Y);
    for (int i = 1; i < q; i++)
        product = scale(1 / (double)p->n, mul(mul(mul(product, tr(Y)), weights(p, names[i], 0)), Y));
    return scale(1 / sqrt((double)p->k), product);
}

/* X f(argument) */
static void store_product(problem *p, int64_t b, double (*f)(double), mat argument)
{
    store(p, "O", b, 0, mul(tokens(p, "X", b, 0), map(f, argument)));
}

static void order2(problem *p, int64_t b)
{
    store_product(p, b, sigmoid, form(p, knowledge_of(p, b), 1, (const char *[]){"W"}));
}

static void order4(problem *p, int64_t b)
{
    store_product(p, b, sigmoid, form(p, knowledge_of(p, b), 2, (const char *[]){"W1", "W2"}));
}

static void order8(problem *p, int64_t b)
{
    store_product(p, b, sigmoid, form(p, knowledge_of(p, b), 4, (const char *[]){"W1", "W2", "W3", "W4"}));
}

static void order_mixed(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    mat sum = add(form(p, Y, 1, (const char *[]){"W11"}), form(p, Y, 2, (const char *[]){"W21", "W22"}));
    store_product(p, b, sigmoid, add(sum, form(p, Y, 4, (const char *[]){"W31", "W32", "W33", "W34"})));
}

/* X Y'WY / (n sqrt k) */
static void identity(problem *p, int64_t b)
{
    mat g = form(p, knowledge_of(p, b), 1, (const char *[]){"W"});
    store(p, "O", b, 0, scale(1 / (double)p->n, mul(tokens(p, "X", b, 0), g)));
}

/* X tanh(relu(Y'AY / sqrt k) relu(Y'BY / sqrt k) / n) */
static void deep(problem *p, int64_t b)
{
    mat Y = knowledge_of(p, b);
    mat left = map(relu, form(p, Y, 1, (const char *[]){"A"})), right = map(relu, form(p, Y, 1, (const char *[]){"B"}));
    store_product(p, b, tanh, scale(1 / (double)p->n, mul(left, right)));
}

/* X + sum_h W_out W_V X S_r(X' W_Q' W_K X / sqrt d1)', 8 heads */
static void multihead(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), sum = X;
    for (int64_t h = 0; h < 8; h++) {
        mat query = mul(weights(p, "WQ", h), X), key = mul(weights(p, "WK", h), X), value = mul(weights(p, "WV", h), X);
        mat g = softmax(scale(1 / sqrt((double)p->e), mul(tr(key), query)));
        sum = add(sum, mul(weights(p, "Wout", h), mul(value, g)));
    }
    store(p, "O", b, 0, sum);
}

/* X softmax(Y'Y / sqrt k) */
static mat self_attention(mat X, mat Y)
{
    return mul(X, softmax(scale(1 / sqrt((double)X.p->k), mul(tr(Y), Y))));
}

/* X softmax(Y'Y / sqrt k) + Z softmax(Y), Y = Z'X, Z weights */
static void knowledge_learned(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), Z = weights(p, "Z", 0), Y = mul(tr(Z), X);
    store(p, "O", b, 0, add(self_attention(X, Y), mul(Z, softmax(Y))));
}

/* X + Z softmax(Z'X / sqrt d) */
static void knowledge_data(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), Z = tokens(p, "Z", b, 0);
    store(p, "O", b, 0, add(X, mul(Z, softmax(knowledge_of(p, b)))));
}

/* [Z, X] softmax([Z, X]'X / sqrt d) */
static void knowledge_joint(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), ZX = hjoin(tokens(p, "Z", b, 0), X);
    store(p, "O", b, 0, mul(ZX, softmax(scale(1 / sqrt((double)p->d), mul(tr(ZX), X)))));
}

/* sigmoid of c1 Y'W11 Y + c2 Y'W21 YY'W22 Y + ..., orders 2 to 8 */
static void order_full(problem *p, int64_t b)
{
    static const char *const names[4][4] = {
        {"W11"}, {"W21", "W22"}, {"W31", "W32", "W33"}, {"W41", "W42", "W43", "W44"}};
    static const char *const factors[4] = {"c1", "c2", "c3", "c4"};
    mat Y = knowledge_of(p, b), sum = zeros(p, p->n, p->n);
    for (int i = 0; i < 4; i++)
        sum = add(sum, scale(scalar(p, factors[i], 0), form(p, Y, i + 1, names[i])));
    store_product(p, b, sigmoid, sum);
}

/* Y'AY with Y = Z'X / sqrt(d n) */
static mat small_form(problem *p, int64_t b)
{
    mat Y = scale(1 / sqrt((double)p->n), knowledge_of(p, b));
    return mul(mul(tr(Y), weights(p, "A", 0)), Y);
}

/* tanh of the sum of (S / 32)^i, S = Y'AY */
static void series_geometric(problem *p, int64_t b)
{
    mat S = scale(1.0 / 32, small_form(p, b)), power = S, sum = S;
    for (int i = 2; i < 200; i++) {
        power = mul(power, S);
        sum = add(sum, power);
    }
    store_product(p, b, tanh, sum);
}

/* tanh of the sum of S^i / i!, S = Y'AY / 4 */
static void series_exponential(problem *p, int64_t b)
{
    mat S = scale(1.0 / 4, small_form(p, b)), term = S, sum = S;
    for (int i = 2; i < 60; i++) {
        term = scale(1.0 / i, mul(term, S));
        sum = add(sum, term);
    }
    store_product(p, b, tanh, sum);
}

/* X softmax(Y'Y / sqrt k), Y = Z'X / sqrt d */
static mat plain_attention(problem *p, int64_t b)
{
    return self_attention(tokens(p, "X", b, 0), knowledge_of(p, b));
}

/* W X g */
static void projected(problem *p, int64_t b)
{
    store(p, "O", b, 0, mul(weights(p, "W", 0), plain_attention(p, b)));
}

/* V gelu(U X g) */
static void feed_forward(problem *p, int64_t b)
{
    mat hidden = map(gelu, mul(weights(p, "U", 0), plain_attention(p, b)));
    store(p, "O", b, 0, mul(weights(p, "V", 0), hidden));
}

static double unit_gaussian(const double *x, const double *y, int64_t d)
{
    return exp(-square_distance(x, y, d) / (double)d);
}

/* W_1 X softmax(Y'Y / sqrt k) + W_2 X tanh(Y'Y / k) + W_3 X exp(-|y_i - y_j|^2 / k), each its own Y = Z_i'X / sqrt d */
static void heads_differ(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), sum = zeros(p, p->d, p->n);
    for (int h = 0; h < 3; h++) {
        mat Y = scale(1 / sqrt((double)p->d), mul(tr(tokens(p, "Z", b, h)), X)), G = mul(tr(Y), Y);
        mat g[3] = {softmax(scale(1 / sqrt((double)p->k), G)), map(tanh, scale(1 / (double)p->k, G)),
                    kernel(unit_gaussian, Y, Y)};
        sum = add(sum, mul(weights(p, "W", h), mul(X, g[h])));
    }
    store(p, "O", b, 0, sum);
}

/* h <- sum_i W_i h softmax(Y_i'Y_i / sqrt k), three times */
static void layers(problem *p, int64_t b)
{
    static const char *const Z[3] = {"Z1", "Z2", "Z3"}, *const W[3] = {"W1", "W2", "W3"};
    mat x = tokens(p, "X", b, 0);
    for (int l = 0; l < 3; l++) {
        mat sum = zeros(p, p->d, p->n);
        for (int h = 0; h < 2; h++) {
            mat Y = scale(1 / sqrt((double)p->d), mul(tr(tokens(p, Z[l], b, h)), x));
            sum = add(sum, mul(weights(p, W[l], h), self_attention(x, Y)));
        }
        x = sum;
    }
    store(p, "O", b, 0, x);
}

/* gain (x - mean) / sqrt(variance + 1e-5) + bias, each column */
static mat layer_norm(mat X, const char *gain, const char *bias)
{
    mat to = zeros(X.p, X.r, X.c), g = tokens(X.p, gain, 0, 0), h = tokens(X.p, bias, 0, 0);
    for (int64_t j = 0; j < X.c; j++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < X.r; i++)
            mean += *at(X, i, j) / (double)X.r;
        for (int64_t i = 0; i < X.r; i++)
            variance += pow(*at(X, i, j) - mean, 2) / (double)X.r;
        for (int64_t i = 0; i < X.r; i++)
            *at(to, i, j) = *at(g, i, 0) * (*at(X, i, j) - mean) / sqrt(variance + 1e-5) + *at(h, i, 0);
    }
    return to;
}

/* A column added to every column. */
static mat add_column(mat a, mat column)
{
    for (int64_t i = 0; i < a.r; i++)
        for (int64_t j = 0; j < a.c; j++)
            *at(a, i, j) += *at(column, i, 0);
    return a;
}

/* h = X + sum_h W_out V softmax(K'Q / sqrt d1) of LN(X);  h + W2 gelu(W1 LN(h) + b1) + b2 */
static void transformer(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), N = layer_norm(X, "gain1", "bias1"), x = X;
    for (int64_t h = 0; h < 4; h++) {
        mat query = mul(weights(p, "WQ", h), N), key = mul(weights(p, "WK", h), N), value = mul(weights(p, "WV", h), N);
        mat g = softmax(scale(1 / sqrt((double)p->e), mul(tr(key), query)));
        x = add(x, mul(weights(p, "Wout", h), mul(value, g)));
    }
    mat hidden = mul(weights(p, "W1", 0), layer_norm(x, "gain2", "bias2"));
    hidden = map(gelu, add_column(hidden, tokens(p, "b1", 0, 0)));
    store(p, "O", b, 0, add_column(add(x, mul(weights(p, "W2", 0), hidden)), tokens(p, "b2", 0, 0)));
}

/* H softmax(H'H / sqrt d), H = X + P; the footnote counts i and j from 1 */
static void position(problem *p, int64_t b)
{
    mat H = tokens(p, "X", b, 0);
    for (int64_t j = 1; j <= p->n; j++)
        for (int64_t i = 1; i <= p->d / 2; i++) {
            double angle = (double)j / pow((double)p->n, 2.0 * (double)i / (double)p->d);
            *at(H, 2 * i - 2, j - 1) += sin(angle);
            *at(H, 2 * i - 1, j - 1) += cos(angle);
        }
    store(p, "O", b, 0, mul(H, softmax(scale(1 / sqrt((double)p->d), mul(tr(H), H)))));
}

/* Z g with g_i = max(0, 1 - |result - digit i|), also where X and Z are no embeddings at all */
static void arithmetic(problem *p, int64_t b)
{
    mat Z = tokens(p, "Z", b, 0), Y = mul(tr(Z), tokens(p, "X", b, 0)), g = zeros(p, 12, 1);
    double value[3] = {0}, sign = *at(Y, 0, 1) - *at(Y, 1, 1);
    for (int64_t digit = 0; digit < 10; digit++)
        for (int64_t j = 0; j < 3; j++)
            value[j] += (double)digit * *at(Y, digit + 2, j);
    for (int64_t digit = 0; digit < 10; digit++)
        *at(g, digit + 2, 0) = relu(1 - fabs(value[0] + sign * value[2] - (double)digit));
    store(p, "O", b, 0, mul(Z, g));
}

static double near(const double *x, const double *y, int64_t d)
{
    return exp(-square_distance(x, y, d));
}

/* X g / n with g_ii = |y_i|^2 / (1 + sum near(k, i)) and g_ij = near(i, j) / (1 + sum near(k, j)), k != i, j */
static void permutation(problem *p, int64_t b)
{
    mat Y = scale(1 / sqrt((double)p->k), knowledge_of(p, b)), N = kernel(near, Y, Y), norms = mul(tr(Y), Y);
    mat g = zeros(p, p->n, p->n);
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < p->n; k++)
                sum += k != i && k != j ? *at(N, k, j) : 0;
            *at(g, i, j) = (i == j ? *at(norms, i, i) : *at(N, i, j)) / (1 + sum);
        }
    store(p, "O", b, 0, scale(1 / (double)p->n, mul(tokens(p, "X", b, 0), g)));
}

/* s_ij = x_i' W_Q' W_K x_j / sqrt d1 */
static mat query_key(problem *p, mat X)
{
    mat query = mul(weights(p, "WQ", 0), X), key = mul(weights(p, "WK", 0), X);
    return scale(1 / sqrt((double)p->e), mul(tr(query), key));
}

/* X g with g_ij = e^s_ij / (e^s_ij + sum e^s_ik), k != i, j */
static void triangle(problem *p, int64_t b)
{
    mat Y = scale(1 / sqrt((double)p->k), knowledge_of(p, b)), N = kernel(near, Y, Y), norms = mul(tr(Y), Y);
    mat g = zeros(p, p->n, p->n);
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double one = 0, all = 0;
            for (int64_t k = 0; k < p->n; k++) {
                one += k != i ? *at(N, k, i) : 0;
                all += k != i && k != j ? *at(N, k, i) * *at(N, k, j) * *at(N, i, j) : 0;
            }
            *at(g, i, j) = i == j ? *at(norms, i, i) / (1 + one) : all / (1 + all);
        }
    store(p, "O", b, 0, scale(1 / (double)p->n, mul(tokens(p, "X", b, 0), g)));
}

static void remark41_printed(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), e = map(exp, query_key(p, X)), g = zeros(p, p->n, p->n);
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = *at(e, i, j);
            for (int64_t k = 0; k < p->n; k++)
                sum += k != i && k != j ? *at(e, i, k) : 0;
            *at(g, i, j) = *at(e, i, j) / sum;
        }
    store(p, "O", b, 0, mul(X, g));
}

/* X S_r(s)' */
static void remark41(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0);
    store(p, "O", b, 0, mul(X, softmax(tr(query_key(p, X)))));
}

static const oracle oracles_paper[] = {
    {"attention", "d d1=e", "X=b.nd WQ=..ed WK=..ed WV=..dd", "O=b.nd", attention},
    {"equivariant", "d", "X=b.nd", "O=b.nd", equivariant},
    {"knowledge", "d k", "X=b.nd Z=b.kd", "O=b.nd", knowledge},
    {"quadratic", "d d1=e", "X=b.nd WQ=..ed WK=..ed", "O=b.nd", quadratic},
    {"order2", "d k", "X=b.nd Z=b.kd W=..kk", "O=b.nd", order2},
    {"order4", "d k", "X=b.nd Z=b.kd W1=..kk W2=..kk", "O=b.nd", order4},
    {"order8", "d k", "X=b.nd Z=b.kd W1=..kk W2=..kk W3=..kk W4=..kk", "O=b.nd", order8},
    {"order_mixed", "d k",
     "X=b.nd Z=b.kd W11=..kk W21=..kk W22=..kk W31=..kk W32=..kk W33=..kk W34=..kk", "O=b.nd", order_mixed},
    {"identity", "d k", "X=b.nd Z=b.kd W=..kk", "O=b.nd", identity},
    {"deep", "d k", "X=b.nd Z=b.kd A=..kk B=..kk", "O=b.nd", deep},
    {"multihead", "d d1=e", "X=b.nd WQ=.8ed WK=.8ed WV=.8ed Wout=.8de", "O=b.nd", multihead},
    {"multihead_heads", "d d1=e", "X=b.nd WQ=.8ed WK=.8ed WV=.8ed Wout=.8de", "O=b.nd", multihead},
    {"knowledge_learned", "d k", "X=b.nd Z=..dk", "O=b.nd", knowledge_learned},
    {"knowledge_data", "d", "X=b.nd Z=b.kd", "O=b.nd", knowledge_data},
    {"knowledge_joint", "d", "X=b.nd Z=b.kd", "O=b.nd", knowledge_joint},
    {"order_full", "d k",
     "X=b.nd Z=b.kd W11=..kk W21=..kk W22=..kk W31=..kk W32=..kk W33=..kk W41=..kk W42=..kk W43=..kk W44=..kk "
     "c1=.... c2=.... c3=.... c4=....", "O=b.nd", order_full},
    {"series_geometric", "d k", "X=b.nd Z=b.kd A=..kk", "O=b.nd", series_geometric},
    {"series_exponential", "d k", "X=b.nd Z=b.kd A=..kk", "O=b.nd", series_exponential},
    {"projected", "d d1=e k", "X=b.nd Z=b.kd W=..ed", "O=b.ne", projected},
    {"feed_forward", "d d1=e k", "X=b.nd Z=b.kd U=..ed V=..de", "O=b.nd", feed_forward},
    {"heads_differ", "d k", "X=b.nd Z=b3kd W=.3dd", "O=b.nd", heads_differ},
    {"layers", "d k", "X=b.nd Z1=b2kd Z2=b2kd Z3=b2kd W1=.2dd W2=.2dd W3=.2dd", "O=b.nd", layers},
    {"transformer", "d d1=e",
     "X=b.nd gain1=...d bias1=...d gain2=...d bias2=...d WQ=.4ed WK=.4ed WV=.4ed Wout=.4de W1=..fd W2=..df "
     "b1=...f b2=...d", "O=b.nd", transformer},
    {"position", "d", "X=b.nd", "O=b.nd", position},
    {"arithmetic", "", "X=b.3z Z=b.zz", "O=b..z", arithmetic},
    {"permutation", "d k", "X=b.nd Z=b.kd", "O=b.nd", permutation},
    {"triangle", "d k", "X=b.nd Z=b.kd", "O=b.nd", triangle},
    {"remark41_printed", "d d1=e", "X=b.nd WQ=..ed WK=..ed", "O=b.nd", remark41_printed},
    {"remark41", "d d1=e", "X=b.nd WQ=..ed WK=..ed", "O=b.nd", remark41},
    {0},
};

#endif
