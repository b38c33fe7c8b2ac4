#include "model/hub/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void hub_digest_begin(hub_digest *digest, const char *hash, uint64_t size)
{
  char header[32];
  digest->is_sha256 = strlen(hash) == BASE_SHA256_TEXT - 1;
  base_sha256_begin(&digest->sha256);
  base_sha1_begin(&digest->sha1);
  if (digest->is_sha256)
    return;
  const int length = snprintf(header, sizeof header, "blob %" PRIu64, size);
  base_sha1_add(&digest->sha1, header, (size_t)length + 1);
}

void hub_digest_add(hub_digest *digest, const void *bytes, size_t count)
{
  if (digest->is_sha256)
    base_sha256_add(&digest->sha256, bytes, count);
  else
    base_sha1_add(&digest->sha1, bytes, count);
}

bool hub_digest_is(hub_digest *digest, const char *hash)
{
  char text[BASE_SHA256_TEXT];
  if (digest->is_sha256)
    base_sha256_end(&digest->sha256, text);
  else
    base_sha1_end(&digest->sha1, text);
  return strcmp(text, hash) == 0;
}
