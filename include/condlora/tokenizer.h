/* Text to token ids: WordPiece (BERT, DistilBERT, ELECTRA), byte-level BPE (RoBERTa) and
 * SentencePiece's unigram model (XLM-RoBERTa), as Hugging Face `tokenizers` does them. */
#ifndef CONDLORA_TOKENIZER_H
#define CONDLORA_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable once open: may be shared by threads. */
typedef struct cdl_tokenizer cdl_tokenizer;

/* Ids of one text or one pair, special tokens included, never padded. Starts as {0} and is reused
 * from call to call; belongs to one thread at a time; ends with cdl_encoding_release. */
typedef struct {
  int32_t *ids;      /* [count] */
  int32_t *type_ids; /* [count] segment of each token, as the tokenizer's post-processor says */
  size_t count;
  bool truncated; /* max_length cut something off */
  void *scratch;  /* the tokenizer's own */
} cdl_encoding;

/* Opens the tokenizer of a Hugging Face folder: `tokenizer.json` (its stored truncation and
 * padding are ignored), else `vocab.json` + `merges.txt`, else `vocab.txt`, else
 * `sentencepiece.bpe.model`; with tokenizer_config.json, special_tokens_map.json and
 * added_tokens.json where they are. Errors: ABSENT or DATA, naming the file and the entry. */
CDL_API CDL_MUST_USE cdl_status cdl_tokenizer_open(const char *model_folder,
                                                   cdl_tokenizer **tokenizer);
CDL_API void cdl_tokenizer_close(cdl_tokenizer *tokenizer);

/* Encodes `first`, or the pair `first`, `second` when `second` is not NULL. Ill-formed UTF-8
 * counts as U+FFFD, one for each maximal subpart (Unicode 15, 3.9). `max_length` 0 does not
 * truncate; otherwise the longest of the two texts loses its last token until everything with
 * special tokens fits (`longest_first`). Errors: MEMORY; ARGUMENT where max_length leaves no room
 * for the special tokens. */
CDL_API CDL_MUST_USE cdl_status cdl_tokenizer_encode(const cdl_tokenizer *tokenizer,
                                                     const char *first, size_t first_bytes,
                                                     const char *second, size_t second_bytes,
                                                     size_t max_length, cdl_encoding *encoding);
CDL_API void cdl_encoding_release(cdl_encoding *encoding);

/* The largest id + 1. */
CDL_API int32_t cdl_tokenizer_vocabulary_size(const cdl_tokenizer *tokenizer);
/* Text of a token as the vocabulary spells it; NULL for an id that is not there. Borrowed. */
CDL_API const char *cdl_tokenizer_token(const cdl_tokenizer *tokenizer, int32_t id);

#ifdef __cplusplus
}
#endif
#endif
