/* condlora train */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/visible.h"
#include "tools/cli/command.h"
#include "tools/cli/options.h"
#include "tools/console/log.h"
#include "tools/console/notices.h"
#include "tools/console/output.h"
#include "tools/console/progress.h"
#include "tools/console/run_report.h"
#include "tools/console/signals.h"
#include "tools/console/trace.h"
#include "tools/study/setting_files.h"
#include "train/run_record.h"

typedef struct {
  train_settings settings;
  bool given[TRAIN_SETTINGS_MAX]; /* set by the user, indexed as train_setting_list */
  const char *recipe, *config;
  console_notices *notices;
  console_progress progress;
  int64_t log_every;
  bool finished_before;
} training;

/* ---- Events ---- */

static void on_planned(void *user, const train_plan *plan)
{
  training *t = user;
  console_notices_release(t->notices);
  t->finished_before = plan->finished;
  console_progress_best(&t->progress, plan->best_value);
  if (t->settings.dry_run)
    console_report_plan(stdout, &t->settings, plan);
  else if (!plan->finished && !console_log_is_quiet())
    console_report_start(stderr, plan);
}

static void on_stepped(void *user, const train_step_report *report)
{
  training *t = user;
  console_progress_step(&t->progress, report);
}

static void on_evaluated(void *user, const train_evaluation_report *report)
{
  training *t = user;
  console_progress_evaluation(&t->progress, report);
}

static void clear_line(void *user)
{
  console_progress_clear(user);
}

static void say_what_is_drawn(const train_session *session, const train_settings *settings)
{
  if (settings->init_adapter != NULL)
    return;
  if (session->model.loaded.fresh_head)
    cdl_log(CDL_LOG_NOTICE, "%s%s: a new one is trained and saved with the adapter",
            settings->model,
            settings->fresh_head ? ": the classification head is not read"
                                 : " has no classification head");
  if (session->model.loaded.fresh_pooler)
    cdl_log(CDL_LOG_NOTICE, "%s has no pooler: a new one is trained and saved with the adapter",
            settings->model);
}

/* ---- The command ---- */

/* With --resume, the settings of the run are used. A run that has not begun, or was stopped before
 * it wrote them, takes all settings from the command line. */
static cdl_status resume_settings(training *t)
{
  const train_settings *s = &t->settings;
  if (!s->resume || s->output == NULL)
    return CDL_STATUS_OK;
  const cdl_status status = train_run_record_resume(&t->settings, t->given);
  if (status == CDL_STATUS_ABSENT && s->model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "%s: no run to resume: run.json is missing", s->output);
  return status == CDL_STATUS_ABSENT ? CDL_STATUS_OK : status;
}

static void say_finished(const train_settings *s)
{
  char text[4200];
  snprintf(text, sizeof text, "the run in %s is already finished", base_visible(s->output).text);
  if (console_log_is_json())
    console_log_message(CONSOLE_LOG_INFO, text);
  else
    fprintf(stderr, "%s\n", text);
}

static cdl_status complete_settings(training *t)
{
  CDL_TRY(study_setting_files_read(&t->settings, t->given, t->recipe, t->config, NULL));
  CDL_TRY(resume_settings(t));
  return train_settings_check(&t->settings);
}

static cdl_status run(void *command, console_notices *notices)
{
  training *t = command;
  t->notices = notices;
  CDL_TRY(ranks_agree(cli_job(), complete_settings(t), "the settings"));
  cli_job_share_threads(&t->settings.threads);
  train_session session;
  CDL_TRY(train_session_open_ranks(&session, &t->settings, t->given, cli_job()));
  say_what_is_drawn(&session, &t->settings);

  console_progress_begin(&t->progress);
  t->progress.every = t->log_every;
  t->notices->before_line = clear_line;
  t->notices->user = &t->progress;
  const train_events events = {.user = t,
                               .planned = on_planned,
                               .stepped = console_log_is_quiet() ? NULL : on_stepped,
                               .evaluated = console_log_is_quiet() ? NULL : on_evaluated,
                               .stop = console_signals_flag(),
                               .measure_gemm = true};
  train_summary summary;
  console_trace trace = {0};
  console_signals_defer();
  cdl_status status = CDL_STATUS_OK;
  if (t->settings.trace != NULL && !t->settings.dry_run)
    status = console_trace_begin(&trace, session.model.backend, cli_job(), t->settings.trace);
  if (status == CDL_STATUS_OK)
    status = train_run(&session, &t->settings, &events, &summary);
  const cdl_status traced =
      console_trace_end(&trace, status == CDL_STATUS_OK || status == CDL_STATUS_CANCELLED);
  console_progress_clear(&t->progress);
  status = status == CDL_STATUS_OK ? traced : status;
  if (status == CDL_STATUS_OK && t->finished_before && !console_log_is_quiet())
    say_finished(&t->settings);
  if (status == CDL_STATUS_OK && !t->settings.dry_run)
    console_report_summary(stdout, &session, &t->settings, &summary);
  train_session_close(&session);
  return status != CDL_STATUS_OK ? status : console_stdout_flush();
}

cdl_status cli_train(int count, char **arguments)
{
  training t = {0};
  const base_option options[] = {
      BASE_SECTION("Settings from a file"),
      BASE_OPTION(STRING, "recipe", &t.recipe, "NAME",
                  "the paper's settings for a task: rte-condlora, mrpc-lora, …"),
      BASE_OPTION(STRING, "config", &t.config, "F.json",
                  "settings as a JSON object, with underscores for dashes: {\"lr\": 0.001, "
                  "\"batch_size\": 32}"),
      BASE_SECTION("What standard error shows"),
      BASE_OPTION(INT, "log_every", &t.log_every, "N",
                  "steps between lines of progress, where they are not drawn over each other "
                  "[a line every 5 s]",
                  .low = 1, .high = INT32_MAX)};
  const base_command_line line = {
      .usage = "condlora train --model MODEL --task NAME --data DIR --output DIR [OPTION …]\n"
               "condlora train --model MODEL --train FILE --text-columns A[,B] --label-column Y "
               "--output DIR [OPTION …]",
      .summary = "Fine-tunes an encoder with an adapter. The output folder gets the adapter with "
                 "its head, a checkpoint, a log of the steps, and metrics.",
      .notes = "Options override --config, and --config overrides --recipe. Exit status: 0 done, 1 "
               "failed, 2 wrong usage, 129, 130, 138 or 143 stopped by SIGHUP, SIGINT, SIGUSR1 or "
               "SIGTERM after saving; --resume continues.",
      .options = BASE_OPTIONS(options),
      .settings = train_setting_options(&t.settings, t.given)};
  CDL_TRY(train_settings_init(&t.settings));
  const cdl_status status = cli_run(&line, count, arguments, run, &t);
  train_settings_release(&t.settings);
  return status;
}
