#include "train/shards.h"

#include <string.h>

enum { BY_DEFAULT = 8, COLUMNS_MULTIPLE = 64 };

/* For shards that pass together. */
static cdl_status count_on_cpu(const train_settings *settings, bool possible, int *count)
{
  const int batches = (int)settings->accumulate;
  *count = (int)settings->shards;
  if (*count == 0) {
    const bool wanted = possible && batches <= ENCODER_SHARDS_MAX / 2;
    *count = wanted ? (BY_DEFAULT + batches - 1) / batches * batches : 1;
    return CDL_STATUS_OK;
  }
  if (*count > 1 && *count % batches != 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--shards %d: no multiple of --accumulate %d, and a batch has whole shards",
                    *count, batches);
  if (*count > 1 && !possible)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--shards %d: the gradients of embeddings and of attention's bias are not "
                    "summed by shard; a run that trains them has one",
                    *count);
  return CDL_STATUS_OK;
}

cdl_status train_shards_create(train_shards *shards, const train_session *session,
                               const train_settings *settings)
{
  const inference_model *model = &session->model;
  const bool on_cpu = strcmp(cdl_backend_name(model->backend), "cpu") == 0;
  *shards =
      (train_shards){.batches = (int)settings->accumulate, .most = (size_t)settings->batch_size};
  if (on_cpu)
    CDL_TRY(count_on_cpu(settings, encoder_sums_by_shard(model->encoder), &shards->count));
  else
    shards->count = settings->shards > 0 ? (int)settings->shards : ranks_size(model->job);
  shards->alone = !on_cpu || shards->count == 1;
  if (shards->count == 1)
    return CDL_STATUS_OK;
  const cdl_tensor gradients = adapter_pass_gradients(model->adapter);
  const int64_t elements = cdl_tensor_elements(gradients), count = shards->count,
                columns = (elements + COLUMNS_MULTIPLE) / COLUMNS_MULTIPLE * COLUMNS_MULTIPLE;
  CDL_TRY(cdl_buffer_create(model->backend, (size_t)(count * columns) * sizeof(float),
                            &shards->buffer));
  shards->rows = cdl_tensor_2d(shards->buffer, CDL_DTYPE_F32, 0, count, columns);
  shards->loaded.gradients = gradients;
  shards->loaded.sums = cdl_tensor_columns(shards->rows, 0, elements);
  shards->losses = cdl_tensor_columns(shards->rows, elements, 1);
  return CDL_STATUS_OK;
}

void train_shards_release(train_shards *shards)
{
  cdl_buffer_destroy(shards->buffer);
  *shards = (train_shards){0};
}

/* Returns the first example of a shard, counted in the step. */
static size_t first_of(const train_shards *shards, int shard)
{
  return shards->examples * (size_t)shard / (size_t)shards->count;
}

int train_shards_passes(const train_shards *shards, size_t examples, int begin, int end)
{
  const train_shards step = {.count = shards->count, .examples = examples};
  size_t passes = 0;
  for (int s = begin; s < end; s++)
    passes += (first_of(&step, s + 1) - first_of(&step, s) + shards->most - 1) / shards->most;
  return (int)passes;
}

void train_shards_begin(train_shards *shards, size_t examples)
{
  shards->examples = examples;
  shards->done = 0;
  shards->at = 0;
  shards->end = shards->count;
  shards->summed = false;
}

void train_shards_limit(train_shards *shards, int begin, int end)
{
  shards->done = begin;
  shards->at = first_of(shards, begin);
  shards->end = end;
}

void train_shards_rows(const train_shards *shards, size_t *first, size_t *end)
{
  *first = first_of(shards, shards->done);
  *end = first_of(shards, shards->end);
}

/* What is left of the shard under way, as far as a batch holds it. */
static size_t next_alone(train_shards *shards)
{
  while (first_of(shards, shards->done + 1) == shards->at)
    shards->done++;
  const size_t left = first_of(shards, shards->done + 1) - shards->at;
  const size_t count = left < shards->most ? left : shards->most;
  shards->at += count;
  return count;
}

size_t train_shards_next(train_shards *shards)
{
  if (shards->alone)
    return next_alone(shards);
  const int most = shards->count / shards->batches;
  int count;
  size_t first;
  do {
    const int left = shards->end - shards->done;
    count = left < most ? left : most;
    first = first_of(shards, shards->done);
    shards->loaded.first = shards->done;
    shards->done += count;
  } while (first_of(shards, shards->done) == first);
  shards->loaded.count = count;
  for (int i = 0; i <= count; i++)
    shards->loaded.sequence[i] = (int32_t)(first_of(shards, shards->loaded.first + i) - first);
  return (size_t)shards->loaded.sequence[count];
}

void train_shards_clear(const train_shards *shards, cdl_queue *queue)
{
  if (shards->count > 1)
    cdl_fill(queue, CDL_ARGS(fill, .out = shards->rows));
}

void train_shards_keep(const train_shards *shards, cdl_queue *queue, cdl_tensor loss)
{
  if (!shards->alone || shards->count == 1 || shards->at != first_of(shards, shards->done + 1))
    return;
  const cdl_tensor gradients = shards->loaded.gradients;
  cdl_copy(queue, CDL_ARGS(copy, .out = cdl_tensor_rows(shards->loaded.sums, shards->done, 1),
                           .x = gradients));
  cdl_copy(queue,
           CDL_ARGS(copy, .out = cdl_tensor_rows(shards->losses, shards->done, 1), .x = loss));
  cdl_fill(queue, CDL_ARGS(fill, .out = gradients));
  cdl_fill(queue, CDL_ARGS(fill, .out = loss));
}

/* Adds neighbours, then neighbouring sums, and so on, into the first row. */
static void add_rows(cdl_queue *q, cdl_tensor rows)
{
  const int64_t count = rows.size[2], stride = rows.stride[2];
  for (int64_t apart = 1; apart < count; apart *= 2) {
    cdl_tensor to = rows;
    to.size[2] = (count - apart - 1) / (2 * apart) + 1;
    to.stride[2] = 2 * apart * stride;
    cdl_tensor from = to;
    from.offset += apart * stride;
    cdl_axpby(q, CDL_ARGS(axpby, .out = to, .x = from, .alpha = 1, .beta = 1));
  }
}

static void add_sum(cdl_queue *q, cdl_tensor rows, bool summed, cdl_tensor out)
{
  if (!summed)
    add_rows(q, rows);
  cdl_axpby(q,
            CDL_ARGS(axpby, .out = out, .x = cdl_tensor_rows(rows, 0, 1), .alpha = 1, .beta = 1));
}

void train_shards_add(const train_shards *shards, cdl_queue *queue, cdl_tensor loss)
{
  if (shards->count == 1)
    return;
  add_sum(queue, shards->loaded.sums, shards->summed, shards->loaded.gradients);
  add_sum(queue, shards->losses, shards->summed, loss);
}
