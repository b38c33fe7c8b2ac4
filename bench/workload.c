#include "bench/workload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/random.h"
#include "train/evaluate.h"

/* ---- Weights ---- */

enum {
  DRAWN = 1 << 20
}; /* normal numbers, which are reused, because drawing a hundred million takes seconds */

static bool ends_with(const char *name, const char *end)
{
  const size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

/* Draws weights from N(0, 0.02²); gains are 1 and biases 0. */
static void draw(cdl_queue *queue, const encoder_parameter *p, const float *normals, float *staging)
{
  const int64_t count = cdl_tensor_elements(p->value);
  if (p->role != ENCODER_ROLE_WEIGHT) {
    const bool gain = p->role == ENCODER_ROLE_NORM && ends_with(p->name, ".weight");
    cdl_fill(queue, CDL_ARGS(fill, .out = p->value, .value = gain ? 1 : 0));
    return;
  }
  for (int64_t at = 0; at < count; at += DRAWN) {
    const int64_t n = count - at < DRAWN ? count - at : DRAWN;
    memcpy(staging + at, normals, (size_t)n * sizeof *staging);
  }
  cdl_queue_upload(queue, p->value, staging, (size_t)count * sizeof *staging);
}

static cdl_status draw_all(cdl_queue *queue, model_encoder *encoder)
{
  const size_t count = encoder_parameter_count(encoder);
  const encoder_parameter *parameters = encoder_parameters(encoder);
  int64_t largest = 0;
  for (size_t i = 0; i < count; i++)
    largest = cdl_tensor_elements(parameters[i].value) > largest
                  ? cdl_tensor_elements(parameters[i].value)
                  : largest;
  float *normals = malloc(DRAWN * sizeof *normals),
        *staging = malloc((size_t)(largest + 1) * sizeof *staging);
  if (normals == NULL || staging == NULL) {
    free(normals);
    free(staging);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: random weights");
  }
  cdl_random random = cdl_random_start(1, CDL_RANDOM_TEST, 1, 0);
  for (size_t i = 0; i < DRAWN; i++)
    normals[i] = (float)(0.02 * cdl_random_normal(&random));
  for (size_t i = 0; i < count; i++)
    draw(queue, &parameters[i], normals, staging);
  encoder_weights_changed(encoder, queue, false);
  const cdl_status status = cdl_queue_sync(queue);
  free(normals);
  free(staging);
  return status;
}

/* ---- Opening ---- */

static cdl_status open_model(train_session *session, const bench_workload_model *model)
{
  if (model->folder != NULL) {
    const encoder_load_options options = {
        .labels = session->model.labels, .fresh_head = true, .seed = 1};
    return encoder_load(session->model.queue, model->folder, &options, &session->model.encoder,
                        &session->model.loaded);
  }
  CDL_TRY(encoder_create(session->model.queue, &model->config, session->model.labels,
                         &session->model.encoder));
  return draw_all(session->model.queue, session->model.encoder);
}

/* An adapter in all blocks, or with `top` above 0 in the highest ones. */
static cdl_status make_adapter(train_session *session, const char *method, uint64_t seed,
                               int64_t top)
{
  enum { LAYERS_MOST = 256 };
  int64_t layers[LAYERS_MOST];
  base_list targets = {0};
  CDL_TRY(base_list_split(
      "--targets", model_family_targets(encoder_config(session->model.encoder)->family), &targets));
  adapter_settings adapter = adapter_settings_of(method);
  adapter.rank = 8;
  adapter.alpha = 8;
  adapter.targets = targets;
  adapter.layers = layers;
  for (int64_t l = 1; l <= top && l <= LAYERS_MOST; l++)
    layers[adapter.layer_count++] = encoder_config(session->model.encoder)->layers - l;
  adapter.train_pooler = session->model.loaded.fresh_pooler;
  cdl_status status = adapter_create(session->model.queue, session->model.encoder, &adapter,
                                     &session->model.adapter);
  base_list_release(&targets);
  if (status == CDL_STATUS_OK)
    status = adapter_initialize(session->model.adapter, session->model.queue, seed);
  return status;
}

static encoder_batch_limits limits_of(encoder_batch_bound bound)
{
  return (encoder_batch_limits){.tokens = (int32_t)bound.tokens,
                                .sequences = (int32_t)bound.examples,
                                .longest = (int32_t)bound.longest};
}

static cdl_status make_step(bench_workload *s, bool no_record, encoder_batch_bound bound)
{
  const train_settings plain = {.accumulate = 1, .max_grad_norm = 1, .no_record = no_record};
  return train_step_create(&s->step, &s->session, &plain, bound);
}

static cdl_status open_all(bench_workload *s, const bench_workload_model *model, const char *method,
                           encoder_batch_bound bound)
{
  train_session *session = &s->session;
  CDL_TRY(open_model(session, model));
  CDL_TRY(make_adapter(session, method, 1, 0));
  CDL_TRY(encoder_plan(session->model.encoder, session->model.queue, limits_of(bound),
                       (encoder_batch_limits){0}));
  return make_step(s, model->no_record, bound);
}

cdl_status bench_workload_open(bench_workload *s, cdl_queue *queue,
                               const bench_workload_model *model, const char *method,
                               encoder_batch_bound bound)
{
  *s = (bench_workload){
      .session.model = {.backend = cdl_queue_backend(queue), .queue = queue, .labels = 2}};
  const cdl_status status = open_all(s, model, method, bound);
  if (status != CDL_STATUS_OK)
    bench_workload_close(s);
  return status;
}

void bench_workload_close(bench_workload *s)
{
  train_joint_pass_release(&s->joint);
  train_step_release(&s->step);
  adapter_destroy(s->session.model.adapter);
  encoder_destroy(s->session.model.encoder);
  *s = (bench_workload){0};
}

/* ---- Several runs ---- */

/* Opens a run over the body of `base`; it is neither planned nor has it a step. */
static cdl_status share(const bench_workload *base, const char *method, uint64_t seed, int64_t top,
                        bench_workload *run)
{
  train_session *session = &run->session;
  session->model = base->session.model;
  session->model.encoder = NULL;
  CDL_TRY(encoder_share(session->model.queue, base->session.model.encoder, seed,
                        &session->model.encoder));
  return make_adapter(session, method, seed, top);
}

static cdl_status plan_joint(bench_workload *runs, size_t count, bool no_record,
                             encoder_batch_bound bound)
{
  model_encoder *encoders[ENCODER_JOINT_MAX] = {NULL};
  encoder_batch_limits training[ENCODER_JOINT_MAX] = {{0}}, none[ENCODER_JOINT_MAX] = {{0}};
  for (size_t i = 0; i < count; i++) {
    encoders[i] = runs[i].session.model.encoder;
    training[i] = limits_of(bound);
  }
  CDL_TRY(encoder_plan_joint(encoders, count, runs[0].session.model.queue, training, none));
  for (size_t i = 0; i < count; i++)
    CDL_TRY(make_step(&runs[i], no_record, bound));
  return CDL_STATUS_OK;
}

cdl_status bench_workload_open_joint(bench_workload *base, bench_workload *runs, size_t count,
                                     cdl_queue *queue, const bench_workload_model *model,
                                     const char *method, encoder_batch_bound bound)
{
  *base = (bench_workload){
      .session.model = {.backend = cdl_queue_backend(queue), .queue = queue, .labels = 2}};
  for (size_t i = 0; i < count; i++)
    runs[i] = (bench_workload){0};
  CDL_TRY(open_model(&base->session, model));
  for (size_t i = 0; i < count; i++)
    CDL_TRY(share(base, method, i + 1, 0, &runs[i]));
  return plan_joint(runs, count, model->no_record, bound);
}

void bench_workload_close_joint(bench_workload *base, bench_workload *runs, size_t count)
{
  for (size_t i = 0; i < count; i++)
    bench_workload_close(&runs[i]);
  bench_workload_close(base);
}

/* ---- From kept states ---- */

static cdl_status open_top(bench_workload *base, bench_workload *runs,
                           const bench_workload_model *model, int64_t top,
                           encoder_batch_bound bound)
{
  const frozen_cache_settings settings = {.limit = UINT64_MAX};
  CDL_TRY(open_model(&base->session, model));
  CDL_TRY(frozen_cache_create(&settings, &base->session.model.frozen));
  for (int r = 0; r < BENCH_TOP_RUNS; r++) {
    const bool head = r >= BENCH_TOP_HEAD_WHOLE,
               kept = r == BENCH_TOP_KEPT || r == BENCH_TOP_HEAD_KEPT;
    CDL_TRY(share(base, head ? "none" : "lora", 1, head ? 0 : top, &runs[r]));
    model_encoder *encoder = runs[r].session.model.encoder;
    encoder_begin_at(encoder, kept ? encoder_frozen_blocks(encoder) : 0);
    CDL_TRY(encoder_plan(encoder, runs[r].session.model.queue, limits_of(bound),
                         (encoder_batch_limits){0}));
    CDL_TRY(make_step(&runs[r], model->no_record, bound));
  }
  return CDL_STATUS_OK;
}

cdl_status bench_workload_open_top(bench_workload *base, bench_workload *runs, cdl_queue *queue,
                                   const bench_workload_model *model, int64_t top,
                                   encoder_batch_bound bound)
{
  *base = (bench_workload){
      .session.model = {.backend = cdl_queue_backend(queue), .queue = queue, .labels = 2}};
  for (int r = 0; r < BENCH_TOP_RUNS; r++)
    runs[r] = (bench_workload){0};
  return open_top(base, runs, model, top, bound);
}

void bench_workload_close_top(bench_workload *base, bench_workload *runs)
{
  for (int r = 0; r < BENCH_TOP_RUNS; r++)
    bench_workload_close(&runs[r]);
  frozen_cache_destroy(base->session.model.frozen);
  bench_workload_close(base);
}

/* ---- Inference ---- */

cdl_status bench_workload_infer(bench_workload *s, const data_batch *batch)
{
  static const encoder_dropout_rates no_dropout = {0};
  const encoder_token_batch view = encoder_host_batch_view(&batch->input);
  CDL_TRY(encoder_load_batch(s->session.model.encoder, s->session.model.queue, &view,
                             ENCODER_EVALUATION));
  (void)encoder_forward(s->session.model.encoder, s->session.model.queue, &no_dropout,
                        (cdl_tensor){0});
  return CDL_STATUS_OK;
}

static cdl_status logits_of(bench_workload *s, const data_batch *batch, float *logits)
{
  CDL_TRY(bench_workload_infer(s, batch));
  cdl_queue_download(s->session.model.queue, logits, encoder_logits(s->session.model.encoder),
                     batch->input.examples * (size_t)s->session.model.labels * sizeof *logits);
  return cdl_queue_sync(s->session.model.queue);
}

/* Draws every trained matrix from N(0, 0.02²). */
static cdl_status draw_adapter(train_session *session)
{
  int64_t largest = 0;
  for (size_t i = 0; i < adapter_parameter_count(session->model.adapter); i++) {
    const int64_t count = cdl_tensor_elements(adapter_parameter(session->model.adapter, i)->value);
    largest = count > largest ? count : largest;
  }
  float *values = malloc((size_t)(largest + 1) * sizeof *values);
  if (values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: random values");
  cdl_random random = cdl_random_start(1, CDL_RANDOM_TEST, 2, 0);
  for (int64_t i = 0; i < largest; i++)
    values[i] = (float)(0.02 * cdl_random_normal(&random));
  for (size_t i = 0; i < adapter_parameter_count(session->model.adapter); i++) {
    const encoder_parameter *p = adapter_parameter(session->model.adapter, i);
    cdl_queue_upload(session->model.queue, p->value, values,
                     (size_t)cdl_tensor_elements(p->value) * sizeof *values);
  }
  adapter_materialize(session->model.adapter, session->model.queue);
  encoder_weights_changed(session->model.encoder, session->model.queue, false);
  const cdl_status status = cdl_queue_sync(session->model.queue);
  free(values);
  return status;
}

/* Merges the adapter and checks that the logits stay equal. */
static cdl_status merge(bench_workload *s, const data_batch *batch, bool coarse)
{
  const size_t count = batch->input.examples * (size_t)s->session.model.labels;
  const double tolerance = coarse ? 0.1 : 1e-4;
  double difference = 0, scale = 1;
  float *before = malloc((2 * count + 1) * sizeof *before), *after = before + count;
  if (before == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: logits");
  cdl_status status = logits_of(s, batch, before);
  if (status == CDL_STATUS_OK)
    status = encoder_merge(s->session.model.encoder, s->session.model.queue);
  if (status == CDL_STATUS_OK)
    status = logits_of(s, batch, after);
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    difference = fmax(difference, fabs((double)after[i] - (double)before[i]));
    scale = fmax(scale, fabs((double)before[i]));
  }
  free(before);
  CDL_TRY(status);
  return difference <= tolerance * scale
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_NUMERIC, "merging changes a logit by %.3g", difference);
}

cdl_status bench_workload_open_inference(bench_workload *s, cdl_queue *queue,
                                         const bench_workload_model *model, const char *method,
                                         encoder_batch_bound bound, const data_batch *batch,
                                         bool coarse)
{
  *s = (bench_workload){
      .session.model = {.backend = cdl_queue_backend(queue), .queue = queue, .labels = 2}};
  cdl_status status = open_model(&s->session, model);
  if (status == CDL_STATUS_OK && method != NULL)
    status = make_adapter(&s->session, method, 1, 0);
  if (status == CDL_STATUS_OK && method != NULL)
    status = draw_adapter(&s->session);
  if (status == CDL_STATUS_OK)
    status =
        encoder_plan(s->session.model.encoder, queue, (encoder_batch_limits){0}, limits_of(bound));
  if (status == CDL_STATUS_OK && method != NULL)
    status = merge(s, batch, coarse);
  if (status != CDL_STATUS_OK)
    bench_workload_close(s);
  return status;
}

/* ---- Steps ---- */

static const double usual_rate = 1e-4;

static cdl_status begin_step(bench_workload *s, const data_batch *batch, double rate)
{
  cdl_step_record record = {.step = (uint32_t)s->done,
                            .loss_scale = 1 / (float)batch->input.examples};
  train_optimizer_record(&s->step.optimizer, rate, s->done + 1, &record);
  s->done++;
  train_shards_begin(&s->step.shards, batch->input.examples);
  train_shards_note(&s->step.shards, batch->input.ids, batch->input.tokens);
  if (s->step.shards.count > 1)
    (void)train_shards_next(&s->step.shards);
  return train_step_begin(&s->step, &record);
}

/* Enqueues one step. With learning rate 0, only the optimizer's moments change. */
static cdl_status enqueue_step(bench_workload *s, const data_batch *batch, double rate)
{
  CDL_TRY(begin_step(s, batch, rate));
  CDL_TRY(train_step_batch(&s->step, batch));
  return train_step_end(&s->step, s->done - 1);
}

static cdl_status check_finite(float loss, float norm)
{
  return isfinite(loss) && isfinite(norm)
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_NUMERIC, "the loss is %g, the gradient's norm %g", (double)loss,
                        (double)norm);
}

