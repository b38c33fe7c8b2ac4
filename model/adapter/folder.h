/* The folder of an adapter in PEFT's format (PEFT 0.21): adapter_config.json and
 * adapter_model.safetensors.
 *
 * A crash never leaves a half-written adapter. Each file is replaced atomically, the tensors first.
 * Both files carry a stamp computed from the config without its thresholds (key "condlora_stamp",
 * metadata "condlora_stamp"). While a run saves repeatedly, the rest of its config does not change,
 * so the folder always holds a complete adapter. If the machine fails between the two files while
 * another adapter is overwritten, the stamps differ and reading reports it. A folder without
 * stamps, such as PEFT's, is not checked. Editing a config by hand keeps its stamp.
 *
 * PEFT can read LORA folders unchanged. It warns that it ignores the additional keys
 * (condlora_stamp, labels, problem_type, thresholds, task, types_zero, held_out, text_columns,
 * label_column, label_separator). */
#ifndef CONDLORA_MODEL_ADAPTER_FOLDER_H
#define CONDLORA_MODEL_ADAPTER_FOLDER_H

#include "condlora/safetensors.h"
#include "model/adapter/config.h"

/* The prefix of every tensor's name in PEFT. */
#define ADAPTER_PREFIX "base_model.model."

/* Returns the adapter's folder: `folder`, or folder/adapter if `folder` is a run's. The caller
 * frees it; NULL if memory is out. */
char *adapter_folder_find(const char *folder);

/* Opens the folder of an adapter or a run. Names of tensors begin with ADAPTER_PREFIX; the caller
 * checks that they fit a model. inference_mode and keys that matter only before training are
 * ignored. The values "pissa" and "olora" of init_lora_weights mean that the tensors belong to
 * weights from which the initial values were subtracted. Any other setting that would change the
 * result and is not supported is an error that names it. Errors: ABSENT, IO, DATA, UNSUPPORTED,
 * MEMORY. On success the caller frees `config` and closes `tensors`. */
CDL_MUST_USE cdl_status adapter_folder_open(const char *folder, adapter_config *config,
                                            cdl_safetensors **tensors);

/* Writes a folder as described above; creates it if it is missing. Equal arguments give equal
 * bytes. Errors: ARGUMENT for a config or tensors that could not be read back; IO; MEMORY. */
CDL_MUST_USE cdl_status adapter_folder_write(const char *folder, const adapter_config *config,
                                             const cdl_stored_tensor *tensors, size_t count);

#endif
