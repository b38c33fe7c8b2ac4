/* condlora search */
#include <stdio.h>
#include <string.h>

#include "base/visible.h"
#include "tools/cli/command.h"
#include "tools/cli/search_table.h"
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

/* ---- What is searched ---- */

static bool on_command_line(const bool *given, const base_option *setting)
{
  size_t count;
  return given[setting - train_setting_list(&count)];
}

/* --space wins over the config's "space"; either over a value in a file. */
static cdl_status read_space(searching *s, const bool *typed, const json_t *from_config)
{
  for (size_t i = 0; i < s->dimensions.count; i++)
    CDL_TRY(study_search_space_add(&s->search.space, s->dimensions.item[i]));
  if (from_config != NULL)
    CDL_TRY(study_search_space_read(&s->search.space, s->config, from_config));
  if (s->search.space.count == 0)
    return cdl_fail(CDL_STATUS_USAGE, "give --space: what is searched, lr=log:5e-5:5e-3 say");
  for (size_t i = 0; i < s->search.space.count; i++) {
    const base_option *setting = s->search.space.item[i].setting;
    if (on_command_line(typed, setting))
      return cdl_fail(CDL_STATUS_USAGE, "%s is both searched and given a value", setting->name);
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
  cli_search_print_trial(stderr, &s->search, end);
}

static void clear_line(void *user)
{
  console_progress_clear(user);
}

/* ---- The command ---- */

static cdl_status say_plan(const study_search *s)
{
  printf("%zu settings are searched, on %s:\n", s->space.count,
         base_visible(cdl_backend_description(s->session.model.backend)).text);
  return console_stdout_json(study_search_space_json(&s->space));
}

static cdl_status search_and_print(searching *s)
{
  study_search *search = &s->search;
  json_t *trials;
  console_progress_begin(&s->progress);
  s->notices->before_line = clear_line;
  s->notices->user = &s->progress;
  search->events = (study_search_events){.user = s,
                                         .began = on_began,
                                         .stepped = on_stepped,
                                         .ended = on_ended,
                                         .interrupted = console_signals_flag(),
                                         .stops = console_signals_own_flags()};
  const cdl_status status = study_search_run(search, &trials);
  console_progress_clear(&s->progress);
  if (trials != NULL)
    cli_search_print_table(search, trials);
  if (status == CDL_STATUS_OK)
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
    status = console_trace_begin(&trace, search->session.model.backend, search->settings.trace);
  if (status == CDL_STATUS_OK)
    status = search_and_print(s);
  const cdl_status traced =
      console_trace_end(&trace, status == CDL_STATUS_OK || status == CDL_STATUS_CANCELLED);
  return status == CDL_STATUS_OK ? traced : status;
}

static cdl_status run(void *command, console_notices *notices)
{
  searching *s = command;
  s->notices = notices;
  CDL_TRY(read_settings(s));
  CDL_TRY(study_search_check(&s->search));
  CDL_TRY(study_search_open(&s->search));
  const cdl_status status = s->search.settings.dry_run ? say_plan(&s->search) : search_traced(s);
  study_search_close(&s->search);
  return status;
}

cdl_status cli_search(int count, char **arguments)
{
  searching s = {
      .search = {.study = "condlora", .sampler = "tpe", .pruner = "median", .parallel = 1}};
  const base_option options[] = {
      BASE_SECTION("What is searched"),
      BASE_OPTION(STRINGS, "space", &s.dimensions, "SETTING=BOUNDS",
                  "a setting and its bounds, as often as wanted: log:LOW:HIGH, uniform:LOW:HIGH, "
                  "int:LOW:HIGH, choice:A,B,C"),
      BASE_OPTION(CHOICE, "objective", &s.search.objective, TRAIN_KEEP_WORDS,
                  "a trial's value: its best evaluation or its last one [best]"),
      BASE_OPTION(WORD, "sampler", &s.search.sampler, "tpe|random",
                  "where the next trial is [tpe]"),
      BASE_OPTION(
          WORD, "pruner", &s.search.pruner, "median|none",
          "median: a trial below the median of those before, at the same evaluation, is ended "
          "[median]"),
      BASE_OPTION(INT, "trials", &s.search.trials, "N",
                  "how many the study is to have, those of others too"),
      BASE_OPTION(FLOAT, "timeout", &s.search.timeout, "SECONDS", "begin no trial after so long"),
      BASE_OPTION(INT, "parallel", &s.search.parallel, "K",
                  "train so many trials together on one base [1]"),
      BASE_SECTION("Where the study is kept"),
      BASE_OPTION(
          STRING, "storage", &s.search.storage, "URL",
          "Optuna's storage: sqlite:///FILE or a server's, which many machines may share; default: "
          "study.db in the output folder"),
      BASE_OPTION(STRING, "study", &s.search.study, "NAME", "the study's name there [condlora]"),
      BASE_OPTION(
          FLAG, "keep_checkpoints", &s.search.keep_checkpoints, NULL,
          "leave each trial's checkpoint, and whole models of --method full, in its folder"),
      BASE_SECTION("Settings from a file"),
      BASE_OPTION(STRING, "recipe", &s.recipe, "NAME",
                  "the paper's settings for a task, where not searched"),
      BASE_OPTION(STRING, "config", &s.config, "F.json",
                  "settings as a JSON object; \"space\" in it holds what is searched: {\"lr\": "
                  "\"log:5e-5:5e-3\", \"rank\": [4, 8]}")};
  const base_command_line line = {
      .usage = "condlora search --model DIR --task NAME --data DIR --output DIR "
               "--space lr=log:5e-5:5e-3 --trials N …",
      .summary = "Searches settings of a training run with Optuna. The base model is loaded once; "
                 "each trial is a run in OUT/trials. Prints a table of all trials, and leaves the "
                 "best one's settings in OUT/best.json for condlora train --config.",
      .notes = "Needs Python 3 with Optuna, as python3 or named by CDL_PYTHON. Exit status: 0 "
               "done, 1 failed, 2 wrong usage, 129, 130, 138 or 143 stopped by SIGHUP, SIGINT, "
               "SIGUSR1 or SIGTERM; --resume goes on.",
      .options = BASE_OPTIONS(options),
      .settings = train_setting_options(&s.search.settings, s.search.given)};
  CDL_TRY(train_settings_init(&s.search.settings));
  const cdl_status status = cli_run(&line, count, arguments, run, &s);
  study_search_space_release(&s.search.space);
  train_settings_release(&s.search.settings);
  return status;
}
