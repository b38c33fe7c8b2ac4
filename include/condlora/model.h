/* Models that classify texts. A model is opened from a folder; its adapters can be switched, merged
 * and exported. */
#ifndef CONDLORA_MODEL_H
#define CONDLORA_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "condlora/backend.h"
#include "condlora/problem.h"
#include "condlora/settings.h"
#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A base model on a backend, its tokenizer, and any number of adapters, of which at most one is
 * active. */
typedef struct cdl_model cdl_model;

typedef struct {
  size_t size;
  /* Folder of the adapter's base model, or its name. NULL: what the adapter records, which is a
   * folder, perhaps relative to the working directory, or a name and its commit. */
  const char *base;
  const char *backend; /* as cdl_backend_open takes it; NULL: "auto" */
  cdl_precision precision;
  int threads;      /* of the CPU backend; 0: as many as the process may use cores */
  bool no_fallback; /* makes it an error if work would fall back to the host */
  /* in tokens; longer texts are cut; 0: 512, or the model's limit if it is lower */
  size_t max_length;
  int64_t rank; /* of a DyLoRA adapter: any rank up to the adapter's own; 0: the adapter's own */
} cdl_model_options;

static inline cdl_model_options cdl_model_options_init(void)
{
  cdl_model_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  return options;
}

/* Opens a folder, or a name as cdl_hub_resolve takes it. `path` is the folder of an adapter of this
 * project or of PEFT, of a run of `condlora train` or cdl_train, or of a fully fine-tuned model.
 * The folder's adapter becomes active under the name "default". `options` may be NULL. Errors:
 * ABSENT, IO, DATA and UNSUPPORTED, naming the file; USAGE for invalid options; those of
 * cdl_hub_resolve and cdl_backend_open; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_model_open(const char *path, const cdl_model_options *options,
                                               cdl_model **model);
CDL_API void cdl_model_close(cdl_model *model);

/* ---- Properties: of the active adapter, or of the model without one ---- */

/* Returns the number of logits per text: the number of labels, or of a regression's numbers. */
CDL_API size_t cdl_model_label_count(const cdl_model *model);
/* Returns the name of a label, or of one of a regression's several numbers: as in training, or "0",
 * "1", … if names are not recorded. NULL for a regression of one number and past the last label.
 * Borrowed until adapters change. */
CDL_API const char *cdl_model_label_name(const cdl_model *model, size_t label);
/* Returns what the logits mean. */
CDL_API cdl_problem cdl_model_problem(const cdl_model *model);
/* Returns whether the problem is a regression. */
CDL_API bool cdl_model_is_regression(const cdl_model *model);
/* Returns the probability from which on a label is predicted, for a problem of several labels: it
 * was chosen in training, or is 0.5. NaN for other problems and past the last label. */
CDL_API double cdl_model_threshold(const cdl_model *model, size_t label);
/* Returns whether the model is known to have been trained on pairs of texts. */
CDL_API bool cdl_model_is_pair(const cdl_model *model);
/* Returns the longest input in tokens, with special tokens. */
CDL_API size_t cdl_model_max_length(const cdl_model *model);
/* Returns the backend, to ask for its name, memory and paths. The model owns it; do not close
 * it. */
CDL_API cdl_backend *cdl_model_backend(const cdl_model *model);
/* Gives the configuration of the active adapter as a JSON object in the form of PEFT's
 * adapter_config.json; "{}" without an adapter. Borrowed until the next call with this model.
 * Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_model_adapter_config(cdl_model *model, const char **json);

/* ---- Classification ---- */

/* Computes logits [count, labels] of `count` texts, in their order. With `pairs` (NULL for none),
 * texts[i] and pairs[i] form one input. Texts are UTF-8. Any number of texts is split into batches
 * by length, without padding. The logits equal those of `condlora predict`; on the CPU they are the
 * same for any number of threads. Errors: DATA if the model was trained on pairs and `pairs` is
 * NULL, or the reverse; ARGUMENT for a text that is NULL; NUMERIC if a logit is not finite; MEMORY;
 * those of the device. */
