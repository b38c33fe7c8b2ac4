/* FNV-1a, 64 bits (Fowler, Noll, Vo). Distinguishes contents; does not protect against an
 * attacker. */
#ifndef CONDLORA_BASE_HASH_H
#define CONDLORA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define BASE_FNV_START UINT64_C(0xcbf29ce484222325)
#define BASE_FNV_PRIME UINT64_C(0x100000001b3)

/* Continues the hash `hash` of earlier bytes with `bytes` [count]. */
static inline uint64_t base_fnv(uint64_t hash, const void *bytes, size_t count)
{
  const uint8_t *byte = bytes;
  for (size_t i = 0; i < count; i++)
    hash = (hash ^ byte[i]) * BASE_FNV_PRIME;
  return hash;
}

#endif
