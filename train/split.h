/* The reference implementation's split of `train` into train and valid, bit for bit. */
#ifndef CONDLORA_TRAIN_SPLIT_H
#define CONDLORA_TRAIN_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

enum { CDL_SPLIT_SEED = 1 }; /* what the reference calls Dataset.shuffle with */

/* numpy.random.default_rng(seed).permutation(count) into `permutation` [count]; any caller-owned
 * array. */
void cdl_split_permutation(uint32_t seed, uint32_t *permutation, uint32_t count);

/* round(fraction * count) of Python: halves go to the even neighbour. */
size_t cdl_split_valid_count(double fraction, size_t count);

/* Rows of both parts: `valid` the first ones of the permutation, `train` the rest, in permuted
 * order. */
typedef struct {
  uint32_t *rows; /* [valid_count + train_count], the permutation itself */
  const uint32_t *valid, *train;
  size_t valid_count, train_count;
} cdl_split;

/* Fraction 0 keeps the file's order for `train`, and `valid` is empty. Errors: USAGE for a fraction
 * outside [0, 1) or one that leaves nothing to train on; MEMORY. Ends with cdl_split_release. */
CDL_MUST_USE cdl_status cdl_split_make(double fraction, size_t count, cdl_split *split);
void cdl_split_release(cdl_split *split);

#endif
