/* Training: takes opened data and a model, and produces an adapter that is evaluated, saved and
 * resumable. */
#ifndef CONDLORA_TRAIN_TRAINER_H
#define CONDLORA_TRAIN_TRAINER_H

#include "train/evaluate.h"
#include "train/frozen.h"
#include "train/session.h"
#include "train/settings.h"

/* Reported before the first step. */
typedef struct {
  const char *method, *backend;          /* description of the backend */
  int64_t adapter_numbers, head_numbers; /* numbers of trainable parameters */
  const data_census *census;
  encoder_dropout_rates dropout;
  int64_t steps, steps_per_epoch, first_step; /* first_step > 0: the run is resumed */
  size_t longest_tokens, batch_tokens; /* tokens of the longest example; most tokens of a batch */
  /* Where each shard of a step passes alone: their number, the passes of a step, and the most of
   * one rank. 0 where shards pass together, and with one. */
  int shards, step_passes, rank_passes;
  /* `model_bytes`: weights in memory of the backend; `mapped_bytes`: those in the model's file */
  size_t activation_bytes, model_bytes, mapped_bytes;
  cdl_dtype activation_type; /* between the ops of the encoder's body: F32 or BF16 */
  train_frozen_plan frozen;
  bool finished; /* the run had finished before */
  /* Evaluations before this call, as in metrics.json. Borrowed. */
  const json_t *evaluations;
  cdl_metric metric; /* chooses the best checkpoint */
  double best_value; /* of that metric before this call; NaN: none */
} train_plan;

typedef struct {
  int64_t step, steps; /* finished steps; steps of the whole run */
  double epoch, loss, learning_rate, gradient_norm;
  double examples_per_s, seconds_left; /* averaged over the last steps */
  /* operations per second relative to this machine's fastest GEMM; 0: not measured */
  double gemm_share;
  /* In a job of several ranks: the part of this step that a rank spent on waiting for others and on
   * exchanging gradients, on average; and the slowest rank so far. 0 where devices exchange them,
   * whose waits the host does not see. */
  int ranks, slowest_rank;
  double waiting;
} train_step_report;

typedef struct {
  int64_t step;
  double epoch;
  const char *split; /* "valid" or "dev" */
  const train_result *result;
  cdl_metric metric; /* chooses the best checkpoint */
  bool is_best;
} train_evaluation_report;

/* Each function may be NULL. */
typedef struct {
  void *user;
  void (*planned)(void *user, const train_plan *plan);
  void (*stepped)(void *user, const train_step_report *report);
  void (*evaluated)(void *user, const train_evaluation_report *report);
  const volatile int *stop; /* not 0: finish the step, save, return CANCELLED */
  bool measure_gemm;        /* for gemm_share; takes a few hundredths of a second */
} train_events;

/* Results of a finished run. */
typedef struct {
  int64_t adapter_numbers, head_numbers, steps, best_step;
  double best_epoch, examples_per_s;
  double waiting;    /* as in train_step_report, of all steps of this process */
  size_t peak_bytes; /* peak memory of the process */
  bool has_valid, has_dev;
  train_result valid, dev; /* results of the adapter that was kept */
  char adapter_path[4096];
} train_summary;

/* Returns the dropout rates of a run: those of the settings, or those of the model if they are not
 * set. */
encoder_dropout_rates train_run_dropout(const train_session *session,
                                        const train_settings *settings);

/* Returns what the last digits of results depend on: the backend's kernels, and the library of its
 * decompositions if it has run any. The caller frees it. NULL if memory is out. */
char *train_kernel_set(cdl_backend *backend);

/* Trains according to `settings` with everything that `session` opened. Errors: NUMERIC if a loss
 * is not finite (nothing is saved after the last checkpoint); CANCELLED after `stop`, with the run
 * saved; those of files and devices. */
CDL_MUST_USE cdl_status train_run(train_session *session, const train_settings *settings,
                                  const train_events *events, train_summary *summary);

#endif
