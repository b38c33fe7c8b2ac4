/* The shards of a step on the ranks of a job: each rank passes neighbouring shards, and the sums of
 * all are added in the tree that one process adds (ranks/sum.h). */
#ifndef CONDLORA_TRAIN_RANK_SHARDS_H
#define CONDLORA_TRAIN_RANK_SHARDS_H

#include "ranks/sum.h"
#include "train/shards.h"

typedef struct {
  ranks_sum sum;
  cdl_backend *backend;
  float *rows;    /* the sums of this rank's shards on the host */
  double began;   /* when this rank began the step */
  double *pace;   /* [size] shards that each rank computes in a second, averaged */
  void *meeting;  /* [size] what the ranks say of a step */
  int64_t steps;  /* so far */
  bool measured;  /* `pace` is of enough steps to deal by */
  bool stop;      /* some rank was asked to stop */
  double waiting; /* of the last step: see train_step_report */
} train_rank_shards;

/* Errors: MEMORY; USAGE as in ranks_shards_check. Release it in any case. */
CDL_MUST_USE cdl_status train_rank_shards_create(train_rank_shards *ranks,
                                                 const train_session *session,
                                                 const train_settings *settings,
                                                 const train_shards *shards);
void train_rank_shards_release(train_rank_shards *ranks);

/* Returns the rank that computes the fewest shards in a second. */
int train_rank_shards_slowest(const train_rank_shards *ranks);

/* After train_shards_begin: limits the step to this rank's shards. */
void train_rank_shards_begin(train_rank_shards *ranks, train_shards *shards);
/* Collective, after this rank's batches: gives the shards the sum of all ranks, unless they are in
 * a group and do it themselves on the device. All ranks have met then. `stop` says that this rank
 * was asked to stop; `number` of the step is for messages. */
CDL_MUST_USE cdl_status train_rank_shards_sum(train_rank_shards *ranks, train_shards *shards,
                                              cdl_queue *queue, bool stop, int64_t number);

#endif
