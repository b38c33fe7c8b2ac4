/* Records the time of each op of a run as a file that chrome://tracing and Perfetto open (complete
 * events of the Trace Event Format, times in microseconds). */
#ifndef CONDLORA_TOOLS_CONSOLE_TRACE_H
#define CONDLORA_TOOLS_CONSOLE_TRACE_H

#include "base/file.h"
#include "condlora/backend.h"

typedef struct {
  cdl_backend *backend;
  base_output *output;
  double origin, started; /* seconds */
  bool any;
} console_trace;

/* Begins to observe `backend`. Each op is waited for, so that its time includes no other op's. */
CDL_MUST_USE cdl_status console_trace_begin(console_trace *trace, cdl_backend *backend,
                                            const char *path);
/* Ends the trace and writes the file; with `keep` false the file is discarded. Does nothing if no
 * trace was begun. */
CDL_MUST_USE cdl_status console_trace_end(console_trace *trace, bool keep);

#endif
