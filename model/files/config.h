/* A model's config.json, as Transformers writes it: BERT, RoBERTa, DistilBERT, ELECTRA,
 * XLM-RoBERTa, CamemBERT, MPNet. */
#ifndef CONDLORA_MODEL_FILES_CONFIG_H
#define CONDLORA_MODEL_FILES_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/ops.h"
#include "condlora/problem.h"
#include "condlora/status.h"
#include "model/files/family.h"

/* The buckets of distances that attention's bias has at least: see encoder/distance.h. */
enum { MODEL_DISTANCE_BUCKETS = 32 };

/* `pad_id` of a model without padding: a null in its file. */
#define MODEL_NO_PAD INT64_MIN

typedef struct {
  model_family family;
  int64_t vocabulary_size, hidden_size, layers, heads, intermediate_size, position_count,
      type_count;           /* 0: the family embeds no token types */
  int64_t distance_buckets; /* rows of the table of attention's bias; 0: the family has none */
  int64_t embedding_size;   /* width of the embeddings, if it differs; 0: hidden_size */
  int64_t pad_id;           /* below 0: a row counted from the end of the table, as in PyTorch */
  double layer_norm_epsilon;
  cdl_activation activation;
  double hidden_dropout, attention_dropout, classifier_dropout; /* probabilities in [0, 1) */
  double initializer_range;
  /* The names of id2label are strings as Python's str() makes them; LABEL_N for a class without
   * one. */
  int64_t label_count; /* the size of id2label, or num_labels; without both: 2 */
  char **label_names;  /* [label_count], or NULL if id2label is missing or empty */
  cdl_problem problem; /* one label without a problem_type is a regression, as in Transformers */
} model_config;

/* Finds the problem that Transformers calls `name`. Returns whether there is one. */
bool model_problem_find(const char *name, cdl_problem *problem);

/* Reads `path`, a config.json or the folder that holds it. A missing key has the default of
 * Transformers 4.57.
 * Errors: ABSENT, IO, DATA (file and key: wrong type, out of range, sizes that do not go together),
 * UNSUPPORTED (another model family, activation or kind of attention), MEMORY. */
CDL_MUST_USE cdl_status model_config_read(const char *path, model_config *config);
void model_config_release(model_config *config);

/* Returns a sequence's first position: pad_id + 1 for RoBERTa, XLM-RoBERTa, CamemBERT and MPNet, 0
 * for the others. */
int64_t model_config_first_position(const model_config *config);
/* Gives the positions [count] of one sequence's ids [count], from the model's first position on.
 * Those that do not begin at 0 count only what is not padding: a token with the id `first` - 1,
 * even within a text, has that number as its position. The others begin at 0, and no id is below
 * that. */
void model_count_positions(int32_t first, const int32_t *ids, size_t count, int32_t *positions);
/* Returns the longest input in tokens. */
int64_t model_config_max_tokens(const model_config *config);

/* Writes the config.json of a fine-tuned classifier to the file `destination`. It is the one at
 * `source` (file or folder) with new architecture, labels, problem and type (float32); every other
 * key is kept. `label_names` may be NULL: LABEL_0, … If a name occurs twice, label2id has the last
 * class. Errors: as for reading; ARGUMENT for a name that is not UTF-8. */
CDL_MUST_USE cdl_status model_config_write(const char *source, const char *destination,
                                           int64_t label_count, const char *const *label_names,
                                           cdl_problem problem);

#endif
