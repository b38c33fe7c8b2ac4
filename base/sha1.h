/* SHA-1 (FIPS 180-4), by which git names a file's content. It finds accidents; who wants to can
 * make two contents with one digest. */
#ifndef CONDLORA_BASE_SHA1_H
#define CONDLORA_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { BASE_SHA1_TEXT = 41 }; /* bytes of the digest as lower-case hexadecimal, with its NUL */

typedef struct {
  uint32_t state[5];
  uint64_t bytes;
  uint8_t block[64]; /* the first bytes % 64 are not in `state` yet */
} base_sha1;

void base_sha1_begin(base_sha1 *hash);
void base_sha1_add(base_sha1 *hash, const void *bytes, size_t count);
/* Gives the digest of everything added. The hash can only be begun again afterwards. */
void base_sha1_end(base_sha1 *hash, char text[BASE_SHA1_TEXT]);

#endif
