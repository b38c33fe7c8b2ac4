/* Splits of train: the reference's, by permutations that NumPy prints and Python's rounding, and
 * the default one, which takes its share of every class. */
#include <math.h>

#include "tests/unit/scratch.h"
#include "train/data/split.h"

static void expect_beginning(uint32_t count, const uint32_t *expected, size_t expected_count)
{
  uint32_t *rows = calloc(count, sizeof *rows);
  ck_assert_ptr_nonnull(rows);
  data_split_permutation(DATA_SPLIT_SEED, rows, count);
  for (size_t i = 0; i < expected_count; i++)
    ck_assert_uint_eq(rows[i], expected[i]);

  unsigned char *seen = calloc(count, 1);
  ck_assert_ptr_nonnull(seen);
  for (uint32_t i = 0; i < count; i++) {
    ck_assert_uint_lt(rows[i], count);
    ck_assert_uint_eq(seen[rows[i]], 0);
    seen[rows[i]] = 1;
  }
  free(seen);
  free(rows);
}

START_TEST(permutations_are_numpys)
{
  /* numpy.random.default_rng(1).permutation(n)[:8] */
  static const uint32_t mrpc[] = {2158, 150, 257, 1136, 2260, 3171, 2256, 2307};
  static const uint32_t rte[] = {2326, 316, 1660, 441, 1076, 82, 412, 977};
  expect_beginning(3668, mrpc, 8);
  expect_beginning(2490, rte, 8);
  expect_beginning(1, (const uint32_t[]){0}, 1);
}
END_TEST

START_TEST(counts_are_rounded_as_python_rounds)
{
  /* round(0.1 * N) for the training sets of GLUE, as the paper's splits have them. */
  static const size_t counts[][2] = {{8551, 855},     {392702, 39270}, {3668, 367},
                                     {104743, 10474}, {363846, 36385}, {2490, 249},
                                     {67349, 6735},   {5749, 575},     {635, 64}};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    ck_assert_uint_eq(data_split_valid_count(0.1, counts[i][0]), counts[i][1]);
  ck_assert_uint_eq(data_split_valid_count(0.5, 5), 2); /* 2.5 goes to the even 2, */
  ck_assert_uint_eq(data_split_valid_count(0.5, 7), 4); /* 3.5 to the even 4 */
  ck_assert_uint_eq(data_split_valid_count(0.25, 10), 2);
  ck_assert_uint_eq(data_split_valid_count(0.0, 10), 0);
}
END_TEST

START_TEST(valid_comes_first_and_train_is_the_rest)
{
  data_split split;
  expect_ok(data_split_make(0.1, 2490, &split));
  ck_assert_uint_eq(split.valid_count, 249);
  ck_assert_uint_eq(split.train_count, 2241);
  uint32_t *rows = calloc(2490, sizeof *rows);
  ck_assert_ptr_nonnull(rows);
  data_split_permutation(DATA_SPLIT_SEED, rows, 2490);
  ck_assert_mem_eq(split.valid, rows, 249 * sizeof *rows);
  ck_assert_mem_eq(split.train, rows + 249, 2241 * sizeof *rows);
  free(rows);
  data_split_release(&split);
  ck_assert_ptr_null(split.rows);
}
END_TEST

START_TEST(nothing_held_out_keeps_the_order)
{
  data_split split;
  expect_ok(data_split_make(0, 5, &split));
  ck_assert_uint_eq(split.valid_count, 0);
  ck_assert_uint_eq(split.train_count, 5);
  for (uint32_t i = 0; i < 5; i++)
    ck_assert_uint_eq(split.train[i], i);
  data_split_release(&split);
}
END_TEST

START_TEST(impossible_fractions_are_refused)
{
  data_split split;
  expect_failure(data_split_make(1, 10, &split), CDL_STATUS_USAGE, "1");
  expect_failure(data_split_make(-0.1, 10, &split), CDL_STATUS_USAGE, "-0.1");
  expect_failure(data_split_make((double)NAN, 10, &split), CDL_STATUS_USAGE, "nan");
  expect_failure(data_split_make(0.9, 1, &split), CDL_STATUS_USAGE, "leaves none");
  expect_failure(data_split_make(0, 0, &split), CDL_STATUS_USAGE, "leaves none");
}
END_TEST

/* Within one of a class's share of `valid`; one example of each class stays. */
static void expect_fair(const size_t *counts, size_t classes, size_t valid)
{
  size_t quotas[64], lost, total = 0, sum = 0;
  bool possible;
  expect_ok(data_split_quotas(counts, classes, valid, quotas, &possible, &lost));
  ck_assert(possible);
  for (size_t c = 0; c < classes; c++)
    total += counts[c];
  for (size_t c = 0; c < classes; c++) {
    const double share = (double)valid * (double)counts[c] / (double)total;
    ck_assert_double_le(fabs((double)quotas[c] - share), 1.0);
    ck_assert(counts[c] == 0 ? quotas[c] == 0 : quotas[c] < counts[c]);
    sum += quotas[c];
  }
  ck_assert_uint_eq(sum, valid);
}

