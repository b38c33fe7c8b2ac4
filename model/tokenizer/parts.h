/* The parts of a tokenizer, between its files. A text goes through the normalizer's steps, is searched for added tokens,
 * goes through the pre-tokenizer's steps, and its pieces through the model; the post-processor sets special tokens around
 * the ids. Where the steps are those of BERT, RoBERTa or XLM-RoBERTa, a way of its own does the same faster.
 *   tokenizer.c             the public calls, the ways from text to ids, post-processing, truncation
 *   tokenizer_folder.c      which files of a folder are read, and what its class makes of them
 *   tokenizer_class.c       Transformers' classes
 *   tokenizer_specials.c    the special tokens that they add
 *   tokenizer_load.c        tokenizer.json: model, added tokens, post-processor
 *   tokenizer_load_unigram.c   its model where that is a unigram one
 *   tokenizer_load_steps.c  its normalizer and pre-tokenizer
 *   tokenizer_vocab_load.c  vocab.json + merges.txt, vocab.txt
 *   sentencepiece.c         sentencepiece.bpe.model
 *   tokenizer_settings.c    tokenizer_config.json, special_tokens_map.json, added_tokens.json as they are
 *   tokenizer_added.c       added tokens: what they are, and where they stand in a text
 *   tokenizer_vocabulary.c  token texts by id, ids by text
 *   tokenizer_scratch.c     buffers and the cache of words, one set a thread
 *   normalizer.c, pre_tokenizer.c   the steps; unicode_normal.c, charsmap.c, byte_level.c, text_pattern.c what they use
 *   pattern_translation.c, unicode_classes.c   a file's regular expressions, as PCRE2 reads them
 *   trie.c                  texts by their beginnings, for added tokens and unigram pieces
 *   wordpiece.c, bpe.c, unigram.c   the models; WordLevel is the vocabulary alone
 *   byte_bpe.c              RoBERTa's way: GPT-2's pieces, byte-level BPE */
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

