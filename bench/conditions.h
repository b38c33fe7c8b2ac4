/* Under what a row of the workload train was measured. */
#ifndef CONDLORA_BENCH_CONDITIONS_H
#define CONDLORA_BENCH_CONDITIONS_H

#include "bench/bench.h"

#define BENCH_CONDITIONS_COLUMNS                                                                 \
  {"precision", "precision", BENCH_REPORT_TEXT}, {"frozen", "frozen layers", BENCH_REPORT_TEXT}, \
      {"runs", "runs", BENCH_REPORT_COUNT}, {"shards", "shards", BENCH_REPORT_COUNT},            \
  {                                                                                              \
    "instructions_per_example", "instructions/example", BENCH_REPORT_NUMBER                      \
  }

typedef struct {
  bool kept;           /* the states below the adapters come from a cache */
  size_t runs;         /* in one pass */
  int shards;          /* of a step's gradient */
  double instructions; /* of all timed steps; NaN where the system does not count them */
  double examples;     /* of all timed steps and runs */
} bench_conditions;

/* Fills in the columns of the report's last row; unknown instructions stay empty. */
void bench_conditions_report(const bench *b, const bench_conditions *conditions);

#endif
