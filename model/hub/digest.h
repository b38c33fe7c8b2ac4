/* The hash by which the hub names a file's content: SHA-256, or git's hash of a file (SHA-1 of
 * "blob SIZE", a zero byte, and the content). */
#ifndef CONDLORA_MODEL_HUB_DIGEST_H
#define CONDLORA_MODEL_HUB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha1.h"
#include "base/sha256.h"

typedef struct {
  bool is_sha256;
  base_sha1 sha1;
  base_sha256 sha256;
} hub_digest;

/* Begins, again if it has begun before. The length of `hash` tells the kind; `size` is that of the
 * whole content. */
void hub_digest_begin(hub_digest *digest, const char *hash, uint64_t size);
void hub_digest_add(hub_digest *digest, const void *bytes, size_t count);
/* Ends, and returns whether the content has `hash`. */
bool hub_digest_is(hub_digest *digest, const char *hash);

#endif
