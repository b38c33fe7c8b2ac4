#include "train/examples.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/process.h"
#include "model/inference/evaluation.h"
#include "model/inference/inference.h"
#include "train/data/token_sharing.h"

static cdl_status outside(const cdl_dataset *dataset, size_t example, const char *what, int32_t id,
                          int64_t limit)
{
  size_t p = 0;
  while (p + 1 < cdl_dataset_part_count(dataset) &&
         example >= cdl_dataset_get_part(dataset, p + 1).first)
    p++;
  return cdl_fail(CDL_STATUS_DATA,
                  "%s:%u: the tokenizer gives a %s of %d, the model has %" PRId64 " of them",
                  cdl_dataset_get_part(dataset, p).path, cdl_dataset_get(dataset, example).line,
                  what, id, limit);
}

cdl_status train_check_ids(const inference_model *model, const cdl_dataset *dataset)
{
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  for (size_t i = 0; i < tokens.count; i++) {
    const uint64_t first = tokens.offsets[i];
    const char *what;
    int32_t id;
    int64_t limit;
    if (!inference_has_tokens(model, tokens.ids + first, tokens.type_ids + first,
                              (size_t)(tokens.offsets[i + 1] - first), &what, &id, &limit))
      return outside(dataset, i, what, id, limit);
  }
  return CDL_STATUS_OK;
}

cdl_status train_split_tokens(const inference_model *model, cdl_dataset *const *datasets, int count)
{
  const char *folder = model->tokenizer_folder;
  if (folder == NULL && model->base_source != NULL)
    folder = cdl_hub_source_folder(model->base_source);
  const data_token_maker maker = {.tokenizer = model->tokenizer,
                                  .folder = folder,
                                  .max_length = model->max_length,
                                  .threads = base_process_processors()};
  return data_tokenize_together(model->job, datasets, count, &maker);
}

cdl_status train_tokenize(const inference_model *model, cdl_dataset *dataset)
{
  CDL_TRY(train_split_tokens(model, &dataset, 1));
  return train_check_ids(model, dataset);
}

uint32_t *train_all_rows(size_t count)
{
  uint32_t *rows = malloc((count + 1) * sizeof *rows);
  for (size_t i = 0; rows != NULL && i < count; i++)
    rows[i] = (uint32_t)i;
  return rows;
}

cdl_status train_check_finite(const inference_model *model, const cdl_dataset *dataset,
                              const char *name, uint32_t row, uint64_t index, const float *logits)
{
  for (int c = 0; c < model->labels; c++)
    if (!isfinite(logits[c]))
      return cdl_fail(CDL_STATUS_NUMERIC,
                      "%s: example %" PRIu64 " (line %u): the model's output is not finite", name,
                      index, cdl_dataset_get(dataset, row).line);
  return CDL_STATUS_OK;
}

cdl_status train_logits(const inference_model *model, const cdl_dataset *dataset, const char *name,
                        const uint32_t *rows, size_t count, const volatile int *stop,
                        float **logits)
{
  inference_evaluation evaluation;
  const size_t labels = (size_t)model->labels;
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  *logits = NULL;
  CDL_TRY(inference_evaluation_create(&evaluation, model, &tokens, rows, count));
  float *all = calloc(cdl_dataset_count(dataset) * labels + 1, sizeof *all);
  cdl_status status = all != NULL
                          ? encoder_plan(model->encoder, model->queue, (encoder_batch_limits){0},
                                         inference_evaluation_limits(&evaluation))
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu logits", count);
  if (status == CDL_STATUS_OK)
    status = inference_evaluation_run(&evaluation, model->encoder, model->queue, all, stop);
  for (size_t i = 0; i < count && status == CDL_STATUS_OK; i++)
    status = train_check_finite(model, dataset, name, rows[i], rows[i], all + rows[i] * labels);
  inference_evaluation_release(&evaluation);
  if (status == CDL_STATUS_OK)
    *logits = all;
  else
    free(all);
  return status;
}
