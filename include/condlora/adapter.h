/* Adapters: what is trained of a model, by one of several methods. */
#ifndef CONDLORA_ADAPTER_H
#define CONDLORA_ADAPTER_H

#include "condlora/encoder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How CondLoRA's shared layers meet a frozen weight W [out, in]:
 *   paper      A = θA W,   θA [rank, out];  B = W θBᵀ, θB [rank, in]   equations 5 and 6 as written; any W
 *   reference  A = θA Wᵀ,  θA [rank, d];    B = W θBᵀ, θB [rank, d]    what the paper's code computes; square W */
typedef enum { CDL_ORIENTATION_PAPER, CDL_ORIENTATION_REFERENCE } cdl_orientation;

typedef struct {
  const char *method; /* "lora", "condlora", "none", "bitfit", "full" */
  int64_t rank;
  double alpha;   /* scale = alpha / rank */
  double dropout; /* on the adapter's input */
  cdl_orientation orientation;
  bool dropout_hits_base; /* CondLoRA's dropout on the frozen path too, as the reference has it */
  /* Linear layers to adapt: suffixes of their paths, or one regular expression for whole paths
   * (PEFT's rules). */
  const char *const *targets;
  size_t target_count;
  const char *target_pattern;
  /* Modules to train and save whole, besides the head: suffixes of their paths. With
   * `ignore_unmatched`, for adapters read from a folder, an entry that matches nothing is no
   * error. */
  const char *const *modules_to_save;
  size_t module_count;
  bool ignore_unmatched;
  bool train_pooler; /* BERT's pooler, when it is fresh */
} cdl_adapter_settings;

typedef struct cdl_adapter cdl_adapter;

/* The methods' names, a NULL at the end; static. */
CDL_API const char *const *cdl_adapter_methods(void);
/* "CONDLORA" for "condlora"; NULL for an unknown method; static. */
CDL_API const char *cdl_adapter_peft_type(const char *method);
/* "condlora" for "CONDLORA"; NULL likewise. */
CDL_API const char *cdl_adapter_method_of(const char *peft_type);

/* Marks what the method trains, sets every adapted site's delta, and allocates parameters and
 * gradients (values are undefined until initialized or read). The encoder must outlive the
 * adapter; one adapter an encoder at a time. Errors: USAGE for settings that cannot be, naming
 * near misses of a target that matches nothing. */
CDL_API CDL_MUST_USE cdl_status cdl_adapter_create(cdl_queue *queue, cdl_encoder *encoder,
                                                   const cdl_adapter_settings *settings,
                                                   cdl_adapter **adapter);
CDL_API void cdl_adapter_destroy(cdl_adapter *adapter);

/* Everything trained: the method's own parameters, then those of the model, head last. */
CDL_API size_t cdl_adapter_parameter_count(const cdl_adapter *adapter);
CDL_API cdl_parameter *cdl_adapter_parameter(const cdl_adapter *adapter, size_t index);
/* Trained numbers of the adapter (with trained tensors of the model's body) and of the head. */
CDL_API void cdl_adapter_trained_numbers(const cdl_adapter *adapter, int64_t *adapter_numbers,
                                         int64_t *head_numbers);

/* The method's own initial values: Kaiming-uniform for A, zero for B (method.md). Drawn on the
 * host from `seed`. */
CDL_API CDL_MUST_USE cdl_status cdl_adapter_initialize(cdl_adapter *adapter, cdl_queue *queue,
                                                       uint64_t seed);

/* A_l and B_l of every adapted layer, and packed weights that are trained, from the parameters:
 * once after every change of them. */
CDL_API void cdl_adapter_materialize(cdl_adapter *adapter, cdl_queue *queue);
/* Before the first backward pass of a step. */
CDL_API void cdl_adapter_zero_gradients(cdl_adapter *adapter, cdl_queue *queue);
/* The layers' gradients to the parameters': after the last backward pass of a step. */
CDL_API void cdl_adapter_pull_back(cdl_adapter *adapter, cdl_queue *queue);
/* The method's own penalty, where it has one: added to `loss` [1], its gradients to the parameters'.
 * After pull_back. */
CDL_API void cdl_adapter_extra_loss(cdl_adapter *adapter, cdl_queue *queue, cdl_tensor loss);
/* What a method does after an optimizer step, `step` the 0-based one just done. */
CDL_API CDL_MUST_USE cdl_status cdl_adapter_after_step(cdl_adapter *adapter, cdl_queue *queue,
                                                       int64_t step);
/* All gradients end to end, [n], in the order of the parameters (with gaps of zeros). */
CDL_API cdl_tensor cdl_adapter_gradients(const cdl_adapter *adapter);

#ifdef __cplusplus
}
#endif
#endif
