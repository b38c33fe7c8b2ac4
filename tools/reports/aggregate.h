/* Means and tests over the seeds of a comparison. */
#ifndef CONDLORA_TOOLS_REPORTS_AGGREGATE_H
#define CONDLORA_TOOLS_REPORTS_AGGREGATE_H

#include "tools/reports/comparison.h"
#include "tools/reports/statistics.h"

/* The spread of values, one for each seed. */
typedef struct {
  size_t count;
  double mean, deviation; /* of the sample; NaN for one value */
} report_spread;

/* Returns the task's first metric on dev with the kept adapter. */
double report_run_score(const report_comparison *comparison, size_t task, size_t method,
                        size_t seed);

report_spread report_task_score(const report_comparison *comparison, size_t task, size_t method);
/* The spread of the second metric; the task must have two. */
report_spread report_second_score(const report_comparison *comparison, size_t task, size_t method);
/* The spread of a seed's mean over all tasks. */
report_spread report_average_score(const report_comparison *comparison, size_t method);
report_spread report_speed(const report_comparison *comparison, size_t task, size_t method);

/* Tests method `a` against method `b` in the score of a run, paired by seed. */
report_paired_test report_test_by_seed(const report_comparison *comparison, size_t task, size_t a,
                                       size_t b);
/* Tests method `a` against method `b`, paired by example of dev. An example scores 1 if right and 0
 * if wrong (in a regression: the negative squared error), averaged over the seeds. Errors: MEMORY;
 * DATA if two runs have different numbers of examples. */
CDL_MUST_USE cdl_status report_test_by_example(const report_comparison *comparison, size_t task,
                                               size_t a, size_t b, report_paired_test *test);

#endif
