/* The parameters of kernels besides buffers: one struct by value for each, read by host and device.
 * A member has the same size and alignment on every device as in C: i64, u32, int, float, and
 * structs and arrays of them, largest first; there is padding only at the end. There is no double,
 * because a device may lack it. */
#ifndef CONDLORA_BACKENDS_KERNELS_PARAMETERS_H
#define CONDLORA_BACKENDS_KERNELS_PARAMETERS_H

#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_DIALECT_H /* the host's */
#include <stdint.h>
typedef int64_t i64;
typedef uint32_t u32;
#endif

/* A tensor without its buffer: element (i, j, k, l) is at offset + i·stride[0] + … +
 * l·stride[3]. */
typedef struct {
  i64 offset, stride[4];
} view;

/* How a grid is spread over `rows` rows of size[3] columns (see source/rows.h). If each row has
 * 2^lanes_log2 work-items, a tile is `span` columns of the rows that a group holds. If a row's
 * number stands for three indices, these count to size[0], size[1], size[2]. */
typedef struct {
  i64 size[4];
  i64 rows, tiles, column_tiles, span;
  int lanes_log2, spare;
} row_tiling;

/* How many times eight columns a work-item of the norms on BF16 keeps in registers. */
enum { ROW_EIGHTS = 4 };

/* ---- Moving ---- */

/* Columns are contiguous in `out`. They are contiguous in `x` too, except in the copies named
 * strided: there they are x.stride[3] apart. */
typedef struct {
  row_tiling tiling;
  view out, x;
} copy_parameters;

typedef struct {
  row_tiling tiling;
  view out;
  u32 value[2]; /* bits, the low half first, of four bytes or eight */
} fill_parameters;

typedef struct {
  row_tiling tiling; /* over out */
  view out;
  /* offsets of table and index, and the stride of the table's rows */
  i64 table, table_stride, index;
  int accumulate, spare;
} gather_rows_parameters;

typedef struct {
  row_tiling tiling; /* a row is a segment */
  i64 table, table_stride, x, x_stride, order, segment, target;
} scatter_add_rows_parameters;

/* ---- Elementwise ---- */

/* In the order of cdl_activation, then of cdl_unary_function. */
enum {
  FUNCTION_NONE,
  FUNCTION_GELU,
  FUNCTION_GELU_TANH,
  FUNCTION_GELU_QUICK,
  FUNCTION_RELU,
  FUNCTION_SILU,
  FUNCTION_TANH,
  FUNCTION_SIGMOID,
  FUNCTION_MISH,
  FUNCTION_ABSOLUTE,
  FUNCTION_SQUARE,
  FUNCTION_SQUARE_ROOT,
  FUNCTION_EXP,
  FUNCTION_LOG,
  FUNCTION_RECIPROCAL
};

typedef struct {
  row_tiling tiling;
  view out, x;
  int function, spare;
} unary_parameters;

typedef struct {
  row_tiling tiling;
  view d_x, d_out, x;
  int function, spare; /* an activation */
} unary_grad_parameters;

/* In the order of cdl_binary_function. */
enum {
  BINARY_ADD,
  BINARY_SUBTRACT,
  BINARY_MULTIPLY,
  BINARY_DIVIDE,
  BINARY_MAXIMUM,
  BINARY_MINIMUM
};

typedef struct {
  row_tiling tiling;
  view out, x, y; /* y.stride[3] is 1, or 0: one element per row */
  int function, spare;
} binary_parameters;

typedef struct {
  row_tiling tiling;
  view out, x;
  float alpha, beta;
} axpby_parameters;

/* ---- Reductions ---- */

/* In the order of cdl_reduce_function. */
enum { REDUCE_SUM, REDUCE_SUM_SQUARES, REDUCE_MAXIMUM };

/* The reduced dimension of x has `length` elements, x_step apart, cut into `pieces` of
 * `piece_length`. A row of the tiling is one piece of what its sizes count; the results of the
 * pieces are out_piece apart.
 *   reduce_rows     one result per row
 *   reduce_columns  one per row and column */
typedef struct {
  row_tiling tiling;
  view out, x;
  i64 length, x_step, piece_length, pieces, out_piece;
  int function, accumulate;
} reduce_parameters;

/* Each group computes its part of a number: the sum of squares, or whether any element is not
 * finite. */
typedef struct {
  row_tiling tiling;
  view x;
} whole_parameters;

typedef struct {
  i64 parts, norm, factor; /* number of parts, offsets */
  float max_norm;
  int spare;
} clip_norm_parameters;

