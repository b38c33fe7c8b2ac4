#include "tools/study/search.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/process.h"
#include "condlora/log.h"
#include "tools/study/optuna_study.h"
#include "tools/study/search_files.h"
#include "tools/study/search_trial.h"

cdl_status study_search_check(const study_search *s)
{
  if (s->trials == 0 && s->timeout == 0)
    return cdl_fail(CDL_STATUS_USAGE, "give --trials or --timeout: how long to search");
  if (!(s->timeout >= 0) || !isfinite(s->timeout))
    return cdl_fail(CDL_STATUS_USAGE, "--timeout is a number of seconds from 0, not %g",
                    s->timeout);
  if (s->parallel < 1 || s->parallel > STUDY_SEARCH_PARALLEL_MAX)
    return cdl_fail(CDL_STATUS_USAGE, "--parallel is 1 to %d, not %" PRId64,
                    STUDY_SEARCH_PARALLEL_MAX, s->parallel);
  if (s->parallel > 1 && s->job != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--parallel trains trials together in one process; %d processes train one "
                    "trial together, so start it without a launcher or without --parallel",
                    ranks_size(s->job));
  if (s->settings.output == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "give --output: the folder for the search's files");
  int64_t every;
  CDL_TRY(train_eval_every(&s->settings, 1, &every));
  if (every == 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "a search needs evaluations: --eval-every epoch, or a number above 0");
  if (s->storage == NULL && strchr(s->settings.output, '?') != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--output %s: with a ? in it, SQLite's URL has to be given: --storage",
                    s->settings.output);
  CDL_TRY(train_settings_check(&s->settings));
  return study_search_space_check(&s->space, &s->settings);
}

cdl_status study_search_open(study_search *s)
{
  CDL_TRY(train_session_open_base_ranks(&s->session, &s->settings, s->given, s->job));
  const cdl_status status = study_search_trials_check(s);
  if (status != CDL_STATUS_OK)
    train_session_close(&s->session);
  return status;
}

void study_search_close(study_search *s)
{
  train_session_close(&s->session);
}

/* ---- The output folder ---- */

static cdl_status draw_owner(study_search *s)
{
  uint64_t bits;
  if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
    return cdl_fail(CDL_STATUS_IO, "no random number for the search: %s", strerror(errno));
  snprintf(s->owner, sizeof s->owner, "%016" PRIx64, bits);
  return CDL_STATUS_OK;
}

/* Reads the name by which the study knows a search that is resumed. */
static cdl_status read_owner(study_search *s, const char *path)
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

