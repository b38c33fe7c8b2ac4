/* Random numbers from a counter-based generator, Philox 4x32-10 (Salmon, Moraes, Dror, Shaw:
 * Parallel Random Numbers: As Easy as 1, 2, 3. SC 2011). A number depends on what it is drawn for,
 * not on the order of the draws. The header needs only the C library, so that the library and its
 * backends compute the same bits. */
#ifndef CONDLORA_RANDOM_H
#define CONDLORA_RANDOM_H

#include <math.h>
#include <stdint.h>

/* What a number is drawn for. The purpose is part of the counter, so two purposes never share a
 * number. New values are appended and the order never changes: checkpoints and backends rely on
 * it. */
typedef enum {
  CDL_RANDOM_INITIAL_VALUES = 1,        /* from the seed of initial values */
  CDL_RANDOM_DATA_ORDER = 2,            /* from the seed of the data order; step = epoch */
  CDL_RANDOM_DROPOUT_EMBEDDING = 3,     /* this and all other dropouts: from the seed of dropout */
  CDL_RANDOM_DROPOUT_ATTENTION = 4,     /* attention probabilities */
  CDL_RANDOM_DROPOUT_ATTENTION_OUT = 5, /* hidden, after the attention's output projection */
  CDL_RANDOM_DROPOUT_FEED_FORWARD = 6,  /* hidden, after the block's second linear layer */
  CDL_RANDOM_DROPOUT_CLASSIFIER = 7, /* in the head; layer 0 for the first one, 1 for the second */
  CDL_RANDOM_DROPOUT_ADAPTER = 8,    /* input of an adapter; layer = number of the adapted module */
  CDL_RANDOM_TEST = 9,               /* generated weights and data of tests and benchmarks */
  CDL_RANDOM_DYLORA_RANK = 10,       /* rank that a DyLoRA step trains; from the seed of dropout */
  CDL_RANDOM_ANALYSIS = 11,          /* random matrices that an analysis compares with */
  /* Rotations of CondLoRA's weights, from the seed of initial values; layer = 2 (block · modules of
   * a block + kind) for the side of the output, one more for that of the input. */
  CDL_RANDOM_CONDITION = 12
} cdl_random_purpose;

typedef struct {
  uint32_t word[4];
} cdl_philox_words;

/* The Philox 4x32-10 bijection: maps a counter and a key to a block of four words. Word 0 is the
 * least significant. */
static inline cdl_philox_words cdl_philox(cdl_philox_words counter, uint32_t key0, uint32_t key1)
{
  for (int round = 0; round < 10; round++) {
    const uint64_t product0 = (uint64_t)0xD2511F53u * counter.word[0];
    const uint64_t product1 = (uint64_t)0xCD9E8D57u * counter.word[2];
    const cdl_philox_words next = {
        {(uint32_t)(product1 >> 32) ^ counter.word[1] ^ key0, (uint32_t)product1,
         (uint32_t)(product0 >> 32) ^ counter.word[3] ^ key1, (uint32_t)product0}};
    counter = next;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/* Returns the block with elements 4 * block … 4 * block + 3 of one example (or tensor); it is the
 * same for any packing of batches. `layer` is a number below 2^24 that separates the places of one
 * purpose. */
static inline cdl_philox_words cdl_random_block(uint64_t seed, cdl_random_purpose purpose,
                                                uint32_t layer, uint32_t step, uint32_t example,
                                                uint32_t block)
{
  const cdl_philox_words counter = {
      {block, example, step, (uint32_t)purpose << 24 | (layer & 0xFFFFFFu)}};
  return cdl_philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* Returns the threshold of a dropout: an element is dropped if its word is below this. It is
 * probability * 2^32, rounded, and below 2^32. */
static inline uint32_t cdl_random_threshold(double probability)
{
  const double scaled = floor(probability * 4294967296.0 + 0.5);
  return scaled >= 4294967295.0 ? UINT32_MAX : scaled > 0 ? (uint32_t)scaled : 0;
}

/* A stream of random numbers, for values that the host draws in a fixed order. Belongs to one
 * thread. */
typedef struct {
  cdl_philox_words counter, block;
  uint32_t key0, key1;
  int used; /* number of words of `block` that are used; 4: none is left */
} cdl_random;

/* Starts a stream. Its blocks are those of cdl_random_block, with example and block as one 64-bit
 * counter from 0. */
static inline cdl_random cdl_random_start(uint64_t seed, cdl_random_purpose purpose, uint32_t layer,
                                          uint32_t step)
{
  const cdl_random random = {{{0, 0, step, (uint32_t)purpose << 24 | (layer & 0xFFFFFFu)}},
                             {{0, 0, 0, 0}},
                             (uint32_t)seed,
                             (uint32_t)(seed >> 32),
                             4};
  return random;
}

static inline uint32_t cdl_random_u32(cdl_random *random)
{
  if (random->used == 4) {
    random->block = cdl_philox(random->counter, random->key0, random->key1);
    random->used = 0;
    random->counter.word[0]++;
    if (random->counter.word[0] == 0)
      random->counter.word[1]++;
  }
  return random->block.word[random->used++];
}

/* Draws two words; the first one is the low half. */
static inline uint64_t cdl_random_u64(cdl_random *random)
{
  const uint64_t low = cdl_random_u32(random);
  return (uint64_t)cdl_random_u32(random) << 32 | low;
}

/* Returns a number that is uniform on [0, 1), a multiple of 2^-24. */
static inline float cdl_random_float(cdl_random *random)
{
  return (float)(cdl_random_u32(random) >> 8) * 0x1p-24f;
}

/* Returns a number that is uniform on [0, 1), a multiple of 2^-53. */
static inline double cdl_random_double(cdl_random *random)
{
  return (double)(cdl_random_u64(random) >> 11) * 0x1p-53;
}

/* Returns a number that is uniform on 0 … bound - 1, without bias: draws below 2^64 mod bound are
 * rejected. `bound` is at least 1. */
static inline uint64_t cdl_random_below(cdl_random *random, uint64_t bound)
{
  const uint64_t reject_below = (0 - bound) % bound;
  uint64_t draw;
  do
    draw = cdl_random_u64(random);
  while (draw < reject_below);
  return draw % bound;
}

/* Returns a standard normal number, by Box and Muller's formula (1958) in double. Draws two
 * doubles. */
static inline double cdl_random_normal(cdl_random *random)
{
  const double radius = sqrt(-2.0 * log(1.0 - cdl_random_double(random)));
  return radius * cos(6.283185307179586476925 * cdl_random_double(random));
}

#endif
