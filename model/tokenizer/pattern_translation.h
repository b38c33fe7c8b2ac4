/* Translates regular expressions from Oniguruma's syntax for Ruby, which the reference tokenizers
 * use, to PCRE2's. */
#ifndef CONDLORA_MODEL_TOKENIZER_PATTERN_TRANSLATION_H
#define CONDLORA_MODEL_TOKENIZER_PATTERN_TRANSLATION_H

#include "base/growing.h"

/* Appends the pattern for PCRE2_UTF | PCRE2_MULTILINE with line feed as the only newline. What the
 * two libraries read differently, or may, is an error: names of groups and references to them,
 * POSIX brackets, classes within classes, \R, \X, \K, options other than i. Errors: MEMORY; DATA,
 * without a path, naming the pattern and the place. */
CDL_MUST_USE cdl_status tokenizer_pattern_translate(const char *source, base_bytes *out);

#endif
