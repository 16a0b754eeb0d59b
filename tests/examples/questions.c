/* A spec as a string; what its kernel needs, costs and is made of; what an error looks like.
 *
 *     cc questions.c $(pkg-config --cflags --libs gram) -o questions && ./questions */
#include <stdio.h>
#include <string.h>

#include <gram.h>

static const char spec[] = "local X = tokens('X', option('d', 4), 'n')\n"
                           "return kernel('soft', { O = X * softmax(X:t() * X) })\n";
static const char wrong[] = "local X = tokens('X', 4, 'n')\n"
                            "return kernel('wrong', { O = X * X })\n";

static void print_ports(const char *what, int n, const gram_port *ports)
{
    for (int i = 0; i < n; i++)
        printf("%s %s: %s %s\n", what, ports[i].name, ports[i].kind, ports[i].shape);
}

static int ask(gram_kernel *kernel)
{
    char message[GRAM_MESSAGE_SIZE];
    float data[16 * 8] = {0};
    const gram_port *inputs, *outputs;
    const char *source;
    gram_cost cost;
    gram_array x = gram_array_dense(GRAM_F4, 2, (int64_t[]){16, 8}, data);
    gram_argument arguments[] = {{"X", &x, NULL}};
    const int ninputs = gram_inputs(kernel, &inputs), noutputs = gram_outputs(kernel, &outputs);
    print_ports("input", ninputs, inputs);
    print_ports("output", noutputs, outputs);
    if (gram_run_cost(kernel, 1, arguments, &cost, message, sizeof message) != GRAM_OK ||
        gram_kernel_text(kernel, GRAM_TEXT_SOURCE, &source, message, sizeof message) != GRAM_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    printf("16 tokens: %.0f operations, %.0f bytes read, %zu bytes of workspace; %zu bytes of C\n", cost.operations,
           cost.bytes, cost.workspace, strlen(source));
    return 0;
}

int main(void)
{
    char message[GRAM_MESSAGE_SIZE];
    const gram_option set[] = {{"d", 8}};
    const gram_load_options options = {.noptions = 1, .options = set, .threads = 1};
    gram_kernel *kernel;
    if (gram_load_text("wrong.lua", wrong, NULL, &kernel, message, sizeof message) != GRAM_BAD_SPEC)
        return 1;
    printf("%s\n", message);
    if (gram_load_text("soft.lua", spec, &options, &kernel, message, sizeof message) != GRAM_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    const int failed = ask(kernel);
    gram_free(kernel);
    return failed;
}
