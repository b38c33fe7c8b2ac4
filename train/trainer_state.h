/* One run in parts, in the order in which train/joint.c calls them: prepare, begin, then next_batch,
 * a pass over the batch and proceed until it is over, finish; release in any case. */
#ifndef CONDLORA_TRAIN_TRAINER_STATE_H
#define CONDLORA_TRAIN_TRAINER_STATE_H

#include "train/run_files.h"
#include "train/schedule.h"
#include "train/step.h"
#include "train/step_ring.h"
#include "train/trainer.h"

enum { RATE_WINDOW = 16 };

typedef struct {
  train_session *session;
  const train_settings *settings;
  const train_events *events;

  train_schedule schedule;
  train_step step;
  train_step_ring watch;
  uint64_t seed_data, seed_dropout;

  uint32_t *order; /* [train_count] of the epoch `order_epoch` */
  int64_t order_epoch;
  int64_t steps_per_epoch, eval_every; /* eval_every 0: never */
  data_batch batch;

  inference_evaluation evaluation; /* of the split that chooses the best */
  const cdl_dataset *evaluated;    /* what that is of */
  const char *evaluated_split;
  float *logits; /* [examples of its data set, labels] */
  cdl_metric metric;

  adapter_snapshot now, best;
  float *moments;
  train_run_state state;
  train_run_files files;

  double gemm_peak; /* of this machine, a second */
  double clock, last_checkpoint, train_seconds;
  double window[RATE_WINDOW]; /* seconds of the last steps */
  size_t window_examples[RATE_WINDOW];
  int64_t trained_examples, first_step;

  train_plan plan;
  encoder_batch_limits training_limits, evaluation_limits;
  /* The step under way: its examples in `order`, and how many of them have been in a batch. */
  train_pending_step under_way;
  const uint32_t *rows;
  size_t rows_done;
} train_trainer;

/* `session`, `settings` and `events` being set: what there is to do, and the step's own memory. What the
 * encoder's passes take, `training_limits` and `evaluation_limits` say: it is planned next. */
CDL_MUST_USE cdl_status trainer_prepare(train_trainer *trainer);
/* Opens the run's folder, reads its checkpoint, tells the plan. `ended`: there is nothing to train, a
 * dry run or one that had finished; the latter's summary is filled in. */
CDL_MUST_USE cdl_status trainer_begin(train_trainer *trainer, train_summary *summary, bool *ended);
/* Between steps evaluates, saves and stops as is due, and begins the next step; then `batch` has its
 * next examples. `over`: there was no further step. Errors: those of train_run. */
CDL_MUST_USE cdl_status trainer_next_batch(train_trainer *trainer, bool *over);
/* After the pass over `batch`: ends the step if that was its last. */
CDL_MUST_USE cdl_status trainer_proceed(train_trainer *trainer);
/* Measures and writes what is kept: trainer_end.c. */
CDL_MUST_USE cdl_status trainer_finish(train_trainer *trainer, train_summary *summary);
void trainer_release(train_trainer *trainer);

/* Steps as a part of epochs. */
double trainer_epoch(const train_trainer *trainer, int64_t step);
CDL_MUST_USE cdl_status trainer_save(train_trainer *trainer);
/* The kept adapter is on disk as soon as it is the best. */
CDL_MUST_USE cdl_status trainer_write_adapter(train_trainer *trainer,
                                              const adapter_snapshot *values);
/* What the method adds to the loss of an evaluation. */
CDL_MUST_USE cdl_status train_add_penalty(const train_session *session, train_result *result);

#endif
