/* Philox 4x32-10 on the device: the bits of condlora/random.h. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_RANDOM_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_RANDOM_H

typedef struct {
  u32 word[4];
} philox_words;

/* Gives the words of block `block` of an example. The ten rounds are written out for compilers that
 * vectorize the loops around them. */
#define PHILOX_ROUND(round)                                                     \
  {                                                                             \
    const u32 high0 = MUL_HI(0xD2511F53u, c0), high1 = MUL_HI(0xCD9E8D57u, c2); \
    const u32 low0 = 0xD2511F53u * c0, low1 = 0xCD9E8D57u * c2;                 \
    c0 = high1 ^ c1 ^ (key0 + round##u * 0x9E3779B9u);                          \
    c2 = high0 ^ c3 ^ (key1 + round##u * 0xBB67AE85u);                          \
    c1 = low1;                                                                  \
    c3 = low0;                                                                  \
  }
FUNCTION philox_words philox(u32 key0, u32 key1, u32 block, u32 example, u32 step, u32 place)
{
  u32 c0 = block, c1 = example, c2 = step, c3 = place;
  PHILOX_ROUND(0)
  PHILOX_ROUND(1)
  PHILOX_ROUND(2)
  PHILOX_ROUND(3)
  PHILOX_ROUND(4)
  PHILOX_ROUND(5)
  PHILOX_ROUND(6)
  PHILOX_ROUND(7)
  PHILOX_ROUND(8)
  PHILOX_ROUND(9)
  philox_words words;
  words.word[0] = c0;
  words.word[1] = c1;
  words.word[2] = c2;
  words.word[3] = c3;
  return words;
}
#undef PHILOX_ROUND

/* What a mask needs from the step, read once. */
typedef struct {
  u32 key0, key1, step, place, threshold;
  float scale; /* 1 / (1 − p) */
} mask_state;

FUNCTION mask_state mask_read(GLOBAL const u32 *step, mask_parameters mask)
{
  GLOBAL const u32 *record = step + mask.step_offset;
  mask_state state;
  state.key0 = record[STEP_SEED];
  state.key1 = record[STEP_SEED + 1];
  state.step = record[STEP_STEP];
  state.place = mask.place;
  state.threshold = mask.threshold;
  state.scale = mask.scale;
  return state;
}

/* Gives the factors of elements 4·block … 4·block + 3 of an example: 0 or `scale`. */
typedef struct {
  float factor[4];
} mask_factors;

FUNCTION mask_factors mask_block(mask_state mask, u32 example, u32 block)
{
  const philox_words w = philox(mask.key0, mask.key1, block, example, mask.step, mask.place);
  mask_factors factors;
  factors.factor[0] = w.word[0] >= mask.threshold ? mask.scale : 0.0f;
  factors.factor[1] = w.word[1] >= mask.threshold ? mask.scale : 0.0f;
  factors.factor[2] = w.word[2] >= mask.threshold ? mask.scale : 0.0f;
  factors.factor[3] = w.word[3] >= mask.threshold ? mask.scale : 0.0f;
  return factors;
}

#endif
