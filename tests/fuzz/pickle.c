/* The pickle alone, without the archive around it. */
#include "model/pickle.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  pickled_tensor *tensors;
  size_t count;
  if (fuzz_ok(pickle_read("data.pkl", data, size, &tensors, &count)))
    free(tensors);
  return 0;
}
