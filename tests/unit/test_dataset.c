/* Data sets: a user's files, GLUE's layout, labels, and the errors of both. */
#include <locale.h>
#include <math.h>

#include "base/number.h"
#include "condlora/dataset.h"
#include "condlora/log.h"
#include "tests/unit/scratch.h"

static char notice[1024];

static void keep_notice(void *user, cdl_log_level level, const char *line)
{
  (void)user;
  (void)level;
  snprintf(notice, sizeof notice, "%s", line);
}

static cdl_dataset *read_own(const char *name, const char *text, cdl_dataset_source source)
{
  source.path = scratch_path(name);
  scratch_put_text(source.path, text);
  cdl_dataset *dataset;
  expect_ok(cdl_dataset_read_file(&source, &dataset));
  return dataset;
}

static void refuse_own(const char *name, const char *text, cdl_dataset_source source,
                       const char *what)
{
  source.path = scratch_path(name);
  scratch_put_text(source.path, text);
  cdl_dataset *dataset;
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_DATA, what);
  ck_assert_msg(strstr(cdl_error_message(), source.path) == cdl_error_message(), "%s",
                cdl_error_message());
  ck_assert_ptr_null(dataset);
}

static void expect_text(const cdl_example *example, int which, const char *text)
{
  ck_assert_uint_eq(example->bytes[which], strlen(text));
  ck_assert_mem_eq(example->text[which], text, strlen(text));
}

static const cdl_dataset_source single = {
    .size = sizeof single, .text_column = {"text"}, .label_column = "kind"};

START_TEST(string_labels_are_sorted)
{
  cdl_dataset *dataset = read_own(
      "own.tsv", "kind\ttext\nzebra\tone\nant\ttwo \nBee\t\nzebra\tfour\nan\tfive\n", single);
  ck_assert_uint_eq(cdl_dataset_count(dataset), 5);
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 4);
  static const char *const names[] = {"Bee", "an", "ant", "zebra"};
  for (int32_t i = 0; i < 4; i++)
    ck_assert_str_eq(cdl_dataset_label_name(dataset, i), names[i]);
  ck_assert_ptr_null(cdl_dataset_label_name(dataset, 4));
  ck_assert_ptr_null(cdl_dataset_label_name(dataset, -1));
  static const int32_t labels[] = {3, 2, 0, 3, 1};
  for (uint32_t i = 0; i < 5; i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    ck_assert_int_eq(example.label, labels[i]);
    ck_assert_uint_eq(example.index, i);
    ck_assert_uint_eq(example.line, i + 2);
    ck_assert_double_nan(example.target);
    ck_assert_ptr_null(example.text[1]);
  }
  const cdl_example padded = cdl_dataset_get(dataset, 1), empty = cdl_dataset_get(dataset, 2);
  expect_text(&padded, 0, "two ");
  expect_text(&empty, 0, "");
  ck_assert(cdl_dataset_has_labels(dataset));
  ck_assert(!cdl_dataset_is_pair(dataset));
  ck_assert(!cdl_dataset_is_regression(dataset));
  cdl_dataset_close(dataset);
}
END_TEST

static void expect_order(const char *rows, const char *const *names, size_t count)
{
  char text[512];
  snprintf(text, sizeof text, "kind\ttext\n%s", rows);
  cdl_dataset *dataset = read_own("own.tsv", text, single);
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), count);
  for (size_t i = 0; i < count; i++)
    ck_assert_str_eq(cdl_dataset_label_name(dataset, (int32_t)i), names[i]);
  /* Each row is "label<tab>label": ids follow the names. */
  for (size_t i = 0; i < cdl_dataset_count(dataset); i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    expect_text(&example, 0, cdl_dataset_label_name(dataset, example.label));
  }
  cdl_dataset_close(dataset);
}

