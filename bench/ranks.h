/* The workload ranks: what a job of several processes gains, and what its sums cost. */
#ifndef CONDLORA_BENCH_RANKS_H
#define CONDLORA_BENCH_RANKS_H

#include "bench/bench.h"

/* Measures as one rank of the job that a launcher started, or alone. Rank 0 writes the report.
 * *speaks: whether this process prints the failure, if there is one. */
CDL_MUST_USE cdl_status bench_ranks(const bench_options *options, bool *speaks);

#endif
