/* Which shapes a call runs at. */
#ifndef CONDLORA_BENCH_SHAPES_CHOICE_H
#define CONDLORA_BENCH_SHAPES_CHOICE_H

#include "bench/shapes.h"
#include "condlora/status.h"

/* `name`: NULL, a little of everything; "base" and "large", RoBERTa's; else a trace of
 * `condlora train`. Ends with bench_shapes_release. */
CDL_MUST_USE cdl_status bench_shapes_choose(const char *name, bench_shapes *shapes);

#endif
