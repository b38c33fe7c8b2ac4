#include "tools/reports/aggregate.h"

#include <math.h>
#include <stdlib.h>

double cdl_run_score(const cdl_comparison *c, size_t task, size_t method, size_t seed)
{
  return cdl_compared_run_at(c, task, method, seed)->dev.scores.value[c->tasks[task]->metrics[0]];
}

static double second_of(const cdl_comparison *c, size_t task, size_t method, size_t seed)
{
  return cdl_compared_run_at(c, task, method, seed)->dev.scores.value[c->tasks[task]->metrics[1]];
}

typedef double value_of(const cdl_comparison *c, size_t task, size_t method, size_t seed);

static double average_of(const cdl_comparison *c, size_t task, size_t method, size_t seed)
{
  double sum = 0;
  (void)task;
  for (size_t t = 0; t < c->task_count; t++)
    sum += cdl_run_score(c, t, method, seed);
  return sum / (double)c->task_count;
}

static double speed_of(const cdl_comparison *c, size_t task, size_t method, size_t seed)
{
  return cdl_compared_run_at(c, task, method, seed)->examples_per_s;
}

/* A comparison's number of seeds is small: tools/cli/reproduce.c has the limit. */
enum { SEEDS_MOST = 1000 };

static void gather(const cdl_comparison *c, size_t task, size_t method, value_of *value,
                   double *values)
{
  for (size_t s = 0; s < c->seed_count && s < SEEDS_MOST; s++)
    values[s] = value(c, task, method, s);
}

static cdl_spread over_seeds(const cdl_comparison *c, size_t task, size_t method, value_of *value)
{
  double values[SEEDS_MOST];
  gather(c, task, method, value, values);
  return (cdl_spread){.count = c->seed_count,
                      .mean = cdl_mean(values, c->seed_count),
                      .deviation = cdl_deviation(values, c->seed_count)};
}

cdl_spread cdl_task_score(const cdl_comparison *c, size_t task, size_t method)
{
  return over_seeds(c, task, method, cdl_run_score);
}

cdl_spread cdl_second_score(const cdl_comparison *c, size_t task, size_t method)
{
  return over_seeds(c, task, method, second_of);
}

cdl_spread cdl_average_score(const cdl_comparison *c, size_t method)
{
  return over_seeds(c, 0, method, average_of);
}

cdl_spread cdl_speed(const cdl_comparison *c, size_t task, size_t method)
{
  return over_seeds(c, task, method, speed_of);
}

cdl_paired_test cdl_test_by_seed(const cdl_comparison *c, size_t task, size_t a, size_t b)
{
  double first[SEEDS_MOST], second[SEEDS_MOST];
  gather(c, task, a, cdl_run_score, first);
  gather(c, task, b, cdl_run_score, second);
  return cdl_paired_t_test(first, second, c->seed_count);
}

/* Adds the scores of every seed of a method, divided by their number. */
static cdl_status add_examples(const cdl_comparison *c, size_t task, size_t method, size_t count,
                               double *mean)
{
  for (size_t s = 0; s < c->seed_count; s++) {
    const cdl_compared_run *run = cdl_compared_run_at(c, task, method, s);
    if (run->examples != count)
      return cdl_fail(CDL_DATA, "%s/runs/%s: predictions of %zu examples and of %zu", c->folder,
                      c->tasks[task]->name, count, run->examples);
    for (size_t i = 0; i < count; i++)
      mean[i] += run->score[i] / (double)c->seed_count;
  }
  return CDL_OK;
}

cdl_status cdl_test_by_example(const cdl_comparison *c, size_t task, size_t a, size_t b,
                               cdl_paired_test *test)
{
  const size_t count = cdl_compared_run_at(c, task, a, 0)->examples;
  double *means = calloc(2 * count + 1, sizeof *means);
  if (means == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %zu examples", count);
  cdl_status status = add_examples(c, task, a, count, means);
  if (status == CDL_OK)
    status = add_examples(c, task, b, count, means + count);
  if (status == CDL_OK)
    *test = cdl_paired_t_test(means, means + count, count);
  free(means);
  return status;
}
