/* An attention matrix that a command is to look at: from a .npy file, or from a spec that is run for it. */
#ifndef GRAM_CMD_ATTENTION_H
#define GRAM_CMD_ATTENTION_H

#include "cmd.h"

/* [outer, inner, queries, keys], dense; query i's row says what it attends to. */
typedef struct gram_attention {
    double *data;
    int64_t outer, inner, queries, keys; /* outer, inner: 1 where there is no such axis */
    const char *outer_name, *inner_name; /* "layer" or "item", and "head"; NULL where there is no such axis */
    gram_array array;
} gram_attention;

/* Reads cli->spec: a matrix [n, m], [heads, n, m] or [layers, heads, n, m], of finite numbers; or, where it is a spec
 * (.lua), what gram run would write for its output cli->name, by default its only output that has a value for each
 * pair of tokens. Returns an exit status, its error printed; free with gram_attention_free. */
int gram_attention_read(const gram_cli *cli, gram_attention *a);
void gram_attention_free(gram_attention *a);
/* queries x keys */
const double *gram_attention_matrix(const gram_attention *a, int64_t outer, int64_t inner);

/* Prints a JSON number; null where it is not finite. */
void gram_json_number(double value);

#endif
