/* Tokens of a whole data set, whatever the number of threads. */
#include "condlora/dataset.h"
#include "condlora/log.h"
#include "tests/unit/words.h"

static char notice[1024];

static void keep_notice(void *user, cdl_log_level level, const char *line)
{
  (void)user;
  (void)level;
  snprintf(notice, sizeof notice, "%s", line);
}

static cdl_dataset *read_words(size_t count, bool pair)
{
  const char *path = scratch_path("words.tsv");
  words_write(path, count);
  const cdl_dataset_source source = {.size = sizeof source,
                                     .path = path,
                                     .text_column = {"first", pair ? "second" : NULL},
                                     .label_column = "kind"};
  cdl_dataset *dataset;
  expect_ok(cdl_dataset_read_file(&source, &dataset));
  return dataset;
}

static void expect_words(const cdl_tokens *tokens, size_t i, bool pair)
{
  const int32_t *id = tokens->ids + tokens->offsets[i];
  const uint8_t *type = tokens->type_ids + tokens->offsets[i];
  bool same = *id++ == WORDS_CLS && *type++ == 0;
  for (size_t which = 0; which < (pair ? 2 : 1); which++) {
    for (size_t k = 0; k < words_length(i, which); k++)
      same = *id++ == WORDS_FIRST + words_word(i, which, k) && *type++ == which && same;
    same = *id++ == WORDS_SEP && *type++ == which && same;
  }
  ck_assert_msg(same && id == tokens->ids + tokens->offsets[i + 1], "tokens of example %zu", i);
}

START_TEST(tokens_are_those_of_the_words)
{
  enum { COUNT = 2100 };
  cdl_tokenizer *tokenizer = words_open();
  for (int pair = 0; pair < 2; pair++) {
    cdl_dataset *dataset = read_words(COUNT, pair);
    ck_assert_uint_eq(cdl_dataset_tokens(dataset).count, 0);
    static const unsigned threads[] = {1, 2, 5, 0, 1000};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
      expect_ok(cdl_dataset_tokenize(dataset, tokenizer, 0, threads[t]));
      const cdl_tokens tokens = cdl_dataset_tokens(dataset);
      ck_assert_uint_eq(tokens.count, COUNT);
      ck_assert_uint_eq(tokens.truncated, 0);
      ck_assert_uint_eq(tokens.offsets[0], 0);
      size_t longest = 0;
      for (size_t i = 0; i < COUNT; i++) {
        expect_words(&tokens, i, pair);
        const size_t length = words_length(i, 0) + 2 + (pair ? words_length(i, 1) + 1 : 0);
        longest = length > longest ? length : longest;
      }
      ck_assert_uint_eq(tokens.longest, longest);
    }
    cdl_dataset_close(dataset);
  }
  cdl_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(what_is_cut_is_counted_and_said)
{
  enum { COUNT = 3000, MAX = 16 };
  cdl_tokenizer *tokenizer = words_open();
  cdl_dataset *dataset = read_words(COUNT, false);
  notice[0] = '\0';
  cdl_log_to(keep_notice, NULL);
  expect_ok(cdl_dataset_tokenize(dataset, tokenizer, MAX, 2));
  cdl_log_to(NULL, NULL);
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  size_t cut = 0;
  for (size_t i = 0; i < COUNT; i++) {
    const size_t whole = words_length(i, 0) + 2;
    cut += whole > MAX;
    ck_assert_uint_eq(tokens.offsets[i + 1] - tokens.offsets[i], whole > MAX ? MAX : whole);
  }
  ck_assert_uint_gt(cut, 0);
  ck_assert_uint_eq(tokens.truncated, cut);
  ck_assert_uint_eq(tokens.longest, MAX);
  char expected[96];
  snprintf(expected, sizeof expected, "words.tsv: %zu of %d examples were cut to %d tokens", cut,
           COUNT, MAX);
  ck_assert_msg(strstr(notice, expected) != NULL, "%s", notice);
  cdl_dataset_close(dataset);
  cdl_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(the_first_failure_is_the_one_that_is_told)
{
  cdl_tokenizer *tokenizer = words_open();
  cdl_dataset *dataset = read_words(3000, false);
  expect_ok(cdl_dataset_tokenize(dataset, tokenizer, 0, 2));
  for (unsigned threads = 1; threads < 5; threads++)
    expect_failure(cdl_dataset_tokenize(dataset, tokenizer, 1, threads), CDL_STATUS_ARGUMENT,
                   "words.tsv:2: ");
  const cdl_tokens tokens = cdl_dataset_tokens(dataset); /* as before the failures */
  expect_words(&tokens, 2999, false);
  cdl_dataset_close(dataset);
  cdl_tokenizer_close(tokenizer);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {tokens_are_those_of_the_words, what_is_cut_is_counted_and_said,
                                the_first_failure_is_the_one_that_is_told, NULL};
  return scratch_run("token_store", tests);
}
