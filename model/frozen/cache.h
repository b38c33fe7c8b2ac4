/* States of frozen layers: what the lowest blocks give for an example, computed once. All that run
 * on one base share a cache: the epochs and evaluations of a run, and the runs. */
#ifndef CONDLORA_MODEL_FROZEN_CACHE_H
#define CONDLORA_MODEL_FROZEN_CACHE_H

#include "model/encoder/packing.h"

typedef struct frozen_cache frozen_cache;

typedef struct {
  bool on_disk; /* otherwise in memory */
  bool narrow;  /* states are rounded to BF16, whether they are kept or not */
  /* Bytes of memory, or of all files in the folder; 0: half of what is free, beside the files that
   * are there. Files that were not used for longest make room. */
  uint64_t limit;
  const char *folder;      /* of the files; NULL: "states" in base_cache_path */
  cdl_precision precision; /* of the backend; states depend on it */
} frozen_cache_settings;

/* Makes a cache for one backend and base. It takes no memory before the first states. Errors:
 * MEMORY; IO if the folder cannot be made. */
CDL_MUST_USE cdl_status frozen_cache_create(const frozen_cache_settings *settings,
                                            frozen_cache **cache);
void frozen_cache_destroy(frozen_cache *cache);
uint64_t frozen_cache_limit(const frozen_cache *cache);

/* Returns whether the backend gives the same bytes for an example's states whatever stands beside
 * it in a batch. Then results with a cache that is not narrow have the bytes of those without. */
bool frozen_states_are_exact(const cdl_backend *backend);

/* Returns the bytes of the states of so many tokens in so many examples, if passes begin at
 * `block`. */
uint64_t frozen_cache_bytes(const frozen_cache *cache, const model_encoder *encoder, int block,
                            uint64_t tokens, uint64_t examples);

/* Gives a filled batch the states with which the encoder's passes begin (encoder_begin_at). States
 * that the cache does not hold are computed by a pass of the encoder, which must be planned for the
 * batch. Errors: MEMORY, those of the pass. */
CDL_MUST_USE cdl_status frozen_cache_take(frozen_cache *cache, model_encoder *encoder,
                                          cdl_queue *queue, encoder_host_batch *batch);

/* Numbers of examples since the cache was made: those that it held, and those that were
 * computed. */
typedef struct {
  uint64_t held, computed;
} frozen_cache_counts;
frozen_cache_counts frozen_cache_count(const frozen_cache *cache);

#endif
