#include "tools/study/reproduce_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/path.h"
#include "tools/study/predict.h"
#include "tools/study/reproduce_ranks.h"

static cdl_status train(const study_reproduction *r, const study_run *run, train_settings *settings)
{
  static const bool given[TRAIN_SETTINGS_MAX];
  const study_reproduce_events *to = &r->events;
  train_session session;
  CDL_TRY(study_ranks_call(r, run, settings));
  CDL_TRY(train_session_open_ranks(&session, settings, given, r->asked.job));
  const train_events events = {
      .user = to->user, .stepped = to->stepped, .evaluated = to->evaluated, .stop = to->stop};
  train_summary summary;
  const cdl_status status = train_run(&session, settings, &events, &summary);
  if (to->run_trained != NULL)
    to->run_trained(to->user);
  train_session_close(&session);
  return status;
}

static cdl_status write_predictions(void *user, const cdl_dataset *dataset, const float *logits,
                                    int labels)
{
  const train_settings *settings = user;
  return report_predictions_write(settings->output, dataset, logits, labels);
}

/* ---- The run ---- */

cdl_status study_reproduce_run(const study_reproduction *r, size_t task, size_t method, size_t seed)
{
  const report_comparison *c = &r->comparison;
  train_settings settings;
  const study_run run = {.task = task,
                         .method = method,
                         .seed = c->seeds[seed],
                         .rate = NAN,
                         .folder = report_compared_run_folder(c, task, method, seed)};
  cdl_status made = study_reproduce_settings(r, &run, &settings);
  free(run.folder);
  CDL_TRY(made);
  cdl_status status = CDL_STATUS_OK;
  if (!report_compared_run_finished(settings.output)) {
    if (r->events.run_began != NULL)
      r->events.run_began(r->events.user, &(study_run_begin){.task = c->tasks[task]->name,
                                                             .method = c->methods[method]->name,
                                                             .rate = NAN,
                                                             .seed = c->seeds[seed],
                                                             .seconds_left = NAN});
    settings.resume = base_file_exists(settings.output);
    status = train(r, &run, &settings);
    if (status == CDL_STATUS_OK)
      status = study_predict_dev(r, &settings, c->tasks[task], write_predictions, &settings);
  }
  if (status != CDL_STATUS_OK)
    status = status == CDL_STATUS_CANCELLED
                 ? cdl_fail(status, "stopped in %s; the same command continues it", settings.output)
                 : cdl_context(status, "%s, %s, seed %" PRId64, c->tasks[task]->name,
                               c->methods[method]->name, c->seeds[seed]);
  train_settings_release(&settings);
  return status;
}
