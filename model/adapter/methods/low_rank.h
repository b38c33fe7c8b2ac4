/* Parts that LoRA and CondLoRA share: DoRA's magnitudes and DyLoRA's ranks. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_LOW_RANK_H
#define CONDLORA_MODEL_ADAPTER_METHODS_LOW_RANK_H

#include "model/adapter/state.h"

/* These come first in the methods' lists of options. */
enum { OPTION_USE_DORA, OPTION_DYLORA_RANK_MIN, OPTION_DYLORA_FROZEN, LOW_RANK_OPTIONS_COUNT };
#define LOW_RANK_OPTIONS                                                                  \
  {.name = "use_dora",                                                                    \
   .kind = BASE_OPTION_FLAG,                                                              \
   .help = "train the length of each row of W + BA apart from its direction (DoRA)"},     \
      {.name = "dylora_rank_min",                                                         \
       .kind = BASE_OPTION_INT,                                                           \
       .high = 65536,                                                                     \
       .help = "train every rank from this one up, one drawn each step (DyLoRA); 0: no"}, \
  {                                                                                       \
    .name = "dylora_frozen", .kind = BASE_OPTION_FLAG,                                    \
    .help = "DyLoRA: a step moves the last row and column of the rank drawn alone"        \
  }

/* PEFT's names of LoRA's tensors. */
extern const adapter_update_names low_rank_update_names;

/* Errors: USAGE for options that contradict each other or the rank. */
cdl_status low_rank_check_options(const model_adapter *adapter);

/* ---- DoRA: these do nothing if the option is off ---- */

/* Adds a magnitude vector for each adapted module, after all other parameters. */
cdl_status dora_parameters(model_adapter *adapter);
bool dora_is_on(const model_adapter *adapter);
bool dora_owns(const model_adapter *adapter, size_t index);
/* Adds gains to the existing deltas. */
cdl_status dora_attach(model_adapter *adapter, cdl_queue *queue);
/* Sets the magnitudes so that the model does not change; A and B must have their initial values. */
void dora_initialize(model_adapter *adapter, cdl_queue *queue);
/* Reads A and B of the deltas. */
void dora_materialize(model_adapter *adapter, cdl_queue *queue);
void dora_pull_back(model_adapter *adapter, cdl_queue *queue);
void dora_release(model_adapter *adapter);

/* ---- DyLoRA: these do nothing if the option is off ---- */

/* Call it after everything else that changes deltas. */
cdl_status dylora_attach(model_adapter *adapter);
cdl_status dylora_begin_step(model_adapter *adapter, cdl_queue *queue,
                             const cdl_step_record *record);
/* Call it first in pull_back. */
void dylora_pull_back(model_adapter *adapter, cdl_queue *queue);
cdl_status dylora_after_step(model_adapter *adapter, cdl_queue *queue, int64_t step,
                             cdl_tensor factor);
bool dylora_varies(const model_adapter *adapter);
void dylora_release(model_adapter *adapter);

#endif
