/* What must be equal on all ranks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"
#include "ranks/ranks.h"

/* The values of a rank's facts, one after the other, each with its NUL. */
static char *values_of(const ranks_fact *facts, size_t count, size_t *bytes)
{
  *bytes = 0;
  for (size_t i = 0; i < count; i++)
    *bytes += strlen(facts[i].value) + 1;
  char *values = malloc(*bytes + 1), *at = values;
  for (size_t i = 0; values != NULL && i < count; i++)
    at = stpcpy(at, facts[i].value) + 1;
  return values;
}

typedef struct {
  int differences;
  char first[512];
} comparison;

/* Adds the differences between rank 0's values and those of `rank`. */
static void compare_rank(const ranks_job *job, int rank, const ranks_fact *facts, size_t count,
                         const char *zero, const char *other, comparison *c)
{
  for (size_t i = 0; i < count; i++) {
    if (strcmp(zero, other) != 0) {
      char line[sizeof c->first];
      snprintf(line, sizeof line, "rank %d (%s): %s is %s, on rank 0 (%s) it is %s", rank,
               ranks_peer_of(job, rank)->host, facts[i].name, other, ranks_peer_of(job, 0)->host,
               zero);
      if (c->differences++ == 0)
        memcpy(c->first, line, sizeof c->first);
      else if (ranks_rank(job) == 0)
        cdl_log(CDL_LOG_WARNING, "%s", line);
    }
    zero += strlen(zero) + 1;
    other += strlen(other) + 1;
  }
}

typedef struct {
  uint64_t count, bytes;
} extent;

static cdl_status compare_all(ranks_job *job, const ranks_fact *facts, size_t count,
                              const extent *extents, const char *all)
{
  comparison c = {.differences = 0};
  const char *at = all;
  for (int r = 0; r < ranks_size(job); r++) {
    if (extents[r].count != count)
      return cdl_fail(
          CDL_STATUS_DATA,
          "rank %d (%s) compares %llu facts, rank 0 %zu: they are of different versions", r,
          ranks_peer_of(job, r)->host, (unsigned long long)extents[r].count, count);
    compare_rank(job, r, facts, count, all, at, &c);
    at += extents[r].bytes;
  }
  return c.differences == 0 ? CDL_STATUS_OK
                            : cdl_fail(CDL_STATUS_DATA,
                                       "%s; the ranks of a job need the same program, model, data, "
                                       "settings and backend (%d difference%s)",
                                       c.first, c.differences, c.differences > 1 ? "s" : "");
}

cdl_status ranks_compare(ranks_job *job, const ranks_fact *facts, size_t count)
{
  static const char what[] = "the comparison of inputs";
  if (job == NULL)
    return CDL_STATUS_OK;
  const size_t size = (size_t)ranks_size(job);
  size_t bytes, total = 0;
  char *mine = values_of(facts, count, &bytes), *all = NULL;
  extent *extents = calloc(size, sizeof *extents);
  size_t *counts = calloc(size, sizeof *counts);
  cdl_status status = mine != NULL && extents != NULL && counts != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", what);
  if (status == CDL_STATUS_OK)
    status = ranks_gather(job, &(extent){count, bytes}, sizeof *extents, extents, what);
  for (size_t r = 0; status == CDL_STATUS_OK && r < size; r++)
    total += counts[r] = (size_t)extents[r].bytes;
  if (status == CDL_STATUS_OK && (all = malloc(total + 1)) == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", what);
  if (status == CDL_STATUS_OK)
    status = ranks_gather_each(job, mine, counts, all, what);
  if (status == CDL_STATUS_OK)
    status = ranks_agree(job, compare_all(job, facts, count, extents, all), what);
  free(mine);
  free(extents);
  free(counts);
  free(all);
  return status;
}
