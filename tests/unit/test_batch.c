/* Order of an epoch, batches end to end, and plans for evaluation. */
#include <math.h>

#include "condlora/random.h"
#include "tests/unit/words.h"
#include "train/data/batch.h"

static void count_up(uint32_t *rows, size_t count)
{
  for (size_t i = 0; i < count; i++)
    rows[i] = (uint32_t)i;
}

START_TEST(an_epoch_is_a_permutation_keyed_by_seed_and_epoch)
{
  enum { COUNT = 1000 };
  static uint32_t orders[4][COUNT], again[COUNT];
  static const struct {
    uint64_t seed;
    uint32_t epoch;
  } keys[4] = {{42, 0}, {42, 1}, {43, 0}, {(uint64_t)42 << 32, 0}};
  for (size_t k = 0; k < 4; k++) {
    count_up(orders[k], COUNT);
    data_epoch_shuffle(orders[k], COUNT, keys[k].seed, keys[k].epoch);
    unsigned char seen[COUNT] = {0};
    for (size_t i = 0; i < COUNT; i++) {
      ck_assert_uint_lt(orders[k][i], COUNT);
      ck_assert_uint_eq(seen[orders[k][i]]++, 0);
    }
    for (size_t other = 0; other < k; other++)
      ck_assert_mem_ne(orders[k], orders[other], sizeof orders[k]);
  }
  count_up(again, COUNT);
  data_epoch_shuffle(again, COUNT, 42, 1);
  ck_assert_mem_eq(again, orders[1], sizeof again);
}
END_TEST

START_TEST(a_shuffle_is_fisher_and_yates_on_philox)
{
  enum { COUNT = 9 };
  uint32_t rows[COUNT], expected[COUNT];
  count_up(rows, COUNT);
  count_up(expected, COUNT);
  data_epoch_shuffle(rows, COUNT, 7, 3);
  /* Draw d is the 64 bits of words 2d and 2d + 1; none of the first eight is below 2^64 mod 9, so
   * none is rejected. */
  for (uint32_t d = 0; d < COUNT - 1; d++) {
    const cdl_philox_words words =
        cdl_philox((cdl_philox_words){{d / 2, 0, 3, (uint32_t)CDL_RANDOM_DATA_ORDER << 24}}, 7, 0);
    const uint64_t draw = (uint64_t)words.word[d % 2 * 2 + 1] << 32 | words.word[d % 2 * 2];
    const uint32_t i = COUNT - 1 - d, j = (uint32_t)(draw % (i + 1)), kept = expected[i];
    expected[i] = expected[j];
    expected[j] = kept;
  }
  ck_assert_mem_eq(rows, expected, sizeof rows);
}
END_TEST

START_TEST(every_order_is_as_likely_as_any)
{
  enum { EPOCHS = 24000 };
  double seen[4][4][4] = {{{0}}}, chi = 0;
  for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
    uint32_t rows[4];
    count_up(rows, 4);
    data_epoch_shuffle(rows, 4, 1, epoch);
    seen[rows[0]][rows[1]][rows[2]]++;
  }
  for (size_t i = 0; i < 64; i++) {
    const double count = seen[i / 16][i / 4 % 4][i % 4];
    if (i / 16 != i / 4 % 4 && i / 16 != i % 4 && i / 4 % 4 != i % 4)
      chi += (count - EPOCHS / 24) * (count - EPOCHS / 24) / (EPOCHS / 24);
  }
  ck_assert_double_lt(chi, 49.73); /* 23 degrees of freedom, once in a thousand seeds */
}
END_TEST

/* Tokens of which only the lengths matter. */
typedef struct {
  uint64_t offsets[16];
  cdl_tokens tokens;
} lengths;

