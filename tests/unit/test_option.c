/* Tables of options: numbers, values from text, to and from JSON, and command lines. */
#include "base/option.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/command_line.h"
#include "base/number.h"
#include "tests/unit/scratch.h"

/* ---- Numbers ---- */

static bool number(const char *text, double *value)
{
  return base_number_parse(text, strlen(text), value);
}

static bool integer(const char *text, int64_t *value)
{
  return base_integer_parse(text, strlen(text), value);
}

START_TEST(whole_numbers_are_digits_that_fit)
{
  static const char *const bad[] = {"",    "-1",  "+1",  " 1",  "1 ",
                                    "1.0", "0x1", "1e3", "1,0", "9223372036854775808",
                                    "nan", "-0",  "1\n", "٣",   "99999999999999999999999999"};
  int64_t value = -7;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!integer(bad[i], &value), "'%s' was read", bad[i]);
  ck_assert_int_eq(value, -7);
  ck_assert(integer("0", &value) && value == 0);
  ck_assert(integer("007", &value) && value == 7);
  ck_assert(integer("9223372036854775807", &value) && value == INT64_MAX);
  ck_assert(base_integer_parse("12x", 2, &value) && value == 12);
}
END_TEST

START_TEST(real_numbers_are_decimals_that_a_float_holds)
{
  static const char *const bad[] = {"",     ".",     "-",    "1e",    "1e+", "e5",
                                    "0x10", "inf",   "nan",  "1,5",   " 1",  "1 ",
                                    "--1",  "1.2.3", "1e39", "-1e39", "1f"};
  double value = -7;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!number(bad[i], &value), "'%s' was read", bad[i]);
  ck_assert(number("1e-3", &value) && value == 1e-3);
  ck_assert(number(".5", &value) && value == 0.5);
  ck_assert(number("5.", &value) && value == 5);
  ck_assert(number("-2.5E+2", &value) && value == -250);
  ck_assert(number("3.4e38", &value) && value == 3.4e38);
  ck_assert(number("1e-400", &value) && value == 0);
  char digits[200];
  memset(digits, '1', sizeof digits);
  ck_assert(!base_number_parse(digits, sizeof digits, &value));
}
END_TEST

/* Where a comma is the decimal point, if the machine has such a locale. */
START_TEST(numbers_do_not_depend_on_the_locale)
{
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
  bool found = false;
  for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
    found = setlocale(LC_ALL, names[i]) != NULL;
  double value;
  ck_assert(number("0.5", &value) && value == 0.5);
  ck_assert(!number("0,5", &value));
  const base_option o = BASE_OPTION(FLOAT, "lr", NULL, "RATE", "peak");
  json_t *json = json_real(0.25);
  char *text;
  expect_ok(base_option_from_json(&o, "c.json", json, &text));
  ck_assert_str_eq(text, "0.25");
  free(text);
  json_decref(json);
  if (!found)
    puts("skipped: locale: no locale with a decimal comma is installed");
  setlocale(LC_ALL, "C");
}
END_TEST

/* ---- Words ---- */

START_TEST(words_are_found_whole)
{
  static const char words[] = "none|no-bias|lora_only|best";
  ck_assert_int_eq(base_word_place(words, "none"), 0);
  ck_assert_int_eq(base_word_place(words, "no_bias"), 1);
  ck_assert_int_eq(base_word_place(words, "lora-only"), 2);
  ck_assert_int_eq(base_word_place(words, "best"), 3);
  static const char *const none[] = {"", "n", "non", "nonee", "none|", "none|no-bias", "NONE", "|"};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
    ck_assert_msg(base_word_place(words, none[i]) == -1, "'%s'", none[i]);
  const base_word word = base_word_at(words, 2);
  ck_assert_uint_eq(word.bytes, 9);
  ck_assert_int_eq(strncmp(word.text, "lora_only", word.bytes), 0);
}
END_TEST

