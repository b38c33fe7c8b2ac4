/* JSON: what RFC 8259 says a text is, numbers with the fewest digits that read back, and values
 * that are whole or NULL whichever allocation fails. */
#include <locale.h>
#include <math.h>

#include "base/json.h"
#include "tests/unit/scratch.h"

static json_t *load(const char *text)
{
  base_json_fault fault;
  json_t *value = base_json_load(text, strlen(text), &fault);
  ck_assert_msg(value != NULL, "%s: %s at %zu", text, fault.problem, fault.byte);
  ck_assert(fault.problem[0] == '\0' && fault.kind != BASE_JSON_MEMORY);
  return value;
}

static void expect_line(const char *text, const char *line)
{
  json_t *value = load(text);
  char *found = base_json_line(value);
  ck_assert_str_eq(found, line);
  free(found);
  json_decref(value);
}

START_TEST(reads_every_kind)
{
  expect_line(" {\"a\" : [ 1 , -2.5 ,true,false,null ] , \"\" : {} }\r\n\t",
              "{\"a\":[1,-2.5,true,false,null],\"\":{}}");
  expect_line("[]", "[]");
  expect_line("\"x\"", "\"x\"");
  expect_line("-0", "0");
  expect_line("-0.0", "-0.0");
  expect_line("1e5", "100000.0");
  expect_line("1E+2", "100.0");
  expect_line("9223372036854775807", "9223372036854775807");
  expect_line("-9223372036854775808", "-9223372036854775808");
  expect_line("9223372036854775808", "9.223372036854776e18");
  expect_line("1000000000000000019884624838656", "1e30");
  expect_line("[1.0,1000000000000000019884624838656,7]", "[1.0,1e30,7]");
  expect_line("1e-999", "0.0");
  expect_line("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
  expect_line("\"\\u0041\\u00e9\\u20AC\\ud83D\\uDE00\\u001f\"",
              "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\u001f\"");
  expect_line("{\"\\u0041\":\"\\u0042\",\"B\":\"\\u0041\"}", "{\"A\":\"B\",\"B\":\"A\"}");
  expect_line("\"\x7f\xc2\x80\"", "\"\\u007f\\u0080\""); /* read as they are, written as escapes */
}
END_TEST

START_TEST(refuses_what_is_none)
{
  static const struct {
    const char *text;
    size_t line, column;
    const char *problem;
  } cases[] = {
      {"", 1, 1, "the end"},
      {" \n ", 2, 2, "the end"},
      {"{", 1, 2, "name"},
      {"[", 1, 2, "the end"},
      {"[1", 1, 3, "']'"},
      {"[1,]", 1, 4, "no value"},
      {"[,1]", 1, 2, "no value"},
      {"{\"a\":1", 1, 7, "'}'"},
      {"{\"a\":1,}", 1, 8, "name"},
      {"{\"a\" 1}", 1, 6, "':'"},
      {"{a:1}", 1, 2, "name"},
      {"{\"a\":}", 1, 6, "no value"},
      {"{}}", 1, 3, "more than one"},
      {"1 2", 1, 3, "more than one"},
      {"{\"a\":1,\n \"a\":2}", 2, 2, "duplicate"},
      {"{\"a\":1,\"\\u0061\":2}", 1, 8, "duplicate name, \"a\""},
      {"{\"a\\n\":1,\"a\\n\":2}", 1, 10, "duplicate name"},
      {"01", 1, 1, "number"},
      {"-", 1, 1, "number"},
      {"+1", 1, 1, "no value"},
      {"1.", 1, 1, "number"},
      {".5", 1, 1, "no value"},
      {"1e", 1, 1, "number"},
      {"1e+", 1, 1, "number"},
      {"1e999", 1, 1, "range"},
      {"-1e999", 1, 1, "range"},
      {"0x10", 1, 2, "more than one"},
      {"NaN", 1, 1, "no value"},
      {"Infinity", 1, 1, "no value"},
      {"tru", 1, 1, "no value"},
      {"truex", 1, 5, "more than one"},
      {"'a'", 1, 1, "no value"},
      {"\"a", 1, 1, "without its end"},
      {"\"a\\", 1, 1, "without its end"},
      {"\"a\\\"", 1, 1, "without its end"},
      {"\"a\nb\"", 1, 3, "control"},
      {"\"\\x\"", 1, 2, "escape"},
      {"\"\\u12\"", 1, 2, "escape"},
      {"\"\\u123g\"", 1, 2, "escape"},
      {"\"\\u0000\"", 1, 2, "u0000 in a string"},
      {"\"\\ud800\"", 1, 2, "half of a surrogate pair"},
      {"\"\\udc00\"", 1, 2, "half of a surrogate pair"},
      {"\"\\ud800\\u0041\"", 1, 2, "half of a surrogate pair"},
      {"\"\xc3\xa9\xff\"", 1, 3, "UTF-8"},
      {"\"\xc0\x80\"", 1, 2, "UTF-8"},
      {"\"\xed\xa0\x80\"", 1, 2, "UTF-8"},
      {"\"\xf4\x90\x80\x80\"", 1, 2, "UTF-8"},
      {"\xef\xbb\xbf{}", 1, 1, "no value"},
      {"[1] // x", 1, 5, "more than one"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    base_json_fault fault;
    const json_t *value = base_json_load(cases[i].text, strlen(cases[i].text), &fault);
    ck_assert_msg(value == NULL, "%s is read", cases[i].text);
    ck_assert_msg(strstr(fault.problem, cases[i].problem) != NULL, "%s: %s", cases[i].text,
                  fault.problem);
    ck_assert_msg(fault.line == cases[i].line && fault.column == cases[i].column, "%s: %zu:%zu",
                  cases[i].text, fault.line, fault.column);
    ck_assert(fault.kind != BASE_JSON_MEMORY);
  }
  base_json_fault fault;
  ck_assert_ptr_null(base_json_load("\"a\0b\"", 5, &fault));
}
END_TEST

START_TEST(nests_so_deep_and_no_deeper)
{
  enum { DEEPEST = 2048 };
  char text[2 * DEEPEST + 3];
  memset(text, '[', DEEPEST);
  memset(text + DEEPEST, ']', DEEPEST);
  text[2 * DEEPEST] = '\0';
  expect_line(text, text);
  memset(text, '[', DEEPEST + 1);
  memset(text + DEEPEST + 1, ']', DEEPEST + 1);
  base_json_fault fault;
  ck_assert_ptr_null(base_json_load(text, sizeof text - 1, &fault));
  ck_assert_ptr_nonnull(strstr(fault.problem, "depth"));
}
END_TEST

static bool reads_back(const char *text, double value)
{
  const double found = strtod(text, NULL);
  return memcmp(&found, &value, sizeof value) == 0;
}

/* Significant digits, leading and closing zeros aside. */
static int count_digits(const char *text)
{
  int count = 0, zeros = 0;
  for (; *text != '\0' && *text != 'e'; text++)
    if (*text >= '0' && *text <= '9') {
      zeros = *text == '0' ? zeros + (count > 0) : 0;
      count += count > 0 || *text != '0';
    }
  return count - zeros;
}

/* What repr says in Python, where the exponent may be written otherwise. */
START_TEST(real_numbers_have_the_fewest_digits)
{
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0.6, "0.6"},
               {0.1 + 0.2, "0.30000000000000004"},
               {1.0 / 3, "0.3333333333333333"},
               {5e-5, "5e-5"},
               {0, "0.0"},
               {-0.0, "-0.0"},
               {16, "16.0"},
               {1e15, "1e15"},
               {1e22, "1e22"},
               {123456789.125, "123456789.125"},
               {5e-324, "5e-324"},
               {2.2250738585072014e-308, "2.2250738585072014e-308"},
               {1.7976931348623157e308, "1.7976931348623157e308"},
               {0x1p-24, "5.960464477539063e-8"},
               {0x1p-44, "5.684341886080802e-14"},
               {-0x1p-44, "-5.684341886080802e-14"},
               {9007199254740993.0, "9007199254740992.0"},
               {(double)0.1f, "0.10000000149011612"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[BASE_JSON_REAL_BYTES];
    base_json_real_text(text, cases[i].value);
    ck_assert_str_eq(text, cases[i].text);
    ck_assert(reads_back(text, cases[i].value));
  }
}
END_TEST

START_TEST(no_real_number_has_a_shorter_text)
{
  uint64_t bits = 88172645463325252u;
  for (int i = 0; i < 20000; i++) {
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
    double value;
    memcpy(&value, &bits, sizeof value);
    if (i % 3 == 0)
      value = ldexp((double)(bits % 1000), (int)(bits >> 40) % 30 - 20);
    if (!isfinite(value))
      continue;
    char text[BASE_JSON_REAL_BYTES], shorter[64];
    base_json_real_text(text, value);
    ck_assert_msg(reads_back(text, value), "%s", text);
    snprintf(shorter, sizeof shorter, "%.*e", count_digits(text) > 1 ? count_digits(text) - 2 : 0,
             value);
    ck_assert_msg(count_digits(text) < 2 || !reads_back(shorter, value), "%s: %s", text, shorter);
  }
}
END_TEST

START_TEST(a_float_has_the_digits_of_a_float)
{
  static const struct {
    float value;
    const char *text;
  } cases[] = {{0, "0.0"},
               {0.1f, "0.1"},
               {-0.1f, "-0.1"},
               {1, "1.0"},
               {1.0f / 3, "0.33333334"},
               {0.69314718f, "0.6931472"},
               {16777216, "16777216.0"},
               {1e-45f, "1e-45"},
               {3.4028235e38f, "3.4028235e38"},
               {0x1p-24f, "5.9604645e-8"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[BASE_JSON_REAL_BYTES];
    base_json_float_text(text, cases[i].value);
    ck_assert_str_eq(text, cases[i].text);
    ck_assert(strtof(text, NULL) == cases[i].value);
  }
}
END_TEST

START_TEST(each_number_has_its_own_digits)
{
  json_t *object = json_pack("{sf sf s[f]}", "a", 0.6, "b", 1.0 / 3, "c", 0.25);
  char *text = base_json_text(object);
  ck_assert_str_eq(
      text, "{\n  \"a\": 0.6,\n  \"b\": 0.3333333333333333,\n  \"c\": [\n    0.25\n  ]\n}\n");
  free(text);
  json_decref(object);
}
END_TEST

START_TEST(the_locale_does_not_matter)
{
  if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL)
    setlocale(LC_ALL, ""); /* the check is as good as the locales that are installed */
  expect_line("[0.5,1.25e-300]", "[0.5,1.25e-300]");
  setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(text_that_is_not_utf8_is_mended)
{
  json_t *array = json_array();
  base_json_append(&array, base_json_string_of("a\xff"
                                               "b\xe2\x82"));
  base_json_append(&array, base_json_string_of(NULL));
  base_json_append(&array, base_json_number(NAN));
  base_json_append(&array, base_json_number(0.5));
  char *line = base_json_line(array);
  ck_assert_str_eq(line, "[\"a\xef\xbf\xbd"
                         "b\xef\xbf\xbd\",null,null,0.5]");
  free(line);
  json_decref(array);
}
END_TEST

/* ---- Allocations that fail ---- */

static int until_failure;

static void *fail_one(size_t bytes)
{
  if (--until_failure == 0)
    return NULL;
  return malloc(bytes);
}

static json_t *build(void)
{
  json_t *object = json_object(), *inner = json_pack("{ss}", "t", "u");
  base_json_set(&object, "a", json_integer(1));
  base_json_set_text(&object, "b", "text");
  base_json_set_text(&object, "left out", NULL);
  for (int i = 0; i < 20; i++) {
    char key[8];
    snprintf(key, sizeof key, "k%d", i);
    json_t *array = json_array();
    for (int k = 0; k < 10; k++)
      base_json_append(&array, base_json_number(k / 4.0));
    base_json_set(&object, key, array);
  }
  base_json_update(&object, inner);
  return object;
}

START_TEST(what_is_built_is_whole_or_nothing)
{
  json_t *whole = build();
  char *text = base_json_line(whole);
  int k = 0;
  do {
    until_failure = ++k;
    json_set_alloc_funcs(fail_one, free);
    json_t *built = build();
    json_set_alloc_funcs(malloc, free);
    ck_assert_msg(until_failure > 0 || built == NULL, "%d: something is missing", k);
    ck_assert(until_failure <= 0 || json_equal(built, whole));
    json_decref(built);
  } while (until_failure <= 0);
  ck_assert_int_gt(k, 200);
  char *none = base_json_line(NULL);
  ck_assert_ptr_null(none);
  free(text);
  json_decref(whole);
}
END_TEST

START_TEST(what_is_read_is_whole_or_nothing)
{
  json_t *built = build();
  char *text = base_json_text(built);
  int k = 0;
  do {
    until_failure = ++k;
    json_set_alloc_funcs(fail_one, free);
    base_json_fault fault;
    json_t *read = base_json_load(text, strlen(text), &fault);
    json_set_alloc_funcs(malloc, free);
    ck_assert((fault.kind == BASE_JSON_MEMORY) == (until_failure <= 0));
    ck_assert(until_failure <= 0 ? read == NULL : json_equal(read, built));
    json_decref(read);
  } while (until_failure <= 0);
  ck_assert_int_gt(k, 200);
  free(text);
  json_decref(built);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      reads_every_kind,
      refuses_what_is_none,
      nests_so_deep_and_no_deeper,
      real_numbers_have_the_fewest_digits,
      no_real_number_has_a_shorter_text,
      a_float_has_the_digits_of_a_float,
      each_number_has_its_own_digits,
      the_locale_does_not_matter,
      text_that_is_not_utf8_is_mended,
      what_is_built_is_whole_or_nothing,
      what_is_read_is_whole_or_nothing,
      NULL,
  };
  return scratch_run("json", tests);
}
