/* Opens a model for inference: backend, encoder, adapter and tokenizer, from their folders or
 * names. */
#ifndef CONDLORA_MODEL_INFERENCE_INFERENCE_H
#define CONDLORA_MODEL_INFERENCE_INFERENCE_H

#include "model/inference/state.h"

/* `settings->model` may be NULL if there is an adapter: the base that the adapter records, or the
 * model of a run that trained it whole, is opened. On failure nothing stays open. */
CDL_MUST_USE cdl_status inference_open(inference_model *model, const inference_settings *settings);
/* Frees what is there: an adapter, an encoder, a tokenizer, queue and backend. */
void inference_close(inference_model *model);
/* The base's name on the hub, or its folder. Borrowed until the model is closed. */
const char *inference_base_name(const inference_model *model);

/* The parts, for what opens a model in another order. Each frees nothing on failure. */
/* Resolves the name of a base and that of an adapter (NULL: none), and keeps the sources. *folder
 * is the model's until it is closed. */
CDL_MUST_USE cdl_status inference_find_base(inference_model *model, const char *name,
                                            const char **folder);
CDL_MUST_USE cdl_status inference_find_adapter(inference_model *model, const char *name,
                                               const char **folder);
/* If the model has a job, its ranks take different devices. */
CDL_MUST_USE cdl_status inference_open_backend(inference_model *model, const char *name,
                                               cdl_precision precision, int64_t threads,
                                               bool no_fallback);
/* Of the folder `base`, or of the adapter where it brings words of its own. */
CDL_MUST_USE cdl_status inference_open_tokenizer(inference_model *model, const char *base,
                                                 int64_t vocabulary);
/* Sets `max_length` and `first_position`. */
CDL_MUST_USE cdl_status inference_find_length(inference_model *model, const model_config *config,
                                              int64_t wanted);

/* The adapter of settings->adapter, its config and labels. Where the model has no encoder yet, that
 * and the tokenizer too; else UNSUPPORTED for an adapter that changes a body which others share,
 * DATA for one of another base or number of labels. What it leaves on failure, inference_close
 * frees. */
CDL_MUST_USE cdl_status inference_open_with_adapter(inference_model *model,
                                                    const inference_settings *settings);

/* Outputs, their names and thresholds, which `to` has not yet. Errors: MEMORY. */
CDL_MUST_USE cdl_status inference_copy_labels(const inference_model *from, inference_model *to);

/* The longest example in tokens: as `wanted`, or with 0 what the model takes, 512 at most. USAGE
 * above what it takes. */
CDL_MUST_USE cdl_status inference_example_length(const model_config *config, int64_t wanted,
                                                 size_t *length);

/* Whether the model's tables have rows for an example's tokens [count]. Else `*what` is "token id"
 * or "token type", `*id` the first that is outside, and `*limit` how many there are. */
bool inference_has_tokens(const inference_model *model, const int32_t *ids, const uint8_t *types,
                          size_t count, const char **what, int32_t *id, int64_t *limit);

#endif
