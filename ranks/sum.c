#include "ranks/sum.h"

#include <stdlib.h>
#include <string.h>

#include "base/growing.h"

/* Numbers of a node that are exchanged at once: large enough that latency does not count, small
 * enough that the nodes of many ranks stay in the cache. */
enum { PART = 1 << 18 };

cdl_status ranks_sum_create(ranks_sum *sum, ranks_job *job, int shards, size_t numbers)
{
  *sum = (ranks_sum){
      .job = job, .shards = shards, .numbers = numbers, .part = numbers < PART ? numbers : PART};
  sum->counts = calloc((size_t)ranks_size(job), sizeof *sum->counts);
  if (sum->counts == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", ranks_size(job));
  ranks_tree_begin(&sum->own, shards, numbers);
  ranks_tree_begin(&sum->all, shards, sum->part);
  ranks_sum_begin(sum, NULL);
  return CDL_STATUS_OK;
}

void ranks_sum_release(ranks_sum *sum)
{
  ranks_tree_release(&sum->own);
  ranks_tree_release(&sum->all);
  free(sum->sent);
  free(sum->received);
  free(sum->counts);
  *sum = (ranks_sum){0};
}

void ranks_sum_begin(ranks_sum *sum, const double *pace)
{
  ranks_shards_deal(sum->shards, ranks_size(sum->job), pace, sum->first);
  ranks_tree_restart(&sum->own);
}

void ranks_sum_shards(const ranks_sum *sum, int *begin, int *end)
{
  const int rank = ranks_rank(sum->job);
  *begin = sum->first[rank];
  *end = sum->first[rank + 1];
}

cdl_status ranks_sum_add(ranks_sum *sum, int shard, const float *values)
{
  return ranks_tree_add(&sum->own, (ranks_node){shard, shard + 1}, values);
}

static cdl_status make_room(float **numbers, size_t *room, size_t wanted)
{
  if (wanted <= *room)
    return CDL_STATUS_OK;
  CDL_TRY(base_grow(numbers, wanted, sizeof **numbers));
  *room = wanted;
  return CDL_STATUS_OK;
}

/* Adds what the ranks sent of the numbers [at, at + count), in the order of the shards. */
static cdl_status add_received(ranks_sum *sum, size_t count)
{
  const float *values = sum->received;
  sum->all.numbers = count;
  ranks_tree_restart(&sum->all);
  for (int r = 0; r < ranks_size(sum->job); r++) {
    ranks_node nodes[RANKS_NODES_MAX];
    const int made = ranks_tree_nodes(sum->shards, sum->first[r], sum->first[r + 1], nodes);
    for (int i = 0; i < made; i++, values += count)
      CDL_TRY(ranks_tree_add(&sum->all, nodes[i], values));
  }
  return CDL_STATUS_OK;
}

static cdl_status exchange(ranks_sum *sum, size_t at, size_t count, float *out, const char *what)
{
  size_t total = 0;
  for (int r = 0; r < ranks_size(sum->job); r++) {
    ranks_node nodes[RANKS_NODES_MAX];
    const size_t numbers =
        (size_t)ranks_tree_nodes(sum->shards, sum->first[r], sum->first[r + 1], nodes) * count;
    sum->counts[r] = numbers * sizeof(float);
    total += numbers;
  }
  CDL_TRY(make_room(&sum->sent, &sum->sent_room, (size_t)sum->own.count * count));
  CDL_TRY(make_room(&sum->received, &sum->received_room, total));
  for (int i = 0; i < sum->own.count; i++)
    memcpy(sum->sent + (size_t)i * count, sum->own.values[i] + at, count * sizeof(float));
  CDL_TRY(ranks_gather_each(sum->job, sum->sent, sum->counts, sum->received, what));
  CDL_TRY(add_received(sum, count));
  memcpy(out + at, ranks_tree_sum(&sum->all), count * sizeof *out);
  return CDL_STATUS_OK;
}

cdl_status ranks_sum_finish(ranks_sum *sum, float *out, const char *what)
{
  int begin, end;
  ranks_sum_shards(sum, &begin, &end);
  const ranks_tree *own = &sum->own;
  if (own->count == 0 || own->node[0].begin != begin || own->node[own->count - 1].end != end)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: not all shards of this rank were added", what);
  if (sum->job == NULL) {
    memcpy(out, ranks_tree_sum(&sum->own), sum->numbers * sizeof *out);
    return CDL_STATUS_OK;
  }
  for (size_t at = 0; at < sum->numbers; at += sum->part) {
    const size_t left = sum->numbers - at;
    CDL_TRY(exchange(sum, at, left < sum->part ? left : sum->part, out, what));
  }
  return CDL_STATUS_OK;
}
