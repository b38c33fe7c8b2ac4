/* Optuna's study of a search, asked through optuna_client.h. */
#ifndef CONDLORA_TOOLS_STUDY_OPTUNA_STUDY_H
#define CONDLORA_TOOLS_STUDY_OPTUNA_STUDY_H

#include "tools/study/search_state.h"

/* "best" or "last"; static. */
const char *study_search_objective_name(const study_search *search);

/* A trial that the study has handed out. */
typedef struct {
  int64_t number;
  json_t *parameters; /* owned */
  bool resumed;       /* was under way when the search was interrupted */
  bool prune;         /* and was to be pruned at its last evaluation */
} study_search_trial;

void study_search_trial_release(study_search_trial *trial);

/* Opens the study, or makes it. `resumed` is an array of the trials to take up again, to be released
 * by the caller. */
CDL_MUST_USE cdl_status study_optuna_open(study_search *search, json_t **resumed);
/* One of `resumed`. */
CDL_MUST_USE cdl_status study_optuna_resumed(const json_t *entry, study_search_trial *trial);
/* The next trial; `*done` where the study has as many as were wanted. */
CDL_MUST_USE cdl_status study_optuna_ask(study_search *search, study_search_trial *trial,
                                         bool *done);
/* The value at an evaluation, counted from 1; whether the trial is to be pruned. */
CDL_MUST_USE cdl_status study_optuna_report(study_search *search, int64_t number, int64_t step,
                                            double value, bool *prune);
/* `state`: "complete" with its value, "pruned" or "fail". `note`, which may be NULL, says why. */
CDL_MUST_USE cdl_status study_optuna_tell(study_search *search, int64_t number, const char *state,
                                          double value, const char *note);
/* All trials of the study, an array, to be released by the caller: {"number", "state", "value",
 * "last", "parameters", "note", "mine"}. */
CDL_MUST_USE cdl_status study_optuna_list(study_search *search, json_t **trials);

#endif
