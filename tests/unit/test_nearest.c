/* Distances between names, against values worked out by hand, and what is suggested for a slip. */
#include "base/nearest.h"
#include "tests/unit/scratch.h"

START_TEST(distances_are_levenshteins)
{
  ck_assert_uint_eq(base_distance("", ""), 0);
  ck_assert_uint_eq(base_distance("", "abc"), 3);
  ck_assert_uint_eq(base_distance("abc", ""), 3);
  ck_assert_uint_eq(base_distance("rank", "rank"), 0);
  ck_assert_uint_eq(base_distance("kitten", "sitting"), 3); /* Levenshtein's own examples follow */
  ck_assert_uint_eq(base_distance("saturday", "sunday"), 3);
  ck_assert_uint_eq(base_distance("ab", "ba"), 2); /* a swap is two steps */
  ck_assert_uint_eq(base_distance("lr", "LR"), 2);
}
END_TEST

/* The rest is not looked at, and no memory beyond the row is. */
START_TEST(only_the_first_64_bytes_count)
{
  char a[200], b[200];
  memset(a, 'x', sizeof a);
  memset(b, 'x', sizeof b);
  a[199] = b[199] = '\0';
  b[100] = 'y';
  ck_assert_uint_eq(base_distance(a, b), 0);
  b[63] = 'y';
  ck_assert_uint_eq(base_distance(a, b), 1);
  ck_assert_uint_eq(base_distance(a, ""), 64);
  ck_assert_uint_eq(base_distance("", b), 64);
}
END_TEST

START_TEST(the_first_of_the_nearest_is_given)
{
  static const char *const names[] = {"alpha", "rank", "dropout", "bank"};
  ck_assert_str_eq(base_nearest("alfa", names, 4), "alpha");
  ck_assert_str_eq(base_nearest("drop-out", names, 4), "dropout");
  ck_assert_str_eq(base_nearest("tank", names, 4), "rank"); /* bank is as near */
  ck_assert_str_eq(base_nearest("", names, 1), "alpha");
}
END_TEST

START_TEST(a_choice_is_a_whole_one)
{
  ck_assert(base_is_listed("adam|sgd|adamw", "adam"));
  ck_assert(base_is_listed("adam|sgd|adamw", "adamw"));
  ck_assert(!base_is_listed("adam|sgd|adamw", "ada"));
  ck_assert(!base_is_listed("adam|sgd|adamw", "adam|sgd"));
  ck_assert(!base_is_listed("adam|sgd|adamw", ""));
  static const char *const names[] = {"adam", "sgd"};
  ck_assert(base_is_one_of("sgd", names, 2));
  ck_assert(!base_is_one_of("sgd", names, 1));
  ck_assert(!base_is_one_of("sg", names, 2));
}
END_TEST

START_TEST(a_hint_names_what_was_meant)
{
  static const char *const names[] = {"lr", "rank", "batch-size"};
  ck_assert_ptr_nonnull(strstr(base_hint_for("learning_rate", names, 3, "--").text, "--lr"));
  ck_assert_ptr_nonnull(strstr(base_hint_for("bach-size", names, 3, "--").text, "--batch-size"));
  const base_hint none = base_hint_for("zzzzzzzzzzzz", names, 3, "--");
  for (size_t i = 0; i < 3; i++)
    ck_assert_ptr_null(strstr(none.text, names[i]));
}
END_TEST

int main(void)
{
  return scratch_run(
      "nearest", (const TTest *const[]){distances_are_levenshteins, only_the_first_64_bytes_count,
                                        the_first_of_the_nearest_is_given, a_choice_is_a_whole_one,
                                        a_hint_names_what_was_meant, NULL});
}
