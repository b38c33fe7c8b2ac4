/* condlora search */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/process.h"
#include "base/visible.h"
#include "tools/cli/command.h"
#include "tools/console/output.h"
#include "tools/console/signals.h"
#include "tools/console/trace.h"
#include "tools/study/search.h"
#include "tools/study/setting_files.h"

/* ---- What is searched ---- */

static bool on_command_line(const bool *given, const base_option *setting)
{
  size_t count;
  return given[setting - train_setting_list(&count)];
}

/* --space wins over the config's "space"; either over a value in a file. */
static cdl_status read_space(study_search_state *s, const bool *typed, const json_t *from_config)
{
  for (size_t i = 0; i < s->dimensions.count; i++)
    CDL_TRY(study_search_space_add(&s->space, s->dimensions.item[i]));
  if (from_config != NULL)
    CDL_TRY(study_search_space_read(&s->space, s->config, from_config));
  if (s->space.count == 0)
    return cdl_fail(CDL_STATUS_USAGE, "give --space: what is searched, lr=log:5e-5:5e-3 say");
  for (size_t i = 0; i < s->space.count; i++) {
    const base_option *setting = s->space.item[i].setting;
    if (on_command_line(typed, setting))
      return cdl_fail(CDL_STATUS_USAGE, "%s is both searched and given a value", setting->name);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_settings(study_search_state *s)
{
  bool typed[TRAIN_SETTINGS_MAX];
  json_t *space = NULL;
  memcpy(typed, s->given, sizeof typed);
  cdl_status status =
      study_setting_files_read(&s->settings, s->given, s->recipe, s->config, &space);
  if (status == CDL_STATUS_OK)
    status = read_space(s, typed, space);
  json_decref(space);
  return status;
}

static cdl_status check(const study_search_state *s)
{
  if (s->trials == 0 && s->timeout == 0)
    return cdl_fail(CDL_STATUS_USAGE, "give --trials or --timeout: how long to search");
  if (!(s->timeout >= 0) || !isfinite(s->timeout))
    return cdl_fail(CDL_STATUS_USAGE, "--timeout is a number of seconds from 0, not %g",
                    s->timeout);
  if (s->parallel < 1 || s->parallel > STUDY_SEARCH_PARALLEL_MAX)
    return cdl_fail(CDL_STATUS_USAGE, "--parallel is 1 to %d, not %" PRId64,
                    STUDY_SEARCH_PARALLEL_MAX, s->parallel);
  if (s->settings.output == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "give --output: the folder for the search's files");
  int64_t every;
  CDL_TRY(train_eval_every(&s->settings, 1, &every));
  if (every == 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "a search wants evaluations: --eval-every epoch, or a number above 0");
  if (s->storage == NULL && strchr(s->settings.output, '?') != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--output %s: with a ? in it, SQLite's URL has to be given: --storage",
                    s->settings.output);
  CDL_TRY(train_settings_check(&s->settings));
  return study_search_space_check(&s->space, &s->settings);
}

/* ---- The output folder ---- */

static cdl_status draw_owner(study_search_state *s)
{
  uint64_t bits;
  if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
    return cdl_fail(CDL_STATUS_IO, "no random number for the search: %s", strerror(errno));
  snprintf(s->owner, sizeof s->owner, "%016" PRIx64, bits);
  return CDL_STATUS_OK;
}

/* A search that goes on is known to the study by its name. */
static cdl_status read_owner(study_search_state *s, const char *path)
{
  json_t *object;
  const char *owner = NULL, *study = NULL;
  CDL_TRY(base_json_read(path, &object));
  cdl_status status = base_json_string(path, object, "owner", false, &owner);
  if (status == CDL_STATUS_OK)
    status = base_json_string(path, object, "study", false, &study);
  if (status == CDL_STATUS_OK && (owner == NULL || strlen(owner) >= sizeof s->owner))
    status = cdl_fail(CDL_STATUS_DATA, "%s: 'owner' is no name of a search", path);
  else if (status == CDL_STATUS_OK && (study == NULL || strcmp(study, s->study) != 0))
    status = cdl_fail(CDL_STATUS_USAGE, "%s: the search was started with --study %s", path,
                      study != NULL ? study : "another");
  else if (status == CDL_STATUS_OK)
    snprintf(s->owner, sizeof s->owner, "%s", owner);
  json_decref(object);
  return status;
}

/* Whether it may be this search's; who the search is. */
static cdl_status look_into_folder(study_search_state *s)
{
  const char *output = s->settings.output;
  char *path = base_path_join(output, "search.json");
  bool empty = true;
  cdl_status status = CDL_STATUS_OK;
  if (path == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", output);
  else if (base_file_exists(path) && !s->settings.resume)
    status = cdl_fail(CDL_STATUS_USAGE,
                      "%s holds a search; --resume goes on with it, another --output starts one",
                      output);
  else if (base_file_exists(path))
    status = read_owner(s, path);
  else {
    if (!s->settings.resume)
      status = base_folder_is_empty(output, &empty);
    if (status == CDL_STATUS_OK)
      status = empty ? draw_owner(s)
                     : cdl_fail(CDL_STATUS_USAGE,
                                "%s is not empty; a search wants a folder of its own", output);
  }
  free(path);
  return status;
}

/* ---- Searching ---- */

/* Trials that were under way, then new ones; `parallel` at a time. */
static cdl_status run_trials(study_search_state *s, const json_t *resumed)
{
  const double began = base_process_seconds();
  size_t taken_up = 0;
  for (;;) {
    study_search_trial wave[STUDY_SEARCH_PARALLEL_MAX] = {0};
    size_t count = 0;
    bool done = false;
    cdl_status status = CDL_STATUS_OK;
    while (status == CDL_STATUS_OK && !done && count < (size_t)s->parallel &&
           console_signals_caught() == 0) {
      if (taken_up < json_array_size(resumed))
        status = study_optuna_resumed(json_array_get(resumed, taken_up++), &wave[count]);
      else if (s->timeout > 0 && base_process_seconds() - began >= s->timeout)
        done = true;
      else
        status = study_optuna_ask(s, &wave[count], &done);
      count += status == CDL_STATUS_OK && !done;
    }
    if (status == CDL_STATUS_OK && count > 0)
      status = study_search_trials_run(s, wave, count);
    for (size_t i = 0; i < count; i++)
      study_search_trial_release(&wave[i]);
    if (status == CDL_STATUS_OK && console_signals_caught() != 0)
      return cdl_fail(CDL_STATUS_CANCELLED,
                      "stopped between trials; --resume with --output %s goes on",
                      s->settings.output);
    if (status != CDL_STATUS_OK || done)
      return status;
  }
}

/* In a folder that is locked. */
static cdl_status search_locked(study_search_state *s)
{
  json_t *resumed;
  CDL_TRY(look_into_folder(s)); /* again: another may just have left it */
  CDL_TRY(study_optuna_client_start(&s->client));
  CDL_TRY(study_optuna_open(s, &resumed));
  cdl_status status = study_search_write(s);
  console_notices_release(&s->notices);
  if (status == CDL_STATUS_OK)
    status = run_trials(s, resumed);
  json_decref(resumed);
  return status == CDL_STATUS_OK ? study_search_conclude(s) : status;
}

static cdl_status search_study(study_search_state *s)
{
  base_lock *lock;
  CDL_TRY(base_lock_check(s->settings.output));
  CDL_TRY(look_into_folder(s));
  CDL_TRY(base_lock_take(s->settings.output, &lock));
  const cdl_status status = search_locked(s);
  study_optuna_client_stop(s->client); /* which may still write to the study */
  s->client = NULL;
  base_lock_release(lock);
  return status;
}

static cdl_status say_plan(const study_search_state *s)
{
  printf("%zu settings are searched, on %s:\n", s->space.count,
         base_visible(cdl_backend_description(s->session.backend)).text);
  return console_stdout_json(study_search_space_json(&s->space));
}

static void clear_line(void *user)
{
  console_progress_clear(user);
}

static cdl_status run(study_search_state *s)
{
  char storage[4096];
  CDL_TRY(read_settings(s));
  CDL_TRY(check(s));
  snprintf(storage, sizeof storage, "sqlite:///%s/study.db", s->settings.output);
  if (s->storage == NULL)
    s->storage = storage;
  CDL_TRY(train_session_open_base(&s->session, &s->settings, s->given));
  cdl_status status = study_search_trials_check(s);
  if (status == CDL_STATUS_OK && s->settings.dry_run)
    status = say_plan(s);
  else if (status == CDL_STATUS_OK) {
    console_trace trace = {0};
    console_progress_begin(&s->progress);
    s->notices.before_line = clear_line;
    s->notices.user = &s->progress;
    console_signals_defer();
    if (s->settings.trace != NULL)
      status = console_trace_begin(&trace, s->session.backend, s->settings.trace);
    if (status == CDL_STATUS_OK)
      status = search_study(s);
    const cdl_status traced =
        console_trace_end(&trace, status == CDL_STATUS_OK || status == CDL_STATUS_CANCELLED);
    status = status == CDL_STATUS_OK ? traced : status;
  }
  train_session_close(&s->session);
  return status;
}

cdl_status cli_search(int count, char **arguments)
{
  study_search_state s = {.study = "condlora", .sampler = "tpe", .pruner = "median", .parallel = 1};
  const base_option options[] = {
      BASE_SECTION("What is searched"),
      BASE_OPTION(STRINGS, "space", &s.dimensions, "SETTING=BOUNDS",
                  "a setting and its bounds, as often as wanted: log:LOW:HIGH, uniform:LOW:HIGH, "
                  "int:LOW:HIGH, choice:A,B,C"),
      BASE_OPTION(CHOICE, "objective", &s.objective, TRAIN_KEEP_WORDS,
                  "a trial's value: its best evaluation or its last one [best]"),
      BASE_OPTION(WORD, "sampler", &s.sampler, "tpe|random", "where the next trial is [tpe]"),
      BASE_OPTION(
          WORD, "pruner", &s.pruner, "median|none",
          "median: a trial below the median of those before, at the same evaluation, is ended "
          "[median]"),
      BASE_OPTION(INT, "trials", &s.trials, "N",
                  "how many the study is to have, those of others too"),
      BASE_OPTION(FLOAT, "timeout", &s.timeout, "SECONDS", "begin no trial after so long"),
      BASE_OPTION(INT, "parallel", &s.parallel, "K",
                  "train so many trials together on one base [1]"),
      BASE_SECTION("Where the study is kept"),
      BASE_OPTION(
          STRING, "storage", &s.storage, "URL",
          "Optuna's storage: sqlite:///FILE or a server's, which many machines may share; default: "
          "study.db in the output folder"),
      BASE_OPTION(STRING, "study", &s.study, "NAME", "the study's name there [condlora]"),
      BASE_OPTION(
          FLAG, "keep_checkpoints", &s.keep_checkpoints, NULL,
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
      .settings = train_setting_options(&s.settings, s.given)};
  bool helped;
  CDL_TRY(train_settings_init(&s.settings));
  console_notices_begin(&s.notices);
  cdl_status status = cli_options_read(&line, count, arguments, &helped);
  if (status == CDL_STATUS_OK && !helped)
    status = run(&s);
  console_notices_end(&s.notices);
  study_search_space_release(&s.space);
  train_settings_release(&s.settings);
  return status;
}
