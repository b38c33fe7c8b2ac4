/* An adapter's values to and from its folder. */
#ifndef CONDLORA_MODEL_ADAPTER_IO_H
#define CONDLORA_MODEL_ADAPTER_IO_H

#include "condlora/adapter.h"
#include "model/adapter_folder.h"

/* Every trained tensor on the host: `values` in the order of the adapter's parameters, end to
 * end. */
typedef struct {
  float *values;
  size_t count;
} cdl_snapshot;

/* Allocates `snapshot` for this adapter; ends with cdl_snapshot_release. */
CDL_MUST_USE cdl_status cdl_snapshot_create(const cdl_adapter *adapter, cdl_snapshot *snapshot);
void cdl_snapshot_release(cdl_snapshot *snapshot);
/* Takes the present values; syncs the queue. */
CDL_MUST_USE cdl_status cdl_snapshot_take(cdl_snapshot *snapshot, const cdl_adapter *adapter,
                                          cdl_queue *queue);
/* Puts them back; deltas are materialized anew. */
void cdl_snapshot_restore(const cdl_snapshot *snapshot, cdl_adapter *adapter, cdl_queue *queue);

/* Writes a snapshot as a PEFT folder under the settings of `config`. */
CDL_MUST_USE cdl_status cdl_adapter_write(const cdl_adapter *adapter, const cdl_snapshot *snapshot,
                                          const char *folder, const cdl_adapter_config *config);
/* Sets every trained tensor from an opened folder and materializes. DATA, naming folder and
 * tensor, where one is missing, has another shape or does not belong. */
CDL_MUST_USE cdl_status cdl_adapter_read(cdl_adapter *adapter, cdl_queue *queue, const char *folder,
                                         const cdl_safetensors *tensors);

/* Writes OUT as a whole Hugging Face folder: config.json with these labels, model.safetensors, and
 * the base folder's tokenizer files. */
CDL_MUST_USE cdl_status cdl_model_write(cdl_encoder *encoder, cdl_queue *queue,
                                        const char *base_folder, const char *folder,
                                        const char *const *labels, cdl_problem problem);

#endif
