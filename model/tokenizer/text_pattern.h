/* Patterns that come from a file: texts, or regular expressions in Oniguruma's syntax, which PCRE2 looks for within
 * limits. */
#ifndef CONDLORA_MODEL_TOKENIZER_TEXT_PATTERN_H
#define CONDLORA_MODEL_TOKENIZER_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "condlora/status.h"

typedef struct {
  char *source; /* as the file has it */
  pcre2_code *code;
} tokenizer_text_pattern;

/* `expression`: a regular expression, otherwise a text to be found as it is. Only what means the same in both libraries is
 * taken. Errors: MEMORY; DATA, without a path, for what is malformed or means something else to PCRE2, naming the pattern
 * and the place. Released with tokenizer_text_pattern_release, also after an error. */
CDL_MUST_USE cdl_status tokenizer_text_pattern_compile(const char *source, bool expression,
                                                       tokenizer_text_pattern *pattern);
void tokenizer_text_pattern_release(tokenizer_text_pattern *pattern);

/* What PCRE2 needs for a search, one set a thread; all zero to start with. */
typedef struct {
  pcre2_match_data *match;
  pcre2_match_context *limits;
} tokenizer_text_matcher;

void tokenizer_text_matcher_release(tokenizer_text_matcher *matcher);

/* A walk over the matches in a text of well-formed UTF-8; starts with the first three members set and the rest zero. */
typedef struct {
  const tokenizer_text_pattern *pattern;
  const uint8_t *text;
  size_t bytes;
  size_t searched, last_end;
  bool matched;
} tokenizer_text_walk;

/* The next match, from *begin to *end; *found is false when there is none. An empty match that touches the one before it
 * is passed over. Errors: MEMORY; DATA where the pattern needs more work than the limits allow, which is not the same as
 * no match; the message names the pattern. */
CDL_MUST_USE cdl_status tokenizer_text_walk_next(tokenizer_text_walk *walk,
                                                 tokenizer_text_matcher *matcher, size_t *begin,
                                                 size_t *end, bool *found);

#endif
