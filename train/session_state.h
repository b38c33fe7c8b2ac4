/* All that a training run works with. */
#ifndef CONDLORA_TRAIN_SESSION_STATE_H
#define CONDLORA_TRAIN_SESSION_STATE_H

#include "condlora/dataset.h"
#include "model/inference/state.h"
#include "train/data/census.h"
#include "train/data/split.h"
#include "train/settings.h"

typedef struct {
  const cdl_task *task;     /* NULL for files of one's own */
  cdl_dataset *train, *dev; /* either may be NULL */
  data_split split;         /* of `train` */
  uint32_t *dev_rows;       /* 0, 1, 2, … [dev's count] */
  data_census census;       /* of them; for training */

  inference_model model; /* its labels are those of the examples */

  /* Of --init-adapter, else empty. */
  adapter_config initial;
  cdl_safetensors *initial_tensors;
  bool body_changed; /* by this run or one before, beyond pooler and head */
} train_session;

#endif