typedef struct {
  i64 parts, flag;
} flag_parameters;

/* ---- Rows ---- */

typedef struct {
  row_tiling tiling;
  view out, x;
  float scale;
  int spare;
} softmax_parameters;

typedef struct {
  row_tiling tiling;
  view d_x, d_out, out;
  float scale;
  int spare;
} softmax_grad_parameters;

/* A cdl_dropout_mask with p > 0. */
typedef struct {
  i64 step_offset; /* of the step record, in words */
  u32 place;       /* purpose · 2²⁴ + layer */
  u32 threshold;
  float scale;
  int spare;
} mask_parameters;

/* Of BF16 alone: the mask of a matrix's rows. */
typedef struct {
  mask_parameters mask;
  i64 offsets, examples;
  int drops, sequences, per_sequence, spare;
} row_mask;

/* Offsets of vectors, strides of rows. x is dropped first. */
typedef struct {
  row_tiling tiling;
  i64 out, out_stride, sum, sum_stride, x, x_stride, residual, residual_stride;
  i64 gain, bias, mean, rstd;
  row_mask mask;
  float epsilon;
  int spare;
} layer_norm_parameters;

typedef struct {
  row_tiling tiling;
  i64 d_x, d_x_stride, d_out, d_out_stride, x, x_stride;
  i64 gain, mean, rstd;
  i64 rows, piece_rows; /* in layer_norm_grad_parts: the tiling's rows are pieces */
  i64 dropped, dropped_stride;
  row_mask mask; /* of `dropped`, d_x after the dropout */
} layer_norm_grad_parameters;

/* ---- Dropout ---- */

/* Offsets of the members of a cdl_step_record, in words. */
enum {
  STEP_LEARNING_RATE,
  STEP_CORRECTION1,
  STEP_CORRECTION2,
  STEP_LOSS_SCALE,
  STEP_STEP,
  STEP_SEED
};

typedef struct {
  row_tiling tiling; /* of `dropout`: a column is four elements, one block of random numbers */
  mask_parameters mask;
  i64 columns, out, out_stride, x, x_stride, offsets, examples;
  int sequences, per_sequence;
} dropout_parameters;

/* ---- Losses and the optimizer ---- */

typedef struct {
  row_tiling tiling; /* over logits */
  i64 d_logits, d_logits_stride, logits, logits_stride, labels, class_weight, step;
  float label_smoothing;
  int spare;
} cross_entropy_parameters;

/* Offsets and the strides of rows; `count` is rows times labels. */
typedef struct {
  i64 count, labels;
  i64 d_logits, d_logits_stride, logits, logits_stride, targets, targets_stride, pos_weight, step;
} binary_cross_entropy_parameters;

/* loss += loss_scale · Σ of `count` numbers. */
typedef struct {
  i64 count, loss, step;
} add_loss_parameters;

/* Each tensor in its own shape. */
typedef struct {
  i64 d_out_size[4], out_size[4], target_size[4];
  view d_out, out, target;
  i64 count, step;
} squared_error_parameters;

typedef struct {
  row_tiling tiling;
  view parameter, moment1, moment2, gradient;
  i64 grad_scale, step;             /* offsets; of the step record in words */
  float beta1, beta2, rest1, rest2; /* rest: 1 − β */
  float epsilon, rate, decay_rate;  /* decay · rate */
  int spare;
} adamw_parameters;

/* ---- Products ---- */

typedef struct {
  row_tiling tiling;
  i64 out, out_stride, pre, pre_stride, bias;
  int function, spare; /* an activation */
} linear_parameters;

typedef struct {
  row_tiling tiling;
  view out;
  float factor;
  int spare;
} scale_parameters;

/* Rows of a tile, and the largest rank that low_rank's own kernels take. */
enum { LOW_RANK_ROWS = 32, LOW_RANK_MOST = 64 };

/* `out` is [rows, rank] and x [rows, columns], or the reverse in low_rank_expand. w(r, k) is at w +
 * r·w_rank_step + k·w_step. */
typedef struct {
  i64 out, out_stride, x, x_stride, w, w_rank_step, w_step;
  i64 rows, columns;
  int rank;
  float factor;
} low_rank_parameters;

/* [rows, columns] in float32, to be rounded to BF16 at `out`. */
typedef struct {
  i64 out, out_stride, x, x_stride, rows, columns;
} rounded_matrix;

typedef struct {
  rounded_matrix matrix[2];
} low_rank_round_parameters;

/* The tiles of low_rank_add: columns, and rows for each 32 work-items of a group. */
enum { LOW_RANK_TILE_COLUMNS = 256, LOW_RANK_TILE_LANES = 32, LOW_RANK_ITEM_ROWS = 8 };

