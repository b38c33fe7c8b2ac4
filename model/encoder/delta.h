/* The delta of one linear layer, for one member of a joint batch; encoder.h has the equations. Each
 * term has a file with its forward pass, its backward pass, and its merge into the weight if it has
 * one. delta.c combines them. Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_DELTA_H
#define CONDLORA_MODEL_ENCODER_DELTA_H

#include "model/encoder/dropout.h"

/* One module of one member in a pass. Its tensors have only the member's rows. */
typedef struct {
  const model_encoder *member;
  const encoder_module *module;
  const module_activations *act;
  cdl_tensor bias;          /* [out] */
  const cdl_weight *single; /* weight of this module alone; NULL unless needs_single */
  encoder_rows rows;
} encoder_module_pass;

/* Returns module i of the projection `p`. The projection's modules are those of the first
 * member. */
encoder_module_pass encoder_adapted_module(encoder_members members, size_t member,
                                           const projection *p, int i, encoder_rows rows);

/* Low-rank terms of one input, which become one call. */
typedef struct {
  cdl_low_rank_args args;
  int count;
} encoder_low_rank_terms;

typedef struct {
  cdl_low_rank_grad_args args;
  int count;
  const model_encoder *member;
  encoder_rows rows;
} encoder_low_rank_grad_terms;

/* Adds the delta of x [rows, in] to y [rows, out], which holds x Wᵀ + b. A low-rank term that reads
 * x itself, and after which nothing is added to y, is left in `terms`. */
void encoder_delta_forward(const encoder_module_pass *m, cdl_queue *queue,
                           encoder_low_rank_terms *terms, cdl_tensor y, cdl_tensor x);

typedef struct {
  cdl_tensor d_x; /* [rows, in], added to; absent: not computed */
  cdl_tensor d_y; /* [rows, out] */
  cdl_tensor d_v; /* [rows, out] encoder_gain_d_v of d_y; may be overwritten */
  cdl_tensor x;   /* [rows, in] */
} encoder_delta_gradients;

/* Likewise leaves a low-rank term in `terms`. */
void encoder_delta_backward(const encoder_module_pass *m, cdl_queue *queue,
                            encoder_low_rank_grad_terms *terms, const encoder_delta_gradients *g);

/* ---- low_rank.c: y += scale (x Aᵀ) Bᵀ ---- */

void encoder_low_rank_forward(const encoder_module_pass *m, cdl_queue *queue, cdl_tensor y,
                              cdl_tensor x);
/* Adds the module's term to `terms`, whose call is made first if it is full or of another x. */
void encoder_low_rank_add(encoder_low_rank_terms *terms, const encoder_module_pass *m,
                          cdl_queue *queue, cdl_tensor y, cdl_tensor x);
/* Makes the call of the terms, if there are any, and empties them. */
void encoder_low_rank_flush(encoder_low_rank_terms *terms, cdl_queue *queue);
/* The gradient, which adds to d_A, d_B and d_x, each if it is present. */
void encoder_low_rank_add_grad(encoder_low_rank_grad_terms *terms, const encoder_module_pass *m,
                               cdl_queue *queue, cdl_tensor d_x, cdl_tensor d_y, cdl_tensor x);
void encoder_low_rank_flush_grad(encoder_low_rank_grad_terms *terms, cdl_queue *queue);
void encoder_low_rank_merge(const encoder_module *module, cdl_queue *queue);

/* ---- gain.c: y = g ∘ (x Wᵀ + scale (x Aᵀ) Bᵀ) + b ---- */

void encoder_gain_forward(const encoder_module_pass *m, cdl_queue *queue, cdl_tensor y,
                          cdl_tensor x);
/* Adds to d_g. */
void encoder_gain_backward(const encoder_module_pass *m, cdl_queue *queue, cdl_tensor d_y);
void encoder_gain_merge(const encoder_module *module, cdl_queue *queue);
/* Returns the gradient of v = x Wᵀ + scale (x Aᵀ) Bᵀ for all modules of a projection, [rows, Σ
 * out]. It is g ∘ d_out, and d_out itself if no module of any member has a gain. */
cdl_tensor encoder_gain_d_v(encoder_members members, cdl_queue *queue, const projection *p,
                            cdl_tensor d_out, encoder_rows rows);

/* ---- pair.c: y_t += scale ⟨x_t, x_0⟩ w; cannot be merged ---- */

void encoder_pair_forward(const encoder_module_pass *m, cdl_queue *queue, cdl_tensor y,
                          cdl_tensor x);
/* Adds to d_w and d_x, each if it is present. */
void encoder_pair_backward(const encoder_module_pass *m, cdl_queue *queue, cdl_tensor d_x,
                           cdl_tensor d_y, cdl_tensor x);

/* ---- Arithmetic that terms share ---- */

static inline void encoder_binary(cdl_queue *q, cdl_tensor out, cdl_tensor x, cdl_tensor y,
                                  cdl_binary_function function)
{
  cdl_binary(q, CDL_ARGS(binary, .out = out, .x = x, .y = y, .function = function));
}

/* out += alpha x */
static inline void encoder_add(cdl_queue *q, cdl_tensor out, cdl_tensor x, float alpha)
{
  cdl_axpby(q, CDL_ARGS(axpby, .out = out, .x = x, .alpha = alpha, .beta = 1));
}

/* Returns a matrix of x's size at the start of scratch memory, which has x's type. */
static inline cdl_tensor encoder_scratch_like(cdl_tensor scratch, cdl_tensor x)
{
  return cdl_tensor_2d(scratch.buffer, scratch.dtype, scratch.offset, x.size[2], x.size[3]);
}

/* Returns the columns of a stacked projection's output that belong to its i-th module. */
static inline cdl_tensor encoder_own_columns(const projection *p, cdl_tensor stacked, int i)
{
  const int64_t out = p->bias[i]->value.size[3];
  return cdl_tensor_columns(stacked, i * out, out);
}

#endif
