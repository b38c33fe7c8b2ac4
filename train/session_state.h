/* Everything that a training run works with. */
#ifndef CONDLORA_TRAIN_SESSION_STATE_H
#define CONDLORA_TRAIN_SESSION_STATE_H

#include "condlora/dataset.h"
#include "model/inference/state.h"
#include "train/data/census.h"
#include "train/data/split.h"
#include "train/settings.h"

typedef struct {
  const cdl_task *task;     /* NULL for the user's files */
  cdl_dataset *train, *dev; /* either may be NULL */
  data_split split;         /* of `train` */
  uint32_t *dev_rows;       /* 0, 1, 2, … [dev's count] */
  data_census census;       /* of both data sets, for training */

  inference_model model; /* its labels are those of the examples */
  cdl_metric metric;     /* chooses the best checkpoint */

  /* The config of --init-adapter; otherwise empty. */
  adapter_config initial;
  cdl_safetensors *initial_tensors;
  cdl_group *group;  /* of the ranks' devices; NULL: none (train/rank_group.h) */
  bool group_rests;  /* no rank has work of it any more */
  bool met;          /* the ranks have met while it was opened */
  bool serves_runs;  /* several, one after another or together */
  bool body_changed; /* by this run or an earlier one, besides pooler and head */
} train_session;

#endif
