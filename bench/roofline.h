/* A roofline plot (Williams, Waterman and Patterson 2009). */
#ifndef CONDLORA_BENCH_ROOFLINE_H
#define CONDLORA_BENCH_ROOFLINE_H

#include "bench/bench.h"

/* Rate over arithmetic intensity, both logarithmic: a point for each row that has both, the name of
 * each workload's fastest in the legend, a measured roof for each backend and its data sheet's where
 * that is known. DATA where no row has both; USAGE for a path that does not end in .svg, .png or
 * .pdf. */
CDL_MUST_USE cdl_status bench_roofline_write(const report *r, const bench_list *list,
                                             const char *path);

#endif
