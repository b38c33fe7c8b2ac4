/* Regular expressions for the paths of modules, against what Python's `re` answers. */
#include <string.h>

#include "model/adapter/module_pattern.h"
#include "tests/run_suite.h"

static const char path[] = "bert.encoder.layer.11.attention.self.query";

static module_pattern *create(const char *text)
{
  module_pattern *pattern;
  ck_assert_msg(module_pattern_create("target", text, &pattern) == CDL_STATUS_OK, "%s: %s", text,
                cdl_error_message());
  return pattern;
}

/* re.fullmatch(pattern, path), and re.match(rf"(.*\.)?({pattern})$", path). */
START_TEST(whole_paths_and_ends_match_as_in_python)
{
  static const struct {
    const char *text;
    bool whole, end;
  } cases[] = {{"query", false, true},
               {"self.query", false, true},
               {"uery", false, false},
               {"query|value", false, true},
               {".*query", true, true},
               {".*", true, true},
               {".*layer\\.\\d+\\..*", true, true},
               {".*layer\\.1\\..*", false, false},
               {"bert.encoder.layer.11.attention.self.query", true, true},
               {"BERT.*", false, false},
               {"(?i:QUERY)", false, true},
               {".*\\.(?!query)[a-z]+", false, false},
               {".*(?<=self\\.)query", true, true},
               {"qu{,2}ery", false, true},
               {"[^.]*", false, true},
               {"", false, false},
               {"layer", false, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    module_pattern *pattern = create(cases[i].text);
    bool whole, end;
    ck_assert(module_pattern_matches(pattern, path, &whole) == CDL_STATUS_OK);
    ck_assert(module_pattern_matches_end(pattern, path, &end) == CDL_STATUS_OK);
    ck_assert_msg(whole == cases[i].whole, "%s: the whole path", cases[i].text);
    ck_assert_msg(end == cases[i].end, "%s: the end of the path", cases[i].text);
    module_pattern_free(pattern);
  }
}
END_TEST

START_TEST(a_layers_number_follows_what_matches)
{
  static const struct {
    const char *text, *path;
    int64_t number;
  } cases[] = {{"layer", path, 11},
               {"[^.]*", path, 11},
               {"layers", path, -1},
               {"self", path, -1},
               {"h", "model.h.3.mlp.7", 3},
               {"mlp", "model.h.3.mlp.7", -1}, /* the last component is no layer's */
               {"encoder\\.layer", path, 11}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    module_pattern *pattern = create(cases[i].text);
    int64_t number;
    ck_assert(module_pattern_number(pattern, cases[i].path, &number) == CDL_STATUS_OK);
    ck_assert_msg(number == cases[i].number, "%s in %s: %lld", cases[i].text, cases[i].path,
                  (long long)number);
    module_pattern_free(pattern);
  }
}
END_TEST

/* Python has none of them, or means something else. */
START_TEST(what_python_does_not_read_alike_is_refused)
{
  static const char *const refused[] = {"(",           "[a",      "a)",      "*",         "\\Qa\\E",
                                        "a\\Kb",       "(?R)",    "(?1)",    "(*ACCEPT)", "\\h",
                                        "[[:alpha:]]", "(?|a|b)", "\\x{41}", "(?<n>a)"};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    module_pattern *pattern = NULL;
    ck_assert_msg(module_pattern_create("target", refused[i], &pattern) == CDL_STATUS_USAGE,
                  "%s is taken", refused[i]);
    ck_assert_ptr_null(pattern);
    ck_assert_msg(strncmp(cdl_error_message(), "target", 6) == 0, "%s", cdl_error_message());
  }
}
END_TEST

/* Exponential for a matcher that goes back: an error, in bounded time. */
START_TEST(a_match_takes_a_bounded_number_of_steps)
{
  module_pattern *pattern = create("(a|aa)+c");
  bool matches = true;
  ck_assert(module_pattern_matches(pattern, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc", &matches) ==
            CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "(a|aa)+c"));
  module_pattern_free(pattern);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("module patterns");
  TCase *cases = tcase_create("patterns");
  tcase_add_test(cases, whole_paths_and_ends_match_as_in_python);
  tcase_add_test(cases, a_layers_number_follows_what_matches);
  tcase_add_test(cases, what_python_does_not_read_alike_is_refused);
  tcase_add_test(cases, a_match_takes_a_bounded_number_of_steps);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
