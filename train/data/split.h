/* What is held out of `train` as valid: the same share of every class, or the reference
 * implementation's own split, bit for bit. Both walk one permutation of a fixed seed, so a split
 * depends on examples and fraction alone: runs with several seeds, trials of a search, and a merged
 * model that records nothing, all meet the same held-out examples. */
#ifndef CONDLORA_TRAIN_DATA_SPLIT_H
#define CONDLORA_TRAIN_DATA_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"

enum { DATA_SPLIT_SEED = 1 }; /* what the reference calls Dataset.shuffle with */

/* numpy.random.default_rng(seed).permutation(count) into `permutation` [count]; any caller-owned
 * array. */
void data_split_permutation(uint32_t seed, uint32_t *permutation, uint32_t count);

/* round(fraction * count) of Python: halves go to the even neighbour. */
size_t data_split_valid_count(double fraction, size_t count);

/* How many examples of each class are held out, `quotas` [classes], `valid` of all Σ counts
 * together: a class's share of valid rounded down, and one more for the classes with the largest
 * remainders, which is how train_test_split(stratify=…) of scikit-learn counts; of equal remainders
 * the larger class's first, then the lower id's. A class keeps one example to train on at least.
 * False where that cannot be; `*lost` then is a class that would lose its last example. `valid` is
 * below Σ counts. MEMORY. */
CDL_MUST_USE cdl_status data_split_quotas(const size_t *counts, size_t classes, size_t valid,
                                          size_t *quotas, bool *possible, size_t *lost);

/* Rows of both parts, each in the order of the permutation. */
typedef struct {
  uint32_t *rows; /* [valid_count + train_count] */
  const uint32_t *valid, *train;
  size_t valid_count, train_count;
} data_split;

typedef enum {
  DATA_SPLIT_STRATIFIED, /* by class; of a regression as the reference's */
  DATA_SPLIT_REFERENCE   /* the first rows of the permutation, whatever their labels */
} data_split_form;

/* "stratified", "reference"; static. */
const char *data_split_form_name(data_split_form form);

/* The reference's split. Fraction 0 keeps the file's order for `train`, and `valid` is empty.
 * Errors: USAGE for a fraction outside [0, 1) or one that leaves nothing to train on; MEMORY. Ends
 * with data_split_release. */
CDL_MUST_USE cdl_status data_split_make(double fraction, size_t count, data_split *split);
/* The split of a data set's examples. Errors: the same; DATA, naming the class, where one would lose
 * its last example. */
CDL_MUST_USE cdl_status data_split_dataset(const cdl_dataset *dataset, double fraction,
                                           data_split_form form, data_split *split);
void data_split_release(data_split *split);

#endif
