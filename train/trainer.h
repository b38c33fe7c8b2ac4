/* Training: from opened data and model to an adapter, evaluated, kept and resumable. */
#ifndef CONDLORA_TRAIN_TRAINER_H
#define CONDLORA_TRAIN_TRAINER_H

#include "train/evaluate.h"
#include "train/session.h"
#include "train/settings.h"

/* Before the first step. */
typedef struct {
  const char *method, *backend;          /* description of the backend */
  int64_t adapter_numbers, head_numbers; /* trained */
  const data_census *census;
  encoder_dropout_rates dropout;
  int64_t steps, steps_per_epoch, first_step; /* first_step > 0: resumed */
  size_t longest_tokens, batch_tokens;        /* longest example; most tokens of a batch */
  size_t activation_bytes, model_bytes;
  bool finished; /* the run was done already */
} train_plan;

typedef struct {
  int64_t step, steps; /* of the whole run, done */
  double epoch, loss, learning_rate, gradient_norm;
  double examples_per_s, seconds_left; /* over the last steps */
  double gemm_share; /* arithmetic per second against this machine's best GEMM; 0: not measured */
} train_step_report;

typedef struct {
  int64_t step;
  double epoch;
  const char *split; /* "valid" or "dev" */
  const train_result *result;
  bool is_best;
} train_evaluation_report;

/* Any of them may be NULL. */
typedef struct {
  void *user;
  void (*planned)(void *user, const train_plan *plan);
  void (*stepped)(void *user, const train_step_report *report);
  void (*evaluated)(void *user, const train_evaluation_report *report);
  const volatile int *stop; /* set: finish the step, save, return CANCELLED */
  bool measure_gemm;        /* for gemm_share: takes a few hundredths of a second */
} train_events;

/* What a finished run amounts to. */
typedef struct {
  int64_t adapter_numbers, head_numbers, steps, best_step;
  double best_epoch, examples_per_s;
  size_t peak_bytes; /* of the process */
  bool has_valid, has_dev;
  train_result valid, dev; /* of the adapter that was kept */
  char adapter_path[4096];
} train_summary;

/* The rates of dropout that a run has: the settings', or where they leave them open its model's. */
encoder_dropout_rates train_run_dropout(const train_session *session,
                                        const train_settings *settings);

/* Trains as `settings` say on what `session` opened for them. Errors: NUMERIC when a loss is not
 * finite (nothing is saved after the last checkpoint); CANCELLED after `stop`, saved; those of
 * files and devices. */
CDL_MUST_USE cdl_status train_run(train_session *session, const train_settings *settings,
                                  const train_events *events, train_summary *summary);

#endif
