#include "cli/trace.h"

#include "train/process.h"

static void observe(void *user, const cdl_observation *o)
{
  cli_trace *trace = user;
  if (!o->after) {
    trace->started = cdl_process_seconds();
    return;
  }
  if (cdl_sync(o->queue) != CDL_OK)
    return; /* the run ends with this error */
  const double ended = cdl_process_seconds();
  cdl_output_printf(trace->output,
                    "%s\n{\"name\": \"%s\", \"cat\": \"%s\", \"ph\": \"X\", \"pid\": 1, \"tid\": "
                    "1, \"ts\": %.3f, \"dur\": %.3f}",
                    trace->any ? "," : "", cdl_op_name(o->op), cdl_path_name(o->path),
                    (trace->started - trace->origin) * 1e6, (ended - trace->started) * 1e6);
  trace->any = true;
}

cdl_status cli_trace_begin(cli_trace *trace, cdl_backend *backend, const char *path)
{
  CDL_TRY(cdl_output_begin(path, &trace->output));
  cdl_output_printf(trace->output, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [");
  trace->backend = backend;
  trace->origin = cdl_process_seconds();
  cdl_backend_observe(backend, observe, trace);
  return CDL_OK;
}

cdl_status cli_trace_end(cli_trace *trace, bool keep)
{
  if (trace->output == NULL)
    return CDL_OK;
  cdl_backend_observe(trace->backend, NULL, NULL);
  cdl_output *output = trace->output;
  trace->output = NULL;
  if (!keep) {
    cdl_output_abort(output);
    return CDL_OK;
  }
  cdl_output_printf(output, "\n]}\n");
  return cdl_output_commit(output);
}
