#include "train/joint.h"

#include <stdio.h>
#include <stdlib.h>

#include "train/trainer_state.h"

/* The runs that take part in a pass. */
typedef struct {
  cdl_joint_run *run[CDL_JOINT_RUNS_MAX];
  cdl_trainer *trainer[CDL_JOINT_RUNS_MAX];
  size_t count;
} party;

static void end_run(cdl_joint_run *run, cdl_trainer *t, cdl_status status)
{
  run->status = status;
  if (status != CDL_OK)
    snprintf(run->message, sizeof run->message, "%s", cdl_error_message());
  cdl_trainer_release(t);
}

typedef cdl_status part_of_run(cdl_joint_run *run, cdl_trainer *t, bool *ended);

/* Keeps those that go on; the others have ended, well or not. */
static void each(party *p, part_of_run *part)
{
  size_t kept = 0;
  for (size_t i = 0; i < p->count; i++) {
    bool ended = false;
    const cdl_status status = part(p->run[i], p->trainer[i], &ended);
    if (status != CDL_OK || ended) {
      end_run(p->run[i], p->trainer[i], status);
      continue;
    }
    p->run[kept] = p->run[i];
    p->trainer[kept++] = p->trainer[i];
  }
  p->count = kept;
}

static cdl_status prepare(cdl_joint_run *run, cdl_trainer *t, bool *ended)
{
  (void)run;
  (void)ended;
  return cdl_trainer_prepare(t);
}

static cdl_status begin(cdl_joint_run *run, cdl_trainer *t, bool *ended)
{
  return cdl_trainer_begin(t, &run->summary, ended);
}

static cdl_status next_batch(cdl_joint_run *run, cdl_trainer *t, bool *ended)
{
  CDL_TRY(cdl_trainer_next_batch(t, ended));
  return *ended ? cdl_trainer_finish(t, &run->summary) : CDL_OK;
}

static cdl_status proceed(cdl_joint_run *run, cdl_trainer *t, bool *ended)
{
  (void)run;
  (void)ended;
  return cdl_trainer_proceed(t);
}

static void fail_all(party *p, cdl_status status)
{
  for (size_t i = 0; i < p->count; i++)
    end_run(p->run[i], p->trainer[i], status);
  p->count = 0;
}

/* Memory for the largest batches of all that train. */
static cdl_status plan(const party *p)
{
  cdl_encoder *encoders[CDL_JOINT_RUNS_MAX];
  cdl_batch_limits training[CDL_JOINT_RUNS_MAX], evaluation[CDL_JOINT_RUNS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < p->count; i++) {
    const cdl_trainer *t = p->trainer[i];
    if (t->settings->dry_run)
      continue;
    encoders[count] = t->job->encoder;
    training[count] = t->training_limits;
    evaluation[count++] = t->evaluation_limits;
  }
  return count > 0 ? cdl_encoder_plan_joint(encoders, count, p->trainer[0]->job->queue, training,
                                            evaluation)
                   : CDL_OK;
}

static cdl_status pass(const party *p)
{
  cdl_step *steps[CDL_JOINT_RUNS_MAX];
  const cdl_batch *batches[CDL_JOINT_RUNS_MAX];
  for (size_t i = 0; i < p->count; i++) {
    steps[i] = &p->trainer[i]->step;
    batches[i] = &p->trainer[i]->batch;
  }
  return p->count == 1 ? cdl_step_batch(steps[0], batches[0])
                       : cdl_step_batches(steps, batches, p->count);
}

static cdl_status train(cdl_joint_run *runs, size_t count)
{
  cdl_trainer *trainers = calloc(count, sizeof *trainers);
  if (trainers == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %zu runs", count);
  party p = {.count = count};
  for (size_t i = 0; i < count; i++) {
    runs[i].status = CDL_OK;
    runs[i].message[0] = '\0';
    runs[i].summary = (cdl_train_summary){0};
    trainers[i] =
        (cdl_trainer){.job = runs[i].job, .settings = runs[i].settings, .events = runs[i].events};
    p.run[i] = &runs[i];
    p.trainer[i] = &trainers[i];
  }
  each(&p, prepare);
  cdl_status status = plan(&p);
  if (status != CDL_OK)
    fail_all(&p, status);
  each(&p, begin);
  for (;;) {
    each(&p, next_batch);
    if (p.count == 0)
      break;
    status = pass(&p);
    if (status != CDL_OK)
      fail_all(&p, status);
    each(&p, proceed);
  }
  free(trainers);
  return CDL_OK;
}

cdl_status cdl_train_joint(cdl_joint_run *runs, size_t count)
{
  if (count < 1 || count > CDL_JOINT_RUNS_MAX)
    return cdl_fail(CDL_ARGUMENT, "1 to %d runs train together, not %zu", CDL_JOINT_RUNS_MAX,
                    count);
  for (size_t i = 1; i < count; i++)
    if (runs[i].job->queue != runs[0].job->queue ||
        !cdl_encoder_same_body(runs[i].job->encoder, runs[0].job->encoder))
      return cdl_fail(CDL_ARGUMENT, "runs that train together share a queue and a base");
  return train(runs, count);
}

cdl_status cdl_train(cdl_job *job, const cdl_settings *settings, const cdl_train_events *events,
                     cdl_train_summary *summary)
{
  cdl_joint_run run = {.job = job, .settings = settings, .events = events};
  *summary = (cdl_train_summary){0};
  CDL_TRY(train(&run, 1));
  *summary = run.summary;
  return run.status == CDL_OK ? CDL_OK : cdl_fail(run.status, "%s", run.message);
}
