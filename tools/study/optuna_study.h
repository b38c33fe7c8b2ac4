/* Requests to a search's Optuna study, through optuna_client.h. */
#ifndef CONDLORA_TOOLS_STUDY_OPTUNA_STUDY_H
#define CONDLORA_TOOLS_STUDY_OPTUNA_STUDY_H

#include "tools/study/search_state.h"

/* Returns "best" or "last"; static. */
const char *study_search_objective_name(const study_search *search);

/* A trial that the study has given out. */
typedef struct {
  int64_t number;
  json_t *parameters; /* owned */
  bool resumed;       /* it was running when the search was interrupted */
  bool prune;         /* and its last evaluation had decided to prune it */
} study_search_trial;

void study_search_trial_release(study_search_trial *trial);

/* Opens the study or creates it. `*resumed` is an array of the trials to resume; the caller
 * releases it. */
CDL_MUST_USE cdl_status study_optuna_open(study_search *search, json_t **resumed);
/* Reads an entry of `resumed`. */
CDL_MUST_USE cdl_status study_optuna_resumed(const json_t *entry, study_search_trial *trial);
/* What the study says where it gives out no trial. */
typedef struct {
  bool done;      /* it has all trials that were wanted */
  double seconds; /* other searches train the last ones: when to ask again; 0: a trial was given */
  int64_t others; /* how many these are */
} study_optuna_wait;

/* Asks for the next trial, which is set if `*wait` is all 0. */
CDL_MUST_USE cdl_status study_optuna_ask(study_search *search, study_search_trial *trial,
                                         study_optuna_wait *wait);
/* Reports the value of evaluation `step`, counted from 1. `*prune` says whether to prune the
 * trial. */
CDL_MUST_USE cdl_status study_optuna_report(study_search *search, int64_t number, int64_t step,
                                            double value, bool *prune);
/* Reports the end of a trial. `state` is "complete" with its value, "pruned" or "fail"; `note`,
 * which may be NULL, gives the reason. `*lost`: another search has taken this one for dead and
 * repeats the trial, so nothing is noted. */
CDL_MUST_USE cdl_status study_optuna_tell(study_search *search, int64_t number, const char *state,
                                          double value, const char *note, bool *lost);
/* Gets all trials of the study, an array that the caller releases: {"number", "state", "value",
 * "last", "parameters", "note", "mine"}. */
CDL_MUST_USE cdl_status study_optuna_list(study_search *search, json_t **trials);

#endif