static const cdl_tokens *make_lengths(lengths *l, const size_t *length, size_t count)
{
  l->offsets[0] = 0;
  l->tokens = (cdl_tokens){.offsets = l->offsets, .count = count};
  for (size_t i = 0; i < count; i++)
    l->offsets[i + 1] = l->offsets[i] + length[i];
  return &l->tokens;
}

START_TEST(bounds_are_sums_of_the_longest)
{
  static const size_t length[] = {5, 9, 3, 7, 9, 1};
  static const uint32_t all[] = {0, 1, 2, 3, 4, 5}, some[] = {5, 0, 2};
  lengths l;
  const cdl_tokens *tokens = make_lengths(&l, length, 6);
  static const size_t sums[] = {0, 9, 18, 25, 30, 33, 34, 34};
  encoder_batch_bound bound;
  for (size_t size = 0; size < 8; size++) {
    expect_ok(encoder_batch_bound_of(tokens, all, 6, size, &bound));
    ck_assert_uint_eq(bound.examples, size < 6 ? size : 6);
    ck_assert_uint_eq(bound.tokens, sums[size]);
    ck_assert_uint_eq(bound.longest, size == 0 ? 0 : 9);
  }
  expect_ok(encoder_batch_bound_of(tokens, some, 3, 2, &bound));
  ck_assert_uint_eq(bound.tokens, 8);
  ck_assert_uint_eq(bound.longest, 5);
  expect_ok(encoder_batch_bound_of(tokens, NULL, 0, 2, &bound));
  ck_assert_uint_eq(bound.tokens, 0);
}
END_TEST

START_TEST(plans_are_sorted_stably_and_cut_by_tokens)
{
  static const size_t length[] = {5, 9, 3, 5, 9, 1, 5, 40};
  static const uint32_t rows[] = {6, 0, 1, 2, 3, 4, 5, 7};
  lengths l;
  const cdl_tokens *tokens = make_lengths(&l, length, 8);
  encoder_batch_order plan;
  expect_ok(encoder_batch_order_make(tokens, rows, 8, 14, 100, &plan));
  /* 1 + 3 + 5 + 5 = 14 | 5 + 9 = 14 | 9 | 40, longer than the budget, alone */
  static const uint32_t order[] = {5, 2, 6, 0, 3, 1, 4, 7};
  static const size_t first[] = {0, 4, 6, 7, 8};
  ck_assert_mem_eq(plan.rows, order, sizeof order);
  ck_assert_uint_eq(plan.batches, 4);
  ck_assert_mem_eq(plan.first, first, sizeof first);
  ck_assert_uint_eq(plan.bound.tokens, 40);
  ck_assert_uint_eq(plan.bound.examples, 4);
  ck_assert_uint_eq(plan.bound.longest, 40);
  encoder_batch_order_release(&plan);

  expect_ok(encoder_batch_order_make(tokens, rows, 8, 1000, 3, &plan));
  static const size_t threes[] = {0, 3, 6, 8};
  ck_assert_uint_eq(plan.batches, 3);
  ck_assert_mem_eq(plan.first, threes, sizeof threes);
  ck_assert_uint_eq(plan.bound.examples, 3);
  encoder_batch_order_release(&plan);

  expect_ok(encoder_batch_order_make(tokens, NULL, 0, 14, 3, &plan));
  ck_assert_uint_eq(plan.batches, 0);
  ck_assert_uint_eq(plan.first[0], 0);
  encoder_batch_order_release(&plan);
  expect_failure(encoder_batch_order_make(tokens, rows, 8, 0, 3, &plan), CDL_STATUS_ARGUMENT,
                 "at least 1");
  ck_assert_ptr_null(plan.rows);
}
END_TEST

