/* Files for the GLUE site. */
#include <locale.h>
#include <math.h>

#include "tests/unit/scratch.h"
#include "train/data/submission.h"

static const cdl_task *find(const char *name)
{
  const cdl_task *task;
  expect_ok(cdl_task_find(name, &task));
  return task;
}

static void expect_submission(const char *task, const int32_t *classes, const double *scores,
                              size_t count, const char *expected)
{
  const char *path = scratch_path("submission.tsv");
  base_output *output;
  expect_ok(base_output_begin(path, &output));
  expect_ok(data_submission_write(output, find(task), classes, scores, count));
  expect_ok(base_output_commit(output));
  expect_content(path, expected, strlen(expected));
}

START_TEST(classes_are_written_by_name)
{
  static const int32_t classes[] = {1, 0, 1};
  expect_submission("rte", classes, NULL, 3,
                    "index\tprediction\n0\tnot_entailment\n1\tentailment\n2\tnot_entailment\n");
  expect_submission("cola", classes, NULL, 2, "index\tprediction\n0\t1\n1\t0\n");
  expect_submission("ax", classes, NULL, 1, "index\tprediction\n0\tneutral\n");
}
END_TEST

START_TEST(scores_are_clipped_and_have_three_decimals)
{
  static const double scores[] = {2.5, -0.3, 7, 3.14159, 4.9996, -0.0};
  static const char expected[] =
      "index\tprediction\n0\t2.500\n1\t0.000\n2\t5.000\n3\t3.142\n4\t5.000\n5\t0.000\n";
  expect_submission("stsb", NULL, scores, 6, expected);
  if (setlocale(LC_ALL, "de_DE.UTF-8") != NULL || setlocale(LC_ALL, "fr_FR.UTF-8") != NULL)
    expect_submission("stsb", NULL, scores, 6, expected);
  setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(impossible_predictions_are_refused)
{
  base_output *output;
  expect_ok(base_output_begin(scratch_path("submission.tsv"), &output));
  expect_failure(data_submission_write(output, find("rte"), (const int32_t[]){0, 2}, NULL, 2),
                 CDL_STATUS_ARGUMENT, "example 1 has class 2; RTE has 2");
  expect_failure(data_submission_write(output, find("rte"), NULL, (const double[]){0}, 1),
                 CDL_STATUS_ARGUMENT, "RTE");
  expect_failure(
      data_submission_write(output, find("stsb"), NULL, (const double[]){1, (double)NAN}, 2),
      CDL_STATUS_NUMERIC, "example 1");
  base_output_abort(output);
  ck_assert_uint_eq(scratch_count_entries(), 0);
}
END_TEST

START_TEST(files_are_named_as_the_module_names_them)
{
  static const char *const names[][3] = {{"cola", "", "CoLA.tsv"},
                                         {"sst2", "", "SST-2.tsv"},
                                         {"stsb", "", "STS-B.tsv"},
                                         {"mnli", "matched", "MNLI-m.tsv"},
                                         {"mnli", "mismatched", "MNLI-mm.tsv"},
                                         {"ax", "", "AX.tsv"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char name[16];
    expect_ok(data_submission_name(find(names[i][0]), names[i][1], name, sizeof name));
    ck_assert_str_eq(name, names[i][2]);
  }
  char tiny[8];
  expect_failure(data_submission_name(find("cola"), "", tiny, sizeof tiny), CDL_STATUS_USAGE,
                 "CoLA");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      classes_are_written_by_name, scores_are_clipped_and_have_three_decimals,
      impossible_predictions_are_refused, files_are_named_as_the_module_names_them, NULL};
  return scratch_run("submission", tests);
}
