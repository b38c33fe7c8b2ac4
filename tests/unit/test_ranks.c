/* Shards, their tree, and what the environment says of launchers; jobs of several processes are
 * tested by tests/programs/ranks.py. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ranks/launcher.h"
#include "ranks/shards.h"
#include "ranks/sum.h"
#include "ranks/tree.h"
#include "tests/run_suite.h"

/* ---- The tree ---- */

static unsigned state = 1;

static int below(int n)
{
  state = state * 1103515245u + 12345u;
  return (int)((state >> 8) % (unsigned)n);
}

/* The sum by the definition: level by level, from the whole list of shards. */
static float sum_by_levels(const float *shards, int count)
{
  float level[RANKS_SHARDS_MAX];
  memcpy(level, shards, (size_t)count * sizeof *level);
  while (count > 1) {
    const int half = count / 2, odd = count % 2;
    for (int i = 0; i < half; i++)
      level[i] = level[2 * i] + level[2 * i + 1];
    if (odd)
      level[half] = level[count - 1];
    count = half + odd;
  }
  return level[0];
}

/* The same by holders of neighbouring shards, who keep their nodes; then of all nodes. */
static float sum_by_holders(const float *shards, int count, const int *first, int holders)
{
  ranks_tree all;
  ranks_tree_begin(&all, count, 1);
  for (int h = 0; h < holders; h++) {
    ranks_tree own;
    ranks_node nodes[RANKS_NODES_MAX];
    ranks_tree_begin(&own, count, 1);
    for (int s = first[h]; s < first[h + 1]; s++)
      ck_assert_int_eq(ranks_tree_add(&own, (ranks_node){s, s + 1}, &shards[s]), CDL_STATUS_OK);
    ck_assert_int_eq(ranks_tree_nodes(count, first[h], first[h + 1], nodes), own.count);
    for (int i = 0; i < own.count; i++) {
      ck_assert_int_eq(nodes[i].begin, own.node[i].begin);
      ck_assert_int_eq(nodes[i].end, own.node[i].end);
      ck_assert_int_eq(ranks_tree_add(&all, nodes[i], own.values[i]), CDL_STATUS_OK);
    }
    ranks_tree_release(&own);
  }
  const float *sum = ranks_tree_sum(&all);
  ck_assert_msg(sum != NULL, "%d shards by %d holders leave %d nodes", count, holders, all.count);
  const float result = *sum;
  ranks_tree_release(&all);
  return result;
}

static void divide(int count, int holders, int *first)
{
  first[0] = 0;
  for (int h = 0; h < holders; h++) {
    const int spare = count - first[h] - (holders - h);
    first[h + 1] = first[h] + 1 + (h + 1 < holders ? below(spare + 1) : spare);
  }
}

START_TEST(any_division_gives_the_bits_of_the_definition)
{
  enum { DRAWS = 20000 };
  for (int draw = 0; draw < DRAWS; draw++) {
    const int count = 1 + below(draw % 100 == 0 ? 500 : 20), holders = 1 + below(count);
    float shards[RANKS_SHARDS_MAX];
    int first[RANKS_SHARDS_MAX + 1];
    for (int s = 0; s < count; s++)
      shards[s] = ((float)below(1 << 20) - (1 << 19)) * powf(10, (float)below(12) - 6);
    divide(count, holders, first);
    const float expected = sum_by_levels(shards, count),
                got = sum_by_holders(shards, count, first, holders);
    ck_assert_msg(memcmp(&expected, &got, sizeof got) == 0, "%d shards by %d holders: %a, not %a",
                  count, holders, (double)got, (double)expected);
  }
}
END_TEST

START_TEST(a_holder_keeps_few_nodes)
{
  ranks_node nodes[RANKS_NODES_MAX];
  for (int begin = 0; begin < RANKS_SHARDS_MAX; begin += 7)
    for (int end = begin + 1; end <= RANKS_SHARDS_MAX; end += 5)
      ck_assert_int_le(ranks_tree_nodes(RANKS_SHARDS_MAX, begin, end, nodes), 20);
  ck_assert_int_eq(ranks_tree_nodes(8, 2, 4, nodes), 1);
  ck_assert_int_eq(ranks_tree_nodes(8, 1, 7, nodes), 4);
  ck_assert_int_eq(ranks_tree_nodes(5, 4, 5, nodes), 1);
  ck_assert_int_eq(ranks_tree_nodes(5, 0, 5, nodes), 1);
}
END_TEST

