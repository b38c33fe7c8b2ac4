#include "train/rank_shards.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"

/* What a rank says of a step. */
typedef struct {
  double spent; /* seconds on its shards */
  int32_t stop;
} remark;

cdl_status train_rank_shards_create(train_rank_shards *r, const train_session *session,
                                    const train_settings *settings, const train_shards *shards)
{
  ranks_job *job = session->model.job;
  const size_t window = (size_t)(settings->batch_size * settings->accumulate),
               examples = session->split.train_count, size = (size_t)ranks_size(job);
  *r = (train_rank_shards){0};
  CDL_TRY(ranks_shards_check(job, shards->count, examples < window ? examples : window));
  const size_t columns = (size_t)shards->rows.size[3], most = (size_t)shards->count - size + 1;
  r->backend = session->model.backend;
  CDL_TRY(ranks_sum_create(&r->sum, job, shards->count, columns));
  void *rows;
  CDL_TRY(cdl_host_allocate(r->backend, most * columns * sizeof *r->rows, &rows));
  r->rows = rows;
  r->pace = calloc(size, sizeof *r->pace);
  r->meeting = calloc(size, sizeof(remark));
  return r->pace != NULL && r->meeting != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the sums of %d shards", shards->count);
}

void train_rank_shards_release(train_rank_shards *r)
{
  ranks_sum_release(&r->sum);
  if (r->rows != NULL)
    cdl_host_free(r->backend, r->rows);
  free(r->pace);
  free(r->meeting);
  *r = (train_rank_shards){0};
}

void train_rank_shards_begin(train_rank_shards *r, train_shards *shards)
{
  int begin, end;
  r->began = base_process_seconds();
  /* In a group all ranks have equally many. */
  ranks_sum_begin(&r->sum, r->measured && shards->group == NULL ? r->pace : NULL);
  ranks_sum_shards(&r->sum, &begin, &end);
  train_shards_limit(shards, begin, end);
}

int train_rank_shards_slowest(const train_rank_shards *r)
{
  int slowest = 0;
  for (int i = 1; i < ranks_size(r->sum.job); i++)
    if (r->pace[i] < r->pace[slowest])
      slowest = i;
  return slowest;
}

/* All ranks hear who is to stop, and how long each took; so they deal the next shards alike. Gives
 * the time of the slowest, and how much of it a rank has waited on average. */
static cdl_status meet(train_rank_shards *r, bool stop, const char *what, double *longest,
                       double *waited)
{
  enum { STEPS_TO_MEASURE = 8 };
  const int size = ranks_size(r->sum.job);
  remark mine, *all = r->meeting;
  memset(&mine, 0, sizeof mine);
  mine.spent = base_process_seconds() - r->began;
  mine.stop = stop;
  CDL_TRY(ranks_gather(r->sum.job, &mine, sizeof mine, all, what));
  r->steps++;
  double sum = *longest = 0;
  for (int i = 0; i < size; i++) {
    const int shards = r->sum.first[i + 1] - r->sum.first[i];
    const double pace = all[i].spent > 0 ? shards / all[i].spent : 0;
    r->stop = r->stop || all[i].stop != 0;
    r->pace[i] = r->steps == 1 ? pace : 0.9 * r->pace[i] + 0.1 * pace;
    *longest = fmax(*longest, all[i].spent);
    sum += all[i].spent;
  }
  *waited = *longest - sum / size;
  r->measured = r->steps >= STEPS_TO_MEASURE;
  return CDL_STATUS_OK;
}

/* Waits for this rank's sums, so that the pace is that of the work, and adds those of all ranks. */
static cdl_status sum_on_host(train_rank_shards *r, train_shards *shards, cdl_queue *queue,
                              bool stop, const char *what)
{
  const size_t columns = (size_t)shards->rows.size[3];
  int begin, end;
  ranks_sum_shards(&r->sum, &begin, &end);
  cdl_queue_download(queue, r->rows, cdl_tensor_rows(shards->rows, begin, end - begin),
                     (size_t)(end - begin) * columns * sizeof(float));
  CDL_TRY(cdl_queue_sync(queue));
  for (int s = begin; s < end; s++)
    CDL_TRY(ranks_sum_add(&r->sum, s, r->rows + (size_t)(s - begin) * columns));
  double longest, waited;
  CDL_TRY(meet(r, stop, what, &longest, &waited));
  const double met = base_process_seconds();
  CDL_TRY(ranks_sum_finish(&r->sum, r->rows, what));
  const double exchanging = base_process_seconds() - met;
  r->waiting = (waited + exchanging) / (longest + exchanging);
  cdl_queue_upload(queue, cdl_tensor_rows(shards->rows, 0, 1), r->rows, columns * sizeof(float));
  shards->summed = true;
  return cdl_queue_status(queue);
}

cdl_status train_rank_shards_sum(train_rank_shards *r, train_shards *shards, cdl_queue *queue,
                                 bool stop, int64_t number)
{
  char what[40];
  double longest, waited;
  snprintf(what, sizeof what, "step %lld", (long long)number);
  /* The host enqueues and goes on: what the device waits is unknown to it. */
  return shards->group != NULL ? meet(r, stop, what, &longest, &waited)
                               : sum_on_host(r, shards, queue, stop, what);
}
