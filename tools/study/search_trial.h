/* The trials of a search: each a training run in a folder of its own, on the base that all share. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_TRIAL_H
#define CONDLORA_TOOLS_STUDY_SEARCH_TRIAL_H

#include "tools/study/optuna_study.h"

/* The settings of a trial: those of all with its parameters, and its folder. To be released. */
CDL_MUST_USE cdl_status study_search_trial_settings(const study_search *search,
                                                    const json_t *parameters, int64_t number,
                                                    train_settings *settings);
/* With several trials at a time: whether what they share lets them train together. */
CDL_MUST_USE cdl_status study_search_trials_check(study_search *search);
/* Runs `count` trials together, at most `parallel`, and tells the study how each ended. Failures of
 * a trial's own (settings that do not go together, memory) are told and no error. CANCELLED after
 * an interruption: a search with `resume` set goes on with the trials. */
CDL_MUST_USE cdl_status study_search_trials_run(study_search *search, study_search_trial *trials,
                                                size_t count);

#endif
