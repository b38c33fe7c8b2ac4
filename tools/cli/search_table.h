/* What `condlora search` prints of its trials. */
#ifndef CONDLORA_TOOLS_CLI_SEARCH_TABLE_H
#define CONDLORA_TOOLS_CLI_SEARCH_TABLE_H

#include <stdio.h>

#include "tools/study/search.h"

/* A line, once a trial is over. */
void cli_search_print_trial(FILE *to, const study_search *search, const study_trial_end *end);
/* All trials of the study, on stdout, the best one marked. */
void cli_search_print_table(const study_search *search, const json_t *trials);
/* How to train with the best one's settings. There is one. */
void cli_search_print_best(const study_search *search, const json_t *trials);

#endif
