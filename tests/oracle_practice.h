/* The oracles of attention as people use it: see oracle.h. */
#ifndef GRAM_TESTS_ORACLE_PRACTICE_H
#define GRAM_TESTS_ORACLE_PRACTICE_H

#include "oracle.h"

/* 20 tanh(s / 20) */
static double soft_cap(double s)
{
    return 20 * tanh(s / 20);
}

/* Drops the keys after each query. */
static mat causal(mat a)
{
    for (int64_t i = 0; i < a.r; i++)
        for (int64_t j = 0; j < i && j < a.c; j++)
            *at(a, i, j) = -INFINITY;
    return a;
}

/* V softmax(causal 20 tanh(K'Q / (20 sqrt d))), 8 heads of queries on 2 of keys */
static void gqa_softcap(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 8; h++) {
        mat Q = tokens(p, "Q", b, h), K = tokens(p, "K", b, h / 4), V = tokens(p, "V", b, h / 4);
        mat S = causal(map(soft_cap, scale(1 / sqrt((double)p->d), mul(tr(K), Q))));
        store(p, "O", b, h, mul(V, softmax(S)));
        store(p, "lse", b, h, tr(logsum(S)));
    }
}

/* V sigmoid(K'Q / sqrt d - log m) */
static void sigmoid_attention(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 8; h++) {
        mat Q = tokens(p, "Q", b, h), K = tokens(p, "K", b, h), V = tokens(p, "V", b, h);
        mat S = scale(1 / sqrt((double)p->d), mul(tr(K), Q));
        for (int64_t i = 0; i < S.r * S.c; i++)
            S.v[i] -= log((double)p->m);
        store(p, "O", b, h, mul(V, map(sigmoid, S)));
    }
}

/* K'Q / sqrt d */
static mat scores_of(mat K, mat Q)
{
    return scale(1 / sqrt((double)K.r), mul(tr(K), Q));
}

/* Changes score (i, j) of a head; -INFINITY drops it. */
typedef double change(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score);

/* V softmax(f(K'Q / sqrt d)) for each of the heads */
static void changed_softmax(problem *p, int64_t b, int64_t heads, change *f)
{
    for (int64_t h = 0; h < heads; h++) {
        mat S = scores_of(tokens(p, "K", b, h), tokens(p, "Q", b, h));
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t j = 0; j < S.c; j++)
                *at(S, i, j) = f(p, b, h, i, j, *at(S, i, j));
        store(p, "O", b, h, mul(tokens(p, "V", b, h), softmax(S)));
    }
}

static double add_bias(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    return score + entry(p, "B", b, h, j, i);
}

static double if_masked(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    (void)h;
    return entry(p, "mask", b, 0, j, i) != 0 ? score : -INFINITY;
}

static double if_in_length(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    (void)h, (void)j;
    return (double)i < entry(p, "length", b, 0, 0, 0) ? score : -INFINITY;
}

static double if_same_document(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    (void)h;
    return i <= j && entry(p, "doc", b, 0, 0, i) == entry(p, "doc", b, 0, 0, j) ? score : -INFINITY;
}

static double if_in_window(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    (void)b, (void)h;
    return i <= j && j - i <= p->r ? score : -INFINITY;
}

static double by_distance(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    (void)p, (void)b;
    return i <= j ? score - pow(2, -(double)(h + 1)) * (double)(j - i) : -INFINITY;
}

static double by_table(problem *p, int64_t b, int64_t h, int64_t i, int64_t j, double score)
{
    (void)b;
    int64_t at_distance = i - j < -p->r ? -p->r : i - j > p->r ? p->r : i - j;
    return score + entry(p, "table", 0, h, 0, p->r + at_distance);
}

static void bias(problem *p, int64_t b)
{
    changed_softmax(p, b, 4, add_bias);
}

static void mask(problem *p, int64_t b)
{
    changed_softmax(p, b, 4, if_masked);
}

static void lengths(problem *p, int64_t b)
{
    changed_softmax(p, b, 4, if_in_length);
}

static void documents(problem *p, int64_t b)
{
    changed_softmax(p, b, 4, if_same_document);
}

static void window(problem *p, int64_t b)
{
    changed_softmax(p, b, 4, if_in_window);
}

static void alibi(problem *p, int64_t b)
{
    changed_softmax(p, b, 8, by_distance);
}

