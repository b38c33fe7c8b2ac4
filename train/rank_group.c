#include "train/rank_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"
#include "ranks/watch.h"

/* What a rank says of its device. */
typedef struct {
  int32_t status; /* of the last thing that was tried */
  char place[CDL_GROUP_PLACE_BYTES];
  char why[512];
} report;

static void fill(report *r, cdl_status status)
{
  r->status = (int32_t)status;
  r->why[0] = '\0';
  if (status != CDL_STATUS_OK)
    snprintf(r->why, sizeof r->why, "%s", cdl_error_message());
}

/* Whether all ranks succeeded; the first that did not is named in `why`. */
static bool all_well(const ranks_job *job, const report *all, char *why, size_t room)
{
  for (int i = 0; i < ranks_size(job); i++)
    if (all[i].status != CDL_STATUS_OK) {
      snprintf(why, room, "rank %d (%s): %s", i, ranks_peer_of(job, i)->host, all[i].why);
      return false;
    }
  return true;
}

static bool are_apart(const ranks_job *job, const report *all, char *why, size_t room)
{
  for (int i = 0; i < ranks_size(job); i++)
    for (int k = 0; k < i; k++)
      if (strcmp(ranks_peer_of(job, i)->host, ranks_peer_of(job, k)->host) == 0 &&
          strcmp(all[i].place, all[k].place) == 0) {
        snprintf(why, room, "ranks %d and %d (%s) share the device %s", k, i,
                 ranks_peer_of(job, i)->host, all[i].place);
        return false;
      }
  return true;
}

/* Joins all ranks, or none. */
static cdl_status join(train_session *session, report *mine, report *all, char *why, size_t room)
{
  ranks_job *job = session->model.job;
  cdl_group_key key = {{0}};
  fill(mine,
       ranks_rank(job) == 0 ? cdl_group_key_create(session->model.backend, &key) : CDL_STATUS_OK);
  CDL_TRY(ranks_gather(job, mine, sizeof *mine, all, "the key of the devices' group"));
  if (!all_well(job, all, why, room))
    return CDL_STATUS_OK;
  CDL_TRY(ranks_broadcast(job, &key, sizeof key, 0, "the key of the devices' group"));
  ranks_watch watch;
  ranks_watch_begin(&watch, ranks_limit(job),
                    "condlora: the ranks' devices did not join within the time of a meeting");
  fill(mine, cdl_group_join(session->model.backend, &key, ranks_rank(job), ranks_size(job),
                            ranks_limit(job), &session->group));
  ranks_watch_end(&watch);
  CDL_TRY(ranks_gather(job, mine, sizeof *mine, all, "the devices' group"));
  if (!all_well(job, all, why, room))
    train_rank_group_close(session);
  return CDL_STATUS_OK;
}

static cdl_status open_group(train_session *session, report *all)
{
  ranks_job *job = session->model.job;
  report mine;
  char why[640] = "";
  memset(&mine, 0, sizeof mine);
  const cdl_status found = cdl_group_place(session->model.backend, mine.place);
  fill(&mine, found);
  CDL_TRY(ranks_gather(job, &mine, sizeof mine, all, "the ranks' devices"));
  if (found == CDL_STATUS_UNSUPPORTED) /* so it is on all ranks: they have the same backend */
    return CDL_STATUS_OK;
  if (all_well(job, all, why, sizeof why) && are_apart(job, all, why, sizeof why))
    CDL_TRY(join(session, &mine, all, why, sizeof why));
  if (session->group == NULL)
    cdl_log(CDL_LOG_NOTICE, "the ranks' gradients pass through the host's memory: %s", why);
  return CDL_STATUS_OK;
}

cdl_status train_rank_group_open(train_session *session, int shards)
{
  const int size = ranks_size(session->model.job);
  if (session->model.job == NULL || shards % size != 0)
    return CDL_STATUS_OK;
  report *all = calloc((size_t)size, sizeof *all);
  if (all == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", size);
  const cdl_status status = open_group(session, all);
  free(all);
  return status;
}

cdl_status train_rank_group_rest(train_session *session)
{
  if (session->group == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(ranks_barrier(session->model.job, "the end of training"));
  session->group_rests = true;
  return CDL_STATUS_OK;
}

/* Over what follows a failure, until the group is left. */
static struct {
  ranks_watch watch;
  char line[1400];
  bool runs;
} ending;

void train_rank_group_fail(train_session *session)
{
  enum { SECONDS_TO_END = 60 };
  const ranks_job *job = session->model.job;
  if (session->group == NULL)
    return;
  if (!ending.runs) {
    snprintf(ending.line, sizeof ending.line, "condlora: rank %d (%s): %s", ranks_rank(job),
             ranks_peer_of(job, ranks_rank(job))->host, cdl_error_message());
    ranks_watch_begin(&ending.watch, SECONDS_TO_END, ending.line);
    ending.runs = true;
  }
  cdl_group_abandon(session->group);
}

void train_rank_group_close(train_session *session)
{
  if (session->group != NULL && !session->group_rests)
    cdl_group_abandon(session->group);
  cdl_group_leave(session->group);
  session->group = NULL;
  if (ending.runs)
    ranks_watch_end(&ending.watch);
  ending.runs = false;
}
