/* One optimizer step on the device. Where the backend records work, what a step enqueues is
 * recorded for each shape of batch and replayed; then ids, offsets, labels and the step record are
 * all that a step sends. */
#ifndef CONDLORA_TRAIN_STEP_H
#define CONDLORA_TRAIN_STEP_H

#include "train/loss.h"
#include "train/optimizer.h"

/* Batches of one shape: tokens and the longest sequence rounded up, so that few shapes cover all
 * batches. */
typedef struct {
  int32_t tokens, sequences, longest;
  cdl_graph *graph; /* NULL: not recorded yet */
} train_recorded_batch;

enum { TRAIN_RECORDED_BATCHES = 128 }; /* further shapes run unrecorded */

typedef struct {
  train_session *session;
  train_loss loss;
  train_optimizer optimizer;
  encoder_dropout_rates dropout;
  float max_gradient_norm;
  encoder_batch_bound bound;

  bool records;
  bool warm; /* a step has run: whatever it needs is allocated */
  cdl_graph *begin, *end;
  train_recorded_batch batches[TRAIN_RECORDED_BATCHES];
  size_t batch_count;
} train_step;

/* For batches within `bound`, which the encoder must be planned for by the first step. `session` is
 * borrowed. Errors: those of loss and optimizer; nothing to release then. */
CDL_MUST_USE cdl_status train_step_create(train_step *step, train_session *session,
                                          const train_settings *settings,
                                          encoder_batch_bound bound);
void train_step_release(train_step *step);

/* A step in three parts. Begin: the record goes up, A and B of every layer are made, gradients and
 * loss set to zero. Each batch: forward, loss, backward; `batch` may be refilled afterwards. End:
 * the parameters' gradients, clipping, update; then what the method does after step `number`. */
CDL_MUST_USE cdl_status train_step_begin(train_step *step, const cdl_step_record *record);
CDL_MUST_USE cdl_status train_step_batch(train_step *step, const data_batch *batch);
CDL_MUST_USE cdl_status train_step_end(train_step *step, int64_t number);
/* The batches of `count` steps in one pass, at least two: their encoders share a base. It is not
 * recorded. */
CDL_MUST_USE cdl_status train_step_batches(train_step *const *steps,
                                           const data_batch *const *batches, size_t count);

#endif
