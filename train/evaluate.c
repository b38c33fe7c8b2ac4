#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Long enough for the GEMMs to be at their best, short enough for the wide activations to stay
 * near the processor. */
enum { TOKEN_BUDGET = 1024, EXAMPLE_LIMIT = 256 };

cdl_status train_evaluation_create(train_evaluation *e, const cdl_dataset *dataset,
                                   const uint32_t *rows, size_t count, int labels,
                                   int32_t first_position)
{
  *e = (train_evaluation){.dataset = dataset, .labels = labels, .first_position = first_position};
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  cdl_status status =
      encoder_batch_order_make(&tokens, rows, count, TOKEN_BUDGET, EXAMPLE_LIMIT, &e->plan);
  if (status == CDL_STATUS_OK) {
    e->staging = calloc((e->plan.bound.examples + 1) * (size_t)labels, sizeof *e->staging);
    if (!encoder_host_batch_allocate(&e->batch, e->plan.bound) || e->staging == NULL)
      status =
          cdl_fail(CDL_STATUS_MEMORY, "out of memory: batches of %zu tokens", e->plan.bound.tokens);
  }
  if (status != CDL_STATUS_OK)
    train_evaluation_release(e);
  return status;
}

void train_evaluation_release(train_evaluation *e)
{
  encoder_batch_order_release(&e->plan);
  encoder_host_batch_free(&e->batch);
  free(e->staging);
  *e = (train_evaluation){0};
}

encoder_batch_limits train_evaluation_limits(const train_evaluation *e)
{
  return (encoder_batch_limits){.tokens = (int32_t)e->plan.bound.tokens,
                                .sequences = (int32_t)e->plan.bound.examples,
                                .longest = (int32_t)e->plan.bound.longest};
}

encoder_batch_limits train_evaluation_most(size_t longest)
{
  return (encoder_batch_limits){
      .tokens = (int32_t)(longest > TOKEN_BUDGET ? longest : (size_t)TOKEN_BUDGET),
      .sequences = EXAMPLE_LIMIT,
      .longest = (int32_t)longest};
}

/* What is kept of a pass: `result` [parts, the data set's count, width], of a tensor [parts, the
 * largest batch's examples, width] that each batch fills from the front of each part. */
typedef struct {
  float *result, *staging; /* `staging` is the tensor on the host */
  size_t parts, width;
  cdl_tensor passed; /* none: the logits, of one part */
} harvest;

static void keep(const train_evaluation *e, const harvest *h, size_t count)
{
  for (size_t p = 0; p < h->parts; p++)
    for (size_t i = 0; i < count; i++) {
      const size_t to = p * cdl_dataset_count(e->dataset) + (size_t)e->batch.index[i],
                   from = p * e->plan.bound.examples + i;
      memcpy(h->result + to * h->width, h->staging + from * h->width, h->width * sizeof *h->result);
    }
}

static cdl_status run_batch(train_evaluation *e, size_t index, model_encoder *encoder,
                            cdl_queue *queue, const harvest *h)
{
  static const encoder_dropout_rates no_dropout = {0};
  const size_t first = e->plan.first[index], count = e->plan.first[index + 1] - first;
  const cdl_tokens tokens = cdl_dataset_tokens(e->dataset);
  CDL_TRY(
      encoder_host_batch_fill(&e->batch, &tokens, e->plan.rows + first, count, e->first_position));
  if (e->types_zero)
    memset(e->batch.type_ids, 0, e->batch.tokens * sizeof *e->batch.type_ids);
  const encoder_token_batch view = encoder_host_batch_view(&e->batch);
  CDL_TRY(encoder_load_batch(encoder, queue, &view, ENCODER_EVALUATION));
  const cdl_tensor y = encoder_forward(encoder, queue, &no_dropout, (cdl_tensor){0});
  const cdl_tensor passed = cdl_tensor_present(h->passed) ? h->passed : y;
  cdl_queue_download(queue, h->staging, passed,
                     (size_t)cdl_tensor_elements(passed) * sizeof *h->staging);
  CDL_TRY(cdl_queue_sync(queue));
  keep(e, h, count);
  return CDL_STATUS_OK;
}

static cdl_status run_batches(train_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                              const harvest *h, const volatile int *stop, bool *stopped)
{
  *stopped = false;
  for (size_t b = 0; !*stopped && b < e->plan.batches; b++) {
    *stopped = stop != NULL && *stop != 0;
    if (!*stopped)
      CDL_TRY(run_batch(e, b, encoder, queue, h)); /* its message stays: no further work */
  }
  return CDL_STATUS_OK;
}

static cdl_status run(train_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                      const harvest *h, const volatile int *stop)
{
  bool stopped;
  CDL_TRY(encoder_merge(encoder, queue));
  CDL_TRY(run_batches(e, encoder, queue, h, stop, &stopped));
  encoder_unmerge(encoder, queue);
  CDL_TRY(cdl_queue_status(queue));
  return stopped ? cdl_fail(CDL_STATUS_CANCELLED, "stopped while evaluating") : CDL_STATUS_OK;
}

