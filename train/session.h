/* Everything a command works with, opened in order: data, tokenizer, backend, model, adapter. */
#ifndef CONDLORA_TRAIN_SESSION_H
#define CONDLORA_TRAIN_SESSION_H

#include "condlora/dataset.h"
#include "condlora/tokenizer.h"
#include "model/adapter/adapter.h"
#include "model/adapter/folder.h"
#include "train/data/census.h"
#include "train/data/split.h"
#include "train/settings.h"

typedef struct {
  const cdl_task *task;     /* NULL for files of one's own */
  cdl_dataset *train, *dev; /* either may be NULL */
  data_split split;         /* of `train` */
  uint32_t *dev_rows;       /* 0, 1, 2, … [dev's count] */
  data_census census;       /* of them; for training */
  int labels;               /* outputs of the model */
  bool regression;
  char **label_names; /* [labels]; NULL for a regression; owned */

  cdl_tokenizer *tokenizer;
  const char *tokenizer_folder; /* the adapter's, where it brings words of its own; or NULL */
  cdl_backend *backend;
  cdl_queue *queue;
  model_encoder *encoder;
  encoder_load_report loaded;
  model_adapter *adapter;
  adapter_config adapter_config; /* what the adapter is saved with, or was read from; of a whole
                                        model that was opened for inference the columns alone */
  int32_t first_position;        /* of an example's first token */
  size_t max_length;
  bool types_zero; /* every token reads type 0, whatever the tokenizer says */

  /* Of --init-adapter, else empty. */
  adapter_config initial;
  cdl_safetensors *initial_tensors;
  bool body_changed; /* by this run or one before, beyond pooler and head */
} train_session;

/* For training: `given` marks the settings that were set by hand (by place in train_setting_list;
 * NULL: none), which --init-adapter must not contradict. Settings that the adapter decides are
 * changed in place. On failure nothing stays open. */
CDL_MUST_USE cdl_status train_session_open(train_session *session, train_settings *settings,
                                           const bool *given);

/* The same in two halves, for several runs one after another on one base: all but the adapter, as far
 * as `settings` say it; then for each run its adapter and a head as fresh as train_session_open's, under
 * its own settings, which differ from the first in nothing that the base depends on (data, model,
 * backend, compat, init_adapter). train_session_end_run frees all that a run took on the backend. */
CDL_MUST_USE cdl_status train_session_open_base(train_session *session, train_settings *settings,
                                                const bool *given);
CDL_MUST_USE cdl_status train_session_begin_run(train_session *session, train_settings *settings,
                                                const bool *given);
void train_session_end_run(train_session *session);

/* For runs side by side on one base: a session of its own for each, that borrows all but encoder (over
 * the base's body) and adapter. USAGE for settings that change the body. Ends with train_session_unshare,
 * before the base, on which no run has begun itself meanwhile; after the last, all that runs took on
 * the backend is free. */
CDL_MUST_USE cdl_status train_session_share(train_session *base, train_settings *settings,
                                            const bool *given, train_session *session);
void train_session_unshare(train_session *session);

/* How much of a model is opened. */
typedef enum {
  TRAIN_OPEN_MODEL,
  TRAIN_OPEN_ADAPTED, /* for no pass: of the body the weights that are adapted, and no tokenizer */
  TRAIN_OPEN_BODY     /* no adapter, no tokenizer, and a head that means nothing */
} train_open_part;

typedef struct {
  const char *model, *adapter; /* `adapter` NULL: a whole fine-tuned model */
  const char *backend, *precision;
  int64_t threads;
  bool no_fallback;
  int64_t max_length; /* 0: as in training */
  int64_t rank;       /* 0: the adapter's; one that DyLoRA trained serves with lower ones too */
  train_open_part part;
} train_inference_settings;

/* For eval and predict: no data yet; session->train and session->dev stay NULL. */
CDL_MUST_USE cdl_status train_session_open_inference(train_session *session,
                                                     const train_inference_settings *settings);
/* For a session that was opened without. */
CDL_MUST_USE cdl_status train_session_open_tokenizer(train_session *session, const char *model);

void train_session_close(train_session *session);

/* The one that chooses the best: the task's first, else Pearson's correlation or accuracy. */
cdl_metric train_session_main_metric(const train_session *session);
/* Whether a metric means anything for this session: correlations for a regression, the rest for
 * classes, F1 for two. */
bool train_session_has_metric(const train_session *session, cdl_metric metric);

/* The longest example in tokens: as `wanted`, or with 0 what the model takes, 512 at most. USAGE
 * above what it takes. */
CDL_MUST_USE cdl_status train_example_length(const model_config *config, int64_t wanted,
                                             size_t *length);
/* 64 bits (FNV-1a) over ids and labels of all examples, once tokenized. */
uint64_t train_session_examples_hash(const train_session *session);
/* Tokenizes a data set as this session's model wants it. DATA, naming the line, for an id or type
 * outside its tables. */
CDL_MUST_USE cdl_status train_session_tokenize(const train_session *session, cdl_dataset *dataset);
/* How a run with these settings holds examples out. */
data_split_form train_split_form_of(const train_settings *settings);
/* A tokenizer may know more than the model it lies beside: DATA, as above, found out before anything
 * runs. */
CDL_MUST_USE cdl_status train_session_check_ids(const train_session *session,
                                                const cdl_dataset *dataset);
/* 0, 1, …, count - 1, to be freed by the caller; NULL when memory is out. */
uint32_t *train_all_rows(size_t count);

#endif