START_TEST(a_batch_lies_end_to_end)
{
  enum { EXAMPLES = 3, TOKENS = 200, FIRST_POSITION = 2 };
  cdl_tokenizer *tokenizer = words_open();
  const char *path = scratch_path("words.tsv");
  words_write(path, 50);
  const cdl_dataset_source source = {.size = sizeof source,
                                     .path = path,
                                     .text_column = {"first", "second"},
                                     .label_column = "kind"};
  cdl_dataset *dataset;
  expect_ok(cdl_dataset_read_file(&source, &dataset));
  expect_ok(cdl_dataset_tokenize(dataset, tokenizer, 0, 1));

  int32_t ids[TOKENS], positions[TOKENS], types[TOKENS], offsets[EXAMPLES + 1], labels[EXAMPLES];
  uint32_t index[EXAMPLES];
  float targets[EXAMPLES * 2];
  double numbers[2];
  data_batch batch = {.input = {.ids = ids,
                                .positions = positions,
                                .type_ids = types,
                                .offsets = offsets,
                                .index = index,
                                .capacity = {.examples = EXAMPLES, .tokens = TOKENS}},
                      .labels = labels,
                      .targets = targets,
                      .numbers = numbers,
                      .outputs = 2};
  static const uint32_t rows[] = {33, 4, 20};
  expect_ok(data_batch_fill(&batch, dataset, rows, EXAMPLES, FIRST_POSITION));
  ck_assert_uint_eq(batch.input.examples, EXAMPLES);
  size_t at = 0, longest = 0;
  for (size_t e = 0; e < EXAMPLES; e++) {
    const size_t i = rows[e], begin = at;
    ck_assert_int_eq(offsets[e], (int32_t)at);
    ck_assert_uint_eq(index[e], i);
    ck_assert_int_eq(labels[e], (int32_t)(i % 2)); /* "even" sorts before "odd" */
    for (size_t k = 0; k < 2; k++)
      ck_assert_float_eq(targets[2 * e + k], k == i % 2 ? 1 : 0);
    ck_assert_int_eq(ids[at++], WORDS_CLS);
    for (size_t which = 0; which < 2; which++) {
      for (size_t k = 0; k < words_length(i, which); k++) {
        ck_assert_int_eq(types[at], (int32_t)which);
        ck_assert_int_eq(ids[at++], WORDS_FIRST + words_word(i, which, k));
      }
      ck_assert_int_eq(ids[at++], WORDS_SEP);
    }
    for (size_t t = begin; t < at; t++)
      ck_assert_int_eq(positions[t], (int32_t)(FIRST_POSITION + t - begin));
    longest = at - begin > longest ? at - begin : longest;
  }
  ck_assert_int_eq(offsets[EXAMPLES], (int32_t)at);
  ck_assert_uint_eq(batch.input.tokens, at);
  ck_assert_uint_eq(batch.input.longest, longest);

  expect_ok(data_batch_fill(&batch, dataset, rows, 0, 0));
  ck_assert_uint_eq(batch.input.tokens, 0);
  ck_assert_int_eq(offsets[0], 0);
  batch.input.capacity.tokens = at - 1;
  expect_failure(data_batch_fill(&batch, dataset, rows, EXAMPLES, 0), CDL_STATUS_ARGUMENT, "batch");
  batch.input.capacity = (encoder_batch_bound){.examples = 2, .tokens = TOKENS};
  expect_failure(data_batch_fill(&batch, dataset, rows, EXAMPLES, 0), CDL_STATUS_ARGUMENT, "batch");
  expect_failure(data_batch_fill(&batch, dataset, (const uint32_t[]){50}, 1, 0),
                 CDL_STATUS_ARGUMENT, "example 50");
  cdl_dataset_close(dataset);
  cdl_tokenizer_close(tokenizer);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {an_epoch_is_a_permutation_keyed_by_seed_and_epoch,
                                a_shuffle_is_fisher_and_yates_on_philox,
                                every_order_is_as_likely_as_any,
                                bounds_are_sums_of_the_longest,
                                plans_are_sorted_stably_and_cut_by_tokens,
                                a_batch_lies_end_to_end,
                                NULL};
  return scratch_run("batch", tests);
}