static void relative(problem *p, int64_t b)
{
    changed_softmax(p, b, 4, by_table);
}

/* n new queries on m past and n new keys, 4 heads on 2 */
static void cache(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat K = hjoin(tokens(p, "pastK", b, h / 2), flat_tokens(p, "K", b, p->n, p->d, h / 2, 2));
        mat V = hjoin(tokens(p, "pastV", b, h / 2), flat_tokens(p, "V", b, p->n, p->d, h / 2, 2));
        mat S = scores_of(K, flat_tokens(p, "Q", b, p->n, p->d, h, 4));
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t j = 0; j < i - p->m && j < S.c; j++)
                *at(S, i, j) = -INFINITY;
        store(p, "O", b, h, mul(V, softmax(S)));
    }
}

/* A cache with the new columns from `length` on, as far as it has room. */
static mat appended(mat cache, mat new, int64_t length)
{
    for (int64_t j = 0; j < new.c && length + j < cache.c; j++)
        for (int64_t i = 0; i < cache.r; i++)
            *at(cache, i, length + j) = *at(new, i, j);
    return cache;
}

/* n new queries on the past keys of each item and the new ones, 4 heads on 2 */
static void append(problem *p, int64_t b)
{
    const int64_t length = (int64_t)entry(p, "length", b, 0, 0, 0);
    for (int64_t h = 0; h < 4; h++) {
        mat K = appended(tokens(p, "K", b, h / 2), tokens(p, "k", b, h / 2), length);
        mat V = appended(tokens(p, "V", b, h / 2), tokens(p, "v", b, h / 2), length);
        mat S = scores_of(K, tokens(p, "Q", b, h));
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t j = 0; j < i - length && j < S.c; j++)
                *at(S, i, j) = -INFINITY;
        store(p, "O", b, h, mul(V, softmax(S)));
        store(p, "K2", b, h / 2, K);
        store(p, "V2", b, h / 2, V);
    }
}

static void probabilities(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat S = scores_of(tokens(p, "K", b, h), tokens(p, "Q", b, h)), P = softmax(causal(scale(1, S)));
        store(p, "S", b, h, S);
        store(p, "P", b, h, P);
        store(p, "O", b, h, mul(tokens(p, "V", b, h), P));
    }
}

/* Of each query's probabilities, the part on every group, and the part on other groups than its own. */
static void flow(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat P = softmax(scale(1, scores_of(tokens(p, "K", b, h), tokens(p, "Q", b, h))));
        mat to = zeros(p, 4, P.c), cross = zeros(p, P.c, 1), mean = zeros(p, 1, 1);
        for (int64_t j = 0; j < P.c; j++)
            for (int64_t i = 0; i < P.r; i++) {
                int64_t of_key = (int64_t)entry(p, "group", b, 0, 0, i);
                int64_t of_query = (int64_t)entry(p, "group", b, 0, 0, j);
                *at(to, of_key, j) += *at(P, i, j);
                *at(cross, j, 0) += of_key != of_query ? *at(P, i, j) : 0;
                *at(mean, 0, 0) += of_key != of_query ? *at(P, i, j) / (double)P.c : 0;
            }
        store(p, "to", b, h, to);
        store(p, "cross", b, h, cross);
        store(p, "flow", b, h, mean);
        store(p, "O", b, h, mul(tokens(p, "V", b, h), P));
    }
}

/* Entries i and i + d/2 turned by j 10000^(-2i/d) */
static mat turned(mat X)
{
    mat to = zeros(X.p, X.r, X.c);
    int64_t half = X.r / 2;
    for (int64_t j = 0; j < X.c; j++)
        for (int64_t i = 0; i < half; i++) {
            double angle = (double)j * pow(10000, -(double)i / (double)half), x = *at(X, i, j), y = *at(X, i + half, j);
            *at(to, i, j) = x * cos(angle) - y * sin(angle);
            *at(to, i + half, j) = y * cos(angle) + x * sin(angle);
        }
    return to;
}

static void rope(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 8; h++) {
        mat Q = tokens(p, "Q", b, h), K = tokens(p, "K", b, h / 4), V = tokens(p, "V", b, h / 4);
        store(p, "O", b, h, mul(V, softmax(causal(scores_of(turned(K), turned(Q))))));
    }
}

