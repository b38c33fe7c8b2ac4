/* Dropout on the rows of a joint batch: each member draws its own mask. Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_DROPOUT_H
#define CONDLORA_MODEL_ENCODER_DROPOUT_H

#include "condlora/random.h"
#include "model/encoder/state.h"

/* A mask of the member's step; of probability 0 unless the loaded batch is for training. */
cdl_dropout_mask encoder_mask(const model_encoder *member, float probability,
                              cdl_random_purpose purpose, int layer);

/* The mask that a member draws at one point of the model. `number` is that of the layer; in the head
 * it tells two points apart. */
typedef cdl_dropout_mask encoder_dropout_mask_fn(const model_encoder *member, int number);

/* out = drop(x) for one member's rows. Returns `out`, or x itself where nothing is dropped. */
cdl_tensor encoder_drop_own(const model_encoder *member, cdl_queue *queue, cdl_tensor out,
                            cdl_tensor x, cdl_dropout_mask mask, encoder_rows rows);

/* The same for the rows of all members, each by its own mask. Returns x itself where no member drops
 * anything. `x` may be `out`. The gradient is the same function of d_out. */
cdl_tensor encoder_drop(encoder_members members, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                        encoder_dropout_mask_fn *mask_of, int number, encoder_rows rows);

#endif
