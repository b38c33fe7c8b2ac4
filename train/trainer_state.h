/* The parts of a run, in the order in which train/joint.c calls them: prepare; begin; next_batch, a
 * pass over the batch and proceed, until the run is over; finish. release follows in any case. */
#ifndef CONDLORA_TRAIN_TRAINER_STATE_H
#define CONDLORA_TRAIN_TRAINER_STATE_H

#include "base/machine.h"
#include "train/curves.h"
#include "train/rank_shards.h"
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
  train_rank_shards ranks; /* of a job of several */
  uint64_t seed_data, seed_dropout;

  uint32_t *order; /* [train_count] order of the examples in epoch `order_epoch` */
  int64_t order_epoch;
  int64_t steps_per_epoch, eval_every; /* eval_every 0: no evaluations */
  data_batch batch;

  inference_evaluation evaluation; /* for the split that chooses the best checkpoint */
  const cdl_dataset *evaluated;    /* the data set that `evaluation` belongs to */
  const char *evaluated_split;
  const uint32_t *evaluated_rows; /* [evaluated_count] in their order, in which scores are summed */
  size_t evaluated_count;
  float *logits; /* [examples of that data set, labels] */

  adapter_snapshot now, best;
  float *moments;
  train_run_state state;
  train_run_files files;
  train_curves curves;
  base_time started; /* when this process began the run */
  bool recorded;     /* run.json has this process */

  double gemm_peak; /* operations per second of this machine */
  double clock, last_checkpoint, train_seconds, waited_seconds;
  double window[RATE_WINDOW]; /* durations of the last steps in seconds */
  size_t window_examples[RATE_WINDOW];
  int64_t trained_examples, first_step;

  train_plan plan;
  frozen_cache_counts cached; /* of the session's cache, when the run began */
  encoder_batch_limits training_limits, evaluation_limits;
  /* The step in progress: its examples in `order`, and how many of them were in a batch. */
  train_pending_step under_way;
  const uint32_t *rows;
  size_t rows_done, rows_end; /* of this rank's examples */
} train_trainer;

/* Call it after `session`, `settings` and `events` are set. It determines the steps, and allocates
 * the step's memory. It sets `training_limits` and `evaluation_limits`; the caller plans the
 * encoder's memory from them. */
CDL_MUST_USE cdl_status trainer_prepare(train_trainer *trainer);
/* Opens the run's folder, reads its checkpoint, and reports the plan. `ended` means that there is
 * nothing to train: it is a dry run, or the run had finished; in the second case `summary` is
 * filled. */
CDL_MUST_USE cdl_status trainer_begin(train_trainer *trainer, train_summary *summary, bool *ended);
/* Between steps, evaluates, saves and stops if that is due, and begins the next step. Then fills
 * `batch` with the step's next examples. `over` means that there is no further step. Errors: those
 * of train_run. */
CDL_MUST_USE cdl_status trainer_next_batch(train_trainer *trainer, bool *over);
/* Call it after the pass over `batch`. Ends the step if this was its last batch. */
CDL_MUST_USE cdl_status trainer_proceed(train_trainer *trainer);
/* trainer_end.c: measures the kept adapter and writes the results. */
CDL_MUST_USE cdl_status trainer_finish(train_trainer *trainer, train_summary *summary);
void trainer_release(train_trainer *trainer);

/* Returns a number of steps as epochs. */
double trainer_epoch(const train_trainer *trainer, int64_t step);
CDL_MUST_USE cdl_status trainer_save(train_trainer *trainer);
/* Writes the adapter to disk as soon as it is the best. */
CDL_MUST_USE cdl_status trainer_write_adapter(train_trainer *trainer,
                                              const adapter_snapshot *values);
/* Chooses the thresholds of several labels on these examples, and notes them in the adapter's
 * config; nothing for other problems. */
CDL_MUST_USE cdl_status trainer_choose_thresholds(train_session *session,
                                                  const cdl_dataset *dataset, const uint32_t *rows,
                                                  size_t count, const float *logits);
/* Adds the method's penalty to the loss of an evaluation. */
CDL_MUST_USE cdl_status train_add_penalty(const train_session *session, train_result *result);

#endif
