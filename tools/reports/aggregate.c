#include "tools/reports/aggregate.h"

#include <math.h>
#include <stdlib.h>

double report_run_score(const report_comparison *c, size_t task, size_t method, size_t seed)
{
  return report_compared_run_at(c, task, method, seed)
      ->dev.scores.value[c->tasks[task]->metrics[0]];
}

static double second_of(const report_comparison *c, size_t task, size_t method, size_t seed)
{
  return report_compared_run_at(c, task, method, seed)
      ->dev.scores.value[c->tasks[task]->metrics[1]];
}

typedef double value_of(const report_comparison *c, size_t task, size_t method, size_t seed);

static double average_of(const report_comparison *c, size_t task, size_t method, size_t seed)
{
  double sum = 0;
  (void)task;
  for (size_t t = 0; t < c->task_count; t++)
    sum += report_run_score(c, t, method, seed);
  return sum / (double)c->task_count;
}

static double speed_of(const report_comparison *c, size_t task, size_t method, size_t seed)
{
  return report_compared_run_at(c, task, method, seed)->examples_per_s;
}

/* The number of seeds is limited in tools/study/reproduce.c. */
enum { SEEDS_MOST = 1000 };

static void gather(const report_comparison *c, size_t task, size_t method, value_of *value,
                   double *values)
{
  for (size_t s = 0; s < c->seed_count && s < SEEDS_MOST; s++)
    values[s] = value(c, task, method, s);
}

static report_spread over_seeds(const report_comparison *c, size_t task, size_t method,
                                value_of *value)
{
  double values[SEEDS_MOST];
  gather(c, task, method, value, values);
  return (report_spread){.count = c->seed_count,
                         .mean = report_mean(values, c->seed_count),
                         .deviation = report_deviation(values, c->seed_count)};
}

report_spread report_task_score(const report_comparison *c, size_t task, size_t method)
{
  return over_seeds(c, task, method, report_run_score);
}

report_spread report_second_score(const report_comparison *c, size_t task, size_t method)
{
  return over_seeds(c, task, method, second_of);
}

report_spread report_average_score(const report_comparison *c, size_t method)
{
  return over_seeds(c, 0, method, average_of);
}

report_spread report_speed(const report_comparison *c, size_t task, size_t method)
{
  return over_seeds(c, task, method, speed_of);
}

report_paired_test report_test_by_seed(const report_comparison *c, size_t task, size_t a, size_t b)
{
  double first[SEEDS_MOST], second[SEEDS_MOST];
  gather(c, task, a, report_run_score, first);
  gather(c, task, b, report_run_score, second);
  return report_paired_t_test(first, second, c->seed_count);
}

/* Adds each example's score, averaged over the method's seeds. */
static cdl_status add_examples(const report_comparison *c, size_t task, size_t method, size_t count,
                               double *mean)
{
  for (size_t s = 0; s < c->seed_count; s++) {
    const report_compared_run *run = report_compared_run_at(c, task, method, s);
    if (run->examples != count)
      return cdl_fail(CDL_STATUS_DATA, "%s/runs/%s: predictions of %zu examples and of %zu",
                      c->folder, c->tasks[task]->name, count, run->examples);
    for (size_t i = 0; i < count; i++)
      mean[i] += run->score[i] / (double)c->seed_count;
  }
  return CDL_STATUS_OK;
}

cdl_status report_test_by_example(const report_comparison *c, size_t task, size_t a, size_t b,
                                  report_paired_test *test)
{
  const size_t count = report_compared_run_at(c, task, a, 0)->examples;
  double *means = calloc(2 * count + 1, sizeof *means);
  if (means == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu examples", count);
  cdl_status status = add_examples(c, task, a, count, means);
  if (status == CDL_STATUS_OK)
    status = add_examples(c, task, b, count, means + count);
  if (status == CDL_STATUS_OK)
    *test = report_paired_t_test(means, means + count, count);
  free(means);
  return status;
}
