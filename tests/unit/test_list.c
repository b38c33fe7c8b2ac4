/* Lists of names in one text, by themselves and as settings in JSON. */
#include "base/list.h"
#include "tests/unit/scratch.h"
#include "tools/study/search_space.h"
#include "train/settings.h"

static void expect_names(const char *text, const char *const *names, size_t count)
{
  base_list list;
  expect_ok(base_list_split("--names", text, &list));
  ck_assert_uint_eq(list.count, count);
  for (size_t i = 0; i < count; i++)
    ck_assert_str_eq(list.item[i], names[i]);
  base_list_release(&list);
}
#define EXPECT(text, ...)                                \
  expect_names(text, (const char *const[]){__VA_ARGS__}, \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

START_TEST(commas_separate_and_quotes_hold_together)
{
  EXPECT("a", "a");
  EXPECT("a,b c, d ", "a", "b c", " d ");
  EXPECT("\"Title, full\",kind", "Title, full", "kind");
  EXPECT("kind,\"Title, full\"", "kind", "Title, full");
  EXPECT("\"say \"\"yes, please\"\"\",\"\"\"\"", "say \"yes, please\"", "\"");
  EXPECT("5\" nail,6\" nail", "5\" nail", "6\" nail"); /* a quote within a plain name is itself */
  EXPECT("Title,, full,kind", "Title, full", "kind");
  EXPECT(",,a,b,,", ",a", "b,");
  EXPECT("a,,,b", "a,", "b"); /* from the left */
  EXPECT("a,,,,b", "a,,b");
  EXPECT("\"line one\nline two\",\"\t\"", "line one\nline two", "\t");
}
END_TEST

START_TEST(what_is_no_list_is_refused)
{
  static const struct {
    const char *text, *what;
  } bad[] = {{"", "an empty name"},
             {",a", "an empty name"},
             {"a,", "an empty name"},
             {"\"\",a", "an empty name"},
             {"\"a", "not closed"},
             {"\"a\"\"", "not closed"},
             {"\"a\"b", "behind a closing quote"},
             {"\"a\" ,b", "behind a closing quote"},
             {"\"a\",,b", "an empty name"},
             {"a, \"b\"", "a space before a quote"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    base_list list;
    expect_failure(base_list_split("--names", bad[i].text, &list), CDL_STATUS_USAGE, bad[i].what);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "--names"));
    ck_assert_ptr_null(list.item);
  }
}
END_TEST

START_TEST(any_names_come_back)
{
  static const char letters[] = "ab,\" \n=|*(\\\xC3\xA4";
  uint32_t state = 1;
  for (int round = 0; round < 3000; round++) {
    char names[5][12];
    const char *list[5];
    const size_t count = 1 + (size_t)round % 5;
    for (size_t i = 0; i < count; i++) {
      const size_t length = 1 + (state >> 28) % 10;
      for (size_t k = 0; k < length; k++) {
        state = state * 1664525u + 1013904223u;
        names[i][k] = letters[(state >> 16) % (sizeof letters - 1)];
      }
      names[i][length] = '\0';
      list[i] = names[i];
    }
    char *text = base_list_join(list, count);
    ck_assert_ptr_nonnull(text);
    expect_names(text, list, count);
    ck_assert(!train_is_module_pattern(text));
    free(text);
  }
}
END_TEST

START_TEST(a_long_list_takes_little)
{
  enum { NAMES = 65536 };
  const char **names = calloc(NAMES, sizeof *names);
  ck_assert_ptr_nonnull(names);
  for (int i = 0; i < NAMES; i++)
    names[i] = "some, name";
  char *text = base_list_join(names, NAMES);
  expect_names(text, names, NAMES);
  free(text);
  free(names);
}
END_TEST

