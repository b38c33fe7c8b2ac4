/* SHA-256 (FIPS 180-4). */
#ifndef CONDLORA_BASE_SHA256_H
#define CONDLORA_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

enum { BASE_SHA256_TEXT = 65 }; /* bytes of the digest as lower-case hexadecimal, with its NUL */

typedef struct {
  uint32_t state[8];
  uint64_t bytes;
  uint8_t block[64]; /* the first bytes % 64 are not in `state` yet */
} base_sha256;

void base_sha256_begin(base_sha256 *hash);
void base_sha256_add(base_sha256 *hash, const void *bytes, size_t count);
/* Gives the digest of everything added. The hash can only be begun again afterwards. */
void base_sha256_end(base_sha256 *hash, char text[BASE_SHA256_TEXT]);

/* The digest of a file's content. Errors: those of base_file_map. */
CDL_MUST_USE cdl_status base_sha256_file(const char *path, char text[BASE_SHA256_TEXT],
                                         size_t *bytes);

#endif
