/* adapter_config.json, adapter_model.safetensors. */
#include "model/adapter/folder.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const paths[] = {"encoder.layer.0.attention.self.query", "classifier",
                                      "encoder.layer.11.output.dense"};
  fuzz_part rest = {data, size};
  (void)fuzz_file("adapter_config.json", fuzz_next(&rest));
  (void)fuzz_file("adapter_model.safetensors", fuzz_next(&rest));
  adapter_config config;
  cdl_safetensors *tensors;
  if (!fuzz_ok(adapter_folder_open(fuzz_folder(), &config, &tensors)))
    return 0;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    adapter_module module;
    (void)fuzz_ok(adapter_config_module(&config, paths[i], 4, &module));
  }
  fuzz_read_tensors(tensors);
  adapter_config_free(&config);
  cdl_safetensors_close(tensors);
  return 0;
}
