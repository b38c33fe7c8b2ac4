#include "model/tokenizer/trie.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const void *left, const void *right)
{
  const tokenizer_trie_key *a = left, *b = right;
  const size_t shorter = a->bytes < b->bytes ? a->bytes : b->bytes;
  const int order = shorter != 0 ? memcmp(a->text, b->text, shorter) : 0;
  if (order != 0)
    return order;
  if (a->bytes != b->bytes)
    return a->bytes > b->bytes ? 1 : -1;
  return (a->value > b->value) - (a->value < b->value);
}

/* The keys that begin with a node's text. */
typedef struct {
  uint32_t low, high;
} span;

/* Appends the children of `node`, whose text has `depth` bytes, after the existing nodes. */
static void add_children(tokenizer_trie *trie, const tokenizer_trie_key *keys, span *spans,
                         size_t node, size_t depth)
{
  uint32_t at = spans[node].low;
  const uint32_t end = spans[node].high;
  trie->children[node] = (uint32_t)trie->nodes;
  trie->values[node] = -1;
  for (; at < end && keys[at].bytes == depth; at++)
    trie->values[node] = keys[at].value;
  while (at < end) {
    const uint8_t byte = keys[at].text[depth];
    const uint32_t low = at;
    while (at < end && keys[at].text[depth] == byte)
      at++;
    spans[trie->nodes] = (span){.low = low, .high = at};
    trie->bytes[trie->nodes++] = byte;
  }
}

cdl_status tokenizer_trie_build(tokenizer_trie *trie, tokenizer_trie_key *keys, size_t count)
{
  *trie = (tokenizer_trie){0};
  size_t nodes = 1; /* at most one per byte, and the root */
  for (size_t i = 0; i < count; i++)
    nodes += keys[i].bytes;
  if (nodes >= UINT32_MAX / 2)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu texts of %zu bytes", count, nodes);
  span *spans = malloc(nodes * sizeof *spans);
  trie->children = malloc((nodes + 1) * sizeof *trie->children);
  trie->values = malloc(nodes * sizeof *trie->values);
  trie->bytes = malloc(nodes);
  if (spans == NULL || trie->children == NULL || trie->values == NULL || trie->bytes == NULL) {
    free(spans);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu texts", count);
  }
  if (count != 0)
    qsort(keys, count, sizeof *keys, by_text);
  trie->bytes[0] = 0;
  trie->nodes = 1;
  spans[0] = (span){.low = 0, .high = (uint32_t)count};
  for (size_t node = 0, depth = 0, level_end = 1; node < trie->nodes; node++) {
    if (node == level_end) {
      level_end = trie->nodes;
      depth++;
    }
    add_children(trie, keys, spans, node, depth);
  }
  trie->children[trie->nodes] = (uint32_t)trie->nodes;
  free(spans);
  for (size_t byte = 0; byte < 256; byte++)
    trie->first[byte] = tokenizer_trie_child(trie, 0, (uint8_t)byte);
  return CDL_STATUS_OK;
}

void tokenizer_trie_release(tokenizer_trie *trie)
{
  free(trie->children);
  free(trie->values);
  free(trie->bytes);
  *trie = (tokenizer_trie){0};
}
