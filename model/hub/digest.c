#include "model/hub/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void hub_digest_begin(base_sha *digest, const char *hash, uint64_t size)
{
  const bool is_sha256 = strlen(hash) == BASE_SHA_TEXT - 1;
  char header[32];
  base_sha_begin(digest, is_sha256 ? BASE_SHA256 : BASE_SHA1);
  if (is_sha256)
    return;
  const int length = snprintf(header, sizeof header, "blob %" PRIu64, size);
  base_sha_add(digest, header, (size_t)length + 1);
}

bool hub_digest_is(base_sha *digest, const char *hash)
{
  char text[BASE_SHA_TEXT];
  base_sha_end(digest, text);
  return strcmp(text, hash) == 0;
}
