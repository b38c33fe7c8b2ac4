#include <stdlib.h>

#include "base/utf8.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/unicode_text.h"

const tokenizer_added_entry *tokenizer_added_find(const tokenizer_added *added, const char *content,
                                                  size_t bytes)
{
  const int32_t place = tokenizer_vocabulary_find(&added->names, content, bytes);
  return place < 0 ? NULL : &added->entries[place];
}

/* A token that the model lacks gets an id after all existing ones. */
static int64_t next_id(const cdl_tokenizer *tokenizer)
{
  const tokenizer_vocabulary *vocabulary = &tokenizer->vocabulary;
  const int64_t model_count =
      tokenizer->kind == TOKENIZER_MODEL_UNIGRAM ? vocabulary->id_end : (int64_t)vocabulary->count;
  const int64_t last = tokenizer->added.count != 0 ? tokenizer->added.last_id : -1;
  return last >= model_count ? last + 1 : model_count;
}

bool tokenizer_added_same(const tokenizer_added_token *a, const tokenizer_added_token *b)
{
  return a->special == b->special && a->normalized == b->normalized &&
         a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip;
}

static cdl_status new_entry(cdl_tokenizer *tokenizer, const tokenizer_added_token *token,
                            tokenizer_added_entry **entry)
{
  tokenizer_added *added = &tokenizer->added;
  int32_t id = tokenizer_vocabulary_find(&tokenizer->vocabulary, token->content, token->bytes);
  if (id < 0) {
    const int64_t next = next_id(tokenizer);
    const char *owner =
        next <= INT32_MAX ? tokenizer_vocabulary_text(&tokenizer->vocabulary, (int32_t)next) : NULL;
    if (owner != NULL)
      return cdl_fail(
          CDL_STATUS_DATA,
          "token \"%.64s\" would get id %lld, which token \"%.64s\" has: the ids have holes",
          token->content, (long long)next, owner);
    CDL_TRY(tokenizer_vocabulary_add(&tokenizer->extra, token->content, token->bytes, next));
    id = (int32_t)next;
  }
  if (added->count == added->capacity) {
    const size_t capacity = added->capacity * 2 + 16;
    CDL_TRY(base_grow(&added->entries, capacity, sizeof *added->entries));
    added->capacity = capacity;
  }
  CDL_TRY(
      tokenizer_vocabulary_add(&added->names, token->content, token->bytes, (int64_t)added->count));
  char *content = malloc(token->bytes + 1);
  if (content == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for an added token");
  memcpy(content, token->content, token->bytes);
  content[token->bytes] = '\0';
  if (added->count == 0 || id > added->last_id)
    added->last_id = id;
  *entry = &added->entries[added->count++];
  **entry = (tokenizer_added_entry){.token = *token, .id = id};
  (*entry)->token.content = content;
  return CDL_STATUS_OK;
}

cdl_status tokenizer_added_add(cdl_tokenizer *tokenizer, const tokenizer_added_token *token,
                               int64_t declared_id)
{
  if (token->bytes == 0)
    return CDL_STATUS_OK;
  tokenizer_added_entry *entry = NULL;
  const tokenizer_added_entry *found =
      tokenizer_added_find(&tokenizer->added, token->content, token->bytes);
  const bool known = found != NULL && tokenizer_added_same(&found->token, token);
  if (found != NULL)
    entry = &tokenizer->added.entries[found - tokenizer->added.entries];
  else
    CDL_TRY(new_entry(tokenizer, token, &entry));
  if (declared_id >= 0 && declared_id != entry->id)
    return cdl_fail(CDL_STATUS_DATA, "token \"%.64s\" is said to have id %lld, but its id is %d",
                    token->content, (long long)declared_id, (int)entry->id);
  if (known)
    return CDL_STATUS_OK;
  if (!entry->special) {
    entry->in_raw = entry->in_raw || !token->normalized;
    entry->in_normal = entry->in_normal || token->normalized;
    entry->special = token->special;
  }
  char *content = entry->token.content;
  entry->token = *token;
  entry->token.content = content;
  return CDL_STATUS_OK;
}

static cdl_status add_pattern(const cdl_tokenizer *tokenizer, const tokenizer_added_entry *entry,
                              bool normal, tokenizer_scratch *scratch,
                              tokenizer_added_patterns *patterns)
{
  base_bytes text = {0};
  const uint8_t *content = (const uint8_t *)entry->token.content;
  size_t origin = 0;
  const cdl_status status =
      normal && tokenizer_normalizes(tokenizer)
          ? tokenizer_normalize(tokenizer, scratch, content, entry->token.bytes, &origin, &text)
          : base_bytes_append(&text, content, entry->token.bytes);
  if (status != CDL_STATUS_OK || text.count == 0) {
    free(text.data);
    return status != CDL_STATUS_OK
               ? status
               : cdl_fail(CDL_STATUS_DATA,
                          "added token \"%.64s\": nothing is left of it when it is normalized",
                          entry->token.content);
  }
  patterns->items[patterns->count] =
      (tokenizer_added_pattern){.text = text.data,
                                .bytes = text.count,
                                .id = entry->id,
                                .single_word = entry->token.single_word,
                                .lstrip = entry->token.lstrip,
                                .rstrip = entry->token.rstrip,
                                .passed = entry->special && tokenizer->splits_special};
  patterns->count++;
  return CDL_STATUS_OK;
}

/* Sets the fallbacks level by level: a node's fallback is a shorter node, whose own is already
 * known. */
static void link_nodes(tokenizer_added_patterns *patterns)
{
  const tokenizer_trie *trie = &patterns->backwards;
  patterns->fallback[0] = 0;
  patterns->longest[0] = -1;
  for (uint32_t node = 0; node < trie->nodes; node++) {
    for (uint32_t child = trie->children[node]; child < trie->children[node + 1]; child++) {
      uint32_t to = node == 0 ? 0 : patterns->fallback[node], next = 0;
      if (node != 0)
        while ((next = tokenizer_trie_child(trie, to, trie->bytes[child])) == TOKENIZER_NO_NODE &&
               to != 0)
          to = patterns->fallback[to];
      to = next == TOKENIZER_NO_NODE ? 0 : next;
      patterns->fallback[child] = to;
      patterns->longest[child] =
          trie->values[child] >= 0 ? trie->values[child] : patterns->longest[to];
    }
  }
}

static cdl_status build_automaton(tokenizer_added_patterns *patterns)
{
  size_t bytes = 0;
  for (size_t i = 0; i < patterns->count; i++)
    bytes += patterns->items[i].bytes;
  tokenizer_trie_key *keys = calloc(patterns->count, sizeof *keys);
  uint8_t *reversed = malloc(bytes);
  cdl_status status = keys == NULL || reversed == NULL
                          ? cdl_fail(CDL_STATUS_MEMORY, "out of memory for added tokens")
                          : CDL_STATUS_OK;
  uint8_t *next = reversed;
  for (size_t i = 0; status == CDL_STATUS_OK && i < patterns->count; i++) {
    const tokenizer_added_pattern *item = &patterns->items[i];
    keys[i] = (tokenizer_trie_key){.text = next, .bytes = item->bytes, .value = (int32_t)i};
    for (size_t k = item->bytes; k-- > 0;)
      *next++ = item->text[k];
  }
  if (status == CDL_STATUS_OK)
    status = tokenizer_trie_build(&patterns->backwards, keys, patterns->count);
  free(keys);
  free(reversed);
  CDL_TRY(status);
  CDL_TRY(base_grow(&patterns->fallback, patterns->backwards.nodes, sizeof *patterns->fallback));
  CDL_TRY(base_grow(&patterns->longest, patterns->backwards.nodes, sizeof *patterns->longest));
  link_nodes(patterns);
  return CDL_STATUS_OK;
}

/* Of equal texts the first counts, and special tokens come before others: it is the last one among
 * the items. */
static cdl_status build_patterns(const cdl_tokenizer *tokenizer, bool normal,
                                 tokenizer_scratch *scratch, tokenizer_added_patterns *patterns)
{
  const tokenizer_added *added = &tokenizer->added;
  if (added->count == 0)
    return CDL_STATUS_OK;
  CDL_TRY(base_grow(&patterns->items, added->count, sizeof *patterns->items));
  for (int special = 0; special <= 1; special++)
    for (size_t i = added->count; i-- > 0;) {
      const tokenizer_added_entry *entry = &added->entries[i];
      if (entry->special == (special == 1) && (normal ? entry->in_normal : entry->in_raw))
        CDL_TRY(add_pattern(tokenizer, entry, normal, scratch, patterns));
    }
  if (patterns->count == 0)
    return CDL_STATUS_OK;
  patterns->only_lead = patterns->items[0].text[0];
  for (size_t i = 0; i < patterns->count; i++) {
    const uint8_t lead = patterns->items[i].text[0];
    patterns->lead[lead] = true;
    if (lead != patterns->only_lead)
      patterns->only_lead = -1;
  }
  return build_automaton(patterns);
}

cdl_status tokenizer_added_prepare(cdl_tokenizer *tokenizer)
{
  tokenizer_scratch *scratch = calloc(1, sizeof *scratch);
  if (scratch == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for added tokens");
  cdl_status status = build_patterns(tokenizer, false, scratch, &tokenizer->added.raw);
  if (status == CDL_STATUS_OK)
    status = build_patterns(tokenizer, true, scratch, &tokenizer->added.normal);
  tokenizer_scratch_release(scratch);
  return status;
}

static void release_patterns(tokenizer_added_patterns *patterns)
{
  for (size_t i = 0; i < patterns->count; i++)
    free(patterns->items[i].text);
  free(patterns->items);
  tokenizer_trie_release(&patterns->backwards);
  free(patterns->fallback);
  free(patterns->longest);
}

void tokenizer_added_release(tokenizer_added *added)
{
  for (size_t i = 0; i < added->count; i++)
    free(added->entries[i].token.content);
  free(added->entries);
  tokenizer_vocabulary_release(&added->names);
  release_patterns(&added->raw);
  release_patterns(&added->normal);
  *added = (tokenizer_added){0};
}

/* Returns the start of the character before `at`. */
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
  return base_utf8_next(&from);
}

static bool stands_alone(const tokenizer_added_walk *walk, size_t begin, size_t end)
{
  if (begin != 0 &&
      tokenizer_is_word_character(character_at(walk->text, step_back(walk->text, begin))))
    return false;
  return end == walk->bytes || !tokenizer_is_word_character(character_at(walk->text, end));
}

/* Returns the first place where a pattern may begin, or the text's end. */
static size_t first_lead(const tokenizer_added_patterns *patterns, const uint8_t *text,
                         size_t bytes)
{
  size_t at = 0;
  if (patterns->count == 0 || bytes == 0)
    return bytes;
  if (patterns->only_lead >= 0) {
    const uint8_t *hit = memchr(text, patterns->only_lead, bytes);
    return hit == NULL ? bytes : (size_t)(hit - text);
  }
  while (at < bytes && !patterns->lead[text[at]])
    at++;
  return at;
}

static cdl_status add_hit(tokenizer_added_hits *hits, size_t at, int32_t pattern)
{
  if (hits->count == hits->capacity) {
    const size_t capacity = 2 * hits->capacity + 64;
    CDL_TRY(base_grow(&hits->data, capacity, sizeof *hits->data));
    hits->capacity = capacity;
  }
  hits->data[hits->count++] = (tokenizer_added_hit){.at = (uint32_t)at, .pattern = pattern};
  return CDL_STATUS_OK;
}

cdl_status tokenizer_added_start(const tokenizer_added_patterns *patterns, const uint8_t *text,
                                 size_t bytes, tokenizer_added_hits *hits,
                                 tokenizer_added_walk *walk)
{
  const tokenizer_trie *trie = &patterns->backwards;
  const size_t from = first_lead(patterns, text, bytes);
  hits->count = 0;
  if (bytes > UINT32_MAX)
    return cdl_fail(CDL_STATUS_MEMORY, "a text of %zu bytes is too long for a tokenizer", bytes);
  uint32_t node = 0;
  for (size_t at = bytes; at-- > from;) {
    uint32_t next;
    while ((next = node == 0 ? trie->first[text[at]]
                             : tokenizer_trie_child(trie, node, text[at])) == TOKENIZER_NO_NODE &&
           node != 0)
      node = patterns->fallback[node];
    node = next == TOKENIZER_NO_NODE ? 0 : next;
    if (patterns->longest[node] >= 0)
      CDL_TRY(add_hit(hits, at, patterns->longest[node]));
  }
  *walk = (tokenizer_added_walk){.patterns = patterns,
                                 .text = text,
                                 .bytes = bytes,
                                 .hits = hits->data,
                                 .hit_count = hits->count};
  return CDL_STATUS_OK;
}

/* Returns the leftmost longest pattern from `searched` on. */
static const tokenizer_added_pattern *find_pattern(tokenizer_added_walk *walk, size_t *begin)
{
  while (walk->hit_count > 0) {
    const tokenizer_added_hit *hit = &walk->hits[--walk->hit_count];
    if (hit->at < walk->searched)
      continue;
    const tokenizer_added_pattern *pattern = &walk->patterns->items[hit->pattern];
    walk->searched = hit->at + pattern->bytes;
    *begin = hit->at;
    return pattern;
  }
  return NULL;
}

static bool find_token(tokenizer_added_walk *walk)
{
  const tokenizer_added_pattern *pattern;
  size_t begin;
  while ((pattern = find_pattern(walk, &begin)) != NULL) {
    size_t end = begin + pattern->bytes;
    if (pattern->passed || (pattern->single_word && !stands_alone(walk, begin, end)))
      continue;
    while (pattern->lstrip && begin > walk->reached) {
      const size_t before = step_back(walk->text, begin);
      if (!tokenizer_is_space(character_at(walk->text, before)))
        break;
      begin = before;
    }
    while (pattern->rstrip && end < walk->bytes) {
      const uint8_t *behind = walk->text + end;
      if (!tokenizer_is_space(base_utf8_next(&behind)))
        break;
      end = (size_t)(behind - walk->text);
    }
    walk->token = (tokenizer_stretch){.begin = begin, .end = end, .id = pattern->id};
    return true;
  }
  return false;
}

bool tokenizer_added_next(tokenizer_added_walk *walk, tokenizer_stretch *stretch)
{
  if (!walk->found) {
    walk->found = find_token(walk);
    const size_t end = walk->found ? walk->token.begin : walk->bytes;
    if (walk->reached < end) {
      *stretch = (tokenizer_stretch){.begin = walk->reached, .end = end, .id = -1};
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
