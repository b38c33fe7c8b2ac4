#include "ranks/shards.h"

#include <string.h>

size_t ranks_shard_begin(size_t examples, int shards, int shard)
{
  const size_t count = (size_t)shards, s = (size_t)shard;
  /* n s / S without n s, which may overflow */
  return examples / count * s + examples % count * s / count;
}

cdl_status ranks_shards_check(const ranks_job *job, int shards, size_t examples)
{
  const int size = ranks_size(job);
  if (size > shards)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%d ranks are more than the %d shards of a batch: give --shards %d or more, or "
                    "start fewer ranks",
                    size, shards, size);
  if (job != NULL && (size_t)size > examples)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%d ranks are more than the %zu examples of a step: start fewer ranks, or give "
                    "a larger --batch-size or --accumulate",
                    size, examples);
  return CDL_STATUS_OK;
}

static void deal_evenly(int shards, int size, int *first)
{
  for (int r = 0; r <= size; r++)
    first[r] = (int)((long long)shards * r / size);
}

/* Counts the ranks, from the first on, that it takes to compute all shards within `seconds` of a
 * shard's examples; `first` becomes that division. Each rank takes as many shards as it can and
 * leaves one for each rank after it. Returns whether all shards are dealt. */
static bool deal_within(double seconds, int shards, int size, const double *pace, int *first)
{
  first[0] = 0;
  for (int r = 0; r < size; r++) {
    const int least = 1, most = shards - first[r] - (size - 1 - r);
    const double room =
        seconds * pace[r] * (1 + 1e-12); /* count / pace * pace may be below count */
    int count = room >= (double)most ? most : (int)room;
    count = count < least ? least : count;
    first[r + 1] = first[r] + count;
  }
  return first[size] == shards;
}

/* The time of the slowest rank, in seconds of a shard at pace 1. */
static double slowest(int size, const double *pace, const int *first)
{
  double seconds = 0;
  for (int r = 0; r < size; r++) {
    const double own = (first[r + 1] - first[r]) / pace[r];
    seconds = own > seconds ? own : seconds;
  }
  return seconds;
}

void ranks_shards_deal(int shards, int size, const double *pace, int *first)
{
  deal_evenly(shards, size, first);
  for (int r = 0; r < size; r++)
    if (pace == NULL || !(pace[r] > 0))
      return; /* not measured yet */
  double best = slowest(size, pace, first);
  int tried[RANKS_SHARDS_MAX + 1];
  /* The least time is that of some rank with some number of shards. */
  for (int r = 0; r < size; r++)
    for (int count = 1; count <= shards - size + 1; count++) {
      const double seconds = count / pace[r];
      if (seconds >= best || !deal_within(seconds, shards, size, pace, tried))
        continue;
      const double now = slowest(size, pace, tried);
      if (now < best) {
        best = now;
        memcpy(first, tried, (size_t)(size + 1) * sizeof *first);
      }
    }
}
