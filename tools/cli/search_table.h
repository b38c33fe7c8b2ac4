/* The trials of `condlora search` as text. */
#ifndef CONDLORA_TOOLS_CLI_SEARCH_TABLE_H
#define CONDLORA_TOOLS_CLI_SEARCH_TABLE_H

#include <stdio.h>

#include "tools/study/search.h"

/* Prints the line of a finished trial, for stderr. */
void cli_search_print_trial(FILE *to, const study_search *search, const study_trial_end *end);
/* Prints all trials of the study to stdout and marks the best. */
void cli_search_print_table(const study_search *search, const json_t *trials);
/* Prints how to train with the settings of the best trial. At least one trial is complete. */
void cli_search_print_best(const study_search *search, const json_t *trials);

#endif
