/* vocab.txt, tokenizer_config.json, added_tokens.json, a text. */
#include "tests/fuzz/tokenize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size};
  (void)fuzz_file("vocab.txt", fuzz_next(&rest));
  (void)fuzz_file("tokenizer_config.json", fuzz_next(&rest));
  (void)fuzz_file("added_tokens.json", fuzz_next(&rest));
  fuzz_tokenize(rest);
  return 0;
}
