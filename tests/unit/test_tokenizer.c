#include "condlora/tokenizer.h"

#include <pthread.h>

#include "tests/unit/scratch.h"

/* ---- Vocabularies made by hand: the expected ids follow from their lines ---- */

static const char bert_vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"        /* 0-4 */
                                      "un\n##aff\n##able\ncafe\nrun\n##ning\n##s\n" /* 5-11 */
                                      ",\n!\n\xe6\xbc\xa2\n\xe5\xad\x97\na\n##a\n"  /* 12-17 */
                                      "Run\ncaf\xc3\xa9\n[\n]\nmask\n\xce\xb1\n";   /* 18-23 */

/* Bytes as tokens: " " is Ġ, "\n" is Ċ, é is Ã and ©. */
static const char bpe_vocabulary[] = "{\"<s>\": 0, \"<pad>\": 1, \"</s>\": 2, \"<unk>\": 3, \"a\": "
                                     "4, \"b\": 5, \"c\": 6, \"\\u0120\": 7,"
                                     " \"'\": 8, \"s\": 9, \"1\": 10, \"\\u00c3\": 11, "
                                     "\"\\u00a9\": 12, \"\\u010a\": 13, \"!\": 14, \"ab\": 15,"
                                     " \"\\u0120a\": 16, \"\\u0120ab\": 17, \"bc\": 18, \"abc\": "
                                     "19, \"\\u00c3\\u00a9\": 20, \"'s\": 21,"
                                     " \"aa\": 22, \"aaaa\": 23, \"<mask>\": 24}";
static const char bpe_merges[] = "#version: 0.2\n\xc4\xa0 a\n\xc4\xa0"
                                 "a b\nb c\na b\na bc\n\xc3\x83 \xc2\xa9\n' s\na a\naa aa\n";

static cdl_tokenizer *open_folder(void)
{
  cdl_tokenizer *tokenizer = NULL;
  expect_ok(cdl_tokenizer_open(scratch_folder, &tokenizer));
  return tokenizer;
}

static cdl_tokenizer *open_bert(const char *config)
{
  scratch_put_text(scratch_path("vocab.txt"), bert_vocabulary);
  if (config != NULL)
    scratch_put_text(scratch_path("tokenizer_config.json"), config);
  return open_folder();
}

static cdl_tokenizer *open_bpe(const char *config)
{
  scratch_put_text(scratch_path("vocab.json"), bpe_vocabulary);
  scratch_put_text(scratch_path("merges.txt"), bpe_merges);
  if (config != NULL)
    scratch_put_text(scratch_path("tokenizer_config.json"), config);
  return open_folder();
}

enum { END = -1 };

static void expect_list(const int32_t *found, size_t count, const int *expected, const char *what)
{
  size_t length = 0;
  while (expected[length] != END)
    length++;
  char text[512] = "";
  for (size_t i = 0; i < count && strlen(text) < 480; i++)
    sprintf(text + strlen(text), " %d", (int)found[i]);
  ck_assert_msg(count == length, "%s: %zu ids, expected %zu:%s", what, count, length, text);
  for (size_t i = 0; i < count; i++)
    ck_assert_msg(found[i] == expected[i], "%s: id %zu is %d, expected %d:%s", what, i,
                  (int)found[i], expected[i], text);
}

static void expect_ids(const cdl_tokenizer *tokenizer, const char *text, const int *expected)
{
  cdl_encoding encoding = {0};
  expect_ok(cdl_tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, 0, &encoding));
  expect_list(encoding.ids, encoding.count, expected, text);
  ck_assert(!encoding.truncated);
  cdl_encoding_release(&encoding);
}

#define IDS(...) ((const int[]){__VA_ARGS__, END})

