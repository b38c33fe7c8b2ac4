/* A table; the first byte says of which format. */
#include <stdlib.h>

#include "condlora/dataset.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const cdl_data_format formats[] = {CDL_DATA_TSV, CDL_DATA_CSV, CDL_DATA_JSONL};
  static const char *const names[] = {"t.tsv", "t.csv", "t.jsonl"};
  if (size < 2)
    return 0;
  const unsigned kind = data[0] % 3, how = data[0] / 3 % 4;
  const cdl_dataset_source source = {.size = sizeof source,
                                     .path =
                                         fuzz_file(names[kind], (fuzz_part){data + 1, size - 1}),
                                     .format = formats[kind],
                                     .text_column = {"text", how == 1 ? "other" : NULL},
                                     .plain_lines = how == 3,
                                     .label_column = how < 3 ? "label" : NULL,
                                     .label_optional = how == 2,
                                     .skip_label = data[0] >= 128 ? "-1" : NULL,
                                     .regression = how == 1};
  cdl_dataset *dataset;
  if (!fuzz_ok(cdl_dataset_read_file(&source, &dataset)))
    return 0;
  for (size_t i = 0; i < cdl_dataset_count(dataset); i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    unsigned sum = 0;
    for (size_t part = 0; part < 2; part++)
      for (size_t at = 0; at < example.bytes[part]; at++)
        sum += (unsigned char)example.text[part][at];
    static volatile unsigned seen;
    seen = sum;
    (void)seen;
    if (example.label >= 0 && cdl_dataset_label_name(dataset, example.label) == NULL)
      abort();
  }
  cdl_dataset_close(dataset);
  return 0;
}
