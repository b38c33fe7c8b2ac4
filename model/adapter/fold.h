/* The parts of an adapter folder that are not deltas of an encoder: whole tensors of the model, and
 * updates that are added to a tensor when the folder is read. */
#ifndef CONDLORA_MODEL_ADAPTER_FOLD_H
#define CONDLORA_MODEL_ADAPTER_FOLD_H

#include "condlora/safetensors.h"
#include "model/adapter/adapter.h"

/* Returns a module's whole tensor in an adapter's file, or NULL; `leaf` is for example ".weight".
 * PEFT wraps adapted modules, whose own tensors are then called base_layer. Whether it wrapped the
 * module before saving depends on its version, so all names are accepted. */
const cdl_stored_tensor *adapter_whole_tensor(const cdl_safetensors *tensors, const char *module,
                                              const char *leaf);

/* Returns how many targets of the folder became whole tensors. */
size_t adapter_folded_count(const model_adapter *adapter);
/* Returns the path of an embedding table to which the folder's update was added; NULL past the
 * last. */
const char *adapter_folded_table(const model_adapter *adapter, size_t index);

/* ---- While an adapter is read ---- */

/* Returns a tensor of the model in the adapter's file, under any of its names there; or NULL. */
const cdl_stored_tensor *adapter_stored(const model_adapter *adapter,
                                        const encoder_parameter *parameter);
/* Returns whether the file has this tensor or something to add to it. */
bool adapter_holds(const model_adapter *adapter, const encoder_parameter *parameter);
/* Adds the file's updates to the values of a tensor of the model. */
cdl_status adapter_fold(const model_adapter *adapter, const char *folder,
                        const encoder_parameter *parameter, float *values);
/* Returns whether the file's tensor with this name is one that adapter_fold adds. */
bool adapter_folds(const model_adapter *adapter, const char *name);

#endif
