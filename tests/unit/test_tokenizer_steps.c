/* Lists of steps, vocabularies that say things twice, and files that would make an encoding
 * endless. The expected ids follow from the models, which are made by hand; the real library's are
 * compared in tests/peers. */
#include <sys/resource.h>

#include "condlora/tokenizer.h"
#include "tests/unit/scratch.h"

enum { END = -1 };
#define IDS(...) ((const int[]){__VA_ARGS__, END})

static void put_tokenizer(const char *normalizer, const char *pre, const char *added,
                          const char *model)
{
  static char text[1 << 16];
  const int bytes = snprintf(text, sizeof text,
                             "{\"normalizer\": %s, \"pre_tokenizer\": %s, \"added_tokens\": [%s], "
                             "\"model\": %s}",
                             normalizer, pre, added, model);
  ck_assert(bytes > 0 && (size_t)bytes < sizeof text);
  scratch_put_text(scratch_path("tokenizer.json"), text);
}

static cdl_tokenizer *open_folder(void)
{
  cdl_tokenizer *tokenizer = NULL;
  expect_ok(cdl_tokenizer_open(scratch_folder, &tokenizer));
  return tokenizer;
}

static void expect_ids(const cdl_tokenizer *t, const char *text, const int *expected)
{
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_encode(t, text, strlen(text), NULL, 0, 0, &e));
  size_t count = 0;
  while (expected[count] != END)
    count++;
  ck_assert_msg(e.count == count, "%s: %zu ids, expected %zu", text, e.count, count);
  for (size_t i = 0; i < count; i++)
    ck_assert_msg(e.ids[i] == expected[i], "%s: id %zu is %d, expected %d", text, i, (int)e.ids[i],
                  expected[i]);
  cdl_encoding_release(&e);
}

/* The open fails, in one line that says all of it. */
static void expect_refused(const char *said, const char *also)
{
  cdl_tokenizer *t = NULL;
  const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
  ck_assert_msg(status == CDL_STATUS_DATA, "\"%s\": %s", said, cdl_status_name(status));
  const char *message = cdl_error_message();
  ck_assert_msg(strstr(message, "tokenizer.json") != NULL && strstr(message, said) != NULL &&
                    strstr(message, also) != NULL && strchr(message, '\n') == NULL,
                "\"%s\" does not say \"%s\" and \"%s\"", message, said, also);
}

static const char words[] =
    "{\"type\": \"WordLevel\", \"unk_token\": \"?\", \"vocab\": {\"?\": 0, \"cafe\": 1, \"e\": 2, "
    "\"1\": 3, \"12\": 4, \"-\": 5, \"--\": 6, \"a\": 7, \"caf\u00e9\": 8, \"a-\": 9, \"-a\": 10, "
    "\"\u2581a\": 11, \"--a\": 12, \"fi\": 13, \" \": 14}}";

START_TEST(normalizers_are_lists)
{
  static const struct {
    const char *normalizer, *text;
    int id;
  } cases[] = {
      {"null", "caf\u00e9", 8},
      {"{\"type\": \"NFC\"}", "cafe\u0301", 8},
      {"{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFD\"}, {\"type\": \"Lowercase\"}, "
       "{\"type\": \"StripAccents\"}]}",
       "CAF\u00c9", 1},
      {"{\"type\": \"NFKC\"}", "\ufb01", 13},
      {"{\"type\": \"NFKD\"}", "\u2460\u2461", 4},
      {"{\"type\": \"Nmt\"}", "\u200b", 14},
      {"{\"type\": \"Nmt\"}", "caf\x01\u00e9", 8},
      {"{\"type\": \"Strip\", \"strip_left\": true, \"strip_right\": true}", " \u3000 a\n", 7},
      {"{\"type\": \"Prepend\", \"prepend\": \"\u2581\"}", "a", 11},
      {"{\"type\": \"Replace\", \"pattern\": {\"String\": \"b\"}, \"content\": \"-\"}", "bb", 6},
      {"{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"[b-z]+\"}, \"content\": \"-\"}", "xyza",
       10},
      {"{\"type\": \"Replace\", \"pattern\": {\"String\": \"\"}, \"content\": \"-\"}", "a", 0},
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    put_tokenizer(cases[c].normalizer, "null", "", words);
    cdl_tokenizer *t = open_folder();
    expect_ids(t, cases[c].text, IDS(cases[c].id));
    expect_ids(t, "", IDS(END));
    cdl_tokenizer_close(t);
  }
}
END_TEST

