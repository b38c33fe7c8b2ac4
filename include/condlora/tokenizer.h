/* Text to token ids: WordPiece (BERT, DistilBERT, ELECTRA, MPNet), byte-level BPE (RoBERTa) and
 * SentencePiece's unigram model (XLM-RoBERTa, CamemBERT), as Hugging Face `tokenizers` does them. */
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
  int32_t *type_ids; /* [count] segment of each token, as the tokenizer's post-processor says; 0
                        where its class gives the model none */
  size_t count;
  bool truncated; /* max_length cut something off */
  void *scratch;  /* the tokenizer's own */
} cdl_encoding;

/* Opens the tokenizer of a Hugging Face folder, as Transformers' AutoTokenizer does: of the class
 * that tokenizer_config.json or config.json name, from `tokenizer.json` or that class's own files,
 * with special_tokens_map.json and added_tokens.json where they are. Errors: ABSENT, DATA or
 * UNSUPPORTED, naming the file and the entry. */
CDL_API CDL_MUST_USE cdl_status cdl_tokenizer_open(const char *model_folder,
                                                   cdl_tokenizer **tokenizer);
CDL_API void cdl_tokenizer_close(cdl_tokenizer *tokenizer);

/* Encodes `first`, or the pair `first`, `second` when `second` is not NULL. Ill-formed UTF-8
 * counts as U+FFFD, one for each maximal subpart (Unicode 15, 3.9). `max_length` 0 does not
 * truncate; otherwise the longest of the two texts loses its last token, or its first where the
 * tokenizer's settings say so, until everything with special tokens fits (`longest_first`). Errors:
 * MEMORY; ARGUMENT where max_length leaves no room for the special tokens. */
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
