/* Training an adapter: what `condlora train` does. */
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

/* After a step. Its loss may be that of up to four steps before the one under way. */
typedef struct {
  size_t size;
  int64_t step, steps; /* done, and those of the whole run */
  double epoch, loss, learning_rate, gradient_norm;
  double examples_per_s, seconds_left; /* over the last steps */
} cdl_train_step;

/* Room for metrics of later versions. */
enum { CDL_TRAIN_METRICS = 16 };

/* What was measured on a split. */
typedef struct {
  size_t examples;
  double loss;                      /* mean */
  double metric[CDL_TRAIN_METRICS]; /* by cdl_metric; NaN where one means nothing for the task */
} cdl_train_scores;

/* After an evaluation. */
typedef struct {
  size_t size;
  int64_t step;
  double epoch;
  const char *split;              /* "valid": examples held out, or "dev" */
  const cdl_train_scores *scores; /* borrowed during the call */
  bool is_best;                   /* of those on this split so far */
} cdl_train_evaluation;

/* What training tells. Any function may be NULL. They run in the thread that trains and must not
 * call the library for the same run. Notices and warnings go to cdl_log_to. */
typedef struct {
  size_t size;
  void *user;
  void (*step)(void *user, const cdl_train_step *step);
  void (*evaluation)(void *user, const cdl_train_evaluation *evaluation);
  /* Not 0: finish the step, save, and return CANCELLED; cdl_train_resume goes on. May be set by a
   * callback, another thread or a signal's handler. */
  const volatile int *stop;
} cdl_train_callbacks;

static inline cdl_train_callbacks cdl_train_callbacks_init(void)
{
  cdl_train_callbacks callbacks;
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.size = sizeof callbacks;
  return callbacks;
}

/* What a finished run amounts to. */
typedef struct {
  size_t size;
  int64_t adapter_parameters, head_parameters; /* numbers trained */
  int64_t steps, best_step;
  double best_epoch, examples_per_s;
  size_t peak_bytes;      /* of the process */
  cdl_metric main_metric; /* the one that chooses the best */
  bool has_valid, has_dev;
  cdl_train_scores valid, dev; /* of the adapter that was kept */
  /* The folder of the adapter, for cdl_model_open; of a method that trains the whole model, of
   * that. */
  char adapter[4096];
} cdl_train_result;

static inline cdl_train_result cdl_train_result_init(void)
{
  cdl_train_result result;
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  return result;
}

/* Trains as `settings` say, which name a model, examples and the new folder of the run ("output").
 * The folder holds the adapter, the checkpoint, and files of the run (docs/files.md). `callbacks`
 * and `result` may be NULL. Errors: USAGE for settings that cannot be; CANCELLED after `stop`,
 * saved; NUMERIC when a loss is not finite; those of files and devices. After any error the last
 * checkpoint stands. */
CDL_API CDL_MUST_USE cdl_status cdl_train(const cdl_settings *settings,
                                          const cdl_train_callbacks *callbacks,
                                          cdl_train_result *result);

/* Goes on with the run in `folder`, from its checkpoint and with its settings, to the bytes of an
 * uninterrupted one. `overrides`, NULL for none, may change what does not change the result, and
 * make the run longer ("epochs", "max_steps"). A finished run is no error: `result` is its. Errors:
 * as cdl_train; USAGE for a folder without a run, and for an override that would change the result.
 */
CDL_API CDL_MUST_USE cdl_status cdl_train_resume(const char *folder, const cdl_settings *overrides,
                                                 const cdl_train_callbacks *callbacks,
                                                 cdl_train_result *result);

#ifdef __cplusplus
}
#endif
#endif
