#include "tools/study/search_trial.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/path.h"

enum { MESSAGE_BYTES = 1024 };

/* A running trial. */
typedef struct {
  study_search *search;
  study_search_trial *trial;
  size_t place; /* index of its stop flag */
  train_settings settings;
  train_events events;
  bool pruned, joint;          /* joint: trained with others */
  char failure[MESSAGE_BYTES]; /* error of the bridge during an event; "" if none */
} running_trial;

/* Returns OUT/trials/N, which the caller frees; NULL when memory is out. */
static char *trial_folder(const study_search *s, int64_t number)
{
  char *folder = NULL;
  return asprintf(&folder, "%s/trials/%lld", s->settings.output, (long long)number) < 0 ? NULL
                                                                                        : folder;
}

cdl_status study_search_trial_settings(const study_search *s, const json_t *parameters,
                                       int64_t number, train_settings *settings)
{
  char *folder = trial_folder(s, number);
  if (folder == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: trial %lld", (long long)number);
  cdl_status status = train_settings_copy(settings, &s->settings);
  if (status == CDL_STATUS_OK) {
    free(settings->output);
    settings->output = folder;
    folder = NULL;
    settings->resume = base_file_exists(settings->output);
    status = study_search_space_apply(&s->space, parameters, settings);
    if (status != CDL_STATUS_OK)
      train_settings_release(settings);
  }
  free(folder);
  return status;
}

/* ---- Events ---- */

static void on_stepped(void *user, const train_step_report *report)
{
  running_trial *r = user;
  const study_search_events *to = &r->search->events;
  if (r->place == 0 && to->stepped != NULL)
    to->stepped(to->user, report);
}

/* Returns the evaluation's number. Counting makes trials with different batch sizes comparable: by
 * epochs, or by steps if --eval-every has a number of steps. */
static int64_t evaluation_number(const train_settings *s, const train_evaluation_report *report)
{
  int64_t every;
  const bool by_epochs = train_eval_every(s, 0, &every) != CDL_STATUS_OK || every == 0;
  return (int64_t)ceil(by_epochs ? report->epoch - 1e-9 : (double)report->step / (double)every);
}

static void on_evaluated(void *user, const train_evaluation_report *report)
{
  running_trial *r = user;
  const double value = report->result->scores.value[r->search->session.metric];
  if (!isfinite(value) || r->pruned || r->failure[0] != '\0')
    return;
  bool prune = false;
  if (study_optuna_report(r->search, r->trial->number, evaluation_number(&r->settings, report),
                          value, &prune) != CDL_STATUS_OK)
    snprintf(r->failure, sizeof r->failure, "%s", cdl_error_message());
  r->pruned = prune;
  if (prune || r->failure[0] != '\0')
    r->search->events.stops[r->place] = 1;
}

/* ---- The value of a run ---- */

/* Reads the last or the best value of the evaluations in metrics.json; NaN if there is none. */
static cdl_status read_value(const study_search *s, const char *folder, double *value)
{
  char *path = base_path_join(folder, "metrics.json");
  json_t *metrics;
  *value = NAN;
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", folder);
  const cdl_status status = base_json_read(path, &metrics);
  free(path);
  CDL_TRY(status);
  const json_t *evaluations = json_object_get(metrics, "evaluations");
  const char *name = cdl_metric_name(s->session.metric);
  const bool best = s->objective == TRAIN_KEEP_BEST;
  for (size_t i = 0; i < json_array_size(evaluations); i++) {
    const json_t *entry = json_object_get(json_array_get(evaluations, i), name);
    const double found = json_is_number(entry) ? json_number_value(entry) : (double)NAN;
    if (!best || cdl_metric_improves(s->session.metric, found, *value))
      *value = found;
  }
  json_decref(metrics);
  return CDL_STATUS_OK;
}

/* Removes a folder, its files, and its subfolders that hold files only. */
static void remove_tree(const char *path)
{
  DIR *stream = opendir(path);
  for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    if (unlinkat(dirfd(stream), entry->d_name, 0) != 0) {
      char *below = base_path_join(path, entry->d_name);
      if (below != NULL)
        remove_tree(below);
      free(below);
    }
  }
  if (stream != NULL)
    closedir(stream);
  (void)rmdir(path);
}

