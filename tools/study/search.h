/* The search of settings with Optuna: runs trials in an output folder until the study has as many
 * as wanted. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_H
#define CONDLORA_TOOLS_STUDY_SEARCH_H

#include "tools/study/search_state.h"

/* Checks that settings and space go together. Errors: USAGE. */
CDL_MUST_USE cdl_status study_search_check(const study_search *search);

/* Opens model, data and backend, and checks that trials can train together if `parallel` asks for
 * it. Close with study_search_close. */
CDL_MUST_USE cdl_status study_search_open(study_search *search);
void study_search_close(study_search *search);

/* Runs trials until the study has as many as wanted or the time is over, and writes the settings of
 * the best one to OUT/best.json. `*trials` is the study's list as study_optuna_list gives it, which
 * the caller releases; NULL if an error came before. Errors: CANCELLED after an interruption, after
 * which another call with `resume` set continues; DATA if no trial was completed. */
CDL_MUST_USE cdl_status study_search_run(study_search *search, json_t **trials);

/* Returns the complete trial with the best value of the metric, the first of equals; NULL if none
 * is complete. */
const json_t *study_search_best(const study_search *search, const json_t *trials);
/* Returns the name of the metric that the search optimizes. */
const char *study_search_metric(const study_search *search);

#endif
