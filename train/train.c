/* cdl_train and cdl_train_resume: run training, report to callbacks, and return the results. */
#include "condlora/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sized.h"
#include "train/run_record.h"
#include "train/settings_object.h"
#include "train/trainer.h"

_Static_assert((int)CDL_METRIC_COUNT <= (int)CDL_TRAIN_METRICS, "there is room for every metric");

/* ---- Conversion to the caller's structs ---- */

static cdl_train_scores scores_of(const train_session *session, const train_result *result)
{
  cdl_train_scores scores = {.examples = result->examples, .loss = result->loss};
  for (int m = 0; m < CDL_TRAIN_METRICS; m++)
    scores.metric[m] =
        m < CDL_METRIC_COUNT && cdl_metric_applies((cdl_metric)m, session->model.problem,
                                                   (size_t)session->model.labels)
            ? result->scores.value[m]
            : (double)NAN;
  return scores;
}

typedef struct {
  cdl_train_callbacks callbacks;
  const train_session *session;
} listener;

static void on_stepped(void *user, const train_step_report *r)
{
  const listener *l = user;
  const cdl_train_step step = {.size = sizeof step,
                               .step = r->step,
                               .steps = r->steps,
                               .epoch = r->epoch,
                               .loss = r->loss,
                               .learning_rate = r->learning_rate,
                               .gradient_norm = r->gradient_norm,
                               .examples_per_s = r->examples_per_s,
                               .seconds_left = r->seconds_left};
  l->callbacks.step(l->callbacks.user, &step);
}

static void on_evaluated(void *user, const train_evaluation_report *r)
{
  const listener *l = user;
  const cdl_train_scores scores = scores_of(l->session, r->result);
  const cdl_train_evaluation evaluation = {.size = sizeof evaluation,
                                           .step = r->step,
                                           .epoch = r->epoch,
                                           .split = r->split,
                                           .scores = &scores,
                                           .is_best = r->is_best};
  l->callbacks.evaluation(l->callbacks.user, &evaluation);
}

static void fill_result(cdl_train_result *to, const train_session *session, const train_summary *s)
{
  cdl_train_result result = {.adapter_parameters = s->adapter_numbers,
                             .head_parameters = s->head_numbers,
                             .steps = s->steps,
                             .best_step = s->best_step,
                             .best_epoch = s->best_epoch,
                             .examples_per_s = s->examples_per_s,
                             .peak_bytes = s->peak_bytes,
                             .main_metric = session->metric,
                             .has_valid = s->has_valid,
                             .has_dev = s->has_dev};
  if (s->has_valid)
    result.valid = scores_of(session, &s->valid);
  if (s->has_dev)
    result.dev = scores_of(session, &s->dev);
  snprintf(result.adapter, sizeof result.adapter, "%s", s->adapter_path);
  base_sized_write(to, &result, sizeof result);
}

/* ---- Running ---- */

/* Changes `run`: settings that an adapter decides are copied to it. */
static cdl_status train(cdl_settings *run, const cdl_train_callbacks *callbacks,
                        cdl_train_result *result)
{
  train_session session;
  listener l = {.session = &session};
  CDL_TRY(base_sized_read(&l.callbacks, sizeof l.callbacks, callbacks, "cdl_train_callbacks"));
  if (result != NULL)
    CDL_TRY(base_sized_check(result, "cdl_train_result"));
  CDL_TRY(train_settings_check(&run->settings));
  CDL_TRY(train_session_open(&session, &run->settings, run->given, NULL));
  const train_events events = {.user = &l,
                               .stepped = l.callbacks.step != NULL ? on_stepped : NULL,
                               .evaluated = l.callbacks.evaluation != NULL ? on_evaluated : NULL,
                               .stop = l.callbacks.stop};
  train_summary summary = {0};
  const cdl_status status = train_run(&session, &run->settings, &events, &summary);
  if (status == CDL_STATUS_OK && result != NULL)
    fill_result(result, &session, &summary);
  train_session_close(&session);
  return status;
}

cdl_status cdl_train(const cdl_settings *settings, const cdl_train_callbacks *callbacks,
                     cdl_train_result *result)
{
  cdl_settings *run;
  CDL_TRY(train_settings_object_copy(settings, &run));
  const cdl_status status = train(run, callbacks, result);
  cdl_settings_destroy(run);
  return status;
}

static cdl_status resume(cdl_settings *run, const char *folder,
                         const cdl_train_callbacks *callbacks, cdl_train_result *result)
{
  CDL_TRY(cdl_settings_set(run, "output", folder));
  CDL_TRY(cdl_settings_set(run, "resume", "true"));
  const cdl_status status = train_run_record_resume(&run->settings, run->given);
  if (status == CDL_STATUS_ABSENT)
    return cdl_fail(CDL_STATUS_USAGE, "%s: no run to go on with: there is no run.json", folder);
  CDL_TRY(status);
  return train(run, callbacks, result);
}

cdl_status cdl_train_resume(const char *folder, const cdl_settings *overrides,
                            const cdl_train_callbacks *callbacks, cdl_train_result *result)
{
  cdl_settings *run;
  CDL_TRY(overrides != NULL ? train_settings_object_copy(overrides, &run)
                            : cdl_settings_create(&run));
  const cdl_status status = resume(run, folder, callbacks, result);
  cdl_settings_destroy(run);
  return status;
}
