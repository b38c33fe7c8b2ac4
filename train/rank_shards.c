#include "train/rank_shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"

/* What a rank says of a step. */
typedef struct {
  double pace; /* shards in a second */
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
  r->numbers = (size_t)cdl_tensor_elements(shards->loaded.gradients) + 1;
  CDL_TRY(ranks_sum_create(&r->sum, job, shards->count, r->numbers));
  r->values = calloc(r->numbers, sizeof *r->values);
  r->pace = calloc(size, sizeof *r->pace);
  r->meeting = calloc(size, sizeof(remark));
  return r->values != NULL && r->pace != NULL && r->meeting != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the sums of %d shards", shards->count);
}

void train_rank_shards_release(train_rank_shards *r)
{
  ranks_sum_release(&r->sum);
  free(r->values);
  free(r->pace);
  free(r->meeting);
  *r = (train_rank_shards){0};
}

void train_rank_shards_begin(train_rank_shards *r, train_shards *shards)
{
  int begin, end;
  r->began = base_process_seconds();
  ranks_sum_begin(&r->sum, r->measured ? r->pace : NULL);
  ranks_sum_shards(&r->sum, &begin, &end);
  train_shards_limit(shards, begin, end);
}

/* All ranks hear who is to stop, and how fast each was; so they deal the next shards alike. */
static cdl_status meet(train_rank_shards *r, bool stop, const char *what)
{
  enum { STEPS_TO_MEASURE = 8 };
  int begin, end;
  ranks_sum_shards(&r->sum, &begin, &end);
  const double spent = base_process_seconds() - r->began;
  remark mine, *all = r->meeting;
  memset(&mine, 0, sizeof mine);
  mine.pace = spent > 0 ? (end - begin) / spent : 0;
  mine.stop = stop;
  CDL_TRY(ranks_gather(r->sum.job, &mine, sizeof mine, all, what));
  r->steps++;
  for (int i = 0; i < ranks_size(r->sum.job); i++) {
    r->stop = r->stop || all[i].stop != 0;
    r->pace[i] = r->steps == 1 ? all[i].pace : 0.9 * r->pace[i] + 0.1 * all[i].pace;
  }
  r->measured = r->steps >= STEPS_TO_MEASURE;
  return CDL_STATUS_OK;
}

cdl_status train_rank_shards_sum(train_rank_shards *r, train_shards *shards, cdl_queue *queue,
                                 bool stop, int64_t number)
{
  const size_t bytes = (r->numbers - 1) * sizeof(float);
  float *loss = r->values + r->numbers - 1;
  int begin, end;
  char what[40];
  snprintf(what, sizeof what, "step %lld", (long long)number);
  ranks_sum_shards(&r->sum, &begin, &end);
  for (int s = begin; s < end; s++) {
    cdl_queue_download(queue, r->values, cdl_tensor_rows(shards->loaded.sums, s, 1), bytes);
    cdl_queue_download(queue, loss, cdl_tensor_rows(shards->losses, s, 1), sizeof *loss);
    CDL_TRY(cdl_queue_sync(queue));
    CDL_TRY(ranks_sum_add(&r->sum, s, r->values));
  }
  CDL_TRY(meet(r, stop, what));
  CDL_TRY(ranks_sum_finish(&r->sum, r->values, what));
  cdl_queue_upload(queue, cdl_tensor_rows(shards->loaded.sums, 0, 1), r->values, bytes);
  cdl_queue_upload(queue, cdl_tensor_rows(shards->losses, 0, 1), loss, sizeof *loss);
  shards->summed = true;
  return cdl_queue_status(queue);
}
