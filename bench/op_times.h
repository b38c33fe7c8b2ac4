/* The time of each op in a training step; each call is timed between two syncs. */
#ifndef CONDLORA_BENCH_OP_TIMES_H
#define CONDLORA_BENCH_OP_TIMES_H

#include "bench/bench.h"

enum { BENCH_OP_LABEL_BYTES = 64 };

/* All calls of one op on one shape; the number of rows may differ. */
typedef struct {
  char label[BENCH_OP_LABEL_BYTES]; /* "linear 1536x384" */
  cdl_op op;
  cdl_path path;
  double seconds, calls, operations; /* totals */
} bench_op_time;

typedef struct {
  bench_op_time *item;
  size_t count, capacity;
  int32_t sequences; /* of the current batch: see bench_op_label */
  double started;
  cdl_status status;
} bench_op_times;

/* Gives an op's label. A call with `sequences` rows works on first tokens only. */
void bench_op_label(const cdl_observation *seen, int32_t sequences,
                    char label[BENCH_OP_LABEL_BYTES]);

void bench_op_times_begin(bench_op_times *times, cdl_backend *backend, int32_t sequences);
CDL_MUST_USE cdl_status bench_op_times_end(bench_op_times *times, cdl_backend *backend);
void bench_op_times_release(bench_op_times *times);

/* Adds a table of each op's share of a step, longest first. `steps` steps were observed, which took
 * `seconds` together. */
void bench_op_times_report(bench_op_times *times, bench_report *r, const char *title, double steps,
                           double seconds);

#endif
