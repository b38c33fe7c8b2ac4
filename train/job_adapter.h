/* A job's adapter: settings from one that training starts from, and the adapter of settings. */
#ifndef CONDLORA_TRAIN_JOB_ADAPTER_H
#define CONDLORA_TRAIN_JOB_ADAPTER_H

#include "train/job.h"

/* Method, rank, alpha, targets and whatever else an adapter's folder decides: taken over into
 * `settings`. USAGE where a setting that was `given` says something else. */
CDL_MUST_USE cdl_status cdl_adopt_adapter(cdl_settings *settings, const bool *given,
                                          const cdl_adapter_config *config);

/* What can be told from the settings alone: before anything is loaded. */
CDL_MUST_USE cdl_status cdl_check_adapter_settings(const cdl_settings *settings);

/* The adapter that the settings describe, on the job's encoder, and the config that it is saved
 * with. Where training starts from another, that is the job's initial one: what a method keeps there
 * goes on. */
CDL_MUST_USE cdl_status cdl_make_adapter(cdl_job *job, const cdl_settings *settings);
/* What the model has to bring beside an opened adapter: the head's outputs (0: as many as the model
 * has), a head of its own where the adapter does not hold all of it, the table of words. */
cdl_load_options cdl_adapter_load_options(const cdl_safetensors *tensors,
                                          const cdl_model_config *model);
/* Whether the adapter brings words of its own, and a tokenizer for them. Errors: MEMORY. */
CDL_MUST_USE cdl_status cdl_adapter_brings_tokenizer(const char *folder,
                                                     const cdl_adapter_config *config,
                                                     const cdl_safetensors *tensors, bool *brings);

/* The adapter of an opened folder, values included, and the weights it stands on where the body was
 * left out. `config` stays the caller's. */
CDL_MUST_USE cdl_status cdl_open_adapter(cdl_job *job, const cdl_inference_settings *settings,
                                         const cdl_adapter_config *config,
                                         const cdl_safetensors *tensors);

/* An adapter belongs to the body it was trained on: its fingerprint says which. */
CDL_MUST_USE cdl_status cdl_check_base(const cdl_job *job, const char *folder,
                                       const cdl_adapter_config *config);

#endif
