/* Normalizers: steps that a text goes through, in order, before it is searched for added tokens and cut into pieces. */
#ifndef CONDLORA_MODEL_TOKENIZER_NORMALIZER_H
#define CONDLORA_MODEL_TOKENIZER_NORMALIZER_H

#include <stdbool.h>

#include "base/growing.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/text_pattern.h"
#include "model/tokenizer/unicode_normal.h"

typedef struct {
  bool present, clean_text, handle_chinese_chars, strip_accents, lowercase;
  bool strip_as_lowercase; /* strip_accents was not said: it follows lowercase */
} tokenizer_bert_normalizer;

typedef struct {
  enum {
    TOKENIZER_NORMAL_BERT,
    TOKENIZER_NORMAL_FORM,
    TOKENIZER_NORMAL_LOWERCASE,
    TOKENIZER_NORMAL_STRIP_ACCENTS,
    TOKENIZER_NORMAL_NMT, /* control characters go, odd spaces become spaces */
    TOKENIZER_NORMAL_CHARSMAP,
    TOKENIZER_NORMAL_STRIP,   /* white space at the ends */
    TOKENIZER_NORMAL_REPLACE, /* a text */
    TOKENIZER_NORMAL_REPLACE_PATTERN,
    TOKENIZER_NORMAL_PREPEND,
    TOKENIZER_NORMAL_BYTES /* each byte becomes a character: see byte_level.h */
  } kind;
  tokenizer_bert_normalizer bert;
  tokenizer_normal_form form;
  bool left, right;        /* STRIP */
  char *pattern, *content; /* REPLACE, PREPEND: owned by the step */
  size_t pattern_bytes, content_bytes;
  bool repeated; /* REPLACE: with what follows of the pattern's first byte, " {2,}" say */
  tokenizer_text_pattern expression;
  tokenizer_charsmap charsmap;
} tokenizer_normal_step;

typedef struct {
  tokenizer_normal_step *steps;
  size_t count;
} tokenizer_normalizer;

enum { TOKENIZER_STEPS_MAX = 100 };

/* An empty step at the end, to be filled. Errors: MEMORY; DATA, without a path, beyond TOKENIZER_STEPS_MAX. */
CDL_MUST_USE cdl_status tokenizer_normalizer_add(tokenizer_normalizer *normalizer,
                                                 tokenizer_normal_step **step);
/* The last step's pattern and content; either may be NULL. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_normal_step_texts(tokenizer_normal_step *step,
                                                    const char *pattern, const char *content);
void tokenizer_normalizer_release(tokenizer_normalizer *normalizer);

typedef struct {
  base_points points, sorted;
  base_bytes other;
  tokenizer_text_matcher matcher;
} tokenizer_normal_scratch;

/* The normalized text, in place of what `out` holds. The first *origin bytes of `text` are the first character of the text
 * as it was given; *origin becomes how many bytes of the result come from it. Errors: MEMORY; DATA, without a path, where
 * a pattern needs too much work, or the text grows beyond all measure. */
CDL_MUST_USE cdl_status tokenizer_normalizer_apply(const tokenizer_normalizer *normalizer,
                                                   tokenizer_normal_scratch *scratch,
                                                   const uint8_t *text, size_t bytes,
                                                   size_t *origin, base_bytes *out);

/* The code points that BERT's normalizer makes of a text, in place of those in scratch->points. */
CDL_MUST_USE cdl_status tokenizer_bert_points(const tokenizer_bert_normalizer *normalizer,
                                              tokenizer_normal_scratch *scratch,
                                              const uint8_t *text, const uint8_t *end,
                                              size_t origin);

#endif
