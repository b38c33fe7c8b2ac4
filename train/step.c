#include "train/step.h"

#include <string.h>

#include "condlora/log.h"

/* ---- Creating ---- */

cdl_status train_step_create(train_step *step, train_session *session,
                             const train_settings *settings, encoder_batch_bound bound)
{
  *step = (train_step){.session = session,
                       .max_gradient_norm = (float)settings->max_grad_norm,
                       .bound = bound,
                       .may_record = !settings->no_record};
  CDL_TRY(train_loss_create(&step->loss, session, settings, bound.examples));
  train_optimizer_settings optimizer = train_optimizer_defaults();
  optimizer.weight_decay = settings->weight_decay;
  optimizer.decay_all = settings->decay == TRAIN_DECAY_ALL;
  const cdl_status status = train_optimizer_create(&step->optimizer, session->model.queue,
                                                   session->model.adapter, optimizer);
  if (status != CDL_STATUS_OK)
    train_step_release(step);
  return status;
}

void train_step_release(train_step *step)
{
  cdl_graph_destroy(step->begin);
  cdl_graph_destroy(step->end);
  for (size_t i = 0; i < step->batch_count; i++)
    cdl_graph_destroy(step->batches[i].graph);
  train_optimizer_release(&step->optimizer);
  train_loss_release(&step->loss);
  *step = (train_step){0};
}

/* ---- Recording ---- */

typedef void step_work(train_step *step);

/* Records `work`. Whatever a driver or its libraries answer to a recording, nothing of it has run,
 * so one that fails is given up, with those to come. If the device itself is at fault, the work
 * says so when it runs. */
static void record(train_step *step, cdl_graph **graph, step_work *work)
{
  cdl_queue *q = step->session->model.queue;
  cdl_status status = cdl_queue_capture_begin(q);
  if (status == CDL_STATUS_OK) {
    work(step);
    status = cdl_queue_capture_end(q, graph);
  }
  if (status == CDL_STATUS_OK)
    return;
  cdl_log(CDL_LOG_NOTICE, "steps are not recorded: %s", cdl_error_message());
  step->records = false;
}

/* Enqueues `work`, through a recording if possible. The first run of a shape is not recorded,
 * because it may still allocate. */
static cdl_status enqueue(train_step *step, cdl_graph **graph, bool first, step_work *work)
{
  cdl_queue *q = step->session->model.queue;
  CDL_TRY(cdl_queue_status(q));
  if (step->records && !first && *graph == NULL)
    record(step, graph, work);
  if (*graph != NULL)
    cdl_queue_replay(q, *graph);
  else
    work(step);
  return cdl_queue_status(q);
}

/* Rounds up to a multiple of 64, or, for larger counts, of the power of two that is at most 1/16 of
 * the count. So the superfluous rows of a long batch are below 1/16. */
static int32_t round_up(int32_t count, size_t bound)
{
  enum { LEAST = 64, PARTS = 16 };
  int32_t unit = LEAST;
  while (unit <= count / (2 * PARTS))
    unit *= 2;
  const int64_t rounded = ((int64_t)count + unit - 1) / unit * unit;
  return rounded < (int64_t)bound ? (int32_t)rounded : (int32_t)bound;
}

/* Returns the recording for a batch's shape, and sets the shape; NULL if there is no room for
 * another. */
static train_recorded_batch *find_recorded(train_step *step, encoder_token_batch *batch,
                                           bool *first)
{
  const int32_t tokens = round_up(batch->tokens, step->bound.tokens);
  const int32_t longest = round_up(batch->longest, step->bound.longest);
  *first = false;
  for (size_t i = 0; i < step->batch_count; i++) {
    train_recorded_batch *known = &step->batches[i];
    if (known->tokens == tokens && known->sequences == batch->sequences &&
        known->longest == longest) {
      batch->tokens = tokens;
      batch->longest = longest;
      return known;
    }
  }
  if (step->batch_count == TRAIN_RECORDED_BATCHES)
    return NULL;
  train_recorded_batch *added = &step->batches[step->batch_count++];
  *added = (train_recorded_batch){tokens, batch->sequences, longest, NULL};
  batch->tokens = tokens;
  batch->longest = longest;
  *first = true;
  return added;
}