CDL_API CDL_MUST_USE cdl_status cdl_model_classify(cdl_model *model, const char *const *texts,
                                                   const char *const *pairs, size_t count,
                                                   float *logits);
/* Computes the probabilities of one row of logits [labels] in double: the softmax, or the sigmoid
 * of each logit for a problem of several labels; 1 for a regression. */
CDL_API void cdl_model_probabilities(const cdl_model *model, const float *logits,
                                     double *probabilities);
/* Returns the label with the largest logit of one row, the first one of equals; 0 for a
 * regression. */
CDL_API size_t cdl_model_best(const cdl_model *model, const float *logits);
/* Writes which labels the model predicts for one row of logits, `chosen` [labels]: the label with
 * the largest logit, or, of several labels, each whose probability reaches its threshold, which can
 * be none. All are false for a regression. */
CDL_API void cdl_model_decide(const cdl_model *model, const float *logits, bool *chosen);

/* ---- Adapters ---- */

/* Reads another adapter for the same base, from its folder or by its name; it shares the base's
 * weights. The active adapter does not change. Errors: as cdl_model_open; ARGUMENT for a name that
 * is in use; DATA if the head has another number of labels; UNSUPPORTED for an adapter that changes
 * the base itself (full, bitfit, pissa, olora), and if the model was opened with such an adapter.
 * These can only be opened alone. */
CDL_API CDL_MUST_USE cdl_status cdl_model_load_adapter(cdl_model *model, const char *folder,
                                                       const char *name);
/* Creates an untrained adapter with the initial values that training would start from. `settings`
 * gives its method, rank, alpha, targets and seed; its labels are those of the active adapter.
 * Errors: as cdl_model_load_adapter, but USAGE for invalid settings and for an adapter that would
 * change the base. */
CDL_API CDL_MUST_USE cdl_status cdl_model_create_adapter(cdl_model *model,
                                                         const cdl_settings *settings,
                                                         const char *name);
/* Makes an adapter active. NULL means no adapter: the model alone. Errors: ARGUMENT for an unknown
 * name, listing the known ones; DATA for NULL if the model has no head of its own. */
CDL_API CDL_MUST_USE cdl_status cdl_model_set_adapter(cdl_model *model, const char *name);
/* Frees an adapter that is not active. Errors: ARGUMENT for the active adapter and an unknown
 * name. */
CDL_API CDL_MUST_USE cdl_status cdl_model_delete_adapter(cdl_model *model, const char *name);
/* Writes an adapter and its head to a folder that cdl_model_open and PEFT can read. Errors:
 * ARGUMENT for an unknown name; IO. */
CDL_API CDL_MUST_USE cdl_status cdl_model_save_adapter(cdl_model *model, const char *name,
                                                       const char *folder);
CDL_API size_t cdl_model_adapter_count(const cdl_model *model);
/* Returns the name of an adapter: cdl_model_get_adapter in the order of loading, for `index` below
 * the count; cdl_model_active_adapter of the active one, or NULL. Borrowed until the adapter is
 * deleted. */
CDL_API const char *cdl_model_get_adapter(const cdl_model *model, size_t index);
CDL_API const char *cdl_model_active_adapter(const cdl_model *model);

/* ---- Merging and exporting ---- */

/* Merges the active adapter into the weights and writes a whole model, which Transformers can read,
 * to the new folder `folder`. The folder appears complete or not at all. The model in memory does
 * not change. If `change` is not NULL, it receives the largest change of a logit by merging,
 * measured on a few sequences of random tokens. Errors: ARGUMENT if the folder exists; UNSUPPORTED
 * for an adapter that cannot be merged (use_x type2); USAGE without an adapter; IO. */
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

/* Writes the new folder `folder`, which appears complete or not at all. `options` may be NULL:
 * LoRA. `change` is as for cdl_model_merge, and 0 if nothing is merged. Errors: ARGUMENT if the
 * folder exists; UNSUPPORTED for what the format cannot hold; USAGE for LoRA without an adapter;
 * IO. */
CDL_API CDL_MUST_USE cdl_status cdl_model_export(cdl_model *model, const char *folder,
                                                 const cdl_export_options *options, double *change);

#ifdef __cplusplus
}
#endif
#endif
