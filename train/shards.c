#include "train/shards.h"

#include <stdlib.h>
#include <string.h>

enum { BY_DEFAULT = 8, COLUMNS_MULTIPLE = 64 };

/* For shards that pass together. */
static cdl_status count_on_cpu(const train_settings *settings, int *count)
{
  const int batches = (int)settings->accumulate;
  *count = (int)settings->shards;
  if (*count == 0) {
    const bool wanted = batches <= ENCODER_SHARDS_MAX / 2;
    *count = wanted ? (BY_DEFAULT + batches - 1) / batches * batches : 1;
    return CDL_STATUS_OK;
  }
  if (*count > 1 && *count % batches != 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--shards %d: no multiple of --accumulate %d, and a batch has whole shards",
                    *count, batches);
  return CDL_STATUS_OK;
}

static cdl_status create_words(train_shards *shards, const train_session *session)
{
  const int64_t room = shards->words_room;
  cdl_queue *queue = session->model.queue;
  shards->place = malloc((size_t)shards->vocabulary * sizeof *shards->place);
  shards->words = malloc((size_t)(room + 1) * sizeof *shards->words);
  if (shards->place == NULL || shards->words == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the words of a step");
  CDL_TRY(cdl_buffer_create(session->model.backend, (size_t)(2 * room + 1) * sizeof(int32_t),
                            &shards->word_buffer));
  shards->count_up = cdl_tensor_1d(shards->word_buffer, CDL_DTYPE_I32, 0, room + 1);
  shards->word_rows = cdl_tensor_1d(shards->word_buffer, CDL_DTYPE_I32, room + 1, room);
  for (int32_t i = 0; i <= room; i++)
    shards->words[i] = i;
  cdl_queue_upload(queue, shards->count_up, shards->words,
                   (size_t)(room + 1) * sizeof *shards->words);
  shards->loaded.word_place = shards->place;
  return cdl_queue_status(queue);
}

cdl_status train_shards_create(train_shards *shards, const train_session *session,
                               const train_settings *settings, size_t tokens)
{
  const inference_model *model = &session->model;
  const bool on_cpu = strcmp(cdl_backend_name(model->backend), "cpu") == 0;
  *shards =
      (train_shards){.batches = (int)settings->accumulate, .most = (size_t)settings->batch_size};
  if (on_cpu)
    CDL_TRY(count_on_cpu(settings, &shards->count));
  else
    shards->count = settings->shards > 0 ? (int)settings->shards : ranks_size(model->job);
  shards->alone = !on_cpu || shards->count == 1;
  shards->group = session->group;
  if (shards->count == 1)
    return CDL_STATUS_OK;
  const cdl_tensor gradients = adapter_pass_gradients(model->adapter);
  const cdl_tensor words = shards->alone ? (cdl_tensor){0} : encoder_word_gradient(model->encoder);
  int64_t elements = cdl_tensor_elements(gradients), apart = COLUMNS_MULTIPLE;
  if (cdl_tensor_present(words)) {
    const int64_t most = (int64_t)tokens * shards->batches;
    shards->vocabulary = words.size[2];
    shards->words_room = most < shards->vocabulary ? most : shards->vocabulary;
  }
  shards->loaded.gradients = gradients;
  if (!shards->alone)
    elements = encoder_lay_out_shards(model->encoder, gradients, shards->words_room,
                                      &shards->loaded, &apart);
  const int64_t count = shards->count, columns = (elements + apart) / apart * apart;
  CDL_TRY(cdl_buffer_create(model->backend, (size_t)(count * columns) * sizeof(float),
                            &shards->buffer));
  shards->rows = cdl_tensor_2d(shards->buffer, CDL_DTYPE_F32, 0, count, columns);
  shards->loaded.sums = cdl_tensor_columns(shards->rows, 0, elements);
  shards->losses = cdl_tensor_columns(shards->rows, elements, 1);
  return cdl_tensor_present(words) ? create_words(shards, session) : CDL_STATUS_OK;
}

void train_shards_release(train_shards *shards)
{
  cdl_buffer_destroy(shards->buffer);
  cdl_buffer_destroy(shards->word_buffer);
  free(shards->place);
  free(shards->words);
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
  shards->begin = shards->done = 0;
  shards->at = 0;
  shards->end = shards->count;
  shards->summed = false;
  if (shards->place != NULL)
    memset(shards->place, 0xff, (size_t)shards->vocabulary * sizeof *shards->place); /* -1 */
}

void train_shards_note(train_shards *shards, const int32_t *ids, size_t count)
{
  for (size_t i = 0; shards->place != NULL && i < count; i++)
    if (ids[i] >= 0 && ids[i] < shards->vocabulary) /* a load refuses others */
      shards->place[ids[i]] = 0;
}

void train_shards_place(train_shards *shards, cdl_queue *queue)
{
  if (shards->place == NULL)
    return;
  shards->word_count = 0;
  for (int32_t id = 0; id < shards->vocabulary; id++)
    if (shards->place[id] == 0) {
      shards->words[shards->word_count] = id;
      shards->place[id] = shards->word_count++;
    }
  cdl_queue_upload(queue, cdl_tensor_columns(shards->word_rows, 0, shards->word_count),
                   shards->words, (size_t)shards->word_count * sizeof *shards->words);
}

void train_shards_limit(train_shards *shards, int begin, int end)
{
  shards->begin = shards->done = begin;
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
  /* A recorded step clears all rows: its shards may be others when it is replayed. */
  if (shards->count > 1)
    cdl_fill(queue,
             CDL_ARGS(fill, .out = shards->alone ? shards->rows
                                                 : cdl_tensor_rows(shards->rows, shards->begin,
                                                                   shards->end - shards->begin)));
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

/* out += x */
static void add(cdl_queue *q, cdl_tensor out, cdl_tensor x)
{
  cdl_axpby(q, CDL_ARGS(axpby, .out = out, .x = x, .alpha = 1, .beta = 1));
}

/* The gradients += the sum of all shards, which is laid out as a shard's sums. */
static void add_gradients(const train_shards *shards, cdl_queue *q)
{
  const encoder_shards *l = &shards->loaded;
  const cdl_tensor sum = cdl_tensor_rows(l->sums, 0, 1);
  const int64_t all = cdl_tensor_elements(l->gradients);
  if (!cdl_tensor_present(l->words)) {
    add(q, l->gradients, cdl_tensor_columns(sum, 0, all));
    return;
  }
  if (l->cut > 0)
    add(q, cdl_tensor_columns(l->gradients, 0, l->cut), cdl_tensor_columns(sum, 0, l->cut));
  if (l->cut_end < all)
    add(q, cdl_tensor_columns(l->gradients, l->cut_end, all - l->cut_end),
        cdl_tensor_columns(sum, l->cut, all - l->cut_end));
  const int32_t words = shards->word_count;
  cdl_scatter_add_rows(q,
                       CDL_ARGS(scatter_add_rows, .table = l->words,
                                .x = cdl_tensor_2d(sum.buffer, sum.dtype, sum.offset + l->words_at,
                                                   words, l->words.size[3]),
                                .order = cdl_tensor_columns(shards->count_up, 0, words),
                                .segment = cdl_tensor_columns(shards->count_up, 0, words + 1),
                                .target = cdl_tensor_columns(shards->word_rows, 0, words)));
}

void train_shards_add(const train_shards *shards, cdl_queue *queue, cdl_tensor loss)
{
  if (shards->count == 1)
    return;
  if (shards->group != NULL)
    cdl_queue_gather(queue, shards->group, shards->rows,
                     cdl_tensor_rows(shards->rows, shards->begin, shards->end - shards->begin));
  if (!shards->summed) {
    add_rows(queue, shards->loaded.sums);
    add_rows(queue, shards->losses);
  }
  add_gradients(shards, queue);
  add(queue, loss, cdl_tensor_rows(shards->losses, 0, 1));
}
