/* Models that classify texts: opened from a folder, with adapters that can be switched, merged and
 * exported. */
#ifndef CONDLORA_MODEL_H
#define CONDLORA_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "condlora/backend.h"
#include "condlora/settings.h"
#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A base model on a backend, its tokenizer, and adapters, of which one or none is active. */
typedef struct cdl_model cdl_model;

typedef struct {
  size_t size;
  /* Folder of the base model, for an adapter. NULL: the folder that the adapter records, relative
   * to the working directory unless it is absolute. */
  const char *base;
  const char *backend; /* as cdl_backend_open takes it; NULL: "auto" */
  cdl_precision precision;
  int threads;       /* of the CPU backend; 0: as many as this process may use cores */
  bool no_fallback;  /* work that would fall back to the host is an error */
  size_t max_length; /* in tokens, longer texts are cut; 0: 512, or what the model takes */
  int64_t rank; /* of an adapter that DyLoRA trained, a rank up to its own; 0: the adapter's own */
} cdl_model_options;

static inline cdl_model_options cdl_model_options_init(void)
{
  cdl_model_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  return options;
}

/* Opens what `path` is: the folder of an adapter, this project's or PEFT's; the folder of a run of
 * `condlora train` or cdl_train; or the folder of a model that was fine-tuned whole. The adapter of
 * the folder is active, under the name "default". `options` may be NULL.
 * Errors: ABSENT, IO, DATA and UNSUPPORTED, naming the file; USAGE for options that cannot be;
 * those of cdl_backend_open; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_model_open(const char *path, const cdl_model_options *options,
                                               cdl_model **model);
CDL_API void cdl_model_close(cdl_model *model);

/* ---- What it is: facts of the active adapter, or of the model alone ---- */

/* Logits of a text: the labels, or 1 for a regression. */
CDL_API size_t cdl_model_label_count(const cdl_model *model);
/* A label's name: what was trained with, "0", "1", … where names are not recorded. NULL for a
 * regression and past the last. Borrowed until adapters change. */
CDL_API const char *cdl_model_label_name(const cdl_model *model, size_t label);
CDL_API bool cdl_model_is_regression(const cdl_model *model);
/* Whether it is known to have been trained on pairs of texts. */
CDL_API bool cdl_model_is_pair(const cdl_model *model);
/* The longest input in tokens, special tokens included. */
CDL_API size_t cdl_model_max_length(const cdl_model *model);
/* Where it runs; for its name, memory and paths. The model's own: not to be closed. */
CDL_API cdl_backend *cdl_model_backend(const cdl_model *model);
/* What the active adapter was made with: a JSON object in the form of PEFT's adapter_config.json;
 * "{}" without an adapter. Borrowed: valid until the next call with this model. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_model_adapter_config(cdl_model *model, const char **json);

/* ---- Classifying ---- */

/* Logits [count, labels] of `count` texts, in their order; with `pairs`, of texts[i] and pairs[i]
 * together. Texts are UTF-8; any number of them is cut into batches by length, without padding. The
 * numbers are those of `condlora predict`, and on the CPU the same for any number of threads.
 * Errors: DATA where the model was trained on pairs and `pairs` is NULL, or the reverse; ARGUMENT
 * for a text that is NULL; NUMERIC where a logit is not finite; MEMORY; those of the device. */
CDL_API CDL_MUST_USE cdl_status cdl_model_classify(cdl_model *model, const char *const *texts,
                                                   const char *const *pairs, size_t count,
                                                   float *logits);
/* For one row of logits [labels]: softmax, in double; of a regression, 1. */
CDL_API void cdl_model_probabilities(const cdl_model *model, const float *logits,
                                     double *probabilities);
/* For one row of logits: the label of the largest, the first among equals; of a regression, 0. */
CDL_API size_t cdl_model_best(const cdl_model *model, const float *logits);

/* ---- Adapters, several on one model ---- */

/* Reads another adapter for the same base. It shares the base's weights; the active adapter stays.
 * Errors: as cdl_model_open; ARGUMENT for a name that is taken; UNSUPPORTED for an adapter that
 * changes the base itself (full, bitfit, pissa, olora), which can only be opened alone, and on a
 * model that was opened with such a one; DATA where its head has another number of labels. */
CDL_API CDL_MUST_USE cdl_status cdl_model_load_adapter(cdl_model *model, const char *folder,
                                                       const char *name);
/* Makes a fresh adapter, with the initial values that training would begin with: method, rank,
 * alpha, targets and seed are those of `settings`. Its labels are the active adapter's. Errors: as
 * above, but USAGE for settings that cannot be and for an adapter that would change the base. */
CDL_API CDL_MUST_USE cdl_status cdl_model_create_adapter(cdl_model *model,
                                                         const cdl_settings *settings,
                                                         const char *name);
/* Makes an adapter active; NULL: none, the model alone. Errors: ARGUMENT for an unknown name,
 * naming those there are; DATA for none, where the model has no head of its own. */
CDL_API CDL_MUST_USE cdl_status cdl_model_set_adapter(cdl_model *model, const char *name);
/* Frees an adapter that is not active. Errors: ARGUMENT for the active one and an unknown name. */
CDL_API CDL_MUST_USE cdl_status cdl_model_delete_adapter(cdl_model *model, const char *name);
/* Writes an adapter and its head as a folder that cdl_model_open and PEFT read. Errors: ARGUMENT
 * for an unknown name; IO. */
CDL_API CDL_MUST_USE cdl_status cdl_model_save_adapter(cdl_model *model, const char *name,
                                                       const char *folder);
CDL_API size_t cdl_model_adapter_count(const cdl_model *model);
/* The name of adapter `index`, below the count, in the order in which they came; of the active one,
 * or NULL. Borrowed until the adapter is deleted. */
CDL_API const char *cdl_model_get_adapter(const cdl_model *model, size_t index);
CDL_API const char *cdl_model_active_adapter(const cdl_model *model);

/* ---- For other programs ---- */

/* Adds the active adapter to the weights and writes a whole model, which Transformers reads, into
 * the new folder `folder`: there whole or not at all. The model stays as it is. `change`, where not
 * NULL, is the largest change of a logit by merging, on a few sequences of random tokens. Errors:
 * ARGUMENT where the folder exists; UNSUPPORTED for an adapter that no weights can hold (use_x
 * type2), USAGE without an adapter; IO. */
CDL_API CDL_MUST_USE cdl_status cdl_model_merge(cdl_model *model, const char *folder,
                                                double *change);

typedef enum {
  CDL_EXPORT_LORA, /* the active adapter as plain LoRA, in PEFT's folder */
  CDL_EXPORT_ONNX  /* the model, its adapter merged, as an ONNX graph */
} cdl_export_format;

typedef struct {
  size_t size;
  cdl_export_format format;
} cdl_export_options;

static inline cdl_export_options cdl_export_options_init(void)
{
  cdl_export_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  return options;
}

/* Writes the new folder `folder`: there whole or not at all. `options` may be NULL: LoRA. `change`
 * as for cdl_model_merge; 0 where nothing is merged. Errors: ARGUMENT where the folder exists;
 * UNSUPPORTED for what the format cannot hold; USAGE for LoRA without an adapter; IO. */
CDL_API CDL_MUST_USE cdl_status cdl_model_export(cdl_model *model, const char *folder,
                                                 const cdl_export_options *options, double *change);

#ifdef __cplusplus
}
#endif
#endif
