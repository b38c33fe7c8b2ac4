/* The hash by which the hub names a file's content: SHA-256, or git's hash of a file (SHA-1 of
 * "blob SIZE", a zero byte, and the content). */
#ifndef CONDLORA_MODEL_HUB_DIGEST_H
#define CONDLORA_MODEL_HUB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha.h"

/* Begins, again if it has begun before; add the content with base_sha_add. The length of `hash`
 * tells the kind; `size` is that of the whole content. */
void hub_digest_begin(base_sha *digest, const char *hash, uint64_t size);
/* Ends, and returns whether the content has `hash`. */
bool hub_digest_is(base_sha *digest, const char *hash);

#endif