/* Arrays in JSON stay arrays: from an object to settings, to an object, to settings. */
START_TEST(arrays_of_names_stay_what_they_are)
{
  static const char json[] = "{\"text_columns\": [\"Title, full\", \"a \\\"b\\\"\"], \"labels\": "
                             "[\"very good, yes\", \"bad\", "
                             "\"line\\nbreak\", \"(c)\"], \"targets\": [\"query\", \"a,b\"], "
                             "\"modules_to_save\": [\"pooler\"], "
                             "\"class_weights\": [1, 0.25, 3, \"4\"], \"layers_to_transform\": [0, "
                             "2], \"exclude_modules\": "
                             "\"layer\\\\.(0|1)\\\\..{1,2}\"}";
  json_t *object = json_loads(json, 0, NULL), *again = NULL;
  ck_assert_ptr_nonnull(object);
  for (int round = 0; round < 2; round++) {
    train_settings s;
    expect_ok(train_settings_init(&s));
    expect_ok(train_settings_take(&s, "c.json", round == 0 ? object : again, NULL));
    expect_names(s.text_columns, (const char *const[]){"Title, full", "a \"b\""}, 2);
    expect_names(s.labels, (const char *const[]){"very good, yes", "bad", "line\nbreak", "(c)"}, 4);
    expect_names(s.targets, (const char *const[]){"query", "a,b"}, 2);
    expect_names(s.class_weights, (const char *const[]){"1", "0.25", "3", "4"}, 4);
    ck_assert_str_eq(s.modules_to_save, "pooler");
    ck_assert_str_eq(s.layers_to_transform, "0,2");
    ck_assert_str_eq(s.exclude_modules, "layer\\.(0|1)\\..{1,2}");
    ck_assert(train_is_module_pattern(s.exclude_modules));
    json_decref(again);
    again = train_settings_json(&s, false);
    ck_assert_ptr_nonnull(again);
    train_settings_release(&s);
    ck_assert(json_equal(json_object_get(again, "labels"), json_object_get(object, "labels")));
    ck_assert(json_equal(json_object_get(again, "text_columns"),
                         json_object_get(object, "text_columns")));
    /* Where names are plain, the text that was typed. */
    ck_assert_str_eq(json_string_value(json_object_get(again, "modules_to_save")), "pooler");
    ck_assert_str_eq(json_string_value(json_object_get(again, "exclude_modules")),
                     "layer\\.(0|1)\\..{1,2}");
  }
  json_decref(object);
  json_decref(again);

  train_settings s;
  expect_ok(train_settings_init(&s));
  expect_failure(train_settings_set(&s, train_setting_find("labels"), "\"a,b"), CDL_STATUS_USAGE,
                 "--labels");
  train_settings_release(&s);
}
END_TEST

START_TEST(choices_of_a_search_may_be_arrays_of_names)
{
  json_t *object = json_loads(
      "{\"targets\": [[\"query\", \"a,b\"], \"query,key\", [\"value\"]], \"rank\": [4, 8]}", 0,
      NULL);
  ck_assert_ptr_nonnull(object);
  study_search_space space = {0};
  expect_ok(study_search_space_read(&space, "c.json", object));
  json_decref(object);
  const study_search_dimension *d = &space.item[1]; /* by name: rank, targets */
  ck_assert_str_eq(d->setting->name, "targets");
  ck_assert_uint_eq(d->choice_count, 3);
  expect_names(d->choices[0], (const char *const[]){"query", "a,b"}, 2);
  expect_names(d->choices[1], (const char *const[]){"query", "key"}, 2);
  expect_names(d->choices[2], (const char *const[]){"value"}, 1);
  study_search_space_release(&space);

  expect_ok(study_search_space_add(&space, "targets=choice:\"query,value\",key"));
  ck_assert_uint_eq(space.item[0].choice_count, 2);
  expect_names(space.item[0].choices[0], (const char *const[]){"query", "value"}, 2);
  study_search_space_release(&space);
  static const char *const bad[] = {"{\"targets\": [[1]]}", "{\"targets\": [[]]}",
                                    "{\"rank\": [[\"4\"]]}"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    object = json_loads(bad[i], 0, NULL);
    ck_assert_ptr_nonnull(object);
    expect_failure(study_search_space_read(&space, "c.json", object), CDL_STATUS_USAGE,
                   "c.json: space: ");
    study_search_space_release(&space);
    json_decref(object);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {commas_separate_and_quotes_hold_together,
                                what_is_no_list_is_refused,
                                any_names_come_back,
                                a_long_list_takes_little,
                                arrays_of_names_stay_what_they_are,
                                choices_of_a_search_may_be_arrays_of_names,
                                NULL};
  return scratch_run("list", tests);
}