#define SPLIT(kind, text, behavior, invert)                                                    \
  "{\"type\": \"Split\", \"pattern\": {\"" kind "\": \"" text "\"}, \"behavior\": \"" behavior \
  "\", \"invert\": " invert "}"

START_TEST(pre_tokenizers_are_lists)
{
  static const struct {
    const char *pre, *text;
    int ids[5];
  } cases[] = {
      {"{\"type\": \"Whitespace\"}", "cafe--a \u3000e", {1, 6, 7, 2, END}},
      {"{\"type\": \"WhitespaceSplit\"}", "a- -a\te", {9, 10, 2, END}},
      {"{\"type\": \"Digits\", \"individual_digits\": false}", "a12e", {7, 4, 2, END}},
      {"{\"type\": \"Digits\", \"individual_digits\": true}", "a11", {7, 3, 3, END}},
      {"{\"type\": \"CharDelimiterSplit\", \"delimiter\": \"x\"}", "axxe", {7, 2, END}},
      {"{\"type\": \"FixedLength\", \"length\": 2}", "fi12e", {13, 4, 2, END}},
      {"{\"type\": \"Punctuation\"}", "a--", {7, 5, 5, END}},
      {"{\"type\": \"Punctuation\", \"behavior\": \"Contiguous\"}", "a--", {7, 6, END}},
      {SPLIT("String", "-", "Removed", "false"), "a--e", {7, 2, END}},
      {SPLIT("String", "-", "MergedWithPrevious", "false"), "a--a", {9, 5, 7, END}},
      {SPLIT("String", "-", "MergedWithNext", "false"), "a--a", {7, 5, 10, END}},
      {SPLIT("Regex", "-+", "MergedWithNext", "false"), "a--a", {7, 12, END}},
      {SPLIT("Regex", "\\\\w+", "Removed", "true"), "a--e ", {7, 2, END}},
      {"{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"WhitespaceSplit\"}, {\"type\": "
       "\"Metaspace\", \"replacement\": \"\u2581\", \"prepend_scheme\": \"first\"}]}",
       "a a",
       {11, 7, END}},
      {"{\"type\": \"Sequence\", \"pretokenizers\": []}", "a-", {9, END}},
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    put_tokenizer("null", cases[c].pre, "", words);
    cdl_tokenizer *t = open_folder();
    expect_ids(t, cases[c].text, cases[c].ids);
    cdl_tokenizer_close(t);
  }
}
END_TEST