/* V keep(K'Q / d, i <= j) */
static void linear_causal(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat S = scale(1 / (double)p->d, mul(tr(tokens(p, "K", b, h)), tokens(p, "Q", b, h)));
        for (int64_t i = 0; i < S.r; i++)
            for (int64_t j = 0; j < i && j < S.c; j++)
                *at(S, i, j) = 0;
        store(p, "O", b, h, mul(tokens(p, "V", b, h), S));
    }
}

static mat elu_and_one(mat X)
{
    for (int64_t i = 0; i < X.r; i++)
        for (int64_t j = 0; j < X.c; j++)
            *at(X, i, j) = *at(X, i, j) > 0 ? *at(X, i, j) + 1 : exp(*at(X, i, j));
    return X;
}

/* sum_i v_i phi(k_i)'phi(q_j) / sum_i phi(k_i)'phi(q_j) over i <= j */
static void linear_attention(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat S = mul(tr(elu_and_one(tokens(p, "K", b, h))), elu_and_one(tokens(p, "Q", b, h)));
        for (int64_t j = 0; j < S.c; j++) {
            double sum = 0;
            for (int64_t i = 0; i < S.r; i++)
                sum += i <= j ? *at(S, i, j) : 0;
            for (int64_t i = 0; i < S.r; i++)
                *at(S, i, j) *= i <= j ? 1 / sum : 0;
        }
        store(p, "O", b, h, mul(tokens(p, "V", b, h), S));
    }
}

/* V keep(K'Q / d, i <= j) with the decays sigmoid(a) of the tokens after i up to j */
static void decay(problem *p, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat S = scale(1 / (double)p->d, mul(tr(tokens(p, "K", b, h)), tokens(p, "Q", b, h))), a = tokens(p, "a", b, h);
        for (int64_t i = 0; i < S.r; i++) {
            double left = 1;
            for (int64_t j = 0; j < S.c; j++) {
                left /= j > i ? 1 + exp(-*at(a, 0, j)) : 1;
                *at(S, i, j) *= j < i ? 0 : left;
            }
        }
        store(p, "O", b, h, mul(tokens(p, "V", b, h), S));
    }
}

/* W X + b, the entries of one of two heads */
static mat projection(problem *p, mat X, const char *W, const char *bias, int64_t h)
{
    mat all = mul(weights(p, W, 0), X), to = zeros(p, X.r / 2, X.c);
    for (int64_t i = 0; i < to.r; i++)
        for (int64_t j = 0; j < to.c; j++)
            *at(to, i, j) = *at(all, h * to.r + i, j) + entry(p, bias, 0, 0, 0, h * to.r + i);
    return to;
}

/* V softmax(K'Q / sqrt(d / 2)) of two heads of d / 2, one over the other */
static void minilm(problem *p, int64_t b)
{
    mat X = tokens(p, "X", b, 0), context[2];
    for (int64_t h = 0; h < 2; h++) {
        mat Q = projection(p, X, "WQ", "bQ", h), K = projection(p, X, "WK", "bK", h);
        mat A = softmax(scores_of(K, Q));
        store(p, "A", b, h, A);
        context[h] = mul(projection(p, X, "WV", "bV", h), A);
    }
    store(p, "context", b, 0, vjoin(context[0], context[1]));
}

/* ONNX's Attention with some of its options: Q, K [4 or 2 heads, d], V [2 heads, d1]. */
typedef struct onnx_case {
    int is_causal, three_d, past, nonpad, attn_mask, mask_heads, short_mask, mode;
    double softcap;
} onnx_case;

/* What is added to the score of key i and query j, -INFINITY where it is not seen. */
static double onnx_bias(problem *p, const onnx_case *c, int64_t b, int64_t h, int64_t i, int64_t j)
{
    double bias = 0, length = c->nonpad ? entry(p, "nonpad_kv_seqlen", b, 0, 0, 0) : 0;
    double offset = c->past ? (double)p->m : c->nonpad ? length - (double)p->n : 0;
    if (c->short_mask && i >= p->k)
        return -INFINITY;
    if (c->attn_mask == 2)
        bias = entry(p, "attn_mask", b, c->mask_heads ? h : 0, j, i);
    int seen = !(c->attn_mask == 1 && entry(p, "attn_mask", b, 0, j, i) == 0);
    seen = seen && !(c->nonpad && (double)i >= length) && !(c->is_causal && (double)i > (double)j + offset);
    return seen ? bias : -INFINITY;
}