START_TEST(whole_numbers_are_sorted_by_value)
{
  expect_order("10\t10\n2\t2\n0\t0\n11\t11\n1\t1\n",
               (const char *const[]){"0", "1", "2", "10", "11"}, 5);
  expect_order("-2\t-2\n10\t10\n-10\t-10\n3\t3\n-1\t-1\n",
               (const char *const[]){"-10", "-2", "-1", "3", "10"}, 5);
  /* Texts that differ are labels that differ; beyond any integer's range too. */
  expect_order("1\t1\n01\t01\n001\t001\n2\t2\n0\t0\n-0\t-0\n",
               (const char *const[]){"-0", "0", "001", "01", "1", "2"}, 6);
  expect_order("99999999999999999999999\t99999999999999999999999\n9\t9\n"
               "100000000000000000000000\t100000000000000000000000\n",
               (const char *const[]){"9", "99999999999999999999999", "100000000000000000000000"},
               3);
  /* One that is no whole number: all are texts. */
  expect_order("10\t10\n2\t2\nx\tx\n", (const char *const[]){"10", "2", "x"}, 3);
  expect_order("10\t10\n2\t2\n1.5\t1.5\n", (const char *const[]){"1.5", "10", "2"}, 3);
  expect_order("10\t10\n2\t2\n+3\t+3\n", (const char *const[]){"+3", "10", "2"}, 3);
}
END_TEST

START_TEST(marks_of_no_label_are_no_class)
{
  refuse_own("own.tsv", "text\tkind\na\t0\nb\t-1\nc\t1\nd\t-1\n", single,
             "own.tsv:3: the label -1, in 2 of 4 rows, stands for no label in GLUE's data; "
             "--skip-label -1");
  refuse_own("own.tsv", "text\tkind\na\tneutral\nb\t-\nc\tentailment\n", single,
             "own.tsv:3: the label -, in 1 of 3 rows, stands for no label in SNLI's data");
  expect_order("-\t-\n+\t+\n", (const char *const[]){"+", "-"}, 2);
  expect_order("-1\t-1\n-2\t-2\n0\t0\n", (const char *const[]){"-2", "-1", "0"}, 3);

  cdl_dataset_source source = single;
  source.skip_label = "-1";
  notice[0] = '\0';
  cdl_log_to(keep_notice, NULL);
  cdl_dataset *dataset = read_own("own.tsv", "text\tkind\na\t0\nb\t-1\nc\t1\nd\t-1\n", source);
  cdl_log_to(NULL, NULL);
  ck_assert_ptr_nonnull(
      strstr(notice, "own.tsv: 2 of 4 rows have the label '-1' and were left out"));
  source.skip_label = "none";
  cdl_log_to(keep_notice, NULL);
  cdl_dataset_close(read_own("own.tsv", "text\tkind\na\t0\nb\t1\n", source));
  cdl_log_to(NULL, NULL);
  ck_assert_ptr_nonnull(strstr(notice, "own.tsv: no row has the label 'none'"));
  source.skip_label = "-1";
  ck_assert_uint_eq(cdl_dataset_count(dataset), 2);
  ck_assert_uint_eq(cdl_dataset_skipped(dataset), 2);
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 2);
  ck_assert_uint_eq(cdl_dataset_get(dataset, 1).line, 4);
  cdl_dataset_close(dataset);
  refuse_own("own.tsv", "text\tkind\na\t-1\n", source, "every row has the label '-1'");

  /* Named by hand, it is a class; where it is not among the names, the message says the way out. */
  static const char *const with[] = {"-1", "0", "1"}, *const without[] = {"0", "1"};
  source.skip_label = NULL;
  source.labels = with;
  source.label_count = 3;
  dataset = read_own("own.tsv", "text\tkind\na\t0\nb\t-1\n", source);
  ck_assert_int_eq(cdl_dataset_get(dataset, 1).label, 0);
  cdl_dataset_close(dataset);
  source.labels = without;
  source.label_count = 2;
  refuse_own("own.tsv", "text\tkind\na\t0\nb\t-1\n", source, "--skip-label");
}
END_TEST