START_TEST(one_rank_sums_without_a_job)
{
  ranks_sum sum;
  int begin, end;
  float out[2];
  ck_assert_int_eq(ranks_sum_create(&sum, NULL, 3, 2), CDL_STATUS_OK);
  for (int round = 0; round < 2; round++) {
    ranks_sum_begin(&sum, NULL);
    ranks_sum_shards(&sum, &begin, &end);
    ck_assert_int_eq(begin, 0);
    ck_assert_int_eq(end, 3);
    for (int s = 0; s < 3; s++)
      ck_assert_int_eq(ranks_sum_add(&sum, s, (float[]){(float)(s + round), 1}), CDL_STATUS_OK);
    ck_assert_int_eq(ranks_sum_finish(&sum, out, "a step"), CDL_STATUS_OK);
    ck_assert(out[0] == (float)(3 + 3 * round) && out[1] == 3);
  }
  ranks_sum_begin(&sum, NULL);
  ck_assert_int_eq(ranks_sum_add(&sum, 0, out), CDL_STATUS_OK);
  ck_assert_int_eq(ranks_sum_finish(&sum, out, "step 3"), CDL_STATUS_ARGUMENT);
  ranks_sum_release(&sum);
}
END_TEST

/* ---- Shards ---- */

START_TEST(shards_cut_all_examples)
{
  for (size_t examples = 0; examples < 70; examples++)
    for (int shards = 1; shards < 20; shards++) {
      ck_assert_uint_eq(ranks_shard_begin(examples, shards, 0), 0);
      ck_assert_uint_eq(ranks_shard_begin(examples, shards, shards), examples);
      for (int s = 0; s < shards; s++)
        ck_assert_uint_eq(ranks_shard_begin(examples, shards, s),
                          examples * (size_t)s / (size_t)shards);
    }
  ck_assert_uint_eq(ranks_shard_begin(SIZE_MAX, 2, 1), SIZE_MAX / 2);
}
END_TEST

static double slowest(int size, const double *pace, const int *first)
{
  double seconds = 0;
  for (int r = 0; r < size; r++)
    seconds = fmax(seconds, (first[r + 1] - first[r]) / pace[r]);
  return seconds;
}

/* The least time of the slowest of all divisions of `shards` among the ranks from `r` on. */
static double best_of_all(int shards, int r, int size, const double *pace)
{
  if (r == size - 1)
    return shards / pace[r];
  double best = INFINITY;
  for (int own = 1; own <= shards - (size - 1 - r); own++)
    best = fmin(best, fmax(own / pace[r], best_of_all(shards - own, r + 1, size, pace)));
  return best;
}

START_TEST(the_slowest_rank_gets_as_little_as_whole_shards_allow)
{
  for (int draw = 0; draw < 2000; draw++) {
    const int shards = 1 + below(12), size = 1 + below(shards < 5 ? shards : 5);
    double pace[8];
    int first[16];
    for (int r = 0; r < size; r++)
      pace[r] = 0.5 + below(40) / 7.0;
    ranks_shards_deal(shards, size, pace, first);
    ck_assert_int_eq(first[0], 0);
    ck_assert_int_eq(first[size], shards);
    for (int r = 0; r < size; r++)
      ck_assert_int_lt(first[r], first[r + 1]);
    ck_assert_double_le(slowest(size, pace, first),
                        best_of_all(shards, 0, size, pace) * (1 + 1e-9));
  }
}
END_TEST

START_TEST(without_a_pace_shards_are_dealt_evenly)
{
  int first[5];
  ranks_shards_deal(8, 4, NULL, first);
  ck_assert(first[0] == 0 && first[1] == 2 && first[2] == 4 && first[3] == 6 && first[4] == 8);
  ranks_shards_deal(8, 3, (double[]){1, 0, 1}, first);
  ck_assert(first[1] == 2 && first[2] == 5 && first[3] == 8);
}
END_TEST

/* ---- Launchers ---- */

static void assert_launcher(ranks_launcher_kind kind, int size, int rank, int local_rank)
{
  const ranks_launcher found = ranks_launcher_find();
  ck_assert_int_eq(found.kind, kind);
  ck_assert_int_eq(found.size, size);
  ck_assert_int_eq(found.rank, rank);
  ck_assert_int_eq(found.local_rank, local_rank);
}

