/* pytorch_model.bin: a zip archive of a pickle and storages. */
#include "condlora/safetensors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  cdl_safetensors *file;
  if (fuzz_ok(
          cdl_safetensors_open(fuzz_file("pytorch_model.bin", (fuzz_part){data, size}), &file))) {
    fuzz_read_tensors(file);
    cdl_safetensors_close(file);
  }
  return 0;
}
