/* A trie over the bytes of texts, stored level by level, so that the children of neighbours are
 * neighbours. Node 0 is the empty text. */
#ifndef CONDLORA_MODEL_TOKENIZER_TRIE_H
#define CONDLORA_MODEL_TOKENIZER_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

#define TOKENIZER_NO_NODE UINT32_MAX

/* The children of node n are children[n] to children[n + 1], in order of `bytes`. */
typedef struct {
  uint32_t *children;  /* [nodes + 1] */
  int32_t *values;     /* [nodes] value of the text that ends here, or -1 */
  uint8_t *bytes;      /* [nodes] the byte that leads to the node */
  uint32_t first[256]; /* the root's children, or TOKENIZER_NO_NODE */
  size_t nodes;
} tokenizer_trie;

typedef struct {
  const uint8_t *text;
  size_t bytes;
  int32_t value; /* >= 0; of equal texts the largest value counts */
} tokenizer_trie_key;

/* Sorts `keys`. Errors: MEMORY. Release with tokenizer_trie_release, even after an error. */
CDL_MUST_USE cdl_status tokenizer_trie_build(tokenizer_trie *trie, tokenizer_trie_key *keys,
                                             size_t count);
void tokenizer_trie_release(tokenizer_trie *trie);

/* Returns the child of a node by a byte, or TOKENIZER_NO_NODE. */
static inline uint32_t tokenizer_trie_child(const tokenizer_trie *trie, uint32_t node, uint8_t byte)
{
  uint32_t low = trie->children[node], high = trie->children[node + 1];
  const uint32_t end = high;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (trie->bytes[middle] < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low < end && trie->bytes[low] == byte ? low : TOKENIZER_NO_NODE;
}

#endif