/* Removes what a finished trial no longer needs: checkpoints and whole models. */
static void tidy(const study_search *s, int64_t number)
{
  static const char *const parts[] = {"checkpoint", "model"};
  char *folder = s->keep_checkpoints ? NULL : trial_folder(s, number);
  for (size_t i = 0; folder != NULL && i < sizeof parts / sizeof parts[0]; i++) {
    char *path = base_path_join(folder, parts[i]);
    if (path != NULL)
      remove_tree(path);
    free(path);
  }
  free(folder);
}

static bool has_ended(const char *state)
{
  return strcmp(state, "running") != 0 && strcmp(state, "waiting") != 0;
}

void study_search_trials_tidy(const study_search *s, const json_t *trials)
{
  for (size_t i = 0; i < json_array_size(trials); i++) {
    const json_t *trial = json_array_get(trials, i);
    const char *state = json_string_value(json_object_get(trial, "state"));
    if (json_is_true(json_object_get(trial, "mine")) && has_ended(state))
      tidy(s, (int64_t)json_integer_value(json_object_get(trial, "number")));
  }
}

/* ---- The end of a trial ---- */

static cdl_status tell(const running_trial *r, const char *state, double value, const char *note)
{
  study_search *s = r->search;
  bool lost;
  CDL_TRY(study_optuna_tell(s, r->trial->number, state, value, note, &lost));
  if (lost) {
    state = "lost";
    note = "this search was silent for the grace period, so another one repeats the trial";
  }
  if (ranks_rank(s->job) == 0)
    tidy(s, r->trial->number);
  if (s->events.ended != NULL)
    s->events.ended(s->events.user, &(study_trial_end){.number = r->trial->number,
                                                       .parameters = r->trial->parameters,
                                                       .state = state,
                                                       .value = value,
                                                       .note = note});
  return CDL_STATUS_OK;
}

/* Returns whether a trial's own settings can cause this failure. When several trials together run
 * out of memory, each may still fit alone. */
static bool is_own_failure(const running_trial *r, cdl_status status)
{
  return status == CDL_STATUS_USAGE || status == CDL_STATUS_UNSUPPORTED ||
         (status == CDL_STATUS_MEMORY && !r->joint);
}

/* Gives every rank the value that the first one reads. */
static cdl_status value_of(const running_trial *r, double *value)
{
  ranks_job *job = r->search->job;
  *value = NAN;
  const cdl_status status =
      ranks_rank(job) == 0 ? read_value(r->search, r->settings.output, value) : CDL_STATUS_OK;
  CDL_TRY(ranks_agree(job, status, "the value of a trial"));
  return ranks_broadcast(job, value, sizeof *value, 0, "the value of a trial");
}

/* Tells the study how a run ended, from its `status` and `message`. */
static cdl_status conclude(const running_trial *r, cdl_status status, const char *message)
{
  double value;
  if (r->failure[0] != '\0')
    return cdl_fail(CDL_STATUS_IO, "%s", r->failure);
  if (status == CDL_STATUS_CANCELLED && r->pruned)
    return tell(r, "pruned", 0, NULL);
  if (status == CDL_STATUS_CANCELLED)
    return cdl_fail(CDL_STATUS_CANCELLED,
                    "stopped in trial %lld; --resume with --output %s continues it",
                    (long long)r->trial->number, r->search->settings.output);
  /* It is reported as pruned, so that the sampler avoids these settings; it learns nothing from a
   * failure. */
  if (status == CDL_STATUS_NUMERIC)
    return tell(r, "pruned", 0, message);
  if (is_own_failure(r, status))
    return tell(r, "fail", 0, message);
  if (status != CDL_STATUS_OK)
    return cdl_fail(status, "trial %lld: %s", (long long)r->trial->number, message);
  CDL_TRY(value_of(r, &value));
  return isfinite(value) ? tell(r, "complete", value, NULL)
                         : tell(r, "fail", 0, "the metric is not a number");
}

