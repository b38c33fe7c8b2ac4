/* Dropout on the rows of a joint batch: each member draws its own mask. Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_DROPOUT_H
#define CONDLORA_MODEL_ENCODER_DROPOUT_H

#include "condlora/random.h"
#include "model/encoder/state.h"

/* Returns a mask for the member's step. Its probability is 0 unless the loaded batch is for
 * training. */
cdl_dropout_mask encoder_mask(const model_encoder *member, float probability,
                              cdl_random_purpose purpose, int layer);

/* Returns a member's mask at one place in the model. `number` is the number of the layer; in the
 * head it distinguishes the two places. */
typedef cdl_dropout_mask encoder_dropout_mask_fn(const model_encoder *member, int number);

/* Returns whether any member drops something there. */
bool encoder_drops(encoder_members members, encoder_dropout_mask_fn *mask_of, int number);

/* out = dropout(x) for the rows of one member. Returns `out`, or x itself if nothing is dropped. */
cdl_tensor encoder_drop_own(const model_encoder *member, cdl_queue *queue, cdl_tensor out,
                            cdl_tensor x, cdl_dropout_mask mask, encoder_rows rows);

/* out = dropout(x) for the rows of all members, each with its own mask. `x` may be `out`. Returns x
 * itself if no member drops anything. The gradient is the same function of d_out. */
cdl_tensor encoder_drop(encoder_members members, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                        encoder_dropout_mask_fn *mask_of, int number, encoder_rows rows);

#endif
