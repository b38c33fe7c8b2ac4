#include "model/inference/evaluation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Long enough for the GEMMs to be at their best, short enough for the wide activations to stay
 * near the processor. */
enum { TOKEN_BUDGET = 1024, EXAMPLE_LIMIT = 256 };

cdl_status inference_evaluation_create(inference_evaluation *e, const inference_model *model,
                                       const cdl_tokens *tokens, const uint32_t *rows, size_t count)
{
  *e = (inference_evaluation){.tokens = *tokens,
                              .labels = model->labels,
                              .first_position = model->first_position,
                              .types_zero = model->types_zero,
                              .frozen = model->frozen,
                              .job = model->job};
  cdl_status status =
      encoder_batch_order_make(tokens, rows, count, TOKEN_BUDGET, EXAMPLE_LIMIT, &e->plan);
  if (status == CDL_STATUS_OK) {
    e->staging = calloc((e->plan.bound.examples + 1) * (size_t)e->labels, sizeof *e->staging);
    if (!encoder_host_batch_allocate(&e->batch, e->plan.bound) || e->staging == NULL)
      status =
          cdl_fail(CDL_STATUS_MEMORY, "out of memory: batches of %zu tokens", e->plan.bound.tokens);
  }
  if (status != CDL_STATUS_OK)
    inference_evaluation_release(e);
  return status;
}

void inference_evaluation_release(inference_evaluation *e)
{
  encoder_batch_order_release(&e->plan);
  encoder_host_batch_free(&e->batch);
  free(e->staging);
  *e = (inference_evaluation){0};
}

encoder_batch_limits inference_evaluation_limits(const inference_evaluation *e)
{
  return (encoder_batch_limits){.tokens = (int32_t)e->plan.bound.tokens,
                                .sequences = (int32_t)e->plan.bound.examples,
                                .longest = (int32_t)e->plan.bound.longest};
}

encoder_batch_limits inference_evaluation_most(size_t longest)
{
  return (encoder_batch_limits){
      .tokens = (int32_t)(longest > TOKEN_BUDGET ? longest : (size_t)TOKEN_BUDGET),
      .sequences = EXAMPLE_LIMIT,
      .longest = (int32_t)longest};
}

/* What is kept of a pass: `result` [parts, the tokens' count, width], of a tensor [parts, the
 * largest batch's examples, width] that each batch fills from the front of each part. */
typedef struct {
  float *result, *staging; /* `staging` is the tensor on the host */
  size_t parts, width;
  cdl_tensor passed; /* none: the logits, of one part */
} harvest;

static void keep(const inference_evaluation *e, const harvest *h, size_t count)
{
  for (size_t p = 0; p < h->parts; p++)
    for (size_t i = 0; i < count; i++) {
      const size_t to = p * e->tokens.count + (size_t)e->batch.index[i],
                   from = p * e->plan.bound.examples + i;
      memcpy(h->result + to * h->width, h->staging + from * h->width, h->width * sizeof *h->result);
    }
}

