/* The reproduction of a table or figure of the paper: its runs, and the report on them. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_H

#include "tools/study/reproduce_state.h"

/* Trains what the table compares, seed by seed, and writes the report into the output folder. Runs
 * that are finished there are left alone, one that was stopped goes on. Errors: USAGE, also where the
 * folder's runs were asked for otherwise; DATA; CANCELLED after `stop`; those of files and devices. */
CDL_MUST_USE cdl_status study_reproduce(const study_reproduce_request *request,
                                        const study_reproduce_events *events);

#endif
