/* Tokenizers: WordPiece (BERT, DistilBERT, ELECTRA, MPNet), byte-level BPE (RoBERTa) and
 * SentencePiece's unigram model (XLM-RoBERTa, CamemBERT). The ids equal those of Hugging Face
 * `tokenizers`. */
#ifndef CONDLORA_TOKENIZER_H
#define CONDLORA_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable once open: threads may share it. */
typedef struct cdl_tokenizer cdl_tokenizer;

/* Token ids of one text or one pair, with special tokens, without padding. Initialize it with {0}
 * and reuse it in later calls; release it with cdl_encoding_release. Belongs to one thread at a
 * time. */
typedef struct {
  int32_t *ids; /* [count] */
  /* [count] segment of each token, from the tokenizer's post-processor; all 0 if its class gives
   * the model no segments */
  int32_t *type_ids;
  size_t count;
  bool truncated; /* max_length cut the text */
  void *scratch;  /* working memory of the tokenizer */
} cdl_encoding;

/* Opens the tokenizer of a Hugging Face folder, or of a name as cdl_hub_resolve takes it, as
 * Transformers' AutoTokenizer does. Its class is
 * named in tokenizer_config.json or config.json. Its data is in `tokenizer.json` or in the files of
 * its class, with special_tokens_map.json and added_tokens.json if they exist. Errors: ABSENT, DATA
 * or UNSUPPORTED, naming the file and the entry. */
CDL_API CDL_MUST_USE cdl_status cdl_tokenizer_open(const char *model, cdl_tokenizer **tokenizer);
CDL_API void cdl_tokenizer_close(cdl_tokenizer *tokenizer);

/* Encodes `first`, or the pair `first`, `second` if `second` is not NULL. Ill-formed UTF-8 counts
 * as U+FFFD, one for each maximal subpart (Unicode 15, 3.9). `max_length` 0 means no limit.
 * Otherwise the longer of the two texts loses its last token (its first one if the tokenizer is set
 * to truncate on the left), until the input with its special tokens fits (`longest_first`). Errors:
 * MEMORY; ARGUMENT if max_length leaves no room for the special tokens. */
CDL_API CDL_MUST_USE cdl_status cdl_tokenizer_encode(const cdl_tokenizer *tokenizer,
                                                     const char *first, size_t first_bytes,
                                                     const char *second, size_t second_bytes,
                                                     size_t max_length, cdl_encoding *encoding);
CDL_API void cdl_encoding_release(cdl_encoding *encoding);

/* Returns the largest id + 1. */
CDL_API int32_t cdl_tokenizer_vocabulary_size(const cdl_tokenizer *tokenizer);
/* Returns the text of a token as the vocabulary spells it, borrowed; NULL for an id that does not
 * exist. */
CDL_API const char *cdl_tokenizer_token(const cdl_tokenizer *tokenizer, int32_t id);

#ifdef __cplusplus
}
#endif
#endif
