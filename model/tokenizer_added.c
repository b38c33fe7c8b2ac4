#include <stdlib.h>

#include "model/tokenizer_parts.h"
#include "model/unicode_text.h"

const cdl_added_entry *cdl_added_find(const cdl_added *added, const char *content, size_t bytes)
{
  const int32_t place = cdl_vocabulary_find(&added->names, content, bytes);
  return place < 0 ? NULL : &added->entries[place];
}

/* A token that the model lacks comes after all that are there. */
static int64_t next_id(const cdl_tokenizer *tokenizer)
{
  const int64_t model_count = (int64_t)tokenizer->vocabulary.count;
  const int64_t last = tokenizer->added.count != 0 ? tokenizer->added.last_id : -1;
  return last >= model_count ? last + 1 : model_count;
}

bool cdl_added_same(const cdl_added_token *a, const cdl_added_token *b)
{
  return a->special == b->special && a->normalized == b->normalized &&
         a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip;
}

static cdl_status new_entry(cdl_tokenizer *tokenizer, const cdl_added_token *token,
                            cdl_added_entry **entry)
{
  cdl_added *added = &tokenizer->added;
  int32_t id = cdl_vocabulary_find(&tokenizer->vocabulary, token->content, token->bytes);
  if (id < 0) {
    const int64_t next = next_id(tokenizer);
    const char *owner =
        next <= INT32_MAX ? cdl_vocabulary_text(&tokenizer->vocabulary, (int32_t)next) : NULL;
    if (owner != NULL)
      return cdl_fail(
          CDL_DATA,
          "token \"%.64s\" would get id %lld, which token \"%.64s\" has: the ids have holes",
          token->content, (long long)next, owner);
    CDL_TRY(cdl_vocabulary_add(&tokenizer->extra, token->content, token->bytes, next));
    id = (int32_t)next;
  }
  if (added->count == added->capacity) {
    const size_t capacity = added->capacity * 2 + 16;
    CDL_TRY(cdl_grow(&added->entries, capacity, sizeof *added->entries));
    added->capacity = capacity;
  }
  CDL_TRY(cdl_vocabulary_add(&added->names, token->content, token->bytes, (int64_t)added->count));
  char *content = malloc(token->bytes + 1);
  if (content == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for an added token");
  memcpy(content, token->content, token->bytes);
  content[token->bytes] = '\0';
  if (added->count == 0 || id > added->last_id)
    added->last_id = id;
  *entry = &added->entries[added->count++];
  **entry = (cdl_added_entry){.token = *token, .id = id};
  (*entry)->token.content = content;
  return CDL_OK;
}

cdl_status cdl_added_add(cdl_tokenizer *tokenizer, const cdl_added_token *token,
                         int64_t declared_id)
{
  if (token->bytes == 0)
    return CDL_OK;
  cdl_added_entry *entry = NULL;
  const cdl_added_entry *found = cdl_added_find(&tokenizer->added, token->content, token->bytes);
  const bool known = found != NULL && cdl_added_same(&found->token, token);
  if (found != NULL)
    entry = &tokenizer->added.entries[found - tokenizer->added.entries];
  else
    CDL_TRY(new_entry(tokenizer, token, &entry));
  if (declared_id >= 0 && declared_id != entry->id)
    return cdl_fail(CDL_DATA, "token \"%.64s\" is said to have id %lld, but its id is %d",
                    token->content, (long long)declared_id, (int)entry->id);
  if (known)
    return CDL_OK;
  if (!entry->special) {
    entry->in_raw = entry->in_raw || !token->normalized;
    entry->in_normal = entry->in_normal || token->normalized;
    entry->special = token->special;
  }
  char *content = entry->token.content;
  entry->token = *token;
  entry->token.content = content;
  return CDL_OK;
}

static int by_lead_and_length(const void *left, const void *right)
{
  const cdl_added_pattern *a = left, *b = right;
  if (a->text[0] != b->text[0])
    return a->text[0] < b->text[0] ? -1 : 1;
  if (a->bytes != b->bytes)
    return a->bytes > b->bytes ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

static cdl_status add_pattern(const cdl_tokenizer *tokenizer, const cdl_added_entry *entry,
                              bool normal, cdl_scratch *scratch, cdl_added_patterns *patterns)
{
  cdl_bytes text = {0};
  const uint8_t *content = (const uint8_t *)entry->token.content;
  bool first = true;
  const cdl_status status =
      normal && cdl_tokenizer_normalizes(tokenizer)
          ? cdl_tokenizer_normalize(tokenizer, scratch, content, entry->token.bytes, &first, &text)
          : cdl_bytes_append(&text, content, entry->token.bytes);
  if (status != CDL_OK || text.count == 0) {
    free(text.data);
    return status != CDL_OK
               ? status
               : cdl_fail(CDL_DATA,
                          "added token \"%.64s\": nothing is left of it when it is normalized",
                          entry->token.content);
  }
  patterns->items[patterns->count] =
      (cdl_added_pattern){.text = text.data,
                          .bytes = text.count,
                          .order = patterns->count,
                          .id = entry->id,
                          .single_word = entry->token.single_word,
                          .lstrip = entry->token.lstrip,
                          .rstrip = entry->token.rstrip,
                          .passed = entry->special && tokenizer->splits_special};
  patterns->count++;
  return CDL_OK;
}

static cdl_status build_patterns(const cdl_tokenizer *tokenizer, bool normal, cdl_scratch *scratch,
                                 cdl_added_patterns *patterns)
{
  const cdl_added *added = &tokenizer->added;
  patterns->only_lead = -1;
  if (added->count == 0)
    return CDL_OK;
  CDL_TRY(cdl_grow(&patterns->items, added->count, sizeof *patterns->items));
  for (int special = 1; special >= 0; special--)
    for (size_t i = 0; i < added->count; i++) {
      const cdl_added_entry *entry = &added->entries[i];
      if (entry->special == (special == 1) && (normal ? entry->in_normal : entry->in_raw))
        CDL_TRY(add_pattern(tokenizer, entry, normal, scratch, patterns));
    }
  if (patterns->count == 0)
    return CDL_OK;
  qsort(patterns->items, patterns->count, sizeof *patterns->items, by_lead_and_length);
  size_t next = 0;
  for (size_t lead = 0; lead < 256; lead++) {
    patterns->begin[lead] = next;
    while (next < patterns->count && patterns->items[next].text[0] == lead)
      next++;
  }
  patterns->begin[256] = next;
  if (patterns->items[0].text[0] == patterns->items[patterns->count - 1].text[0])
    patterns->only_lead = patterns->items[0].text[0];
  return CDL_OK;
}

cdl_status cdl_added_prepare(cdl_tokenizer *tokenizer)
{
  cdl_scratch *scratch = calloc(1, sizeof *scratch);
  if (scratch == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for added tokens");
  cdl_status status = build_patterns(tokenizer, false, scratch, &tokenizer->added.raw);
  if (status == CDL_OK)
    status = build_patterns(tokenizer, true, scratch, &tokenizer->added.normal);
  cdl_scratch_release(scratch);
  return status;
}

static void release_patterns(cdl_added_patterns *patterns)
{
  for (size_t i = 0; i < patterns->count; i++)
    free(patterns->items[i].text);
  free(patterns->items);
}

void cdl_added_release(cdl_added *added)
{
  for (size_t i = 0; i < added->count; i++)
    free(added->entries[i].token.content);
  free(added->entries);
  cdl_vocabulary_release(&added->names);
  release_patterns(&added->raw);
  release_patterns(&added->normal);
  *added = (cdl_added){0};
}

/* Where the character before `at` begins. */
static size_t step_back(const uint8_t *text, size_t at)
{
  do
    at--;
  while (at > 0 && (text[at] & 0xc0) == 0x80);
  return at;
}

static uint32_t character_at(const uint8_t *text, size_t at)
{
  const uint8_t *from = text + at;
  return cdl_utf8_next(&from);
}

static bool stands_alone(const cdl_added_walk *walk, size_t begin, size_t end)
{
  if (begin != 0 && cdl_is_word_character(character_at(walk->text, step_back(walk->text, begin))))
    return false;
  return end == walk->bytes || !cdl_is_word_character(character_at(walk->text, end));
}

/* The leftmost longest pattern from `searched` on. */
static const cdl_added_pattern *find_pattern(cdl_added_walk *walk, size_t *begin)
{
  const cdl_added_patterns *patterns = walk->patterns;
  for (size_t at = walk->searched; at < walk->bytes; at++) {
    if (patterns->only_lead >= 0) {
      const uint8_t *hit = memchr(walk->text + at, patterns->only_lead, walk->bytes - at);
      if (hit == NULL)
        break;
      at = (size_t)(hit - walk->text);
    }
    const uint8_t lead = walk->text[at];
    for (size_t i = patterns->begin[lead]; i < patterns->begin[lead + 1]; i++) {
      const cdl_added_pattern *pattern = &patterns->items[i];
      if (pattern->bytes <= walk->bytes - at &&
          memcmp(pattern->text, walk->text + at, pattern->bytes) == 0) {
        walk->searched = at + pattern->bytes;
        *begin = at;
        return pattern;
      }
    }
  }
  walk->searched = walk->bytes;
  return NULL;
}

static bool find_token(cdl_added_walk *walk)
{
  if (walk->patterns->count == 0)
    return false;
  const cdl_added_pattern *pattern;
  size_t begin;
  while ((pattern = find_pattern(walk, &begin)) != NULL) {
    size_t end = begin + pattern->bytes;
    if (pattern->passed || (pattern->single_word && !stands_alone(walk, begin, end)))
      continue;
    while (pattern->lstrip && begin > walk->reached) {
      const size_t before = step_back(walk->text, begin);
      if (!cdl_is_space(character_at(walk->text, before)))
        break;
      begin = before;
    }
    while (pattern->rstrip && end < walk->bytes) {
      const uint8_t *behind = walk->text + end;
      if (!cdl_is_space(cdl_utf8_next(&behind)))
        break;
      end = (size_t)(behind - walk->text);
    }
    walk->token = (cdl_stretch){.begin = begin, .end = end, .id = pattern->id};
    return true;
  }
  return false;
}

bool cdl_added_next(cdl_added_walk *walk, cdl_stretch *stretch)
{
  if (!walk->found) {
    walk->found = find_token(walk);
    const size_t end = walk->found ? walk->token.begin : walk->bytes;
    if (walk->reached < end) {
      *stretch = (cdl_stretch){.begin = walk->reached, .end = end, .id = -1};
      walk->reached = end;
      return true;
    }
  }
  if (!walk->found)
    return false;
  walk->found = false;
  *stretch = walk->token;
  walk->reached = walk->token.end;
  return true;
}
