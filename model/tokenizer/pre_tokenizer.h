/* Pre-tokenizers: steps that cut a normalized text into pieces, which the model encodes one by one. */
#ifndef CONDLORA_MODEL_TOKENIZER_PRE_TOKENIZER_H
#define CONDLORA_MODEL_TOKENIZER_PRE_TOKENIZER_H

#include <stdbool.h>

#include "base/growing.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/text_pattern.h"

/* What becomes of what a step looks for, and of what lies between. */
typedef enum {
  CDL_SPLIT_REMOVED,
  CDL_SPLIT_ISOLATED,
  CDL_SPLIT_MERGED_WITH_PREVIOUS,
  CDL_SPLIT_MERGED_WITH_NEXT,
  CDL_SPLIT_CONTIGUOUS
} cdl_split_behavior;

/* Spaces become a visible character, with which words begin. */
typedef struct {
  char space[5]; /* what stands for a space: one character, and a NUL */
  size_t space_bytes;
  enum { CDL_PREPEND_ALWAYS, CDL_PREPEND_FIRST, CDL_PREPEND_NEVER } prepend;
  bool split; /* before each `space` */
} cdl_metaspace;

typedef struct {
  enum {
    CDL_CUT_SPACES,      /* white space goes */
    CDL_CUT_PUNCTUATION, /* by `behavior` */
    CDL_CUT_WORDS,       /* runs of word characters, and of others; white space goes */
    CDL_CUT_DIGITS,      /* by `behavior` */
    CDL_CUT_CHARACTER,   /* `character` goes */
    CDL_CUT_PATTERN,     /* by `behavior` */
    CDL_CUT_LENGTH,      /* `length` characters each */
    CDL_CUT_METASPACE,
    CDL_CUT_BYTES /* GPT-2's way; each byte becomes a character */
  } kind;
  cdl_split_behavior behavior;
  uint32_t character;
  size_t length;
  cdl_text_pattern pattern;
  bool invert; /* PATTERN: what lies between its matches is looked for */
  cdl_metaspace metaspace;
  bool add_prefix_space, use_regex; /* BYTES */
} cdl_cut_step;

typedef struct {
  cdl_cut_step *steps;
  size_t count;
  cdl_byte_level bytes; /* prepared where a step is CDL_CUT_BYTES */
} cdl_pre_tokenizer;

/* A step at the end, all zero but its kind, to be filled. Errors: MEMORY; DATA, without a path, beyond CDL_STEPS_MAX. */
CDL_MUST_USE cdl_status cdl_pre_tokenizer_add(cdl_pre_tokenizer *pre, int kind,
                                              cdl_cut_step **step);
void cdl_pre_tokenizer_release(cdl_pre_tokenizer *pre);

/* Pieces of a text, in a row. */
typedef struct {
  cdl_bytes text;
  size_t *ends; /* [count] each begins where the one before ends */
  size_t count, capacity;
  size_t origin; /* bytes at the beginning that come from the given text's first character */
} cdl_pieces;

typedef struct {
  size_t begin, end;
  bool match;
} cdl_cut;

typedef struct {
  cdl_pieces pieces, others;
  cdl_bytes word;
  cdl_cut *cuts;
  size_t cut_count, cut_capacity;
  cdl_text_matcher matcher;
} cdl_cut_scratch;

void cdl_cut_scratch_release(cdl_cut_scratch *scratch);

/* The pieces of a text, in scratch->pieces; none is empty. Errors: MEMORY; DATA, without a path, where a pattern needs too
 * much work. */
CDL_MUST_USE cdl_status cdl_pre_tokenizer_apply(const cdl_pre_tokenizer *pre,
                                                cdl_cut_scratch *scratch, const uint8_t *text,
                                                size_t bytes, size_t origin);

#endif
