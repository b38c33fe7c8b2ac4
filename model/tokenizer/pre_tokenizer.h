/* Pre-tokenizers: steps that cut a normalized text into pieces, which the model encodes one by
 * one. */
#ifndef CONDLORA_MODEL_TOKENIZER_PRE_TOKENIZER_H
#define CONDLORA_MODEL_TOKENIZER_PRE_TOKENIZER_H

#include <stdbool.h>

#include "base/growing.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/text_pattern.h"

/* What happens to the matches of a step, and to the text between them. */
typedef enum {
  TOKENIZER_SPLIT_REMOVED,
  TOKENIZER_SPLIT_ISOLATED,
  TOKENIZER_SPLIT_MERGED_WITH_PREVIOUS,
  TOKENIZER_SPLIT_MERGED_WITH_NEXT,
  TOKENIZER_SPLIT_CONTIGUOUS
} tokenizer_split_behavior;

/* Spaces become a visible character, with which words begin. */
typedef struct {
  char space[5]; /* the character for a space, and a NUL */
  size_t space_bytes;
  enum { TOKENIZER_PREPEND_ALWAYS, TOKENIZER_PREPEND_FIRST, TOKENIZER_PREPEND_NEVER } prepend;
  bool split; /* cuts before each `space` */
} tokenizer_metaspace;

typedef struct {
  enum tokenizer_cut_kind {
    TOKENIZER_CUT_SPACES,      /* removes white space */
    TOKENIZER_CUT_PUNCTUATION, /* by `behavior` */
    TOKENIZER_CUT_WORDS,       /* runs of word characters, and of others; removes white space */
    TOKENIZER_CUT_DIGITS,      /* by `behavior` */
    TOKENIZER_CUT_CHARACTER,   /* removes `character` */
    TOKENIZER_CUT_PATTERN,     /* by `behavior` */
    TOKENIZER_CUT_LENGTH,      /* `length` characters each */
    TOKENIZER_CUT_METASPACE,
    TOKENIZER_CUT_BYTES /* GPT-2's pieces; each byte becomes a character */
  } kind;
  tokenizer_split_behavior behavior;
  uint32_t character;
  size_t length;
  tokenizer_text_pattern pattern;
  bool invert; /* PATTERN: the text between the matches is the match */
  tokenizer_metaspace metaspace;
  bool add_prefix_space, use_regex; /* BYTES */
} tokenizer_cut_step;

typedef struct {
  tokenizer_cut_step *steps;
  size_t count;
  tokenizer_byte_level bytes; /* prepared if a step is TOKENIZER_CUT_BYTES */
} tokenizer_pre_tokenizer;

/* Adds a step at the end, all zero but its kind; the caller fills it. Errors: MEMORY; DATA, without
 * a path, beyond TOKENIZER_STEPS_MAX. */
CDL_MUST_USE cdl_status tokenizer_pre_tokenizer_add(tokenizer_pre_tokenizer *pre,
                                                    enum tokenizer_cut_kind kind,
                                                    tokenizer_cut_step **step);
void tokenizer_pre_tokenizer_release(tokenizer_pre_tokenizer *pre);

/* Consecutive pieces of a text. */
typedef struct {
  base_bytes text;
  size_t *ends; /* [count] each piece begins at the end of the one before */
  size_t count, capacity;
  size_t origin; /* bytes at the beginning that come from the original text's first character */
} tokenizer_pieces;

typedef struct {
  size_t begin, end;
  bool match;
} tokenizer_cut;

typedef struct {
  tokenizer_pieces pieces, others;
  base_bytes word;
  tokenizer_cut *cuts;
  size_t cut_count, cut_capacity;
  tokenizer_text_matcher matcher;
} tokenizer_cut_scratch;

void tokenizer_cut_scratch_release(tokenizer_cut_scratch *scratch);

/* Puts the pieces of a text into scratch->pieces; none is empty. Errors: MEMORY; DATA, without a
 * path, if a pattern needs too much work. */
CDL_MUST_USE cdl_status tokenizer_pre_tokenizer_apply(const tokenizer_pre_tokenizer *pre,
                                                      tokenizer_cut_scratch *scratch,
                                                      const uint8_t *text, size_t bytes,
                                                      size_t origin);

#endif
