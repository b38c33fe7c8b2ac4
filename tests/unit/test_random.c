/* Philox against its authors' known answers, and what is drawn from it against arithmetic and
 * probability. */
#include <math.h>

#include "condlora/random.h"
#include "tests/unit/scratch.h"

START_TEST(philox_gives_the_published_answers)
{
  /* Philox 4x32-10 in the known-answer file of Random123: nothing, all ones, digits of pi. */
  static const struct {
    cdl_philox_words counter;
    uint32_t key[2];
    cdl_philox_words answer;
  } known[] = {
      {{{0, 0, 0, 0}}, {0, 0}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       {0xffffffff, 0xffffffff},
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {0xa4093822, 0x299f31d0},
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    const cdl_philox_words words = cdl_philox(known[i].counter, known[i].key[0], known[i].key[1]);
    for (int w = 0; w < 4; w++)
      ck_assert_uint_eq(words.word[w], known[i].answer.word[w]);
  }
}
END_TEST

START_TEST(a_block_is_philox_of_its_documented_counter)
{
  const cdl_philox_words counter = {
      {7, 123456, 42, (uint32_t)CDL_RANDOM_DROPOUT_ADAPTER << 24 | 11}};
  const cdl_philox_words expected = cdl_philox(counter, 0x89abcdef, 0x01234567);
  const cdl_philox_words words =
      cdl_random_block(0x0123456789abcdefu, CDL_RANDOM_DROPOUT_ADAPTER, 11, 42, 123456, 7);
  ck_assert_mem_eq(words.word, expected.word, sizeof words.word);
}
END_TEST

START_TEST(a_stream_is_its_blocks_in_order)
{
  cdl_random random = cdl_random_start(5, CDL_RANDOM_TEST, 3, 9);
  for (uint32_t block = 0; block < 3; block++) {
    const cdl_philox_words words = cdl_random_block(5, CDL_RANDOM_TEST, 3, 9, 0, block);
    for (int w = 0; w < 4; w++)
      ck_assert_uint_eq(cdl_random_u32(&random), words.word[w]);
  }
  cdl_random pairs = cdl_random_start(5, CDL_RANDOM_TEST, 3, 9);
  const cdl_philox_words first = cdl_random_block(5, CDL_RANDOM_TEST, 3, 9, 0, 0);
  ck_assert_uint_eq(cdl_random_u64(&pairs), (uint64_t)first.word[1] << 32 | first.word[0]);

  cdl_random carried = cdl_random_start(5, CDL_RANDOM_TEST, 3, 9);
  carried.counter.word[0] = UINT32_MAX;
  for (int w = 0; w < 4; w++)
    cdl_random_u32(&carried);
  ck_assert_uint_eq(cdl_random_u32(&carried),
                    cdl_random_block(5, CDL_RANDOM_TEST, 3, 9, 1, 0).word[0]);
}
END_TEST

START_TEST(thresholds_round_probabilities)
{
  ck_assert_uint_eq(cdl_random_threshold(0), 0);
  ck_assert_uint_eq(cdl_random_threshold(0.5), 0x80000000u);
  ck_assert_uint_eq(cdl_random_threshold(0.1), 429496730u); /* 429496729.6 */
  ck_assert_uint_eq(cdl_random_threshold(1), UINT32_MAX);
}
END_TEST

START_TEST(reals_are_the_top_bits_of_their_words)
{
  cdl_random words = cdl_random_start(1, CDL_RANDOM_TEST, 0, 0), reals = words;
  for (int i = 0; i < 100; i++)
    ck_assert(cdl_random_float(&reals) == (float)(cdl_random_u32(&words) / 256) / 16777216.0f);
  for (int i = 0; i < 100; i++)
    ck_assert(cdl_random_double(&reals) ==
              (double)(cdl_random_u64(&words) / 2048) / 9007199254740992.0);
}
END_TEST

START_TEST(bounded_integers_are_uniform)
{
  enum { BOUND = 7, DRAWS = 70000 };
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 0, 0);
  double seen[BOUND] = {0}, chi = 0;
  for (int i = 0; i < DRAWS; i++) {
    const uint64_t draw = cdl_random_below(&random, BOUND);
    ck_assert_uint_lt(draw, BOUND);
    seen[draw]++;
  }
  for (int i = 0; i < BOUND; i++)
    chi += (seen[i] - DRAWS / BOUND) * (seen[i] - DRAWS / BOUND) / (DRAWS / BOUND);
  ck_assert_double_lt(
      chi, 22.46); /* chi-square of 6 degrees of freedom passes this once in a thousand seeds */
  ck_assert_uint_eq(cdl_random_below(&random, 1), 0);
}
END_TEST

START_TEST(bounded_integers_have_no_bias)
{
  /* Two thirds of all 64-bit values lie below the bound 2^64 * 2/3, and taking the rest modulo it
   * would draw the lower half of the range twice as often as the upper one. */
  const uint64_t bound = UINT64_MAX / 3 * 2;
  cdl_random random = cdl_random_start(3, CDL_RANDOM_TEST, 0, 0);
  int lower = 0;
  for (int i = 0; i < 10000; i++)
    lower += cdl_random_below(&random, bound) < bound / 2;
  ck_assert_int_lt(abs(lower - 5000), 165); /* 3.3 standard deviations of 50 */
}
END_TEST

START_TEST(normals_have_the_moments_of_normals)
{
  enum { DRAWS = 100000 };
  cdl_random random = cdl_random_start(4, CDL_RANDOM_TEST, 0, 0);
  double sum = 0, square = 0, fourth = 0;
  for (int i = 0; i < DRAWS; i++) {
    const double x = cdl_random_normal(&random);
    sum += x;
    square += x * x;
    fourth += x * x * x * x;
  }
  /* Standard errors: 1, sqrt(2) and sqrt(96) over sqrt(DRAWS); four of each. */
  ck_assert_double_lt(fabs(sum / DRAWS), 4 / sqrt(DRAWS));
  ck_assert_double_lt(fabs(square / DRAWS - 1), 4 * sqrt(2.0 / DRAWS));
  ck_assert_double_lt(fabs(fourth / DRAWS - 3), 4 * sqrt(96.0 / DRAWS));
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {philox_gives_the_published_answers,
                                a_block_is_philox_of_its_documented_counter,
                                a_stream_is_its_blocks_in_order,
                                thresholds_round_probabilities,
                                reals_are_the_top_bits_of_their_words,
                                bounded_integers_are_uniform,
                                bounded_integers_have_no_bias,
                                normals_have_the_moments_of_normals,
                                NULL};
  return scratch_run("random", tests);
}
