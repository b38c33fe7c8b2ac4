/* The files of a search in its output folder. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_FILES_H
#define CONDLORA_TOOLS_STUDY_SEARCH_FILES_H

#include "tools/study/search_state.h"

/* Writes OUT/search.json: the search space and the options of the search. */
CDL_MUST_USE cdl_status study_search_write(const study_search *search);
/* Writes OUT/best.json: the settings of `best`, an entry of study_optuna_list, for `condlora train
 * --config`. */
CDL_MUST_USE cdl_status study_search_write_best(const study_search *search, const json_t *best);

#endif
