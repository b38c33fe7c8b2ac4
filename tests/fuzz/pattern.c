/* A regular expression for modules, and a path. */
#include "model/adapter/module_pattern.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static char *text_of(fuzz_part part)
{
  char *text = malloc(part.size + 1);
  if (text == NULL)
    abort();
  if (part.size > 0)
    memcpy(text, part.data, part.size);
  text[part.size] = '\0';
  return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size};
  char *expression = text_of(fuzz_next(&rest)), *path = text_of(rest);
  module_pattern *pattern;
  if (fuzz_ok(module_pattern_create("the pattern", expression, &pattern))) {
    bool matches;
    int64_t number;
    (void)fuzz_ok(module_pattern_matches(pattern, path, &matches));
    (void)fuzz_ok(module_pattern_matches_end(pattern, path, &matches));
    (void)fuzz_ok(module_pattern_number(pattern, path, &number));
    module_pattern_free(pattern);
  }
  free(expression);
  free(path);
  return 0;
}
