/* Figures over the seeds of a comparison. */
#ifndef CONDLORA_TOOLS_REPORTS_AGGREGATE_H
#define CONDLORA_TOOLS_REPORTS_AGGREGATE_H

#include "tools/reports/comparison.h"
#include "tools/reports/statistics.h"

/* Of one value a seed. */
typedef struct {
  size_t count;
  double mean, deviation; /* the sample's: NaN for one value */
} report_spread;

/* The task's first metric on dev with the kept adapter. */
double report_run_score(const report_comparison *comparison, size_t task, size_t method,
                        size_t seed);

report_spread report_task_score(const report_comparison *comparison, size_t task, size_t method);
/* The task's second metric, of a task that has two. */
report_spread report_second_score(const report_comparison *comparison, size_t task, size_t method);
/* A seed's value is its mean over the tasks. */
report_spread report_average_score(const report_comparison *comparison, size_t method);
report_spread report_speed(const report_comparison *comparison, size_t task, size_t method);

/* Method `a` less method `b`, paired by seed, in the score of a run. */
report_paired_test report_test_by_seed(const report_comparison *comparison, size_t task, size_t a,
                                       size_t b);
/* Paired by example of dev: right is 1 and wrong 0 (of a regression: the negative squared error),
 * averaged over the seeds. Errors: MEMORY; DATA where two runs have other numbers of examples. */
CDL_MUST_USE cdl_status report_test_by_example(const report_comparison *comparison, size_t task,
                                               size_t a, size_t b, report_paired_test *test);

#endif
