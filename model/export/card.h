/* Model cards: README.md with Hugging Face's metadata at its head, in YAML, beside an adapter or a
 * model. Nothing in a card changes when a run is repeated. */
#ifndef CONDLORA_MODEL_EXPORT_CARD_H
#define CONDLORA_MODEL_EXPORT_CARD_H

#include <stddef.h>

#include "condlora/status.h"

typedef struct {
  const char *metric; /* cdl_metric_name, or "loss" */
  double value;
} export_card_score;

enum { EXPORT_CARD_TAGS = 6 };

/* All texts are borrowed. */
typedef struct {
  const char *base;                   /* name or folder of the base model; NULL: unknown */
  const char *relation;               /* to the base: "adapter" or "finetune" */
  const char *library;                /* "peft", "transformers", "condlora" */
  const char *tags[EXPORT_CARD_TAGS]; /* ends with NULL, where it is not full */
  const char *name;                   /* of the model, for its results; NULL: no results */
  const char *dataset, *dataset_type; /* "GLUE RTE", "nyu-mll/glue" */
  const char *dataset_config;         /* "rte"; NULL: none */
  const char *split;
  const export_card_score *scores; /* [score_count] */
  size_t score_count;
} export_card_head;

/* Gives the metadata between its two lines "---", with an empty line at the end; the caller frees
 * it. The licence is the one that the README.md of a base folder names. A base that has no name on
 * the hub is left out: its folder says nothing to others. Errors: MEMORY, and those of the base's
 * files. */
CDL_MUST_USE cdl_status export_card_head_make(const export_card_head *head, char **text);

/* Writes README.md into `folder`. */
CDL_MUST_USE cdl_status export_card_write(const char *folder, const export_card_head *head,
                                          const char *body);

#endif