START_TEST(given_labels_keep_their_order)
{
  static const char *const order[] = {"no", "yes", "maybe"};
  cdl_dataset_source source = {.size = sizeof source,
                               .text_column = {"q", "a"},
                               .label_column = "y",
                               .labels = order,
                               .label_count = 3};
  cdl_dataset *dataset = read_own("own.csv", "a,y,q\n\"x, y\",yes,Q\nz,no,\"R\nS\"\n", source);
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 3);
  const cdl_example first = cdl_dataset_get(dataset, 0), second = cdl_dataset_get(dataset, 1);
  ck_assert_int_eq(first.label, 1);
  ck_assert_int_eq(second.label, 0);
  expect_text(&first, 0, "Q");
  expect_text(&first, 1, "x, y");
  expect_text(&second, 0, "R\nS");
  ck_assert(cdl_dataset_is_pair(dataset));
  cdl_dataset_close(dataset);
  refuse_own("own.csv", "a,y,q\n1,yes,2\n1,Yes,2\n", source,
             "own.csv:3: unknown label 'Yes'; expected one of 'no', 'yes', 'maybe'");
}
END_TEST

START_TEST(regressions_read_numbers)
{
  cdl_dataset_source source = single;
  source.regression = true;
  cdl_dataset *dataset =
      read_own("own.jsonl",
               "{\"text\":\"a\",\"kind\":2.5}\n{\"text\":\"b\",\"kind\":\"-1e2\"}\n"
               "{\"text\":\"c\",\"kind\":7}\n",
               source);
  static const double targets[] = {2.5, -100, 7};
  for (size_t i = 0; i < 3; i++) {
    ck_assert(cdl_dataset_get(dataset, i).target == targets[i]);
    ck_assert_int_eq(cdl_dataset_get(dataset, i).label, -1);
  }
  ck_assert(cdl_dataset_is_regression(dataset));
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 0);
  cdl_dataset_close(dataset);
  static const char *const bad[] = {"",   "x",  "1,5",  "nan", "inf", "0x10", " 1",
                                    "1 ", "1e", "1e39", ".",   "-",   "--1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char text[64];
    snprintf(text, sizeof text, "text\tkind\na\t1\nb\t%s\n", bad[i]);
    refuse_own("own.tsv", text, source, "own.tsv:3: ");
  }
}
END_TEST

static void expect_targets(const cdl_dataset *dataset, size_t index, const double *expected)
{
  double targets[8];
  cdl_dataset_targets(dataset, index, targets);
  for (size_t k = 0; k < cdl_dataset_output_count(dataset); k++)
    ck_assert_msg(targets[k] == expected[k], "example %zu, output %zu: %g, expected %g", index, k,
                  targets[k], expected[k]);
}

START_TEST(regressions_may_have_several_numbers)
{
  static const char *const columns[] = {"joy", "anger"};
  cdl_dataset_source source = single;
  source.regression = true;
  source.label_columns = columns;
  source.label_column_count = 2;
  cdl_dataset *dataset = read_own("own.csv", "anger,text,joy\n1,a,2.5\n-3,b,0\n", source);
  ck_assert_int_eq(cdl_dataset_problem(dataset), CDL_PROBLEM_REGRESSION);
  ck_assert_uint_eq(cdl_dataset_output_count(dataset), 2);
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 0);
  ck_assert_str_eq(cdl_dataset_output_name(dataset, 1), "anger");
  ck_assert_ptr_null(cdl_dataset_output_name(dataset, 2));
  ck_assert(cdl_dataset_has_labels(dataset));
  ck_assert_double_nan(cdl_dataset_get(dataset, 0).target);
  expect_targets(dataset, 0, (const double[]){2.5, 1});
  expect_targets(dataset, 1, (const double[]){0, -3});
  cdl_dataset_close(dataset);
  refuse_own("own.csv", "anger,text,joy\n1,a,2.5\nx,b,0\n", source,
             "own.csv:3: 'x' is not a number");
  source.regression = false;
  source.path = scratch_path("own.csv");
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "2 columns of labels");
}
END_TEST

