#include "base/sha.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { BLOCK = 64, LENGTH_BYTES = 8, SHA1_ROUNDS = 80, SHA256_ROUNDS = 64 };

static uint32_t left(uint32_t x, int bits)
{
  return x << bits | x >> (32 - bits);
}

static uint32_t right(uint32_t x, int bits)
{
  return x >> bits | x << (32 - bits);
}

static void read_words(const uint8_t *block, uint32_t *words)
{
  for (int i = 0; i < 16; i++)
    words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
}

/* ---- SHA-1 ---- */

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

static void take_sha1(uint32_t *state, const uint8_t *block)
{
  uint32_t w[SHA1_ROUNDS];
  read_words(block, w);
  for (int i = 16; i < SHA1_ROUNDS; i++)
    w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < SHA1_ROUNDS; i++) {
    const uint32_t next = left(a, 5) + mix(i, b, c, d) + e + w[i];
    e = d;
    d = c;
    c = left(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

/* ---- SHA-256 ---- */

static const uint32_t constants[SHA256_ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void take_sha256(uint32_t *state, const uint8_t *block)
{
  uint32_t w[SHA256_ROUNDS], s[8];
  read_words(block, w);
  for (int i = 16; i < SHA256_ROUNDS; i++)
    w[i] = w[i - 16] + w[i - 7] + (right(w[i - 15], 7) ^ right(w[i - 15], 18) ^ w[i - 15] >> 3) +
           (right(w[i - 2], 17) ^ right(w[i - 2], 19) ^ w[i - 2] >> 10);
  memcpy(s, state, sizeof s);
  for (int i = 0; i < SHA256_ROUNDS; i++) {
    const uint32_t e = s[4], a = s[0];
    const uint32_t first = s[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) +
                           ((e & s[5]) ^ (~e & s[6])) + constants[i] + w[i];
    const uint32_t second =
        (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += first;
    s[0] = first + second;
  }
  for (int i = 0; i < 8; i++)
    state[i] += s[i];
}

/* ---- Both ---- */

static const struct {
  void (*take)(uint32_t *state, const uint8_t *block);
  int words;
  uint32_t begin[8];
} kinds[] = {
    [BASE_SHA1] = {take_sha1, 5, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}},
    [BASE_SHA256] = {take_sha256,
                     8,
                     {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                      0x1f83d9ab, 0x5be0cd19}}};

void base_sha_begin(base_sha *hash, base_sha_kind kind)
{
  *hash = (base_sha){.kind = kind};
  memcpy(hash->state, kinds[kind].begin, sizeof hash->state);
}

void base_sha_add(base_sha *hash, const void *bytes, size_t count)
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
      kinds[hash->kind].take(hash->state, hash->block);
  }
}

void base_sha_end(base_sha *hash, char text[BASE_SHA_TEXT])
{
  static const uint8_t padding[BLOCK + LENGTH_BYTES] = {0x80};
  const uint64_t bits = hash->bytes * 8;
  const size_t used = (size_t)(hash->bytes % BLOCK),
               end = (used < BLOCK - LENGTH_BYTES ? BLOCK : 2 * BLOCK) - LENGTH_BYTES;
  base_sha_add(hash, padding, end - used);
  uint8_t length[LENGTH_BYTES];
  for (int i = 0; i < LENGTH_BYTES; i++)
    length[i] = (uint8_t)(bits >> 8 * (LENGTH_BYTES - 1 - i));
  base_sha_add(hash, length, sizeof length);
  for (int i = 0; i < kinds[hash->kind].words; i++)
    snprintf(text + 8 * i, BASE_SHA_TEXT - 8 * (size_t)i, "%08x", hash->state[i]);
}

cdl_status base_sha256_file(const char *path, char text[BASE_SHA_TEXT], size_t *bytes)
{
  base_mapping mapping;
  base_sha hash;
  CDL_TRY(base_file_map(path, &mapping));
  base_sha_begin(&hash, BASE_SHA256);
  base_sha_add(&hash, mapping.data, mapping.size);
  base_sha_end(&hash, text);
  *bytes = mapping.size;
  base_file_unmap(&mapping);
  return CDL_STATUS_OK;
}
