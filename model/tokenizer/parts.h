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
#define CDL_HASH_START 0xcbf29ce484222325u
static inline uint64_t cdl_hash_step(uint64_t hash, uint8_t byte)
{
  hash = (hash ^ byte) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

typedef struct {
  uint32_t tag; /* upper half of the hash */
  int32_t id;   /* -1: empty */
} cdl_vocabulary_slot;

/* Texts map to ids one to one. */
typedef struct {
  cdl_bytes text;            /* NUL-terminated tokens */
  uint32_t *offset, *length; /* [id_capacity]; offset ~0: no such id */
  size_t id_capacity;
  int32_t id_end; /* the largest id + 1 */
  size_t count;
  size_t longest; /* bytes */
  cdl_vocabulary_slot *slots;
  size_t slot_count; /* a power of two */
} cdl_vocabulary;

enum { CDL_TOKEN_ID_END = 1 << 24 };

/* Errors: MEMORY; DATA where the text or the id is there already, or the id is not below CDL_TOKEN_ID_END; the message
 * names token and id, the caller adds the file. */
CDL_MUST_USE cdl_status cdl_vocabulary_add(cdl_vocabulary *vocabulary, const char *text,
                                           size_t bytes, int64_t id);
/* The same for a text that may be there, whose earlier id is left without a text. */
CDL_MUST_USE cdl_status cdl_vocabulary_put(cdl_vocabulary *vocabulary, const char *text,
                                           size_t bytes, int64_t id);
int32_t cdl_vocabulary_find(const cdl_vocabulary *vocabulary, const void *text,
                            size_t bytes); /* -1: not there */
int32_t cdl_vocabulary_byte(const cdl_vocabulary *vocabulary,
                            uint8_t byte); /* of <0x00> to <0xFF>; -1: not there */
const char *cdl_vocabulary_text(const cdl_vocabulary *vocabulary, int32_t id); /* NULL: not there */
void cdl_vocabulary_release(cdl_vocabulary *vocabulary);

/* ---- Cache of words: pieces of text whose ids are known ---- */

typedef struct {
  uint32_t tag, at; /* `at` in the arena: the word, then its ids if there are several */
  uint16_t bytes, count;
  int32_t first;
} cdl_word;

enum {
  CDL_CACHED_WORD_BYTES = 128,
  CDL_WORD_SLOTS = 1 << 15,
  CDL_WORD_PROBES = 8,
  CDL_WORD_ARENA = 1 << 20
};

typedef struct {
  cdl_word *slots; /* [CDL_WORD_SLOTS], NULL until first used */
  uint8_t *arena;  /* [CDL_WORD_ARENA] */
  size_t used, arena_used;
} cdl_word_cache;

/* ---- Scratch: what one encoding keeps from call to call ---- */

typedef struct {
  int32_t symbol;
  uint32_t previous, next;
} cdl_bpe_symbol;

typedef struct {
  uint32_t rank, position;
} cdl_bpe_candidate;

/* A place in a text at which an added token's pattern begins. */
typedef struct {
  uint32_t at;
  int32_t pattern;
} cdl_added_hit;

typedef struct {
  cdl_added_hit *data;
  size_t count, capacity;
} cdl_added_hits;

/* Where a piece ends: the best path to there, and where its last piece begins. */
typedef struct {
  double score;
  int32_t id;
  uint32_t from;
} cdl_path_node;

typedef struct {
  uint64_t owner; /* stamp of the tokenizer that filled the cache */
  cdl_bytes clean, spaced, normal, word;
  cdl_points tags; /* hashes of a word's beginnings */
  cdl_normal_scratch normalizing;
  cdl_cut_scratch cutting;
  cdl_ids first, second;
  cdl_added_hits raw_hits, normal_hits;
  cdl_word_cache cache;
  cdl_bpe_symbol *symbols;
  size_t symbol_capacity;
  cdl_bpe_candidate *heap;
  size_t heap_count, heap_capacity;
  cdl_path_node *path;
  size_t path_capacity;
  size_t result_capacity; /* of the encoding's ids and type_ids */
} cdl_scratch;

void cdl_scratch_release(cdl_scratch *scratch);

/* Appends the ids of a cached word; false when it is not cached. `bytes` > 0; `ids` has room. */
static inline uint64_t cdl_word_hash(const uint8_t *word, size_t bytes)
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

static inline bool cdl_word_same(const uint8_t *a, const uint8_t *b, size_t bytes)
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

static inline bool cdl_word_recall(const cdl_word_cache *cache, uint64_t hash, const uint8_t *word,
                                   size_t bytes, cdl_ids *ids)
{
  const uint32_t tag = (uint32_t)(hash >> 32);
  for (size_t probe = 0; probe < CDL_WORD_PROBES; probe++) {
    const cdl_word *slot = &cache->slots[(hash + probe) % CDL_WORD_SLOTS];
    if (slot->bytes == 0)
      return false;
    if (slot->tag != tag || slot->bytes != bytes ||
        !cdl_word_same(cache->arena + slot->at, word, bytes))
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

void cdl_word_forget(cdl_word_cache *cache); /* all words */
/* Remembers a word; forgets all others when full. */
void cdl_word_remember(cdl_word_cache *cache, uint64_t hash, const uint8_t *word, size_t bytes,
                       const int32_t *ids, size_t count);

/* ---- Added tokens ---- */

typedef struct {
  char *content;
  size_t bytes;
  bool special, normalized, single_word, lstrip, rstrip;
} cdl_added_token;

/* A text to look for. */
typedef struct {
  uint8_t *text; /* normalized where the token is */
  size_t bytes;
  int32_t id;
  bool single_word, lstrip, rstrip;
  bool passed; /* a special token, and those are not looked for */
} cdl_added_pattern;

/* The automaton of Aho and Corasick (1975) over the texts read from their ends: one pass from a text's end to its
 * beginning finds the longest pattern that begins at each place, in time that the text's length alone bounds. */
typedef struct {
  cdl_added_pattern *items;
  size_t count;
  cdl_trie backwards;
  uint32_t *
      fallback; /* [nodes] the longest other node that the node's text begins with, read forwards */
  int32_t *longest; /* [nodes] the item with the longest text that the node's begins with, or -1 */
  bool lead[256];   /* bytes that texts begin with */
  int only_lead;    /* the one first byte of them all, or -1 */
} cdl_added_patterns;

/* A token that is added again changes its flags, yet stays where it was looked for before. */
typedef struct {
  cdl_added_token token;
  int32_t id;
  bool special, in_raw, in_normal;
} cdl_added_entry;

typedef struct {
  cdl_added_entry *entries;
  size_t count, capacity;
  cdl_vocabulary names; /* content to place among the entries */
  int32_t last_id;      /* the largest, where there are entries */
  cdl_added_patterns raw, normal;
} cdl_added;

/* A stretch of text: an added token (id >= 0), or text between them (id < 0). */
typedef struct {
  size_t begin, end;
  int32_t id;
} cdl_stretch;

/* A walk through a text. */
typedef struct {
  const cdl_added_patterns *patterns;
  const uint8_t *text;
  size_t bytes;
  const cdl_added_hit *hits; /* [hit_count] those ahead, the next one last */
  size_t hit_count;
  size_t searched, reached;
  bool found; /* `token` comes next */
  cdl_stretch token;
} cdl_added_walk;

/* ---- The tokenizer ---- */

typedef enum {
  CDL_MODEL_WORDPIECE,
  CDL_MODEL_BPE,
  CDL_MODEL_UNIGRAM,
  CDL_MODEL_WORDLEVEL
} cdl_model_kind;

/* Ids of an unknown token: the model has none; it names one that the vocabulary lacks, which is an error in the text that
 * needs it. */
enum { CDL_UNKNOWN_NONE = -1, CDL_UNKNOWN_MISSING = -2 };

/* What the pre-tokenizer does with a byte of a word. */
enum { CDL_BYTE_WORD, CDL_BYTE_SPACE, CDL_BYTE_PUNCTUATION, CDL_BYTE_DROPPED, CDL_BYTE_WIDE };

typedef struct {
  int32_t unknown;
  char *prefix; /* "##" */
  size_t prefix_bytes;
  size_t word_characters_max;
  cdl_vocabulary_slot
      *continuing;         /* tokens that begin with the prefix, by the hash of what follows it */
  size_t continuing_count; /* a power of two */
  uint8_t kind[2][256],
      lower[2][256]; /* of bytes: of text as it is given, of text that is normalized already */
} cdl_wordpiece;

typedef struct {
  int32_t left, right; /* left -1: empty */
  uint32_t rank;
} cdl_bpe_merge;

typedef struct {
  int32_t symbol[256];     /* of a byte's character; -1: not in the vocabulary */
  int32_t byte_token[256]; /* <0x00> and so on; -1: not in the vocabulary */
  int32_t unknown;
  bool fuse_unknown, ignore_merges, byte_fallback;
  bool add_prefix_space; /* of the pre-tokenizer, where that is ByteLevel alone */
  char *prefix, *suffix; /* of characters that do not begin, and that end, a piece */
  size_t prefix_bytes, suffix_bytes;
  cdl_bpe_merge *merges;
  size_t merge_count; /* slots, a power of two */
  int32_t *merged;    /* [rank] */
} cdl_bpe;

typedef struct {
  int32_t unknown;
  double unknown_score;
  double *scores; /* [id] */
  size_t score_capacity;
  cdl_trie trie; /* of the pieces: their ids */
  bool byte_fallback;
  int32_t byte_token[256]; /* <0x00> and so on; -1: not in the vocabulary */
} cdl_unigram;

typedef struct {
  enum { CDL_PIECE_FIRST, CDL_PIECE_SECOND, CDL_PIECE_TOKEN } kind;
  int32_t id, type_id;
} cdl_template_piece;

typedef struct {
  cdl_template_piece *pieces;
  size_t count;
  size_t tokens; /* that are special ones */
} cdl_template;

/* Ways from text to ids. */
typedef enum {
  CDL_WAY_STEPS,    /* step by step: any tokenizer */
  CDL_WAY_BERT,     /* BERT's normalizer, if any, its pre-tokenizer, and WordPiece */
  CDL_WAY_BYTES,    /* ByteLevel and byte pair encoding */
  CDL_WAY_METASPACE /* Metaspace, perhaps behind WhitespaceSplit, and a unigram model */
} cdl_way;

/* Files and settings describe it; cdl_tokenizer_compile makes it ready for use. */
struct cdl_tokenizer {
  uint64_t stamp; /* no two tokenizers that were open in a process share it */
  cdl_model_kind kind;
  cdl_vocabulary vocabulary; /* the model's own */
  cdl_vocabulary extra;      /* added tokens that the model does not have */
  cdl_added added;
  cdl_bert_normalizer normalizer; /* where the normalizer is BERT's alone, not in a list */
  cdl_normalizer normal_steps;
  cdl_pre_tokenizer pre_tokenizer;
  enum {
    CDL_PRE_STEPS,
    CDL_PRE_BERT,
    CDL_PRE_BYTE_LEVEL
  } pre_kind; /* what it is alone, not in a list */
  cdl_way way;
  int32_t word_unknown; /* of WordLevel */
  cdl_wordpiece wordpiece;
  cdl_bpe bpe;
  cdl_unigram unigram;
  cdl_template single, pair;
  bool truncates_left; /* the first ids of a text go, not the last */
  bool splits_special; /* special tokens in a text are not looked for */
  bool types_zero;     /* the class gives the model no token types */
};

/* ---- Between the files ---- */

/* `root` is tokenizer.json's, `path` for messages. */
CDL_MUST_USE cdl_status cdl_tokenizer_load_json(const char *path, const json_t *root,
                                                cdl_tokenizer *tokenizer);
/* The unigram model of tokenizer.json. */
CDL_MUST_USE cdl_status cdl_unigram_load(const char *path, const json_t *model,
                                         cdl_tokenizer *tokenizer);
/* The normalizer and pre-tokenizer of tokenizer.json. */
CDL_MUST_USE cdl_status cdl_tokenizer_load_steps(const char *path, const json_t *root,
                                                 cdl_tokenizer *tokenizer);
/* Forms without a tokenizer.json; special tokens and post-processing are left to the caller. `path` is the file's.
 * `fairseq`: the pieces that stand for the first of sentencepiece.bpe.model. */
typedef enum { CDL_FAIRSEQ_XLM_ROBERTA, CDL_FAIRSEQ_CAMEMBERT } cdl_fairseq;
CDL_MUST_USE cdl_status cdl_tokenizer_load_sentencepiece(const char *path, cdl_fairseq fairseq,
                                                         cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status cdl_tokenizer_load_bpe(const char *vocabulary, const char *merges,
                                               cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status cdl_tokenizer_load_wordpiece(const char *path, const char *unknown,
                                                     cdl_tokenizer *tokenizer);
/* The tokenizer of a folder, all but what is prepared once everything is known. */
CDL_MUST_USE cdl_status cdl_tokenizer_load(const char *folder, cdl_tokenizer *tokenizer);
/* Makes the normalizer's steps of BERT's settings, where those are the normalizer; again when they change. */
CDL_MUST_USE cdl_status cdl_tokenizer_settle_normalizer(cdl_tokenizer *tokenizer);
/* Whether there is a normalizer; the normalized text, in place of what `out` holds. See cdl_normalizer_apply. */
bool cdl_tokenizer_normalizes(const cdl_tokenizer *tokenizer);
CDL_MUST_USE cdl_status cdl_tokenizer_normalize(const cdl_tokenizer *tokenizer,
                                                cdl_scratch *scratch, const uint8_t *text,
                                                size_t bytes, size_t *origin, cdl_bytes *out);
/* DATA where the unknown token is needed and missing. */
CDL_MUST_USE cdl_status cdl_tokenizer_check_unknown(int32_t unknown);
/* Special tokens of a post-processor must be in the vocabulary. `path` is for messages. */
CDL_MUST_USE cdl_status cdl_template_check(const cdl_tokenizer *tokenizer, const char *path,
                                           const char *text, int64_t id);
/* The usual post-processing: [CLS] A [SEP] B [SEP] with type ids 0 and 1, or <s> A </s></s> B </s> with type ids 0. */
CDL_MUST_USE cdl_status cdl_template_usual(cdl_tokenizer *tokenizer, bool roberta, int32_t begin,
                                           int32_t end);
CDL_MUST_USE cdl_status cdl_template_add(cdl_template *to, int kind, int32_t id, int32_t type_id);

/* `declared_id` -1: not declared. Errors: MEMORY; DATA where the id is not the one that the token gets. */
CDL_MUST_USE cdl_status cdl_added_add(cdl_tokenizer *tokenizer, const cdl_added_token *token,
                                      int64_t declared_id);
int32_t cdl_tokenizer_find(const cdl_tokenizer *tokenizer, const char *text,
                           size_t bytes); /* -1: no such token */
/* Whether all flags are the same. */
bool cdl_added_same(const cdl_added_token *a, const cdl_added_token *b);
const cdl_added_entry *cdl_added_find(const cdl_added *added, const char *content, size_t bytes);
/* Once all tokens are there and the normalizer is known. */
CDL_MUST_USE cdl_status cdl_added_prepare(cdl_tokenizer *tokenizer);
void cdl_added_release(cdl_added *added);
/* Starts a walk; `hits` is its own until it ends. Errors: MEMORY. */
CDL_MUST_USE cdl_status cdl_added_start(const cdl_added_patterns *patterns, const uint8_t *text,
                                        size_t bytes, cdl_added_hits *hits, cdl_added_walk *walk);
/* The next stretch; false at the end of the text. */
bool cdl_added_next(cdl_added_walk *walk, cdl_stretch *stretch);

/* Once the vocabulary is known. */
CDL_MUST_USE cdl_status cdl_wordpiece_prepare(cdl_tokenizer *tokenizer, const char *prefix,
                                              size_t word_characters_max, int32_t unknown);
void cdl_wordpiece_prepare_bytes(cdl_tokenizer *tokenizer); /* once the normalizer is known */
void cdl_wordpiece_release(cdl_wordpiece *model);
/* Appends the ids of a word. */
CDL_MUST_USE cdl_status cdl_wordpiece_encode_word(const cdl_tokenizer *tokenizer,
                                                  cdl_scratch *scratch, const uint8_t *word,
                                                  size_t bytes, cdl_ids *ids);
/* Appends the ids of text without added tokens; `normal`: it is normalized already. */
CDL_MUST_USE cdl_status cdl_wordpiece_encode(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                                             const uint8_t *text, size_t bytes, bool normal,
                                             cdl_ids *ids);

typedef struct {
  const char *left, *right;
  size_t left_bytes, right_bytes;
} cdl_merge_text;

/* Once the vocabulary and the model's prefix are known; merges in order of rank. Of a pair that is there twice the last
 * rank counts, or the first. */
CDL_MUST_USE cdl_status cdl_bpe_prepare(cdl_tokenizer *tokenizer, const cdl_merge_text *merges,
                                        size_t count, bool last_counts);
void cdl_bpe_release(cdl_bpe *model);
/* Appends the ids of a piece; `raw`: each byte stands for its character in the byte-level alphabet. */
CDL_MUST_USE cdl_status cdl_bpe_encode(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                                       const uint8_t *piece, size_t bytes, bool raw, cdl_ids *ids);
/* Appends the ids of normalized text without added tokens. */
CDL_MUST_USE cdl_status cdl_byte_bpe_encode(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                                            const uint8_t *text, size_t bytes, cdl_ids *ids);

/* The next piece, whose id is the number of those before; of equal pieces the last counts. Errors: MEMORY; DATA, without a
 * path. */
CDL_MUST_USE cdl_status cdl_unigram_add(cdl_tokenizer *tokenizer, const char *piece, size_t bytes,
                                        double score);
CDL_MUST_USE cdl_status
cdl_unigram_prepare(cdl_tokenizer *tokenizer); /* once all pieces are there */
void cdl_unigram_release(cdl_unigram *model);
/* Appends the ids of a piece. */
CDL_MUST_USE cdl_status cdl_unigram_encode_piece(const cdl_tokenizer *tokenizer,
                                                 cdl_scratch *scratch, const uint8_t *piece,
                                                 size_t bytes, cdl_ids *ids);
/* Appends the ids of normalized text without added tokens, of which the first `origin` bytes come from the given text's
 * first character. */
CDL_MUST_USE cdl_status cdl_unigram_encode(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                                           const uint8_t *text, size_t bytes, size_t origin,
                                           cdl_ids *ids);

#endif