START_TEST(each_class_gives_its_share)
{
  expect_fair((const size_t[]){50, 50}, 2, 10);
  expect_fair((const size_t[]){990, 9, 1}, 3, 100);
  expect_fair((const size_t[]){0, 7, 13}, 3, 2);
  expect_fair((const size_t[]){20, 1, 1, 1, 1, 1}, 6, 3);
  uint32_t state = 7;
  for (int round = 0; round < 2000; round++) {
    size_t counts[64], total = 0, classes = 2 + (size_t)round % 60;
    for (size_t c = 0; c < classes; c++) {
      state = state * 1664525u + 1013904223u;
      counts[c] = 2 + (state >> 24) % (c == 0 ? 200 : 30);
      total += counts[c];
    }
    expect_fair(counts, classes, data_split_valid_count(0.1, total));
  }
}
END_TEST

START_TEST(an_only_example_stays_in_train)
{
  size_t quotas[3], lost;
  bool possible;
  expect_ok(data_split_quotas((const size_t[]){5, 1, 4}, 3, 5, quotas, &possible, &lost));
  ck_assert(possible);
  ck_assert_uint_eq(quotas[0], 3);
  ck_assert_uint_eq(quotas[1], 0);
  ck_assert_uint_eq(quotas[2], 2);
  /* Nine of ten leave one example for two classes. */
  expect_ok(data_split_quotas((const size_t[]){9, 1}, 2, 9, quotas, &possible, &lost));
  ck_assert(!possible);
  ck_assert_uint_eq(lost, 1);
}
END_TEST

/* Rows with these labels, a letter each. */
static cdl_dataset *labelled(const char *letters)
{
  char text[4096] = "text\tkind\n";
  for (const char *c = letters; *c != '\0'; c++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "row %td\t%c\n", c - letters, *c);
  const cdl_dataset_source source = {.size = sizeof source,
                                     .path = scratch_path("own.tsv"),
                                     .text_column = {"text"},
                                     .label_column = "kind"};
  scratch_put_text(source.path, text);
  cdl_dataset *dataset;
  expect_ok(cdl_dataset_read_file(&source, &dataset));
  return dataset;
}

START_TEST(the_default_split_follows_the_classes)
{
  cdl_dataset *dataset = labelled("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbc");
  data_split split, again;
  expect_ok(data_split_dataset(dataset, 0.2, DATA_SPLIT_STRATIFIED, &split));
  expect_ok(data_split_dataset(dataset, 0.2, DATA_SPLIT_STRATIFIED, &again));
  ck_assert_uint_eq(split.valid_count, 12);
  ck_assert_uint_eq(split.train_count, 49);
  ck_assert_mem_eq(split.rows, again.rows, 61 * sizeof *split.rows);
  size_t held_out[3] = {0};
  for (size_t i = 0; i < 12; i++)
    held_out[cdl_dataset_get(dataset, split.valid[i]).label]++;
  ck_assert_uint_eq(held_out[0], 8);
  ck_assert_uint_eq(held_out[1], 4);
  ck_assert_uint_eq(held_out[2], 0);

  /* Both parts keep the order of the permutation, and together are all rows. */
  uint32_t order[61], place[61];
  data_split_permutation(DATA_SPLIT_SEED, order, 61);
  for (uint32_t i = 0; i < 61; i++)
    place[order[i]] = i;
  for (size_t i = 1; i < 12; i++)
    ck_assert_uint_lt(place[split.valid[i - 1]], place[split.valid[i]]);
  for (size_t i = 1; i < 49; i++)
    ck_assert_uint_lt(place[split.train[i - 1]], place[split.train[i]]);
  data_split_release(&split);
  data_split_release(&again);

  expect_ok(data_split_dataset(dataset, 0.2, DATA_SPLIT_REFERENCE, &split));
  ck_assert_mem_eq(split.rows, order, sizeof order);
  data_split_release(&split);
  cdl_dataset_close(dataset);
}
END_TEST

START_TEST(a_class_that_would_be_lost_is_named)
{
  cdl_dataset *dataset = labelled("aaaaaaaaab");
  data_split split;
  expect_failure(data_split_dataset(dataset, 0.9, DATA_SPLIT_STRATIFIED, &split), CDL_STATUS_DATA,
                 "own.tsv: the class 'b' has 1 example");
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "--dev-fraction"));
  ck_assert_ptr_null(split.rows);
  expect_ok(data_split_dataset(dataset, 0.9, DATA_SPLIT_REFERENCE, &split));
  data_split_release(&split);
  cdl_dataset_close(dataset);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {permutations_are_numpys,
                                counts_are_rounded_as_python_rounds,
                                valid_comes_first_and_train_is_the_rest,
                                nothing_held_out_keeps_the_order,
                                impossible_fractions_are_refused,
                                each_class_gives_its_share,
                                an_only_example_stays_in_train,
                                the_default_split_follows_the_classes,
                                a_class_that_would_be_lost_is_named,
                                NULL};
  return scratch_run("split", tests);
}
