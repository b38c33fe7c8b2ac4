/* Shapes from the trace of a run. */
#ifndef CONDLORA_BENCH_SHAPES_TRACE_H
#define CONDLORA_BENCH_SHAPES_TRACE_H

#include "bench/shapes.h"
#include "condlora/status.h"

/* The shapes of the ops in a file that `condlora train --trace` wrote. DATA where it is none or tells
 * no shapes. Ends with bench_shapes_release. */
CDL_MUST_USE cdl_status bench_shapes_of_trace(const char *path, bench_shapes *shapes);

#endif
