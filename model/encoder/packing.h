/* Batches of token sequences end to end, without padding: which examples form a batch, and a batch
 * on the host. */
#ifndef CONDLORA_MODEL_ENCODER_PACKING_H
#define CONDLORA_MODEL_ENCODER_PACKING_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"
#include "model/encoder/encoder.h"

/* The largest sizes of any batch; buffers need these sizes. */
typedef struct {
  size_t examples, tokens, longest;
} encoder_batch_bound;

/* Computes the bound of batches of `size` of these rows in any order: the tokens of the `size`
 * longest examples. Errors: MEMORY; DATA if the tokens exceed the 32-bit offsets of a batch. */
CDL_MUST_USE cdl_status encoder_batch_bound_of(const cdl_tokens *tokens, const uint32_t *rows,
                                               size_t count, size_t size,
                                               encoder_batch_bound *bound);

/* Rows in order of ascending length (equal lengths in their given order), divided into batches. A
 * batch holds at most `token_budget` tokens and `example_limit` examples, or one longer example. */
typedef struct {
  uint32_t *rows; /* [count] */
  size_t *first;  /* [batches + 1]: batch b has rows[first[b]] … rows[first[b + 1] - 1] */
  size_t count, batches;
  encoder_batch_bound bound;
} encoder_batch_order;
/* Errors: MEMORY and DATA as above; ARGUMENT for a limit of 0. */
CDL_MUST_USE cdl_status encoder_batch_order_make(const cdl_tokens *tokens, const uint32_t *rows,
                                                 size_t count, size_t token_budget,
                                                 size_t example_limit, encoder_batch_order *order);
void encoder_batch_order_release(encoder_batch_order *order);

/* A batch on the host. The caller owns the arrays, whose lengths a bound gives. Arrays that are
 * NULL are not filled. */
typedef struct {
  int32_t *ids;       /* [tokens] */
  int32_t *positions; /* [tokens] */
  int32_t *type_ids;  /* [tokens] */
  int32_t *offsets;   /* [examples + 1], from 0 */
  uint32_t *index;    /* [examples] row of each example in the tokens */
  encoder_batch_bound capacity;
  /* Not part of the bound, NULL at first: memory from malloc for the states with which passes of
   * the batch begin (encoder_begin_at), and its size. Whoever computes them makes it. */
  void *states;
  size_t state_bytes;

  size_t examples, tokens, longest; /* set by encoder_host_batch_fill */
} encoder_host_batch;

/* Fills a batch with the examples of `rows`, in order. Positions count from `first_position`, as by
 * model_count_positions. Does not allocate. Errors: ARGUMENT if the batch is too small or a row
 * does not exist. */
CDL_MUST_USE cdl_status encoder_host_batch_fill(encoder_host_batch *batch, const cdl_tokens *tokens,
                                                const uint32_t *rows, size_t count,
                                                int32_t first_position);

/* Allocates the host arrays of a batch with the size of `bound`. Returns false if memory is out. */
bool encoder_host_batch_allocate(encoder_host_batch *batch, encoder_batch_bound bound);
void encoder_host_batch_free(encoder_host_batch *batch);
/* The encoder's view of a filled batch. */
encoder_token_batch encoder_host_batch_view(const encoder_host_batch *batch);

#endif
