/* The contents of a PCRE2 character class for the classes of Oniguruma's patterns. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_CLASSES_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_CLASSES_H

#include <stdbool.h>

#include "base/growing.h"

/* Each appends; errors: MEMORY. */

/* A general category or a script by its usual name, "Lu" or "Han". For an unknown name *known is
 * false, and nothing is appended. */
CDL_MUST_USE cdl_status tokenizer_class_property(const char *name, base_bytes *out, bool *known);
/* \w; within brackets Oniguruma leaves out the Latin-1 characters that are no letters, such as
 * ½. */
CDL_MUST_USE cdl_status tokenizer_class_word(base_bytes *out, bool bracketed);
CDL_MUST_USE cdl_status tokenizer_class_space(base_bytes *out);     /* \s */
CDL_MUST_USE cdl_status tokenizer_class_not_space(base_bytes *out); /* \S */

#endif
