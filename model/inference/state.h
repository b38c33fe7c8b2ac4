/* A model that is open: what infers with it and what trains it work on this. */
#ifndef CONDLORA_MODEL_INFERENCE_STATE_H
#define CONDLORA_MODEL_INFERENCE_STATE_H

#include "condlora/hub.h"
#include "condlora/tokenizer.h"
#include "model/adapter/adapter.h"
#include "model/adapter/folder.h"
#include "model/frozen/cache.h"
#include "ranks/ranks.h"

typedef struct {
  /* where it was opened from; NULL where other models own it, or there is no adapter */
  cdl_hub_source *base_source, *adapter_source;
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_tokenizer *tokenizer;
  const char *tokenizer_folder; /* the adapter's, where it brings words of its own; or NULL */
  model_encoder *encoder;
  encoder_load_report loaded;
  frozen_cache *frozen;          /* NULL: none; passes then begin with the embeddings */
  model_adapter *adapter;        /* NULL: none */
  adapter_config adapter_config; /* what the adapter is saved with, or was read from; of a whole
                                        model the columns alone */
  int labels;                    /* outputs */
  cdl_problem problem;
  char **label_names; /* [labels], of several outputs of a regression too; NULL for one; owned */
  int32_t first_position; /* of an example's first token */
  ranks_job *job;         /* the ranks that pass examples together; borrowed, NULL: one rank */
  size_t max_length;      /* of an example in tokens */
  bool types_zero;        /* every token reads type 0, whatever the tokenizer says */
} inference_model;

/* How much of a model is opened. */
typedef enum {
  INFERENCE_OPEN_MODEL,
  INFERENCE_OPEN_ADAPTED, /* for no pass: of the body the weights that are adapted, and no tokenizer
                           */
  INFERENCE_OPEN_BESIDE,  /* all that the adapter wants beside it, without the adapter */
  INFERENCE_OPEN_BODY     /* no adapter, no tokenizer, and a head that means nothing */
} inference_open_part;

typedef enum { INFERENCE_CACHE_OFF, INFERENCE_CACHE_DISK } inference_cache;
#define INFERENCE_CACHE_WORDS "off|disk"

typedef struct {
  /* folders, or names of the hub; `adapter` NULL: a whole fine-tuned model */
  const char *model, *adapter;
  const char *backend, *precision;
  int64_t threads;
  bool no_fallback;
  ranks_job *job;     /* borrowed; its ranks take different devices; NULL: one rank */
  int64_t max_length; /* 0: as in training */
  /* Keeps the states of layers that the adapter leaves as they are (model/frozen/), in files of
   * this folder (NULL: the usual one), of at most so many bytes (0: half of the free ones). */
  int cache_frozen; /* an inference_cache */
  const char *cache_dir;
  double cache_limit; /* gigabytes */
  int64_t rank;       /* 0: the adapter's; one that DyLoRA trained serves with lower ones too */
  inference_open_part part;
} inference_settings;

#endif