START_TEST(names_are_the_same_with_dashes)
{
  const base_option options[] = {BASE_SECTION("Part"),
                                 BASE_OPTION(INT, "batch_size", NULL, "N", "x"),
                                 BASE_OPTION(INT, "batch", NULL, "N", "y")};
  ck_assert_ptr_eq(base_option_find(options, 3, "batch-size"), &options[1]);
  ck_assert_ptr_eq(base_option_find(options, 3, "batch_size"), &options[1]);
  ck_assert_ptr_eq(base_option_find(options, 3, "batch"), &options[2]);
  ck_assert_ptr_null(base_option_find(options, 3, "batch-"));
  ck_assert_ptr_null(base_option_find(options, 3, ""));
  ck_assert_str_eq(base_option_shown("batch_size").text, "--batch-size");
}
END_TEST

/* ---- Values ---- */

static bool is_all(const char *text)
{
  return strcmp(text, "all,") == 0;
}

static const base_option every_kind[] = {
    BASE_OPTION(INT, "rank", NULL, "R", "x", .low = 1, .high = 64),
    BASE_OPTION(INT, "seed", NULL, "N", "x"),
    BASE_OPTION(FLOAT, "rate", NULL, "X", "x", .low = 0, .high = 1),
    BASE_OPTION(CHOICE, "keep", NULL, "best|last", "x"),
    BASE_OPTION(WORD, "sampler", NULL, "tpe|random", "x"),
    BASE_OPTION(FLAG, "quick", NULL, NULL, "x"),
    BASE_OPTION(INTS, "layers", NULL, "N,N", "x"),
    BASE_OPTION(LIST, "targets", NULL, "A,B", "x", .is_other = is_all),
    BASE_OPTION(MAP, "ranks", NULL, "RE=R", "x"),
    BASE_OPTION(STRING, "model", NULL, "DIR", "x")};

static const base_option *option(const char *name)
{
  const base_option *o =
      base_option_find(every_kind, sizeof every_kind / sizeof every_kind[0], name);
  ck_assert_ptr_nonnull(o);
  return o;
}

START_TEST(values_that_cannot_be_name_option_and_expectation)
{
  static const char *const bad[][3] = {
      {"rank", "0", "--rank is 1 to 64, not 0"},
      {"rank", "65", "--rank is 1 to 64, not 65"},
      {"rank", "-1", "--rank wants a whole number from 0, not '-1'"},
      {"rank", "4.0", "whole number"},
      {"seed", "9223372036854775808", "whole number"},
      {"rate", "1.5", "--rate is 0 to 1, not 1.5"},
      {"rate", "nan", "--rate wants a number, not 'nan'"},
      {"rate", "1e999", "--rate wants a number"},
      {"keep", "b", "--keep is one of best|last, not 'b'"},
      {"keep", "", "--keep wants a value: best|last"},
      {"sampler", "grid", "--sampler is one of tpe|random"},
      {"quick", "yes", "--quick is true or false, not 'yes'"},
      {"layers", "0,x", "--layers wants whole numbers with commas"},
      {"layers", "0,", "whole numbers"},
      {"layers", "1234567890", "whole numbers"},
      {"targets", "a,", "an empty name"}};
  base_option_value value;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    expect_failure(base_option_parse(option(bad[i][0]), bad[i][1], &value), CDL_STATUS_USAGE,
                   bad[i][2]);
  for (size_t i = 0; i < sizeof every_kind / sizeof every_kind[0]; i++)
    if (every_kind[i].kind != BASE_OPTION_FLAG)
      expect_failure(base_option_parse(&every_kind[i], NULL, &value), CDL_STATUS_USAGE,
                     "wants a value");
}
END_TEST

