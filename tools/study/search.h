/* The search of settings, by Optuna: trials in an output folder, until there are as many as wanted. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_H
#define CONDLORA_TOOLS_STUDY_SEARCH_H

#include "tools/study/search_state.h"

/* Whether settings and space go together: USAGE. */
CDL_MUST_USE cdl_status study_search_check(const study_search *search);

/* Opens model, data and backend, and looks whether trials can train together as asked. Ends with
 * study_search_close. */
CDL_MUST_USE cdl_status study_search_open(study_search *search);
void study_search_close(study_search *search);

/* Runs trials until the study has as many as are wanted, or the time is over, and writes the best
 * one's settings to OUT/best.json. `*trials` is the study's list of them, as study_optuna_list has it,
 * to be released by the caller; NULL where an error came before. CANCELLED after an interruption: with
 * `resume` set, another call goes on. DATA where no trial was completed. */
CDL_MUST_USE cdl_status study_search_run(study_search *search, json_t **trials);

/* The complete trial of the highest value, the first of equals; NULL: none is complete. */
const json_t *study_search_best(const json_t *trials);
/* The name of the metric that is searched for. */
const char *study_search_metric(const study_search *search);

#endif
