/* An adapter's folder in PEFT's format (PEFT 0.17): adapter_config.json and
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
 * labels, regression, task, types_zero). */
#ifndef CONDLORA_MODEL_ADAPTER_FOLDER_H
#define CONDLORA_MODEL_ADAPTER_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/safetensors.h"
#include "condlora/status.h"

typedef struct {
  char **item;
  size_t count;
} cdl_names;

typedef struct {
  char *peft_type;      /* "LORA", "CONDLORA", "NONE" or "BITFIT" */
  int64_t rank;         /* r; 0 for NONE and BITFIT */
  double alpha;         /* lora_alpha: the scale is alpha / rank */
  double dropout;       /* lora_dropout, in [0, 1) */
  cdl_names targets;    /* suffixes of module paths; empty when there is a pattern */
  char *target_pattern; /* a regular expression for whole module paths, or NULL */
  char *orientation;    /* CONDLORA: "paper" or "reference"; else NULL */
  cdl_names modules_to_save;
  char *base_model; /* base_model_name_or_path, or NULL */
  char *task;       /* ours: "RTE", say, or NULL */
  cdl_names labels; /* ours: names in the order of the logits; empty when unknown */
  bool regression;  /* ours: one output, no labels */
  bool types_zero;  /* ours: trained with every token of type 0 */
  /* Of the base model: 16 hexadecimal digits from the tensors' metadata, or NULL. */
  char *fingerprint;
} cdl_adapter_config;

void cdl_adapter_config_free(cdl_adapter_config *config);

/* Opens a folder. Tensor names begin with "base_model.model."; that they fit a model is for the
 * caller to judge. inference_mode, and what only matters before training (init_lora_weights and
 * the like) are ignored. Any other setting that would change the result and is not done here is
 * refused by name.
 * Errors: ABSENT, IO, DATA, UNSUPPORTED, MEMORY. On success the caller frees `config` and closes
 * `tensors`. */
CDL_MUST_USE cdl_status cdl_adapter_folder_open(const char *folder, cdl_adapter_config *config,
                                                cdl_safetensors **tensors);

/* Writes a folder (made if missing), as described above. The same arguments give the same bytes.
 * Errors: ARGUMENT (config or tensors that could not be read back), IO, MEMORY. */
CDL_MUST_USE cdl_status cdl_adapter_folder_write(const char *folder,
                                                 const cdl_adapter_config *config,
                                                 const cdl_stored_tensor *tensors, size_t count);

#endif