START_TEST(several_labels_are_arrays_or_separated)
{
  static const double expected[][3] = {{1, 0, 1}, {0, 0, 0}, {0, 1, 0}};
  cdl_dataset_source source = single;
  source.multi_label = true;
  cdl_dataset *read[3];
  read[0] = read_own("own.jsonl",
                     "{\"text\":\"a\",\"kind\":[\"sad\",\"cold\",\"sad\"]}\n"
                     "{\"text\":\"b\",\"kind\":[]}\n{\"text\":\"c\",\"kind\":[\"mad\"]}\n",
                     source);
  source.label_separator = "|";
  read[1] = read_own("own.tsv", "kind\ttext\nsad | cold\ta\n\tb\nmad\tc\n", source);
  static const char *const columns[] = {"cold", "mad", "sad"};
  source.label_separator = NULL;
  source.label_columns = columns;
  source.label_column_count = 3;
  read[2] = read_own("own.csv", "text,cold,mad,sad\na,1,0,1\nb,0,0,0\nc,false,true,0\n", source);
  for (size_t d = 0; d < 3; d++) {
    ck_assert_int_eq(cdl_dataset_problem(read[d]), CDL_PROBLEM_MULTI_LABEL);
    ck_assert_uint_eq(cdl_dataset_label_count(read[d]), 3);
    ck_assert(cdl_dataset_has_labels(read[d]));
    for (size_t k = 0; k < 3; k++)
      ck_assert_str_eq(cdl_dataset_output_name(read[d], k), columns[k]);
    for (size_t i = 0; i < 3; i++) {
      expect_targets(read[d], i, expected[i]);
      ck_assert_int_eq(cdl_dataset_get(read[d], i).label, -1);
    }
    cdl_dataset_close(read[d]);
  }
  refuse_own("own.csv", "text,cold,mad,sad\na,1,0,2\n", source,
             "own.csv:2: the label 'sad' is '2'; expected 0 or 1");
}
END_TEST

START_TEST(several_labels_that_cannot_be_are_refused)
{
  static const char *const known[] = {"cold", "sad"};
  cdl_dataset_source source = single;
  source.multi_label = true;
  refuse_own("own.tsv", "text\tkind\na\tsad\n", source, "own.tsv:2: 'sad' is one text");
  refuse_own("own.jsonl", "{\"text\":\"a\",\"kind\":{}}\n", source, "is an object");
  refuse_own("own.jsonl", "{\"text\":\"a\",\"kind\":[[]]}\n", source, "has an element");
  refuse_own("own.jsonl", "{\"text\":[\"a\"],\"kind\":[]}\n", source, "'text' is an array");
  refuse_own("own.jsonl", "{\"text\":\"a\",\"kind\":[\"\"]}\n", source, "empty label");
  refuse_own("own.jsonl", "{\"text\":\"a\",\"kind\":[]}\n", source, "no row has a label");
  source.label_separator = ";";
  refuse_own("own.tsv", "text\tkind\na\tsad;;cold\n", source, "own.tsv:2: an empty label");
  source.labels = known;
  source.label_count = 2;
  refuse_own("own.tsv", "text\tkind\na\tsad;mad\n", source,
             "own.tsv:2: unknown label 'mad'; expected one of 'cold', 'sad'");
  cdl_dataset *dataset = read_own("own.tsv", "text\tkind\na\tsad\nb\t\n", source);
  expect_targets(dataset, 0, (const double[]){0, 1});
  cdl_dataset_close(dataset);
  source.label_separator = "; ";
  source.path = scratch_path("own.tsv");
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "one character");
  source.label_separator = NULL;
  source.skip_label = "sad";
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "--skip-label");
  source.skip_label = NULL;
  source.regression = true;
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "not both");
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
  if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL)
    setlocale(LC_ALL, ""); /* the check is as good as the locales that are installed */
  double value = 0;
  ck_assert(base_number_parse("3.25", 4, &value));
  ck_assert(value == 3.25);
  ck_assert(base_number_parse("+.5e-1x", 6, &value)); /* the text ends where its length says */
  ck_assert(value == 0.05);
  ck_assert(base_number_parse("5.", 2, &value));
  ck_assert(!base_number_parse("3,25", 4, &value));
  setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(a_source_says_its_size)
{
  cdl_dataset *dataset;
  const cdl_dataset_source sizeless = {.path = "none.tsv", .text_column = {"text"}};
  expect_failure(cdl_dataset_read_file(&sizeless, &dataset), CDL_STATUS_ARGUMENT,
                 "cdl_dataset_source");
  ck_assert_ptr_null(dataset);
}
END_TEST