static cdl_status run_batch(inference_evaluation *e, size_t index, model_encoder *encoder,
                            cdl_queue *queue, const harvest *h)
{
  static const encoder_dropout_rates no_dropout = {0};
  const size_t first = e->plan.first[index], count = e->plan.first[index + 1] - first;
  CDL_TRY(encoder_host_batch_fill(&e->batch, &e->tokens, e->plan.rows + first, count,
                                  e->first_position));
  if (e->types_zero)
    memset(e->batch.type_ids, 0, e->batch.tokens * sizeof *e->batch.type_ids);
  if (encoder_first_block(encoder) > 0)
    CDL_TRY(frozen_cache_take(e->frozen, encoder, queue, &e->batch));
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

/* ---- The ranks of a job ---- */

/* Batches are dealt in turn: they are sorted by length, so that each rank gets some of each. */
static int rank_of(const inference_evaluation *e, size_t batch)
{
  return (int)(batch % (size_t)ranks_size(e->job));
}

/* Copies the logits of a rank's batches from the result to `packed`, or back; returns how many
 * numbers those are. `packed` NULL only counts. */
static size_t pack_logits(const inference_evaluation *e, int rank, float *result, float *packed,
                          bool back)
{
  const size_t width = (size_t)e->labels;
  size_t numbers = 0;
  for (size_t b = 0; b < e->plan.batches; b++)
    for (size_t i = e->plan.first[b]; rank_of(e, b) == rank && i < e->plan.first[b + 1];
         i++, numbers += width) {
      float *at = result + e->plan.rows[i] * width;
      if (packed != NULL)
        memcpy(back ? at : packed + numbers, back ? packed + numbers : at, width * sizeof *at);
    }
  return numbers;
}

/* Gives every rank the logits of all. */
static cdl_status exchange(const inference_evaluation *e, float *result)
{
  const int size = ranks_size(e->job);
  size_t *counts = calloc((size_t)size, sizeof *counts), total = 0;
  for (int r = 0; counts != NULL && r < size; r++)
    total += counts[r] = pack_logits(e, r, result, NULL, false) * sizeof *result;
  float *mine = malloc(total + sizeof *mine), *all = malloc(total + sizeof *all);
  cdl_status status = counts != NULL && mine != NULL && all != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: logits of %d ranks", size);
  if (status == CDL_STATUS_OK) {
    pack_logits(e, ranks_rank(e->job), result, mine, false);
    status = ranks_gather_each(e->job, mine, counts, all, "an evaluation");
  }
  float *at = all;
  for (int r = 0; status == CDL_STATUS_OK && r < size; r++)
    at += pack_logits(e, r, result, at, true);
  free(counts);
  free(mine);
  free(all);
  return status;
}

static cdl_status run_batches(inference_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                              const harvest *h, const volatile int *stop, bool *stopped)
{
  *stopped = false;
  for (size_t b = 0; !*stopped && b < e->plan.batches; b++) {
    if (rank_of(e, b) != ranks_rank(e->job))
      continue;
    *stopped = stop != NULL && *stop != 0;
    if (!*stopped)
      CDL_TRY(run_batch(e, b, encoder, queue, h)); /* its message stays: no further work */
  }
  return CDL_STATUS_OK;
}

/* The logits of all batches: `h` has one part. */
static cdl_status run_logits(inference_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                             const harvest *h, const volatile int *stop)
{
  bool stopped;
  cdl_status status = run_batches(e, encoder, queue, h, stop, &stopped);
  if (status == CDL_STATUS_OK && stopped)
    status = cdl_fail(CDL_STATUS_CANCELLED, "stopped while evaluating");
  if (status == CDL_STATUS_OK)
    status = encoder_check_files(encoder);
  if (e->job == NULL)
    return status;
  CDL_TRY(ranks_agree(e->job, status, "an evaluation"));
  return exchange(e, h->result);
}

static cdl_status run(inference_evaluation *e, model_encoder *encoder, cdl_queue *queue,
                      const harvest *h, const volatile int *stop)
{
  CDL_TRY(encoder_merge(encoder, queue));
  const cdl_status status = run_logits(e, encoder, queue, h, stop);
  if (status != CDL_STATUS_OK && status != CDL_STATUS_CANCELLED)
    return status; /* its message stays: no further work */
  encoder_unmerge(encoder, queue);
  return status == CDL_STATUS_OK ? cdl_queue_status(queue) : status;
}

cdl_status inference_evaluation_pass(inference_evaluation *e, model_encoder *encoder,
                                     cdl_queue *queue, float *logits, const volatile int *stop)
{
  const harvest h = {
      .result = logits, .staging = e->staging, .parts = 1, .width = (size_t)e->labels};
  return run_logits(e, encoder, queue, &h, stop);
}

cdl_status inference_evaluation_run(inference_evaluation *e, model_encoder *encoder,
                                    cdl_queue *queue, float *logits, const volatile int *stop)
{
  const harvest h = {
      .result = logits, .staging = e->staging, .parts = 1, .width = (size_t)e->labels};
  return run(e, encoder, queue, &h, stop);
}

cdl_status inference_evaluation_states(inference_evaluation *e, model_encoder *encoder,
                                       cdl_queue *queue, float *states, const volatile int *stop)
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

int32_t inference_argmax(const float *logits, int labels)
{
  int best = 0;
  for (int c = 1; c < labels; c++)
    if (logits[c] > logits[best])
      best = c;
  return best;
}

double inference_log_sum_exp(const float *logits, int labels)
{
  const double largest = (double)logits[inference_argmax(logits, labels)];
  double sum = 0;
  for (int c = 0; c < labels; c++)
    sum += exp((double)logits[c] - largest);
  return largest + log(sum);
}

void inference_probabilities(const float *logits, int labels, double *probabilities)
{
  const double all = inference_log_sum_exp(logits, labels);
  for (int c = 0; c < labels; c++)
    probabilities[c] = exp((double)logits[c] - all);
}

double inference_sigmoid(float logit)
{
  return 1 / (1 + exp(-(double)logit));
}

double inference_threshold(const inference_model *model, int label)
{
  const double *thresholds = model->adapter_config.thresholds;
  return thresholds != NULL ? thresholds[label] : 0.5;
}

void inference_scores(const inference_model *model, const float *logits, double *scores)
{
  if (model->problem == CDL_PROBLEM_SINGLE_LABEL)
    inference_probabilities(logits, model->labels, scores);
  else
    for (int c = 0; c < model->labels; c++)
      scores[c] = model->problem == CDL_PROBLEM_MULTI_LABEL ? inference_sigmoid(logits[c])
                                                            : (double)logits[c];
}

void inference_decide(const inference_model *model, const float *logits, bool *chosen)
{
  const int best = inference_argmax(logits, model->labels);
  for (int c = 0; c < model->labels; c++)
    chosen[c] = model->problem == CDL_PROBLEM_SINGLE_LABEL ? c == best
                : model->problem == CDL_PROBLEM_MULTI_LABEL
                    ? inference_sigmoid(logits[c]) >= inference_threshold(model, c)
                    : false;
}