/* ---- Training ---- */

static cdl_memory_info memory_of(const study_search *s)
{
  cdl_memory_info memory = {.size = sizeof memory};
  return cdl_backend_memory(s->session.model.backend, &memory) == CDL_STATUS_OK
             ? memory
             : (cdl_memory_info){0};
}

/* Marks the settings of the user and the searched ones; --init-adapter must contradict neither. */
static void mark_given(const study_search *s, bool given[TRAIN_SETTINGS_MAX])
{
  size_t count;
  const base_option *list = train_setting_list(&count);
  memcpy(given, s->given, TRAIN_SETTINGS_MAX * sizeof *given);
  for (size_t i = 0; i < s->space.count; i++)
    given[s->space.item[i].setting - list] = true;
}

static cdl_status open_alone(running_trial *r)
{
  bool given[TRAIN_SETTINGS_MAX];
  mark_given(r->search, given);
  CDL_TRY(train_settings_check(&r->settings));
  return train_session_begin_run(&r->search->session, &r->settings, given);
}

static cdl_status train_alone(running_trial *r)
{
  study_search *s = r->search;
  train_summary summary;
  const cdl_status opened = open_alone(r);
  cdl_status status = ranks_agree(s->job, opened, "the start of a trial");
  if (status == CDL_STATUS_OK)
    status = train_run(&s->session, &r->settings, &r->events, &summary);
  if (opened == CDL_STATUS_OK)
    train_session_end_run(&s->session);
  return status;
}

/* Opens the trial's session on the shared body. */
static cdl_status open_joint(running_trial *r, train_session *session)
{
  bool given[TRAIN_SETTINGS_MAX];
  mark_given(r->search, given);
  CDL_TRY(train_settings_check(&r->settings));
  return train_session_share(&r->search->session, &r->settings, given, session);
}

/* Trains all trials together; `status` and `message`, [count] each, say how each ended. If it
 * returns an error, none has ended. */
static cdl_status train_jointly(running_trial *trials, size_t count, cdl_status *status,
                                char (*message)[MESSAGE_BYTES])
{
  train_session sessions[STUDY_SEARCH_PARALLEL_MAX];
  train_joint_run runs[STUDY_SEARCH_PARALLEL_MAX];
  size_t place[STUDY_SEARCH_PARALLEL_MAX], opened = 0;
  for (size_t i = 0; i < count; i++) {
    trials[i].joint = true;
    status[i] = open_joint(&trials[i], &sessions[opened]);
    if (status[i] != CDL_STATUS_OK) {
      snprintf(message[i], MESSAGE_BYTES, "%s", cdl_error_message());
      continue;
    }
    runs[opened] = (train_joint_run){
        .session = &sessions[opened], .settings = &trials[i].settings, .events = &trials[i].events};
    place[opened++] = i;
  }
  const cdl_status all = opened > 0 ? train_joint(runs, opened) : CDL_STATUS_OK;
  for (size_t o = 0; o < opened; o++) {
    status[place[o]] = runs[o].status;
    snprintf(message[place[o]], MESSAGE_BYTES, "%s", runs[o].message);
    train_session_unshare(&sessions[o]);
  }
  return all;
}

