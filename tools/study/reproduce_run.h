/* One run of a reproduction: training, then predictions with the kept adapter. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_RUN_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_RUN_H

#include "tools/study/reproduce_state.h"

/* Trains and predicts. A stopped run is resumed, and a finished run is kept. Errors: CANCELLED
 * after the events' `stop`; those of training. */
CDL_MUST_USE cdl_status study_reproduce_run(const study_reproduction *r, size_t task, size_t method,
                                            size_t seed);

#endif
