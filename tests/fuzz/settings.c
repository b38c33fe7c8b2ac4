/* A JSON object of training settings, as --config takes it. */
#include "train/settings.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  cdl_settings settings;
  if (!fuzz_ok(cdl_settings_init(&settings)))
    return 0;
  const char *path = fuzz_file("config.json", (fuzz_part){data, size});
  if (fuzz_ok(cdl_settings_read(&settings, path, NULL)))
    (void)fuzz_ok(cdl_settings_check(&settings));
  cdl_settings_release(&settings);
  return 0;
}
