/* The parts of a tokenizer, shared by its files. A text goes through the normalizer's steps, is
 * searched for added tokens, and goes through the pre-tokenizer's steps; the model encodes its
 * pieces, and the post-processor puts special tokens around the ids. If the steps are those of
 * BERT, RoBERTa or XLM-RoBERTa, special code does the same faster.
 *   tokenizer.c      the public calls, the ways from text to ids, post-processing, truncation
 *   folder.c         which files of a folder are read, and what its class makes of them
 *   class.c          Transformers' classes
 *   specials.c       the special tokens that they add
 *   load.c           tokenizer.json: model, added tokens, post-processor
 *   load_unigram.c   its unigram model
 *   load_steps.c     its normalizer and pre-tokenizer
 *   vocab_load.c     vocab.json + merges.txt, vocab.txt
 *   sentencepiece.c  sentencepiece.bpe.model
 *   settings.c       tokenizer_config.json, special_tokens_map.json, added_tokens.json
 *   added.c          added tokens: their properties, and their places in a text
 *   vocabulary.c     token texts by id, ids by text
 *   scratch.c        buffers and the cache of words, one set per thread
 *   normalizer.c, pre_tokenizer.c   the steps, with unicode_normal.c, charsmap.c, byte_level.c and
 *   text_pattern.c
 *   pattern_translation.c, unicode_classes.c   a file's regular expressions in PCRE2's syntax
 *   trie.c           texts by their beginnings, for added tokens and unigram pieces
 *   wordpiece.c, bpe.c, unigram.c   the models; WordLevel is only the vocabulary
 *   byte_bpe.c       RoBERTa's special code: GPT-2's pieces, byte-level BPE */
#ifndef CONDLORA_MODEL_TOKENIZER_PARTS_H
#define CONDLORA_MODEL_TOKENIZER_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/growing.h"
#include "condlora/tokenizer.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/trie.h"

/* ---- Vocabulary ---- */

