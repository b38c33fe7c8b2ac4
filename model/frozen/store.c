#include "model/frozen/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "model/frozen/file.h"

/* The data of an entry, in memory as in the file: ids, types, states. */
typedef struct {
  frozen_file_entry at;
  void *data; /* in memory; otherwise NULL */
  bool bad;   /* it cannot be read, so a new one replaces it */
} entry;

struct frozen_store {
  size_t row_bytes;
  bool firsts, in_memory;
  uint64_t *room;
  bool (*make_room)(void *user, uint64_t bytes);
  void *user;
  frozen_file *file;
  entry *entries;
  size_t count, capacity;
  uint32_t *slots; /* open addressing by hash: 1 + the entry's index, 0: free */
  size_t slot_count;
  char *scratch; /* an entry's data on the way from or to the file */
  size_t scratch_bytes;
};

/* ---- The index ---- */

static uint64_t hash_of(const frozen_example *x)
{
  const uint64_t ids = base_hash_words(BASE_FNV_START, x->ids, x->tokens * sizeof *x->ids);
  return base_hash_words(ids, x->types, x->tokens * sizeof *x->types);
}

/* Returns the entry with this hash; NULL if there is none. */
static entry *find(const frozen_store *s, uint64_t hash)
{
  for (size_t i = hash; s->slot_count > 0; i++) {
    const uint32_t slot = s->slots[i & (s->slot_count - 1)];
    if (slot == 0)
      return NULL;
    if (s->entries[slot - 1].at.hash == hash)
      return &s->entries[slot - 1];
  }
  return NULL;
}

static void link_entry(frozen_store *s, uint32_t index)
{
  size_t i = s->entries[index].at.hash;
  while (s->slots[i & (s->slot_count - 1)] != 0)
    i++;
  s->slots[i & (s->slot_count - 1)] = index + 1;
}

/* Returns false if memory is out. */
static bool grow(frozen_store *s)
{
  enum { LEAST = 256, SLOTS_PER_ENTRY = 2 };
  const size_t capacity = s->capacity > 0 ? 2 * s->capacity : LEAST;
  if (capacity > UINT32_MAX / 2)
    return false;
  uint32_t *slots = calloc(SLOTS_PER_ENTRY * capacity, sizeof *slots);
  entry *entries = slots != NULL ? realloc(s->entries, capacity * sizeof *entries) : NULL;
  if (entries == NULL) {
    free(slots);
    return false;
  }
  free(s->slots);
  s->entries = entries;
  s->slots = slots;
  s->capacity = capacity;
  s->slot_count = SLOTS_PER_ENTRY * capacity;
  for (size_t i = 0; i < s->count; i++)
    link_entry(s, (uint32_t)i);
  return true;
}

static bool add(frozen_store *s, const entry *added)
{
  if (s->count == s->capacity && !grow(s))
    return false;
  s->entries[s->count] = *added;
  link_entry(s, (uint32_t)s->count++);
  return true;
}

/* ---- The data of an entry ---- */

static size_t states_bytes(const frozen_store *s, size_t tokens)
{
  return (s->firsts ? 1 : tokens) * s->row_bytes;
}

static size_t key_bytes(size_t tokens)
{
  return 2 * tokens * sizeof(int32_t);
}

size_t frozen_store_bytes(const frozen_store *s, const frozen_example *x)
{
  return states_bytes(s, x->tokens);
}

static void write_data(const frozen_store *s, const frozen_example *x, const void *states,
                       char *data)
{
  const size_t half = key_bytes(x->tokens) / 2;
  memcpy(data, x->ids, half);
  memcpy(data + half, x->types, half);
  memcpy(data + 2 * half, states, states_bytes(s, x->tokens));
}

static bool is_of(const char *data, const frozen_example *x)
{
  const size_t half = key_bytes(x->tokens) / 2;
  return memcmp(data, x->ids, half) == 0 && memcmp(data + half, x->types, half) == 0;
}

static bool reserve_scratch(frozen_store *s, size_t bytes)
{
  if (bytes <= s->scratch_bytes)
    return true;
  free(s->scratch);
  s->scratch = malloc(bytes);
  s->scratch_bytes = s->scratch != NULL ? bytes : 0;
  return s->scratch != NULL;
}

/* ---- The store ---- */

