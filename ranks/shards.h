/* Which rank has which shards of a step's batch, and which examples a shard has.
 *
 * A step's n examples are cut into S shards, whatever the number of ranks: shard s holds the
 * examples [n s / S, n (s + 1) / S). Each rank has neighbouring shards, at least one. Sums over
 * shards are taken in a fixed tree (ranks/tree.h), so who has which shards changes no byte. */
#ifndef CONDLORA_RANKS_SHARDS_H
#define CONDLORA_RANKS_SHARDS_H

#include <stddef.h>

#include "ranks/ranks.h"

enum { RANKS_SHARDS_MAX = 1024 };

/* Returns the first example of a shard; for shard = shards, the number of examples. */
size_t ranks_shard_begin(size_t examples, int shards, int shard);

/* Fails with USAGE, naming the numbers, unless each rank gets a shard and a full batch has an
 * example for each. `examples` is that of a full step. */
CDL_MUST_USE cdl_status ranks_shards_check(const ranks_job *job, int shards, size_t examples);

/* Deals shards [shards] to ranks [size]: rank r gets [first[r], first[r + 1]), `first` [size + 1].
 * `pace` [size] is how many examples a rank computes in a second; the slowest rank's time becomes
 * as short as whole shards allow. NULL deals evenly. Among equal divisions the first is taken, so
 * that all ranks find the same. */
void ranks_shards_deal(int shards, int size, const double *pace, int *first);

#endif
