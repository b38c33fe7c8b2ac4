/* Trains an adapter, as `condlora train` does. */
#ifndef CONDLORA_TRAIN_H
#define CONDLORA_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "condlora/metrics.h"
#include "condlora/settings.h"
#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reported after a step. The loss can be that of a step up to four earlier than the one in
 * progress. */
typedef struct {
  size_t size;
  int64_t step, steps; /* finished steps, and steps of the whole run */
  double epoch, loss, learning_rate, gradient_norm;
  double examples_per_s, seconds_left; /* averaged over the last steps */
} cdl_train_step;

enum { CDL_TRAIN_METRICS = CDL_METRIC_CAPACITY };

/* Scores on a split. */
typedef struct {
  size_t examples;
  double loss; /* mean loss */
  /* indexed by cdl_metric; NaN for one that does not apply to the task */
  double metric[CDL_TRAIN_METRICS];
} cdl_train_scores;

/* Reported after an evaluation. */
typedef struct {
  size_t size;
  int64_t step;
  double epoch;
  const char *split;              /* "valid" (held-out training examples) or "dev" */
  const cdl_train_scores *scores; /* borrowed during the call */
  bool is_best;                   /* the best on this split so far */
} cdl_train_evaluation;

/* Callbacks of training. Each function may be NULL. They run in the training thread and must not
 * call the library for the same run. Notices and warnings go to the callback of cdl_log_to. */
typedef struct {
  size_t size;
  void *user;
  void (*step)(void *user, const cdl_train_step *step);
  void (*evaluation)(void *user, const cdl_train_evaluation *evaluation);
  /* A value other than 0 makes the run finish its step, save, and return CANCELLED;
   * cdl_train_resume continues it. A callback, another thread or a signal handler may set it. */
  const volatile int *stop;
} cdl_train_callbacks;

static inline cdl_train_callbacks cdl_train_callbacks_init(void)
{
  cdl_train_callbacks callbacks;
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.size = sizeof callbacks;
  return callbacks;
}

/* Results of a finished run. */
typedef struct {
  size_t size;
  int64_t adapter_parameters, head_parameters; /* numbers of trainable parameters */
  int64_t steps, best_step;
  double best_epoch, examples_per_s;
  size_t peak_bytes;      /* peak memory of the process */
  cdl_metric main_metric; /* the metric that chooses the best checkpoint */
  bool has_valid, has_dev;
  cdl_train_scores valid, dev; /* scores of the adapter that was kept */
  /* Folder of the adapter, for cdl_model_open; for a method that trains the whole model, the folder
   * of that model. */
  char adapter[4096];
} cdl_train_result;

static inline cdl_train_result cdl_train_result_init(void)
{
  cdl_train_result result;
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  return result;
}

/* Trains according to `settings`, which name a model, the examples and the new folder of the run
 * ("output"). The folder receives the adapter, the checkpoint and the files of the run
 * (docs/files.md). `callbacks` and `result` may be NULL. After any error the last checkpoint
 * remains valid. Errors: USAGE for invalid settings; CANCELLED after `stop`, with the run saved;
 * NUMERIC if a loss is not finite; those of files and devices. */
CDL_API CDL_MUST_USE cdl_status cdl_train(const cdl_settings *settings,
                                          const cdl_train_callbacks *callbacks,
                                          cdl_train_result *result);

/* Resumes the run in `folder` from its checkpoint, with its settings. The result has the same bytes
 * as an uninterrupted run. `overrides` (NULL for none) may change settings that do not affect the
 * result, and may make the run longer ("epochs", "max_steps"). A finished run is not an error:
 * `result` receives its results. Errors: as cdl_train; USAGE for a folder without a run, and for an
 * override that would change the result. */
CDL_API CDL_MUST_USE cdl_status cdl_train_resume(const char *folder, const cdl_settings *overrides,
                                                 const cdl_train_callbacks *callbacks,
                                                 cdl_train_result *result);

#ifdef __cplusplus
}
#endif
#endif