START_TEST(characters_are_merged)
{
  put_tokenizer(
      "null", "{\"type\": \"WhitespaceSplit\"}", "",
      "{\"type\": \"BPE\", \"unk_token\": \"?\", \"end_of_word_suffix\": \"</w>\", "
      "\"vocab\": {\"?\": 0, \"a\": 1, \"b\": 2, \"b</w>\": 3, \"ab</w>\": 4, \"a</w>\": 5}, "
      "\"merges\": [\"a b</w>\"]}");
  cdl_tokenizer *t = open_folder();
  expect_ids(t, "ab a abb xyb", IDS(4, 5, 1, 2, 3, 0, 0, 3));
  cdl_tokenizer_close(t);
  put_tokenizer(
      "null", "null", "",
      "{\"type\": \"BPE\", \"unk_token\": \"?\", \"fuse_unk\": true, \"byte_fallback\": true, "
      "\"continuing_subword_prefix\": \"#\", \"vocab\": {\"?\": 0, \"a\": 1, \"#b\": 2, "
      "\"ab\": 3, \"<0xC3>\": 4, \"<0xA9>\": 5}, \"merges\": [[\"a\", \"#b\"]]}");
  t = open_folder();
  expect_ids(t, "abb", IDS(3, 2));
  expect_ids(t, "\u00e9", IDS(4, 5));
  expect_ids(t, "xyb", IDS(0, 2));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(what_is_said_twice)
{
  scratch_put_text(scratch_path("vocab.txt"),
                   "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nrun\nthe\n");
  cdl_tokenizer *t = open_folder();
  expect_ids(t, "the run", IDS(2, 7, 6, 3));
  ck_assert_ptr_null(cdl_tokenizer_token(t, 5));
  ck_assert_str_eq(cdl_tokenizer_token(t, 7), "the");
  ck_assert_int_eq(cdl_tokenizer_vocabulary_size(t), 8);
  cdl_tokenizer_close(t);
  /* The last rank counts: b c is merged first. */
  put_tokenizer(
      "null", "null", "",
      "{\"type\": \"BPE\", \"vocab\": {\"a\": 9, \"b\": 1, \"c\": 2, \"ab\": 3, \"bc\": 4, "
      "\"a\": 0}, \"merges\": [\"a b\", \"b c\", \"a b\"]}");
  t = open_folder();
  expect_ids(t, "abc", IDS(0, 4));
  cdl_tokenizer_close(t);
  put_tokenizer(
      "null", "null", "{\"id\": 5, \"content\": \"new\"}",
      "{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 0], [\"a\", -1], [\"b\", -1], "
      "[\"ab\", -9], [\"ab\", -1.5]]}");
  t = open_folder();
  expect_ids(t, "abnew", IDS(4, 5));
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(patterns_that_differ_are_refused)
{
  static const char *const patterns[] = {
      "(a)\\\\1",  "(?<n>a)", "[[:alpha:]]",  "[a[bc]]",     "[a&&b]",       "\\\\R",
      "\\\\X",     "\\\\Ka",  "(?m:a.)",      "(?x)a#",      "a{2}+",        "a{1,2}+",
      "a**",       "*a",      "(?i:stra)",    "(?i:\u00e9)", "\\\\p{Alpha}", "\\\\p{Mn}",
      "[^\\\\W_]", "(a",      "a)",           "[a",          "[b-a]",        "a{3,2}",
      "a\\\\",     "\\\\p{L", "(?i)[^a]",     "a{2000}",     "a(?i)b",       "(?#a)",
      "\\\\y",     "[]a]",    "\\\\x{110000}"};
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
    char pre[256];
    snprintf(pre, sizeof pre, SPLIT("Regex", "%s", "Isolated", "false"), patterns[i]);
    put_tokenizer("null", pre, "", words);
    expect_refused("\"pre_tokenizer\": Split: the pattern \"", "");
  }
  put_tokenizer("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\G\"}, \"content\": \"\"}",
                "null", "", words);
  expect_refused("\"normalizer\": Replace: the pattern", "\\G");
  put_tokenizer("{\"type\": \"Cyrillic\"}", "null", "", words);
  expect_refused("\"normalizer\"", "\"Cyrillic\"");
  put_tokenizer("null", "{\"type\": \"UnicodeScripts\"}", "", words);
  expect_refused("\"pre_tokenizer\"", "\"UnicodeScripts\"");
  put_tokenizer("null", "{\"type\": \"Digits\", \"individual_digits\": 1}", "", words);
  expect_refused("individual_digits", "");
  put_tokenizer("null", SPLIT("String", "a", "Merged", "false"), "", words);
  expect_refused("behavior", "MergedWithNext");
}
END_TEST

static cdl_status encode(const cdl_tokenizer *t, const char *text, size_t bytes)
{
  cdl_encoding e = {0};
  const cdl_status status = cdl_tokenizer_encode(t, text, bytes, NULL, 0, 0, &e);
  cdl_encoding_release(&e);
  return status;
}

/* A million letters. With work for each pair of a letter and a token, or for all that follows a
 * letter, it takes hours, and the test's own time limit ends it. */
enum { LONG = 1000000 };

static char *long_text(void)
{
  char *text = malloc(LONG + 1);
  ck_assert_ptr_nonnull(text);
  memset(text, 'e', LONG);
  text[LONG] = '\0';
  return text;
}

START_TEST(added_tokens_cost_what_the_text_does)
{
  enum { TOKENS = 5000, SHARED = 3000 };
  char *json = malloc((size_t)TOKENS * 200 + SHARED + 1000), *at = json, *text = long_text();
  ck_assert_ptr_nonnull(json);
  at += sprintf(at, "{\"model\": %s, \"added_tokens\": [{\"id\": 15, \"content\": \"", words);
  memset(at, 'e', SHARED);
  at += SHARED;
  at += sprintf(at, "x\"}");
  for (int i = 0; i < TOKENS; i++)
    at += sprintf(at, ", {\"id\": %d, \"content\": \"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee%d\"}",
                  16 + i, i);
  sprintf(at, "]}");
  scratch_put_text(scratch_path("tokenizer.json"), json);
  cdl_tokenizer *t = open_folder();
  expect_ok(encode(t, text, LONG));
  expect_ids(t, "aeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee77a", IDS(0, 16 + 77, 7));
  cdl_tokenizer_close(t);
  free(text);
  free(json);
}
END_TEST

START_TEST(words_and_pieces_are_not_both_without_a_limit)
{
  static char model[8192];
  static const struct {
    const char *characters;
    int bytes;
    bool refused;
  } cases[] = {{"1000000", 2000, true}, {"100", 2000, false}, {"1000000", 1000, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    snprintf(model, sizeof model,
             "{\"type\": \"WordPiece\", \"unk_token\": \"?\", \"max_input_chars_per_word\": %s, "
             "\"vocab\": {\"?\": 0, \"e\": 1, \"##%0*d\": 2}}",
             cases[i].characters, cases[i].bytes, 0);
    put_tokenizer("null", "{\"type\": \"Whitespace\"}", "", model);
    if (cases[i].refused)
      expect_refused("max_input_chars_per_word", "2002 bytes");
    else
      cdl_tokenizer_close(open_folder());
  }
}
END_TEST

START_TEST(a_pattern_has_limits)
{
  char *text = long_text();
  put_tokenizer("null", SPLIT("Regex", "(?:e+)+[xy]", "Isolated", "false"), "", words);
  cdl_tokenizer *t = open_folder();
  ck_assert_int_eq(encode(t, text, 10000), CDL_STATUS_DATA);
  ck_assert_msg(strstr(cdl_error_message(), "(?:e+)+[xy]") != NULL, "%s", cdl_error_message());
  cdl_tokenizer_close(t);
  put_tokenizer(
      "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(?:e|ee)+[xy]\"}, \"content\": \"\"}",
      "null", "", words);
  t = open_folder();
  ck_assert_int_eq(encode(t, text, 10000), CDL_STATUS_DATA);
  ck_assert_msg(strstr(cdl_error_message(), "(?:e|ee)+[xy]") != NULL, "%s", cdl_error_message());
  cdl_tokenizer_close(t);
  /* What the text's length explains is no trouble. */
  put_tokenizer("null",
                SPLIT("Regex", "(?:ee)+|e(?=a)|\\\\s+(?!\\\\S)|\\\\s+", "Isolated", "false"), "",
                words);
  t = open_folder();
  expect_ok(encode(t, text, LONG));
  memset(text, ' ', LONG - 1);
  expect_ok(encode(t, text, LONG));
  cdl_tokenizer_close(t);
  free(text);
}
END_TEST

START_TEST(steps_cannot_multiply_a_text)
{
  char normalizer[8192] = "{\"type\": \"Sequence\", \"normalizers\": [";
  for (int i = 0; i < 60; i++)
    sprintf(normalizer + strlen(normalizer),
            "%s{\"type\": \"Replace\", \"pattern\": {\"String\": \"e\"}, \"content\": \"ee\"}",
            i > 0 ? ", " : "");
  strcat(normalizer, "]}");
  put_tokenizer(normalizer, "null", "", words);
  cdl_tokenizer *t = open_folder();
  ck_assert_int_eq(encode(t, "eeee", 4), CDL_STATUS_DATA);
  ck_assert_msg(strstr(cdl_error_message(), "normalizer") != NULL, "%s", cdl_error_message());
  cdl_tokenizer_close(t);
}
END_TEST

/* Nor is memory taken for what one step would make of it. */
START_TEST(one_step_cannot_multiply_a_text)
{
  enum { CONTENT = 6000, TEXT = 300000 }; /* 1.8 GB, if each letter became all of it */
  static const char *const patterns[] = {"{\"String\": \"e\"}", "{\"Regex\": \"e\"}"};
  char normalizer[CONTENT + 200], content[CONTENT + 1], *text = malloc(TEXT);
  ck_assert_ptr_nonnull(text);
  memset(text, 'e', TEXT);
  memset(content, 'a', CONTENT);
  content[CONTENT] = '\0';
  for (int i = 0; i < 2; i++) {
    snprintf(normalizer, sizeof normalizer,
             "{\"type\": \"Replace\", \"pattern\": %s, \"content\": \"%s\"}", patterns[i], content);
    put_tokenizer(normalizer, "null", "", words);
    cdl_tokenizer *t = open_folder();
    ck_assert_int_eq(encode(t, text, TEXT), CDL_STATUS_DATA);
    ck_assert_msg(strstr(cdl_error_message(), "normalizer: it grows") != NULL, "%s",
                  cdl_error_message());
    struct rusage used;
    ck_assert(getrusage(RUSAGE_SELF, &used) == 0);
    ck_assert_msg(used.ru_maxrss < 1000000, "%ld kB", used.ru_maxrss);
    expect_ok(encode(t, "aaaa", 4)); /* the failure leaves nothing behind */
    cdl_tokenizer_close(t);
  }
  free(text);
}
END_TEST

static void expect_unknown_missing(cdl_tokenizer *t, const char *text)
{
  ck_assert_int_eq(encode(t, text, strlen(text)), CDL_STATUS_DATA);
  ck_assert_msg(strstr(cdl_error_message(), "unknown token") != NULL, "%s", cdl_error_message());
  cdl_tokenizer_close(t);
}

START_TEST(a_missing_unknown_token_is_an_error_where_it_is_needed)
{
  put_tokenizer("null", "{\"type\": \"Whitespace\"}", "",
                "{\"type\": \"WordLevel\", \"unk_token\": \"?\", \"vocab\": {\"a\": 0}}");
  cdl_tokenizer *t = open_folder();
  expect_ids(t, "a a", IDS(0, 0));
  expect_unknown_missing(t, "a b");
}
END_TEST

START_TEST(a_word_piece_vocabulary_may_lack_its_unknown_token)
{
  put_tokenizer("null", "{\"type\": \"Whitespace\"}", "",
                "{\"type\": \"WordPiece\", \"unk_token\": \"?\", \"max_input_chars_per_word\": 3,"
                " \"continuing_subword_prefix\": \"##\", \"vocab\": {\"a\": 0, \"##b\": 1}}");
  cdl_tokenizer *t = open_folder();
  expect_ids(t, "ab a", IDS(0, 1, 0));
  ck_assert_int_eq(encode(t, "abbb", 4), CDL_STATUS_DATA); /* longer than a word may be */
  expect_unknown_missing(t, "a b");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      normalizers_are_lists,
      pre_tokenizers_are_lists,
      characters_are_merged,
      what_is_said_twice,
      patterns_that_differ_are_refused,
      added_tokens_cost_what_the_text_does,
      words_and_pieces_are_not_both_without_a_limit,
      a_pattern_has_limits,
      steps_cannot_multiply_a_text,
      one_step_cannot_multiply_a_text,
      a_missing_unknown_token_is_an_error_where_it_is_needed,
      a_word_piece_vocabulary_may_lack_its_unknown_token,
      NULL,
  };
  return scratch_run("tokenizer_steps", tests);
}
