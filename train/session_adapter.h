/* A session's adapter: settings from one that training starts from, and the adapter of settings. */
#ifndef CONDLORA_TRAIN_SESSION_ADAPTER_H
#define CONDLORA_TRAIN_SESSION_ADAPTER_H

#include "train/session.h"

/* Method, rank, alpha, targets and whatever else an adapter's folder decides: taken over into
 * `settings`. USAGE where a setting that was `given` says something else. */
CDL_MUST_USE cdl_status train_adopt_adapter(train_settings *settings, const bool *given,
                                            const adapter_config *config);

/* What can be told from the settings alone: before anything is loaded. */
CDL_MUST_USE cdl_status train_check_adapter_settings(const train_settings *settings);

/* The adapter that the settings describe, on the session's encoder, and the config that it is saved
 * with. Where training starts from another, that is the session's initial one: what a method keeps there
 * goes on. */
CDL_MUST_USE cdl_status train_make_adapter(train_session *session, const train_settings *settings);
/* What the model has to bring beside an opened adapter: the head's outputs (0: as many as the model
 * has), a head of its own where the adapter does not hold all of it, the table of words. */
encoder_load_options train_adapter_load_options(const cdl_safetensors *tensors,
                                                const model_config *model);
/* Whether the adapter brings words of its own, and a tokenizer for them. Errors: MEMORY. */
CDL_MUST_USE cdl_status train_adapter_brings_tokenizer(const char *folder,
                                                       const adapter_config *config,
                                                       const cdl_safetensors *tensors,
                                                       bool *brings);

/* The adapter of an opened folder, values included, and the weights it stands on where the body was
 * left out. `config` stays the caller's. */
CDL_MUST_USE cdl_status train_open_adapter(train_session *session,
                                           const train_inference_settings *settings,
                                           const adapter_config *config,
                                           const cdl_safetensors *tensors);

/* An adapter belongs to the body it was trained on: its fingerprint says which. */
CDL_MUST_USE cdl_status train_check_base(const train_session *session, const char *folder,
                                         const adapter_config *config);

#endif