static void store_onnx_head(problem *p, const onnx_case *c, int64_t b, int64_t h, mat O)
{
    for (int64_t i = 0; i < O.r && c->three_d; i++)
        for (int64_t j = 0; j < O.c; j++)
            find(p, "Y")->data[(b * O.c + j) * 4 * O.r + h * O.r + i] = *at(O, i, j);
    if (!c->three_d)
        store(p, "Y", b, h, O);
}

static void onnx(problem *p, const onnx_case *c, int64_t b)
{
    for (int64_t h = 0; h < 4; h++) {
        mat Q = c->three_d ? flat_tokens(p, "Q", b, p->n, p->d, h, 4) : tokens(p, "Q", b, h);
        mat K = c->three_d ? flat_tokens(p, "K", b, p->m, p->d, h / 2, 2) : tokens(p, "K", b, h / 2);
        mat V = c->three_d ? flat_tokens(p, "V", b, p->m, p->e, h / 2, 2) : tokens(p, "V", b, h / 2);
        if (c->past) {
            K = hjoin(tokens(p, "past_key", b, h / 2), K);
            V = hjoin(tokens(p, "past_value", b, h / 2), V);
            store(p, "present_key", b, h / 2, K);
            store(p, "present_value", b, h / 2, V);
        }
        mat stages[4] = {scores_of(K, Q)};
        stages[1] = scale(1, stages[0]);
        for (int64_t i = 0; i < K.c * stages[0].c && c->softcap > 0; i++)
            stages[1].v[i] = c->softcap * tanh(stages[0].v[i] / c->softcap);
        stages[2] = scale(1, stages[1]);
        for (int64_t i = 0; i < K.c; i++)
            for (int64_t j = 0; j < stages[2].c; j++)
                *at(stages[2], i, j) += onnx_bias(p, c, b, h, i, j);
        stages[3] = softmax(stages[2]);
        store_onnx_head(p, c, b, h, mul(V, stages[3]));
        if (c->mode >= 0)
            store(p, "qk_matmul_output", b, h, stages[c->mode]);
    }
}

static void onnx_plain(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.mode = -1}, b);
}

static void onnx_causal(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.is_causal = 1, .softcap = 2, .mode = 1}, b);
}

static void onnx_past(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.is_causal = 1, .past = 1, .attn_mask = 1, .mode = 3}, b);
}

static void onnx_floats(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.attn_mask = 2, .mask_heads = 4, .mode = 2}, b);
}

static void onnx_padded(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.is_causal = 1, .three_d = 1, .nonpad = 1, .mode = -1}, b);
}

static void onnx_all_stages(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.nonpad = 1, .attn_mask = 2, .mode = 2, .softcap = 3}, b);
}

static void onnx_short_mask(problem *p, int64_t b)
{
    onnx(p, &(onnx_case){.attn_mask = 2, .short_mask = 1, .mode = 2}, b);
}

#define ONNX "q_num_heads=4 kv_num_heads=2 head_size=d v_head_size=e "

/* Columns `from` to `to` of a head of an array [n, heads, d]. */
static mat packed_tokens(problem *p, const char *name, int64_t head, int64_t heads, int64_t from, int64_t to)
{
    mat part = zeros(p, p->d, to - from);
    for (int64_t j = from; j < to; j++)
        for (int64_t i = 0; i < p->d; i++)
            *at(part, i, j - from) = find(p, name)->data[(j * heads + head) * p->d + i];
    return part;
}

/* V softmax(causal K'Q / sqrt d) of the item's own tokens, 4 heads of queries on 2 of keys */
static void packed(problem *p, int64_t b)
{
    int64_t from = (int64_t)find(p, "starts")->data[b], to = (int64_t)find(p, "starts")->data[b + 1];
    for (int64_t h = 0; h < 4; h++) {
        mat Q = packed_tokens(p, "Q", h, 4, from, to), K = packed_tokens(p, "K", h / 2, 2, from, to);
        mat S = causal(scores_of(K, Q)), O = mul(packed_tokens(p, "V", h / 2, 2, from, to), softmax(S)), lse = logsum(S);
        for (int64_t j = from; j < to; j++) {
            for (int64_t i = 0; i < p->d; i++)
                find(p, "O")->data[(j * 4 + h) * p->d + i] = *at(O, i, j - from);
            find(p, "lse")->data[h * p->n + j] = *at(lse, 0, j - from);
        }
    }
}

