/* config.json, read and written again. */
#include "model/files/config.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *path = fuzz_file("config.json", (fuzz_part){data, size});
  model_config config;
  if (!fuzz_ok(model_config_read(path, &config)))
    return 0;
  if (config.hidden_size <= 0 || config.heads <= 0 || config.hidden_size % config.heads != 0 ||
      model_config_max_tokens(&config) > config.position_count)
    abort();
  const char *written = fuzz_file("written.json", (fuzz_part){0});
  if (fuzz_ok(model_config_write(path, written, config.label_count,
                                 (const char *const *)config.label_names, config.problem))) {
    model_config again;
    if (model_config_read(written, &again) != CDL_STATUS_OK ||
        again.label_count != config.label_count || again.hidden_size != config.hidden_size)
      abort();
    model_config_release(&again);
  }
  model_config_release(&config);
  return 0;
}
