/* A table; the first byte says of which format. */
#include <stdlib.h>

#include "condlora/dataset.h"
#include "tests/fuzz/fuzz.h"

static void check_targets(const cdl_dataset *dataset, size_t index)
{
  const size_t outputs = cdl_dataset_output_count(dataset);
  double *targets = malloc((outputs + 1) * sizeof *targets);
  if (targets == NULL)
    abort();
  cdl_dataset_targets(dataset, index, targets);
  for (size_t k = 0; k < outputs; k++)
    if (cdl_dataset_problem(dataset) != CDL_PROBLEM_REGRESSION && targets[k] != 0 &&
        targets[k] != 1 && cdl_dataset_has_labels(dataset))
      abort();
  free(targets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const cdl_data_format formats[] = {CDL_DATA_TSV, CDL_DATA_CSV, CDL_DATA_JSONL};
  static const char *const names[] = {"t.tsv", "t.csv", "t.jsonl"};
  if (size < 2)
    return 0;
  static const char *const columns[] = {"label", "other"};
  const unsigned kind = data[0] % 3, how = data[0] / 3 % 4, truth = data[0] / 12 % 4;
  const bool several = truth == 3 && how != 1, by_columns = truth == 2 && how == 1;
  const cdl_dataset_source source = {.size = sizeof source,
                                     .path =
                                         fuzz_file(names[kind], (fuzz_part){data + 1, size - 1}),
                                     .format = formats[kind],
                                     .text_column = {"text", how == 1 ? "other" : NULL},
                                     .plain_lines = how == 3,
                                     .label_column = how < 3 ? "label" : NULL,
                                     .label_optional = how == 2,
                                     .skip_label = data[0] >= 128 && !several ? "-1" : NULL,
                                     .regression = how == 1,
                                     .multi_label = several,
                                     .label_separator = several && data[0] >= 128 ? "|" : NULL,
                                     .label_columns = by_columns ? columns : NULL,
                                     .label_column_count = by_columns ? 2 : 0};
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
    check_targets(dataset, i);
  }
  cdl_dataset_close(dataset);
  return 0;
}
