/* Patterns from a file: strings, or regular expressions in Oniguruma's syntax, which PCRE2 searches
 * for within limits. */
#ifndef CONDLORA_MODEL_TOKENIZER_TEXT_PATTERN_H
#define CONDLORA_MODEL_TOKENIZER_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "condlora/status.h"

typedef struct {
  char *source; /* as in the file */
  pcre2_code *code;
} tokenizer_text_pattern;

/* `expression`: a regular expression; otherwise a string to find. Only what means the same in both
 * libraries is accepted. Errors: MEMORY; DATA, without a path, naming the pattern and the place,
 * for a pattern that is malformed or means something else to PCRE2. Release with
 * tokenizer_text_pattern_release, even after an error. */
CDL_MUST_USE cdl_status tokenizer_text_pattern_compile(const char *source, bool expression,
                                                       tokenizer_text_pattern *pattern);
void tokenizer_text_pattern_release(tokenizer_text_pattern *pattern);

/* What PCRE2 needs for a search, one set per thread; all zero at first. */
typedef struct {
  pcre2_match_data *match;
  pcre2_match_context *limits;
} tokenizer_text_matcher;

void tokenizer_text_matcher_release(tokenizer_text_matcher *matcher);

/* An iteration over the matches in well-formed UTF-8. Set the first three members, and the rest to
 * zero. */
typedef struct {
  const tokenizer_text_pattern *pattern;
  const uint8_t *text;
  size_t bytes;
  size_t searched, last_end;
  bool matched;
} tokenizer_text_walk;

/* Gives the next match, from *begin to *end; *found is false if there is none. An empty match that
 * touches the one before it is skipped. Errors: MEMORY; DATA, naming the pattern, if it needs more
 * work than the limits allow, which is not the same as no match. */
CDL_MUST_USE cdl_status tokenizer_text_walk_next(tokenizer_text_walk *walk,
                                                 tokenizer_text_matcher *matcher, size_t *begin,
                                                 size_t *end, bool *found);

#endif