static void set(const char *const pairs[])
{
  clearenv();
  for (; *pairs != NULL; pairs += 2)
    ck_assert_int_eq(setenv(pairs[0], pairs[1], 1), 0);
}

START_TEST(launchers_are_known_by_their_variables)
{
  set((const char *[]){NULL});
  ck_assert_int_eq(ranks_launcher_find().kind, RANKS_LAUNCHER_NONE);
  ck_assert_int_eq(ranks_launcher_find().size, 1);
  /* a batch script of Slurm, which itself starts the program once */
  set((const char *[]){"SLURM_NTASKS", "4", "SLURM_PROCID", "0", "SLURM_JOB_ID", "7", NULL});
  ck_assert_int_eq(ranks_launcher_find().kind, RANKS_LAUNCHER_NONE);
  set((const char *[]){"OMPI_COMM_WORLD_SIZE", "4", "OMPI_COMM_WORLD_RANK", "3",
                       "OMPI_COMM_WORLD_LOCAL_RANK", "1", "PMIX_RANK", "3", "PMIX_NAMESPACE", "9",
                       "SLURM_STEP_NUM_TASKS", "2", "SLURM_PROCID", "1", NULL});
  assert_launcher(RANKS_LAUNCHER_OPEN_MPI, 4, 3, 1);
  set((const char *[]){"PMI_RANK", "2", "PMI_SIZE", "3", "MPI_LOCALRANKID", "0", NULL});
  assert_launcher(RANKS_LAUNCHER_PMI, 3, 2, 0);
  set((const char *[]){"PMIX_RANK", "5", "PMIX_NAMESPACE", "slurm.1", "SLURM_STEP_NUM_TASKS", "8",
                       "SLURM_PROCID", "5", "SLURM_LOCALID", "1", NULL});
  assert_launcher(RANKS_LAUNCHER_PMIX, 8, 5, 1);
  set((const char *[]){"SLURM_STEP_NUM_TASKS", "8", "SLURM_PROCID", "5", "SLURM_LOCALID", "1",
                       NULL});
  assert_launcher(RANKS_LAUNCHER_BARE_SLURM, 8, 5, 1);
  set((const char *[]){"PMI_RANK", "x", "PMI_SIZE", "99999999999", NULL});
  assert_launcher(RANKS_LAUNCHER_PMI, 0, -1, -1);
}
END_TEST

START_TEST(a_launcher_without_an_interface_is_refused)
{
  ranks_job *job;
  set((const char *[]){"SLURM_STEP_NUM_TASKS", "8", "SLURM_PROCID", "5", NULL});
  ck_assert_int_eq(ranks_open(&job, "a test"), CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "--mpi=pmix"));
  set((const char *[]){"PMI_RANK", "0", "PMI_SIZE", "2", "CDL_MPI", "other", NULL});
  ck_assert_int_eq(ranks_open(&job, "a test"), CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "CDL_MPI is other"));
  set((const char *[]){"PMI_RANK", "0", "PMI_SIZE", "2", "CDL_MPI", "/nowhere/libmpi_abi.so.1",
                       NULL});
  ck_assert_int_eq(ranks_open(&job, "a test"), CDL_STATUS_ABSENT);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "/nowhere/libmpi_abi.so.1"));
  set((const char *[]){"SLURM_STEP_NUM_TASKS", "1", "SLURM_PROCID", "0", NULL});
  ck_assert_int_eq(ranks_open(&job, "a test"), CDL_STATUS_OK);
  ck_assert_ptr_null(job);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {any_division_gives_the_bits_of_the_definition,
                                a_holder_keeps_few_nodes,
                                one_rank_sums_without_a_job,
                                shards_cut_all_examples,
                                the_slowest_rank_gets_as_little_as_whole_shards_allow,
                                without_a_pace_shards_are_dealt_evenly,
                                launchers_are_known_by_their_variables,
                                a_launcher_without_an_interface_is_refused,
                                NULL};
  Suite *suite = suite_create("ranks");
  TCase *all = tcase_create("ranks");
  tcase_set_timeout(all, 60);
  for (size_t i = 0; tests[i] != NULL; i++)
    tcase_add_test(all, tests[i]);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
