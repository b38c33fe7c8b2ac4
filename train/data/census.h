/* What a run's examples are, counted before it trains: labels by part, texts that come more than
 * once, texts of train in what it is measured on. */
#ifndef CONDLORA_TRAIN_DATA_CENSUS_H
#define CONDLORA_TRAIN_DATA_CENSUS_H

#include <jansson.h>

#include "condlora/dataset.h"
#include "train/data/split.h"

typedef enum { DATA_PART_TRAIN, DATA_PART_VALID, DATA_PART_DEV, DATA_PART_COUNT } data_part;

typedef struct {
  size_t classes;     /* 0: a regression */
  size_t *labelled;   /* [DATA_PART_COUNT, classes] examples */
  const char **names; /* [classes]; borrowed of the data set */
  size_t examples[DATA_PART_COUNT];
  size_t read[2], truncated[2], skipped[2]; /* by file: of train with valid, of dev */
  bool has_dev;
  /* Two examples have one text where both texts of a pair are the same bytes. */
  size_t repeated;      /* of train and valid: those whose text an earlier one has */
  size_t contradicting; /* of train and valid: those whose text another has with another label */
  size_t valid_in_train, dev_in_train; /* valid whose text train has; dev whose text either has */
} data_census;

/* `dev` may be NULL. What max_length cut is counted by data_census_count_truncated. Ends with
 * data_census_release, before the data sets are closed. MEMORY. */
CDL_MUST_USE cdl_status data_census_take(const cdl_dataset *train, const data_split *split,
                                         const cdl_dataset *dev, data_census *census);
/* Once they are tokenized. */
void data_census_count_truncated(data_census *census, const cdl_dataset *train,
                                 const cdl_dataset *dev);
void data_census_release(data_census *census);

/* As run.json has it; NULL when memory is out. */
json_t *data_census_json(const data_census *census);

#endif
