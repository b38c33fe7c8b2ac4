/* Opens the tokenizer in the target's folder and encodes a text with it. */
#ifndef CONDLORA_TESTS_FUZZ_TOKENIZE_H
#define CONDLORA_TESTS_FUZZ_TOKENIZE_H

#include <stdlib.h>
#include <string.h>

#include "condlora/tokenizer.h"
#include "tests/fuzz/fuzz.h"

static inline void fuzz_tokenize(fuzz_part text)
{
  static const char usual[] = "The Quick, brown fox\xC3\xA9 \xE4\xB8\xAD 12345 <s>[MASK] ## jumps!";
  cdl_tokenizer *tokenizer;
  if (!fuzz_ok(cdl_tokenizer_open(fuzz_folder(), &tokenizer)))
    return;
  if (text.size == 0)
    text = (fuzz_part){(const uint8_t *)usual, sizeof usual - 1};
  const int32_t end = cdl_tokenizer_vocabulary_size(tokenizer);
  static const size_t lengths[] = {0, 7, 1};
  cdl_encoding encoding = {0};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    const char *second = i == 1 ? usual : NULL;
    if (!fuzz_ok(cdl_tokenizer_encode(tokenizer, (const char *)text.data, text.size, second,
                                      second != NULL ? sizeof usual - 1 : 0, lengths[i],
                                      &encoding)))
      continue;
    if (lengths[i] > 0 && encoding.count > lengths[i])
      abort();
    for (size_t at = 0; at < encoding.count; at++)
      if (encoding.ids[at] < 0 || encoding.ids[at] >= end)
        abort();
  }
  for (int32_t id = -1; id <= end && id < 4096; id++)
    (void)cdl_tokenizer_token(tokenizer, id);
  cdl_encoding_release(&encoding);
  cdl_tokenizer_close(tokenizer);
}

#endif