/* A hash that is extended byte by byte, so that one pass hashes all prefixes of a word. */
#define TOKENIZER_HASH_START 0xcbf29ce484222325u
static inline uint64_t tokenizer_hash_step(uint64_t hash, uint8_t byte)
{
  hash = (hash ^ byte) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

typedef struct {
  uint32_t tag; /* the upper half of the hash */
  int32_t id;   /* -1: empty */
} tokenizer_vocabulary_slot;

/* Texts and ids, one to one. */
typedef struct {
  base_bytes text;           /* NUL-terminated tokens */
  uint32_t *offset, *length; /* [id_capacity]; offset ~0: no such id */
  size_t id_capacity;
  int32_t id_end; /* the largest id + 1 */
  size_t count;
  size_t longest; /* in bytes */
  tokenizer_vocabulary_slot *slots;
  size_t slot_count; /* a power of two */
} tokenizer_vocabulary;

enum { TOKENIZER_TOKEN_ID_END = 1 << 24 };

/* Errors: MEMORY; DATA if the text or the id exists already, or the id is not below
 * TOKENIZER_TOKEN_ID_END. The message names token and id; the caller adds the file. */
CDL_MUST_USE cdl_status tokenizer_vocabulary_add(tokenizer_vocabulary *vocabulary, const char *text,
                                                 size_t bytes, int64_t id);
/* The same for a text that may exist; its earlier id then has no text. */
CDL_MUST_USE cdl_status tokenizer_vocabulary_put(tokenizer_vocabulary *vocabulary, const char *text,
                                                 size_t bytes, int64_t id);
int32_t tokenizer_vocabulary_find(const tokenizer_vocabulary *vocabulary, const void *text,
                                  size_t bytes); /* -1: not found */
int32_t tokenizer_vocabulary_byte(const tokenizer_vocabulary *vocabulary,
                                  uint8_t byte); /* of <0x00> to <0xFF>; -1: not found */
const char *tokenizer_vocabulary_text(const tokenizer_vocabulary *vocabulary,
                                      int32_t id); /* NULL: not found */
void tokenizer_vocabulary_release(tokenizer_vocabulary *vocabulary);

/* ---- Cache of words: pieces of text whose ids are known ---- */

typedef struct {
  uint32_t tag, at; /* `at` in the arena: the word, followed by its ids if there are several */
  uint16_t bytes, count;
  int32_t first;
} tokenizer_word;

enum {
  TOKENIZER_CACHED_WORD_BYTES = 128,
  TOKENIZER_WORD_SLOTS = 1 << 15,
  TOKENIZER_WORD_PROBES = 8,
  TOKENIZER_WORD_ARENA = 1 << 20
};

typedef struct {
  tokenizer_word *slots; /* [TOKENIZER_WORD_SLOTS], NULL until first used */
  uint8_t *arena;        /* [TOKENIZER_WORD_ARENA] */
  size_t used, arena_used;
} tokenizer_word_cache;

/* ---- Scratch: what one encoding keeps from call to call ---- */

typedef struct {
  int32_t symbol;
  uint32_t previous, next;
} tokenizer_bpe_symbol;

typedef struct {
  uint32_t rank, position;
} tokenizer_bpe_candidate;

/* A place in a text at which an added token's pattern begins. */
typedef struct {
  uint32_t at;
  int32_t pattern;
} tokenizer_added_hit;

typedef struct {
  tokenizer_added_hit *data;
  size_t count, capacity;
} tokenizer_added_hits;

/* The end of a piece: the best path to it, and the start of its last piece. */
typedef struct {
  double score;
  int32_t id;
  uint32_t from;
} tokenizer_path_node;

typedef struct {
  uint64_t owner; /* stamp of the tokenizer that filled the cache */
  base_bytes clean, spaced, normal, word;
  base_points tags; /* hashes of a word's beginnings */
  tokenizer_normal_scratch normalizing;
  tokenizer_cut_scratch cutting;
  base_ids first, second;
  tokenizer_added_hits raw_hits, normal_hits;
  tokenizer_word_cache cache;
  tokenizer_bpe_symbol *symbols;
  size_t symbol_capacity;
  tokenizer_bpe_candidate *heap;
  size_t heap_count, heap_capacity;
  tokenizer_path_node *path;
  size_t path_capacity;
  size_t result_capacity; /* of the encoding's ids and type_ids */
} tokenizer_scratch;

void tokenizer_scratch_release(tokenizer_scratch *scratch);

/* Appends the ids of a cached word; false if it is not cached. `bytes` > 0; `ids` has room. */
static inline uint64_t tokenizer_word_hash(const uint8_t *word, size_t bytes)
{
  uint64_t a, b = 0;
  if (bytes >= 8) {
    memcpy(&a, word, 8);
    memcpy(&b, word + bytes - 8, 8);
    for (size_t i = 8; i + 8 < bytes; i += 8) {
      uint64_t middle;
      memcpy(&middle, word + i, 8);
      a = (a ^ middle) * 0x9e3779b97f4a7c15u;
      a ^= a >> 32;
    }
  } else if (bytes >= 4) {
    uint32_t low, high;
    memcpy(&low, word, 4);
    memcpy(&high, word + bytes - 4, 4);
    a = low | (uint64_t)high << 32;
  } else {
    a = word[0] | (uint64_t)word[bytes / 2] << 8 | (uint64_t)word[bytes - 1] << 16;
  }
  uint64_t hash = (a ^ bytes << 56) * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 32;
  hash = (hash ^ b) * 0xd6e8feb86659fd93u;
  return hash ^ hash >> 32;
}

static inline bool tokenizer_word_same(const uint8_t *a, const uint8_t *b, size_t bytes)
{
  if (bytes >= 8) {
    for (size_t i = 0; i + 8 < bytes; i += 8)
      if (memcmp(a + i, b + i, 8) != 0)
        return false;
    return memcmp(a + bytes - 8, b + bytes - 8, 8) == 0;
  }
  if (bytes >= 4)
    return memcmp(a, b, 4) == 0 && memcmp(a + bytes - 4, b + bytes - 4, 4) == 0;
  return a[0] == b[0] && a[bytes / 2] == b[bytes / 2] && a[bytes - 1] == b[bytes - 1];
}

static inline bool tokenizer_word_recall(const tokenizer_word_cache *cache, uint64_t hash,
                                         const uint8_t *word, size_t bytes, base_ids *ids)
{
  const uint32_t tag = (uint32_t)(hash >> 32);
  for (size_t probe = 0; probe < TOKENIZER_WORD_PROBES; probe++) {
    const tokenizer_word *slot = &cache->slots[(hash + probe) % TOKENIZER_WORD_SLOTS];
    if (slot->bytes == 0)
      return false;
    if (slot->tag != tag || slot->bytes != bytes ||
        !tokenizer_word_same(cache->arena + slot->at, word, bytes))
      continue;
    if (slot->count == 1)
      ids->data[ids->count++] = slot->first;
    else if (slot->count != 0) {
      memcpy(ids->data + ids->count, cache->arena + slot->at + bytes,
             slot->count * sizeof(int32_t));
      ids->count += slot->count;
    }
    return true;
  }
  return false;
}

void tokenizer_word_forget(tokenizer_word_cache *cache); /* all words */
/* Adds a word to the cache, which is emptied first if it is full. */
void tokenizer_word_remember(tokenizer_word_cache *cache, uint64_t hash, const uint8_t *word,
                             size_t bytes, const int32_t *ids, size_t count);

/* ---- Added tokens ---- */

typedef struct {
  char *content;
  size_t bytes;
  bool special, normalized, single_word, lstrip, rstrip;
} tokenizer_added_token;

/* A text to search for. */
typedef struct {
  uint8_t *text; /* normalized if the token is */
  size_t bytes;
  int32_t id;
  bool single_word, lstrip, rstrip;
  bool passed; /* a special token, if those are not searched for */
} tokenizer_added_pattern;

/* The automaton of Aho and Corasick (1975) over the texts read backwards. One pass from a text's
 * end to its beginning finds the longest pattern that begins at each place, in time bounded by the
 * text's length alone. */
typedef struct {
  tokenizer_added_pattern *items;
  size_t count;
  tokenizer_trie backwards;
  /* [nodes] the longest other node that is a beginning of the node's text, read forwards */
  uint32_t *fallback;
  /* [nodes] the item with the longest text that the node's text begins with, or -1 */
  int32_t *longest;
  bool lead[256]; /* first bytes of the texts */
  int only_lead;  /* the one first byte of all texts, or -1 */
} tokenizer_added_patterns;

/* A token that is added again gets the new flags, but keeps its place in the search. */
typedef struct {
  tokenizer_added_token token;
  int32_t id;
  bool special, in_raw, in_normal;
} tokenizer_added_entry;

typedef struct {
  tokenizer_added_entry *entries;
  size_t count, capacity;
  tokenizer_vocabulary names; /* from content to place among the entries */
  int32_t last_id;            /* the largest one, if there are entries */
  tokenizer_added_patterns raw, normal;
} tokenizer_added;

/* A part of a text: an added token (id >= 0), or the text between two (id < 0). */
typedef struct {
  size_t begin, end;
  int32_t id;
} tokenizer_stretch;

/* An iteration over the parts of a text. */
typedef struct {
  const tokenizer_added_patterns *patterns;
  const uint8_t *text;
  size_t bytes;
  const tokenizer_added_hit *hits; /* [hit_count] those that remain, the next one last */
  size_t hit_count;
  size_t searched, reached;
  bool found; /* `token` comes next */
  tokenizer_stretch token;
} tokenizer_added_walk;

/* ---- The tokenizer ---- */

typedef enum {
  TOKENIZER_MODEL_WORDPIECE,
  TOKENIZER_MODEL_BPE,
  TOKENIZER_MODEL_UNIGRAM,
  TOKENIZER_MODEL_WORDLEVEL
} tokenizer_model_kind;

/* Ids of an unknown token: the model has none; or it names one that the vocabulary lacks, which is
 * an error in a text that needs it. */
enum { TOKENIZER_UNKNOWN_NONE = -1, TOKENIZER_UNKNOWN_MISSING = -2 };

/* The pre-tokenizer's treatment of a byte of a word. */
enum {
  TOKENIZER_BYTE_WORD,
  TOKENIZER_BYTE_SPACE,
  TOKENIZER_BYTE_PUNCTUATION,
  TOKENIZER_BYTE_DROPPED,
  TOKENIZER_BYTE_WIDE
};

typedef struct {
  int32_t unknown;
  char *prefix; /* "##" */
  size_t prefix_bytes;
  size_t word_characters_max;
  tokenizer_vocabulary_slot
      *continuing;         /* tokens that begin with the prefix, by the hash of the rest */
  size_t continuing_count; /* a power of two */
  uint8_t kind[2][256],
      lower[2][256]; /* of bytes: of original text, and of text that is already normalized */
} tokenizer_wordpiece;

typedef struct {
  int32_t left, right; /* left -1: empty */
  uint32_t rank;
} tokenizer_bpe_merge;

typedef struct {
  int32_t symbol[256];     /* of a byte's character; -1: not in the vocabulary */
  int32_t byte_token[256]; /* <0x00> and so on; -1: not in the vocabulary */
  int32_t unknown;
  bool fuse_unknown, ignore_merges, byte_fallback;
  bool add_prefix_space; /* of the pre-tokenizer, if it is a single ByteLevel */
  char *prefix, *suffix; /* of characters that do not begin a piece, and of those that end one */
  size_t prefix_bytes, suffix_bytes;
  tokenizer_bpe_merge *merges;
  size_t merge_count; /* slots, a power of two */
  int32_t *merged;    /* [rank] */
} tokenizer_bpe;

typedef struct {
  int32_t unknown;
  double unknown_score;
  double *scores; /* [id] */
  size_t score_capacity;
  tokenizer_trie trie; /* of the pieces, to their ids */
  bool byte_fallback;
  int32_t byte_token[256]; /* <0x00> and so on; -1: not in the vocabulary */
} tokenizer_unigram;

typedef struct {
  enum { TOKENIZER_PIECE_FIRST, TOKENIZER_PIECE_SECOND, TOKENIZER_PIECE_TOKEN } kind;
  int32_t id, type_id;
} tokenizer_template_piece;

typedef struct {
  tokenizer_template_piece *pieces;
  size_t count;
  size_t tokens; /* number of special ones */
} tokenizer_template;

/* Ways from text to ids. */
typedef enum {
  TOKENIZER_WAY_STEPS,    /* step by step: any tokenizer */
  TOKENIZER_WAY_BERT,     /* BERT's normalizer, if any, its pre-tokenizer, and WordPiece */
  TOKENIZER_WAY_BYTES,    /* ByteLevel and byte pair encoding */
  TOKENIZER_WAY_METASPACE /* Metaspace, alone or after WhitespaceSplit, and a unigram model */
} tokenizer_way;

/* Files and settings fill it; tokenizer_compile makes it ready for use. */
struct cdl_tokenizer {
  uint64_t stamp; /* different for any two tokenizers of a process */
  tokenizer_model_kind kind;
  tokenizer_vocabulary vocabulary; /* the model's own tokens */
  tokenizer_vocabulary extra;      /* added tokens that the model does not have */
  tokenizer_added added;
  /* if the normalizer is a single BertNormalizer, not in a list */
  tokenizer_bert_normalizer normalizer;
  tokenizer_normalizer normal_steps;
  tokenizer_pre_tokenizer pre_tokenizer;
  enum {
    TOKENIZER_PRE_STEPS,
    TOKENIZER_PRE_BERT,
    TOKENIZER_PRE_BYTE_LEVEL
  } pre_kind; /* what it is if it is single, not in a list */
  tokenizer_way way;
  int32_t word_unknown; /* of WordLevel */
  tokenizer_wordpiece wordpiece;
  tokenizer_bpe bpe;
  tokenizer_unigram unigram;
  tokenizer_template single, pair;
  bool truncates_left; /* removes the first ids of a text, not the last */
  bool splits_special; /* special tokens in a text are not searched for */
  bool types_zero;     /* the class gives the model no token types */
};

/* ---- Between the files ---- */

/* `root` is tokenizer.json's, `path` for messages. */
CDL_MUST_USE cdl_status tokenizer_load_json(const char *path, const json_t *root,
                                            cdl_tokenizer *tokenizer);
/* Reads the unigram model of tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_unigram_load(const char *path, const json_t *model,
                                               cdl_tokenizer *tokenizer);
/* Reads the normalizer and pre-tokenizer of tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_load_steps(const char *path, const json_t *root,
                                             cdl_tokenizer *tokenizer);
/* Readers for folders without a tokenizer.json. The caller adds special tokens and post-processing.
 * `path` is the file's. `fairseq`: the pieces that replace the first ones of
 * sentencepiece.bpe.model. */
typedef enum { TOKENIZER_FAIRSEQ_XLM_ROBERTA, TOKENIZER_FAIRSEQ_CAMEMBERT } tokenizer_fairseq;
CDL_MUST_USE cdl_status tokenizer_load_sentencepiece(const char *path, tokenizer_fairseq fairseq,
                                                     cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status tokenizer_load_bpe(const char *vocabulary, const char *merges,
                                           cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status tokenizer_load_wordpiece(const char *path, const char *unknown,
                                                 cdl_tokenizer *tokenizer);
/* Reads the tokenizer of a folder, except what tokenizer_compile prepares. */
CDL_MUST_USE cdl_status tokenizer_load(const char *folder, cdl_tokenizer *tokenizer);
/* Makes the normalizer's steps from BERT's settings, if it is BERT's; call again after they
 * change. */
CDL_MUST_USE cdl_status tokenizer_settle_normalizer(cdl_tokenizer *tokenizer);
/* Whether there is a normalizer; writes the normalized text in place of the contents of `out`. See
 * tokenizer_normalizer_apply. */
bool tokenizer_normalizes(const cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status tokenizer_normalize(const cdl_tokenizer *tokenizer,
                                            tokenizer_scratch *scratch, const uint8_t *text,
                                            size_t bytes, size_t *origin, base_bytes *out);
/* Fails with DATA if the unknown token is needed and missing. */
CDL_MUST_USE cdl_status tokenizer_check_unknown(int32_t unknown);
/* Checks that a post-processor's special tokens are in the vocabulary. `path` is for messages. */
CDL_MUST_USE cdl_status tokenizer_template_check(const cdl_tokenizer *tokenizer, const char *path,
                                                 const char *text, int64_t id);
/* Sets the usual post-processing: [CLS] A [SEP] B [SEP] with type ids 0 and 1, or <s> A </s></s> B
 * </s> with type ids 0. */
CDL_MUST_USE cdl_status tokenizer_template_usual(cdl_tokenizer *tokenizer, bool roberta,
                                                 int32_t begin, int32_t end);
CDL_MUST_USE cdl_status tokenizer_template_add(tokenizer_template *to, int kind, int32_t id,
                                               int32_t type_id);

/* `declared_id` -1: not declared. Errors: MEMORY; DATA if the declared id differs from the one that
 * the token gets. */
CDL_MUST_USE cdl_status tokenizer_added_add(cdl_tokenizer *tokenizer,
                                            const tokenizer_added_token *token,
                                            int64_t declared_id);
int32_t tokenizer_find(const cdl_tokenizer *tokenizer, const char *text,
                       size_t bytes); /* -1: no such token */
/* Returns whether all flags are the same. */
bool tokenizer_added_same(const tokenizer_added_token *a, const tokenizer_added_token *b);
const tokenizer_added_entry *tokenizer_added_find(const tokenizer_added *added, const char *content,
                                                  size_t bytes);
/* Call when all tokens and the normalizer are known. */
CDL_MUST_USE cdl_status tokenizer_added_prepare(cdl_tokenizer *tokenizer);
void tokenizer_added_release(tokenizer_added *added);
/* Starts an iteration, which owns `hits` until it ends. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_added_start(const tokenizer_added_patterns *patterns,
                                              const uint8_t *text, size_t bytes,
                                              tokenizer_added_hits *hits,
                                              tokenizer_added_walk *walk);
/* Gives the next part; false at the end of the text. */
bool tokenizer_added_next(tokenizer_added_walk *walk, tokenizer_stretch *stretch);

/* Call when the vocabulary is known. */
CDL_MUST_USE cdl_status tokenizer_wordpiece_prepare(cdl_tokenizer *tokenizer, const char *prefix,
                                                    size_t word_characters_max, int32_t unknown);
/* Call when the normalizer is known. */
void tokenizer_wordpiece_prepare_bytes(cdl_tokenizer *tokenizer);
void tokenizer_wordpiece_release(tokenizer_wordpiece *model);
/* Appends the ids of a word. */
CDL_MUST_USE cdl_status tokenizer_wordpiece_encode_word(const cdl_tokenizer *tokenizer,
                                                        tokenizer_scratch *scratch,
                                                        const uint8_t *word, size_t bytes,
                                                        base_ids *ids);
/* Appends the ids of text without added tokens; `normal`: it is already normalized. */
CDL_MUST_USE cdl_status tokenizer_wordpiece_encode(const cdl_tokenizer *tokenizer,
                                                   tokenizer_scratch *scratch, const uint8_t *text,
                                                   size_t bytes, bool normal, base_ids *ids);

typedef struct {
  const char *left, *right;
  size_t left_bytes, right_bytes;
} tokenizer_merge_text;

/* Call when the vocabulary and the model's prefix are known, with merges in order of rank. For a
 * pair that occurs twice the last rank counts, or the first. */
CDL_MUST_USE cdl_status tokenizer_bpe_prepare(cdl_tokenizer *tokenizer,
                                              const tokenizer_merge_text *merges, size_t count,
                                              bool last_counts);
void tokenizer_bpe_release(tokenizer_bpe *model);
/* Appends the ids of a piece; `raw`: each byte means its character in the byte-level alphabet. */
CDL_MUST_USE cdl_status tokenizer_bpe_encode(const cdl_tokenizer *tokenizer,
                                             tokenizer_scratch *scratch, const uint8_t *piece,
                                             size_t bytes, bool raw, base_ids *ids);
/* Appends the ids of normalized text without added tokens. */
CDL_MUST_USE cdl_status tokenizer_byte_bpe_encode(const cdl_tokenizer *tokenizer,
                                                  tokenizer_scratch *scratch, const uint8_t *text,
                                                  size_t bytes, base_ids *ids);

/* Adds the next piece, whose id is the number of earlier ones; of equal pieces the last counts.
 * Errors: MEMORY; DATA, without a path. */
CDL_MUST_USE cdl_status tokenizer_unigram_add(cdl_tokenizer *tokenizer, const char *piece,
                                              size_t bytes, double score);
CDL_MUST_USE cdl_status
tokenizer_unigram_prepare(cdl_tokenizer *tokenizer); /* call when all pieces are added */
void tokenizer_unigram_release(tokenizer_unigram *model);
/* Appends the ids of a piece. */
CDL_MUST_USE cdl_status tokenizer_unigram_encode_piece(const cdl_tokenizer *tokenizer,
                                                       tokenizer_scratch *scratch,
                                                       const uint8_t *piece, size_t bytes,
                                                       base_ids *ids);
/* Appends the ids of normalized text without added tokens. Its first `origin` bytes come from the
 * original text's first character. */
CDL_MUST_USE cdl_status tokenizer_unigram_encode(const cdl_tokenizer *tokenizer,
                                                 tokenizer_scratch *scratch, const uint8_t *text,
                                                 size_t bytes, size_t origin, base_ids *ids);

#endif
