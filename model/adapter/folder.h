/* An adapter's folder in PEFT's format (PEFT 0.21): adapter_config.json and
 * adapter_model.safetensors.
 *
 * A crash never leaves a half adapter. Each file is replaced atomically, the tensors first; both
 * carry a stamp made from the config (key "condlora_stamp", metadata "condlora_stamp"). While one
 * run saves again and again the config does not change, so the folder is a whole adapter at every
 * moment; where a different adapter is overwritten and the machine dies between the two files, the
 * stamps differ and reading says so. A folder without stamps (PEFT's own) is not checked, and
 * editing a config by hand keeps its stamp.
 *
 * PEFT reads LORA folders as they are; it warns that it ignores our own keys (condlora_stamp,
 * labels, regression, task, types_zero, held_out, text_columns, label_column). */
#ifndef CONDLORA_MODEL_ADAPTER_FOLDER_H
#define CONDLORA_MODEL_ADAPTER_FOLDER_H

#include "condlora/safetensors.h"
#include "model/adapter/config.h"

/* What PEFT puts before every tensor's name. */
#define ADAPTER_PREFIX "base_model.model."

/* The adapter's own folder: `folder`, or folder/adapter where it is a run's. To be freed by the
 * caller; NULL when memory is out. */
char *adapter_folder_find(const char *folder);

/* Opens a folder, an adapter's or a run's. Tensor names begin with ADAPTER_PREFIX; that they fit
 * a model is for the caller to judge. inference_mode, and what only matters before training, are
 * ignored; init_lora_weights "pissa" and "olora" say that the values belong beside weights from
 * which the initial ones were taken off. Any other setting that would change the result and is not
 * done here is refused by name.
 * Errors: ABSENT, IO, DATA, UNSUPPORTED, MEMORY. On success the caller frees `config` and closes
 * `tensors`. */
CDL_MUST_USE cdl_status adapter_folder_open(const char *folder, adapter_config *config,
                                            cdl_safetensors **tensors);

/* Writes a folder (made if missing), as described above. The same arguments give the same bytes.
 * Errors: ARGUMENT (config or tensors that could not be read back), IO, MEMORY. */
CDL_MUST_USE cdl_status adapter_folder_write(const char *folder, const adapter_config *config,
                                             const cdl_stored_tensor *tensors, size_t count);

#endif