/* A hash that is extended byte by byte, so that all prefixes of a word are hashed in one pass. */
#define TOKENIZER_HASH_START 0xcbf29ce484222325u
static inline uint64_t tokenizer_hash_step(uint64_t hash, uint8_t byte)
{
  hash = (hash ^ byte) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

typedef struct {
  uint32_t tag; /* upper half of the hash */
  int32_t id;   /* -1: empty */
} tokenizer_vocabulary_slot;

/* Texts map to ids one to one. */
typedef struct {
  base_bytes text;           /* NUL-terminated tokens */
  uint32_t *offset, *length; /* [id_capacity]; offset ~0: no such id */
  size_t id_capacity;
  int32_t id_end; /* the largest id + 1 */
  size_t count;
  size_t longest; /* bytes */
  tokenizer_vocabulary_slot *slots;
  size_t slot_count; /* a power of two */
} tokenizer_vocabulary;

enum { TOKENIZER_TOKEN_ID_END = 1 << 24 };

/* Errors: MEMORY; DATA where the text or the id is there already, or the id is not below TOKENIZER_TOKEN_ID_END; the message
 * names token and id, the caller adds the file. */
CDL_MUST_USE cdl_status tokenizer_vocabulary_add(tokenizer_vocabulary *vocabulary, const char *text,
                                                 size_t bytes, int64_t id);
/* The same for a text that may be there, whose earlier id is left without a text. */
CDL_MUST_USE cdl_status tokenizer_vocabulary_put(tokenizer_vocabulary *vocabulary, const char *text,
                                                 size_t bytes, int64_t id);
int32_t tokenizer_vocabulary_find(const tokenizer_vocabulary *vocabulary, const void *text,
                                  size_t bytes); /* -1: not there */
int32_t tokenizer_vocabulary_byte(const tokenizer_vocabulary *vocabulary,
                                  uint8_t byte); /* of <0x00> to <0xFF>; -1: not there */
const char *tokenizer_vocabulary_text(const tokenizer_vocabulary *vocabulary,
                                      int32_t id); /* NULL: not there */
void tokenizer_vocabulary_release(tokenizer_vocabulary *vocabulary);

/* ---- Cache of words: pieces of text whose ids are known ---- */

typedef struct {
  uint32_t tag, at; /* `at` in the arena: the word, then its ids if there are several */
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

/* Where a piece ends: the best path to there, and where its last piece begins. */
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

/* Appends the ids of a cached word; false when it is not cached. `bytes` > 0; `ids` has room. */
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
/* Remembers a word; forgets all others when full. */
void tokenizer_word_remember(tokenizer_word_cache *cache, uint64_t hash, const uint8_t *word,
                             size_t bytes, const int32_t *ids, size_t count);

/* ---- Added tokens ---- */

typedef struct {
  char *content;
  size_t bytes;
  bool special, normalized, single_word, lstrip, rstrip;
} tokenizer_added_token;

/* A text to look for. */
typedef struct {
  uint8_t *text; /* normalized where the token is */
  size_t bytes;
  int32_t id;
  bool single_word, lstrip, rstrip;
  bool passed; /* a special token, and those are not looked for */
} tokenizer_added_pattern;

/* The automaton of Aho and Corasick (1975) over the texts read from their ends: one pass from a text's end to its
 * beginning finds the longest pattern that begins at each place, in time that the text's length alone bounds. */
typedef struct {
  tokenizer_added_pattern *items;
  size_t count;
  tokenizer_trie backwards;
  uint32_t *
      fallback; /* [nodes] the longest other node that the node's text begins with, read forwards */
  int32_t *longest; /* [nodes] the item with the longest text that the node's begins with, or -1 */
  bool lead[256];   /* bytes that texts begin with */
  int only_lead;    /* the one first byte of them all, or -1 */
} tokenizer_added_patterns;

/* A token that is added again changes its flags, yet stays where it was looked for before. */
typedef struct {
  tokenizer_added_token token;
  int32_t id;
  bool special, in_raw, in_normal;
} tokenizer_added_entry;

typedef struct {
  tokenizer_added_entry *entries;
  size_t count, capacity;
  tokenizer_vocabulary names; /* content to place among the entries */
  int32_t last_id;            /* the largest, where there are entries */
  tokenizer_added_patterns raw, normal;
} tokenizer_added;

/* A stretch of text: an added token (id >= 0), or text between them (id < 0). */
typedef struct {
  size_t begin, end;
  int32_t id;
} tokenizer_stretch;

/* A walk through a text. */
typedef struct {
  const tokenizer_added_patterns *patterns;
  const uint8_t *text;
  size_t bytes;
  const tokenizer_added_hit *hits; /* [hit_count] those ahead, the next one last */
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

/* Ids of an unknown token: the model has none; it names one that the vocabulary lacks, which is an error in the text that
 * needs it. */
enum { TOKENIZER_UNKNOWN_NONE = -1, TOKENIZER_UNKNOWN_MISSING = -2 };

/* What the pre-tokenizer does with a byte of a word. */
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
      *continuing;         /* tokens that begin with the prefix, by the hash of what follows it */
  size_t continuing_count; /* a power of two */
  uint8_t kind[2][256],
      lower[2][256]; /* of bytes: of text as it is given, of text that is normalized already */
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
  bool add_prefix_space; /* of the pre-tokenizer, where that is ByteLevel alone */
  char *prefix, *suffix; /* of characters that do not begin, and that end, a piece */
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
  tokenizer_trie trie; /* of the pieces: their ids */
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
  size_t tokens; /* that are special ones */
} tokenizer_template;

/* Ways from text to ids. */
typedef enum {
  TOKENIZER_WAY_STEPS,    /* step by step: any tokenizer */
  TOKENIZER_WAY_BERT,     /* BERT's normalizer, if any, its pre-tokenizer, and WordPiece */
  TOKENIZER_WAY_BYTES,    /* ByteLevel and byte pair encoding */
  TOKENIZER_WAY_METASPACE /* Metaspace, perhaps behind WhitespaceSplit, and a unigram model */
} tokenizer_way;

/* Files and settings describe it; tokenizer_compile makes it ready for use. */
struct cdl_tokenizer {
  uint64_t stamp; /* no two tokenizers that were open in a process share it */
  tokenizer_model_kind kind;
  tokenizer_vocabulary vocabulary; /* the model's own */
  tokenizer_vocabulary extra;      /* added tokens that the model does not have */
  tokenizer_added added;
  tokenizer_bert_normalizer normalizer; /* where the normalizer is BERT's alone, not in a list */
  tokenizer_normalizer normal_steps;
  tokenizer_pre_tokenizer pre_tokenizer;
  enum {
    TOKENIZER_PRE_STEPS,
    TOKENIZER_PRE_BERT,
    TOKENIZER_PRE_BYTE_LEVEL
  } pre_kind; /* what it is alone, not in a list */
  tokenizer_way way;
  int32_t word_unknown; /* of WordLevel */
  tokenizer_wordpiece wordpiece;
  tokenizer_bpe bpe;
  tokenizer_unigram unigram;
  tokenizer_template single, pair;
  bool truncates_left; /* the first ids of a text go, not the last */
  bool splits_special; /* special tokens in a text are not looked for */
  bool types_zero;     /* the class gives the model no token types */
};

/* ---- Between the files ---- */

/* `root` is tokenizer.json's, `path` for messages. */
CDL_MUST_USE cdl_status tokenizer_load_json(const char *path, const json_t *root,
                                            cdl_tokenizer *tokenizer);
/* The unigram model of tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_unigram_load(const char *path, const json_t *model,
                                               cdl_tokenizer *tokenizer);
/* The normalizer and pre-tokenizer of tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_load_steps(const char *path, const json_t *root,
                                             cdl_tokenizer *tokenizer);
/* Forms without a tokenizer.json; special tokens and post-processing are left to the caller. `path` is the file's.
 * `fairseq`: the pieces that stand for the first of sentencepiece.bpe.model. */
typedef enum { TOKENIZER_FAIRSEQ_XLM_ROBERTA, TOKENIZER_FAIRSEQ_CAMEMBERT } tokenizer_fairseq;
CDL_MUST_USE cdl_status tokenizer_load_sentencepiece(const char *path, tokenizer_fairseq fairseq,
                                                     cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status tokenizer_load_bpe(const char *vocabulary, const char *merges,
                                           cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status tokenizer_load_wordpiece(const char *path, const char *unknown,
                                                 cdl_tokenizer *tokenizer);
/* The tokenizer of a folder, all but what is prepared once everything is known. */
CDL_MUST_USE cdl_status tokenizer_load(const char *folder, cdl_tokenizer *tokenizer);
/* Makes the normalizer's steps of BERT's settings, where those are the normalizer; again when they change. */
CDL_MUST_USE cdl_status tokenizer_settle_normalizer(cdl_tokenizer *tokenizer);
/* Whether there is a normalizer; the normalized text, in place of what `out` holds. See tokenizer_normalizer_apply. */
bool tokenizer_normalizes(const cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status tokenizer_normalize(const cdl_tokenizer *tokenizer,
                                            tokenizer_scratch *scratch, const uint8_t *text,
                                            size_t bytes, size_t *origin, base_bytes *out);
/* DATA where the unknown token is needed and missing. */
CDL_MUST_USE cdl_status tokenizer_check_unknown(int32_t unknown);
/* Special tokens of a post-processor must be in the vocabulary. `path` is for messages. */
CDL_MUST_USE cdl_status tokenizer_template_check(const cdl_tokenizer *tokenizer, const char *path,
                                                 const char *text, int64_t id);
/* The usual post-processing: [CLS] A [SEP] B [SEP] with type ids 0 and 1, or <s> A </s></s> B </s> with type ids 0. */
CDL_MUST_USE cdl_status tokenizer_template_usual(cdl_tokenizer *tokenizer, bool roberta,
                                                 int32_t begin, int32_t end);
CDL_MUST_USE cdl_status tokenizer_template_add(tokenizer_template *to, int kind, int32_t id,
                                               int32_t type_id);

/* `declared_id` -1: not declared. Errors: MEMORY; DATA where the id is not the one that the token gets. */
CDL_MUST_USE cdl_status tokenizer_added_add(cdl_tokenizer *tokenizer,
                                            const tokenizer_added_token *token,
                                            int64_t declared_id);
int32_t tokenizer_find(const cdl_tokenizer *tokenizer, const char *text,
                       size_t bytes); /* -1: no such token */
/* Whether all flags are the same. */
bool tokenizer_added_same(const tokenizer_added_token *a, const tokenizer_added_token *b);
const tokenizer_added_entry *tokenizer_added_find(const tokenizer_added *added, const char *content,
                                                  size_t bytes);
/* Once all tokens are there and the normalizer is known. */
CDL_MUST_USE cdl_status tokenizer_added_prepare(cdl_tokenizer *tokenizer);
void tokenizer_added_release(tokenizer_added *added);
/* Starts a walk; `hits` is its own until it ends. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_added_start(const tokenizer_added_patterns *patterns,
                                              const uint8_t *text, size_t bytes,
                                              tokenizer_added_hits *hits,
                                              tokenizer_added_walk *walk);
/* The next stretch; false at the end of the text. */
bool tokenizer_added_next(tokenizer_added_walk *walk, tokenizer_stretch *stretch);

/* Once the vocabulary is known. */
CDL_MUST_USE cdl_status tokenizer_wordpiece_prepare(cdl_tokenizer *tokenizer, const char *prefix,
                                                    size_t word_characters_max, int32_t unknown);
void tokenizer_wordpiece_prepare_bytes(cdl_tokenizer *tokenizer); /* once the normalizer is known */
void tokenizer_wordpiece_release(tokenizer_wordpiece *model);
/* Appends the ids of a word. */
CDL_MUST_USE cdl_status tokenizer_wordpiece_encode_word(const cdl_tokenizer *tokenizer,
                                                        tokenizer_scratch *scratch,
                                                        const uint8_t *word, size_t bytes,
                                                        base_ids *ids);
/* Appends the ids of text without added tokens; `normal`: it is normalized already. */
CDL_MUST_USE cdl_status tokenizer_wordpiece_encode(const cdl_tokenizer *tokenizer,
                                                   tokenizer_scratch *scratch, const uint8_t *text,
                                                   size_t bytes, bool normal, base_ids *ids);

typedef struct {
  const char *left, *right;
  size_t left_bytes, right_bytes;
} tokenizer_merge_text;

/* Once the vocabulary and the model's prefix are known; merges in order of rank. Of a pair that is there twice the last
 * rank counts, or the first. */
CDL_MUST_USE cdl_status tokenizer_bpe_prepare(cdl_tokenizer *tokenizer,
                                              const tokenizer_merge_text *merges, size_t count,
                                              bool last_counts);
void tokenizer_bpe_release(tokenizer_bpe *model);
/* Appends the ids of a piece; `raw`: each byte stands for its character in the byte-level alphabet. */
CDL_MUST_USE cdl_status tokenizer_bpe_encode(const cdl_tokenizer *tokenizer,
                                             tokenizer_scratch *scratch, const uint8_t *piece,
                                             size_t bytes, bool raw, base_ids *ids);
/* Appends the ids of normalized text without added tokens. */
CDL_MUST_USE cdl_status tokenizer_byte_bpe_encode(const cdl_tokenizer *tokenizer,
                                                  tokenizer_scratch *scratch, const uint8_t *text,
                                                  size_t bytes, base_ids *ids);

/* The next piece, whose id is the number of those before; of equal pieces the last counts. Errors: MEMORY; DATA, without a
 * path. */
CDL_MUST_USE cdl_status tokenizer_unigram_add(cdl_tokenizer *tokenizer, const char *piece,
                                              size_t bytes, double score);
CDL_MUST_USE cdl_status
tokenizer_unigram_prepare(cdl_tokenizer *tokenizer); /* once all pieces are there */
void tokenizer_unigram_release(tokenizer_unigram *model);
/* Appends the ids of a piece. */
CDL_MUST_USE cdl_status tokenizer_unigram_encode_piece(const cdl_tokenizer *tokenizer,
                                                       tokenizer_scratch *scratch,
                                                       const uint8_t *piece, size_t bytes,
                                                       base_ids *ids);
/* Appends the ids of normalized text without added tokens, of which the first `origin` bytes come from the given text's
 * first character. */
CDL_MUST_USE cdl_status tokenizer_unigram_encode(const cdl_tokenizer *tokenizer,
                                                 tokenizer_scratch *scratch, const uint8_t *text,
                                                 size_t bytes, size_t origin, base_ids *ids);

#endif
