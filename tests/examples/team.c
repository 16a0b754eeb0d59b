/* The caller's own arrays and threads: queries that lie [token, head, d], an output with room between its tokens, and a
 * team that runs the kernel's tasks one after the other; any pool of threads fits in its place.
 *
 *     cc team.c $(pkg-config --cflags --libs gram) -o team && ./team */
#include <stdio.h>

#include <gram.h>

enum { HEADS = 2, N = 5, D = 4, ROOM = 16 };

static const char spec[] = "local X = tokens('X', 4, 'n', { heads = 2 })\n"
                           "return kernel('soft', { O = X * softmax(X:t() * X) })\n";

static void one_after_the_other(const gram_team *team, void (*task)(void *job, int thread), void *job)
{
    int *phases = team->self;
    ++*phases;
    for (int thread = 0; thread < team->threads; thread++)
        task(job, thread);
}

int main(void)
{
    char message[GRAM_MESSAGE_SIZE];
    float data[N][HEADS][D], out[HEADS][N][ROOM] = {{{0}}};
    int phases = 0;
    const gram_team team = {3, one_after_the_other, &phases};
    gram_kernel *kernel;
    for (int i = 0; i < N * HEADS * D; i++)
        (&data[0][0][0])[i] = (float)(i % 7) / 4;
    gram_array x = {GRAM_F4, 3, {HEADS, N, D}, {D, HEADS * D, 1}, data, NULL};
    gram_array o = {GRAM_F4, 3, {HEADS, N, D}, {N * ROOM, ROOM, 1}, out, NULL};
    const gram_load_options options = {.max_seconds = 60}; /* for the spec's Lua, in place of 1: under valgrind all is slow */
    const gram_argument arguments[] = {{"X", &x, NULL}, {"O", &o, NULL}};
    if (gram_load_text("soft.lua", spec, &options, &kernel, message, sizeof message) != GRAM_OK ||
        gram_run_on(kernel, &team, 2, arguments, message, sizeof message) != GRAM_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    printf("%d phases; O[1][4] = %.4f %.4f %.4f %.4f, then %g\n", phases, out[1][4][0], out[1][4][1], out[1][4][2],
           out[1][4][3], out[1][4][4]);
    gram_free(kernel);
    return phases > 0 && out[1][4][4] == 0 ? 0 : 1;
}
