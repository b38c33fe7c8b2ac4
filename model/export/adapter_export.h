/* Any low-rank adapter as plain LoRA in PEFT's folder. */
#ifndef CONDLORA_MODEL_EXPORT_ADAPTER_EXPORT_H
#define CONDLORA_MODEL_EXPORT_ADAPTER_EXPORT_H

#include "model/adapter/adapter.h"
#include "model/adapter/folder.h"

/* Writes the current A_l and B_l of each adapted layer, whatever they are derived from, with the
 * head and other trained tensors. `config` is the adapter's own. Errors: UNSUPPORTED for what LoRA
 * cannot express: a method without A and B, use_x type2, initial values that have changed the
 * base. */
CDL_MUST_USE cdl_status export_adapter(model_adapter *adapter, cdl_queue *queue, const char *folder,
                                       const adapter_config *config);

#endif
