#include "train/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* Offsets in the buffer, in bytes. Labels and class weights come last. */
enum { STEP_AT = 0, LOSS_AT = 64, NORM_AT = 128, FACTOR_AT = 192, LABELS_AT = 256 };

/* Of one class: n / (classes · count of the class), as scikit-learn's "balanced". Of one of several
 * labels, as the weight of its positive examples: those without it / those with it. */
static cdl_status balanced_weights(const train_session *session, float *weights)
{
  const size_t labels = (size_t)session->model.labels, count = session->split.train_count;
  const bool several = session->model.problem == CDL_PROBLEM_MULTI_LABEL;
  double *counts = calloc(2 * labels, sizeof *counts), *targets = counts + labels;
  if (counts == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: class weights");
  for (size_t i = 0; i < count; i++) {
    cdl_dataset_targets(session->train, session->split.train[i], targets);
    for (size_t c = 0; c < labels; c++)
      counts[c] += targets[c];
  }
  for (size_t c = 0; c < labels; c++) {
    const double all = several ? (double)count - counts[c] : (double)count,
                 part = several ? counts[c] : (double)labels * counts[c];
    weights[c] = part > 0 ? (float)(all / part) : 0;
  }
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
  if (session->model.problem == CDL_PROBLEM_REGRESSION)
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
  if (loss->problem != CDL_PROBLEM_SINGLE_LABEL && settings->label_smoothing > 0)
    return cdl_fail(CDL_STATUS_USAGE, "--label-smoothing goes with classes, not with %s",
                    loss->problem == CDL_PROBLEM_REGRESSION ? "a regression" : "several labels");
  if (settings->class_weights != NULL)
    CDL_TRY(make_weights(loss, session, settings->class_weights));
  const bool classes = loss->problem == CDL_PROBLEM_SINGLE_LABEL;
  const int64_t columns = classes ? 1 : loss->outputs,
                classes_at = LABELS_AT / 4 + (int64_t)examples * columns;
  CDL_TRY(cdl_buffer_create(session->model.backend,
                            ((size_t)classes_at + (size_t)session->model.labels) * 4,
                            &loss->buffer));
  loss->step = cdl_tensor_1d(loss->buffer, CDL_DTYPE_U8, STEP_AT, sizeof(cdl_step_record));
  loss->loss = cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, LOSS_AT / 4, 1);
  loss->norm = cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, NORM_AT / 4, 1);
  loss->factor = cdl_tensor_1d(loss->buffer, CDL_DTYPE_F32, FACTOR_AT / 4, 1);
  loss->labels =
      classes
          ? cdl_tensor_1d(loss->buffer, CDL_DTYPE_I32, LABELS_AT / 4, (int64_t)examples)
          : cdl_tensor_2d(loss->buffer, CDL_DTYPE_F32, LABELS_AT / 4, (int64_t)examples, columns);
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
                       .problem = session->model.problem,
                       .outputs = session->model.labels};
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
  if (loss->problem != CDL_PROBLEM_SINGLE_LABEL)
    divisor *= (double)loss->outputs;
  else if (loss->weights != NULL) {
    divisor = 0;
    for (size_t i = 0; i < count; i++)
      divisor += (double)loss->weights[cdl_dataset_get(dataset, rows[i]).label];
  }
  return divisor > 0 ? (float)(1 / divisor) : 0;
}

static cdl_tensor labels_of(const train_loss *loss, int64_t first, int64_t examples)
{
  return loss->problem == CDL_PROBLEM_SINGLE_LABEL
             ? cdl_tensor_columns(loss->labels, first, examples)
             : cdl_tensor_rows(loss->labels, first, examples);
}

void train_loss_load_batch(train_loss *loss, cdl_queue *queue, const data_batch *batch)
{
  const cdl_tensor labels = labels_of(loss, 0, (int64_t)batch->input.examples);
  const void *values =
      loss->problem == CDL_PROBLEM_SINGLE_LABEL ? (const void *)batch->labels : batch->targets;
  cdl_queue_upload(queue, labels, values,
                   (size_t)cdl_tensor_elements(labels) * cdl_dtype_bytes(labels.dtype));
}

/* Examples with the target that their loss is added to. */
typedef struct {
  cdl_tensor logits, d_logits, labels, sum;
} loss_part;

static void add_loss(const train_loss *loss, cdl_queue *queue, const loss_part *part)
{
  switch (loss->problem) {
  case CDL_PROBLEM_REGRESSION:
    cdl_squared_error(queue,
                      CDL_ARGS(squared_error, .loss = part->sum, .d_out = part->d_logits,
                               .out = part->logits, .target = part->labels, .step = loss->step));
    return;
  case CDL_PROBLEM_MULTI_LABEL:
    cdl_binary_cross_entropy(queue, CDL_ARGS(binary_cross_entropy, .loss = part->sum,
                                             .d_logits = part->d_logits, .logits = part->logits,
                                             .targets = part->labels,
                                             .pos_weight = loss->class_weight, .step = loss->step));
    return;
  default:
    cdl_cross_entropy(queue, CDL_ARGS(cross_entropy, .loss = part->sum, .d_logits = part->d_logits,
                                      .logits = part->logits, .labels = part->labels,
                                      .class_weight = loss->class_weight, .step = loss->step,
                                      .label_smoothing = loss->label_smoothing));
  }
}

void train_loss_forward_backward(train_loss *loss, cdl_queue *queue, cdl_tensor logits,
                                 cdl_tensor d_logits, const train_shards *shards)
{
  const encoder_shards *loaded = &shards->loaded;
  if (loaded->count == 0)
    add_loss(loss, queue,
             &(loss_part){logits, d_logits, labels_of(loss, 0, logits.size[2]), loss->loss});
  for (int i = 0; i < loaded->count; i++) {
    const int64_t first = loaded->sequence[i], count = loaded->sequence[i + 1] - first;
    const loss_part part = {cdl_tensor_rows(logits, first, count),
                            cdl_tensor_rows(d_logits, first, count), labels_of(loss, first, count),
                            cdl_tensor_rows(shards->losses, loaded->first + i, 1)};
    if (count > 0)
      add_loss(loss, queue, &part);
  }
}
