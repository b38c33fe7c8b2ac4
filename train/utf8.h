/* Whether bytes are UTF-8. */
#ifndef CONDLORA_TRAIN_UTF8_H
#define CONDLORA_TRAIN_UTF8_H

#include <stddef.h>

/* How many bytes of `text` come before the first NUL or the first ill-formed sequence of UTF-8 (RFC
 * 3629: no overlong forms, no surrogates, nothing above U+10FFFF); `bytes` when there is none. */
size_t cdl_utf8_valid_prefix(const char *text, size_t bytes);

#endif
