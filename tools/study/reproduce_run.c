#include "tools/study/reproduce_run.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/path.h"
#include "model/inference/inference.h"
#include "tools/study/reproduce_settings.h"
#include "train/examples.h"

static cdl_status train(const study_reproduction *r, train_settings *settings)
{
  static const bool given[TRAIN_SETTINGS_MAX];
  const study_reproduce_events *to = &r->events;
  train_session session;
  CDL_TRY(train_session_open(&session, settings, given));
  const train_events events = {
      .user = to->user, .stepped = to->stepped, .evaluated = to->evaluated, .stop = to->stop};
  train_summary summary;
  const cdl_status status = train_run(&session, settings, &events, &summary);
  if (to->run_trained != NULL)
    to->run_trained(to->user);
  train_session_close(&session);
  return status;
}

/* ---- Predictions ---- */

static cdl_status predict_dataset(const study_reproduction *r, inference_model *model,
                                  cdl_dataset *dataset, const char *folder)
{
  CDL_TRY(train_tokenize(model, dataset));
  const size_t count = cdl_dataset_count(dataset);
  uint32_t *rows = train_all_rows(count);
  float *logits = NULL;
  cdl_status status = rows != NULL
                          ? train_logits(model, dataset, cdl_dataset_get_part(dataset, 0).path,
                                         rows, count, r->events.stop, &logits)
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu examples", count);
  if (status == CDL_STATUS_OK)
    status = report_predictions_write(folder, dataset, logits, model->labels);
  free(rows);
  free(logits);
  return status;
}

/* Predicts with the adapter on disk, so that the run's result itself is measured. */
static cdl_status predict(const study_reproduction *r, const train_settings *settings,
                          const cdl_task *task)
{
  char *adapter = base_path_join(settings->output, "adapter");
  if (adapter == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", settings->output);
  const inference_settings inference = {.model = r->asked.model,
                                        .adapter = adapter,
                                        .backend = r->asked.backend,
                                        .precision =
                                            cdl_precision_name((cdl_precision)settings->precision),
                                        .threads = r->asked.threads,
                                        .no_fallback = r->asked.no_fallback,
                                        .max_length = settings->max_length};
  inference_model model;
  cdl_dataset *dataset;
  cdl_status status = inference_open(&model, &inference);
  free(adapter);
  CDL_TRY(status);
  status = cdl_dataset_read_task(task, r->asked.data, "dev", &dataset);
  if (status == CDL_STATUS_OK) {
    status = predict_dataset(r, &model, dataset, settings->output);
    cdl_dataset_close(dataset);
  }
  inference_close(&model);
  return status;
}

/* ---- The run ---- */

cdl_status study_reproduce_run(const study_reproduction *r, size_t task, size_t method, size_t seed)
{
  const report_comparison *c = &r->comparison;
  train_settings settings;
  CDL_TRY(study_reproduce_settings(r, task, method, seed, false, &settings));
  cdl_status status = CDL_STATUS_OK;
  if (!report_compared_run_finished(settings.output)) {
    if (r->events.run_began != NULL)
      r->events.run_began(r->events.user, c->tasks[task]->name, c->methods[method]->name,
                          c->seeds[seed]);
    settings.resume = base_file_exists(settings.output);
    status = train(r, &settings);
    if (status == CDL_STATUS_OK)
      status = predict(r, &settings, c->tasks[task]);
  }
  if (status != CDL_STATUS_OK)
    status = status == CDL_STATUS_CANCELLED
                 ? cdl_fail(status, "stopped in %s; the same command continues it", settings.output)
                 : cdl_context(status, "%s, %s, seed %" PRId64, c->tasks[task]->name,
                               c->methods[method]->name, c->seeds[seed]);
  train_settings_release(&settings);
  return status;
}
