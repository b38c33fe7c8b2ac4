#include <stdio.h>
#include <stdlib.h>

#include "model/tokenizer/parts.h"

static uint64_t hash_text(const uint8_t *text, size_t bytes)
{
  uint64_t hash = TOKENIZER_HASH_START;
  for (size_t i = 0; i < bytes; i++)
    hash = tokenizer_hash_step(hash, text[i]);
  return hash;
}

static void place(tokenizer_vocabulary_slot *slots, size_t slot_count, uint32_t tag, int32_t id)
{
  size_t at = tag & (slot_count - 1);
  while (slots[at].id >= 0)
    at = (at + 1) & (slot_count - 1);
  slots[at] = (tokenizer_vocabulary_slot){.tag = tag, .id = id};
}

static cdl_status widen_slots(tokenizer_vocabulary *vocabulary)
{
  const size_t count = vocabulary->slot_count == 0 ? 1024 : vocabulary->slot_count * 2;
  tokenizer_vocabulary_slot *slots = malloc(count * sizeof *slots);
  if (slots == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a vocabulary");
  memset(slots, 0xff, count * sizeof *slots);
  for (size_t i = 0; i < vocabulary->slot_count; i++)
    if (vocabulary->slots[i].id >= 0)
      place(slots, count, vocabulary->slots[i].tag, vocabulary->slots[i].id);
  free(vocabulary->slots);
  vocabulary->slots = slots;
  vocabulary->slot_count = count;
  return CDL_STATUS_OK;
}

static cdl_status widen_ids(tokenizer_vocabulary *vocabulary, size_t id)
{
  if (id < vocabulary->id_capacity)
    return CDL_STATUS_OK;
  size_t capacity = vocabulary->id_capacity == 0 ? 1024 : vocabulary->id_capacity * 2;
  while (capacity <= id)
    capacity *= 2;
  CDL_TRY(base_grow(&vocabulary->offset, capacity, sizeof *vocabulary->offset));
  CDL_TRY(base_grow(&vocabulary->length, capacity, sizeof *vocabulary->length));
  memset(vocabulary->offset + vocabulary->id_capacity, 0xff,
         (capacity - vocabulary->id_capacity) * sizeof *vocabulary->offset);
  vocabulary->id_capacity = capacity;
  return CDL_STATUS_OK;
}

cdl_status tokenizer_vocabulary_add(tokenizer_vocabulary *vocabulary, const char *text,
                                    size_t bytes, int64_t id)
{
  if (id < 0 || id >= TOKENIZER_TOKEN_ID_END)
    return cdl_fail(CDL_STATUS_DATA, "token \"%.64s\" has id %lld, expected 0 to %d", text,
                    (long long)id, TOKENIZER_TOKEN_ID_END - 1);
  if (bytes >= UINT32_MAX / 2 - vocabulary->text.count)
    return cdl_fail(CDL_STATUS_DATA, "token \"%.64s…\" is too long", text);
  if (tokenizer_vocabulary_find(vocabulary, text, bytes) >= 0)
    return cdl_fail(CDL_STATUS_DATA, "token \"%.64s\" is there twice", text);
  const int32_t token = (int32_t)id;
  if (tokenizer_vocabulary_text(vocabulary, token) != NULL)
    return cdl_fail(CDL_STATUS_DATA, "tokens \"%.64s\" and \"%.64s\" have the same id %d",
                    tokenizer_vocabulary_text(vocabulary, token), text, (int)token);
  if (vocabulary->count * 2 >= vocabulary->slot_count)
    CDL_TRY(widen_slots(vocabulary));
  CDL_TRY(widen_ids(vocabulary, (size_t)id));
  const size_t offset = vocabulary->text.count;
  CDL_TRY(base_bytes_reserve(&vocabulary->text, bytes + 1));
  memcpy(vocabulary->text.data + offset, text, bytes);
  vocabulary->text.data[offset + bytes] = '\0';
  vocabulary->text.count += bytes + 1;
  vocabulary->offset[id] = (uint32_t)offset;
  vocabulary->length[id] = (uint32_t)bytes;
  place(vocabulary->slots, vocabulary->slot_count,
        (uint32_t)(hash_text((const uint8_t *)text, bytes) >> 32), token);
  vocabulary->count++;
  if (token >= vocabulary->id_end)
    vocabulary->id_end = token + 1;
  if (bytes > vocabulary->longest)
    vocabulary->longest = bytes;
  return CDL_STATUS_OK;
}

/* Returns the text's place in the slots; slot_count for none. */
static size_t slot_of(const tokenizer_vocabulary *vocabulary, const void *text, size_t bytes)
{
  if (vocabulary->slot_count == 0)
    return 0;
  const uint32_t tag = (uint32_t)(hash_text(text, bytes) >> 32);
  for (size_t at = tag & (vocabulary->slot_count - 1); vocabulary->slots[at].id >= 0;
       at = (at + 1) & (vocabulary->slot_count - 1)) {
    const int32_t id = vocabulary->slots[at].id;
    if (vocabulary->slots[at].tag == tag && vocabulary->length[id] == bytes &&
        memcmp(vocabulary->text.data + vocabulary->offset[id], text, bytes) == 0)
      return at;
  }
  return vocabulary->slot_count;
}

cdl_status tokenizer_vocabulary_put(tokenizer_vocabulary *vocabulary, const char *text,
                                    size_t bytes, int64_t id)
{
  const size_t slot = slot_of(vocabulary, text, bytes);
  if (slot == vocabulary->slot_count)
    return tokenizer_vocabulary_add(vocabulary, text, bytes, id);
  if (id < 0 || id >= TOKENIZER_TOKEN_ID_END)
    return cdl_fail(CDL_STATUS_DATA, "token \"%.64s\" has id %lld, expected 0 to %d", text,
                    (long long)id, TOKENIZER_TOKEN_ID_END - 1);
  const int32_t before = vocabulary->slots[slot].id, token = (int32_t)id;
  if (tokenizer_vocabulary_text(vocabulary, token) != NULL && token != before)
    return cdl_fail(CDL_STATUS_DATA, "tokens \"%.64s\" and \"%.64s\" have the same id %d",
                    tokenizer_vocabulary_text(vocabulary, token), text, (int)token);
  CDL_TRY(widen_ids(vocabulary, (size_t)id));
  const uint32_t offset = vocabulary->offset[before];
  vocabulary->offset[before] = UINT32_MAX;
  vocabulary->offset[token] = offset;
  vocabulary->length[token] = (uint32_t)bytes;
  vocabulary->slots[slot].id = token;
  if (token >= vocabulary->id_end)
    vocabulary->id_end = token + 1;
  return CDL_STATUS_OK;
}

int32_t tokenizer_vocabulary_find(const tokenizer_vocabulary *vocabulary, const void *text,
                                  size_t bytes)
{
  const size_t slot = slot_of(vocabulary, text, bytes);
  return slot == vocabulary->slot_count ? -1 : vocabulary->slots[slot].id;
}

int32_t tokenizer_vocabulary_byte(const tokenizer_vocabulary *vocabulary, uint8_t byte)
{
  char text[8];
  const int bytes = snprintf(text, sizeof text, "<0x%02X>", byte);
  return tokenizer_vocabulary_find(vocabulary, text, (size_t)bytes);
}

const char *tokenizer_vocabulary_text(const tokenizer_vocabulary *vocabulary, int32_t id)
{
  if (id < 0 || id >= vocabulary->id_end || vocabulary->offset[id] == UINT32_MAX)
    return NULL;
  return (const char *)vocabulary->text.data + vocabulary->offset[id];
}

void tokenizer_vocabulary_release(tokenizer_vocabulary *vocabulary)
{
  free(vocabulary->text.data);
  free(vocabulary->offset);
  free(vocabulary->length);
  free(vocabulary->slots);
  *vocabulary = (tokenizer_vocabulary){0};
}