START_TEST(wordpiece_cleans_lowers_and_splits)
{
  cdl_tokenizer *t = open_bert(NULL);
  expect_ids(t, "", IDS(2, 3));
  expect_ids(t, "Unaffable, CAF\xc3\x89!", IDS(2, 5, 6, 7, 12, 8, 13, 3));
  expect_ids(t, "cafe\xcc\x81 running\truns", IDS(2, 8, 9, 10, 9, 11, 3));
  expect_ids(t, "r\x01u\xe2\x80\x8bn\x7f", IDS(2, 9, 3)); /* control and format characters vanish */
  expect_ids(t, "run\xc2\xa0\xe3\x80\x80run\x0brun", IDS(2, 9, 1, 3));
  expect_ids(t, "run\xe6\xbc\xa2\xe5\xad\x97run", IDS(2, 9, 14, 15, 9, 3));
  expect_ids(t, "\xce\x91 \xe2\x80\x94", IDS(2, 23, 1, 3)); /* capital alpha; a dash of its own */
  expect_ids(t, "unknown unaff una", IDS(2, 1, 5, 6, 5, 17, 3));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(wordpiece_keeps_case_and_accents_when_told)
{
  cdl_tokenizer *t = open_bert("{\"do_lower_case\": false, \"tokenize_chinese_chars\": false}");
  expect_ids(t, "Run run caf\xc3\xa9 CAF\xc3\x89", IDS(2, 18, 9, 19, 1, 3));
  expect_ids(t, "\xe6\xbc\xa2\xe5\xad\x97 \xe6\xbc\xa2", IDS(2, 1, 14, 3));
  cdl_tokenizer_close(t);
  t = open_bert("{\"do_lower_case\": true, \"strip_accents\": false}");
  expect_ids(t, "CAF\xc3\x89 cafe", IDS(2, 19, 8, 3));
  cdl_tokenizer_close(t);
  t = open_bert("{\"do_lower_case\": false, \"strip_accents\": true}");
  expect_ids(t, "caf\xc3\xa9 Run", IDS(2, 8, 18, 3));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(long_words_are_unknown)
{
  cdl_tokenizer *t = open_bert(NULL);
  char text[202];
  int expected[104] = {2, 16};
  for (int i = 2; i < 101; i++)
    expected[i] = 17;
  expected[101] = 3;
  expected[102] = END;
  memset(text, 'a', 101);
  text[100] = '\0';
  expect_ids(t, text, expected);
  text[100] = 'a';
  text[101] = '\0';
  expect_ids(t, text, IDS(2, 1, 3));
  for (int i = 0; i < 100; i++) /* Greek alphas: two bytes, one character each */
    memcpy(text + 2 * i, "\xce\xb1", 3);
  expect_ids(t, text, IDS(2, 1, 3));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(special_tokens_in_the_text_are_found)
{
  cdl_tokenizer *t = open_bert(NULL);
  expect_ids(t, "run [MASK]run[SEP]", IDS(2, 9, 4, 9, 3, 3));
  expect_ids(t, "[mask] [MASK", IDS(2, 20, 22, 21, 20, 22, 3)); /* case matters */
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(bpe_merges_in_order_of_rank)
{
  cdl_tokenizer *t = open_bpe(NULL);
  expect_ids(t, "abc", IDS(0, 19, 2)); /* bc comes before ab */
  expect_ids(t, "a ab abc", IDS(0, 4, 17, 17, 6, 2));
  expect_ids(t, "ab's 's",
             IDS(0, 15, 21, 7, 8, 9, 2)); /* behind a space the apostrophe is punctuation */
  expect_ids(t, "  a\n\na", IDS(0, 7, 16, 13, 13, 4, 2));
  expect_ids(t,
             "\xc3\xa9"
             "1!",
             IDS(0, 20, 10, 14, 2));
  expect_ids(t, "a ", IDS(0, 4, 7, 2));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(mask_takes_the_spaces_before_it)
{
  cdl_tokenizer *t = open_bpe(NULL);
  expect_ids(t, "a  \n<mask> a</s>", IDS(0, 4, 24, 16, 2, 2));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(prefix_space_is_added_where_there_is_none)
{
  cdl_tokenizer *t = open_bpe("{\"add_prefix_space\": true}");
  expect_ids(t, "ab", IDS(0, 17, 2));
  expect_ids(t, " ab<mask>a", IDS(0, 17, 24, 16, 2));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(pairs_have_their_separators_and_types)
{
  cdl_encoding e = {0};
  cdl_tokenizer *bert = open_bert(NULL);
  expect_ok(cdl_tokenizer_encode(bert, "run", 3, "cafe!", 5, 0, &e));
  expect_list(e.ids, e.count, IDS(2, 9, 3, 8, 13, 3), "ids");
  expect_list(e.type_ids, e.count, IDS(0, 0, 0, 1, 1, 1), "types");
  expect_ok(cdl_tokenizer_encode(bert, "run", 3, "", 0, 0, &e));
  expect_list(e.ids, e.count, IDS(2, 9, 3, 3), "empty second text");
  /* The same encoding goes on with another tokenizer: nothing of the first may stay. */
  cdl_tokenizer *roberta = open_bpe(NULL);
  expect_ok(cdl_tokenizer_encode(roberta, "a", 1, "ab", 2, 0, &e));
  expect_list(e.ids, e.count, IDS(0, 4, 2, 2, 15, 2), "ids");
  expect_list(e.type_ids, e.count, IDS(0, 0, 0, 0, 0, 0), "types");
  expect_ok(cdl_tokenizer_encode(bert, "a", 1, NULL, 0, 0, &e));
  expect_list(e.ids, e.count, IDS(2, 16, 3), "ids");
  cdl_encoding_release(&e);
  cdl_tokenizer_close(bert);
  cdl_tokenizer_close(roberta);
}
END_TEST

/* As the `tokenizers` library cuts: the shorter text keeps all it can; of two that are both cut,
 * the longer one, or the second of two equals, keeps the odd token. */
START_TEST(truncation_cuts_the_longest)
{
  static const struct {
    size_t first, second, max, kept_first, kept_second;
  } cases[] = {
      {5, 5, 13, 5, 5}, {5, 5, 12, 4, 5},  {5, 5, 11, 4, 4}, {6, 5, 12, 5, 4},
      {5, 6, 12, 4, 5}, {2, 9, 9, 2, 4},   {9, 2, 9, 4, 2},  {1, 9, 4, 0, 1},
      {3, 3, 3, 0, 0},  {20, 20, 4, 0, 1}, {0, 9, 8, 0, 5},  {20, 3, 8, 3, 2},
  };
  cdl_tokenizer *t = open_bert(NULL);
  cdl_encoding e = {0};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    char first[64] = "", second[64] = "";
    for (size_t i = 0; i < cases[c].first; i++)
      strcat(first, "! ");
    for (size_t i = 0; i < cases[c].second; i++)
      strcat(second, ", ");
    expect_ok(
        cdl_tokenizer_encode(t, first, strlen(first), second, strlen(second), cases[c].max, &e));
    size_t found_first = 0, found_second = 0;
    for (size_t i = 0; i < e.count; i++) {
      found_first += e.ids[i] == 13;
      found_second += e.ids[i] == 12;
    }
    ck_assert_msg(found_first == cases[c].kept_first && found_second == cases[c].kept_second,
                  "case %zu: %zu and %zu", c, found_first, found_second);
    ck_assert_uint_eq(e.count, 3 + found_first + found_second);
    ck_assert(e.truncated == (found_first < cases[c].first || found_second < cases[c].second));
  }
  expect_ok(cdl_tokenizer_encode(t, "run run run", 11, NULL, 0, 4, &e));
  expect_list(e.ids, e.count, IDS(2, 9, 9, 3), "one text");
  ck_assert(e.truncated);
  expect_failure(cdl_tokenizer_encode(t, "a", 1, NULL, 0, 1, &e), CDL_STATUS_ARGUMENT,
                 "max_length");
  expect_failure(cdl_tokenizer_encode(t, "a", 1, "a", 1, 2, &e), CDL_STATUS_ARGUMENT, "max_length");
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
}
END_TEST

/* The example of Unicode 15, table 3-8, and its neighbours: how many U+FFFD there are. */
START_TEST(ill_formed_bytes_count_by_maximal_subpart)
{
  static const struct {
    const char *bytes;
    int replacements;
  } cases[] = {
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82", 8},
      {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf", 8},
      {"\xf4\x91\x92\x93\xff\x80\xbf", 7},
      {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf", 4},
      {"\xc3", 1},
      {"\xf0\x9f\x99", 1},
  };
  /* Every byte of U+FFFD is a token of its own here: ï, ¿ and ½ in GPT-2's alphabet. */
  scratch_put_text(scratch_path("vocab.json"),
                   "{\"<s>\": 0, \"<pad>\": 1, \"</s>\": 2, \"<unk>\": 3, \"\xc3\xaf\": 4,"
                   " \"\xc2\xbf\": 5, \"\xc2\xbd\": 6, \"<mask>\": 7}");
  scratch_put_text(scratch_path("merges.txt"), "#version: 0.2\n");
  cdl_tokenizer *t = open_folder();
  cdl_encoding e = {0};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    expect_ok(cdl_tokenizer_encode(t, cases[c].bytes, strlen(cases[c].bytes), NULL, 0, 0, &e));
    ck_assert_msg(e.count == 2 + 3 * (size_t)cases[c].replacements, "case %zu: %zu ids", c,
                  e.count);
    for (size_t i = 1; i + 1 < e.count; i++)
      ck_assert_int_eq(e.ids[i], 4 + (int)((i - 1) % 3));
  }
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
}
END_TEST

/* 2^20 times "a" is one word of 2^18 "aaaa"; a quadratic merge would take minutes. */
START_TEST(one_word_of_a_megabyte)
{
  const size_t size = (size_t)1 << 20;
  char *text = malloc(size);
  ck_assert_ptr_nonnull(text);
  memset(text, 'a', size);
  cdl_tokenizer *t = open_bpe(NULL);
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_encode(t, text, size, NULL, 0, 0, &e));
  ck_assert_uint_eq(e.count, size / 4 + 2);
  for (size_t i = 1; i + 1 < e.count; i++)
    ck_assert_int_eq(e.ids[i], 23);
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
  free(text);
}
END_TEST

START_TEST(a_megabyte_of_marks)
{
  const size_t size = (size_t)1 << 20;
  char *text = malloc(size);
  ck_assert_ptr_nonnull(text);
  for (size_t i = 0; i < size; i++) /* marks in the worst order: class 230, then 220 */
    text[i] = "\xcc\x81\xcc\xa3"[i % 4];
  cdl_tokenizer *t = open_bert(NULL);
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_encode(t, text, size, NULL, 0, 0, &e));
  expect_list(e.ids, e.count, IDS(2, 3), "marks");
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
  free(text);
}
END_TEST

/* ---- tokenizer.json ---- */

static const char json_form[] =
    "{\"version\": \"1.0\", \"truncation\": {\"max_length\": 3, \"strategy\": \"LongestFirst\", "
    "\"stride\": 0},"
    " \"added_tokens\": ["
    "  {\"id\": 0, \"content\": \"[UNK]\", \"single_word\": false, \"lstrip\": false, \"rstrip\": "
    "false,"
    "   \"normalized\": false, \"special\": true},"
    "  {\"id\": 5, \"content\": \"Caf\xc3\xa9\", \"single_word\": false, \"lstrip\": false, "
    "\"rstrip\": false,"
    "   \"normalized\": true, \"special\": false},"
    "  {\"id\": 6, \"content\": \"xy\", \"single_word\": true, \"lstrip\": true, \"rstrip\": true,"
    "   \"normalized\": false, \"special\": false}],"
    " \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, "
    "\"handle_chinese_chars\": true,"
    "   \"strip_accents\": null, \"lowercase\": true},"
    " \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},"
    " \"post_processor\": {\"type\": \"TemplateProcessing\","
    "  \"single\": [{\"SpecialToken\": {\"id\": \"S\", \"type_id\": 3}}, {\"Sequence\": {\"id\": "
    "\"A\", \"type_id\": 1}}],"
    "  \"pair\": [{\"Sequence\": {\"id\": \"B\", \"type_id\": 2}}, {\"SpecialToken\": {\"id\": "
    "\"S\", \"type_id\": 4}},"
    "            {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}],"
    "  \"special_tokens\": {\"S\": {\"id\": \"S\", \"ids\": [1, 2], \"tokens\": [\"s\", \"t\"]}}},"
    " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", "
    "\"continuing_subword_prefix\": \"~\","
    "  \"max_input_chars_per_word\": 6, \"vocab\": {\"[UNK]\": 0, \"s\": 1, \"t\": 2, \"run\": 3, "
    "\"~s\": 4}}}";

START_TEST(tokenizer_json_says_all)
{
  scratch_put_text(scratch_path("tokenizer.json"), json_form);
  cdl_tokenizer *t = open_folder();
  ck_assert_int_eq(cdl_tokenizer_vocabulary_size(t), 7);
  ck_assert_str_eq(cdl_tokenizer_token(t, 4), "~s");
  ck_assert_str_eq(cdl_tokenizer_token(t, 6), "xy");
  ck_assert_ptr_null(cdl_tokenizer_token(t, 7));
  ck_assert_ptr_null(cdl_tokenizer_token(t, -1));
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_encode(t, "RUNS run", 8, NULL, 0, 0, &e));
  expect_list(e.ids, e.count, IDS(1, 2, 3, 4, 3), "single"); /* the stored truncation is ignored */
  expect_list(e.type_ids, e.count, IDS(3, 3, 1, 1, 1), "single");
  expect_ok(cdl_tokenizer_encode(t, "run", 3, "s", 1, 0, &e));
  expect_list(e.ids, e.count, IDS(1, 1, 2, 3), "pair");
  expect_list(e.type_ids, e.count, IDS(2, 4, 4, 0), "pair");
  expect_ids(t, "runCAFE\xcc\x81s",
             IDS(1, 2, 3, 5, 1)); /* a normalized token matches normalized text */
  expect_ids(t, "run xy s xyz",
             IDS(1, 2, 3, 6, 1, 0));      /* a single word with the spaces around it */
  expect_ids(t, "runrunr", IDS(1, 2, 0)); /* seven characters */
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
}
END_TEST

/* ---- Broken files ---- */

static void expect_broken(const char *what, cdl_status expected, const char *said)
{
  cdl_tokenizer *t = NULL;
  const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
  ck_assert_msg(status == expected, "%s: %s: %s", what, cdl_status_name(status),
                status == CDL_STATUS_OK ? "" : cdl_error_message());
  ck_assert_ptr_null(t);
  ck_assert_msg(strstr(cdl_error_message(), scratch_folder) != NULL &&
                    strstr(cdl_error_message(), said) != NULL,
                "%s: \"%s\" does not say \"%s\"", what, cdl_error_message(), said);
}

/* json_form with the first `old` replaced. */
static void put_changed(const char *old, const char *new)
{
  char text[4096];
  const char *at = strstr(json_form, old);
  ck_assert_msg(at != NULL, "%s", old);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - json_form), json_form, new, at + strlen(old));
  scratch_put_text(scratch_path("tokenizer.json"), text);
}

START_TEST(broken_tokenizer_json_is_refused)
{
  static const struct {
    const char *old, *new, *said;
  } cases[] = {
      {"\"t\": 2", "\"t\": 1", "the same id 1"},
      {"\"t\": 2", "\"t\": -2", "id -2"},
      {"\"t\": 2", "\"t\": 2.5", "whole number"},
      {"\"t\": 2", "\"t\": 1000000000000", "id 1000000000000"},
      {"\"t\": 2", "\"s\": 2", "holes"}, /* a token twice: the last counts */
      {"\"t\": 2", "\"t\": 5", "holes"},
      {"\"[UNK]\": 0, \"s\"", "\"[unk]\": 0, \"s\"", "[UNK]"},
      {"\"type\": \"WordPiece\"", "\"type\": \"Unigram\"", "list \"vocab\""},
      {"\"type\": \"WordPiece\"", "\"type\": \"Other\"", "Other"},
      {"\"type\": \"WordPiece\"", "\"kind\": 1", "model"},
      {"\"type\": \"WordPiece\"", "\"type\": \"BPE\"", "merges"},
      {"\"model\": {", "\"mode\": {", "\"model\""},
      {"\"vocab\": {", "\"vocab\": [], \"v\": {", "vocab"},
      {"\"vocab\": {", "\"vocab\": {}, \"v\": {", "no tokens"},
      {"\"type\": \"BertNormalizer\"", "\"type\": \"Other\"", "\"normalizer\" is of type"},
      {"\"lowercase\": true", "\"lowercase\": 1", "lowercase"},
      {"\"type\": \"BertPreTokenizer\"", "\"type\": \"Other\"", "\"pre_tokenizer\" is of type"},
      {"\"type\": \"TemplateProcessing\"", "\"type\": \"Other\"", "Other"},
      {"\"ids\": [1, 2]", "\"ids\": [1, 9]", "id 9"},
      {"\"ids\": [1, 2]", "\"ids\": [1, -1]", "id -1"},
      {"\"ids\": [1, 2]", "\"ids\": []", "no ids"},
      {"\"tokens\": [\"s\", \"t\"]", "\"tokens\": [\"s\", \"u\"]", "\"u\""},
      {"\"tokens\": [\"s\", \"t\"]", "\"tokens\": [\"s\"]", "\"tokens\""},
      {"{\"S\": {", "{\"T\": {", "\"S\""},
      {"\"id\": \"A\"", "\"id\": \"C\"", "\"C\""},
      {"\"id\": \"A\"", "\"id\": \"B\"", "\"B\""},
      {"\"id\": \"A\"", "\"id\": 1", "piece 2"},
      {"\"type_id\": 1", "\"type_id\": -1", "type_id"},
      {"\"id\": 6", "\"id\": 7", "id 7"},
      {"\"id\": 0, ", "\"id\": 1, ", "id 1"},
      {"\"content\": \"xy\"", "\"text\": \"xy\"", "entry 3"},
      {"\"content\": \"Caf\xc3\xa9\"", "\"content\": \"\\u0301\"", "nothing is left"},
      {"\"max_input_chars_per_word\": 6", "\"max_input_chars_per_word\": -6",
       "max_input_chars_per_word"},
      {"\"version\": \"1.0\"", "\"version\" \"1.0\"", "tokenizer.json:1:"},
      {"run", "r\xff", "not valid JSON"},
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    put_changed(cases[c].old, cases[c].new);
    expect_broken(cases[c].new, CDL_STATUS_DATA, cases[c].said);
  }
  scratch_put_text(scratch_path("tokenizer.json"), "[]");
  expect_broken("a list", CDL_STATUS_DATA, "tokenizer.json");
  scratch_put_text(scratch_path("tokenizer.json"), "");
  expect_broken("empty", CDL_STATUS_DATA, "tokenizer.json");
}
END_TEST

START_TEST(broken_vocabularies_are_refused)
{
  expect_broken("no files", CDL_STATUS_ABSENT, "vocab.txt");
  const char *lines = scratch_path("vocab.txt"), *json = scratch_path("vocab.json"),
             *merges = scratch_path("merges.txt");
  scratch_put_text(lines, "");
  expect_broken("empty", CDL_STATUS_DATA, "vocab.txt");
  scratch_put_text(lines, "[PAD]\n[UNK]\n[SEP]\n[MASK]\nrun\n");
  expect_broken("no begin", CDL_STATUS_DATA, "[CLS]");
  scratch_put(lines, "[UNK]\n[CLS]\0\n", 13);
  expect_broken("NUL", CDL_STATUS_DATA, "vocab.txt:2");
  scratch_put_text(lines, "[UNK]\n[CLS]\n\xc3\n");
  expect_broken("not UTF-8", CDL_STATUS_DATA, "vocab.txt:3");

  scratch_put_text(json, bpe_vocabulary);
  expect_broken("no merges", CDL_STATUS_ABSENT, "merges.txt");
  scratch_put_text(merges, "#version: 0.2\na b\na x\n");
  expect_broken("unknown right", CDL_STATUS_DATA, "second token");
  scratch_put_text(merges, "#version: 0.2\nx a\n");
  expect_broken("unknown left", CDL_STATUS_DATA, "merge 1");
  scratch_put_text(merges, "#version: 0.2\na c\n");
  expect_broken("unknown result", CDL_STATUS_DATA, "they make");
  scratch_put_text(merges, "#version: 0.2\na b\nab\n");
  expect_broken("one token", CDL_STATUS_DATA, "merges.txt:3");
  scratch_put_text(merges, "#version: 0.2\na b c\n");
  expect_broken("three tokens", CDL_STATUS_DATA, "merges.txt:2");
  scratch_put_text(merges, "#version: 0.2\n");
  scratch_put_text(json, "{\"a\": 0, \"b\": 0}");
  expect_broken("same id", CDL_STATUS_DATA, "the same id 0");
  scratch_put_text(json, "{\"a\": \"0\"}");
  expect_broken("id as text", CDL_STATUS_DATA, "whole number");
  scratch_put_text(json, "{}");
  expect_broken("empty", CDL_STATUS_DATA, "vocab.json");
  scratch_put_text(json, bpe_vocabulary);
  scratch_put_text(scratch_path("tokenizer_config.json"), "{\"cls_token\": null}");
  expect_broken("no begin", CDL_STATUS_DATA, "cls_token");
  scratch_put_text(scratch_path("tokenizer_config.json"), "{\"cls_token\": 1}");
  expect_broken("begin not a text", CDL_STATUS_DATA, "cls_token");
  scratch_put_text(scratch_path("tokenizer_config.json"), "{\"add_prefix_space\": \"yes\"}");
  expect_broken("not a flag", CDL_STATUS_DATA, "add_prefix_space");
  scratch_put_text(scratch_path("tokenizer_config.json"),
                   "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}");
  expect_broken("not an id", CDL_STATUS_DATA, "\"x\"");
  scratch_put_text(scratch_path("tokenizer_config.json"),
                   "{\"added_tokens_decoder\": {\"90\": {\"content\": \"<s>\"}}}");
  expect_broken("two ids", CDL_STATUS_DATA, "id 90");
  scratch_put_text(scratch_path("tokenizer_config.json"), "{");
  expect_broken("not JSON", CDL_STATUS_DATA, "tokenizer_config.json");
}
END_TEST

static const char bpe_json_form[] =
    "{\"added_tokens\": [{\"id\": 7, \"content\": \"<m>\", \"lstrip\": true, \"special\": true}], "
    "\"normalizer\": null,"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"use_regex\": "
    "true},"
    " \"post_processor\": {\"type\": \"RobertaProcessing\", \"sep\": [\"s\", 3], \"cls\": [\"r\", "
    "0]},"
    " \"model\": {\"type\": \"BPE\", \"unk_token\": \"u\", \"fuse_unk\": false, \"ignore_merges\": "
    "false, \"dropout\": null,"
    "  \"vocab\": {\"r\": 0, \"u\": 1, \"n\": 2, \"s\": 3, \"un\": 4, \"run\": 5, \"runs\": 6},"
    "  \"merges\": [\"u n\", [\"r\", \"un\"], \"run s\"]}}";
static const char config_form[] =
    "{\"do_lower_case\": true, \"strip_accents\": null, \"cls_token\": \"[CLS]\", "
    "\"tokenizer_class\": \"BertTokenizer\","
    " \"mask_token\": {\"__type\": \"AddedToken\", \"content\": \"[MASK]\", \"lstrip\": true, "
    "\"normalized\": false},"
    " \"additional_special_tokens\": [\"run\", \"[x]\"], \"added_tokens_decoder\": {\"4\": "
    "{\"content\": \"[MASK]\","
    " \"special\": true}, \"24\": {\"content\": \"[x]\", \"single_word\": true}}}";

/* A changed byte may make another tokenizer or none; never a crash, never ids that are not
 * there. */
static void change_bytes(const char *name, const char *form, int rounds)
{
  const size_t size = strlen(form);
  char text[sizeof json_form > 2048 ? sizeof json_form : 2048];
  ck_assert_uint_le(size, sizeof text);
  uint64_t state = 12345;
  cdl_encoding e = {0};
  int opened = 0;
  for (int round = 0; round < rounds; round++) {
    memcpy(text, form, size);
    for (int change = 0; change < round % 4; change++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text[(state >> 33) % size] = "0123456789\"{}[],:atn-\\\x01\xc3 e"[(state >> 20) % 26];
    }
    scratch_put(scratch_path(name), text, size);
    cdl_tokenizer *t = NULL;
    const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
    ck_assert_msg(status == CDL_STATUS_OK || status == CDL_STATUS_DATA ||
                      status == CDL_STATUS_UNSUPPORTED,
                  "round %d: %s", round, cdl_error_message());
    if (status != CDL_STATUS_OK)
      continue;
    opened++;
    static const char probe[] = "run xy Caf\xc3\xa9 \xff [UNK]runs <m>[x]";
    const cdl_status encoded = cdl_tokenizer_encode(t, probe, sizeof probe - 1, probe, 5, 0, &e);
    ck_assert(encoded == CDL_STATUS_OK || strstr(cdl_error_message(), "unknown token") != NULL);
    for (size_t i = 0; encoded == CDL_STATUS_OK && i < e.count; i++)
      ck_assert_ptr_nonnull(cdl_tokenizer_token(t, e.ids[i]));
    cdl_tokenizer_close(t);
  }
  ck_assert_int_gt(opened, rounds / 4);
  cdl_encoding_release(&e);
}

START_TEST(changed_bytes_do_no_harm)
{
  scratch_put_text(scratch_path("vocab.txt"), bert_vocabulary);
  change_bytes("tokenizer_config.json", config_form, 1000);
  scratch_put_text(scratch_path("tokenizer_config.json"), "{}");
  change_bytes("tokenizer.json", json_form, 3000);
  change_bytes("tokenizer.json", bpe_json_form, 2000);
}
END_TEST

/* ---- Threads ---- */

static void *encode_many(void *shared)
{
  const cdl_tokenizer *t = shared;
  cdl_encoding e = {0};
  size_t wrong = 0;
  for (int i = 0; i < 2000; i++) {
    char text[64];
    const int length = snprintf(text, sizeof text, "ab \xc3\xa9 %d a", i % 2);
    wrong += cdl_tokenizer_encode(t, text, (size_t)length, NULL, 0, 0, &e) != CDL_STATUS_OK;
    wrong += e.count != (i % 2 == 1 ? 8u : 7u);
  }
  cdl_encoding_release(&e);
  return wrong == 0 ? NULL : shared;
}

START_TEST(one_tokenizer_serves_many_threads)
{
  cdl_tokenizer *t = open_bpe(NULL);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, encode_many, t), 0);
  for (int i = 0; i < 4; i++) {
    void *wrong = NULL;
    pthread_join(threads[i], &wrong);
    ck_assert_ptr_null(wrong);
  }
  cdl_tokenizer_close(t);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      wordpiece_cleans_lowers_and_splits,
      wordpiece_keeps_case_and_accents_when_told,
      long_words_are_unknown,
      special_tokens_in_the_text_are_found,
      bpe_merges_in_order_of_rank,
      mask_takes_the_spaces_before_it,
      prefix_space_is_added_where_there_is_none,
      pairs_have_their_separators_and_types,
      truncation_cuts_the_longest,
      ill_formed_bytes_count_by_maximal_subpart,
      one_word_of_a_megabyte,
      a_megabyte_of_marks,
      tokenizer_json_says_all,
      broken_tokenizer_json_is_refused,
      broken_vocabularies_are_refused,
      changed_bytes_do_no_harm,
      one_tokenizer_serves_many_threads,
      NULL,
  };
  return scratch_run("tokenizer", tests);
}
