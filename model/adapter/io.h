/* Writes an adapter's values to its folder and reads them. */
#ifndef CONDLORA_MODEL_ADAPTER_IO_H
#define CONDLORA_MODEL_ADAPTER_IO_H

#include "model/adapter/adapter.h"
#include "model/adapter/folder.h"

/* A copy of an adapter on the host: `values` of every trained tensor, end to end in the order of
 * the parameters, and the `state` of its method. It is one allocation. */
typedef struct adapter_snapshot {
  float *values, *state;
  size_t count, state_count;
} adapter_snapshot;

/* Allocates `snapshot` for this adapter; release it with adapter_snapshot_release. */
CDL_MUST_USE cdl_status adapter_snapshot_create(const model_adapter *adapter,
                                                adapter_snapshot *snapshot);
void adapter_snapshot_release(adapter_snapshot *snapshot);
/* Copies the present values; syncs the queue. */
CDL_MUST_USE cdl_status adapter_snapshot_take(adapter_snapshot *snapshot,
                                              const model_adapter *adapter, cdl_queue *queue);
/* Restores the values and materializes the deltas. */
CDL_MUST_USE cdl_status adapter_snapshot_restore(const adapter_snapshot *snapshot,
                                                 model_adapter *adapter, cdl_queue *queue);

/* Gives the name of a parameter in the adapter's file. */
void adapter_name_in_file(const model_adapter *adapter, const encoder_parameter *parameter,
                          char *name, size_t bytes);

/* Writes a snapshot as a PEFT folder with the settings of `config`. The method may add its own
 * keys. */
CDL_MUST_USE cdl_status adapter_write(const model_adapter *adapter,
                                      const adapter_snapshot *snapshot, const char *folder,
                                      const adapter_config *config);
/* Creates the adapter of an open folder, without its values: adapter_create with the folder's
 * settings. In addition, the adapter gets every tensor of the model that `stored` has, whatever the
 * settings say. Targets that no delta reaches (layers of the head, embedding tables), biases beside
 * B and trained rows of tokens become whole tensors of the model. `source` and `stored` must stay
 * valid until the values are read. If both are NULL, it is adapter_create. */
CDL_MUST_USE cdl_status adapter_create_stored(cdl_queue *queue, model_encoder *encoder,
                                              const adapter_settings *settings,
                                              const adapter_config *source,
                                              const cdl_safetensors *stored,
                                              model_adapter **adapter);
/* Sets every trained tensor from the folder for which the adapter was created, and materializes. If
 * the folder has no biases of adapted layers, they stay those of the model: PEFT 0.17 trains them
 * with bias "lora_only" but does not save them. Errors: DATA, naming folder and tensor, if another
 * tensor is missing, has another shape or does not belong. */
CDL_MUST_USE cdl_status adapter_read(model_adapter *adapter, cdl_queue *queue, const char *folder);

/* Copies those files of a tokenizer that exist. */
CDL_MUST_USE cdl_status adapter_tokenizer_files_copy(const char *from_folder, const char *folder);

/* The parts of a model folder besides its weights. */
typedef struct {
  const char *base, *tokenizer; /* folders of config.json and of the tokenizer's files */
  const char *const *labels;    /* NULL: no names */
  cdl_problem problem;
} adapter_model_origin;

/* Writes the settings of a whole model's folder: config.json as the encoder is, and the
 * tokenizer. */
CDL_MUST_USE cdl_status adapter_model_write_settings(const model_encoder *encoder,
                                                     const adapter_model_origin *origin,
                                                     const char *folder);
/* Writes a whole Hugging Face folder: its settings and model.safetensors. */
CDL_MUST_USE cdl_status adapter_model_write(model_encoder *encoder, cdl_queue *queue,
                                            const adapter_model_origin *origin, const char *folder);

#endif
