/* An adapter's values to and from its folder. */
#ifndef CONDLORA_MODEL_ADAPTER_IO_H
#define CONDLORA_MODEL_ADAPTER_IO_H

#include "model/adapter/adapter.h"
#include "model/adapter/folder.h"

/* An adapter on the host: `values` of every trained tensor in the order of the parameters, end to
 * end, and the `state` that its method keeps besides. One allocation. */
typedef struct adapter_snapshot {
  float *values, *state;
  size_t count, state_count;
} adapter_snapshot;

/* Allocates `snapshot` for this adapter; ends with adapter_snapshot_release. */
CDL_MUST_USE cdl_status adapter_snapshot_create(const model_adapter *adapter,
                                                adapter_snapshot *snapshot);
void adapter_snapshot_release(adapter_snapshot *snapshot);
/* Takes the present values; syncs the queue. */
CDL_MUST_USE cdl_status adapter_snapshot_take(adapter_snapshot *snapshot,
                                              const model_adapter *adapter, cdl_queue *queue);
/* Puts them back; deltas are materialized anew. */
CDL_MUST_USE cdl_status adapter_snapshot_restore(const adapter_snapshot *snapshot,
                                                 model_adapter *adapter, cdl_queue *queue);

/* A parameter's name in the adapter's file. */
void adapter_name_in_file(const model_adapter *adapter, const encoder_parameter *parameter,
                          char *name, size_t bytes);

/* Writes a snapshot as a PEFT folder under the settings of `config`, to which the method may add
 * keys of its own. */
CDL_MUST_USE cdl_status adapter_write(const model_adapter *adapter,
                                      const adapter_snapshot *snapshot, const char *folder,
                                      const adapter_config *config);
/* An adapter of an opened folder, values aside: adapter_create under the folder's `settings`, and
 * every tensor of the model that `stored` has is the adapter's, whatever the settings say. Targets
 * that no delta reaches (layers of the head, tables of embeddings), biases beside B and trained rows
 * of tokens are whole tensors of the model afterwards. `source` and `stored` outlive the reading.
 * Both NULL: adapter_create. */
CDL_MUST_USE cdl_status adapter_create_stored(cdl_queue *queue, model_encoder *encoder,
                                              const adapter_settings *settings,
                                              const adapter_config *source,
                                              const cdl_safetensors *stored,
                                              model_adapter **adapter);
/* Sets every trained tensor from the folder that the adapter was created for and materializes.
 * Biases of adapted layers, where the folder has none, stay the model's: PEFT 0.17 trains those of
 * bias "lora_only" and does not save them. DATA, naming folder and tensor, where another is missing,
 * has another shape or does not belong. */
CDL_MUST_USE cdl_status adapter_read(model_adapter *adapter, cdl_queue *queue, const char *folder);

/* Copies the files of a tokenizer that there are. */
CDL_MUST_USE cdl_status adapter_tokenizer_files_copy(const char *from_folder, const char *folder);

/* What a model is made of besides its weights. */
typedef struct {
  const char *base, *tokenizer; /* folders of config.json and of the tokenizer's files */
  const char *const *labels;    /* NULL: unnamed */
  model_problem problem;
} adapter_model_origin;

/* What a whole model's folder holds beside its weights: config.json as the encoder is, and the
 * tokenizer. */
CDL_MUST_USE cdl_status adapter_model_write_settings(const model_encoder *encoder,
                                                     const adapter_model_origin *origin,
                                                     const char *folder);
/* Writes OUT as a whole Hugging Face folder: its settings and model.safetensors. */
CDL_MUST_USE cdl_status adapter_model_write(model_encoder *encoder, cdl_queue *queue,
                                            const adapter_model_origin *origin, const char *folder);

#endif
