/* Logits on a few sequences of random tokens, before and after weights have changed. */
#ifndef CONDLORA_MODEL_INFERENCE_LOGIT_CHECK_H
#define CONDLORA_MODEL_INFERENCE_LOGIT_CHECK_H

#include "model/inference/state.h"

enum { INFERENCE_CHECK_SEQUENCES = 8, INFERENCE_CHECK_TOKENS = 32 };

/* Token ids are drawn from the whole vocabulary, the same each time. */
typedef struct {
  int32_t ids[INFERENCE_CHECK_SEQUENCES * INFERENCE_CHECK_TOKENS],
      positions[INFERENCE_CHECK_SEQUENCES * INFERENCE_CHECK_TOKENS],
      types[INFERENCE_CHECK_SEQUENCES * INFERENCE_CHECK_TOKENS];
  int32_t offsets[INFERENCE_CHECK_SEQUENCES + 1], examples[INFERENCE_CHECK_SEQUENCES];
  int32_t length;
  float *logits; /* [sequences, labels] */
} inference_logit_check;

/* Takes the model's logits as it is now; ends with inference_logit_check_end where it succeeds. */
CDL_MUST_USE cdl_status inference_logit_check_begin(inference_logit_check *check,
                                                    const inference_model *model);
void inference_logit_check_end(inference_logit_check *check);

/* The largest difference between a logit of `model`, whose labels are those of the first one, and
 * what it was. NUMERIC where a logit is not finite. */
CDL_MUST_USE cdl_status inference_logit_check_change(const inference_logit_check *check,
                                                     const inference_model *model, double *change);

#endif
