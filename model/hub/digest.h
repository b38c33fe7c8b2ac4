/* The hash by which the hub names a file's content: SHA-256, or git's hash of a file (SHA-1 of
 * "blob SIZE", a zero byte, and the content). */
#ifndef CONDLORA_MODEL_HUB_DIGEST_H
#define CONDLORA_MODEL_HUB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/hub/libraries.h"

typedef struct {
  const hub_libraries *libraries;
  void *context;
} hub_digest;

/* Begins, again if it has begun before. The length of `hash` tells the kind; `size` is that of the
 * whole content. Errors: MEMORY. End with hub_digest_release, also after an error. */
CDL_MUST_USE cdl_status hub_digest_begin(hub_digest *digest, const hub_libraries *libraries,
                                         const char *hash, uint64_t size);
/* Adds what follows. Returns false if the library fails. */
bool hub_digest_add(hub_digest *digest, const void *bytes, size_t count);
/* Returns whether the content has `hash`. */
bool hub_digest_is(hub_digest *digest, const char *hash);
void hub_digest_release(hub_digest *digest);

#endif
