/* Linear layers in a pass of all members of a joint batch. The frozen part is computed once for the
 * rows of all members. The parts that differ between members are computed for each member on its
 * own rows, which are end to end. Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_LINEAR_H
#define CONDLORA_MODEL_ENCODER_LINEAR_H

#include "model/encoder/delta.h"

/* out = f(x Wᵀ + b + Σ deltas) */
typedef struct {
  encoder_members members;
  const projection *p; /* of the first member */
  encoder_rows rows;
  cdl_activation activation; /* f; zero means none */
  cdl_tensor x, out;         /* [rows, in], [rows, Σ out] */
  cdl_tensor pre;            /* [rows, Σ out] the input of f; absent without f */
} encoder_linear_pass;

void encoder_linear_forward(cdl_queue *queue, const encoder_linear_pass *pass);

/* d_x = f'(pre) ∘ (d_out W + Σ deltas), or d_x += d_out W + Σ deltas with `accumulate`. f and `pre`
 * are those of the layer that produced x. Adds to the gradients of trained tensors. */
typedef struct {
  encoder_members members;
  const projection *p;
  encoder_rows rows;
  cdl_activation activation;
  cdl_tensor x, pre, d_out;
  cdl_tensor d_x; /* absent: not computed */
  bool accumulate;
} encoder_linear_gradients;

void encoder_linear_backward(cdl_queue *queue, const encoder_linear_gradients *pass);

#endif
