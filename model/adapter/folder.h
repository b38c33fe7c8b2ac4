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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/safetensors.h"
#include "model/adapter/adapter.h"

/* What PEFT puts before every tensor's name. */
#define ADAPTER_PREFIX "base_model.model."

typedef struct {
  char **item;
  size_t count;
} adapter_names;

/* For each pattern a rank or an alpha; patterns are owned. */
typedef struct {
  adapter_module_value *item;
  size_t count;
} adapter_module_values;

/* What training held out of its examples to choose the best adapter by. */
typedef struct {
  bool known;
  double fraction;
  bool as_reference; /* by the reference's split, not by class */
} adapter_held_out;

/* Settings that are no low-rank method's are zero. */
typedef struct {
  char *peft_type; /* "LORA", …: of any method but full */
  int64_t rank;    /* r; 0: the method has none */
  double alpha;    /* lora_alpha */
  double dropout;  /* lora_dropout, in [0, 1) */
  bool rslora;     /* use_rslora: the scale is alpha / √rank, not alpha / rank */
  adapter_module_values rank_pattern, alpha_pattern;
  adapter_init init; /* init_lora_weights */
  adapter_bias bias;
  adapter_names targets; /* suffixes of module paths; empty when there is a pattern */
  char *target_pattern;  /* a regular expression for whole module paths, or NULL */
  int64_t *layers;       /* layers_to_transform; none: all */
  size_t layer_count;
  adapter_names layers_pattern;
  adapter_names excluded; /* exclude_modules, as targets */
  char *excluded_pattern;
  char *orientation; /* of an oriented method: "paper" or "reference"; else NULL */
  double options[ADAPTER_OPTIONS_MAX]; /* in the order of adapter_options */
  struct json_t *extra; /* keys of the method's own: an object with a reference; or NULL */
  /* Read only: PEFT's task_type SEQ_CLS, under which it saves the head, whatever else is said; biases
   * beside B; rows of the table of words that the folder replaces. */
  bool saves_head, lora_bias;
  int64_t *token_rows;
  size_t token_count;
  adapter_names modules_to_save;
  char *base_model;          /* base_model_name_or_path, or NULL */
  char *task;                /* ours: "RTE", say, or NULL */
  adapter_names labels;      /* ours: names in the order of the logits; empty when unknown */
  bool regression;           /* ours: one output, no labels */
  bool types_zero;           /* ours: trained with every token of type 0 */
  adapter_held_out held_out; /* ours */
  adapter_names
      text_columns;   /* ours: of the table it was trained on, one or two; empty: not known */
  char *label_column; /* ours, or NULL */
  /* Of the base model: 16 hexadecimal digits from the tensors' metadata, or NULL. */
  char *fingerprint;
} adapter_config;

void adapter_config_free(adapter_config *config);

/* An adapter of this config: views into it. What is not kept in one (dropout_hits_base,
 * lora_plus_ratio, ignore_unmatched, train_pooler) is zero. `config` is whole: its type is known. */
adapter_settings adapter_config_settings(const adapter_config *config);

/* Alpha and scale of one adapted module of rank `rank`, by the config's patterns. */
CDL_MUST_USE cdl_status adapter_config_module(const adapter_config *config, const char *path,
                                              int64_t rank, adapter_module *module);

/* Initial values that were taken off the frozen weights (pissa, olora) are saved beside the weights
 * as they were: as a LoRA of twice the rank and the same scale. Other configs stay. */
void adapter_config_converted(adapter_config *config);

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
