/* A roofline plot (Williams, Waterman and Patterson 2009). */
#ifndef CONDLORA_BENCH_ROOFLINE_H
#define CONDLORA_BENCH_ROOFLINE_H

#include "bench/bench.h"

/* Draws rates over arithmetic intensity on logarithmic axes: a point for each row that has both,
 * with each workload's fastest in the legend, a measured roof for each backend and the data sheet's
 * roof if it is known. Errors: DATA if no row has both; USAGE for a path that does not end in .svg,
 * .png or .pdf. */
CDL_MUST_USE cdl_status bench_roofline_write(const bench_report *r, const bench_list *list,
                                             const char *path);

#endif
