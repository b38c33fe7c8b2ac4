/* The sums of a step by shard. A step's n examples are cut into S shards: shard s has the examples
 * [n·s / S, n·(s + 1) / S). Their gradients and losses are added as a binary tree over neighbouring
 * shards. So how many batches a step has changes no bit of its result. With one shard gradients are
 * added where they belong, batch by batch. */
#ifndef CONDLORA_TRAIN_SHARDS_H
#define CONDLORA_TRAIN_SHARDS_H

#include "train/session.h"
#include "train/settings.h"

typedef struct {
  int count;             /* S */
  int batches;           /* of a step; each has S / batches shards */
  size_t examples;       /* of the step under way */
  int done, end;         /* the next shard that goes into a batch; the end of this process's */
  bool summed;           /* row 0 of the sums has that of all shards, from all ranks */
  cdl_buffer *buffer;    /* NULL with one shard */
  cdl_tensor losses;     /* [S, 1] */
  encoder_shards loaded; /* those of the batch that is loaded; count 0 with one shard */
} train_shards;

/* Gives the number of shards that a run has: the setting, or by default 8 on the CPU, rounded up to
 * a multiple of the batches of a step, and 1 on other backends and where embeddings are trained.
 * Errors: USAGE if the setting is no multiple of the batches, or gradients cannot be summed so. */
CDL_MUST_USE cdl_status train_shards_count(const train_session *session,
                                           const train_settings *settings, int *count);

/* Allocates the sums of the session's adapter. Errors: those of the count; MEMORY. */
CDL_MUST_USE cdl_status train_shards_create(train_shards *shards, const train_session *session,
                                            const train_settings *settings);
void train_shards_release(train_shards *shards);

/* Begins a step of `examples`. */
void train_shards_begin(train_shards *shards, size_t examples);
/* Limits the step to the shards [begin, end), those of one rank. */
void train_shards_limit(train_shards *shards, int begin, int end);
/* Gives the examples [*first, *end) of the step that the shards from the next on have. */
void train_shards_rows(const train_shards *shards, size_t *first, size_t *end);
/* Takes the shards of the step's next batch that has examples, and returns the number of examples.
 * Not for one shard. */
size_t train_shards_next(train_shards *shards);

/* Enqueues zeros for all sums. */
void train_shards_clear(const train_shards *shards, cdl_queue *queue);
/* Enqueues the addition of all sums to the gradients and to `loss` [1]. */
void train_shards_add(const train_shards *shards, cdl_queue *queue, cdl_tensor loss);

#endif
