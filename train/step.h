/* One optimizer step on the device. If the backend records work, the work of a step is recorded for
 * each shape of batch and replayed. A step then uploads only ids, offsets, labels and the step
 * record. */
#ifndef CONDLORA_TRAIN_STEP_H
#define CONDLORA_TRAIN_STEP_H

#include "train/loss.h"
#include "train/optimizer.h"
#include "train/recording.h"
#include "train/shards.h"

typedef struct train_joint_pass train_joint_pass;

typedef struct {
  train_session *session;
  train_loss loss;
  train_optimizer optimizer;
  train_shards shards; /* the caller says which shards a batch has */
  encoder_dropout_rates dropout;
  float max_gradient_norm;
  encoder_batch_bound bound;

  bool may_record; /* no setting forbids it */
  bool records;
  bool failed;             /* a recording was given up; of joint runs the pass says so */
  bool warm;               /* a step has run, so that all its memory is allocated */
  train_joint_pass *joint; /* of the runs that it trains with; NULL: none */
  cdl_graph *begin, *end;
  train_recorded_passes passes;
} train_step;

/* Creates a step for batches within `bound`; the encoder must be planned for them before the first
 * step. `session` is borrowed. Errors: those of loss and optimizer; then there is nothing to
 * release. */
CDL_MUST_USE cdl_status train_step_create(train_step *step, train_session *session,
                                          const train_settings *settings,
                                          encoder_batch_bound bound);
void train_step_release(train_step *step);

/* The three parts of a step. begin uploads the record, computes A and B of every layer, and sets
 * gradients and loss to zero. batch runs forward, loss and backward; the caller may refill `batch`
 * afterwards. end computes the parameters' gradients, clips, updates, and does the method's work
 * after step `number`. */
CDL_MUST_USE cdl_status train_step_begin(train_step *step, const cdl_step_record *record);
CDL_MUST_USE cdl_status train_step_batch(train_step *step, const data_batch *batch);
CDL_MUST_USE cdl_status train_step_end(train_step *step, int64_t number);

/* What is recorded of passes over several runs; zeros before the first. Release it before their
 * sessions are closed. */
struct train_joint_pass {
  const train_step *steps[ENCODER_JOINT_MAX]; /* of the last pass */
  size_t count;
  train_recorded_passes passes;
  bool failed; /* a recording was given up, of a pass or of a step that has it in `joint` */
};

/* Runs the batches of `count` ≥ 2 steps in one pass. Their encoders share a base. If all of them
 * record, the pass is recorded when the same runs have batches of the same shapes again. */
CDL_MUST_USE cdl_status train_step_batches(train_joint_pass *pass, train_step *const *steps,
                                           const data_batch *const *batches, size_t count);
void train_joint_pass_release(train_joint_pass *pass);

#endif
