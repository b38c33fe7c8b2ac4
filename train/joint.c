#include "train/joint.h"

#include <stdio.h>
#include <stdlib.h>

#include "train/rank_group.h"
#include "train/trainer_state.h"

/* The runs that take part in a pass. */
typedef struct {
  train_joint_run *run[TRAIN_JOINT_RUNS_MAX];
  train_trainer *trainer[TRAIN_JOINT_RUNS_MAX];
  size_t count;
  train_joint_pass recorded;
} party;

static void end_run(train_joint_run *run, train_trainer *t, cdl_status status)
{
  run->status = status;
  if (status != CDL_STATUS_OK) {
    snprintf(run->message, sizeof run->message, "%s", cdl_error_message());
    train_rank_group_fail(t->session);
  }
  if (status != CDL_STATUS_OK && status != CDL_STATUS_CANCELLED && t->recorded)
    train_run_json_fail(&t->files, run->message);
  trainer_release(t);
}

typedef cdl_status part_of_run(train_joint_run *run, train_trainer *t, bool *ended);

/* Keeps the runs that continue; the others have finished or failed. */
static void each(party *p, part_of_run *part)
{
  size_t kept = 0;
  for (size_t i = 0; i < p->count; i++) {
    bool ended = false;
    const cdl_status status = part(p->run[i], p->trainer[i], &ended);
    if (status != CDL_STATUS_OK || ended) {
      end_run(p->run[i], p->trainer[i], status);
      continue;
    }
    p->run[kept] = p->run[i];
    p->trainer[kept++] = p->trainer[i];
  }
  p->count = kept;
}

static cdl_status prepare(train_joint_run *run, train_trainer *t, bool *ended)
{
  (void)run;
  (void)ended;
  return ranks_agree(t->session->model.job, trainer_prepare(t), "the plan of the run");
}

static cdl_status begin(train_joint_run *run, train_trainer *t, bool *ended)
{
  return ranks_agree(t->session->model.job, trainer_begin(t, &run->summary, ended),
                     "the start of the run");
}

static cdl_status next_batch(train_joint_run *run, train_trainer *t, bool *ended)
{
  CDL_TRY(trainer_next_batch(t, ended));
  if (!*ended)
    return CDL_STATUS_OK;
  CDL_TRY(trainer_finish(t, &run->summary));
  return train_rank_group_rest(t->session);
}

static cdl_status proceed(train_joint_run *run, train_trainer *t, bool *ended)
{
  (void)run;
  (void)ended;
  return trainer_proceed(t);
}

static void fail_all(party *p, cdl_status status)
{
  for (size_t i = 0; i < p->count; i++)
    end_run(p->run[i], p->trainer[i], status);
  p->count = 0;
}

/* Lets all runs begin their passes at one block: the lowest that any of them begins at. */
static void begin_together(const party *p)
{
  int block = p->count > 0 ? encoder_first_block(p->trainer[0]->session->model.encoder) : 0;
  for (size_t i = 1; i < p->count; i++) {
    const int own = encoder_first_block(p->trainer[i]->session->model.encoder);
    block = own < block ? own : block;
  }
  for (size_t i = 0; i < p->count; i++) {
    encoder_begin_at(p->trainer[i]->session->model.encoder, block);
    p->trainer[i]->plan.frozen.block = block;
  }
}

/* Plans memory for the largest batches of all training runs. */
static cdl_status plan(const party *p)
{
  model_encoder *encoders[TRAIN_JOINT_RUNS_MAX];
  encoder_batch_limits training[TRAIN_JOINT_RUNS_MAX], evaluation[TRAIN_JOINT_RUNS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < p->count; i++) {
    const train_trainer *t = p->trainer[i];
    if (t->settings->dry_run)
      continue;
    encoders[count] = t->session->model.encoder;
    training[count] = t->training_limits;
    evaluation[count++] = t->evaluation_limits;
  }
  return count > 0 ? encoder_plan_joint(encoders, count, p->trainer[0]->session->model.queue,
                                        training, evaluation)
                   : CDL_STATUS_OK;
}

static cdl_status pass(party *p)
{
  train_step *steps[TRAIN_JOINT_RUNS_MAX];
  const data_batch *batches[TRAIN_JOINT_RUNS_MAX];
  if (p->count == 1 && p->trainer[0]->batch.input.examples == 0)
    return CDL_STATUS_OK; /* the rank has no shard with examples in this step */
  for (size_t i = 0; i < p->count; i++) {
    steps[i] = &p->trainer[i]->step;
    batches[i] = &p->trainer[i]->batch;
  }
  return p->count == 1 ? train_step_batch(steps[0], batches[0])
                       : train_step_batches(&p->recorded, steps, batches, p->count);
}

static cdl_status train(train_joint_run *const *runs, size_t count)
{
  train_trainer *trainers = calloc(count, sizeof *trainers);
  if (trainers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu runs", count);
  party p = {.count = count};
  for (size_t i = 0; i < count; i++) {
    runs[i]->status = CDL_STATUS_OK;
    runs[i]->message[0] = '\0';
    runs[i]->summary = (train_summary){0};
    trainers[i] = (train_trainer){
        .session = runs[i]->session, .settings = runs[i]->settings, .events = runs[i]->events};
    p.run[i] = runs[i];
    p.trainer[i] = &trainers[i];
  }
  each(&p, prepare);
  begin_together(&p);
  for (size_t i = 0; count > 1 && i < p.count; i++)
    p.trainer[i]->step.joint = &p.recorded;
  cdl_status status = CDL_STATUS_OK;
  if (p.count > 0)
    status = ranks_agree(runs[0]->session->model.job, plan(&p), "the memory of the run");
  if (status != CDL_STATUS_OK)
    fail_all(&p, status);
  each(&p, begin);
  for (;;) {
    each(&p, next_batch);
    if (p.count == 0)
      break;
    status = pass(&p);
    if (status != CDL_STATUS_OK)
      fail_all(&p, status);
    each(&p, proceed);
  }
  train_joint_pass_release(&p.recorded);
  free(trainers);
  return CDL_STATUS_OK;
}

cdl_status train_joint(train_joint_run *runs, size_t count)
{
  if (count < 1 || count > TRAIN_JOINT_RUNS_MAX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "1 to %d runs train together, not %zu",
                    TRAIN_JOINT_RUNS_MAX, count);
  for (size_t i = 1; i < count; i++)
    if (runs[i].session->model.queue != runs[0].session->model.queue ||
        !encoder_same_body(runs[i].session->model.encoder, runs[0].session->model.encoder))
      return cdl_fail(CDL_STATUS_ARGUMENT, "runs that train together share a queue and a base");
  /* Activations of a pass have one type. Runs of the other one would lose the bytes that they have
   * alone, so they pass afterwards. */
  static const cdl_dtype types[] = {CDL_DTYPE_BF16, CDL_DTYPE_F32};
  for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
    train_joint_run *alike[TRAIN_JOINT_RUNS_MAX];
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
      if (encoder_activation_dtype(runs[i].session->model.encoder) == types[t])
        alike[found++] = &runs[i];
    if (found > 0)
      CDL_TRY(train(alike, found));
  }
  return CDL_STATUS_OK;
}

cdl_status train_run(train_session *session, const train_settings *settings,
                     const train_events *events, train_summary *summary)
{
  train_joint_run run = {.session = session, .settings = settings, .events = events};
  *summary = (train_summary){0};
  CDL_TRY(train((train_joint_run *[]){&run}, 1));
  *summary = run.summary;
  return run.status == CDL_STATUS_OK ? CDL_STATUS_OK : cdl_fail(run.status, "%s", run.message);
}
