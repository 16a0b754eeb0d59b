/* The paper's example, made to run: specs/arithmetic.lua answers all 110 expressions a + b and a - b whose result is a
 * digit, in the paper's embedding, with its Q12 that swaps + and -, and under 20 random orthogonal Q:
 * f(QX, QZ) = Q f(X, Z), while f(QX, Z) is something else. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../gen/gram.h"
#include "test.h"

enum { D = 12, EXPRESSIONS = 110 };

/* A batch of expressions: columns a, operator, b; each a token of D numbers. */
typedef struct questions {
    double x[EXPRESSIONS][3][D], z[D][D]; /* z: a token per row, + - 0 1 ... 9 */
    int answer[EXPRESSIONS];
} questions;

static void ask(questions *q, int k, int a, int sign, int b)
{
    q->x[k][0][2 + a] = q->x[k][1][sign < 0] = q->x[k][2][2 + b] = 1;
    q->answer[k] = 2 + a + sign * b;
}

static questions all_questions(void)
{
    questions q = {0};
    int k = 0;
    for (int i = 0; i < D; i++)
        q.z[i][i] = 1;
    for (int a = 0; a < 10; a++)
        for (int b = 0; b < 10; b++) {
            if (a + b < 10)
                ask(&q, k++, a, 1, b);
            if (a - b >= 0)
                ask(&q, k++, a, -1, b);
        }
    return q;
}

/* Each of the tokens turned by Q. */
static void turn(int64_t count, double (*tokens)[D], double (*Q)[D])
{
    for (int64_t t = 0; t < count; t++) {
        double to[D] = {0};
        for (int i = 0; i < D; i++)
            for (int p = 0; p < D; p++)
                to[i] += Q[i][p] * tokens[t][p];
        memcpy(tokens[t], to, sizeof to);
    }
}

static double random_number(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return (double)(*seed >> 8) / (1 << 23) - 1;
}

/* A product of reflections, each across a random plane. */
static void random_orthogonal(double (*Q)[D], uint32_t *seed)
{
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++)
            Q[i][j] = i == j;
    for (int k = 0; k < D; k++) {
        double u[D], norm = 0;
        for (int i = 0; i < D; i++) {
            u[i] = random_number(seed);
            norm += u[i] * u[i];
        }
        for (int j = 0; j < D; j++) {
            double dot = 0;
            for (int i = 0; i < D; i++)
                dot += u[i] * Q[i][j];
            for (int i = 0; i < D; i++)
                Q[i][j] -= 2 * dot / norm * u[i];
        }
    }
}

static int answer(gram_kernel *kernel, const questions *q, double (*out)[D])
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array x = gram_array_dense(GRAM_F8, 3, (int64_t[]){EXPRESSIONS, 3, D}, (void *)q->x);
    gram_array z = gram_array_dense(GRAM_F8, 2, (int64_t[]){D, D}, (void *)q->z);
    gram_array o = gram_array_dense(GRAM_F8, 2, (int64_t[]){EXPRESSIONS, D}, out);
    const gram_argument arguments[] = {{"X", &x, NULL}, {"Z", &z, NULL}, {"O", &o, NULL}};
    if (gram_run(kernel, 3, arguments, message, sizeof message) == GRAM_OK)
        return 0;
    printf("%s\n", message);
    return -1;
}

/* How many answers are the token z[answer]. */
static int right_answers(const questions *q, double (*z)[D], double (*out)[D])
{
    int right = 0;
    for (int k = 0; k < EXPRESSIONS; k++) {
        double error = 0;
        for (int i = 0; i < D; i++)
            error = fmax(error, fabs(out[k][i] - z[q->answer[k]][i]));
        right += error < 1e-4;
    }
    return right;
}

static void check_embedding(gram_tally *tally, gram_kernel *kernel, const questions *plain, double (*Q)[D],
                            const char *name)
{
    double out[EXPRESSIONS][D];
    questions q = *plain;
    turn(EXPRESSIONS * 3, q.x[0], Q);
    int ran = answer(kernel, &q, out) == 0;
    turn(D, q.z, Q);
    CHECK(tally, ran && right_answers(&q, q.z, out) < EXPRESSIONS, "%s: f(QX, Z) = Q f(X, Z)", name);
    int right = answer(kernel, &q, out) == 0 ? right_answers(&q, q.z, out) : 0;
    CHECK(tally, right == EXPRESSIONS, "%s: only %d of %d right", name, right, EXPRESSIONS);
}

static void check_back_end(gram_tally *tally, const char *jit, int bits)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_kernel *kernel = NULL;
    gram_load_options with = {.jit = jit, .dtype = bits == 64 ? "f64" : "f32"};
    int loaded = gram_load_file("specs/arithmetic.lua", &with, &kernel, message, sizeof message) == GRAM_OK;
    CHECK(tally, loaded, "%s: %s", jit, message);
    if (!loaded)
        return;
    questions q = all_questions();
    double out[EXPRESSIONS][D], Q[D][D] = {{0, 1}, {1, 0}};
    int right = answer(kernel, &q, out) == 0 ? right_answers(&q, q.z, out) : 0;
    CHECK(tally, right == EXPRESSIONS, "%s: only %d of %d right", jit, right, EXPRESSIONS);
    for (int i = 2; i < D; i++)
        Q[i][i] = 1;
    check_embedding(tally, kernel, &q, Q, "Q12");
    uint32_t seed = 1;
    for (int k = 0; k < 20; k++) {
        random_orthogonal(Q, &seed);
        check_embedding(tally, kernel, &q, Q, "a random Q");
    }
    gram_free(kernel);
}

int main(void)
{
    gram_tally tally = {0};
    check_back_end(&tally, "reference", 64);
    check_back_end(&tally, "tcc", 32);
    return gram_tally_end(&tally);
}
