#include "tools/study/reproduce_ranks.h"

#include <limits.h>
#include <string.h>

#include "tools/study/predict.h"

/* What the first rank tells the others. */
typedef struct {
  bool ends; /* there is no further run */
  bool resume;
  uint64_t task, method; /* places in the lists, which are equal on all ranks */
  int64_t seed;
  double rate;
  char folder[PATH_MAX];
} order;

static const char next[] = "the next run";

cdl_status study_ranks_call(const study_reproduction *r, const study_run *run,
                            const train_settings *settings)
{
  if (r->asked.job == NULL)
    return CDL_STATUS_OK;
  order o = {.resume = settings->resume,
             .task = run->task,
             .method = run->method,
             .seed = run->seed,
             .rate = run->rate};
  const size_t length = strlen(settings->output);
  if (length >= sizeof o.folder)
    return cdl_fail(CDL_STATUS_USAGE, "%s: the path is longer than %zu", settings->output,
                    sizeof o.folder - 1);
  memcpy(o.folder, settings->output, length + 1);
  return ranks_broadcast(r->asked.job, &o, sizeof o, 0, next);
}

cdl_status study_ranks_dismiss(const study_reproduction *r, cdl_status status)
{
  ranks_job *job = r->asked.job;
  if (job == NULL || (status != CDL_STATUS_OK && !ranks_agreed(job)))
    return status;
  order o = {.ends = true};
  char message[1024] = "";
  if (status != CDL_STATUS_OK)
    snprintf(message, sizeof message, "%s", cdl_error_message());
  CDL_TRY(ranks_broadcast(job, &o, sizeof o, 0, next));
  return ranks_agree(job, status != CDL_STATUS_OK ? cdl_fail(status, "%s", message) : status,
                     "the end of the job");
}

/* Trains and predicts like the first rank, which keeps the results. */
static cdl_status join(const study_reproduction *r, order *o)
{
  static const bool given[TRAIN_SETTINGS_MAX];
  const study_run run = {.task = (size_t)o->task,
                         .method = (size_t)o->method,
                         .seed = o->seed,
                         .rate = o->rate,
                         .folder = o->folder};
  train_settings settings;
  train_session session;
  train_summary summary;
  CDL_TRY(study_reproduce_settings(r, &run, &settings));
  settings.resume = o->resume;
  cdl_status status = train_session_open_ranks(&session, &settings, given, r->asked.job);
  if (status == CDL_STATUS_OK) {
    const train_events events = {.stop = r->events.stop};
    status = train_run(&session, &settings, &events, &summary);
    train_session_close(&session);
  }
  if (status == CDL_STATUS_OK)
    status = study_predict_dev(r, &settings, r->comparison.tasks[run.task], NULL, NULL);
  train_settings_release(&settings);
  /* The first rank has met what all have met, and decides whether the job goes on. */
  return ranks_agreed(r->asked.job) ? CDL_STATUS_OK : status;
}

cdl_status study_ranks_follow(const study_reproduction *r)
{
  for (;;) {
    order o;
    CDL_TRY(ranks_broadcast(r->asked.job, &o, sizeof o, 0, next));
    if (o.ends)
      return ranks_agree(r->asked.job, CDL_STATUS_OK, "the end of the job");
    CDL_TRY(join(r, &o));
  }
}
