/* The real files of GLUE, where CDL_GLUE_DIR says they are. */
#include <math.h>

#include "condlora/dataset.h"
#include "tests/unit/scratch.h"

static const struct {
  const char *task, *split;
  size_t count,
      other_count; /* published numbers; copies of MRPC's train with one row less are about */
} published[] = {
    {"CoLA", "train", 8551, 0},
    {"CoLA", "dev", 1043, 0},
    {"CoLA", "test", 1063, 0},
    {"MRPC", "train", 3668, 3667},
    {"MRPC", "dev", 408, 0},
    {"MRPC", "test", 1725, 0},
    {"RTE", "train", 2490, 0},
    {"RTE", "dev", 277, 0},
    {"RTE", "test", 3000, 0},
    {"SST-2", "train", 67349, 0},
    {"SST-2", "dev", 872, 0},
    {"SST-2", "test", 1821, 0},
    {"STS-B", "train", 5749, 0},
    {"STS-B", "dev", 1500, 0},
    {"STS-B", "test", 1379, 0},
    {"WNLI", "train", 635, 0},
    {"WNLI", "dev", 71, 0},
    {"WNLI", "test", 146, 0},
    {"QNLI", "train", 104743, 0},
    {"QNLI", "dev", 5463, 0},
    {"QNLI", "test", 5463, 0},
    {"AX", "test", 1104, 0},
    {"MNLI", "train", 392702, 0},
    {"MNLI", "dev_matched", 9815, 0},
    {"MNLI", "dev_mismatched", 9832, 0},
    {"QQP", "train", 363846, 0},
    {"QQP", "dev", 40430, 0},
};

static cdl_dataset *read_or_skip(const char *task_name, const char *split)
{
  const cdl_task *task;
  cdl_dataset *dataset;
  expect_ok(cdl_task_find(task_name, &task));
  const cdl_status status = cdl_dataset_read_task(task, getenv("CDL_GLUE_DIR"), split, &dataset);
  if (status == CDL_STATUS_ABSENT) {
    printf("skipped: %s\n", cdl_error_message());
    return NULL;
  }
  expect_ok(status);
  return dataset;
}

START_TEST(splits_have_their_published_sizes)
{
  for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
    cdl_dataset *dataset = read_or_skip(published[i].task, published[i].split);
    if (dataset == NULL)
      continue;
    const size_t count = cdl_dataset_count(dataset);
    ck_assert_msg(count == published[i].count || count == published[i].other_count,
                  "%s %s: %zu rows, expected %zu", published[i].task, published[i].split, count,
                  published[i].count);
    const bool is_test = strcmp(published[i].split, "test") == 0;
    ck_assert(is_test || cdl_dataset_has_labels(dataset));
    for (size_t e = 0; e < count && !is_test; e++) {
      const cdl_example example = cdl_dataset_get(dataset, e);
      ck_assert(cdl_dataset_is_regression(dataset) ? example.target >= 0 && example.target <= 5
                                                   : example.label >= 0);
    }
    cdl_dataset_close(dataset);
  }
}
END_TEST

/* Rows of RTE's dev set whose label is "entailment": 146 of 277, the share GLUE's paper gives as
 * the majority class. */
START_TEST(labels_are_where_they_belong)
{
  cdl_dataset *dataset = read_or_skip("RTE", "dev");
  if (dataset == NULL)
    return;
  size_t entailed = 0;
  for (size_t i = 0; i < cdl_dataset_count(dataset); i++)
    entailed += cdl_dataset_get(dataset, i).label == 0;
  ck_assert_uint_eq(entailed, 146);
  cdl_dataset_close(dataset);
}
END_TEST

START_TEST(sentences_keep_the_space_at_their_end)
{
  cdl_dataset *dataset = read_or_skip("SST-2", "train");
  if (dataset == NULL)
    return;
  size_t ending_in_space = 0;
  for (size_t i = 0; i < cdl_dataset_count(dataset); i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    ending_in_space += example.bytes[0] > 0 && example.text[0][example.bytes[0] - 1] == ' ';
  }
  ck_assert_uint_gt(ending_in_space, 67000);
  cdl_dataset_close(dataset);
}
END_TEST

int main(void)
{
  if (getenv("CDL_GLUE_DIR") == NULL) {
    printf("skipped: GLUE's files: CDL_GLUE_DIR is not set\n");
    return 77;
  }
  const TTest *const tests[] = {splits_have_their_published_sizes, labels_are_where_they_belong,
                                sentences_keep_the_space_at_their_end, NULL};
  return scratch_run("glue", tests);
}
