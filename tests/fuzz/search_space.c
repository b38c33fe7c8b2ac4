/* A JSON object of what a search varies, then a trial's parameters. */
#include "train/search_space.h"

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size}, first = fuzz_next(&rest);
  json_t *object, *parameters;
  if (!fuzz_ok(cdl_json_parse("space.json", first.data, first.size, &object)))
    return 0;
  cdl_search_space space = {0};
  cdl_settings settings;
  if (fuzz_ok(cdl_settings_init(&settings))) {
    if (fuzz_ok(cdl_search_space_read(&space, "space.json", object)) &&
        fuzz_ok(cdl_json_parse("trial.json", rest.data, rest.size, &parameters))) {
      (void)fuzz_ok(cdl_search_space_apply(&space, parameters, &settings));
      json_decref(parameters);
    }
    (void)fuzz_ok(cdl_search_space_check(&space, &settings));
    cdl_settings_release(&settings);
  }
  cdl_search_space_release(&space);
  json_decref(object);
  return 0;
}
