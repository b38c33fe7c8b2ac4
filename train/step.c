#include "train/step.h"

/* ---- Creating ---- */

cdl_status train_step_create(train_step *step, train_session *session,
                             const train_settings *settings, encoder_batch_bound bound)
{
  *step = (train_step){.session = session,
                       .max_gradient_norm = (float)settings->max_grad_norm,
                       .bound = bound,
                       .may_record = !settings->no_record};
  cdl_status made = train_shards_create(&step->shards, session, settings, bound.tokens);
  if (made == CDL_STATUS_OK)
    made = train_loss_create(&step->loss, session, settings, bound.examples);
  if (made != CDL_STATUS_OK) {
    train_step_release(step);
    return made;
  }
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
  train_recorded_passes_release(&step->passes);
  train_optimizer_release(&step->optimizer);
  train_loss_release(&step->loss);
  train_shards_release(&step->shards);
  *step = (train_step){0};
}

/* ---- The parts of a step ---- */

/* Runs that train together give up together, with one notice. */
static bool *failed_of(train_step *step)
{
  return step->joint != NULL ? &step->joint->failed : &step->failed;
}

static train_recording recording_of(train_step *step)
{
  return (train_recording){step->warm && step->records, failed_of(step)};
}

static void begin(cdl_queue *q, const void *context)
{
  const train_step *step = context;
  cdl_fill(q, CDL_ARGS(fill, .out = step->loss.loss));
  adapter_materialize(step->session->model.adapter, q);
  adapter_zero_gradients(step->session->model.adapter, q);
  train_shards_clear(&step->shards, q);
}

static void end(cdl_queue *q, const void *context)
{
  const train_step *step = context;
  model_adapter *adapter = step->session->model.adapter;
  const train_loss *loss = &step->loss;
  train_shards_add(&step->shards, q, loss->loss);
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
    step->records =
        step->may_record && step->shards.alone && cdl_backend_captures(session->model.backend) &&
        encoder_recordable(session->model.encoder) && !adapter_varies(session->model.adapter);
  cdl_queue_upload(session->model.queue, step->loss.step, record, sizeof *record);
  train_shards_place(&step->shards, session->model.queue);
  CDL_TRY(adapter_begin_step(session->model.adapter, session->model.queue, record));
  return train_enqueue(session->model.queue, recording_of(step), &step->begin, begin, step);
}

/* ---- The pass over batches ---- */

typedef struct {
  train_step *const *steps;
  size_t count;
} members;

static void forward_backward(cdl_queue *q, const void *context)
{
  const members *m = context;
  model_encoder *first = m->steps[0]->session->model.encoder;
  encoder_dropout_rates dropout[ENCODER_JOINT_MAX];
  cdl_tensor records[ENCODER_JOINT_MAX];
  for (size_t i = 0; i < m->count; i++) {
    dropout[i] = m->steps[i]->dropout;
    records[i] = m->steps[i]->loss.step;
  }
  encoder_forward_joint(first, q, dropout, records);
  for (size_t i = 0; i < m->count; i++) {
    const model_encoder *encoder = m->steps[i]->session->model.encoder;
    train_loss_forward_backward(&m->steps[i]->loss, q, encoder_logits(encoder),
                                encoder_d_logits(encoder), &m->steps[i]->shards);
  }
  encoder_backward(first, q);
}

/* Gives the batches the shapes of their recording, also where there is none any more, so that equal
 * batches are computed alike. Returns where it is; NULL if there is none. */
static cdl_graph **find_recorded(const members *m, train_recorded_passes *passes,
                                 encoder_token_batch *views, bool failed, bool *first)
{
  train_batch_shape shapes[ENCODER_JOINT_MAX];
  for (size_t i = 0; i < m->count; i++) {
    shapes[i] = (train_batch_shape){views[i].tokens, views[i].sequences, views[i].longest};
    train_round_shape(&shapes[i], m->steps[i]->bound);
    views[i].tokens = shapes[i].tokens;
    views[i].longest = shapes[i].longest;
  }
  return failed ? NULL : train_recorded_pass_of(passes, shapes, m->count, first);
}

static cdl_status run(const members *m, const data_batch *const *batches,
                      train_recorded_passes *passes, bool records, bool *failed)
{
  model_encoder *encoders[ENCODER_JOINT_MAX] = {NULL};
  encoder_token_batch views[ENCODER_JOINT_MAX] = {{0}};
  cdl_graph *none = NULL, **graph = NULL;
  bool first = true;
  cdl_queue *q = m->steps[0]->session->model.queue;
  for (size_t i = 0; i < m->count; i++) {
    encoders[i] = m->steps[i]->session->model.encoder;
    views[i] = encoder_host_batch_view(&batches[i]->input);
    encoder_set_shards(encoders[i], &m->steps[i]->shards.loaded);
  }
  if (records)
    graph = find_recorded(m, passes, views, *failed, &first);
  CDL_TRY(encoder_load_joint(encoders, m->count, q, views));
  for (size_t i = 0; i < m->count; i++)
    train_loss_load_batch(&m->steps[i]->loss, q, batches[i]);
  return train_enqueue(q, (train_recording){graph != NULL && !first, failed},
                       graph != NULL ? graph : &none, forward_backward, m);
}

cdl_status train_step_batch(train_step *step, const data_batch *batch)
{
  return run(&(members){&step, 1}, &batch, &step->passes, step->records, failed_of(step));
}

/* Other runs take part than in the last pass: what was recorded of it is over. */
static void begin_pass(train_joint_pass *pass, const members *m)
{
  bool known = pass->count == m->count;
  for (size_t i = 0; known && i < m->count; i++)
    known = pass->steps[i] == m->steps[i];
  if (known)
    return;
  train_recorded_passes_release(&pass->passes);
  pass->count = m->count;
  for (size_t i = 0; i < m->count; i++)
    pass->steps[i] = m->steps[i];
}

cdl_status train_step_batches(train_joint_pass *pass, train_step *const *steps,
                              const data_batch *const *batches, size_t count)
{
  const members m = {steps, count};
  bool records = true;
  begin_pass(pass, &m);
  for (size_t i = 0; i < count; i++)
    records = records && steps[i]->records;
  return run(&m, batches, &pass->passes, records, &pass->failed);
}

void train_joint_pass_release(train_joint_pass *pass)
{
  train_recorded_passes_release(&pass->passes);
  *pass = (train_joint_pass){0};
}

/* ---- The end of a step ---- */

cdl_status train_step_end(train_step *step, int64_t number)
{
  CDL_TRY(train_enqueue(step->session->model.queue, recording_of(step), &step->end, end, step));
  step->warm = true;
  return adapter_after_step(step->session->model.adapter, step->session->model.queue, number,
                            step->loss.factor);
}
