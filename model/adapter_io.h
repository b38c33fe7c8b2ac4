/* An adapter's values to and from its folder. */
#ifndef CONDLORA_MODEL_ADAPTER_IO_H
#define CONDLORA_MODEL_ADAPTER_IO_H

#include "condlora/adapter.h"
#include "model/adapter_folder.h"

/* An adapter on the host: `values` of every trained tensor in the order of the parameters, end to
 * end, and the `state` that its method keeps besides. One allocation. */
typedef struct cdl_snapshot {
  float *values, *state;
  size_t count, state_count;
} cdl_snapshot;

/* Allocates `snapshot` for this adapter; ends with cdl_snapshot_release. */
CDL_MUST_USE cdl_status cdl_snapshot_create(const cdl_adapter *adapter, cdl_snapshot *snapshot);
void cdl_snapshot_release(cdl_snapshot *snapshot);
/* Takes the present values; syncs the queue. */
CDL_MUST_USE cdl_status cdl_snapshot_take(cdl_snapshot *snapshot, const cdl_adapter *adapter,
                                          cdl_queue *queue);
/* Puts them back; deltas are materialized anew. */
CDL_MUST_USE cdl_status cdl_snapshot_restore(const cdl_snapshot *snapshot, cdl_adapter *adapter,
                                             cdl_queue *queue);

/* A parameter's name in the adapter's file. */
void cdl_adapter_name_in_file(const cdl_adapter *adapter, const cdl_parameter *parameter,
                              char *name, size_t bytes);

/* Writes a snapshot as a PEFT folder under the settings of `config`, to which the method may add
 * keys of its own. */
CDL_MUST_USE cdl_status cdl_adapter_write(const cdl_adapter *adapter, const cdl_snapshot *snapshot,
                                          const char *folder, const cdl_adapter_config *config);
/* Sets every trained tensor from an opened folder and materializes. Biases of adapted layers, where
 * the folder has none, stay the model's: PEFT 0.17 trains those of bias "lora_only" and does not
 * save them. DATA, naming folder and tensor, where another is missing, has another shape or does
 * not belong. */
CDL_MUST_USE cdl_status cdl_adapter_read(cdl_adapter *adapter, cdl_queue *queue, const char *folder,
                                         const cdl_safetensors *tensors);

/* What a whole model's folder holds beside its weights: config.json with these labels, and the base
 * folder's tokenizer files. */
CDL_MUST_USE cdl_status cdl_model_write_settings(const char *base_folder, const char *folder,
                                                 int label_count, const char *const *labels,
                                                 cdl_problem problem);
/* Writes OUT as a whole Hugging Face folder: its settings and model.safetensors. */
CDL_MUST_USE cdl_status cdl_model_write(cdl_encoder *encoder, cdl_queue *queue,
                                        const char *base_folder, const char *folder,
                                        const char *const *labels, cdl_problem problem);

#endif
