/* Dropout, and linear layers with what adapters add to them: the parts that the encoder's passes
 * are made of. Private to encoder*.c.
 *
 * What is frozen is computed for the rows of all lanes at once; what differs from lane to lane, for
 * each on its own rows, which lie end to end. */
#ifndef CONDLORA_MODEL_ENCODER_LINEAR_H
#define CONDLORA_MODEL_ENCODER_LINEAR_H

#include "condlora/random.h"
#include "model/encoder/state.h"

/* Rows of an activation: every token, or one a sequence. */
typedef enum { ROWS_TOKENS, ROWS_SEQUENCES } row_kind;

static inline int64_t lane_row_count(const model_encoder *lane, row_kind rows)
{
  return rows == ROWS_TOKENS ? lane->batch.packing.tokens : lane->batch.packing.sequences;
}

/* In training alone anything is dropped. */
cdl_dropout_mask encoder_mask(const model_encoder *lane, float probability,
                              cdl_random_purpose purpose, int layer);

/* A place where a lane drops: `number` is a layer's, or tells places of the head apart. */
typedef cdl_dropout_mask dropout_place(const model_encoder *lane, int number);

/* out = drop(x), which is its own gradient, each lane's rows by its own mask; x itself where no lane
 * drops anything. `x` may be `out`. */
cdl_tensor encoder_drop(lane_list lanes, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                        dropout_place *place, int number, row_kind rows);

/* out = f(x Wᵀ + b + Σ adapters). `pre` holds what f is applied to, for the backward pass; absent
 * without f. `p` is the first lane's. */
void linear_forward(lane_list lanes, cdl_queue *queue, const projection *p, cdl_tensor out,
                    cdl_tensor pre, cdl_tensor x, cdl_activation activation, row_kind rows);

/* d_x = f'(pre) ∘ (d_out W + Σ adapters), or d_x += d_out W + Σ adapters with `accumulate`; f and
 * pre are those of x. An absent d_x is not wanted. */
void linear_backward(lane_list lanes, cdl_queue *queue, const projection *p, cdl_tensor d_x,
                     bool accumulate, cdl_tensor d_out, cdl_tensor x, cdl_tensor pre,
                     cdl_activation activation, row_kind rows);

/* A matrix of x's size at the start of scratch memory. */
static inline cdl_tensor scratch_like(cdl_tensor scratch, cdl_tensor x)
{
  return cdl_tensor_2d(scratch.buffer, CDL_DTYPE_F32, scratch.offset, x.size[2], x.size[3]);
}

#endif