START_TEST(labels_may_be_left_out)
{
  cdl_dataset *dataset =
      read_own("own.tsv", "text\na\nb\n",
               (cdl_dataset_source){.size = sizeof(cdl_dataset_source), .text_column = {"text"}});
  ck_assert(!cdl_dataset_has_labels(dataset));
  ck_assert_int_eq(cdl_dataset_get(dataset, 1).label, -1);
  cdl_dataset_close(dataset);

  static const char *const order[] = {"no", "yes"};
  cdl_dataset_source source = single;
  source.label_optional = true;
  source.labels = order;
  source.label_count = 2;
  dataset = read_own("own.tsv", "text\na\n", source);
  ck_assert(!cdl_dataset_has_labels(dataset));
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 2);
  cdl_dataset_close(dataset);
  dataset = read_own("own.tsv", "text\tkind\na\tyes\n", source);
  ck_assert(cdl_dataset_has_labels(dataset));
  ck_assert_int_eq(cdl_dataset_get(dataset, 0).label, 1);
  cdl_dataset_close(dataset);
  dataset = read_own("own.jsonl", "{\"text\":\"a\",\"kind\":\"yes\"}\n{\"text\":\"b\"}\n", source);
  ck_assert(!cdl_dataset_has_labels(dataset));
  ck_assert_int_eq(cdl_dataset_get(dataset, 0).label, 1);
  ck_assert_int_eq(cdl_dataset_get(dataset, 1).label, -1);
  cdl_dataset_close(dataset);
  refuse_own("own.tsv", "text\tkind\na\tperhaps\n", source, ":2: unknown label 'perhaps'");
}
END_TEST

START_TEST(own_files_are_strict)
{
  refuse_own("own.tsv", "text\tlabel\na\tb\n", single,
             ":1: no column 'kind'; the header has 'text', 'label'");
  refuse_own("own.tsv", "text\tkind\na\n", single, ":2: 1 field; the header has 2");
  refuse_own("own.tsv", "text\tkind\na\t\nb\tx\n", single, ":2: the label is empty");
  refuse_own("own.tsv", "text\tkind\n", single, "no rows after the header; expected at least one");
  refuse_own("own.tsv", "", single, "an empty file");
  refuse_own("own.tsv", "text\tkind\na\tx\nb\tx\n", single, "every row has the label 'x'");
  refuse_own("own.jsonl", "{\"text\":\"a\",\"kind\":\"x\"}\n{\"kind\":\"y\"}\n", single,
             ":2: no field 'text'; the object has 'kind'");
  refuse_own("own.jsonl", "{\"text\":\"a\",\"kind\":\"x\"}\n{\"text\":\"b\",\"kind\":null}\n",
             single, ":2: the field 'kind' is null; expected a string or a number");
  refuse_own("own.jsonl", "{\"text\":null,\"kind\":\"x\"}\n", single,
             ":1: the field 'text' is null; expected a string or a number");
}
END_TEST

START_TEST(sources_that_cannot_be_are_refused)
{
  static const char *const one[] = {"x"}, *const twice[] = {"x", "y", "x"};
  cdl_dataset *dataset;
  cdl_dataset_source source = single;
  source.path = scratch_path("own.tsv");
  scratch_put_text(source.path, "text\tkind\na\tx\nb\ty\n");
  source.labels = one;
  source.label_count = 1;
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "at least two");
  source.labels = twice;
  source.label_count = 3;
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "'x' is listed twice");
  source.regression = true;
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "no classes");
  source.text_column[0] = NULL;
  expect_failure(cdl_dataset_read_file(&source, &dataset), CDL_STATUS_USAGE, "column of text");
}
END_TEST

START_TEST(many_labels_are_told_apart)
{
  enum { LABELS = 3000 };
  char *text = malloc(LABELS * 2 * 24 + 64);
  ck_assert_ptr_nonnull(text);
  size_t size = (size_t)sprintf(text, "text\tkind\n");
  for (unsigned i = 0; i < 2 * LABELS; i++)
    size += (size_t)sprintf(text + size, "x\tlabel-%04u\n", i * 1777 % LABELS);
  cdl_dataset *dataset = read_own("own.tsv", text, single);
  free(text);
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), LABELS);
  for (unsigned i = 0; i < 2 * LABELS; i++)
    ck_assert_int_eq(cdl_dataset_get(dataset, i).label, (int32_t)(i * 1777 % LABELS));
  cdl_dataset_close(dataset);
}
END_TEST

