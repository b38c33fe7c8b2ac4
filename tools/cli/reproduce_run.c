/* One run of `condlora reproduce`: training, then the predictions of what was kept. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "tools/cli/examples.h"
#include "tools/cli/reproduce.h"
#include "tools/cli/signals.h"
#include "train/trainer.h"

static void on_stepped(void *user, const cdl_step_report *report)
{
  cli_progress_step(user, report);
}

static void on_evaluated(void *user, const cdl_evaluation_report *report)
{
  cli_progress_evaluation(user, report);
}

static cdl_status train(cdl_settings *settings, const bool *given, cli_progress *progress)
{
  cdl_job job;
  CDL_TRY(cdl_job_open(&job, settings, given));
  const cdl_train_events events = {.user = progress,
                                   .stepped = on_stepped,
                                   .evaluated = on_evaluated,
                                   .stop = cli_signals_flag()};
  cdl_train_summary summary;
  const cdl_status status = cdl_train(&job, settings, &events, &summary);
  cli_progress_clear(progress);
  cdl_job_close(&job);
  return status;
}

/* Of the adapter on disk: what the run leaves is what is measured. */
static cdl_status predict(const cli_reproduction *r, const cdl_settings *settings,
                          const cdl_task *task)
{
  char *adapter = cdl_path_join(settings->output, "adapter");
  if (adapter == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", settings->output);
  const cdl_inference_settings inference = {.model = r->model,
                                            .adapter = adapter,
                                            .backend = r->backend,
                                            .precision = settings->precision,
                                            .threads = r->threads,
                                            .no_fallback = r->no_fallback,
                                            .max_length = settings->max_length};
  const cli_example_source source = {.task = task->name, .data = r->data, .split = "dev"};
  cdl_job job;
  cli_examples examples;
  cdl_status status =
      cli_open_for_inference(&inference, &source, CLI_LABELS_REQUIRED, &job, &examples);
  free(adapter);
  CDL_TRY(status);
  float *logits = NULL;
  status = cli_logits(&job, &examples, &logits);
  if (status == CDL_OK)
    status = cdl_predictions_write(settings->output, examples.dataset, logits, job.labels);
  free(logits);
  cli_examples_close(&examples);
  cdl_job_close(&job);
  return status;
}

cdl_status cli_reproduce_run(const cli_reproduction *r, size_t task, size_t method, size_t seed,
                             cli_reproduce_terminal *terminal)
{
  static const bool given[CDL_SETTINGS_MAX];
  const cdl_comparison *c = &r->comparison;
  cdl_settings settings;
  CDL_TRY(cli_reproduce_settings(r, task, method, seed, false, &settings));
  cdl_status status = CDL_OK;
  if (!cdl_compared_run_finished(settings.output)) {
    fprintf(stderr, "%s, %s, seed %" PRId64 "\n", c->tasks[task]->name, c->methods[method]->name,
            c->seeds[seed]);
    settings.resume = cdl_file_exists(settings.output);
    status = train(&settings, given, &terminal->progress);
    if (status == CDL_OK)
      status = predict(r, &settings, c->tasks[task]);
  }
  if (status != CDL_OK)
    status = status == CDL_CANCELLED
                 ? cdl_fail(status, "stopped in %s; the same command goes on", settings.output)
                 : cdl_context(status, "%s, %s, seed %" PRId64, c->tasks[task]->name,
                               c->methods[method]->name, c->seeds[seed]);
  cdl_settings_release(&settings);
  return status;
}