/* Runs one trial alone or several together, and reports each to the study. */
static cdl_status run_all(study_search *s, running_trial *trials, size_t count)
{
  cdl_status status[STUDY_SEARCH_PARALLEL_MAX], worst = CDL_STATUS_OK;
  char message[STUDY_SEARCH_PARALLEL_MAX][MESSAGE_BYTES], kept[MESSAGE_BYTES] = "";
  const cdl_memory_info before = memory_of(s);
  if (count == 1) {
    status[0] = train_alone(&trials[0]);
    snprintf(message[0], MESSAGE_BYTES, "%s",
             status[0] != CDL_STATUS_OK ? cdl_error_message() : "");
    if (status[0] != CDL_STATUS_OK && !ranks_agreed(s->job))
      return status[0]; /* this rank cannot go on with the others */
  } else
    CDL_TRY(train_jointly(trials, count, status, message));
  const cdl_memory_info after = memory_of(s);
  /* Every trial is reported, whatever happened to the others; the first failure is returned. */
  for (size_t i = 0; i < count; i++) {
    const cdl_status told = conclude(&trials[i], status[i], message[i]);
    if (told == CDL_STATUS_OK || worst != CDL_STATUS_OK)
      continue;
    worst = told;
    snprintf(kept, sizeof kept, "%s", cdl_error_message());
  }
  if (worst != CDL_STATUS_OK)
    return cdl_fail(worst, "%s", kept);
  CDL_TRY(cdl_queue_status(s->session.model.queue)); /* no other trial can use a failed queue */
  /* A trial that trains the base's own weights moves them out of the mapped file, for good. */
  if (after.used_bytes != before.used_bytes && after.mapped_bytes == before.mapped_bytes)
    return cdl_fail(CDL_STATUS_MEMORY, "trial %lld left the backend with %zu bytes in use, not %zu",
                    (long long)trials[0].trial->number, after.used_bytes, before.used_bytes);
  return CDL_STATUS_OK;
}

cdl_status study_search_trials_check(study_search *s)
{
  if (s->parallel == 1)
    return CDL_STATUS_OK;
  train_settings settings;
  CDL_TRY(train_settings_copy(&settings, &s->settings));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < s->space.count && status == CDL_STATUS_OK; i++)
    if (study_search_decides_owner(&s->space.item[i]))
      status = train_settings_drop_options(&settings); /* as in each trial */
  train_session session;
  if (status == CDL_STATUS_OK)
    status = train_session_share(&s->session, &settings, s->given, &session);
  if (status == CDL_STATUS_OK)
    train_session_unshare(&session);
  train_settings_release(&settings);
  return cdl_context(status, "--parallel %lld", (long long)s->parallel);
}

/* ---- A group of trials ---- */

static cdl_status begin(running_trial *r, study_search *s, study_search_trial *trial, size_t place)
{
  *r = (running_trial){.search = s, .trial = trial, .place = place};
  s->events.stops[place] = 0;
  if (*s->events.interrupted != 0) /* it may have come just before */
    s->events.stops[place] = *s->events.interrupted;
  r->events = (train_events){
      .user = r, .stepped = on_stepped, .evaluated = on_evaluated, .stop = &s->events.stops[place]};
  const cdl_status made =
      study_search_trial_settings(s, trial->parameters, trial->number, &r->settings);
  cdl_status status = ranks_agree(s->job, made, "the settings of a trial");
  if (status == CDL_STATUS_OK)
    status = ranks_broadcast(s->job, &r->settings.resume, sizeof r->settings.resume, 0,
                             "the settings of a trial");
  if (status != CDL_STATUS_OK && made == CDL_STATUS_OK)
    train_settings_release(&r->settings);
  return status;
}

cdl_status study_search_trials_run(study_search *s, study_search_trial *trials, size_t count)
{
  running_trial running[STUDY_SEARCH_PARALLEL_MAX];
  size_t begun = 0;
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < count && status == CDL_STATUS_OK; i++) {
    running_trial *r = &running[begun];
    status = begin(r, s, &trials[i], begun);
    if (status == CDL_STATUS_OK && trials[i].prune) {
      status = tell(r, "pruned", 0, NULL);
      train_settings_release(&r->settings);
    } else if (status == CDL_STATUS_OK)
      begun++;
  }
  if (status == CDL_STATUS_OK && begun > 0)
    status = run_all(s, running, begun);
  for (size_t i = 0; i < begun; i++)
    train_settings_release(&running[i].settings);
  return status;
}