/* GLUE's layout, with sentences of our own */

static void put_task(const char *task, const char *file, const char *text)
{
  char name[64];
  mkdir(scratch_path(task), 0700);
  snprintf(name, sizeof name, "%s/%s", task, file);
  scratch_put_text(scratch_path(name), text);
}

static cdl_status read_task(const char *name, const char *split, cdl_dataset **dataset)
{
  const cdl_task *task;
  expect_ok(cdl_task_find(name, &task));
  return cdl_dataset_read_task(task, scratch_folder, split, dataset);
}

START_TEST(official_rows_without_a_used_column_are_dropped)
{
  put_task("QQP", "train.tsv",
           "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
           "0\t1\t2\tWhy?\tWhat for?\t1\n"
           "1\t3\t4\tWhere\n"
           "2\t\t\tWho?\t\t0\n"
           "3\t5\t6\tWhen?\tSince when?\n"
           "4\t7\t8\tHow \"so\"?\tHow come?\t0\textra\n");
  notice[0] = '\0';
  cdl_log_to(keep_notice, NULL);
  cdl_dataset *dataset;
  expect_ok(read_task("qqp", "train", &dataset));
  cdl_log_to(NULL, NULL);
  ck_assert_uint_eq(cdl_dataset_count(dataset), 3);
  ck_assert_uint_eq(cdl_dataset_dropped(dataset), 2);
  ck_assert_msg(strstr(notice, "QQP/train.tsv: 2 of 5 rows") != NULL, "%s", notice);
  const cdl_example second = cdl_dataset_get(dataset, 1), last = cdl_dataset_get(dataset, 2);
  expect_text(&second, 1, "");
  expect_text(&last, 0, "How \"so\"?");
  ck_assert_uint_eq(last.index, 2);
  ck_assert_uint_eq(last.line, 6);
  ck_assert_int_eq(last.label, 0);
  cdl_dataset_close(dataset);
}
END_TEST

START_TEST(cola_has_no_header)
{
  put_task("CoLA", "train.tsv", "xx\t1\t\tA cat slept.\nxx\t0\t*\tCat slept a.\n");
  put_task("CoLA", "test.tsv", "index\tsentence\n0\tA dog ran.\n");
  cdl_dataset *dataset;
  expect_ok(read_task("cola", "train", &dataset));
  ck_assert_uint_eq(cdl_dataset_count(dataset), 2);
  const cdl_example second = cdl_dataset_get(dataset, 1);
  expect_text(&second, 0, "Cat slept a.");
  ck_assert_int_eq(second.label, 0);
  ck_assert_uint_eq(second.line, 2);
  cdl_dataset_close(dataset);
  expect_ok(read_task("cola", "test", &dataset));
  ck_assert_uint_eq(cdl_dataset_count(dataset), 1);
  ck_assert(!cdl_dataset_has_labels(dataset));
  ck_assert_uint_eq(cdl_dataset_label_count(dataset), 2);
  cdl_dataset_close(dataset);
}
END_TEST

