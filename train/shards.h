/* The sums of a step by shard. A step's n examples are cut into S shards: shard s has the examples
 * [n·s / S, n·(s + 1) / S). Their gradients and losses are added as a binary tree over neighbouring
 * shards.
 *
 * On the CPU the shards of a batch pass together, because a row's bits do not depend on the rows
 * beside it; so how many batches a step has changes no bit of its result. The libraries of devices
 * choose their products by the shape of a batch. So there each shard passes alone: its gradients
 * are added where they belong, batch by batch, and then moved to the sums. So is the one shard of a
 * run that has no more, without the move. */
#ifndef CONDLORA_TRAIN_SHARDS_H
#define CONDLORA_TRAIN_SHARDS_H

#include "train/session.h"
#include "train/settings.h"

typedef struct {
  int count;             /* S */
  bool alone;            /* each shard passes alone */
  int batches;           /* of a step where they do not; each has S / batches shards */
  size_t most;           /* examples of a batch where they do */
  size_t examples;       /* of the step under way */
  int begin, done, end;  /* this process's shards, and the next of them that goes into a batch */
  size_t at;             /* where they pass alone: the next example, counted in the step */
  cdl_group *group;      /* sums the rows of the ranks on the device; NULL: none */
  bool summed;           /* row 0 of the sums has that of all shards, from all ranks */
  cdl_buffer *buffer;    /* NULL with one shard */
  cdl_tensor rows;       /* [S, columns]: a shard's gradients, its loss, and what fills the row */
  cdl_tensor losses;     /* [S, 1], of the rows */
  encoder_shards loaded; /* those of the batch that is loaded; count 0 where they pass alone */
  /* If they pass together and word embeddings are trained: the words of the step's examples, and
   * the plan by which their gradients are added to the table's. */
  int64_t vocabulary, words_room;
  int32_t *place, *words; /* [vocabulary] as in encoder_shards; [words_room] ascending */
  int32_t word_count;
  cdl_buffer *word_buffer;
  cdl_tensor count_up, word_rows; /* [words_room + 1] 0, 1, …; [words_room] `words` */
} train_shards;

/* Allocates the sums of the session's adapter for batches of up to `tokens`. The number of shards
 * is the setting. By default it is 8 on the CPU, rounded up to a multiple of the batches of a step;
 * elsewhere it is the number of ranks. Release it in any case. Errors: USAGE if the setting is no
 * multiple of the batches on the CPU; MEMORY. */
CDL_MUST_USE cdl_status train_shards_create(train_shards *shards, const train_session *session,
                                            const train_settings *settings, size_t tokens);
void train_shards_release(train_shards *shards);

/* Begins a step of `examples`. */
void train_shards_begin(train_shards *shards, size_t examples);
/* Notes the words of an example of the step, whichever rank has it. */
void train_shards_note(train_shards *shards, const int32_t *ids, size_t count);
/* Once all are noted: gives the words of the step their places. */
void train_shards_place(train_shards *shards, cdl_queue *queue);
/* Limits the step to the shards [begin, end), those of one rank. */
void train_shards_limit(train_shards *shards, int begin, int end);
/* Gives the examples [*first, *end) of the step that the shards from the next on have. */
void train_shards_rows(const train_shards *shards, size_t *first, size_t *end);
/* Takes what the step's next batch has, and returns its number of examples, which is not 0. */
size_t train_shards_next(train_shards *shards);
/* Call it after the pass over that batch: if it was the last one of a shard that passes alone,
 * moves the gradients and `loss` [1] to the sums, and sets them to zero. */
void train_shards_keep(const train_shards *shards, cdl_queue *queue, cdl_tensor loss);

/* Returns the passes of the shards [begin, end) of a step of `examples`, if they pass alone. */
int train_shards_passes(const train_shards *shards, size_t examples, int begin, int end);

/* Enqueues zeros for the sums of the shards that this process has. */
void train_shards_clear(const train_shards *shards, cdl_queue *queue);
/* Enqueues the addition of all sums to the gradients and to `loss` [1]. In a group, those of
 * all ranks are gathered before. */
void train_shards_add(const train_shards *shards, cdl_queue *queue, cdl_tensor loss);

#endif
