/* What the frame of generated code is made of: arrays seen with strides, workspace carved, phases run on a team.
 * See kernel.h on chunks. */

#ifndef GRAM_JOB_H

#define GRAM_JOB_H

#include "kernel.h"

/* Integers laid out as a gram_tensor is. */
typedef struct gram_ids {
    const int32_t *data;
    int64_t batch, head, row, col;
} gram_ids;

/* The sizes that a kernel takes are below this, so that a sum of two indices fits 32 bits. */
#define GRAM_MOST_TOKENS ((int64_t)1 << 30)

/* The lesser of a and b. */
static inline int64_t gram_least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The greater of a and b. */
static inline int64_t gram_most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* How many parts of size `part` cover n. */
static inline int64_t gram_parts(int64_t n, int64_t part) {
    return (n + part - 1) / part;
}

/* Into how many parts the queries, and the lanes, of each item go where sums over queries are made beside those over
 * lanes: part p of the queries meets one part of the lanes after the other, from its own on, so that no two parts ever
 * add to the same sums. Sizes alone tell, so that numbers are added in one order for any number of threads. */
static inline int64_t gram_side_parts(int64_t items, int64_t queries) {
    const int64_t wanted = gram_least(4, 16 / gram_most(items, 1));
    return gram_most(1, gram_least(wanted, gram_parts(queries, GRAM_BLOCK)));
}

/* Where part `part` of so many lanes begins: at a tile. */
static inline int64_t gram_side_begin(int64_t lanes, int64_t part, int64_t parts) {
    return gram_least(lanes, gram_parts(lanes, GRAM_TILE) * part / parts * GRAM_TILE);
}

/* How many runs each of so many walks over the tokens is cut into: one where the walks alone keep all threads busy. */
static inline int64_t gram_runs(int64_t walks, int64_t tokens, int threads) {
    return walks % threads == 0 ? 1 : gram_parts(tokens, GRAM_PART);
}

/* Where lane stands in panels of GRAM_TILE lanes x inner numbers. */
static inline int64_t gram_panel_lane(int64_t lane, int64_t inner) {
    return (lane - lane % GRAM_TILE) * inner + lane % GRAM_TILE;
}

/* Where the matrix of one head of one item starts. */
static inline gram_real *gram_at(const gram_tensor *t, int64_t batch, int64_t head) {
    return t->data + batch * t->batch + head * t->head;
}

/* The same for integers. */
static inline const int32_t *gram_ids_at(const gram_ids *t, int64_t batch, int64_t head) {
    return t->data + batch * t->batch + head * t->head;
}

/* An array of the caller's: dense as given, or with his strides of batch, head and token where any is not 0. */
static inline gram_tensor gram_strided(const gram_real *data, const int64_t *stride, gram_tensor dense) {
    dense.data = (gram_real *)data;
    if (stride[0] || stride[1] || stride[2]) {
        dense.batch = stride[0];
        dense.head = stride[1];
        dense.col = stride[2];
    }
    return dense;
}

/* The same for integers. */
static inline gram_ids gram_ids_strided(const int32_t *data, const int64_t *stride, gram_ids dense) {
    dense.data = data;
    if (stride[0] || stride[1] || stride[2]) {
        dense.batch = stride[0];
        dense.head = stride[1];
        dense.col = stride[2];
    }
    return dense;
}

/* The transpose of t. */
static inline gram_tensor gram_turned(gram_tensor t) {
    gram_tensor v = {t.data, t.batch, t.head, t.col, t.row};
    return v;
}

/* The same for integers. */
static inline gram_ids gram_ids_turned(gram_ids t) {
    gram_ids v = {t.data, t.batch, t.head, t.col, t.row};
    return v;
}

/* t from this row and column of this head on. */
static inline gram_tensor gram_part(gram_tensor t, int64_t head, int64_t row, int64_t col) {
    if (t.data) {
        t.data += head * t.head + row * t.row + col * t.col;
    }
    return t;
}

/* The same for integers. */
static inline gram_ids gram_ids_part(gram_ids t, int64_t head, int64_t row, int64_t col) {
    if (t.data) {
        t.data += head * t.head + row * t.row + col * t.col;
    }
    return t;
}

/* The rows of t, `rows` at a time, as its heads. */
static inline gram_tensor gram_split(gram_tensor t, int64_t rows) {
    t.head = rows * t.row;
    return t;
}

/* The same for integers. */
static inline gram_ids gram_ids_split(gram_ids t, int64_t rows) {
    t.head = rows * t.row;
    return t;
}

/* Takes room for count numbers from the workspace, in steps of 64 bytes: its place, or NULL while only counting. */
static inline gram_real *gram_carve(void *workspace, size_t *used, int64_t count) {
    gram_real *place = workspace ? (gram_real *)(void *)((char *)workspace + *used) : NULL;
    *used += ((size_t)count * sizeof(gram_real) + 63) / 64 * 64;
    return place;
}

/* The same, filled with zeros. */
static inline gram_real *gram_carve_zeros(void *workspace, size_t *used, int64_t count) {
    gram_real *place = gram_carve(workspace, used, count);
    if (place) {
        memset(place, 0, (size_t)count * sizeof(gram_real));
    }
    return place;
}

/* Adds `count` numbers to those of `sum`. */
static inline void gram_add(gram_real *sum, const gram_real *from, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        sum[k] += from[k];
    }
}

/* Runs one phase on the team, or on the calling thread where there is none. */
static inline void gram_run(const gram_team *team, void (*task)(void *job, int thread), void *job) {
    if (team) {
        team->run(team, task, job);
    } else {
        task(job, 0);
    }
}

#endif