static const oracle oracles_practice[] = {
    {"gqa_softcap", "d", "Q=b8nd K=b2md V=b2md", "O=b8nd lse=b8.n", gqa_softcap},
    {"sigmoid", "d", "Q=b8nd K=b8md V=b8md", "O=b8nd", sigmoid_attention},
    {"bias", "d", "Q=b4nd K=b4md V=b4md B=b4nm", "O=b4nd", bias},
    {"mask", "d", "Q=b4nd K=b4md V=b4md mask#b.nm", "O=b4nd", mask},
    {"lengths", "d", "Q=b4nd K=b4md V=b4md length#b...", "O=b4nd", lengths},
    {"documents", "d", "Q=b4nd K=b4nd V=b4nd doc#b..n", "O=b4nd", documents},
    {"packed", "d", "starts@...a Q=n4.d K=n2.d V=n2.d", "O=n4.d lse=.4.n", packed},
    {"window", "d before=r", "Q=b4nd K=b4nd V=b4nd", "O=b4nd", window},
    {"cache", "d", "Q=bn4d K=bn2d V=bn2d pastK=b2md pastV=b2md", "O=b4nd", cache},
    {"append", "d", "Q=b4nd k=b2nd v=b2nd K=b2md V=b2md length#b...", "O=b4nd K2=b2md V2=b2md", append},
    {"probabilities", "d", "Q=b4nd K=b4md V=b4md", "O=b4nd P=b4nm S=b4nm", probabilities},
    {"flow", "d=8 groups=4", "Q=b4n8 K=b4n8 V=b4n8 group#b..n", "O=b4n8 to=b4n4 cross=b4.n flow=b4..", flow},
    {"alibi", "d", "Q=b8nd K=b8nd V=b8nd", "O=b8nd", alibi},
    {"relative", "d reach=r", "Q=b4nd K=b4md V=b4md table=.4.t", "O=b4nd", relative},
    {"rope", "d", "Q=b8nd K=b2nd V=b2nd", "O=b8nd", rope},
    {"linear_causal", "d", "Q=b4nd K=b4nd V=b4nd", "O=b4nd", linear_causal},
    {"linear_attention", "d", "Q=b4nd K=b4nd V=b4nd", "O=b4nd", linear_attention},
    {"decay", "d", "Q=b4nd K=b4nd V=b4nd a=b4n1", "O=b4nd", decay},
    {"minilm", "d heads=2", "X=b.nd WQ=..dd bQ=...d WK=..dd bK=...d WV=..dd bV=...d", "A=b2nn context=b.nd", minilm},
    {"onnx", ONNX, "Q=b4nd K=b2md V=b2me", "Y=b4ne", onnx_plain},
    {"onnx", ONNX "is_causal=1 softcap=2 qk_matmul_output_mode=1", "Q=b4nd K=b2md V=b2me",
     "Y=b4ne qk_matmul_output=b4nm", onnx_causal},
    {"onnx", ONNX "is_causal=1 past=1 attn_mask=1 qk_matmul_output_mode=3",
     "Q=b4nd K=b2nd V=b2ne past_key=b2md past_value=b2me attn_mask#b.ns",
     "Y=b4ne present_key=b2sd present_value=b2se qk_matmul_output=b4ns", onnx_past},
    {"onnx", ONNX "attn_mask=2 mask_heads=4 qk_matmul_output_mode=2", "Q=b4nd K=b2md V=b2me attn_mask=b4nm",
     "Y=b4ne qk_matmul_output=b4nm", onnx_floats},
    {"onnx", ONNX "is_causal=1 three_d=1 nonpad=1", "Q=b.nf K=b.mg V=b.mu nonpad_kv_seqlen#b...",
     "Y=b.ny", onnx_padded},
    {"onnx", ONNX "nonpad=1 attn_mask=2 softcap=3 qk_matmul_output_mode=2",
     "Q=b4nd K=b2md V=b2me nonpad_kv_seqlen#b... attn_mask=b.nm", "Y=b4ne qk_matmul_output=b4nm", onnx_all_stages},
    {"onnx", ONNX "attn_mask=2 short_mask=1 qk_matmul_output_mode=2", "Q=b4nd K=b2md V=b2me attn_mask=b.nk",
     "Y=b4ne qk_matmul_output=b4nm", onnx_short_mask},
    {0},
};

#endif