START_TEST(values_go_where_they_belong)
{
  struct {
    int64_t rank;
    double rate;
    int keep;
    bool quick;
    const char *model, *sampler;
    base_strings strings;
  } v = {0};
  const base_option options[] = {BASE_OPTION(INT, "rank", &v.rank, "R", "x"),
                                 BASE_OPTION(FLOAT, "rate", &v.rate, "X", "x"),
                                 BASE_OPTION(CHOICE, "keep", &v.keep, "best|last", "x"),
                                 BASE_OPTION(FLAG, "quick", &v.quick, NULL, "x"),
                                 BASE_OPTION(STRING, "model", &v.model, "DIR", "x"),
                                 BASE_OPTION(WORD, "sampler", &v.sampler, "tpe|random", "x"),
                                 BASE_OPTION(STRINGS, "setting", &v.strings, "K=V", "x")};
  static const char *const texts[] = {"12", "2.5", "last", NULL, "dir", "random", "a=b"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    expect_ok(base_option_set(&options[i], texts[i]));
  ck_assert(v.rank == 12 && v.rate == 2.5 && v.keep == 1 && v.quick);
  ck_assert_str_eq(v.model, "dir");
  ck_assert_str_eq(v.sampler, "random");
  ck_assert_uint_eq(v.strings.count, 1);
  for (int i = 1; i < BASE_STRINGS_MAX; i++)
    expect_ok(base_option_set(&options[6], "a=b"));
  expect_failure(base_option_set(&options[6], "a=b"), CDL_STATUS_USAGE,
                 "--setting is given more than 64 times");
  static const double numbers[] = {12, 2.5, 1};
  for (size_t i = 0; i < 3; i++) {
    const base_option_value value = base_option_load(&options[i], options[i].target);
    ck_assert(value.number == numbers[i]);
  }
}
END_TEST

/* ---- JSON ---- */

/* `json` as the text that an option reads; "(null)" for none. */
static void expect_text(const char *name, const char *json, const char *expected)
{
  json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
  ck_assert_ptr_nonnull(value);
  char *text;
  expect_ok(base_option_from_json(option(name), "c.json", value, &text));
  ck_assert_pstr_eq(text, expected);
  free(text);
  json_decref(value);
}

static void expect_refused(const char *name, const char *json, const char *what)
{
  json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
  ck_assert_ptr_nonnull(value);
  char *text;
  expect_failure(base_option_from_json(option(name), "c.json", value, &text), CDL_STATUS_USAGE,
                 what);
  ck_assert_ptr_null(text);
  json_decref(value);
}

START_TEST(json_becomes_the_text_of_a_command_line)
{
  expect_text("rank", "8", "8");
  expect_text("rank", "\"8\"", "8");
  expect_text("rank", "null", NULL);
  expect_text("rate", "0.1", "0.1");
  expect_text("rate", "1e-7", "1e-7");
  expect_text("rate", "1", "1");
  expect_text("quick", "true", "true");
  expect_text("layers", "[0, 2]", "0,2");
  expect_text("targets", "[\"a\", \"b,c\"]", "a,\"b,c\"");
  expect_text("ranks", "{\"query\": 4}", "{\"query\":4}");
  expect_refused("rank", "8.5", "c.json: rank wants R");
  expect_refused("rank", "true", "rank wants R");
  expect_refused("quick", "1", "c.json: quick wants true or false");
  expect_refused("rate", "[1]", "rate wants X");
  expect_refused("layers", "[0.5]", "layers wants whole numbers");
  expect_refused("targets", "[1]", "targets wants strings");
  expect_refused("model", "{}", "model wants DIR");
}
END_TEST

/* What is written, read again, is the same value. */
START_TEST(values_come_back_from_json)
{
  static const char *const texts[][2] = {
      {"rank", "8"},        {"rate", "0.1"},          {"keep", "last"},    {"quick", "true"},
      {"targets", "a,b"},   {"targets", "\"a,b\",c"}, {"targets", "all,"}, {"layers", "0,11"},
      {"ranks", "query=4"}, {"model", "a dir"}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    const base_option *o = option(texts[i][0]);
    base_option_value before, after;
    expect_ok(base_option_parse(o, texts[i][1], &before));
    json_t *json = base_option_to_json(o, before);
    ck_assert_ptr_nonnull(json);
    char *text;
    expect_ok(base_option_from_json(o, "c.json", json, &text));
    expect_ok(base_option_parse(o, text, &after));
    ck_assert(before.number == after.number && before.integer == after.integer);
    ck_assert_str_eq(text, texts[i][1]);
    free(text);
    json_decref(json);
  }
  json_t *unset = base_option_to_json(option("rate"), base_option_number(-1));
  ck_assert(json_is_null(unset));
  json_decref(unset);
  const base_option signed_one = BASE_OPTION(FLOAT, "d", NULL, "X", "x", .low = -100, .high = 100);
  json_t *negative = base_option_to_json(&signed_one, base_option_number(-0.5));
  ck_assert(json_real_value(negative) == -0.5);
  json_decref(negative);
}
END_TEST

/* ---- Command lines ---- */

typedef struct {
  int64_t rank;
  bool quick;
  const char *model, *pair[2], *operands[2];
  base_strings settings;
  bool given[5];
} command;

static cdl_status read_line(command *c, const char *const *arguments)
{
  *c = (command){0};
  const base_option options[] = {BASE_OPTION(INT, "max_rank", &c->rank, "R", "x"),
                                 BASE_OPTION(FLAG, "quick", &c->quick, NULL, "x"),
                                 BASE_OPTION(STRING, "model", &c->model, "DIR", "x"),
                                 BASE_OPTION(PAIR, "compare", c->pair, "A B", "x"),
                                 BASE_OPTION(STRINGS, "setting", &c->settings, "K=V", "x")};
  base_command_line line = {
      .options = BASE_OPTIONS(options), .operands = c->operands, .operands_most = 2};
  line.options.given = c->given;
  int count = 0;
  char *copies[16];
  for (; arguments[count] != NULL; count++)
    copies[count] = (char *)(uintptr_t)arguments[count];
  return base_command_line_read(&line, count, copies);
}
#define READ(c, ...) read_line(c, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(options_stand_anywhere)
{
  command c;
  expect_ok(READ(&c, "one", "--max-rank=4", "--quick", "--model", "-x", "--setting", "a=b", "two",
                 "--setting=c=d"));
  ck_assert(c.rank == 4 && c.quick && c.given[0] && c.given[1] && !c.given[3]);
  ck_assert_str_eq(c.model, "-x");
  ck_assert_str_eq(c.operands[0], "one");
  ck_assert_str_eq(c.operands[1], "two");
  ck_assert_uint_eq(c.settings.count, 2);
  ck_assert_str_eq(c.settings.item[1], "c=d");
  expect_ok(READ(&c, "--quick=false", "--", "--model", "-"));
  ck_assert(!c.quick && c.model == NULL);
  ck_assert_str_eq(c.operands[0], "--model");
  ck_assert_str_eq(c.operands[1], "-");
  expect_ok(READ(&c, "--compare", "a", "b", "--quick"));
  ck_assert_str_eq(c.pair[0], "a");
  ck_assert_str_eq(c.pair[1], "b");
  ck_assert(c.quick);
}
END_TEST

START_TEST(bounds_may_be_excluded)
{
  const base_option share = {.kind = BASE_OPTION_FLOAT,
                             .name = "a_share",
                             .high = 1,
                             .below = true},
                    scale = {.kind = BASE_OPTION_FLOAT, .name = "scale", .high = 9, .above = true};
  base_option_value value;
  expect_ok(base_option_parse(&share, "0", &value));
  expect_ok(base_option_parse(&share, "0.999", &value));
  expect_failure(base_option_parse(&share, "1", &value), CDL_STATUS_USAGE,
                 "--a-share is at least 0 and below 1, not 1");
  expect_failure(base_option_parse(&share, "-0.1", &value), CDL_STATUS_USAGE, "at least 0");
  expect_ok(base_option_parse(&scale, "9", &value));
  expect_failure(base_option_parse(&scale, "0", &value), CDL_STATUS_USAGE,
                 "--scale is above 0 and at most 9, not 0");
  expect_failure(base_option_parse(&scale, "9.1", &value), CDL_STATUS_USAGE, "at most 9");
}
END_TEST

START_TEST(wrong_usage_says_what_is_wrong)
{
  command c;
  expect_failure(READ(&c, "--max-rnk", "4"), CDL_STATUS_USAGE, "the nearest is --max-rank");
  expect_failure(READ(&c, "--max_rank", "4"), CDL_STATUS_USAGE, "there is no option --max_rank");
  expect_failure(READ(&c, "--max-rank"), CDL_STATUS_USAGE, "--max-rank wants a value: R");
  expect_failure(READ(&c, "--max-rank", "--quick"), CDL_STATUS_USAGE, "wants a value");
  expect_failure(READ(&c, "--max-rank="), CDL_STATUS_USAGE, "not an empty one");
  expect_failure(READ(&c, "--max-rank", "4", "--max-rank=5"), CDL_STATUS_USAGE, "given twice");
  expect_failure(READ(&c, "--quick", "--quick"), CDL_STATUS_USAGE, "given twice");
  expect_failure(READ(&c, "--quick=maybe"), CDL_STATUS_USAGE, "true or false");
  expect_failure(READ(&c, "--compare", "a"), CDL_STATUS_USAGE, "--compare wants two values: A B");
  expect_failure(READ(&c, "-q"), CDL_STATUS_USAGE, "options begin with two dashes");
  expect_failure(READ(&c, "a", "b", "c"), CDL_STATUS_USAGE, "unexpected argument 'c'");
  expect_failure(READ(&c, "--"
                          "0123456789012345678901234567890123456789012345678901234567890123456789"),
                 CDL_STATUS_USAGE, "there is no option");
}
END_TEST

START_TEST(the_help_shows_defaults_and_keeps_its_width)
{
  const base_option options[] = {
      BASE_SECTION("Part"),
      BASE_OPTION(CHOICE, "keep", NULL, "best|last", "which", .default_value = 1),
      BASE_OPTION(INT, "seed", NULL, "N", "not set", .default_value = -1),
      BASE_OPTION(FLOAT, "rate", NULL, "X",
                  "a long text that has to be broken somewhere, for the width is that of a narrow "
                  "terminal",
                  .default_value = 0.5)};
  base_command_line line = {.usage = "p --a\np --b", .summary = "Does.", .notes = "Note."};
  line.settings = (base_options){.item = options, .count = 4, .shows_defaults = true};
  char *text = NULL;
  size_t bytes = 0;
  FILE *to = open_memstream(&text, &bytes);
  base_command_line_help(&line, to, 60);
  fclose(to);
  ck_assert_ptr_nonnull(strstr(text, "usage: p --a\n       p --b\n\nDoes.\n\nPart\n"));
  ck_assert_ptr_nonnull(strstr(text, "  --keep best|last           which [last]\n"));
  ck_assert_ptr_nonnull(strstr(text, "not set\n"));
  ck_assert_ptr_nonnull(strstr(text, "[0.5]\n"));
  for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1)
    ck_assert_uint_le(strcspn(at, "\n"), 60);
  free(text);
  json_t *described = base_command_line_describe(&line);
  const json_t *rows = json_object_get(described, "options");
  ck_assert_uint_eq(json_array_size(rows), 4);
  ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 1), "kind")), "CHOICE");
  ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 1), "help")),
                   "which [last]");
  json_decref(described);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {whole_numbers_are_digits_that_fit,
                                real_numbers_are_decimals_that_a_float_holds,
                                numbers_do_not_depend_on_the_locale,
                                words_are_found_whole,
                                names_are_the_same_with_dashes,
                                values_that_cannot_be_name_option_and_expectation,
                                values_go_where_they_belong,
                                json_becomes_the_text_of_a_command_line,
                                values_come_back_from_json,
                                options_stand_anywhere,
                                bounds_may_be_excluded,
                                wrong_usage_says_what_is_wrong,
                                the_help_shows_defaults_and_keeps_its_width,
                                NULL};
  return scratch_run("option", tests);
}
