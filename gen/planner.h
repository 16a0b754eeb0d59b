/* How a plan is made, shared by the passes that make it:
 *
 *   plan.c         from the outputs down: which nodes need an array, which step computes it
 *   plan_array.c   arrays: buffers, views, packs, and what each holds
 *   plan_half.c    inputs and outputs of 16-bit floats
 *   plan_in_place.c  outputs that overwrite inputs
 *   plan_name.c    what arrays and steps are called
 *   plan_step.c    steps of one kind each, but for streams
 *   plan_stream.c  sums over the tiles of a formula over pairs
 *   program.c      a formula over tiles as instructions
 *   plan_loop.c    the loop of a stream, and plan_linear.c whether it is linear in the tokens
 *   plan_scan.c    a walk over columns, whose step is a plan of its own
 *   plan_order.c   the order of the steps
 *   schedule.c     when packs are made, and the rooms of the workspace */
#ifndef GRAM_PLANNER_H
#define GRAM_PLANNER_H

#include "plan.h"

/* Sums whose stream is being planned, within that of the outer ones. */
typedef struct gram_group {
    gram_node *const *member;
    int n;
    const struct gram_group *outer;
} gram_group;

typedef struct gram_planner {
    gram_ctx *ctx;
    gram_plan *plan;
    int known;   /* size of the four tables below, by node id */
    int *buffer; /* index + 1, 0: none */
    char *computed;
    int *users; /* how many nodes use it */
    int *seen;  /* the last walk that came by: visits are counted */
    int visits;
    gram_node **live; /* every node, operands first */
    const gram_group *under_way;
    int nlive;
} gram_planner;

/* --- plan.c ------------------------------------------------------------------------------------------------------- */

/* The buffer that holds node's value, computed by steps added to the plan where there is none yet. */
int gram_plan_buffer(gram_planner *p, gram_node *node);
/* Adds what computes node's value into a buffer of its shape, which may be a part of another's. */
void gram_plan_into(gram_planner *p, gram_node *node, int buffer);

/* --- plan_array.c ------------------------------------------------------------------------------------------------- */

/* Room for one more entry of an array that has n: old itself, or a larger copy. */
void *gram_plan_grow(gram_ctx *ctx, void *old, int n, size_t size);
/* Adds a buffer to the plan: its index. A buffer like node is in the workspace; it is named at last. */
int gram_plan_new_buffer(gram_planner *p, gram_buffer b);
gram_buffer gram_buffer_like(const gram_node *node);
/* A way to look at buffer `base`: as so many rows and cols from `from` on; as one head; as heads of so many rows;
 * all of a dense one in node's shape. */
int gram_plan_view(gram_planner *p, int base, gram_view_of view, gram_dim rows, gram_dim cols, gram_dim from);
int gram_plan_head_view(gram_planner *p, int base, int head);
int gram_plan_split_view(gram_planner *p, int base, int heads, gram_dim rows);
int gram_plan_shape_view(gram_planner *p, int base, const gram_node *node);
/* Has the array the node's heads and items? Does it lie without gaps, a column after the other? */
bool gram_buffer_is_like(const gram_buffer *b, const gram_node *node);
bool gram_buffer_dense(const gram_plan *plan, int buffer);
/* Can columns of so many rows be read as whole vectors where they lie? What a vector reads beyond its column goes into
 * sums that are not stored: the next columns, and after the last of the workspace's arrays some room. */
bool gram_plan_reads_vectors(gram_planner *p, int buffer, gram_dim rows);
/* Node's value where it serves: its own array, or a copy, made once. */
int gram_plan_copy(gram_planner *p, gram_node *node, bool (*serves)(const gram_plan *plan, int buffer));
/* The pack of a buffer, shared by all steps. */
int gram_plan_pack(gram_planner *p, int buffer, gram_pack_kind kind, gram_dim inner);
/* Makes the planner's tables have an entry for a node of this id. */
void gram_plan_know(gram_planner *p, int id);
/* Node's value is in this buffer from now on: the buffer. */
int gram_plan_hold(gram_planner *p, const gram_node *node, int buffer);
/* Where node's value will stand: an output's array reserved for it, or a new one; where its heads are joined somewhere,
 * a view of the array that has them so. gram_plan_reserve takes it as computed. */
int gram_plan_place(gram_planner *p, const gram_node *node);
int gram_plan_reserve(gram_planner *p, const gram_node *node);

/* --- plan_half.c -------------------------------------------------------------------------------------------------- */

/* Node's value as reals: a copy where a caller holds it in 16 bits. */
int gram_plan_reals(gram_planner *p, gram_node *node);
/* Outputs of 16 bits, from buffer `first` on, are stored by the steps that compute them where nothing else
 * reads those. */
void gram_plan_store_at_once(gram_plan *plan, int first);

/* --- plan_in_place.c ---------------------------------------------------------------------------------------------- */

