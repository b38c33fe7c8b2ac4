/* adapter_config.json: what it says of an adapter, reading and writing it. "Ours" marks keys that
 * PEFT does not have and ignores. */
#ifndef CONDLORA_MODEL_ADAPTER_CONFIG_H
#define CONDLORA_MODEL_ADAPTER_CONFIG_H

#include <jansson.h>

#include "model/adapter/adapter.h"

/* The examples that training held out to choose the best adapter. */
typedef struct {
  bool known;
  double fraction;
  bool reference_split; /* split as the paper's code does, not by class */
} adapter_held_out;

/* The config owns its lists and strings. */
typedef struct {
  adapter_settings settings; /* with a known method that does not train the whole model */
  /* Only read, never written: whether PEFT's task_type is SEQ_CLS, with which PEFT always saves the
   * head; whether there are biases beside B; rows of the word embeddings that the folder replaces.
   */
  bool saves_head, lora_bias;
  int64_t *token_rows;
  size_t token_count;
  char *base_model;          /* base_model_name_or_path, or NULL */
  char *base_revision;       /* revision: the commit of a base that has a name; or NULL */
  char *task;                /* ours: a GLUE task, for example "RTE", or NULL */
  base_list labels;          /* ours: names in the order of the logits; empty if unknown */
  cdl_problem problem;       /* ours; a regression's labels name its outputs, if it has several */
  double *thresholds;        /* ours, of several labels: [labels.count], or NULL: 0.5 */
  bool zero_token_types;     /* ours: trained with type 0 for every token */
  adapter_held_out held_out; /* ours */
  base_list text_columns;    /* ours: one or two columns of the training file; empty if unknown */
  base_list label_columns;   /* ours: usually one; empty if unknown */
  char *label_separator;     /* ours, or NULL: between the labels of one field */
  char *fingerprint;         /* ours: model_checkpoint_fingerprint in hexadecimal, or NULL */
} adapter_config;

void adapter_config_free(adapter_config *config);

/* Computes alpha and scale of one adapted module of rank `rank` from the config's patterns. Errors:
 * those of module_pattern_create. */
CDL_MUST_USE cdl_status adapter_config_module(const adapter_config *config, const char *path,
                                              int64_t rank, adapter_module *module);

/* Changes a config whose initial values were subtracted from the frozen weights (pissa, olora) into
 * that of a plain LoRA over the original weights: twice the rank, the same scale. Leaves other
 * configs unchanged. */
void adapter_config_converted(adapter_config *config);

/* Reads a config; `path` is for messages. The caller frees `config`, also after a failure. Errors:
 * DATA and UNSUPPORTED, naming file and key; MEMORY. */
CDL_MUST_USE cdl_status adapter_config_from_json(const char *path, json_t *object,
                                                 adapter_config *config);
/* Makes the JSON object of a config, which the caller releases. Errors: ARGUMENT for settings that
 * adapter_config_from_json would not read back; MEMORY. */
CDL_MUST_USE cdl_status adapter_config_to_json(const char *path, const adapter_config *config,
                                               json_t **object);

/* Read and write what the config.json of a model that was trained whole has beside Transformers'
 * keys, under the names that an adapter's config uses: the columns of the table that the model was
 * trained on, and the thresholds of its `labels`. */
CDL_MUST_USE cdl_status adapter_columns_from_json(const char *path, const json_t *object,
                                                  size_t labels, adapter_config *config);
void adapter_columns_to_json(const adapter_config *config, json_t **object);

#endif