/* Checks that the folder may be used by this search, and finds the search's name in the study. */
static cdl_status look_into_folder(study_search *s)
{
  const char *output = s->settings.output;
  char *path = base_path_join(output, "search.json");
  bool empty = true;
  cdl_status status = CDL_STATUS_OK;
  if (path == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", output);
  else if (base_file_exists(path) && !s->settings.resume)
    status = cdl_fail(CDL_STATUS_USAGE,
                      "%s holds a search; --resume continues it, another --output starts a new one",
                      output);
  else if (base_file_exists(path))
    status = read_owner(s, path);
  else {
    if (!s->settings.resume)
      status = base_folder_is_empty(output, &empty);
    if (status == CDL_STATUS_OK)
      status = empty ? draw_owner(s)
                     : cdl_fail(CDL_STATUS_USAGE,
                                "%s is not empty; a search needs an empty or new folder", output);
  }
  free(path);
  return status;
}

/* ---- Searching ---- */

/* Where a search stands between trials; the same on all ranks of a job. */
typedef struct {
  study_search *search;
  const json_t *resumed; /* interrupted trials */
  size_t taken_up;       /* of them */
  double began;          /* seconds */
  bool interrupted, late;
  study_optuna_wait wait;
  bool has_said; /* that it waits */
} course;

/* Looks at the clock and for signals: the first rank's clock, and any rank's signal. */
static cdl_status look_up(course *c)
{
  const study_search *s = c->search;
  ranks_job *job = s->job;
  typedef struct {
    bool interrupted, late;
  } moment;
  const moment mine = {.interrupted = *s->events.interrupted != 0,
                       .late = s->timeout > 0 && base_process_seconds() - c->began >= s->timeout};
  moment *all = calloc((size_t)ranks_size(job), sizeof *all);
  if (all == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", ranks_size(job));
  const cdl_status status = ranks_gather(job, &mine, sizeof mine, all, "the next trial");
  c->late = all[0].late;
  for (int i = 0; i < ranks_size(job); i++)
    c->interrupted = c->interrupted || all[i].interrupted;
  free(all);
  return status;
}

/* Takes interrupted trials, then new ones, up to `parallel`. */
static cdl_status take_trials(course *c, study_search_trial *wave, size_t *count)
{
  c->wait = (study_optuna_wait){0};
  while (*count < (size_t)c->search->parallel) {
    CDL_TRY(look_up(c));
    if (c->interrupted)
      return CDL_STATUS_OK;
    if (c->taken_up < json_array_size(c->resumed))
      CDL_TRY(study_optuna_resumed(json_array_get(c->resumed, c->taken_up++), &wave[*count]));
    else if (c->late)
      c->wait.done = true;
    else
      CDL_TRY(study_optuna_ask(c->search, &wave[*count], &c->wait));
    if (c->wait.done || c->wait.seconds > 0)
      return CDL_STATUS_OK;
    ++*count;
  }
  return CDL_STATUS_OK;
}

/* Waits until the study is to be asked again, or a signal comes. */
static void wait_for_others(course *c)
{
  const struct timespec nap = {.tv_nsec = 50000000};
  if (!c->has_said)
    cdl_log(CDL_LOG_NOTICE,
            "waiting for %lld trials of other searches, in case one of them dies; --no-wait ends "
            "here",
            (long long)c->wait.others);
  c->has_said = true;
  double until = base_process_seconds() + c->wait.seconds;
  if (c->search->timeout > 0)
    until = fmin(until, c->began + c->search->timeout);
  while (*c->search->events.interrupted == 0 && base_process_seconds() < until)
    nanosleep(&nap, NULL);
}

static cdl_status run_trials(study_search *s, const json_t *resumed)
{
  course c = {.search = s, .resumed = resumed, .began = base_process_seconds()};
  for (;;) {
    study_search_trial wave[STUDY_SEARCH_PARALLEL_MAX] = {0};
    size_t count = 0;
    cdl_status status = take_trials(&c, wave, &count);
    if (status == CDL_STATUS_OK && count > 0)
      status = study_search_trials_run(s, wave, count);
    for (size_t i = 0; i < count; i++)
      study_search_trial_release(&wave[i]);
    if (status == CDL_STATUS_OK)
      status = look_up(&c);
    if (status == CDL_STATUS_OK && c.interrupted)
      return ranks_agree(s->job,
                         cdl_fail(CDL_STATUS_CANCELLED,
                                  "stopped between trials; --resume with --output %s continues it",
                                  s->settings.output),
                         "the end of the job");
    if (status != CDL_STATUS_OK || c.wait.done || (c.wait.seconds > 0 && s->no_wait))
      return status;
    if (c.wait.seconds > 0 && count == 0)
      wait_for_others(&c);
  }
}

/* ---- The end ---- */

const char *study_search_metric(const study_search *s)
{
  return cdl_metric_name(s->session.metric);
}

static bool is_complete(const json_t *trial)
{
  return strcmp(json_string_value(json_object_get(trial, "state")), "complete") == 0 &&
         json_is_number(json_object_get(trial, "value"));
}

const json_t *study_search_best(const study_search *s, const json_t *trials)
{
  const json_t *best = NULL;
  for (size_t i = 0; i < json_array_size(trials); i++) {
    const json_t *trial = json_array_get(trials, i);
    if (is_complete(trial) &&
        (best == NULL ||
         cdl_metric_improves(s->session.metric, json_number_value(json_object_get(trial, "value")),
                             json_number_value(json_object_get(best, "value")))))
      best = trial;
  }
  return best;
}

static cdl_status conclude(study_search *s, json_t **trials)
{
  const bool writes = ranks_rank(s->job) == 0;
  CDL_TRY(study_optuna_list(s, trials));
  if (writes)
    study_search_trials_tidy(s, *trials);
  const json_t *best = study_search_best(s, *trials);
  cdl_status status = CDL_STATUS_OK;
  if (best == NULL)
    status = cdl_fail(CDL_STATUS_DATA, "%s: no trial was completed", s->settings.output);
  else if (writes)
    status = study_search_write_best(s, best);
  return ranks_agree(s->job, status, "the end of the search");
}

/* Searches in the folder, which is locked. */
static cdl_status search_locked(study_search *s, json_t **trials)
{
  json_t *resumed;
  CDL_TRY(study_optuna_client_start(s->job, &s->client));
  CDL_TRY(study_optuna_open(s, &resumed));
  cdl_status status = ranks_rank(s->job) == 0 ? study_search_write(s) : CDL_STATUS_OK;
  status = ranks_agree(s->job, status, "the start of the search");
  if (s->events.began != NULL)
    s->events.began(s->events.user);
  if (status == CDL_STATUS_OK)
    status = run_trials(s, resumed);
  json_decref(resumed);
  return status == CDL_STATUS_OK ? conclude(s, trials) : status;
}

static cdl_status enter_folder(study_search *s, base_lock **lock)
{
  CDL_TRY(base_lock_check(s->settings.output));
  CDL_TRY(look_into_folder(s));
  CDL_TRY(base_lock_take(s->settings.output, lock));
  return look_into_folder(s); /* again: another process may have written to it before the lock */
}

static cdl_status search_folder(study_search *s, json_t **trials)
{
  base_lock *lock = NULL;
  cdl_status status = ranks_rank(s->job) == 0 ? enter_folder(s, &lock) : CDL_STATUS_OK;
  status = ranks_agree(s->job, status, "the output folder");
  if (status == CDL_STATUS_OK)
    status = search_locked(s, trials);
  study_optuna_client_stop(s->client); /* the bridge may still write to the study */
  s->client = NULL;
  base_lock_release(lock);
  return status;
}

cdl_status study_search_run(study_search *s, json_t **trials)
{
  char *storage = NULL;
  *trials = NULL;
  if (s->storage == NULL) {
    if (asprintf(&storage, "sqlite:///%s/study.db", s->settings.output) < 0)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", s->settings.output);
    s->storage = storage;
  }
  const cdl_status status = search_folder(s, trials);
  if (storage != NULL)
    s->storage = NULL;
  free(storage);
  return status;
}