/* An entry of the file. Of several with one hash the last counts: it may replace a damaged one. */
static bool found(void *user, const frozen_file_entry *at, size_t bytes)
{
  frozen_store *s = user;
  if (bytes != key_bytes(at->tokens) + states_bytes(s, at->tokens))
    return false;
  entry *known = find(s, at->hash);
  if (known != NULL)
    *known = (entry){.at = *at};
  else
    (void)add(s, &(entry){.at = *at}); /* without memory it is computed when it is wanted */
  return true;
}

static void take_room(frozen_store *s, uint64_t bytes)
{
  *s->room -= bytes < *s->room ? bytes : *s->room;
}

cdl_status frozen_store_open(const frozen_store_settings *settings, frozen_store **store)
{
  frozen_store *s = calloc(1, sizeof *s);
  *store = s;
  if (s == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a store of states");
  *s = (frozen_store){.row_bytes = settings->row_bytes,
                      .firsts = settings->firsts,
                      .in_memory = settings->path == NULL,
                      .room = settings->room,
                      .make_room = settings->make_room,
                      .user = settings->user};
  if (s->in_memory)
    return CDL_STATUS_OK;
  s->file = frozen_file_open(settings->path, settings->identity, found, s);
  if (s->file != NULL && s->count == 0)
    take_room(s, frozen_file_bytes(s->file)); /* it is new; others are in the room already */
  return CDL_STATUS_OK;
}

void frozen_store_close(frozen_store *s)
{
  if (s == NULL)
    return;
  for (size_t i = 0; i < s->count; i++)
    free(s->entries[i].data);
  frozen_file_close(s->file);
  free(s->entries);
  free(s->slots);
  free(s->scratch);
  free(s);
}

bool frozen_store_get(frozen_store *s, const frozen_example *x, void *states)
{
  entry *e = find(s, hash_of(x));
  const size_t bytes = key_bytes(x->tokens) + states_bytes(s, x->tokens);
  if (e == NULL || e->bad || e->at.tokens != x->tokens)
    return false;
  const char *data = e->data;
  if (!s->in_memory) {
    if (!reserve_scratch(s, bytes))
      return false;
    e->bad = !frozen_file_read(s->file, &e->at, s->scratch, bytes);
    data = s->scratch;
  }
  if (e->bad || !is_of(data, x))
    return false;
  memcpy(states, data + key_bytes(x->tokens), states_bytes(s, x->tokens));
  return true;
}

static void put_in_memory(frozen_store *s, const frozen_example *x, const void *states,
                          uint64_t hash, size_t bytes)
{
  char *data = malloc(bytes);
  if (data == NULL)
    return;
  write_data(s, x, states, data);
  if (add(s, &(entry){.at = {.hash = hash, .tokens = x->tokens}, .data = data}))
    take_room(s, bytes);
  else
    free(data);
}

static void put_in_file(frozen_store *s, const frozen_example *x, const void *states, uint64_t hash,
                        size_t bytes)
{
  if (s->file == NULL || !reserve_scratch(s, bytes))
    return;
  const uint64_t before = frozen_file_bytes(s->file);
  if (!frozen_file_lock(s->file))
    return;
  entry added = {.at = {.hash = hash, .tokens = x->tokens}};
  write_data(s, x, states, s->scratch);
  entry *known = find(s, hash); /* by now another process may have appended it */
  if ((known == NULL || known->bad) && frozen_file_append(s->file, &added.at, s->scratch, bytes)) {
    if (known != NULL)
      *known = added;
    else
      (void)add(s, &added);
  }
  frozen_file_unlock(s->file);
  take_room(s, frozen_file_bytes(s->file) - before);
}

void frozen_store_put(frozen_store *s, const frozen_example *x, const void *states)
{
  const uint64_t hash = hash_of(x);
  const size_t bytes = key_bytes(x->tokens) + states_bytes(s, x->tokens);
  const entry *known = find(s, hash);
  if (known != NULL && !known->bad)
    return;
  const uint64_t all = bytes + (s->in_memory ? 0 : FROZEN_FILE_ENTRY_BYTES);
  if (all > *s->room && (s->make_room == NULL || !s->make_room(s->user, all)))
    return;
  if (s->in_memory)
    put_in_memory(s, x, states, hash, bytes);
  else
    put_in_file(s, x, states, hash, bytes);
}
