/* ranks-probe CASE: one rank of a job; ranks.py starts several. Prints what it finds. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/process.h"
#include "condlora/log.h"
#include "ranks/ranks.h"
#include "ranks/sum.h"

static void print_log(void *user, cdl_log_level level, const char *line)
{
  (void)user;
  if (level != CDL_LOG_DEBUG)
    fprintf(stderr, "%s\n", line);
}

/* "ranks-probe who": what each rank knows of the job. */
static cdl_status who(ranks_job *job)
{
  int32_t mine = ranks_rank(job) + 100, root = ranks_rank(job) == ranks_size(job) - 1 ? 42 : 0;
  int32_t *all = calloc((size_t)ranks_size(job), sizeof *all);
  CDL_TRY(ranks_gather(job, &mine, sizeof mine, all, "a gather"));
  CDL_TRY(ranks_broadcast(job, &root, sizeof root, ranks_size(job) - 1, "a broadcast"));
  CDL_TRY(ranks_barrier(job, "a barrier"));
  for (int i = 0; i < ranks_size(job); i++)
    if (all[i] != 100 + i || root != 42)
      return cdl_fail(CDL_STATUS_DATA, "rank %d's number is %d, the root's %d", i, all[i], root);
  free(all);
  printf("rank %d of %d, local %d of %d, %d hosts, %s\n", ranks_rank(job), ranks_size(job),
         ranks_local_rank(job), ranks_local_size(job), ranks_hosts(job), ranks_library(job));
  return CDL_STATUS_OK;
}

static uint64_t next(uint64_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 7;
  return *state ^= *state << 17;
}

/* The vector of a shard, with values whose sum depends on the order. */
static void fill(float *values, size_t numbers, int shard, int round)
{
  uint64_t state = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(1 + shard + 1000 * round);
  for (size_t i = 0; i < numbers; i++)
    values[i] = ((float)(int64_t)next(&state)) * (i % 3 == 0 ? 1e-19F : 1e-12F);
}

/* "ranks-probe sum SHARDS NUMBERS SEED": sums of shards, dealt by a pace that changes; prints the
 * hash of all sums, which is the same for any number of ranks. */
static cdl_status sum(ranks_job *job, char **arguments)
{
  const int shards = atoi(arguments[0]);
  const size_t numbers = (size_t)atol(arguments[1]);
  uint64_t seed = (uint64_t)atol(arguments[2]), hash = BASE_FNV_START;
  float *values = malloc((numbers + 1) * sizeof *values);
  double *pace = calloc((size_t)ranks_size(job), sizeof *pace);
  ranks_sum s;
  CDL_TRY(ranks_sum_create(&s, job, shards, numbers));
  for (int round = 0; round < 5; round++) {
    int begin, end;
    for (int r = 0; r < ranks_size(job); r++)
      pace[r] = 1 + (double)(next(&seed) % 7);
    ranks_sum_begin(&s, round == 0 ? NULL : pace);
    ranks_sum_shards(&s, &begin, &end);
    for (int shard = begin; shard < end; shard++) {
      fill(values, numbers, shard, round);
      CDL_TRY(ranks_sum_add(&s, shard, values));
    }
    CDL_TRY(ranks_sum_finish(&s, values, "a sum"));
    hash = base_fnv(hash, values, numbers * sizeof *values);
  }
  ranks_sum_release(&s);
  free(values);
  free(pace);
  printf("%016" PRIx64 "\n", hash);
  return CDL_STATUS_OK;
}

/* "ranks-probe differ": the last rank has another program and another setting. */
static cdl_status differ(ranks_job *job)
{
  const bool other = ranks_rank(job) == ranks_size(job) - 1;
  const ranks_fact facts[] = {{"the program", other ? "0.2.0" : "0.1.0"},
                              {"the model", "8f3a"},
                              {"--lr", other ? "0.001" : "0.01"}};
  return ranks_compare(job, facts, sizeof facts / sizeof facts[0]);
}

/* "ranks-probe fail": the last rank fails, and all agree on that. */
static cdl_status fail(ranks_job *job)
{
  const bool last = ranks_rank(job) == ranks_size(job) - 1;
  const cdl_status own =
      last ? cdl_fail(CDL_STATUS_IO, "/data/train.tsv: no such file") : CDL_STATUS_OK;
  return ranks_agree(job, own, "the opening of inputs");
}

/* "ranks-probe alone": the last rank fails and tells nobody. */
static cdl_status alone(ranks_job *job)
{
  if (ranks_rank(job) == ranks_size(job) - 1)
    return cdl_fail(CDL_STATUS_NUMERIC, "something went wrong here");
  return ranks_barrier(job, "step 3");
}

/* "ranks-probe leave SIGNAL": the last rank sends itself a signal; the others go on. */
static cdl_status leave(ranks_job *job, char **arguments)
{
  CDL_TRY(ranks_barrier(job, "step 1"));
  if (ranks_rank(job) == ranks_size(job) - 1)
    raise(atoi(arguments[0]));
  return ranks_barrier(job, "step 2");
}

/* "ranks-probe pace COUNT BYTES": the time of a gather. */
static cdl_status pace(ranks_job *job, char **arguments)
{
  const int count = atoi(arguments[0]);
  const size_t bytes = (size_t)atol(arguments[1]);
  char *mine = calloc(1, bytes), *all = calloc((size_t)ranks_size(job), bytes);
  const double began = base_process_seconds();
  for (int i = 0; i < count; i++)
    CDL_TRY(ranks_gather(job, mine, bytes, all, "a gather"));
  if (ranks_rank(job) == 0)
    printf("%.1f us\n", (base_process_seconds() - began) / count * 1e6);
  return CDL_STATUS_OK;
}

static cdl_status run(ranks_job *job, int count, char **arguments)
{
  const char *name = count > 1 ? arguments[1] : "";
  if (strcmp(name, "who") == 0)
    return who(job);
  if (strcmp(name, "sum") == 0 && count == 5)
    return sum(job, arguments + 2);
  if (strcmp(name, "differ") == 0)
    return differ(job);
  if (strcmp(name, "fail") == 0)
    return fail(job);
  if (strcmp(name, "alone") == 0)
    return alone(job);
  if (strcmp(name, "leave") == 0 && count == 3)
    return leave(job, arguments + 2);
  if (strcmp(name, "pace") == 0 && count == 4)
    return pace(job, arguments + 2);
  return cdl_fail(CDL_STATUS_USAGE, "there is no case %s", name);
}

int main(int count, char **arguments)
{
  ranks_job *job;
  cdl_log_to(print_log, NULL);
  cdl_status status = ranks_open(&job, "a probe");
  if (status == CDL_STATUS_OK)
    status = run(job, count, arguments);
  if (ranks_name_failure(job, status) != CDL_STATUS_OK && ranks_speaks(job))
    fprintf(stderr, "probe: %s\n", cdl_error_message());
  fflush(stdout);
  ranks_close(job, status);
  return status == CDL_STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
