/* Dropout, and linear layers with what adapters add to them: the parts that the encoder's passes
 * are made of. Private to encoder*.c. */
#ifndef CONDLORA_MODEL_ENCODER_LINEAR_H
#define CONDLORA_MODEL_ENCODER_LINEAR_H

#include "condlora/random.h"
#include "model/encoder_state.h"

/* Rows of an activation: every token, or one a sequence. */
typedef enum { ROWS_TOKENS, ROWS_SEQUENCES } row_kind;

/* In training alone anything is dropped. */
cdl_dropout_mask encoder_mask(const cdl_encoder *encoder, float probability,
                              cdl_random_purpose purpose, int layer);

/* out = drop(x), which is its own gradient; x itself where nothing is dropped. */
cdl_tensor encoder_drop(const cdl_encoder *encoder, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                        cdl_dropout_mask mask, row_kind rows);

/* out = f(x Wᵀ + b + Σ adapters). `pre` holds what f is applied to, for the backward pass; absent
 * without f. `sites`: one for each of the projection's layers. */
void linear_forward(const cdl_encoder *encoder, cdl_queue *queue, const projection *p,
                    cdl_tensor out, cdl_tensor pre, cdl_tensor x, cdl_activation activation,
                    const site_activations *sites, row_kind rows);

/* d_x = f'(pre) ∘ (d_out W + Σ adapters), or d_x += d_out W + Σ adapters with `accumulate`; f and
 * pre are those of x. An absent d_x is not wanted. */
void linear_backward(const cdl_encoder *encoder, cdl_queue *queue, const projection *p,
                     cdl_tensor d_x, bool accumulate, cdl_tensor d_out, cdl_tensor x,
                     cdl_tensor pre, cdl_activation activation, const site_activations *sites,
                     row_kind rows);

/* A matrix of x's size at the start of scratch memory. */
static inline cdl_tensor scratch_like(cdl_tensor scratch, cdl_tensor x)
{
  return cdl_tensor_2d(scratch.buffer, CDL_F32, scratch.offset, x.size[2], x.size[3]);
}

#endif