cdl_status bench_workload_step(bench_workload *s, const data_batch *batch, float *loss, float *norm)
{
  CDL_TRY(enqueue_step(s, batch, usual_rate));
  cdl_queue_download(s->session.model.queue, loss, s->step.loss.loss, sizeof *loss);
  cdl_queue_download(s->session.model.queue, norm, s->step.loss.norm, sizeof *norm);
  CDL_TRY(cdl_queue_sync(s->session.model.queue));
  return check_finite(*loss, *norm);
}

cdl_status bench_workload_step_from(bench_workload *s, data_batch *batch, float *loss, float *norm)
{
  inference_model *model = &s->session.model;
  if (encoder_first_block(model->encoder) > 0)
    CDL_TRY(frozen_cache_take(model->frozen, model->encoder, model->queue, &batch->input));
  return bench_workload_step(s, batch, loss, norm);
}

cdl_status bench_workload_step_joint(bench_workload *runs, size_t count, const data_batch *batch)
{
  train_step *steps[ENCODER_JOINT_MAX] = {NULL};
  const data_batch *batches[ENCODER_JOINT_MAX] = {NULL};
  float loss[ENCODER_JOINT_MAX], norm[ENCODER_JOINT_MAX];
  cdl_queue *queue = runs[0].session.model.queue;
  for (size_t i = 0; i < count; i++) {
    steps[i] = &runs[i].step;
    batches[i] = batch;
    CDL_TRY(begin_step(&runs[i], batch, usual_rate));
  }
  CDL_TRY(train_step_batches(&runs[0].joint, steps, batches, count));
  for (size_t i = 0; i < count; i++) {
    CDL_TRY(train_step_end(steps[i], runs[i].done - 1));
    cdl_queue_download(queue, &loss[i], steps[i]->loss.loss, sizeof loss[i]);
    cdl_queue_download(queue, &norm[i], steps[i]->loss.norm, sizeof norm[i]);
  }
  CDL_TRY(cdl_queue_sync(queue));
  for (size_t i = 0; i < count; i++)
    CDL_TRY(check_finite(loss[i], norm[i]));
  return CDL_STATUS_OK;
}