START_TEST(mnli_is_matched_then_mismatched)
{
  put_task("MNLI", "dev_matched.tsv",
           "index\tsentence1\tsentence2\tlabel1\tgold_"
           "label\n0\ta\tb\tneutral\tneutral\n1\tc\td\tx\tcontradiction\n");
  put_task("MNLI", "dev_mismatched.tsv", "sentence1\tgold_label\tsentence2\ne\tentailment\tf\n");
  cdl_dataset *dataset;
  expect_ok(read_task("MNLI", "dev", &dataset));
  ck_assert_uint_eq(cdl_dataset_count(dataset), 3);
  ck_assert_uint_eq(cdl_dataset_part_count(dataset), 2);
  const cdl_dataset_part matched = cdl_dataset_get_part(dataset, 0),
                         mismatched = cdl_dataset_get_part(dataset, 1);
  ck_assert_str_eq(matched.name, "matched");
  ck_assert_uint_eq(matched.first, 0);
  ck_assert_uint_eq(matched.count, 2);
  ck_assert_str_eq(mismatched.name, "mismatched");
  ck_assert_uint_eq(mismatched.first, 2);
  ck_assert_uint_eq(mismatched.count, 1);
  ck_assert_ptr_nonnull(strstr(mismatched.path, "MNLI/dev_mismatched.tsv"));
  static const int32_t labels[] = {1, 2, 0};
  for (size_t i = 0; i < 3; i++)
    ck_assert_int_eq(cdl_dataset_get(dataset, i).label, labels[i]);
  ck_assert_uint_eq(cdl_dataset_get(dataset, 2).index, 2);
  cdl_dataset_close(dataset);
  expect_ok(read_task("MNLI", "dev_mismatched", &dataset));
  ck_assert_uint_eq(cdl_dataset_count(dataset), 1);
  ck_assert_str_eq(cdl_dataset_get_part(dataset, 0).name, "mismatched");
  cdl_dataset_close(dataset);
}
END_TEST

START_TEST(the_diagnostic_set_may_have_labels)
{
  put_task("AX", "AX.tsv", "index\tsentence1\tsentence2\n0\ta\tb\n");
  cdl_dataset *dataset;
  expect_ok(read_task("AX", "test", &dataset));
  ck_assert(!cdl_dataset_has_labels(dataset));
  cdl_dataset_close(dataset);
  put_task("AX", "AX.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tcontradiction\n");
  expect_ok(read_task("AX", "test", &dataset));
  ck_assert(cdl_dataset_has_labels(dataset));
  ck_assert_int_eq(cdl_dataset_get(dataset, 0).label, 2);
  cdl_dataset_close(dataset);
}
END_TEST

START_TEST(official_files_may_be_wrong)
{
  cdl_dataset *dataset;
  expect_failure(read_task("RTE", "train", &dataset), CDL_STATUS_ABSENT, "RTE/train.tsv");
  put_task("RTE", "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentails\n");
  expect_failure(
      read_task("RTE", "train", &dataset), CDL_STATUS_DATA,
      "RTE/train.tsv:2: unknown label 'entails'; expected one of 'entailment', 'not_entailment'");
  put_task("RTE", "train.tsv", "index\tsentence1\tlabel\n0\ta\tentailment\n");
  expect_failure(read_task("RTE", "train", &dataset), CDL_STATUS_DATA,
                 "RTE/train.tsv:1: no column 'sentence2'");
  put_task("STS-B", "train.tsv", "sentence1\tsentence2\tscore\na\tb\t4.5\na\tb\tfive\n");
  expect_failure(read_task("STS-B", "train", &dataset), CDL_STATUS_DATA,
                 "STS-B/train.tsv:3: 'five' is not a number");
  put_task("SST-2", "train.tsv", "sentence\tlabel\na\t1\nb\xC3\t0\n");
  expect_failure(read_task("SST-2", "train", &dataset), CDL_STATUS_DATA,
                 "SST-2/train.tsv:3: byte 2 of the line, 0xc3");
  put_task("SST-2", "train.tsv", "sentence\tlabel\na\n");
  expect_failure(read_task("SST-2", "train", &dataset), CDL_STATUS_DATA, "no rows");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {string_labels_are_sorted,
                                whole_numbers_are_sorted_by_value,
                                marks_of_no_label_are_no_class,
                                given_labels_keep_their_order,
                                regressions_read_numbers,
                                regressions_may_have_several_numbers,
                                several_labels_are_arrays_or_separated,
                                several_labels_that_cannot_be_are_refused,
                                numbers_do_not_depend_on_the_locale,
                                a_source_says_its_size,
                                labels_may_be_left_out,
                                own_files_are_strict,
                                sources_that_cannot_be_are_refused,
                                many_labels_are_told_apart,
                                official_rows_without_a_used_column_are_dropped,
                                cola_has_no_header,
                                mnli_is_matched_then_mismatched,
                                the_diagnostic_set_may_have_labels,
                                official_files_may_be_wrong,
                                NULL};
  return scratch_run("dataset", tests);
}
