/* Records the time of each op of a run as a file that chrome://tracing and Perfetto open (complete
 * events of the Trace Event Format, times in microseconds). In a job each rank
 * is a process of the trace, with its ops and its meetings with the others. */
#ifndef CONDLORA_TOOLS_CONSOLE_TRACE_H
#define CONDLORA_TOOLS_CONSOLE_TRACE_H

#include <stdio.h>

#include "base/file.h"
#include "condlora/backend.h"
#include "ranks/ranks.h"

typedef struct {
  cdl_backend *backend; /* NULL: no trace was begun */
  ranks_job *job;
  base_output *output;    /* of rank 0 */
  FILE *kept;             /* of other ranks */
  double origin, started; /* seconds */
  bool any;
} console_trace;

/* Begins to observe `backend` and the meetings of `job` (NULL: one rank). Each op is waited for, so
 * that its time includes no other op's. Collective; rank 0 makes the file. */
CDL_MUST_USE cdl_status console_trace_begin(console_trace *trace, cdl_backend *backend,
                                            ranks_job *job, const char *path);
/* Ends the trace and writes the file; with `keep` false the file is discarded. Collective if
 * `keep`. Does nothing if no trace was begun. */
CDL_MUST_USE cdl_status console_trace_end(console_trace *trace, bool keep);

#endif
