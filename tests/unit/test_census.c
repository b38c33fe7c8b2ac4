/* The census of a run's examples, counted by hand. */
#include "tests/unit/scratch.h"
#include "train/data/census.h"

static cdl_dataset *read_rows(const char *name, const char *text, const char *second)
{
  const cdl_dataset_source source = {.size = sizeof source,
                                     .path = scratch_path(name),
                                     .text_column = {"a", second},
                                     .label_column = "kind",
                                     .labels = (const char *const[]){"no", "yes", "never"},
                                     .label_count = 3,
                                     .skip_label = "-1"};
  scratch_put_text(source.path, text);
  cdl_dataset *dataset;
  expect_ok(cdl_dataset_read_file(&source, &dataset));
  return dataset;
}

/* The first `valid` rows are held out. */
static data_split first_rows(const uint32_t *rows, size_t valid, size_t count)
{
  return (data_split){
      .valid = rows, .train = rows + valid, .valid_count = valid, .train_count = count - valid};
}

static const uint32_t in_order[] = {0, 1, 2, 3, 4, 5, 6, 7};

START_TEST(parts_labels_and_texts_are_counted)
{
  cdl_dataset *train = read_rows("train.tsv",
                                 "a\tkind\n"
                                 "one\tno\n"  /* valid; train has it twice, once as yes */
                                 "two\tyes\n" /* valid */
                                 "one\tno\n"  /* from here train */
                                 "one\tyes\n"
                                 "x\t-1\n" /* left out */
                                 "three\tno\n"
                                 "three\tno\n" /* repeated, of one label */
                                 "One\tno\n",  /* another text */
                                 NULL),
              *dev =
                  read_rows("dev.tsv", "a\tkind\ntwo\tyes\ntwo\tyes\nthree\tyes\nfour\tno\n", NULL);
  const data_split split = first_rows(in_order, 2, 7);
  data_census c;
  expect_ok(data_census_take(train, &split, dev, &c));
  static const size_t labelled[] = {1, 1, 0, 4, 1, 0, 1, 3, 0};
  ck_assert_uint_eq(c.classes, 3);
  for (size_t i = 0; i < 3; i++) {
    ck_assert_uint_eq(c.labelled[DATA_PART_VALID * 3 + i], labelled[i]);
    ck_assert_uint_eq(c.labelled[DATA_PART_TRAIN * 3 + i], labelled[3 + i]);
    ck_assert_uint_eq(c.labelled[DATA_PART_DEV * 3 + i], labelled[6 + i]);
  }
  ck_assert_str_eq(c.names[2], "never");
  ck_assert_uint_eq(c.examples[DATA_PART_TRAIN], 5);
  ck_assert_uint_eq(c.examples[DATA_PART_VALID], 2);
  ck_assert_uint_eq(c.examples[DATA_PART_DEV], 4);
  ck_assert_uint_eq(c.skipped[0], 1);
  ck_assert_uint_eq(c.skipped[1], 0);
  ck_assert_uint_eq(c.repeated, 3);
  ck_assert_uint_eq(c.contradicting, 3);
  ck_assert_uint_eq(c.valid_in_train, 1);
  ck_assert_uint_eq(c.dev_in_train, 3);

  json_t *object = data_census_json(&c);
  ck_assert_ptr_nonnull(object);
  ck_assert_int_eq(json_integer_value(json_object_get(
                       json_object_get(json_object_get(object, "labels"), "no"), "train")),
                   4);
  json_decref(object);
  data_census_release(&c);
  expect_ok(data_census_take(train, &split, NULL, &c));
  ck_assert_uint_eq(c.dev_in_train, 0);
  ck_assert(!c.has_dev);
  data_census_release(&c);
  cdl_dataset_close(train);
  cdl_dataset_close(dev);
}
END_TEST

START_TEST(a_pair_is_the_same_in_both_texts)
{
  cdl_dataset *train = read_rows("train.tsv",
                                 "a\tb\tkind\n"
                                 "x\ty\tno\n"
                                 "xy\t\tyes\n" /* the same bytes end to end */
                                 "\txy\tyes\n"
                                 "y\tx\tyes\n"
                                 "x\tz\tyes\n"
                                 "x\ty\tno\n",
                                 "b");
  const data_split split = first_rows(in_order, 0, 6);
  data_census c;
  expect_ok(data_census_take(train, &split, NULL, &c));
  ck_assert_uint_eq(c.repeated, 1);
  ck_assert_uint_eq(c.contradicting, 0);
  data_census_release(&c);
  cdl_dataset_close(train);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {parts_labels_and_texts_are_counted,
                                a_pair_is_the_same_in_both_texts, NULL};
  return scratch_run("census", tests);
}
