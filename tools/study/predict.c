#include "tools/study/predict.h"

#include <stdlib.h>

#include "base/path.h"
#include "model/inference/inference.h"
#include "train/examples.h"

static cdl_status predict_dataset(const study_reproduction *r, inference_model *model,
                                  cdl_dataset *dataset, study_take_logits *take, void *user)
{
  CDL_TRY(train_tokenize(model, dataset));
  const size_t count = cdl_dataset_count(dataset);
  uint32_t *rows = train_all_rows(count);
  float *logits = NULL;
  cdl_status status = rows != NULL
                          ? train_logits(model, dataset, cdl_dataset_get_part(dataset, 0).path,
                                         rows, count, r->events.stop, &logits)
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu examples", count);
  if (status == CDL_STATUS_OK && take != NULL)
    status = take(user, dataset, logits, model->labels);
  free(rows);
  free(logits);
  return status;
}

cdl_status study_predict_dev(const study_reproduction *r, const train_settings *settings,
                             const cdl_task *task, study_take_logits *take, void *user)
{
  char *adapter = base_path_join(settings->output, "adapter");
  if (adapter == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", settings->output);
  const inference_settings inference = {
      .model = cdl_hub_source_folder(r->model),
      .adapter = adapter,
      .backend = r->asked.backend,
      .precision = cdl_precision_name((cdl_precision)settings->precision),
      .threads = r->asked.threads,
      .no_fallback = r->asked.no_fallback,
      .cache_frozen =
          settings->cache_frozen == TRAIN_CACHE_DISK ? INFERENCE_CACHE_DISK : INFERENCE_CACHE_OFF,
      .cache_dir = settings->cache_dir,
      .cache_limit = settings->cache_limit,
      .max_length = settings->max_length,
      .job = r->asked.job};
  inference_model model;
  cdl_dataset *dataset;
  const cdl_status opened = inference_open(&model, &inference);
  free(adapter);
  cdl_status status = ranks_agree(r->asked.job, opened, "the opening of the model");
  if (status != CDL_STATUS_OK && opened == CDL_STATUS_OK)
    inference_close(&model);
  CDL_TRY(status);
  const cdl_status read = cdl_dataset_read_task(task, r->asked.data, "dev", &dataset);
  status = ranks_agree(r->asked.job, read, "the examples of dev");
  if (status == CDL_STATUS_OK)
    status = predict_dataset(r, &model, dataset, take, user);
  if (read == CDL_STATUS_OK)
    cdl_dataset_close(dataset);
  inference_close(&model);
  return status;
}
