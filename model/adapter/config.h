/* What adapter_config.json says of an adapter, and how it is read and written. */
#ifndef CONDLORA_MODEL_ADAPTER_CONFIG_H
#define CONDLORA_MODEL_ADAPTER_CONFIG_H

#include <jansson.h>

#include "model/adapter/adapter.h"

/* What training held out of its examples to choose the best adapter by. */
typedef struct {
  bool known;
  double fraction;
  bool reference_split; /* by the reference's split, not by class */
} adapter_held_out;

/* Lists and strings are owned. */
typedef struct {
  adapter_settings settings; /* the method is known, and none that trains the whole model */
  /* Read only: PEFT's task_type SEQ_CLS, under which it saves the head, whatever else is said; biases
   * beside B; rows of the table of words that the folder replaces. */
  bool saves_head, lora_bias;
  int64_t *token_rows;
  size_t token_count;
  char *base_model;          /* base_model_name_or_path, or NULL */
  char *task;                /* ours: "RTE", say, or NULL */
  base_list labels;          /* ours: names in the order of the logits; empty when unknown */
  bool regression;           /* ours: one output, no labels */
  bool zero_token_types;     /* ours: trained with every token of type 0 */
  adapter_held_out held_out; /* ours */
  base_list text_columns; /* ours: of the table it was trained on, one or two; empty: not known */
  char *label_column;     /* ours, or NULL */
  /* Of the base model: 16 hexadecimal digits from the tensors' metadata, or NULL. */
  char *fingerprint;
} adapter_config;

void adapter_config_free(adapter_config *config);

/* Alpha and scale of one adapted module of rank `rank`, by the config's patterns. */
CDL_MUST_USE cdl_status adapter_config_module(const adapter_config *config, const char *path,
                                              int64_t rank, adapter_module *module);

/* Initial values that were taken off the frozen weights (pissa, olora) are saved beside the weights
 * as they were: as a LoRA of twice the rank and the same scale. Other configs stay. */
void adapter_config_converted(adapter_config *config);

/* `path` is for messages. On failure `config` may be partly filled and is to be freed all the
 * same. */
CDL_MUST_USE cdl_status adapter_config_from_json(const char *path, json_t *object,
                                                 adapter_config *config);
/* ARGUMENT when the settings could not be read back. `object` is to be released with
 * json_decref. */
CDL_MUST_USE cdl_status adapter_config_to_json(const char *path, const adapter_config *config,
                                               json_t **object);

/* The columns of a table that a model was trained on, keys "text_columns" and "label_column" of an
 * adapter's config, and of config.json where the model was fine-tuned whole. */
CDL_MUST_USE cdl_status adapter_columns_from_json(const char *path, const json_t *object,
                                                  adapter_config *config);
void adapter_columns_to_json(const adapter_config *config, json_t **object);

#endif
