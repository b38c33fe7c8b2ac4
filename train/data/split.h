/* The part of `train` that is held out as valid: the same share of every class, or the reference
 * implementation's own split, bit for bit. Both use one permutation of a fixed seed, so a split
 * depends only on examples and fraction. Runs with several seeds, trials of a search, and a merged
 * model that records nothing all get the same held-out examples. */
#ifndef CONDLORA_TRAIN_DATA_SPLIT_H
#define CONDLORA_TRAIN_DATA_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"

enum { DATA_SPLIT_SEED = 1 }; /* the seed that the reference passes to Dataset.shuffle */

/* Writes numpy.random.default_rng(seed).permutation(count) into the caller's `permutation`
 * [count]. */
void data_split_permutation(uint32_t seed, uint32_t *permutation, uint32_t count);

/* Returns Python's round(fraction * count): halves go to the even neighbour. */
size_t data_split_valid_count(double fraction, size_t count);

/* Gives the number of examples of each class that are held out, `quotas` [classes], if `valid` of
 * all Σ counts are. A class gives its share of valid, rounded down, and the classes with the
 * largest remainders give one more, as in scikit-learn's train_test_split(stratify=…). Among equal
 * remainders the larger class comes first, then the lower id. A class keeps at least one training
 * example. If that is impossible, *possible is false and `*lost` is a class that would lose its
 * last example. `valid` is below Σ counts. MEMORY. */
CDL_MUST_USE cdl_status data_split_quotas(const size_t *counts, size_t classes, size_t valid,
                                          size_t *quotas, bool *possible, size_t *lost);

/* The rows of both parts, each in the order of the permutation. */
typedef struct {
  uint32_t *rows; /* [valid_count + train_count] */
  const uint32_t *valid, *train;
  size_t valid_count, train_count;
} data_split;

typedef enum {
  DATA_SPLIT_STRATIFIED, /* by class; of numbers and several labels as the reference's */
  DATA_SPLIT_REFERENCE   /* the first rows of the permutation, whatever their labels */
} data_split_form;

/* "stratified", "reference"; static. */
const char *data_split_form_name(data_split_form form);

/* Makes the reference's split. Fraction 0 keeps the file's order for `train`, and `valid` is empty.
 * Errors: USAGE for a fraction outside [0, 1) or one that leaves no training example; MEMORY.
 * Release with data_split_release. */
CDL_MUST_USE cdl_status data_split_make(double fraction, size_t count, data_split *split);
/* Makes the split of a data set's examples. Errors: the same; DATA names a class that would lose
 * its last example. */
CDL_MUST_USE cdl_status data_split_dataset(const cdl_dataset *dataset, double fraction,
                                           data_split_form form, data_split *split);
void data_split_release(data_split *split);

#endif
