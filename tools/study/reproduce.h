/* Reproduces a table or figure of the paper: trains its runs and writes the report. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_H

#include "tools/study/reproduce_state.h"

/* Trains the runs that the table compares, seed by seed, and writes the report into the output
 * folder. Finished runs in it are kept, and a stopped one is resumed. Errors: USAGE, also if the
 * folder's runs have other settings; DATA; CANCELLED after `stop`; those of files and devices. */
CDL_MUST_USE cdl_status study_reproduce(const study_reproduce_request *request,
                                        const study_reproduce_events *events);

#endif
