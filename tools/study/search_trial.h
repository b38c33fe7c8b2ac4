/* The trials of a search. Each is a training run in its own folder, and all share one base. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_TRIAL_H
#define CONDLORA_TOOLS_STUDY_SEARCH_TRIAL_H

#include "tools/study/optuna_study.h"

/* Makes the settings of a trial: the search's, with its parameters and its folder. The caller
 * releases them. */
CDL_MUST_USE cdl_status study_search_trial_settings(const study_search *search,
                                                    const json_t *parameters, int64_t number,
                                                    train_settings *settings);
/* If several trials run at a time, checks that their shared settings let them train together. */
CDL_MUST_USE cdl_status study_search_trials_check(study_search *search);
/* Runs `count` trials together, at most `parallel`, and tells the study how each ended. A failure
 * of one trial (incompatible settings, memory) is reported to the study and is no error here.
 * Errors: CANCELLED after an interruption; a search with `resume` set continues these trials. */
CDL_MUST_USE cdl_status study_search_trials_run(study_search *search, study_search_trial *trials,
                                                size_t count);

/* Removes what trials that have ended need no more. A search that was killed after it told the
 * study of a trial may have left it. `trials` are those of study_optuna_list. */
void study_search_trials_tidy(const study_search *search, const json_t *trials);

#endif