/* where(p, a, old), stored over old: true, *value becomes a and *keep p. */
bool gram_plan_change(gram_planner *p, int buffer, gram_node *node, gram_node **value, const gram_node **keep);
/* Fails where a step reads what another overwrites. */
void gram_plan_check_in_place(gram_planner *p);

/* --- plan_name.c -------------------------------------------------------------------------------------------------- */

/* Names the workspace's arrays, views and steps of a plan that is made. */
void gram_plan_names(gram_planner *p);

/* --- plan_step.c -------------------------------------------------------------------------------------------------- */

/* A step of a template over a matrix of this shape; not in the plan yet. */
gram_step *gram_plan_new_step(gram_planner *p, const char *template, const gram_node *shape);
/* Appends the step. */
void gram_plan_add_step(gram_planner *p, gram_step *step);
/* Value's tiles as the root of a program, and its predicate's (or NULL) as the mask. */
void gram_plan_root(gram_planner *p, gram_step *step, gram_program *program, gram_node *value, const gram_node *keep,
                    int *root, int *mask);
/* The node under its KEEPs. */
const gram_node *gram_kept_value(const gram_node *node);
/* Steps that compute node into a buffer of its shape: a formula or a product of arrays; what stands side by side, each
 * into its place; what is done to a whole matrix at once; products with circulant matrices; what is added up where
 * indices say; the sum over the batch's items. */
void gram_plan_map(gram_planner *p, gram_node *node, int buffer);
void gram_plan_parts(gram_planner *p, gram_node *node, int buffer);
void gram_plan_whole(gram_planner *p, gram_node *node, int buffer);
void gram_plan_fft(gram_planner *p, gram_node *node, int buffer);
void gram_plan_scatter(gram_planner *p, gram_node *node, int buffer);
void gram_plan_sum_items(gram_planner *p, gram_node *node, int buffer);
bool gram_is_parts(const gram_node *node);
bool gram_is_whole(const gram_node *node);

/* --- plan_stream.c ------------------------------------------------------------------------------------------------ */

/* Is node computed entry by entry from other matrices, so that a tile of it can be made where it is used? */
bool gram_is_formula(const gram_node *node);
/* Should P, as the right factor of a product with this many entries, be made tile by tile and forgotten? */
bool gram_is_streamed(gram_planner *p, const gram_node *P, double result);
/* Is node (a MATMUL, SUM, MAXIMUM, LOGSUMEXP ...) a sum over the lanes of a matrix that is streamed? */
bool gram_is_stream(gram_planner *p, const gram_node *node);
/* Is every use of node inside the formula? */
bool gram_used_only_in(gram_planner *p, const gram_node *formula, const gram_node *node);
/* Is it a formula over a product that would be made in its tiles? */
bool gram_holds_product(gram_planner *p, const gram_node *node);
/* The numbers of a matrix, with runtime sizes at GRAM_MANY. */
double gram_entries(const gram_node *node);
/* The stream that computes node into the buffer, and whatever streams with it. */
void gram_plan_stream(gram_planner *p, gram_node *node, int buffer);
/* The same for a formula over a stream's sums, done in its epilogue; false where it is none. */
bool gram_plan_fused(gram_planner *p, gram_node *node, int buffer);
/* A stream for each column of the result of an OVER: the sums over k of a formula of k, i and the column. */
void gram_plan_over(gram_planner *p, gram_node *node, int buffer);

/* --- plan_scan.c -------------------------------------------------------------------------------------------------- */

/* The walk that computes node, a result of a scan, into the buffer, and the scan's other results with it. */
void gram_plan_scan(gram_planner *p, gram_node *node, int buffer);

/* --- plan_loop.c, plan_linear.c ----------------------------------------------------------------------------------- */

/* Chooses the loop of a stream whose program is made; how it is linear in the tokens, or NULL. */
void gram_choose_loop(gram_planner *p, gram_step *step);
gram_linear *gram_linear_of(gram_planner *p, gram_step *step);
/* Is a sum linear when it streams alone, so that no pass over all pairs should take it along? */
bool gram_is_linear_sum(gram_planner *p, const gram_node *sum);

/* --- program.c ---------------------------------------------------------------------------------------------------- */

/* Does the caller give what the node computes (a gradient's given outputs)? */
bool gram_plan_is_given(const gram_planner *p, const gram_node *node);
/* Is it a formula over products, of tokens and not of pairs, that other formulas use too? Its products are worth
 * keeping. */
bool gram_is_shared(gram_planner *p, const gram_node *node);
/* Adds the instructions for node's tiles to the program of step (its leaves go into step->leaves); the instruction. In
 * an epilogue, the step's own sums and statistics are at hand. */
int gram_program_add(gram_planner *p, gram_step *step, gram_program *program, gram_node *node);
/* The instruction that adds a SCATTER's tiles to its buffer. */
int gram_program_scatter(gram_planner *p, gram_step *step, gram_node *node, int buffer);
/* Instruction k with a value for each pair: where it has less, every entry repeats it (x = max(x, x)). */
int gram_program_spread(gram_planner *p, gram_program *program, int k);

#endif
