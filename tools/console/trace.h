/* What each op of a run took, as a file that chrome://tracing and Perfetto open (the Trace Event
 * Format's complete events, times in microseconds). */
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

/* Begins to observe `backend`; every op is waited for, so that its time is its own. */
CDL_MUST_USE cdl_status console_trace_begin(console_trace *trace, cdl_backend *backend,
                                            const char *path);
/* Ends it and writes the file; `keep` false removes what was written. Does nothing where none was
 * begun. */
CDL_MUST_USE cdl_status console_trace_end(console_trace *trace, bool keep);

#endif
