/* Texts as a model's tokens. */
#ifndef CONDLORA_MODEL_INFERENCE_TEXTS_H
#define CONDLORA_MODEL_INFERENCE_TEXTS_H

#include "condlora/dataset.h"
#include "model/inference/state.h"

typedef struct {
  cdl_tokens tokens;
  int32_t *ids;
  uint8_t *type_ids;
  uint64_t *offsets;
  size_t capacity;
} inference_texts;

/* Encodes texts [count], with `pairs` [count] where that is not NULL. `before` is how many came
 * before them: what messages count from. Ends with inference_texts_release in any case. Errors:
 * ARGUMENT for a text that is NULL; DATA for a token that the model has no row for; MEMORY. */
CDL_MUST_USE cdl_status inference_texts_encode(inference_texts *texts, const inference_model *model,
                                               const char *const *first, const char *const *pairs,
                                               size_t count, size_t before);
void inference_texts_release(inference_texts *texts);

#endif
