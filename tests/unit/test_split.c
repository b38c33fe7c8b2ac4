/* The reference's train/valid split: permutations that NumPy prints, and Python's rounding. */
#include <math.h>

#include "tests/unit/scratch.h"
#include "train/split.h"

static void expect_beginning(uint32_t count, const uint32_t *expected, size_t expected_count)
{
  uint32_t *rows = calloc(count, sizeof *rows);
  ck_assert_ptr_nonnull(rows);
  cdl_split_permutation(CDL_SPLIT_SEED, rows, count);
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
    ck_assert_uint_eq(cdl_split_valid_count(0.1, counts[i][0]), counts[i][1]);
  ck_assert_uint_eq(cdl_split_valid_count(0.5, 5), 2); /* 2.5 goes to the even 2, */
  ck_assert_uint_eq(cdl_split_valid_count(0.5, 7), 4); /* 3.5 to the even 4 */
  ck_assert_uint_eq(cdl_split_valid_count(0.25, 10), 2);
  ck_assert_uint_eq(cdl_split_valid_count(0.0, 10), 0);
}
END_TEST

START_TEST(valid_comes_first_and_train_is_the_rest)
{
  cdl_split split;
  expect_ok(cdl_split_make(0.1, 2490, &split));
  ck_assert_uint_eq(split.valid_count, 249);
  ck_assert_uint_eq(split.train_count, 2241);
  uint32_t *rows = calloc(2490, sizeof *rows);
  ck_assert_ptr_nonnull(rows);
  cdl_split_permutation(CDL_SPLIT_SEED, rows, 2490);
  ck_assert_mem_eq(split.valid, rows, 249 * sizeof *rows);
  ck_assert_mem_eq(split.train, rows + 249, 2241 * sizeof *rows);
  free(rows);
  cdl_split_release(&split);
  ck_assert_ptr_null(split.rows);
}
END_TEST

START_TEST(nothing_held_out_keeps_the_order)
{
  cdl_split split;
  expect_ok(cdl_split_make(0, 5, &split));
  ck_assert_uint_eq(split.valid_count, 0);
  ck_assert_uint_eq(split.train_count, 5);
  for (uint32_t i = 0; i < 5; i++)
    ck_assert_uint_eq(split.train[i], i);
  cdl_split_release(&split);
}
END_TEST

START_TEST(impossible_fractions_are_refused)
{
  cdl_split split;
  expect_failure(cdl_split_make(1, 10, &split), CDL_USAGE, "1");
  expect_failure(cdl_split_make(-0.1, 10, &split), CDL_USAGE, "-0.1");
  expect_failure(cdl_split_make((double)NAN, 10, &split), CDL_USAGE, "nan");
  expect_failure(cdl_split_make(0.9, 1, &split), CDL_USAGE, "leaves none");
  expect_failure(cdl_split_make(0, 0, &split), CDL_USAGE, "leaves none");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {permutations_are_numpys,
                                counts_are_rounded_as_python_rounds,
                                valid_comes_first_and_train_is_the_rest,
                                nothing_held_out_keeps_the_order,
                                impossible_fractions_are_refused,
                                NULL};
  return scratch_run("split", tests);
}
