/* The sum of vectors over the shards of all ranks, the same bytes on each and for any division. */
#ifndef CONDLORA_RANKS_SUM_H
#define CONDLORA_RANKS_SUM_H

#include "ranks/ranks.h"
#include "ranks/shards.h"
#include "ranks/tree.h"

typedef struct {
  ranks_job *job; /* borrowed; NULL: one rank */
  int shards;
  size_t numbers;
  int first[RANKS_SHARDS_MAX + 1]; /* rank r has the shards [first[r], first[r + 1]) */
  ranks_tree own, all;             /* of this rank's shards; of all nodes of a part */
  size_t part;                     /* numbers that are exchanged at once */
  float *sent, *received;          /* nodes of a part: this rank's; all ranks' */
  size_t sent_room, received_room; /* in numbers */
  size_t *counts;                  /* [size] bytes of each rank */
} ranks_sum;

/* For vectors of `numbers` floats, with the shards dealt evenly. Errors: MEMORY; then there is
 * nothing to release. */
CDL_MUST_USE cdl_status ranks_sum_create(ranks_sum *sum, ranks_job *job, int shards,
                                         size_t numbers);
void ranks_sum_release(ranks_sum *sum);

/* Begins the next sum. All ranks pass the same `pace`, as in ranks_shards_deal. */
void ranks_sum_begin(ranks_sum *sum, const double *pace);
/* The shards of this rank in this sum: [*begin, *end). */
void ranks_sum_shards(const ranks_sum *sum, int *begin, int *end);
/* Adds the vector [numbers] of the rank's next shard; it is copied. Errors: MEMORY. */
CDL_MUST_USE cdl_status ranks_sum_add(ranks_sum *sum, int shard, const float *values);
/* Collective, once each rank has added all its shards: `out` [numbers] is the sum of all shards. */
CDL_MUST_USE cdl_status ranks_sum_finish(ranks_sum *sum, float *out, const char *what);

#endif