cdl_status bench_workload_step_in_pieces(bench_workload *s, const data_batch *batch, float *loss,
                                         float *norm)
{
  train_step *step = &s->step;
  if (!step->warm) /* the first step records nothing */
    return bench_workload_step(s, batch, loss, norm);
  const train_step kept = *step;
  step->records = false;
  step->begin = NULL;
  step->end = NULL;
  const cdl_status status = bench_workload_step(s, batch, loss, norm);
  step->records = kept.records;
  step->begin = kept.begin;
  step->end = kept.end;
  return status;
}

/* ---- Checking ---- */

/* Computes the loss of the last step in float64 from its logits. */
static cdl_status loss_of_last(bench_workload *s, const data_batch *batch, double *loss)
{
  const size_t labels = (size_t)s->session.model.labels,
               bytes = batch->input.examples * labels * sizeof(float);
  float *y = malloc(bytes + 1), told;
  if (y == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: logits");
  cdl_queue_download(s->session.model.queue, y, encoder_logits(s->session.model.encoder), bytes);
  cdl_queue_download(s->session.model.queue, &told, s->step.loss.loss, sizeof told);
  const cdl_status status = cdl_queue_sync(s->session.model.queue);
  *loss = 0;
  for (size_t i = 0; status == CDL_STATUS_OK && i < batch->input.examples; i++) {
    const double gap = (double)y[i * labels + (size_t)(1 - batch->labels[i])] -
                       (double)y[i * labels + (size_t)batch->labels[i]];
    *loss += log1p(exp(gap)) / (double)batch->input.examples; /* for two labels */
  }
  free(y);
  CDL_TRY(status);
  return fabs((double)told - *loss) <= 1e-5
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_NUMERIC, "the loss is wrong: %.9g, its logits give %.9g",
                        (double)told, *loss);
}

