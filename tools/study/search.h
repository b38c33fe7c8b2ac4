/* What the parts of `condlora search` share: its settings, the study, and trials. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_H
#define CONDLORA_TOOLS_STUDY_SEARCH_H

#include "tools/cli/options.h"
#include "tools/console/notices.h"
#include "tools/console/progress.h"
#include "tools/study/optuna_client.h"
#include "tools/study/search_space.h"
#include "train/joint.h"

enum { STUDY_SEARCH_PARALLEL_MAX = TRAIN_JOINT_RUNS_MAX };

/* As the command line and files say. */
typedef struct {
  train_settings settings;        /* what every trial begins with */
  bool given[TRAIN_SETTINGS_MAX]; /* set by hand, by place in train_setting_list */
  const char *recipe, *config, *storage, *study, *sampler, *pruner;
  int objective;           /* train_keep: which evaluation is a trial's value */
  base_strings dimensions; /* --space */
  int64_t trials, parallel;
  double timeout; /* seconds; 0: none */
  bool keep_checkpoints;
  study_search_space space;

  console_notices notices;
  console_progress progress;

  train_session session;       /* the base of all trials */
  study_optuna_client *client; /* the study's */
  char owner[20];              /* by which the study knows trials of this output folder */
} study_search_state;

/* "best" or "last"; static. */
const char *study_search_objective_name(const study_search_state *search);

/* ---- The Optuna's study: optuna_study.c ---- */

/* A trial that the study has handed out. */
typedef struct {
  int64_t number;
  json_t *parameters; /* owned */
  bool resumed;       /* was under way when the search was interrupted */
  bool prune;         /* and was to be pruned at its last evaluation */
} study_search_trial;

void study_search_trial_release(study_search_trial *trial);

/* Opens the study, or makes it; `resumed`, an array of the bridge's, are the trials to take up again,
 * to be released by the caller. */
CDL_MUST_USE cdl_status study_optuna_open(study_search_state *search, json_t **resumed);
/* One of `resumed`. */
CDL_MUST_USE cdl_status study_optuna_resumed(const json_t *entry, study_search_trial *trial);
/* The next trial; `*done` where the study has as many as were wanted. */
CDL_MUST_USE cdl_status study_optuna_ask(study_search_state *search, study_search_trial *trial,
                                         bool *done);
/* The value at an evaluation, counted from 1; whether the trial is to be pruned. */
CDL_MUST_USE cdl_status study_optuna_report(study_search_state *search, int64_t number,
                                            int64_t step, double value, bool *prune);
/* `state`: "complete" with its value, "pruned" or "fail". `note`, which may be NULL, says why. */
CDL_MUST_USE cdl_status study_optuna_tell(study_search_state *search, int64_t number,
                                          const char *state, double value, const char *note);
/* All trials of the study, an array, to be released by the caller: {"number", "state", "value",
 * "last", "parameters", "note", "mine"}. */
CDL_MUST_USE cdl_status study_optuna_list(study_search_state *search, json_t **trials);

/* ---- Trials: search_trial.c ---- */

/* OUT/trials/N; to be freed by the caller, NULL when memory is out. */
char *study_search_trial_folder(const study_search_state *search, int64_t number);
/* The settings of a trial: those of all with its parameters, and its folder. To be released. */
CDL_MUST_USE cdl_status study_search_trial_settings(const study_search_state *search,
                                                    const json_t *parameters, int64_t number,
                                                    train_settings *settings);
/* With several trials at a time: whether what they share lets them train together. */
CDL_MUST_USE cdl_status study_search_trials_check(study_search_state *search);
/* Runs `count` trials together, at most `parallel`, and tells the study how each ended. Failures of
 * a trial's own (settings that do not go together, memory) are told and no error. CANCELLED after a
 * signal: the trials are gone on with by --resume. */
CDL_MUST_USE cdl_status study_search_trials_run(study_search_state *search,
                                                study_search_trial *trials, size_t count);
/* Removes what a trial that is told needs no more: checkpoints, and whole models. */
void study_search_trial_tidy(const study_search_state *search, int64_t number);

/* ---- Reports: search_report.c ---- */

/* A trial's line on stderr, once told. */
void study_search_say_trial(study_search_state *search, int64_t number, const json_t *parameters,
                            const char *state, double value, const char *note);
/* The table of all trials, on stdout, and OUT/best.json. DATA where no trial was completed. */
CDL_MUST_USE cdl_status study_search_conclude(study_search_state *search);
/* OUT/search.json: what was searched, and how. */
CDL_MUST_USE cdl_status study_search_write(const study_search_state *search);

#endif
