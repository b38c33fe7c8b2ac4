#include "train/data/token_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The data set is cut into pieces of a fixed number of examples. Threads take pieces in turn,
 * encode them independently and append them in order. So the tokens are the same for any number of
 * threads, and only a few pieces are in memory at a time. */
enum { PIECE_EXAMPLES = 512, THREADS_MAX = 256 };

typedef struct {
  int32_t *ids;      /* [capacity] */
  uint8_t *type_ids; /* [capacity] */
  size_t tokens, capacity;
} token_buffer;

/* A thread's working memory. */
typedef struct {
  token_buffer buffer;
  size_t lengths[PIECE_EXAMPLES];
  size_t examples, truncated;
  cdl_encoding encoding;
} piece;

typedef struct {
  const cdl_dataset *dataset;
  const cdl_tokenizer *tokenizer;
  size_t max_length, from, examples, piece_count; /* `from`: the first example */

  pthread_mutex_t lock; /* protects everything below */
  pthread_cond_t appended;
  size_t next, next_to_append; /* pieces */
  token_buffer joined;
  data_token_store *store;
  size_t failed_piece; /* the first piece that failed */
  cdl_status status;
  char message[1024];
} session;

static cdl_status grow(token_buffer *buffer, size_t more)
{
  if (more <= buffer->capacity - buffer->tokens)
    return CDL_STATUS_OK;
  size_t capacity = buffer->capacity == 0 ? 64 * PIECE_EXAMPLES : buffer->capacity;
  while (capacity - buffer->tokens < more) {
    if (capacity > SIZE_MAX / (2 * sizeof *buffer->ids))
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory for tokens");
    capacity *= 2;
  }
  int32_t *ids = realloc(buffer->ids, capacity * sizeof *ids);
  if (ids != NULL)
    buffer->ids = ids;
  uint8_t *type_ids = realloc(buffer->type_ids, capacity);
  if (type_ids != NULL)
    buffer->type_ids = type_ids;
  if (ids == NULL || type_ids == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu tokens", capacity);
  buffer->capacity = capacity;
  return CDL_STATUS_OK;
}

static void release_buffer(token_buffer *buffer)
{
  free(buffer->ids);
  free(buffer->type_ids);
}

static cdl_status add_encoding(token_buffer *buffer, const cdl_encoding *encoding)
{
  CDL_TRY(grow(buffer, encoding->count));
  if (encoding->count > 0)
    memcpy(buffer->ids + buffer->tokens, encoding->ids, encoding->count * sizeof *buffer->ids);
  for (size_t i = 0; i < encoding->count; i++) {
    const int32_t type = encoding->type_ids[i];
    if (type < 0 || type > UINT8_MAX)
      return cdl_fail(CDL_STATUS_UNSUPPORTED, "token type %d; at most %d is supported", type,
                      UINT8_MAX);
    buffer->type_ids[buffer->tokens + i] = (uint8_t)type;
  }
  buffer->tokens += encoding->count;
  return CDL_STATUS_OK;
}

static const char *path_of(const cdl_dataset *dataset, size_t index)
{
  size_t part = cdl_dataset_part_count(dataset) - 1;
  while (part > 0 && cdl_dataset_get_part(dataset, part).first > index)
    part--;
  return cdl_dataset_get_part(dataset, part).path;
}

static cdl_status make_piece(const session *j, size_t number, piece *p)
{
  const size_t first = number * PIECE_EXAMPLES, rest = j->examples - first;
  p->examples = rest < PIECE_EXAMPLES ? rest : PIECE_EXAMPLES;
  p->truncated = p->buffer.tokens = 0;
  for (size_t i = 0; i < p->examples; i++) {
    const cdl_example example = cdl_dataset_get(j->dataset, j->from + first + i);
    cdl_status status =
        cdl_tokenizer_encode(j->tokenizer, example.text[0], example.bytes[0], example.text[1],
                             example.bytes[1], j->max_length, &p->encoding);
    if (status == CDL_STATUS_OK)
      status = add_encoding(&p->buffer, &p->encoding);
    if (status != CDL_STATUS_OK)
      return cdl_context(status, "%s:%u", path_of(j->dataset, j->from + first + i), example.line);
    p->lengths[i] = p->encoding.count;
    p->truncated += p->encoding.truncated;
  }
  return CDL_STATUS_OK;
}

static cdl_status append_piece(session *j, size_t number, const piece *p)
{
  token_buffer *joined = &j->joined;
  CDL_TRY(grow(joined, p->buffer.tokens));
  if (p->buffer.tokens > 0) {
    memcpy(joined->ids + joined->tokens, p->buffer.ids, p->buffer.tokens * sizeof *joined->ids);
    memcpy(joined->type_ids + joined->tokens, p->buffer.type_ids, p->buffer.tokens);
  }
  joined->tokens += p->buffer.tokens;

  data_token_store *store = j->store;
  uint64_t *offsets = store->offsets + number * PIECE_EXAMPLES;
  for (size_t i = 0; i < p->examples; i++) {
    offsets[i + 1] = offsets[i] + p->lengths[i];
    store->longest = p->lengths[i] > store->longest ? p->lengths[i] : store->longest;
  }
  store->truncated += p->truncated;
  return CDL_STATUS_OK;
}

/* Pieces are taken in ascending order, so all pieces before a failed one are tried, and the first
 * failure is the same in every run. A message belongs to its thread, so it is copied here. */
static void record_failure(session *j, size_t number, cdl_status status)
{
  if (j->status != CDL_STATUS_OK && number > j->failed_piece)
    return;
  j->failed_piece = number;
  j->status = status;
  snprintf(j->message, sizeof j->message, "%s", cdl_error_message());
}

static void make_pieces(session *j, piece *p)
{
  pthread_mutex_lock(&j->lock);
  while (j->status == CDL_STATUS_OK && j->next < j->piece_count) {
    const size_t number = j->next++;
    pthread_mutex_unlock(&j->lock);
    cdl_status status = make_piece(j, number, p);
    pthread_mutex_lock(&j->lock);
    while (status == CDL_STATUS_OK && j->status == CDL_STATUS_OK && j->next_to_append != number)
      pthread_cond_wait(&j->appended, &j->lock);
    if (status == CDL_STATUS_OK && j->status == CDL_STATUS_OK)
      status = append_piece(j, number, p);
    if (status != CDL_STATUS_OK)
      record_failure(j, number, status);
    j->next_to_append++;
    pthread_cond_broadcast(&j->appended);
  }
  pthread_mutex_unlock(&j->lock);
}

static void *work(void *argument)
{
  session *j = argument;
  piece *p = calloc(1, sizeof *p);
  if (p == NULL) {
    pthread_mutex_lock(&j->lock);
    record_failure(j, 0, cdl_fail(CDL_STATUS_MEMORY, "out of memory for tokens"));
    pthread_cond_broadcast(&j->appended);
    pthread_mutex_unlock(&j->lock);
    return NULL;
  }
  make_pieces(j, p);
  cdl_encoding_release(&p->encoding);
  release_buffer(&p->buffer);
  free(p);
  return NULL;
}

/* The calling thread works too; threads that cannot be started are not needed. */
static void run_threads(session *j, unsigned threads)
{
  pthread_t helpers[THREADS_MAX];
  unsigned started = 0;
  while (started + 1 < threads && started < THREADS_MAX && started + 1 < j->piece_count &&
         pthread_create(&helpers[started], NULL, work, j) == 0)
    started++;
  work(j);
  for (unsigned i = 0; i < started; i++)
    pthread_join(helpers[i], NULL);
}

/* Hands over the joined tokens, without spare capacity. */
static void finish(session *j)
{
  const size_t kept = j->joined.tokens + 1;
  int32_t *ids = realloc(j->joined.ids, kept * sizeof *ids);
  uint8_t *type_ids = realloc(j->joined.type_ids, kept);
  j->store->ids = ids != NULL ? ids : j->joined.ids;
  j->store->type_ids = type_ids != NULL ? type_ids : j->joined.type_ids;
  j->store->count = j->examples;
}

cdl_status data_token_store_build(data_token_store *store, const cdl_dataset *dataset, size_t first,
                                  size_t count, const cdl_tokenizer *tokenizer, size_t max_length,
                                  unsigned threads)
{
  *store = (data_token_store){0};
  session j = {.dataset = dataset,
               .tokenizer = tokenizer,
               .max_length = max_length,
               .from = first,
               .examples = count,
               .store = store};
  j.piece_count = (j.examples + PIECE_EXAMPLES - 1) / PIECE_EXAMPLES;
  store->offsets = calloc(j.examples + 1, sizeof *store->offsets);
  if (store->offsets == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the tokens of %zu examples", j.examples);

  pthread_mutex_init(&j.lock, NULL);
  pthread_cond_init(&j.appended, NULL);
  run_threads(&j, threads);
  pthread_mutex_destroy(&j.lock);
  pthread_cond_destroy(&j.appended);
  if (j.status != CDL_STATUS_OK) {
    release_buffer(&j.joined);
    data_token_store_release(store);
    return cdl_fail(j.status, "%s", j.message);
  }
  finish(&j);
  return CDL_STATUS_OK;
}

void data_token_store_release(data_token_store *store)
{
  if (store->shared.at == NULL) {
    free(store->ids);
    free(store->type_ids);
    free(store->offsets);
  }
  ranks_host_memory_close(&store->shared);
  *store = (data_token_store){0};
}
