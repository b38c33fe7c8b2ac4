/* Normalizers: steps that change a text, in order, before it is searched for added tokens and cut
 * into pieces. */
#ifndef CONDLORA_MODEL_TOKENIZER_NORMALIZER_H
#define CONDLORA_MODEL_TOKENIZER_NORMALIZER_H

#include <stdbool.h>

#include "base/growing.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/text_pattern.h"
#include "model/tokenizer/unicode_normal.h"

typedef struct {
  bool present, clean_text, handle_chinese_chars, strip_accents, lowercase;
  bool strip_as_lowercase; /* strip_accents is not set and follows lowercase */
} tokenizer_bert_normalizer;

typedef struct {
  enum tokenizer_normal_kind {
    TOKENIZER_NORMAL_BERT,
    TOKENIZER_NORMAL_FORM,
    TOKENIZER_NORMAL_LOWERCASE,
    TOKENIZER_NORMAL_STRIP_ACCENTS,
    TOKENIZER_NORMAL_NMT, /* removes control characters, makes unusual spaces plain spaces */
    TOKENIZER_NORMAL_CHARSMAP,
    TOKENIZER_NORMAL_STRIP,   /* removes white space at the ends */
    TOKENIZER_NORMAL_REPLACE, /* replaces a string */
    TOKENIZER_NORMAL_REPLACE_PATTERN,
    TOKENIZER_NORMAL_PREPEND,
    TOKENIZER_NORMAL_BYTES /* each byte becomes a character: see byte_level.h */
  } kind;
  tokenizer_bert_normalizer bert;
  tokenizer_normal_form form;
  bool left, right;        /* STRIP */
  char *pattern, *content; /* REPLACE, PREPEND: owned by the step */
  size_t pattern_bytes, content_bytes;
  /* REPLACE: together with following repetitions of the pattern's first byte, as in " {2,}" */
  bool repeated;
  tokenizer_text_pattern expression;
  tokenizer_charsmap charsmap;
} tokenizer_normal_step;

typedef struct {
  tokenizer_normal_step *steps;
  size_t count;
} tokenizer_normalizer;

enum { TOKENIZER_STEPS_MAX = 100 };

/* Adds an empty step at the end; the caller fills it. Errors: MEMORY; DATA, without a path, beyond
 * TOKENIZER_STEPS_MAX. */
CDL_MUST_USE cdl_status tokenizer_normalizer_add(tokenizer_normalizer *normalizer,
                                                 tokenizer_normal_step **step);
/* Sets the last step's pattern and content; either may be NULL. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_normal_step_texts(tokenizer_normal_step *step,
                                                    const char *pattern, const char *content);
void tokenizer_normalizer_release(tokenizer_normalizer *normalizer);

typedef struct {
  base_points points, sorted;
  base_bytes other;
  tokenizer_text_matcher matcher;
} tokenizer_normal_scratch;

/* Writes the normalized text in place of the contents of `out`. The first *origin bytes of `text`
 * are the first character of the original text; *origin becomes the number of bytes of the result
 * that come from it. Errors: MEMORY; DATA, without a path, if a pattern needs too much work or the
 * text grows beyond the limit. */
CDL_MUST_USE cdl_status tokenizer_normalizer_apply(const tokenizer_normalizer *normalizer,
                                                   tokenizer_normal_scratch *scratch,
                                                   const uint8_t *text, size_t bytes,
                                                   size_t *origin, base_bytes *out);

/* Puts the code points that BERT's normalizer makes of a text into scratch->points. */
CDL_MUST_USE cdl_status tokenizer_bert_points(const tokenizer_bert_normalizer *normalizer,
                                              tokenizer_normal_scratch *scratch,
                                              const uint8_t *text, const uint8_t *end,
                                              size_t origin);

#endif
