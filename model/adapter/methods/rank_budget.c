#include "model/adapter/methods/rank_budget.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cdl_status rank_budget_check(const rank_budget *b)
{
  if (b->first < b->steps - b->last)
    return CDL_STATUS_OK;
  return cdl_fail(
      CDL_STATUS_USAGE,
      "tinit %lld and tfinal %lld leave none of the run's %lld steps for lowering ranks",
      (long long)b->first, (long long)b->last, (long long)b->steps);
}

/* Returns the number of kept triplets: it falls from all of them to the target along a cubic. */
static int64_t kept_at(const rank_budget *b, int64_t step)
{
  if (step <= b->first)
    return b->initial;
  if (step > b->steps - b->last)
    return b->target;
  const double left = 1 - (double)(step - b->first) / (double)(b->steps - b->last - b->first);
  return (int64_t)((double)(b->initial - b->target) * pow(left, 3) + (double)b->target);
}

rank_plan rank_plan_at(const rank_budget *b, int64_t step)
{
  const int64_t settled = b->steps - b->last;
  const bool ends = step == settled || (b->last == 0 && step == b->steps - 1);
  rank_plan plan = {.measures = step < settled, .kept = kept_at(b, step)};
  plan.chooses = ends || (step > b->first && step < settled && step % b->interval == 0);
  plan.repeats = step > settled;
  return plan;
}

/* NaN counts as the largest value. */
static int compare_scores(const void *a, const void *b)
{
  float x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  if (isnan(x) || isnan(y))
    return isnan(x) - isnan(y);
  return (x > y) - (x < y);
}

cdl_status rank_choose(const float *scores, size_t count, int64_t kept, float *keep)
{
  for (size_t i = 0; i < count; i++)
    keep[i] = 1;
  if (kept >= (int64_t)count)
    return CDL_STATUS_OK;
  float *sorted = malloc(count * sizeof *sorted);
  if (sorted == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu ranks", count);
  memcpy(sorted, scores, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare_scores);
  const float threshold = sorted[count - (size_t)(kept > 0 ? kept : 0) - 1];
  free(sorted);
  for (size_t i = 0; i < count; i++)
    keep[i] = scores[i] <= threshold ? 0 : 1;
  return CDL_STATUS_OK;
}
