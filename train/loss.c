#include "train/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* Offsets in the buffer, in bytes. Labels and class weights come last. */
enum { STEP_AT = 0, LOSS_AT = 64, NORM_AT = 128, FACTOR_AT = 192, LABELS_AT = 256 };

/* n / (classes · count of the class), as scikit-learn's "balanced". */
static cdl_status balanced_weights(const train_session *session, float *weights)
{
  double *counts = calloc((size_t)session->model.labels, sizeof *counts);
  if (counts == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: class weights");
  for (size_t i = 0; i < session->split.train_count; i++)
    counts[cdl_dataset_get(session->train, session->split.train[i]).label]++;
  for (int c = 0; c < session->model.labels; c++)
    weights[c] =
        counts[c] > 0
            ? (float)((double)session->split.train_count / (session->model.labels * counts[c]))
            : 0;
  free(counts);
  return CDL_STATUS_OK;
}

static cdl_status listed_weights(const train_session *session, const char *text, float *weights)
{
  base_list list;
  CDL_TRY(base_list_split("--class-weights", text, &list));
  cdl_status status = CDL_STATUS_OK;
  float largest = 0;
  if (list.count != (size_t)session->model.labels)
    status = cdl_fail(CDL_STATUS_USAGE, "--class-weights has %zu weights for %d labels", list.count,
                      session->model.labels);
  for (size_t c = 0; status == CDL_STATUS_OK && c < list.count; c++) {
    double value;
    if (!base_number_parse(list.item[c], strlen(list.item[c]), &value) || !(value >= 0))
      status =
          cdl_fail(CDL_STATUS_USAGE, "--class-weights wants numbers from 0, or balanced, not '%s'",
                   list.item[c]);
    else
      weights[c] = (float)value;
    if (weights[c] > largest)
      largest = weights[c];
  }
  if (status == CDL_STATUS_OK && !(largest > 0))
    status = cdl_fail(CDL_STATUS_USAGE,
                      "--class-weights wants one weight above 0 at least, not '%s'", text);
  base_list_release(&list);
  return status;
}

static cdl_status make_weights(train_loss *loss, const train_session *session, const char *text)
{
  if (session->model.regression)
    return cdl_fail(CDL_STATUS_USAGE, "--class-weights goes with classes, not with a regression");
  loss->weights = calloc((size_t)session->model.labels, sizeof *loss->weights);
  if (loss->weights == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: class weights");
  return train_weights_are_balanced(text) ? balanced_weights(session, loss->weights)
                                          : listed_weights(session, text, loss->weights);
}

static cdl_status build(train_loss *loss, const train_session *session,
                        const train_settings *settings, size_t examples)
{
  if (loss->regression && settings->label_smoothing > 0)
    return cdl_fail(CDL_STATUS_USAGE, "--label-smoothing goes with classes, not with a regression");
  if (settings->class_weights != NULL)
    CDL_TRY(make_weights(loss, session, settings->class_weights));
  const int64_t classes_at = LABELS_AT / 4 + (int64_t)examples;
  CDL_TRY(cdl_buffer_create(session->model.backend,
                            ((size_t)classes_at + (size_t)session->model.labels) * 4,
                            &loss->buffer));
  loss->step = cdl_tensor_1d(loss->buffer, CDL_DTYPE_U8, STEP_AT, sizeof(cdl_step_record));
  loss->loss = cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, LOSS_AT / 4, 1);
  loss->norm = cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, NORM_AT / 4, 1);
  loss->factor = cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, FACTOR_AT / 4, 1);
  loss->labels = cdl_tensor_1d(loss->buffer, loss->regression ? CDL_DTYPE_F32 : CDL_DTYPE_I32,
                               LABELS_AT / 4, (int64_t)examples);
  if (loss->weights != NULL) {
    loss->class_weight =
        cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, classes_at, session->model.labels);
    cdl_queue_upload(session->model.queue, loss->class_weight, loss->weights,
                     (size_t)session->model.labels * sizeof(float));
  }
  return cdl_queue_status(session->model.queue);
}

cdl_status train_loss_create(train_loss *loss, const train_session *session,
                             const train_settings *settings, size_t examples)
{
  *loss = (train_loss){.label_smoothing = (float)settings->label_smoothing,
                       .regression = session->model.regression};
  const cdl_status status = build(loss, session, settings, examples);
  if (status != CDL_STATUS_OK)
    train_loss_release(loss);
  return status;
}

void train_loss_release(train_loss *loss)
{
  cdl_buffer_destroy(loss->buffer);
  free(loss->weights);
  *loss = (train_loss){0};
}

float train_loss_scale(const train_loss *loss, const cdl_dataset *dataset, const uint32_t *rows,
                       size_t count)
{
  double divisor = (double)count;
  if (loss->weights != NULL) {
    divisor = 0;
    for (size_t i = 0; i < count; i++)
      divisor += (double)loss->weights[cdl_dataset_get(dataset, rows[i]).label];
  }
  return divisor > 0 ? (float)(1 / divisor) : 0;
}

static cdl_tensor labels_of(const train_loss *loss, int64_t examples)
{
  cdl_tensor labels = loss->labels;
  labels.size[3] = examples;
  return labels;
}

void train_loss_load_batch(train_loss *loss, cdl_queue *queue, const data_batch *batch)
{
  const void *values = loss->regression ? (const void *)batch->targets : batch->labels;
  cdl_queue_upload(queue, labels_of(loss, (int64_t)batch->input.examples), values,
                   batch->input.examples * cdl_dtype_bytes(loss->labels.dtype));
}

void train_loss_forward_backward(train_loss *loss, cdl_queue *queue, cdl_tensor logits,
                                 cdl_tensor d_logits)
{
  const cdl_tensor labels = labels_of(loss, logits.size[2]);
  if (loss->regression) {
    /* There is one output per row: use the column as a vector. */
    const cdl_tensor out =
        cdl_tensor_1d(logits.buffer, CDL_DTYPE_F32, logits.offset, logits.size[2]);
    const cdl_tensor d_out =
        cdl_tensor_1d(d_logits.buffer, CDL_DTYPE_F32, d_logits.offset, d_logits.size[2]);
    cdl_squared_error(queue, CDL_ARGS(squared_error, .loss = loss->loss, .d_out = d_out, .out = out,
                                      .target = labels, .step = loss->step));
    return;
  }
  cdl_cross_entropy(queue,
                    CDL_ARGS(cross_entropy, .loss = loss->loss, .d_logits = d_logits,
                             .logits = logits, .labels = labels, .class_weight = loss->class_weight,
                             .step = loss->step, .label_smoothing = loss->label_smoothing));
}
