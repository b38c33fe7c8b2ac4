/* JSON: what is read here and what jansson reads are the same values, and what is written reads
 * back. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* Where the two differ on purpose: integers beyond 64 bits are an error to jansson and reals here,
 * and jansson passes over a NUL behind a value. */
static bool may_differ(const base_json_fault *fault, const json_error_t *error, const uint8_t *data,
                       size_t size)
{
  return fault->rounded || json_error_code(error) == json_error_numeric_overflow ||
         memchr(data, '\0', size) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  base_json_fault fault;
  json_error_t error;
  json_t *ours = base_json_load((const char *)data, size, &fault),
         *theirs =
             json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  if ((ours == NULL) != (theirs == NULL) && !may_differ(&fault, &error, data, size))
    abort();
  if (ours == NULL && (fault.problem[0] == '\0' || fault.byte > size))
    abort();
  if (ours != NULL && theirs != NULL && !json_equal(ours, theirs))
    abort();
  if (ours != NULL) {
    char *const texts[] = {base_json_text(ours), base_json_line(ours)};
    for (size_t i = 0; i < 2; i++) {
      json_t *again = texts[i] != NULL ? base_json_load(texts[i], strlen(texts[i]), &fault) : NULL;
      if (again == NULL || !json_equal(ours, again))
        abort();
      json_decref(again);
      free(texts[i]);
    }
  }
  json_decref(ours);
  json_decref(theirs);
  return 0;
}
