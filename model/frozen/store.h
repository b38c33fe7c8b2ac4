/* States of frozen layers by the tokens of the example: in memory or in a file. */
#ifndef CONDLORA_MODEL_FROZEN_STORE_H
#define CONDLORA_MODEL_FROZEN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct frozen_store frozen_store;

/* An example, which its tokens and their types name. Borrowed. */
typedef struct {
  const int32_t *ids, *types; /* [tokens] */
  uint32_t tokens;
} frozen_example;

typedef struct {
  const char *identity; /* all that the states depend on besides the tokens, in one line */
  const char *path;     /* of the file; NULL: in memory */
  size_t row_bytes;
  bool firsts;    /* an example has the row of its first token, not one for each token */
  uint64_t *room; /* bytes that the store may still take; several stores may share it */
  /* Tries to raise `room` to so many bytes, and returns whether it did; NULL: it cannot be
   * raised. */
  bool (*make_room)(void *user, uint64_t bytes);
  void *user;
} frozen_store_settings;

/* A file that cannot be used is no error: a notice names it, and the store stays empty. Errors:
 * MEMORY. */
CDL_MUST_USE cdl_status frozen_store_open(const frozen_store_settings *settings,
                                          frozen_store **store);
void frozen_store_close(frozen_store *store);

size_t frozen_store_bytes(const frozen_store *store, const frozen_example *example);
/* Copies the example's states [frozen_store_bytes]. Returns false if they are not there. */
bool frozen_store_get(frozen_store *store, const frozen_example *example, void *states);
/* Keeps the states unless they are there already or the room is used up. */
void frozen_store_put(frozen_store *store, const frozen_example *example, const void *states);

#endif
