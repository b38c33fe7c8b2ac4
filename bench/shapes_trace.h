/* Shapes from the trace of a run. */
#ifndef CONDLORA_BENCH_SHAPES_TRACE_H
#define CONDLORA_BENCH_SHAPES_TRACE_H

#include "bench/shapes.h"
#include "condlora/status.h"

/* Reads the shapes of the ops in a file of `condlora train --trace`. Release with
 * bench_shapes_release. Errors: DATA if it is no such file or has no shapes. */
CDL_MUST_USE cdl_status bench_shapes_of_trace(const char *path, bench_shapes *shapes);

#endif
