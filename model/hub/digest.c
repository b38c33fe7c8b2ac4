#include "model/hub/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHA256_DIGITS = 64, HASH_BYTES = 64 };

static bool begin(hub_digest *d, const char *hash, uint64_t size)
{
  char header[32];
  const bool is_sha256 = strlen(hash) == SHA256_DIGITS;
  const void *type = is_sha256 ? d->libraries->EVP_sha256() : d->libraries->EVP_sha1();
  if (d->context == NULL || d->libraries->EVP_DigestInit_ex(d->context, type, NULL) != 1)
    return false;
  if (is_sha256)
    return true;
  const int length = snprintf(header, sizeof header, "blob %" PRIu64, size);
  return hub_digest_add(d, header, (size_t)length + 1);
}

cdl_status hub_digest_begin(hub_digest *digest, const hub_libraries *libraries, const char *hash,
                            uint64_t size)
{
  digest->libraries = libraries;
  if (digest->context == NULL)
    digest->context = libraries->EVP_MD_CTX_new();
  return begin(digest, hash, size) ? CDL_STATUS_OK
                                   : cdl_fail(CDL_STATUS_MEMORY, "libcrypto cannot compute a hash");
}

bool hub_digest_add(hub_digest *digest, const void *bytes, size_t count)
{
  return digest->libraries->EVP_DigestUpdate(digest->context, bytes, count) == 1;
}

bool hub_digest_is(hub_digest *digest, const char *hash)
{
  unsigned char bytes[HASH_BYTES];
  char text[2 * HASH_BYTES + 1] = "";
  unsigned count = 0;
  if (digest->libraries->EVP_DigestFinal_ex(digest->context, bytes, &count) != 1)
    return false;
  for (unsigned i = 0; i < count; i++)
    snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return strcmp(text, hash) == 0;
}

void hub_digest_release(hub_digest *digest)
{
  if (digest->context != NULL)
    digest->libraries->EVP_MD_CTX_free(digest->context);
  digest->context = NULL;
}