static cdl_status loss_of(bench_workload *s, const data_batch *batch, double *loss)
{
  CDL_TRY(enqueue_step(s, batch, 0));
  return loss_of_last(s, batch, loss);
}

cdl_status bench_workload_check_joint(bench_workload *runs, size_t count, const data_batch *batch)
{
  double loss;
  for (size_t i = 0; i < count; i++)
    CDL_TRY(cdl_context(loss_of_last(&runs[i], batch, &loss), "run %zu", i + 1));
  return CDL_STATUS_OK;
}

/* Values and gradients of all trained parameters, end to end on the host. */
typedef struct {
  float *value, *gradient, *moved;
  size_t count;
} trained_numbers;

static cdl_status transfer(bench_workload *s, trained_numbers *t, bool up, const float *values)
{
  size_t at = 0;
  for (size_t i = 0; i < adapter_parameter_count(s->session.model.adapter); i++) {
    const encoder_parameter *p = adapter_parameter(s->session.model.adapter, i);
    const size_t n = (size_t)cdl_tensor_elements(p->value);
    if (up) {
      cdl_queue_upload(s->session.model.queue, p->value, values + at, n * sizeof *values);
    } else {
      cdl_queue_download(s->session.model.queue, t->value + at, p->value, n * sizeof *values);
      cdl_queue_download(s->session.model.queue, t->gradient + at, p->gradient, n * sizeof *values);
    }
    at += n;
  }
  return cdl_queue_sync(s->session.model.queue);
}

