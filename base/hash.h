/* Hashes of 64 bits: FNV-1a (Fowler, Noll, Vo) and a faster one. They distinguish contents, and do
 * not protect against an attacker. */
#ifndef CONDLORA_BASE_HASH_H
#define CONDLORA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Continues a hash of another kind, which takes eight bytes at a time, with `bytes` [count]; the
 * last ones are filled up with zeros. A checksum of large memory. */
static inline uint64_t base_hash_words(uint64_t hash, const void *bytes, size_t count)
{
  const uint8_t *byte = bytes;
  for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    memcpy(&word, byte + i, count - i < sizeof word ? count - i : sizeof word);
    const uint64_t mixed = hash ^ word;
    hash = (mixed << 29 | mixed >> 35) * BASE_FNV_PRIME;
  }
  return hash;
}

#endif
