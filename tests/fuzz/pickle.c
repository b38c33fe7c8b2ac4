/* Pickles alone, without the archive around them: a dictionary of tensors, then a list of texts and
 * a flag as files from before PyTorch 1.6 have them. */
#include "model/files/pickle.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  pickle_input input = {"data.pkl", data, data, data + size};
  pickled_file file;
  if (fuzz_ok(pickle_read(&input, &file)))
    pickle_release(&file);
  pickled_text *texts;
  size_t count;
  input = (pickle_input){"data.pkl", data, data, data + size};
  if (fuzz_ok(pickle_read_texts(&input, &texts, &count)))
    free(texts);
  bool flag;
  input = (pickle_input){"data.pkl", data, data, data + size};
  (void)fuzz_ok(pickle_read_flag(&input, "little_endian", &flag));
  return 0;
}
