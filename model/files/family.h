/* The differences between families of encoders: names, embeddings, head. One row per family. */
#ifndef CONDLORA_MODEL_FILES_FAMILY_H
#define CONDLORA_MODEL_FILES_FAMILY_H

#include <stdbool.h>

#include "condlora/ops.h"

typedef enum {
  MODEL_FAMILY_BERT,
  MODEL_FAMILY_ROBERTA,
  MODEL_FAMILY_DISTILBERT,
  MODEL_FAMILY_ELECTRA,
  MODEL_FAMILY_XLM_ROBERTA,
  MODEL_FAMILY_CAMEMBERT,
  MODEL_FAMILY_MPNET
} model_family;

/* Returns the `model_type`: "bert", "xlm-roberta"; static. */
const char *model_family_name(model_family family);
/* Returns the usual targets of an adapter, separated by commas: "query,value"; static. */
const char *model_family_targets(model_family family);

/* The linear layers of a block that an adapter can reach, in the order of their weights. */
typedef enum {
  MODEL_QUERY,
  MODEL_KEY,
  MODEL_VALUE,
  MODEL_ATTENTION_OUT,
  MODEL_INTERMEDIATE,
  MODEL_OUTPUT,
  MODEL_MODULES_PER_BLOCK
} model_module_kind;

enum { MODEL_FAMILY_COUNT = MODEL_FAMILY_MPNET + 1, MODEL_FAMILY_EXTRAS = 3 };

/* Names of a block's parts: "encoder.layer." N "." path. */
typedef struct {
  const char *layers;
  const char *paths[MODEL_MODULES_PER_BLOCK];
  const char *attention_norm, *output_norm;
} model_block_names;

typedef struct {
  const char *name;    /* `model_type` in config.json */
  const char *classes; /* the start of the names of Transformers' classes */
  const char *prefix;  /* of the body's tensors in a checkpoint with a head: "roberta." */
  const model_block_names *block;
  const char *targets; /* usual targets of an adapter, separated by commas */
  bool types;          /* token types are embedded */
  bool after_padding;  /* positions count from pad_id + 1 */
  bool drops_attended; /* hidden dropout after the attention's last projection */
  /* A table [buckets, heads] within the body, which adds to attention's scores by the distance of
   * the two tokens; NULL: none. */
  const char *distance_bias;
  /* The head: its first layer, an activation, classifier dropout, its last layer. */
  const char *head_dense, *head_out;
  cdl_activation head_activation;
  bool head_drops_input; /* classifier dropout before the first layer too */
  /* the first layer belongs to the body: it is frozen unless it must be drawn */
  bool pooler;
  const char *extras[MODEL_FAMILY_EXTRAS]; /* stored modules that no classifier reads */
} model_family_facts;

const model_family_facts *model_family_of(model_family family);

/* Finds the family of a `model_type`, or of a class if `type` is NULL. Returns false if there is
 * none. */
bool model_family_find(const char *type, const char *class_name, model_family *family);

#endif
