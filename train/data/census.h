/* The examples of a run, counted before it trains: labels by part, repeated texts, and texts of
 * train in valid and dev. */
#ifndef CONDLORA_TRAIN_DATA_CENSUS_H
#define CONDLORA_TRAIN_DATA_CENSUS_H

#include <jansson.h>

#include "condlora/dataset.h"
#include "train/data/split.h"

typedef enum { DATA_PART_TRAIN, DATA_PART_VALID, DATA_PART_DEV, DATA_PART_COUNT } data_part;

typedef struct {
  size_t classes;     /* or labels; 0: a regression */
  size_t *labelled;   /* [DATA_PART_COUNT, classes] examples */
  const char **names; /* [classes]; borrowed from the data set */
  size_t examples[DATA_PART_COUNT];
  size_t read[2], truncated[2], skipped[2]; /* by file: train with valid, dev */
  bool has_dev;
  /* Two examples have the same text if both texts of a pair are the same bytes. */
  size_t repeated;      /* in train and valid: examples whose text an earlier one has */
  size_t contradicting; /* in train and valid: examples whose text another has with another label */
  /* examples of valid whose text is in train; of dev whose text is in train or valid */
  size_t valid_in_train, dev_in_train;
} data_census;

/* `dev` may be NULL. data_census_count_truncated counts texts that max_length cuts. Release with
 * data_census_release before the data sets are closed. MEMORY. */
CDL_MUST_USE cdl_status data_census_take(const cdl_dataset *train, const data_split *split,
                                         const cdl_dataset *dev, data_census *census);
/* Call after the data sets are tokenized. */
void data_census_count_truncated(data_census *census, const cdl_dataset *train,
                                 const cdl_dataset *dev);
void data_census_release(data_census *census);

/* Returns the census in the form of run.json; NULL if memory is out. */
json_t *data_census_json(const data_census *census);

#endif
