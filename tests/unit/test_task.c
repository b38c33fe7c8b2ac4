/* The table of GLUE's tasks, their names and the files of their splits. */
#include "condlora/task.h"
#include "tests/unit/scratch.h"
#include "train/data/task_files.h"

static const cdl_task *find(const char *name)
{
  const cdl_task *task;
  expect_ok(cdl_task_find(name, &task));
  return task;
}

START_TEST(names_have_no_case_and_no_dashes)
{
  static const char *const names[][2] = {{"CoLA", "cola"},   {"SST-2", "sst2"}, {"SST-2", "SST_2"},
                                         {"MRPC", "mrpc"},   {"QQP", "Qqp"},    {"STS-B", "stsb"},
                                         {"STS-B", "sts-b"}, {"MNLI", "mnli"},  {"QNLI", "QNLI"},
                                         {"RTE", "rte"},     {"WNLI", "wnli"},  {"AX", "ax"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    ck_assert_str_eq(find(names[i][1])->name, names[i][0]);
  const cdl_task *task;
  expect_failure(cdl_task_find("sst", &task), CDL_STATUS_USAGE,
                 "CoLA, SST-2, MRPC, QQP, STS-B, MNLI, QNLI, RTE, WNLI, AX");
  expect_failure(cdl_task_find("", &task), CDL_STATUS_USAGE, "''");
  size_t count;
  ck_assert_ptr_nonnull(cdl_task_list(&count));
  ck_assert_uint_eq(count, 10);
}
END_TEST

START_TEST(labels_have_the_published_order)
{
  ck_assert_str_eq(find("mnli")->labels[0], "entailment");
  ck_assert_str_eq(find("mnli")->labels[1], "neutral");
  ck_assert_str_eq(find("mnli")->labels[2], "contradiction");
  ck_assert_str_eq(find("rte")->labels[0], "entailment");
  ck_assert_str_eq(find("qnli")->labels[1], "not_entailment");
  ck_assert_str_eq(find("wnli")->labels[1], "1");
  ck_assert(cdl_task_is_regression(find("stsb")));
  ck_assert_uint_eq(cdl_task_outputs(find("stsb")), 1);
  ck_assert_uint_eq(cdl_task_outputs(find("ax")), 3);
  ck_assert_uint_eq(cdl_task_outputs(find("cola")), 2);
}
END_TEST

START_TEST(the_first_metric_is_the_one_that_chooses)
{
  ck_assert_int_eq((int)find("cola")->metrics[0], CDL_METRIC_MCC);
  ck_assert_int_eq((int)find("stsb")->metrics[0], CDL_METRIC_PEARSON);
  ck_assert_int_eq((int)find("stsb")->metrics[1], CDL_METRIC_SPEARMAN);
  ck_assert_int_eq((int)find("mrpc")->metrics[0], CDL_METRIC_ACCURACY);
  ck_assert_int_eq((int)find("mrpc")->metrics[1], CDL_METRIC_F1);
  ck_assert_uint_eq(find("qqp")->metric_count, 2);
  ck_assert_uint_eq(find("rte")->metric_count, 1);
}
END_TEST

static void expect_files(const char *task, const char *split, const char *first, const char *second)
{
  data_task_split files;
  expect_ok(data_task_split_find(find(task), split, &files));
  ck_assert_uint_eq(files.count, second == NULL ? 1 : 2);
  ck_assert_str_eq(files.file[0].name, first);
  if (second != NULL)
    ck_assert_str_eq(files.file[1].name, second);
}

START_TEST(splits_are_files)
{
  expect_files("rte", "train", "train.tsv", NULL);
  expect_files("rte", "test", "test.tsv", NULL);
  expect_files("mnli", "train", "train.tsv", NULL);
  expect_files("mnli", "dev", "dev_matched.tsv", "dev_mismatched.tsv");
  expect_files("mnli", "dev_matched", "dev_matched.tsv", NULL);
  expect_files("mnli", "dev_mismatched", "dev_mismatched.tsv", NULL);
  expect_files("mnli", "test", "test_matched.tsv", "test_mismatched.tsv");
  expect_files("ax", "test", "AX.tsv", NULL);
  data_task_split files;
  expect_failure(data_task_split_find(find("rte"), "dev_matched", &files), CDL_STATUS_USAGE,
                 "train, dev or test");
  expect_failure(data_task_split_find(find("ax"), "dev", &files), CDL_STATUS_USAGE,
                 "AX has no split 'dev'; expected test");
  expect_failure(data_task_split_find(find("mnli"), "valid", &files), CDL_STATUS_USAGE,
                 "dev_mismatched");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {names_have_no_case_and_no_dashes, labels_have_the_published_order,
                                the_first_metric_is_the_one_that_chooses, splits_are_files, NULL};
  return scratch_run("task", tests);
}
