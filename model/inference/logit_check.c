#include "model/inference/logit_check.h"

#include <math.h>
#include <stdlib.h>

static void draw(inference_logit_check *p, const inference_model *model)
{
  const model_config *config = encoder_config(model->encoder);
  const int64_t most = model_config_max_tokens(config);
  *p = (inference_logit_check){.length = most < INFERENCE_CHECK_TOKENS ? (int32_t)most
                                                                       : INFERENCE_CHECK_TOKENS};
  uint32_t state = 1;
  for (int32_t s = 0; s < INFERENCE_CHECK_SEQUENCES; s++) {
    p->examples[s] = s;
    p->offsets[s + 1] = (s + 1) * p->length;
    for (int32_t t = 0; t < p->length; t++) {
      state = state * 1664525u + 1013904223u; /* Knuth's linear congruence */
      const int32_t at = s * p->length + t;
      p->ids[at] = (int32_t)((uint64_t)state * (uint64_t)config->vocabulary_size >> 32);
    }
    model_count_positions(model->first_position, p->ids + s * p->length, (size_t)p->length,
                          p->positions + s * p->length);
  }
}

static size_t logit_count(const inference_model *model)
{
  return INFERENCE_CHECK_SEQUENCES * (size_t)model->labels;
}

/* [sequences, labels] into `logits`. */
static cdl_status compute(const inference_logit_check *p, const inference_model *model,
                          float *logits)
{
  static const encoder_dropout_rates no_dropout = {0};
  const encoder_token_batch batch = {.ids = p->ids,
                                     .positions = p->positions,
                                     .types = p->types,
                                     .offsets = p->offsets,
                                     .examples = p->examples,
                                     .sequences = INFERENCE_CHECK_SEQUENCES,
                                     .tokens = INFERENCE_CHECK_SEQUENCES * p->length,
                                     .longest = p->length};
  const encoder_batch_limits none = {0}, limits = {.tokens = batch.tokens,
                                                   .sequences = batch.sequences,
                                                   .longest = batch.longest};
  CDL_TRY(encoder_plan(model->encoder, model->queue, none, limits));
  CDL_TRY(encoder_load_batch(model->encoder, model->queue, &batch, ENCODER_EVALUATION));
  const cdl_tensor y = encoder_forward(model->encoder, model->queue, &no_dropout, (cdl_tensor){0});
  cdl_queue_download(model->queue, logits, y, logit_count(model) * sizeof *logits);
  return cdl_queue_sync(model->queue);
}

static cdl_status allocate(const inference_model *model, float **logits)
{
  *logits = calloc(logit_count(model) + 1, sizeof **logits);
  return *logits != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu logits", logit_count(model));
}

cdl_status inference_logit_check_begin(inference_logit_check *check, const inference_model *model)
{
  draw(check, model);
  CDL_TRY(allocate(model, &check->logits));
  const cdl_status status = compute(check, model, check->logits);
  if (status != CDL_STATUS_OK)
    inference_logit_check_end(check);
  return status;
}

void inference_logit_check_end(inference_logit_check *check)
{
  free(check->logits);
  check->logits = NULL;
}

cdl_status inference_logit_check_change(const inference_logit_check *p,
                                        const inference_model *model, double *change)
{
  float *after;
  CDL_TRY(allocate(model, &after));
  cdl_status status = compute(p, model, after);
  *change = 0;
  for (size_t i = 0; status == CDL_STATUS_OK && i < logit_count(model); i++) {
    if (!isfinite(after[i]))
      status =
          cdl_fail(CDL_STATUS_NUMERIC, "the merged weights give a logit of %g in the base's type",
                   (double)after[i]);
    *change = fmax(*change, fabs((double)after[i] - (double)p->logits[i]));
  }
  free(after);
  return status;
}
