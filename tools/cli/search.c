/* condlora search */
#include <stdio.h>
#include <string.h>

#include "base/visible.h"
#include "tools/cli/command.h"
#include "tools/cli/search_table.h"
#include "tools/console/log.h"
#include "tools/console/output.h"
#include "tools/console/progress.h"
#include "tools/console/signals.h"
#include "tools/console/trace.h"
#include "tools/study/search.h"
#include "tools/study/setting_files.h"

_Static_assert((int)STUDY_SEARCH_PARALLEL_MAX <= (int)CONSOLE_SIGNALS_FLAGS, "a flag a trial");

typedef struct {
  study_search search;
  const char *recipe, *config;
  base_strings dimensions; /* --space */
  console_notices *notices;
  console_progress progress;
} searching;

/* ---- The search space ---- */

static bool on_command_line(const bool *given, const base_option *setting)
{
  size_t count;
  return given[setting - train_setting_list(&count)];
}

/* Reads the search space. --space overrides the config's "space", and both override values of
 * files. */
static cdl_status read_space(searching *s, const bool *typed, const json_t *from_config)
{
  for (size_t i = 0; i < s->dimensions.count; i++)
    CDL_TRY(study_search_space_add(&s->search.space, s->dimensions.item[i]));
  if (from_config != NULL)
    CDL_TRY(study_search_space_read(&s->search.space, s->config, from_config));
  if (s->search.space.count == 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "search needs --space: settings with their bounds, such as lr=log:5e-5:5e-3");
  for (size_t i = 0; i < s->search.space.count; i++) {
    const base_option *setting = s->search.space.item[i].setting;
    if (on_command_line(typed, setting))
      return cdl_fail(CDL_STATUS_USAGE, "%s has both a value and a search range", setting->name);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_settings(searching *s)
{
  bool typed[TRAIN_SETTINGS_MAX];
  json_t *space = NULL;
  memcpy(typed, s->search.given, sizeof typed);
  cdl_status status =
      study_setting_files_read(&s->search.settings, s->search.given, s->recipe, s->config, &space);
  if (status == CDL_STATUS_OK)
    status = read_space(s, typed, space);
  json_decref(space);
  return status;
}

/* ---- Events ---- */

static void on_began(void *user)
{
  searching *s = user;
  console_notices_release(s->notices);
}

static void on_stepped(void *user, const train_step_report *report)
{
  searching *s = user;
  if (s->progress.live)
    console_progress_step(&s->progress, report);
}

static void on_ended(void *user, const study_trial_end *end)
{
  searching *s = user;
  console_progress_clear(&s->progress);
  if (!console_log_is_quiet())
    cli_search_print_trial(stderr, &s->search, end);
}

static void clear_line(void *user)
{
  console_progress_clear(user);
}

/* ---- The command ---- */

static cdl_status say_plan(const study_search *s)
{
  printf("searching %zu settings on %s:\n", s->space.count,
         base_visible(cdl_backend_description(s->session.model.backend)).text);
  return console_stdout_json(study_search_space_json(&s->space));
}

static cdl_status search_and_print(searching *s)
{
  study_search *search = &s->search;
  const bool speaks = !console_log_is_quiet();
  json_t *trials;
  console_progress_begin(&s->progress);
  s->notices->before_line = clear_line;
  s->notices->user = &s->progress;
  search->events = (study_search_events){.user = s,
                                         .began = on_began,
                                         .stepped = speaks ? on_stepped : NULL,
                                         .ended = on_ended,
                                         .interrupted = console_signals_flag(),
                                         .stops = console_signals_own_flags()};
  const cdl_status status = study_search_run(search, &trials);
  console_progress_clear(&s->progress);
  if (trials != NULL && speaks)
    cli_search_print_table(search, trials);
  if (status == CDL_STATUS_OK && speaks)
    cli_search_print_best(search, trials);
  json_decref(trials);
  return status;
}

static cdl_status search_traced(searching *s)
{
  const study_search *search = &s->search;
  console_trace trace = {0};
  cdl_status status = CDL_STATUS_OK;
  console_signals_defer();
  if (search->settings.trace != NULL)
    status = console_trace_begin(&trace, search->session.model.backend, search->session.model.job,
                                 search->settings.trace);
  if (status == CDL_STATUS_OK)
    status = search_and_print(s);
  const cdl_status traced =
      console_trace_end(&trace, status == CDL_STATUS_OK || status == CDL_STATUS_CANCELLED);
  return status == CDL_STATUS_OK ? traced : status;
}

static cdl_status complete_settings(searching *s)
{
  CDL_TRY(read_settings(s));
  return study_search_check(&s->search);
}

static cdl_status run(void *command, console_notices *notices)
{
  searching *s = command;
  s->notices = notices;
  s->search.job = cli_job();
  CDL_TRY(ranks_agree(cli_job(), complete_settings(s), "the settings"));
  cli_job_share_threads(&s->search.settings.threads);
  CDL_TRY(study_search_open(&s->search));
  cdl_status status = CDL_STATUS_OK;
  if (!s->search.settings.dry_run)
    status = search_traced(s);
  else if (!console_log_is_quiet())
    status = say_plan(&s->search);
  study_search_close(&s->search);
  return status;
}

cdl_status cli_search(int count, char **arguments)
{
  searching s = {
      .search = {.study = "condlora", .sampler = "tpe", .pruner = "median", .parallel = 1}};
  const base_option options[] = {
      BASE_SECTION("The search"),
      BASE_OPTION(STRINGS, "space", &s.dimensions, "SETTING=BOUNDS",
                  "a setting and its bounds: log:LOW:HIGH, uniform:LOW:HIGH, int:LOW:HIGH or "
                  "choice:A,B,C; may be repeated"),
      BASE_OPTION(CHOICE, "objective", &s.search.objective, TRAIN_KEEP_WORDS,
                  "value of a trial: its best or its last evaluation [best]"),
      BASE_OPTION(WORD, "sampler", &s.search.sampler, "tpe|random",
                  "Optuna's sampler, which chooses the settings of the next trial [tpe]"),
      BASE_OPTION(WORD, "pruner", &s.search.pruner, "median|none",
                  "median: stop a trial that is below the median of earlier trials at the same "
                  "evaluation [median]"),
      BASE_OPTION(INT, "trials", &s.search.trials, "N",
                  "number of trials the study will have, including those of other machines"),
      BASE_OPTION(FLOAT, "timeout", &s.search.timeout, "SECONDS", "begin no trial after this time"),
      BASE_OPTION(INT, "parallel", &s.search.parallel, "K",
                  "number of trials that train together on one base [1]"),
      BASE_OPTION(FLAG, "no_wait", &s.search.no_wait, NULL,
                  "end when no trial is left to begin, though other searches still train"),
      BASE_SECTION("The study"),
      BASE_OPTION(STRING, "storage", &s.search.storage, "URL",
                  "Optuna's storage: sqlite:///FILE for searches on one machine; a server, or the "
                  "path of a journal, for several; default: study.db in the output folder"),
      BASE_OPTION(STRING, "study", &s.search.study, "NAME",
                  "name of the study in the storage [condlora]"),
      BASE_OPTION(
          INT, "grace_period", &s.search.grace_period, "SECONDS",
          "a search that is silent for so long is taken for dead, and its trial is repeated "
          "by another; set when the study is made [300]",
          .low = 10, .high = 86400),
      BASE_OPTION(FLAG, "keep_checkpoints", &s.search.keep_checkpoints, NULL,
                  "keep each trial's checkpoint, and the models of --method full"),
      BASE_SECTION("Settings from a file"),
      BASE_OPTION(STRING, "recipe", &s.recipe, "NAME",
                  "the paper's settings for a task, for all that is not searched"),
      BASE_OPTION(STRING, "config", &s.config, "F.json",
                  "settings as a JSON object; its \"space\" holds the search space: {\"lr\": "
                  "\"log:5e-5:5e-3\", \"rank\": [4, 8]}")};
  const base_command_line line = {
      .usage = "condlora search --model MODEL --task NAME --data DIR --output DIR "
               "--space lr=log:5e-5:5e-3 --trials N …",
      .summary = "Searches settings of a training run with Optuna. The base model is loaded once; "
                 "each trial is a run in OUT/trials. It prints a table of all trials and writes "
                 "the settings of the best one to OUT/best.json for condlora train --config.",
      .notes = "Needs Python 3 with Optuna; CDL_PYTHON names another interpreter than python3. "
               "Exit status: 0 done, 1 failed, 2 wrong usage, 129, 130, 138 or 143 stopped by "
               "SIGHUP, SIGINT, SIGUSR1 or SIGTERM; --resume continues.",
      .options = BASE_OPTIONS(options),
      .settings = train_setting_options(&s.search.settings, s.search.given)};
  CDL_TRY(train_settings_init(&s.search.settings));
  const cdl_status status = cli_run(&line, count, arguments, run, &s);
  study_search_space_release(&s.search.space);
  train_settings_release(&s.search.settings);
  return status;
}