/* ---- low_rank on tensor cores ---- */

/* The most terms, ranks of a term, rows of a group; rows of a tile, columns of a group and elements
 * of its result in the sums of d_A and d_B. */
enum {
  LOW_RANK_TERMS = 3,
  LOW_RANK_TENSOR_MOST = 16,
  LOW_RANK_PASS_ROWS = 32,
  LOW_RANK_SUM_ROWS = 64,
  LOW_RANK_SUM_COLUMNS = 128,
  LOW_RANK_SUM_ELEMENTS = 16 * LOW_RANK_SUM_COLUMNS
};

/* middle [rows, rank] = before · left wᵀ;  out [rows, columns] += after · middle u. `left` is
 * [rows, inner], w(r, k) is at w + r·w_rank_step + k·w_step, and so is u(r, column). */
typedef struct {
  i64 left, left_stride, inner, w, w_rank_step, w_step, middle, middle_stride;
  i64 out, out_stride, columns, u, u_rank_step, u_step;
  int rank, spare;
  float before, after;
} low_rank_term_parameters;

typedef struct {
  low_rank_term_parameters term[LOW_RANK_TERMS];
  i64 rows;
  int terms, spare;
} low_rank_pass_parameters;

/* out(r, column) += factor · Σ v(row, r) x(row, column), for up to eight ranks. v_from: 0 is du, 1
 * and more `hidden` of a term. out_to: 0 and more d_a of a term, 3 and more d_b. */
typedef struct {
  i64 v, v_stride, out, out_rank_step, out_step;
  int ranks, v_from, out_to;
  float factor;
} low_rank_sum_block;

/* x_from: 0 is x, 1 and more d_out of a term. `wide`: as of attention. */
typedef struct {
  low_rank_sum_block block[2];
  i64 x, x_stride, columns;
  int x_from, wide;
} low_rank_sum_job;

/* Each part has part_rows rows; the parts' sums begin at `sums` of scratch memory. */
typedef struct {
  low_rank_sum_job job[2 * LOW_RANK_TERMS];
  i64 rows, part_rows, parts, sums, column_tiles;
  int jobs, spare;
} low_rank_sum_parameters;

/* ---- map_weights on tensor cores ---- */

/* The most ranks; rows and columns of a group's part of a weight, which comes in tiles. */
enum {
  MAP_TENSOR_MOST = 16,
  MAP_ROWS = 128,
  MAP_TILE_ROWS = 64,
  MAP_COLUMNS = 256,
  MAP_TILE_COLUMNS = 64,
  MAP_JOBS = 2
};

/* Sums W(row, column) x(r, ·) of each matrix over rows, or else over columns. x(r, k) is at x +
 * i0·step[0] + i1·step[1] + r·step[2] + k·step[3], and likewise the result. The sums of matrix i's
 * part j lie at sums + (i·parts + j)·rank·length of scratch memory, [rank, length]. */
typedef struct {
  i64 x, x_step[4], out, out_step[4], sums, parts, length;
  int over_rows, accumulate;
} map_job;

/* `layers` is n1; `adds_layers`: the results of all of a target's layers are added. `wide`: as of
 * attention. */
typedef struct {
  map_job job[MAP_JOBS];
  i64 weight, weight_step[3], rows, columns, targets, layers;
  int jobs, rank, adds_layers, wide;
} map_parameters;

/* ---- Attention ---- */

/* Offsets and strides of rows. In the gradient, which alone has d_out and d_bias, `out` is d_qkv.
 * A bias has 2 · radius + 1 columns. */
typedef struct {
  mask_parameters mask; /* read only if `drops` */
  i64 out, out_stride, d_out, d_out_stride, qkv, qkv_stride, log_sum, log_sum_stride;
  i64 bias, bias_stride, d_bias, d_bias_stride;
  i64 result, result_stride;            /* in the gradient of BF16: attention's output */
  i64 parts;                            /* the offset of the sums that make d_bias */
  i64 sums;                             /* in the gradient of BF16: the offset of dQ's */
  i64 offsets, examples, tokens;        /* tokens: rows of out */
  int sequences, longest, heads, depth; /* depth: columns of a head */
  int drops, radius;
  float scale;
  int wide;         /* rows of BF16 begin at multiples of 16 bytes, and depth is a multiple of 8 */
  int slots, chunk; /* of BF16: see tensor/tiles.h; in the gradient: tiles of keys of a group */
} attention_parameters;

#endif
