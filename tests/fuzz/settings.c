/* A JSON object of training settings, as --config takes it. Settings that can be are the same after
 * they went through JSON. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "train/settings.h"

static void check_written(const train_settings *settings)
{
  train_settings again;
  json_t *object = train_settings_json(settings, false), *rewritten = NULL;
  if (object == NULL || !fuzz_ok(train_settings_init(&again)))
    abort();
  if (!fuzz_ok(train_settings_take(&again, "run.json", object, NULL)) ||
      (rewritten = train_settings_json(&again, false)) == NULL || !json_equal(object, rewritten))
    abort();
  train_settings_release(&again);
  json_decref(object);
  json_decref(rewritten);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  train_settings settings;
  if (!fuzz_ok(train_settings_init(&settings)))
    return 0;
  const char *path = fuzz_file("config.json", (fuzz_part){data, size});
  if (fuzz_ok(train_settings_read(&settings, path, NULL)))
    if (fuzz_ok(train_settings_check(&settings)))
      check_written(&settings);
  train_settings_release(&settings);
  return 0;
}
