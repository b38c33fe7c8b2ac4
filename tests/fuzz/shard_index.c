/* A model in two shards: the index, then each shard. */
#include "condlora/safetensors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size};
  (void)fuzz_file("model.safetensors.index.json", fuzz_next(&rest));
  (void)fuzz_file("a.safetensors", fuzz_next(&rest));
  (void)fuzz_file("b.safetensors", fuzz_next(&rest));
  cdl_safetensors *file;
  if (fuzz_ok(cdl_safetensors_open(fuzz_folder(), &file))) {
    fuzz_read_tensors(file);
    cdl_safetensors_close(file);
  }
  return 0;
}
