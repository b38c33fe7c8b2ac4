/* Linear layers in a pass of all members of a joint batch. What is frozen is computed for the rows of
 * all members at once. What differs from member to member is computed for each on its own rows,
 * which lie end to end. Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_LINEAR_H
#define CONDLORA_MODEL_ENCODER_LINEAR_H

#include "model/encoder/delta.h"

/* out = f(x Wᵀ + b + Σ deltas) */
typedef struct {
  encoder_members members;
  const projection *p; /* the first member's */
  encoder_rows rows;
  cdl_activation activation; /* f; zero: none */
  cdl_tensor x, out;         /* [rows, in], [rows, Σ out] */
  cdl_tensor pre;            /* [rows, Σ out] what f is applied to; absent without f */
} encoder_linear_pass;

void encoder_linear_forward(cdl_queue *queue, const encoder_linear_pass *pass);

/* d_x = f'(pre) ∘ (d_out W + Σ deltas), or with `accumulate` d_x += d_out W + Σ deltas. Here f and
 * `pre` are those of the layer that x came from. Adds to the gradients of what is trained. */
typedef struct {
  encoder_members members;
  const projection *p;
  encoder_rows rows;
  cdl_activation activation;
  cdl_tensor x, pre, d_out;
  cdl_tensor d_x; /* absent: not wanted */
  bool accumulate;
} encoder_linear_gradients;

void encoder_linear_backward(cdl_queue *queue, const encoder_linear_gradients *pass);

#endif
