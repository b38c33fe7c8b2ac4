/* What of an adapter's folder lies outside the deltas of an encoder: whole tensors of the model, and
 * updates that are added to one when the folder is read. */
#ifndef CONDLORA_MODEL_ADAPTER_FOLD_H
#define CONDLORA_MODEL_ADAPTER_FOLD_H

#include "condlora/safetensors.h"
#include "model/adapter/adapter.h"

/* A whole tensor of a module in an adapter's file: `leaf` is ".weight", say; NULL for none. PEFT
 * wraps what it adapts, and the module's own tensors are then base_layer's. Whether it had wrapped the
 * module when it saved depends on its version, so all names count. */
const cdl_stored_tensor *adapter_whole_tensor(const cdl_safetensors *tensors, const char *module,
                                              const char *leaf);

/* How many targets of the folder became whole tensors. */
size_t adapter_folded_count(const model_adapter *adapter);
/* The path of a table of embeddings to which the folder's update was added; NULL past the last. */
const char *adapter_folded_table(const model_adapter *adapter, size_t index);

/* ---- Of an adapter that is being read ---- */

/* A tensor of the model in the adapter's file, under any of the names it has there; or NULL. */
const cdl_stored_tensor *adapter_stored(const model_adapter *adapter,
                                        const encoder_parameter *parameter);
/* Whether the file has such a tensor or what is to be added to it. */
bool adapter_holds(const model_adapter *adapter, const encoder_parameter *parameter);
/* Adds to the values of a tensor of the model what the file has for it besides. */
cdl_status adapter_fold(const model_adapter *adapter, const char *folder,
                        const encoder_parameter *parameter, float *values);
/* Whether the file's tensor of this name is one that adapter_fold adds. */
bool adapter_folds(const model_adapter *adapter, const char *name);

#endif
