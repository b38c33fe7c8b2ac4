#include "model/frozen/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bf16.h"
#include "base/cache_path.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/quota.h"
#include "model/frozen/store.h"

enum { LEVEL_NAME = sizeof "0123456789abcdef.states" };

/* The states at one block, of one type. */
typedef struct {
  int block;
  cdl_dtype dtype; /* of the passes */
  frozen_store *store;
  char name[LEVEL_NAME]; /* of the file */
} level;

struct frozen_cache {
  frozen_cache_settings settings;
  char *folder; /* of the files; NULL: in memory */
  uint64_t limit, room;
  bool full; /* no file can be removed to make room */
  level *levels;
  size_t level_count;
  frozen_cache_counts counts;

  /* Examples of a batch whose states are not there, as a batch of their own. */
  encoder_host_batch missing;
  size_t *places; /* [examples] their places in the batch */
  void *computed; /* their states */
  size_t computed_bytes;
  cdl_bf16 *rounded; /* states of one example in BF16 */
  size_t rounded_count;
};

/* ---- Making ---- */

static cdl_status find_folder(frozen_cache *c)
{
  char usual[PATH_MAX];
  const char *folder = c->settings.folder;
  if (folder == NULL && base_cache_path(usual, "states"))
    folder = usual;
  if (folder == NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--cache-frozen disk: there is no folder for the states; give --cache-dir");
  c->folder = strdup(folder);
  if (c->folder == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", folder);
  return base_folder_make(folder);
}

/* ---- Room ---- */

static bool is_in_use(const frozen_cache *c, const char *name)
{
  for (size_t i = 0; i < c->level_count; i++)
    if (strcmp(c->levels[i].name, name) == 0)
      return true;
  return false;
}

/* A file of states in the folder. */
typedef struct {
  char name[LEVEL_NAME];
  uint64_t bytes;
  struct timespec used;
} listed_file;

static bool is_older(const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Returns the bytes of all files of states in the folder. *oldest: the one that was not used for
 * longest, of those that this cache does not use; without a name if there is none. */
static uint64_t look_into_folder(const frozen_cache *c, listed_file *oldest)
{
  uint64_t bytes = 0;
  *oldest = (listed_file){.name = ""};
  DIR *stream = opendir(c->folder);
  for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
    struct stat facts;
    if (strlen(entry->d_name) != LEVEL_NAME - 1 || strstr(entry->d_name, ".states") == NULL ||
        fstatat(dirfd(stream), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(facts.st_mode))
      continue;
    bytes += (uint64_t)facts.st_size;
    if (is_in_use(c, entry->d_name) ||
        (oldest->name[0] != '\0' && !is_older(&facts.st_mtim, &oldest->used)))
      continue;
    memcpy(oldest->name, entry->d_name, sizeof oldest->name);
    oldest->bytes = (uint64_t)facts.st_size;
    oldest->used = facts.st_mtim;
  }
  if (stream != NULL)
    closedir(stream);
  return bytes;
}

/* Removes files of other states, which processes that use them keep until they end. */
static bool make_room(void *user, uint64_t bytes)
{
  frozen_cache *c = user;
  while (c->room < bytes && !c->full) {
    listed_file oldest;
    (void)look_into_folder(c, &oldest);
    char *path = oldest.name[0] != '\0' ? base_path_join(c->folder, oldest.name) : NULL;
    c->full = path == NULL || unlink(path) != 0;
    c->room += c->full ? 0 : oldest.bytes;
    free(path);
  }
  return c->room >= bytes;
}

static uint64_t free_bytes(const frozen_cache *c)
{
  struct statvfs disk;
  if (c->folder == NULL) {
    const base_memory memory = base_usable_memory();
    return memory.total_bytes > 0 ? memory.free_bytes : UINT64_MAX;
  }
  return statvfs(c->folder, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX;
}

cdl_status frozen_cache_create(const frozen_cache_settings *settings, frozen_cache **cache)
{
  frozen_cache *c = calloc(1, sizeof *c);
  *cache = NULL;
  if (c == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a cache of states");
  c->settings = *settings;
  const cdl_status status = settings->on_disk ? find_folder(c) : CDL_STATUS_OK;
  if (status != CDL_STATUS_OK) {
    frozen_cache_destroy(c);
    return status;
  }
  c->settings.folder = NULL; /* the caller's */
  listed_file oldest;
  const uint64_t taken = c->folder != NULL ? look_into_folder(c, &oldest) : 0;
  c->limit = settings->limit > 0 ? settings->limit : taken + free_bytes(c) / 2;
  c->room = c->limit > taken ? c->limit - taken : 0;
  *cache = c;
  return CDL_STATUS_OK;
}

void frozen_cache_destroy(frozen_cache *c)
{
  if (c == NULL)
    return;
  for (size_t i = 0; i < c->level_count; i++)
    frozen_store_close(c->levels[i].store);
  encoder_host_batch_free(&c->missing);
  free(c->levels);
  free(c->places);
  free(c->computed);
  free(c->rounded);
  free(c->folder);
  free(c);
}

uint64_t frozen_cache_limit(const frozen_cache *c)
{
  return c->limit;
}

frozen_cache_counts frozen_cache_count(const frozen_cache *c)
{
  return c->counts;
}

bool frozen_states_are_exact(const cdl_backend *backend)
{
  return strcmp(cdl_backend_name(backend), "cpu") == 0;
}

/* ---- Levels ---- */

/* Returns the type in which states are kept. */
static cdl_dtype kept_type(const frozen_cache *c, cdl_dtype dtype)
{
  return c->settings.narrow ? CDL_DTYPE_BF16 : dtype;
}

static bool is_of_firsts(const model_encoder *e, int block)
{
  return block == encoder_config(e)->layers;
}

uint64_t frozen_cache_bytes(const frozen_cache *c, const model_encoder *e, int block,
                            uint64_t tokens, uint64_t examples)
{
  const uint64_t row = (uint64_t)encoder_config(e)->hidden_size *
                       cdl_dtype_bytes(kept_type(c, encoder_activation_dtype(e)));
  return row * (is_of_firsts(e, block) ? examples : tokens) + 2 * sizeof(int32_t) * tokens;
}

/* Hashes the weights that the states depend on. The fingerprint of a base sees samples of them
 * alone, which is not enough for states of another process. */
static cdl_status hash_weights(model_encoder *e, cdl_queue *queue, uint64_t *hash)
{
  enum { STAGED = 1 << 18 };
  float *staging = malloc(STAGED * sizeof *staging);
  if (staging == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a hash of the model");
  cdl_status status = CDL_STATUS_OK;
  *hash = BASE_FNV_START;
  for (size_t i = 0; i < encoder_parameter_count(e); i++) {
    const encoder_parameter *p = &encoder_parameters(e)[i];
    const int64_t elements = encoder_is_below(e, p) ? cdl_tensor_elements(p->value) : 0;
    for (int64_t at = 0; status == CDL_STATUS_OK && at < elements; at += STAGED) {
      const int64_t count = elements - at < STAGED ? elements - at : STAGED;
      const cdl_tensor part =
          cdl_tensor_1d(p->value.buffer, p->value.dtype, p->value.offset + at, count);
      cdl_queue_download(queue, staging, part, (size_t)count * sizeof *staging);
      status = cdl_queue_sync(queue);
      *hash = base_hash_words(*hash, staging, (size_t)count * sizeof *staging);
    }
  }
  free(staging);
  return status;
}

/* Writes all that the states depend on besides the tokens. */
static void identify(const frozen_cache *c, const model_encoder *e, const cdl_backend *backend,
                     uint64_t weights, const level *l, char *text, size_t bytes)
{
  const model_config *m = encoder_config(e);
  snprintf(text, bytes,
           "states before block %d of %" PRId64 ", %s rows, %s passes in %s; weights %016" PRIx64
           ", %s, hidden %" PRId64 ", heads %" PRId64 ", intermediate %" PRId64
           ", activation %d, epsilon %a, pad %" PRId64 "; %s",
           l->block, m->layers, cdl_dtype_name(kept_type(c, l->dtype)), cdl_dtype_name(l->dtype),
           cdl_precision_name(c->settings.precision), weights, model_family_name(m->family),
           m->hidden_size, m->heads, m->intermediate_size, (int)m->activation,
           m->layer_norm_epsilon, m->pad_id, cdl_backend_kernels(backend));
}

static cdl_status open_level(frozen_cache *c, model_encoder *e, cdl_queue *queue, level *l)
{
  char identity[1024] = "", *path = NULL;
  uint64_t weights = 0;
  if (c->folder != NULL) {
    CDL_TRY(hash_weights(e, queue, &weights));
    identify(c, e, cdl_queue_backend(queue), weights, l, identity, sizeof identity);
  }
  snprintf(l->name, sizeof l->name, "%016" PRIx64 ".states",
           base_hash_words(BASE_FNV_START, identity, strlen(identity)));
  if (c->folder != NULL && (path = base_path_join(c->folder, l->name)) == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", c->folder);
  const frozen_store_settings settings = {.identity = identity,
                                          .path = path,
                                          .row_bytes = (size_t)encoder_config(e)->hidden_size *
                                                       cdl_dtype_bytes(kept_type(c, l->dtype)),
                                          .firsts = is_of_firsts(e, l->block),
                                          .room = &c->room,
                                          .make_room = c->folder != NULL ? make_room : NULL,
                                          .user = c};
  const cdl_status status = frozen_store_open(&settings, &l->store);
  free(path);
  return status;
}

/* Finds the level where the encoder's passes begin, or opens it. */
static cdl_status find_level(frozen_cache *c, model_encoder *e, cdl_queue *queue,
                             const level **found)
{
  level wanted = {.block = encoder_first_block(e), .dtype = encoder_activation_dtype(e)};
  for (size_t i = 0; i < c->level_count; i++) {
    *found = &c->levels[i];
    if (c->levels[i].block == wanted.block && c->levels[i].dtype == wanted.dtype)
      return CDL_STATUS_OK;
  }
  level *levels = realloc(c->levels, (c->level_count + 1) * sizeof *levels);
  if (levels == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a cache of states");
  c->levels = levels;
  CDL_TRY(open_level(c, e, queue, &wanted));
  levels[c->level_count] = wanted;
  *found = &levels[c->level_count++];
  return CDL_STATUS_OK;
}

static bool is_rounded(const frozen_cache *c, const level *l)
{
  return c->settings.narrow && l->dtype == CDL_DTYPE_F32;
}

/* ---- A batch ---- */

/* Makes room for the states of this batch, and for what is computed of them. */
static cdl_status reserve(frozen_cache *c, encoder_host_batch *batch, size_t row_bytes, bool firsts)
{
  const size_t row_count = firsts ? batch->capacity.examples : batch->capacity.tokens,
               bytes = (row_count + 1) * row_bytes;
  bool enough = true;
  if (batch->state_bytes < bytes) {
    free(batch->states);
    batch->states = malloc(bytes);
    batch->state_bytes = batch->states != NULL ? bytes : 0;
    enough = enough && batch->states != NULL;
  }
  if (c->computed_bytes < bytes) {
    free(c->computed);
    c->computed = malloc(bytes);
    c->computed_bytes = c->computed != NULL ? bytes : 0;
    enough = enough && c->computed != NULL;
  }
  encoder_batch_bound bound = c->missing.capacity;
  if (batch->capacity.examples > bound.examples || batch->capacity.tokens > bound.tokens) {
    bound.examples =
        bound.examples > batch->capacity.examples ? bound.examples : batch->capacity.examples;
    bound.tokens = bound.tokens > batch->capacity.tokens ? bound.tokens : batch->capacity.tokens;
    encoder_host_batch_free(&c->missing);
    free(c->places);
    c->places = calloc(bound.examples + 1, sizeof *c->places);
    enough = encoder_host_batch_allocate(&c->missing, bound) && c->places != NULL && enough;
  }
  return enough ? CDL_STATUS_OK
                : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the states of %zu tokens",
                           batch->capacity.tokens);
}

static frozen_example example_at(const encoder_host_batch *b, const int32_t *types, size_t i)
{
  const int32_t first = b->offsets[i];
  return (frozen_example){.ids = b->ids + first,
                          .types = types + first,
                          .tokens = (uint32_t)(b->offsets[i + 1] - first)};
}

/* A batch, and how its states lie. */
typedef struct {
  frozen_cache *cache;
  const level *at;
  encoder_host_batch *batch;
  size_t hidden;
  bool firsts;
} taking;

/* Returns the bytes of an example's states in a pass. */
static size_t pass_bytes(const taking *t, size_t tokens)
{
  return (t->firsts ? 1 : tokens) * t->hidden * cdl_dtype_bytes(t->at->dtype);
}

/* Where the states of example i lie among those of a batch. */
static void *states_at(const taking *t, const encoder_host_batch *b, void *states, size_t i)
{
  const size_t row = t->firsts ? i : (size_t)b->offsets[i];
  return (char *)states + row * t->hidden * cdl_dtype_bytes(t->at->dtype);
}

static cdl_bf16 *rounded_memory(frozen_cache *c, size_t count)
{
  if (count > c->rounded_count) {
    free(c->rounded);
    c->rounded = malloc(count * sizeof *c->rounded);
    c->rounded_count = c->rounded != NULL ? count : 0;
  }
  return c->rounded;
}

static bool get(const taking *t, const frozen_example *x, void *states)
{
  if (!is_rounded(t->cache, t->at))
    return frozen_store_get(t->at->store, x, states);
  const size_t count = pass_bytes(t, x->tokens) / sizeof(float);
  cdl_bf16 *kept = rounded_memory(t->cache, count);
  float *wide = states;
  if (kept == NULL || !frozen_store_get(t->at->store, x, kept))
    return false;
  for (size_t i = 0; i < count; i++)
    wide[i] = base_bf16_widen(kept[i].bits);
  return true;
}

/* Keeps states that were computed. They are rounded in place too, so that the first use has the
 * values of the later ones. */
static cdl_status put(const taking *t, const frozen_example *x, void *states)
{
  if (!is_rounded(t->cache, t->at)) {
    frozen_store_put(t->at->store, x, states);
    return CDL_STATUS_OK;
  }
  const size_t count = pass_bytes(t, x->tokens) / sizeof(float);
  cdl_bf16 *kept = rounded_memory(t->cache, count);
  float *wide = states;
  if (kept == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the states of %u tokens", x->tokens);
  for (size_t i = 0; i < count; i++) {
    kept[i].bits = base_bf16_round(wide[i]);
    wide[i] = base_bf16_widen(kept[i].bits);
  }
  frozen_store_put(t->at->store, x, kept);
  return CDL_STATUS_OK;
}

/* Adds example i of the batch to those that are to be computed. */
static void add_missing(const taking *t, size_t i)
{
  const encoder_host_batch *b = t->batch;
  encoder_host_batch *to = &t->cache->missing;
  const size_t first = (size_t)b->offsets[i], length = (size_t)b->offsets[i + 1] - first;
  memcpy(to->ids + to->tokens, b->ids + first, length * sizeof *to->ids);
  memcpy(to->positions + to->tokens, b->positions + first, length * sizeof *to->positions);
  memcpy(to->type_ids + to->tokens, b->type_ids + first, length * sizeof *to->type_ids);
  to->index[to->examples] = b->index[i];
  t->cache->places[to->examples++] = i;
  to->tokens += length;
  to->offsets[to->examples] = (int32_t)to->tokens;
  to->longest = length > to->longest ? length : to->longest;
}

/* Computes what is missing, and copies it to the batch and into the store. */
static cdl_status compute(const taking *t, model_encoder *e, cdl_queue *queue)
{
  frozen_cache *c = t->cache;
  const encoder_host_batch *missing = &c->missing;
  const encoder_token_batch view = encoder_host_batch_view(missing);
  CDL_TRY(encoder_load_batch(e, queue, &view, ENCODER_BELOW));
  const cdl_tensor states = encoder_forward_below(e, queue);
  cdl_queue_download(queue, c->computed, states,
                     (size_t)cdl_tensor_elements(states) * cdl_dtype_bytes(states.dtype));
  CDL_TRY(cdl_queue_sync(queue));
  CDL_TRY(encoder_check_files(e)); /* before later runs can read the states */
  for (size_t i = 0; i < missing->examples; i++) {
    const frozen_example x = example_at(missing, missing->type_ids, i);
    void *from = states_at(t, missing, c->computed, i);
    CDL_TRY(put(t, &x, from));
    memcpy(states_at(t, t->batch, t->batch->states, c->places[i]), from, pass_bytes(t, x.tokens));
  }
  return CDL_STATUS_OK;
}

cdl_status frozen_cache_take(frozen_cache *c, model_encoder *e, cdl_queue *queue,
                             encoder_host_batch *batch)
{
  taking t = {.cache = c,
              .batch = batch,
              .hidden = (size_t)encoder_config(e)->hidden_size,
              .firsts = is_of_firsts(e, encoder_first_block(e))};
  CDL_TRY(find_level(c, e, queue, &t.at));
  CDL_TRY(reserve(c, batch, t.hidden * cdl_dtype_bytes(t.at->dtype), t.firsts));
  c->missing.examples = c->missing.tokens = c->missing.longest = 0;
  c->missing.offsets[0] = 0;
  for (size_t i = 0; i < batch->examples; i++) {
    const frozen_example x = example_at(batch, batch->type_ids, i);
    if (!get(&t, &x, states_at(&t, batch, batch->states, i)))
      add_missing(&t, i);
  }
  c->counts.computed += c->missing.examples;
  c->counts.held += batch->examples - c->missing.examples;
  return c->missing.examples > 0 ? compute(&t, e, queue) : CDL_STATUS_OK;
}