static cdl_status loss_along(bench_workload *s, const data_batch *batch, trained_numbers *t,
                             double distance, double *loss)
{
  for (size_t i = 0; i < t->count; i++)
    t->moved[i] = (float)((double)t->value[i] + distance * (double)t->gradient[i]);
  CDL_TRY(transfer(s, t, true, t->moved));
  return loss_of(s, batch, loss);
}

static cdl_status compare_slope(bench_workload *s, const data_batch *batch, trained_numbers *t,
                                bool coarse)
{
  CDL_TRY(enqueue_step(s, batch, 0));
  CDL_TRY(transfer(s, t, false, NULL));
  double squares = 0, above = 0, below = 0;
  for (size_t i = 0; i < t->count; i++)
    squares += (double)t->gradient[i] * (double)t->gradient[i];
  const double norm = sqrt(squares);
  if (!(norm > 0))
    return cdl_fail(CDL_STATUS_NUMERIC, "the gradient's norm is %g", norm);
  /* The loss changes by about 2e-3 in either direction: far above float32's rounding, and the third
   * order is still small. Products with 10 bits round more and need a longer distance. */
  const double distance = (coarse ? 2e-2 : 2e-3) / squares, tolerance = coarse ? 0.1 : 0.02;
  CDL_TRY(loss_along(s, batch, t, distance, &above));
  CDL_TRY(loss_along(s, batch, t, -distance, &below));
  CDL_TRY(transfer(s, t, true, t->value));
  const double slope = (above - below) / (2 * distance);
  return fabs(slope - squares) <= tolerance * squares
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_NUMERIC,
                        "the gradient is wrong: its squared norm is %.6g, the loss's slope along "
                        "it %.6g",
                        squares, slope);
}

cdl_status bench_workload_check(bench_workload *s, const data_batch *batch, const char *method,
                                bool coarse)
{
  trained_numbers t = {0};
  for (size_t i = 0; i < adapter_parameter_count(s->session.model.adapter); i++)
    t.count += (size_t)cdl_tensor_elements(adapter_parameter(s->session.model.adapter, i)->value);
  float *memory = calloc(t.count + 1, 3 * sizeof *memory);
  if (memory == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a check of the gradient");
  t.value = memory;
  t.gradient = memory + t.count;
  t.moved = memory + 2 * t.count;
  const cdl_status status = compare_slope(s, batch, &t, coarse);
  free(memory);
  return cdl_context(status, "a training step with %s", method);
}
