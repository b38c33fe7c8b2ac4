#include "train/data/batch.h"

#include <stdlib.h>

#include "condlora/random.h"

void data_epoch_shuffle(uint32_t *rows, size_t count, uint64_t data_seed, uint32_t epoch)
{
  cdl_random random = cdl_random_start(data_seed, CDL_RANDOM_DATA_ORDER, 0, epoch);
  for (size_t i = count; i-- > 1;) {
    const size_t j = (size_t)cdl_random_below(&random, (uint64_t)i + 1);
    const uint32_t kept = rows[i];
    rows[i] = rows[j];
    rows[j] = kept;
  }
}

static void fill_targets(data_batch *batch, const cdl_dataset *dataset, uint32_t row, size_t place)
{
  cdl_dataset_targets(dataset, row, batch->numbers);
  for (size_t k = 0; k < batch->outputs; k++)
    batch->targets[place * batch->outputs + k] = (float)batch->numbers[k];
}

cdl_status data_batch_fill(data_batch *batch, const cdl_dataset *dataset, const uint32_t *rows,
                           size_t count, int32_t first_position)
{
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  CDL_TRY(encoder_host_batch_fill(&batch->input, &tokens, rows, count, first_position));
  for (size_t i = 0; i < count; i++) {
    const cdl_example example = cdl_dataset_get(dataset, rows[i]);
    if (batch->input.index != NULL)
      batch->input.index[i] = example.index; /* what dropout knows it by */
    if (batch->labels != NULL)
      batch->labels[i] = example.label;
    if (batch->targets != NULL)
      fill_targets(batch, dataset, rows[i], i);
  }
  return CDL_STATUS_OK;
}

bool data_batch_allocate(data_batch *batch, encoder_batch_bound bound, size_t outputs)
{
  *batch =
      (data_batch){.labels = calloc(bound.examples + 1, sizeof *batch->labels), .outputs = outputs};
  if (outputs > 0) {
    batch->targets = calloc(bound.examples * outputs + 1, sizeof *batch->targets);
    batch->numbers = calloc(outputs, sizeof *batch->numbers);
  }
  return encoder_host_batch_allocate(&batch->input, bound) && batch->labels != NULL &&
         (outputs == 0 || (batch->targets != NULL && batch->numbers != NULL));
}

void data_batch_free(data_batch *batch)
{
  encoder_host_batch_free(&batch->input);
  free(batch->labels);
  free(batch->targets);
  free(batch->numbers);
  *batch = (data_batch){0};
}
