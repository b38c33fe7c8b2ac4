#include "base/sha1.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 64, LENGTH_BYTES = 8, ROUNDS = 80, WORDS = 5 };

static uint32_t rotate(uint32_t x, int left)
{
  return x << left | x >> (32 - left);
}

/* The function of a round, with its constant. */
static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
  if (round < 20)
    return ((b & c) | (~b & d)) + 0x5a827999;
  if (round < 40)
    return (b ^ c ^ d) + 0x6ed9eba1;
  if (round < 60)
    return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}

static void take_block(uint32_t state[WORDS], const uint8_t block[BLOCK])
{
  uint32_t w[ROUNDS];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
           (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < ROUNDS; i++)
    w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + w[i];
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

void base_sha1_begin(base_sha1 *hash)
{
  *hash = (base_sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void base_sha1_add(base_sha1 *hash, const void *bytes, size_t count)
{
  const uint8_t *at = bytes;
  while (count > 0) {
    const size_t used = (size_t)(hash->bytes % BLOCK), room = BLOCK - used,
                 part = count < room ? count : room;
    memcpy(hash->block + used, at, part);
    hash->bytes += part;
    at += part;
    count -= part;
    if (part == room)
      take_block(hash->state, hash->block);
  }
}

void base_sha1_end(base_sha1 *hash, char text[BASE_SHA1_TEXT])
{
  static const uint8_t padding[BLOCK + LENGTH_BYTES] = {0x80};
  const uint64_t bits = hash->bytes * 8;
  const size_t used = (size_t)(hash->bytes % BLOCK),
               end = (used < BLOCK - LENGTH_BYTES ? BLOCK : 2 * BLOCK) - LENGTH_BYTES;
  base_sha1_add(hash, padding, end - used);
  uint8_t length[LENGTH_BYTES];
  for (int i = 0; i < LENGTH_BYTES; i++)
    length[i] = (uint8_t)(bits >> 8 * (LENGTH_BYTES - 1 - i));
  base_sha1_add(hash, length, sizeof length);
  for (int i = 0; i < WORDS; i++)
    snprintf(text + 8 * i, BASE_SHA1_TEXT - 8 * (size_t)i, "%08x", hash->state[i]);
}
