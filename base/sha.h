/* SHA-1 and SHA-256 (FIPS 180-4). SHA-1 is how git names a file's content; it finds accidents, but
 * whoever wants to can make two contents with one digest. */
#ifndef CONDLORA_BASE_SHA_H
#define CONDLORA_BASE_SHA_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef enum { BASE_SHA1, BASE_SHA256 } base_sha_kind;

/* Bytes of a digest as lower-case hexadecimal, with its NUL: 64 digits of SHA-256, 40 of SHA-1. */
enum { BASE_SHA_TEXT = 65 };

typedef struct {
  base_sha_kind kind;
  uint32_t state[8];
  uint64_t bytes;
  uint8_t block[64]; /* the first bytes % 64 are not in `state` yet */
} base_sha;

void base_sha_begin(base_sha *hash, base_sha_kind kind);
void base_sha_add(base_sha *hash, const void *bytes, size_t count);
/* Gives the digest of everything added. The hash can only be begun again afterwards. */
void base_sha_end(base_sha *hash, char text[BASE_SHA_TEXT]);

/* The SHA-256 of a file's content. Errors: those of base_file_map. */
CDL_MUST_USE cdl_status base_sha256_file(const char *path, char text[BASE_SHA_TEXT], size_t *bytes);

#endif
