/* The adapter of a folder on an encoder, and what the model has to bring beside it. */
#ifndef CONDLORA_MODEL_INFERENCE_ADAPTED_H
#define CONDLORA_MODEL_INFERENCE_ADAPTED_H

#include "model/inference/state.h"

enum { INFERENCE_FINGERPRINT_BYTES = 17 };
/* Of the body that was loaded, as adapters keep it. */
void inference_fingerprint(const inference_model *model, char text[INFERENCE_FINGERPRINT_BYTES]);

/* What the model has to bring beside an opened adapter: the head's outputs (0: as many as the model
 * has), a head of its own where the adapter does not hold all of it, the table of words. */
encoder_load_options inference_load_options(const cdl_safetensors *tensors,
                                            const model_config *base);
/* Whether the adapter brings words of its own, and a tokenizer for them. Errors: MEMORY. */
CDL_MUST_USE cdl_status inference_brings_tokenizer(const char *folder, const adapter_config *config,
                                                   const cdl_safetensors *tensors, bool *brings);

/* The adapter of an opened folder, values included, and the weights it stands on where the body was
 * left out. `config` stays the caller's. UNSUPPORTED for one that changes a body which others
 * share. */
CDL_MUST_USE cdl_status inference_open_adapter(inference_model *model,
                                               const inference_settings *settings,
                                               const adapter_config *config,
                                               const cdl_safetensors *tensors);

/* An adapter belongs to the body it was trained on: its fingerprint says which. */
CDL_MUST_USE cdl_status inference_check_base(const inference_model *model, const char *folder,
                                             const adapter_config *config);

/* What would be wrong usage on a command line is wrong data in an adapter's folder. */
cdl_status inference_in_folder(cdl_status status, const char *folder);

#endif
