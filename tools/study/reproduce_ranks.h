/* A reproduction in a job of several ranks. The first one leads: it reads and writes all files,
 * chooses the runs and makes the reports. The others join it in each run, in training and in
 * predicting dev. Where the job is one rank these functions do nothing. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_RANKS_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_RANKS_H

#include "tools/study/reproduce_settings.h"

/* On the first rank, before it trains a run with these settings: lets the others join. */
CDL_MUST_USE cdl_status study_ranks_call(const study_reproduction *r, const study_run *run,
                                         const train_settings *settings);
/* On the first rank, at the end with `status`: lets the others end with it, which it returns. If it
 * has failed alone in the middle of a run, they cannot hear it; the job is then to be aborted. */
CDL_MUST_USE cdl_status study_ranks_dismiss(const study_reproduction *r, cdl_status status);
/* On the other ranks: joins in runs until the first rank dismisses this one. */
CDL_MUST_USE cdl_status study_ranks_follow(const study_reproduction *r);

#endif
