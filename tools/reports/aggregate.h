/* Figures over the seeds of a comparison. */
#ifndef CONDLORA_TOOLS_REPORTS_AGGREGATE_H
#define CONDLORA_TOOLS_REPORTS_AGGREGATE_H

#include "tools/reports/comparison.h"
#include "tools/reports/statistics.h"

/* Of one value a seed. */
typedef struct {
  size_t count;
  double mean, deviation; /* the sample's: NaN for one value */
} cdl_spread;

/* The task's first metric on dev with the kept adapter. */
double cdl_run_score(const cdl_comparison *comparison, size_t task, size_t method, size_t seed);

cdl_spread cdl_task_score(const cdl_comparison *comparison, size_t task, size_t method);
/* The task's second metric, of a task that has two. */
cdl_spread cdl_second_score(const cdl_comparison *comparison, size_t task, size_t method);
/* A seed's value is its mean over the tasks. */
cdl_spread cdl_average_score(const cdl_comparison *comparison, size_t method);
cdl_spread cdl_speed(const cdl_comparison *comparison, size_t task, size_t method);

/* Method `a` less method `b`, paired by seed, in the score of a run. */
cdl_paired_test cdl_test_by_seed(const cdl_comparison *comparison, size_t task, size_t a, size_t b);
/* Paired by example of dev: right is 1 and wrong 0 (of a regression: the negative squared error),
 * averaged over the seeds. Errors: MEMORY; DATA where two runs have other numbers of examples. */
CDL_MUST_USE cdl_status cdl_test_by_example(const cdl_comparison *comparison, size_t task, size_t a,
                                            size_t b, cdl_paired_test *test);

#endif