/* ---- The parts of a step ---- */

static void begin(train_step *step)
{
  cdl_queue *q = step->session->model.queue;
  cdl_fill(q, CDL_ARGS(fill, .out = step->loss.loss));
  adapter_materialize(step->session->model.adapter, q);
  adapter_zero_gradients(step->session->model.adapter, q);
}

static void forward_backward(train_step *step)
{
  model_encoder *encoder = step->session->model.encoder;
  cdl_queue *q = step->session->model.queue;
  const cdl_tensor logits = encoder_forward(encoder, q, &step->dropout, step->loss.step);
  train_loss_forward_backward(&step->loss, q, logits, encoder_d_logits(encoder));
  encoder_backward(encoder, q);
}

static void end(train_step *step)
{
  model_adapter *adapter = step->session->model.adapter;
  cdl_queue *q = step->session->model.queue;
  train_loss *loss = &step->loss;
  adapter_pull_back(adapter, q);
  adapter_extra_loss(adapter, q, loss->loss);
  cdl_clip_norm(q, CDL_ARGS(clip_norm, .norm = loss->norm, .factor = loss->factor,
                            .gradient = adapter_gradients(adapter),
                            .max_norm = step->max_gradient_norm));
  train_optimizer_step(&step->optimizer, q, loss->factor, loss->step);
}

cdl_status train_step_begin(train_step *step, const cdl_step_record *record)
{
  const train_session *session = step->session;
  if (!step->warm)
    step->records = step->may_record && cdl_backend_captures(session->model.backend) &&
                    encoder_recordable(session->model.encoder) &&
                    !adapter_varies(session->model.adapter);
  cdl_queue_upload(session->model.queue, step->loss.step, record, sizeof *record);
  CDL_TRY(adapter_begin_step(session->model.adapter, session->model.queue, record));
  return enqueue(step, &step->begin, !step->warm, begin);
}

cdl_status train_step_batch(train_step *step, const data_batch *batch)
{
  encoder_token_batch view = encoder_host_batch_view(&batch->input);
  cdl_graph *none = NULL, **graph = &none;
  bool first = true;
  if (step->records) {
    train_recorded_batch *recorded = find_recorded(step, &view, &first);
    if (recorded != NULL)
      graph = &recorded->graph;
    first = first || recorded == NULL;
  }
  CDL_TRY(encoder_load_batch(step->session->model.encoder, step->session->model.queue, &view,
                             ENCODER_TRAINING));
  train_loss_load_batch(&step->loss, step->session->model.queue, batch);
  return enqueue(step, graph, first, forward_backward);
}

cdl_status train_step_batches(train_step *const *steps, const data_batch *const *batches,
                              size_t count)
{
  model_encoder *encoders[ENCODER_JOINT_MAX] = {NULL};
  encoder_token_batch views[ENCODER_JOINT_MAX] = {{0}};
  encoder_dropout_rates dropout[ENCODER_JOINT_MAX];
  cdl_tensor records[ENCODER_JOINT_MAX];
  cdl_queue *q = steps[0]->session->model.queue;
  for (size_t i = 0; i < count; i++) {
    encoders[i] = steps[i]->session->model.encoder;
    views[i] = encoder_host_batch_view(&batches[i]->input);
    dropout[i] = steps[i]->dropout;
    records[i] = steps[i]->loss.step;
  }
  CDL_TRY(encoder_load_joint(encoders, count, q, views));
  for (size_t i = 0; i < count; i++)
    train_loss_load_batch(&steps[i]->loss, q, batches[i]);
  encoder_forward_joint(encoders[0], q, dropout, records);
  for (size_t i = 0; i < count; i++)
    train_loss_forward_backward(&steps[i]->loss, q, encoder_logits(encoders[i]),
                                encoder_d_logits(encoders[i]));
  encoder_backward(encoders[0], q);
  return cdl_queue_status(q);
}

cdl_status train_step_end(train_step *step, int64_t number)
{
  CDL_TRY(enqueue(step, &step->end, !step->warm, end));
  step->warm = true;
  return adapter_after_step(step->session->model.adapter, step->session->model.queue, number,
                            step->loss.factor);
}
