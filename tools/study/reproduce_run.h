/* One run of a reproduction: training, then the predictions of what was kept. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_RUN_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_RUN_H

#include "tools/study/reproduce_state.h"

/* Trains and predicts, or goes on where a run was stopped; one that is finished is left alone.
 * CANCELLED after the events' `stop`. */
CDL_MUST_USE cdl_status study_reproduce_run(const study_reproduction *r, size_t task, size_t method,
                                            size_t seed);

#endif
