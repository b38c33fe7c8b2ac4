/* The choice of shapes. */
#ifndef CONDLORA_BENCH_SHAPES_CHOICE_H
#define CONDLORA_BENCH_SHAPES_CHOICE_H

#include "bench/shapes.h"
#include "condlora/status.h"

/* Chooses the shapes by `name`: NULL for a mixture, "base" and "large" for RoBERTa's, otherwise the
 * path of a trace of `condlora train`. Release with bench_shapes_release. */
CDL_MUST_USE cdl_status bench_shapes_choose(const char *name, bench_shapes *shapes);

#endif
