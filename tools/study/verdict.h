/* The verdict: learning rates searched by one rule for all methods, runs with other seeds at the
 * chosen rates, records of both, and the report on all records. */
#ifndef CONDLORA_TOOLS_STUDY_VERDICT_H
#define CONDLORA_TOOLS_STUDY_VERDICT_H

#include "tools/study/reproduce_state.h"

/* Fails with USAGE if what was asked for cannot be. Reads and writes nothing but recipes. */
CDL_MUST_USE cdl_status study_verdict_check(const study_reproduction *r);
/* Makes the runs that the folder of records lacks, task by task and method by method in the order
 * of the lists, then writes the report. A run that was stopped goes on where it was. Errors: USAGE,
 * DATA; CANCELLED after the events' `stop`; those of files and devices. */
CDL_MUST_USE cdl_status study_verdict_run(const study_reproduction *r);
/* Writes the report on the records that there are. */
CDL_MUST_USE cdl_status study_verdict_report(const study_reproduction *r);

#endif
