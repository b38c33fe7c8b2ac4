/* What stands inside the brackets of a PCRE2 character class, for the classes of Oniguruma's patterns. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_CLASSES_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_CLASSES_H

#include <stdbool.h>

#include "base/growing.h"

/* Each appends; errors: MEMORY. */

/* A general category or a script by its usual name, "Lu" or "Han"; *known is false, and nothing is appended, for a name
 * that is not here. */
CDL_MUST_USE cdl_status tokenizer_class_property(const char *name, base_bytes *out, bool *known);
/* \w; within brackets Oniguruma leaves out what it has of Latin-1 besides letters, ½ say. */
CDL_MUST_USE cdl_status tokenizer_class_word(base_bytes *out, bool bracketed);
CDL_MUST_USE cdl_status tokenizer_class_space(base_bytes *out);     /* \s */
CDL_MUST_USE cdl_status tokenizer_class_not_space(base_bytes *out); /* \S */

#endif
