/* A JSON object of what a search varies, then a trial's parameters. */
#include "tools/study/search_space.h"

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size}, first = fuzz_next(&rest);
  json_t *object, *parameters;
  if (!fuzz_ok(base_json_parse("space.json", first.data, first.size, &object)))
    return 0;
  study_search_space space = {0};
  train_settings settings;
  if (fuzz_ok(train_settings_init(&settings))) {
    if (fuzz_ok(study_search_space_read(&space, "space.json", object)) &&
        fuzz_ok(base_json_parse("trial.json", rest.data, rest.size, &parameters))) {
      (void)fuzz_ok(study_search_space_apply(&space, parameters, &settings));
      json_decref(parameters);
    }
    (void)fuzz_ok(study_search_space_check(&space, &settings));
    train_settings_release(&settings);
  }
  study_search_space_release(&space);
  json_decref(object);
  return 0;
}