cdl_status train_evaluation_pass(train_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                                 float *logits, const volatile int *stop)
{
  const harvest h = {
      .result = logits, .staging = e->staging, .parts = 1, .width = (size_t)e->labels};
  bool stopped;
  CDL_TRY(run_batches(e, encoder, queue, &h, stop, &stopped));
  return stopped ? cdl_fail(CDL_STATUS_CANCELLED, "stopped while evaluating") : CDL_STATUS_OK;
}

cdl_status train_evaluation_run(train_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                                float *logits, const volatile int *stop)
{
  const harvest h = {
      .result = logits, .staging = e->staging, .parts = 1, .width = (size_t)e->labels};
  return run(e, encoder, queue, &h, stop);
}

cdl_status train_evaluation_states(train_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                                   float *states, const volatile int *stop)
{
  const model_config *c = encoder_config(encoder);
  const int64_t examples = (int64_t)e->plan.bound.examples;
  const size_t bytes = (size_t)(c->layers * examples * c->hidden_size) * sizeof *states;
  harvest h = {.result = states, .parts = (size_t)c->layers, .width = (size_t)c->hidden_size};
  cdl_buffer *buffer;
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(queue), bytes, &buffer));
  h.passed = cdl_tensor_3d(buffer, CDL_DTYPE_F32, 0, c->layers, examples, c->hidden_size);
  h.staging = malloc(bytes);
  cdl_status status = h.staging != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: states of %lld examples",
                                     (long long)examples);
  if (status == CDL_STATUS_OK) {
    encoder_capture_hidden(encoder, h.passed);
    status = run(e, encoder, queue, &h, stop);
    encoder_capture_hidden(encoder, (cdl_tensor){0});
  }
  free(h.staging);
  cdl_buffer_destroy(buffer);
  return status;
}

int32_t train_argmax(const float *logits, int labels)
{
  int best = 0;
  for (int c = 1; c < labels; c++)
    if (logits[c] > logits[best])
      best = c;
  return best;
}

static double log_sum_exp(const float *logits, int labels)
{
  const double largest = (double)logits[train_argmax(logits, labels)];
  double sum = 0;
  for (int c = 0; c < labels; c++)
    sum += exp((double)logits[c] - largest);
  return largest + log(sum);
}

void train_probabilities(const float *logits, int labels, double *probabilities)
{
  const double all = log_sum_exp(logits, labels);
  for (int c = 0; c < labels; c++)
    probabilities[c] = exp((double)logits[c] - all);
}

static cdl_status score_regression(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                                   const float *logits, train_result *result)
{
  double *both = malloc((2 * count + 1) * sizeof *both);
  if (both == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu examples", count);
  double *truth = both, *predicted = both + count;
  for (size_t i = 0; i < count; i++) {
    truth[i] = cdl_dataset_get(dataset, rows[i]).target;
    predicted[i] = (double)logits[rows[i]];
    result->loss += (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
  }
  const cdl_status status = cdl_scores_of_regression(truth, predicted, count, &result->scores);
  free(both);
  return status;
}

void train_class_details_release(train_class_details *details)
{
  free(details->counts);
  free(details->cells);
  *details = (train_class_details){0};
}

static cdl_status score_classes(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                                const float *logits, int labels, train_class_details *details,
                                train_result *result)
{
  const size_t classes = (size_t)labels;
  *details = (train_class_details){.counts = calloc(classes, sizeof *details->counts),
                                   .cells = calloc(count + 1, sizeof *details->cells)};
  if (details->counts == NULL || details->cells == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu examples", count);
  for (size_t i = 0; i < count; i++) {
    const float *y = logits + rows[i] * classes;
    const int32_t truth = cdl_dataset_get(dataset, rows[i]).label,
                  predicted = train_argmax(y, labels);
    CDL_TRY(cdl_class_counts_add(details->counts, classes, &truth, &predicted, 1));
    details->cells[i] = (uint64_t)truth * classes + (uint64_t)predicted;
    result->loss += log_sum_exp(y, labels) - (double)y[truth];
  }
  result->scores = cdl_scores_of_classes(details->counts, classes);
  return CDL_STATUS_OK;
}

cdl_status train_score(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                       const float *logits, int labels, train_class_details *details,
                       train_result *result)
{
  train_class_details made = {0};
  *result = (train_result){.examples = count};
  const cdl_status status =
      cdl_dataset_is_regression(dataset)
          ? score_regression(dataset, rows, count, logits, result)
          : score_classes(dataset, rows, count, logits, labels, &made, result);
  result->loss = count > 0 ? result->loss / (double)count : NAN;
  if (status == CDL_STATUS_OK && details != NULL)
    *details = made;
  else
    train_class_details_release(&made);
  return status;
}
