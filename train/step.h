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
} cdl_recorded_batch;

enum { CDL_RECORDED_BATCHES = 128 }; /* further shapes run unrecorded */

typedef struct {
  cdl_job *job;
  cdl_loss loss;
  cdl_optimizer optimizer;
  cdl_dropout_rates dropout;
  float max_gradient_norm;
  cdl_batch_bound bound;

  bool records;
  bool warm; /* a step has run: whatever it needs is allocated */
  cdl_graph *begin, *end;
  cdl_recorded_batch batches[CDL_RECORDED_BATCHES];
  size_t batch_count;
} cdl_step;

/* For batches within `bound`, which the encoder must be planned for by the first step. `job` is
 * borrowed. Errors: those of loss and optimizer; nothing to release then. */
CDL_MUST_USE cdl_status cdl_step_create(cdl_step *step, cdl_job *job, const cdl_settings *settings,
                                        cdl_batch_bound bound);
void cdl_step_release(cdl_step *step);

/* A step in three parts. Begin: the record goes up, A and B of every layer are made, gradients and
 * loss set to zero. Each batch: forward, loss, backward; `batch` may be refilled afterwards. End:
 * the parameters' gradients, clipping, update; then what the method does after step `number`. */
CDL_MUST_USE cdl_status cdl_step_begin(cdl_step *step, const cdl_step_record *record);
CDL_MUST_USE cdl_status cdl_step_batch(cdl_step *step, const cdl_batch *batch);
CDL_MUST_USE cdl_status cdl_step_end(cdl_step *step, int64_t number);
/* The batches of `count` steps in one pass, at least two: their encoders share a base. It is not
 * recorded. */
CDL_MUST_USE cdl_status cdl_step_batches(cdl_step *const *steps, const cdl_batch *const *batches,
                                         size_t count);

#endif
