/* One run of `condlora reproduce`: training, then the predictions of what was kept. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/path.h"
#include "tools/cli/examples.h"
#include "tools/console/signals.h"
#include "tools/study/reproduce.h"
#include "train/trainer.h"

static void on_stepped(void *user, const train_step_report *report)
{
  console_progress_step(user, report);
}

static void on_evaluated(void *user, const train_evaluation_report *report)
{
  console_progress_evaluation(user, report);
}

static cdl_status train(train_settings *settings, const bool *given, console_progress *progress)
{
  train_session session;
  CDL_TRY(train_session_open(&session, settings, given));
  const train_events events = {.user = progress,
                               .stepped = on_stepped,
                               .evaluated = on_evaluated,
                               .stop = console_signals_flag()};
  train_summary summary;
  const cdl_status status = train_run(&session, settings, &events, &summary);
  console_progress_clear(progress);
  train_session_close(&session);
  return status;
}

/* Of the adapter on disk: what the run leaves is what is measured. */
static cdl_status predict(const study_reproduction *r, const train_settings *settings,
                          const cdl_task *task)
{
  char *adapter = base_path_join(settings->output, "adapter");
  if (adapter == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", settings->output);
  const train_inference_settings inference = {
      .model = r->model,
      .adapter = adapter,
      .backend = r->backend,
      .precision = cdl_precision_name((cdl_precision)settings->precision),
      .threads = r->threads,
      .no_fallback = r->no_fallback,
      .max_length = settings->max_length};
  const cli_example_source source = {.task = task->name, .data = r->data, .split = "dev"};
  train_session session;
  cli_examples examples;
  cdl_status status =
      cli_open_for_inference(&inference, &source, CLI_LABELS_REQUIRED, &session, &examples);
  free(adapter);
  CDL_TRY(status);
  float *logits = NULL;
  status = cli_logits(&session, &examples, &logits);
  if (status == CDL_STATUS_OK)
    status = report_predictions_write(settings->output, examples.dataset, logits, session.labels);
  free(logits);
  cli_examples_close(&examples);
  train_session_close(&session);
  return status;
}

cdl_status study_reproduce_run(const study_reproduction *r, size_t task, size_t method, size_t seed,
                               study_reproduce_terminal *terminal)
{
  static const bool given[TRAIN_SETTINGS_MAX];
  const report_comparison *c = &r->comparison;
  train_settings settings;
  CDL_TRY(study_reproduce_settings(r, task, method, seed, false, &settings));
  cdl_status status = CDL_STATUS_OK;
  if (!report_compared_run_finished(settings.output)) {
    fprintf(stderr, "%s, %s, seed %" PRId64 "\n", c->tasks[task]->name, c->methods[method]->name,
            c->seeds[seed]);
    settings.resume = base_file_exists(settings.output);
    status = train(&settings, given, &terminal->progress);
    if (status == CDL_STATUS_OK)
      status = predict(r, &settings, c->tasks[task]);
  }
  if (status != CDL_STATUS_OK)
    status = status == CDL_STATUS_CANCELLED
                 ? cdl_fail(status, "stopped in %s; the same command goes on", settings.output)
                 : cdl_context(status, "%s, %s, seed %" PRId64, c->tasks[task]->name,
                               c->methods[method]->name, c->seeds[seed]);
  train_settings_release(&settings);
  return status;
}
