#include "bench/batches.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "condlora/dataset.h"
#include "condlora/random.h"
#include "train/examples.h"

/* ---- Lengths ---- */

enum { QUANTILES = 21 };

/* Quantiles of the training examples' lengths in tokens, in steps of 5 %. */
static const struct {
  const char *name;
  int32_t quantile[QUANTILES];
} distributions[] = {
    {"mrpc", {19, 32, 36, 39, 41, 44, 45, 47, 50, 51, 53, 55, 57, 59, 61, 62, 64, 67, 70, 74, 103}},
    {"rte",
     {13, 29, 33, 37, 40, 43, 45, 47, 50, 53, 56, 59, 62, 67, 72, 85, 103, 120, 135, 157, 289}},
};

static int32_t draw_length(const int32_t *quantile, cdl_random *random)
{
  const double at = cdl_random_double(random) * (QUANTILES - 1);
  const int below = (int)at;
  return (int32_t)(quantile[below] + (at - below) * (quantile[below + 1] - quantile[below]) + 0.5);
}

/* Finds the distribution of lengths, or the fixed length of all examples. */
static cdl_status find_lengths(const char *lengths, const int32_t **quantile, int32_t *fixed)
{
  *quantile = NULL;
  for (size_t i = 0; i < sizeof distributions / sizeof distributions[0]; i++)
    if (strcmp(distributions[i].name, lengths) == 0)
      *quantile = distributions[i].quantile;
  if (*quantile != NULL)
    return CDL_STATUS_OK;
  int64_t number;
  if (!base_integer_parse(lengths, strlen(lengths), &number) || number < 2 || number > 1000000)
    return cdl_fail(CDL_STATUS_USAGE, "--lengths is mrpc, rte or a number of tokens, not '%s'",
                    lengths);
  *fixed = (int32_t)number;
  return CDL_STATUS_OK;
}

/* ---- Batches ---- */

static void count_batch(bench_batches *b, const data_batch *batch)
{
  b->tokens += (double)batch->input.tokens;
  b->examples += (double)batch->input.examples;
  b->bound.tokens = batch->input.tokens > b->bound.tokens ? batch->input.tokens : b->bound.tokens;
  b->bound.examples =
      batch->input.examples > b->bound.examples ? batch->input.examples : b->bound.examples;
  b->bound.longest =
      batch->input.longest > b->bound.longest ? batch->input.longest : b->bound.longest;
}

static cdl_status begin(bench_batches *batches, size_t count)
{
  *batches = (bench_batches){.item = calloc(count + 1, sizeof(data_batch)), .count = count};
  return batches->item != NULL ? CDL_STATUS_OK
                               : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu batches", count);
}

static int32_t first_position(const model_config *config)
{
  return (int32_t)model_config_first_position(config);
}

static cdl_status make_batch(const model_config *config, const int32_t *lengths, size_t examples,
                             cdl_random *random, data_batch *batch)
{
  encoder_batch_bound bound = {.examples = examples};
  for (size_t i = 0; i < examples; i++) {
    bound.tokens += (size_t)lengths[i];
    bound.longest = (size_t)lengths[i] > bound.longest ? (size_t)lengths[i] : bound.longest;
  }
  if (!data_batch_allocate(batch, bound, 0))
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a batch of %zu tokens", bound.tokens);
  batch->input.examples = examples;
  batch->input.longest = bound.longest;
  for (size_t i = 0; i < examples; i++) {
    const size_t begin = batch->input.tokens, length = (size_t)lengths[i];
    for (size_t k = 0; k < length; k++)
      batch->input.ids[batch->input.tokens++] =
          (int32_t)cdl_random_below(random, (uint64_t)config->vocabulary_size);
    model_count_positions(first_position(config), batch->input.ids + begin, length,
                          batch->input.positions + begin);
    batch->input.offsets[i + 1] = (int32_t)batch->input.tokens;
    batch->input.index[i] = (uint32_t)i;
    batch->labels[i] = (int32_t)(i % 2);
  }
  return CDL_STATUS_OK;
}

