#include "tools/study/windows.h"

#include <stdlib.h>

#include "model/inference/evaluation.h"
#include "train/examples.h"

/* ---- Reading ---- */

/* Tokenizes all examples of a task at once. */
static cdl_status open_task(const study_example_source *source, study_label_need need,
                            inference_model *model, study_windows *w)
{
  const data_window_tokenizer *t = &w->tokenizer;
  CDL_TRY(study_examples_read(source, need, model, &w->all));
  CDL_TRY(cdl_dataset_tokenize(w->all.dataset, t->tokenizer, t->max_length, t->threads));
  return t->check != NULL ? t->check(t->user, w->all.dataset) : CDL_STATUS_OK;
}

static cdl_status open_file(const study_example_source *source, study_label_need need,
                            inference_model *model, study_windows *w)
{
  w->all.split = source->input;
  CDL_TRY(study_user_file_describe(source, need, model, &w->file));
  CDL_TRY(dataset_open_windows(&w->file.source, w->stop, &w->all.dataset));
  if (model != NULL)
    CDL_TRY(study_examples_check_pairs(model, w->all.dataset));
  w->all.rows = train_all_rows(w->most);
  return w->all.rows != NULL ? CDL_STATUS_OK
                             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a window of rows");
}

cdl_status study_windows_open(const study_example_source *source, study_label_need need,
                              inference_model *model, const data_window_tokenizer *tokenizer,
                              size_t most, const volatile int *stop, study_windows *w)
{
  *w = (study_windows){.tokenizer = *tokenizer, .most = most, .stop = stop};
  const cdl_status status =
      source->task != NULL ? open_task(source, need, model, w) : open_file(source, need, model, w);
  if (status != CDL_STATUS_OK)
    study_windows_close(w);
  return status;
}

static cdl_status next_of_task(study_windows *w)
{
  w->answered += w->count;
  const size_t left = w->all.count - w->answered;
  w->rows = w->all.rows + w->answered;
  w->count = left < w->most ? left : w->most;
  return CDL_STATUS_OK;
}

static cdl_status next_of_file(study_windows *w)
{
  w->count = 0;
  CDL_TRY(dataset_next_window(w->all.dataset, w->most));
  if (cdl_dataset_count(w->all.dataset) > 0)
    CDL_TRY(dataset_tokenize_window(w->all.dataset, &w->tokenizer));
  else
    dataset_note_cut(w->all.dataset, w->tokenizer.max_length);
  w->rows = w->all.rows;
  w->count = cdl_dataset_count(w->all.dataset);
  w->before = dataset_rows_before(w->all.dataset);
  return CDL_STATUS_OK;
}

cdl_status study_windows_next(study_windows *w)
{
  return w->all.task != NULL ? next_of_task(w) : next_of_file(w);
}

void study_windows_close(study_windows *w)
{
  study_examples_close(&w->all);
  study_user_file_release(&w->file);
  *w = (study_windows){0};
}

/* ---- Answering ---- */

cdl_status study_windows_plan(inference_model *model)
{
  return encoder_plan(model->encoder, model->queue, (encoder_batch_limits){0},
                      inference_evaluation_most(model->max_length));
}

cdl_status study_windows_logits(study_windows *w, inference_model *model, float **logits)
{
  const size_t examples = cdl_dataset_count(w->all.dataset);
  inference_evaluation evaluation;
  *logits = NULL;
  const cdl_tokens tokens = cdl_dataset_tokens(w->all.dataset);
  CDL_TRY(inference_evaluation_create(&evaluation, model, &tokens, w->rows, w->count));
  *logits = calloc(examples * (size_t)model->labels + 1, sizeof **logits);
  cdl_status status = *logits != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu logits", examples);
  if (status == CDL_STATUS_OK)
    status = inference_evaluation_pass(&evaluation, model->encoder, model->queue, *logits, w->stop);
  inference_evaluation_release(&evaluation);
  if (status != CDL_STATUS_OK) {
    free(*logits);
    *logits = NULL;
  }
  return status;
}