cdl_status bench_batches_make(const model_config *config, const char *lengths, size_t count,
                              size_t examples, bench_batches *batches)
{
  const int32_t *quantile;
  int32_t fixed = 0;
  *batches = (bench_batches){0};
  CDL_TRY(find_lengths(lengths, &quantile, &fixed));
  int32_t *drawn = calloc(examples + 1, sizeof *drawn);
  if (drawn == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu lengths", examples);
  cdl_status status = begin(batches, count);
  cdl_random random = cdl_random_start(1, CDL_RANDOM_TEST, 0, 0);
  const int64_t longest = model_config_max_tokens(config);
  for (size_t b = 0; status == CDL_STATUS_OK && b < count; b++) {
    for (size_t i = 0; i < examples; i++) {
      const int32_t length = quantile != NULL ? draw_length(quantile, &random) : fixed;
      drawn[i] = length < longest ? length : (int32_t)longest;
    }
    status = make_batch(config, drawn, examples, &random, &batches->item[b]);
    if (status == CDL_STATUS_OK)
      count_batch(batches, &batches->item[b]);
  }
  free(drawn);
  if (status != CDL_STATUS_OK)
    bench_batches_release(batches);
  return status;
}

cdl_status bench_batches_like(const model_config *config, const bench_attention_shape *shapes,
                              size_t count, bench_batches *batches)
{
  CDL_TRY(begin(batches, count));
  cdl_status status = CDL_STATUS_OK;
  cdl_random random = cdl_random_start(1, CDL_RANDOM_TEST, 0, 0);
  const int64_t longest = model_config_max_tokens(config);
  for (size_t b = 0; status == CDL_STATUS_OK && b < count; b++) {
    const size_t examples = (size_t)shapes[b].sequences;
    int32_t *lengths = calloc(examples + 1, sizeof *lengths);
    for (size_t i = 0; lengths != NULL && i < examples; i++)
      lengths[i] = shapes[b].lengths[i] < longest ? shapes[b].lengths[i] : (int32_t)longest;
    status = lengths != NULL ? make_batch(config, lengths, examples, &random, &batches->item[b])
                             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu lengths", examples);
    if (status == CDL_STATUS_OK)
      count_batch(batches, &batches->item[b]);
    free(lengths);
  }
  if (status != CDL_STATUS_OK)
    bench_batches_release(batches);
  return status;
}

/* ---- From data ---- */

static cdl_status take_batches(const model_config *config, const cdl_dataset *dataset,
                               uint32_t *rows, size_t examples, bench_batches *batches)
{
  const size_t all = cdl_dataset_count(dataset);
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  data_epoch_shuffle(rows, all, 42, 0);
  for (size_t b = 0; b < batches->count; b++) {
    const uint32_t *chosen = rows + b * examples;
    encoder_batch_bound bound;
    CDL_TRY(encoder_batch_bound_of(&tokens, chosen, examples, examples, &bound));
    if (!data_batch_allocate(&batches->item[b], bound, 0))
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a batch of %zu tokens", bound.tokens);
    CDL_TRY(data_batch_fill(&batches->item[b], dataset, chosen, examples, first_position(config)));
    for (size_t i = 0; i < examples; i++)
      batches->item[b].labels[i] = (int32_t)(i % 2); /* regressions are measured with two classes */
    count_batch(batches, &batches->item[b]);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_batches(const model_config *config, const char *model, cdl_dataset *dataset,
                               size_t count, size_t examples, bench_batches *batches)
{
  const size_t all = cdl_dataset_count(dataset), longest = (size_t)model_config_max_tokens(config);
  if (all < examples)
    return cdl_fail(CDL_STATUS_DATA, "%zu examples are too few for a batch of %zu", all, examples);
  cdl_tokenizer *tokenizer;
  CDL_TRY(cdl_tokenizer_open(model, &tokenizer));
  const cdl_status tokenized =
      cdl_dataset_tokenize(dataset, tokenizer, longest < 512 ? longest : 512, 2);
  cdl_tokenizer_close(tokenizer);
  CDL_TRY(tokenized);
  CDL_TRY(begin(batches, count < all / examples ? count : all / examples));
  uint32_t *rows = train_all_rows(all);
  if (rows == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the order of %zu examples", all);
  const cdl_status status = take_batches(config, dataset, rows, examples, batches);
  free(rows);
  return status;
}

cdl_status bench_batches_read(const model_config *config, const char *model, const char *task,
                              const char *data, size_t count, size_t examples,
                              bench_batches *batches)
{
  *batches = (bench_batches){0};
  const cdl_task *found;
  cdl_dataset *dataset;
  CDL_TRY(cdl_task_find(task, &found));
  CDL_TRY(cdl_dataset_read_task(found, data, "train", &dataset));
  const cdl_status status = read_batches(config, model, dataset, count, examples, batches);
  cdl_dataset_close(dataset);
  if (status != CDL_STATUS_OK)
    bench_batches_release(batches);
  return status;
}

void bench_batches_release(bench_batches *batches)
{
  for (size_t i = 0; batches->item != NULL && i < batches->count; i++)
    data_batch_free(&batches->item[i]);
  free(batches->item);
  *batches = (bench_batches){0};
}
