#include "condlora/task.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "train/data/task_files.h"

#define ZERO_ONE .labels = {"0", "1"}, .label_count = 2
#define ENTAILED_OR_NOT .labels = {"entailment", "not_entailment"}, .label_count = 2
#define ENTAILMENT .labels = {"entailment", "neutral", "contradiction"}, .label_count = 3
#define SCORE .label_count = 0
#define ONE_METRIC(metric) .metrics = {CDL_METRIC_##metric}, .metric_count = 1
#define TWO_METRICS(main, other) \
  .metrics = {CDL_METRIC_##main, CDL_METRIC_##other}, .metric_count = 2

/* clang-format off */
static const cdl_task tasks[] = {
    /* name    texts                      labels                           scored by */
    {"CoLA",  {"sentence", NULL},         "label",        ZERO_ONE,        ONE_METRIC(MCC)},
    {"SST-2", {"sentence", NULL},         "label",        ZERO_ONE,        ONE_METRIC(ACCURACY)},
    {"MRPC",  {"#1 String", "#2 String"}, "Quality",      ZERO_ONE,        TWO_METRICS(ACCURACY, F1)},
    {"QQP",   {"question1", "question2"}, "is_duplicate", ZERO_ONE,        TWO_METRICS(ACCURACY, F1)},
    {"STS-B", {"sentence1", "sentence2"}, "score",        SCORE,           TWO_METRICS(PEARSON, SPEARMAN)},
    {"MNLI",  {"sentence1", "sentence2"}, "gold_label",   ENTAILMENT,      ONE_METRIC(ACCURACY)},
    {"QNLI",  {"question", "sentence"},   "label",        ENTAILED_OR_NOT, ONE_METRIC(ACCURACY)},
    {"RTE",   {"sentence1", "sentence2"}, "label",        ENTAILED_OR_NOT, ONE_METRIC(ACCURACY)},
    {"WNLI",  {"sentence1", "sentence2"}, "label",        ZERO_ONE,        ONE_METRIC(ACCURACY)},
    {"AX",    {"sentence1", "sentence2"}, "label",        ENTAILMENT,      ONE_METRIC(MCC)},
};
/* clang-format on */
enum { TASK_COUNT = sizeof tasks / sizeof tasks[0] };

/* CoLA's columns 2 and 4; the others are its source and the author's own mark. */
const char *const data_task_headerless[DATA_TASK_HEADERLESS_COLUMNS] = {"source", "label", "mark",
                                                                        "sentence"};

const cdl_task *cdl_task_list(size_t *count)
{
  *count = TASK_COUNT;
  return tasks;
}

static const char *skip_dashes(const char *name)
{
  while (*name == '-' || *name == '_')
    name++;
  return name;
}

static bool same_name(const char *a, const char *b)
{
  for (;;) {
    a = skip_dashes(a);
    b = skip_dashes(b);
    if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
      return false;
    if (*a == '\0')
      return true;
    a++;
    b++;
  }
}

cdl_status cdl_task_find(const char *name, const cdl_task **task)
{
  for (size_t i = 0; i < TASK_COUNT; i++)
    if (same_name(name, tasks[i].name)) {
      *task = &tasks[i];
      return CDL_STATUS_OK;
    }
  char names[128] = "";
  size_t used = 0;
  for (size_t i = 0; i < TASK_COUNT && used < sizeof names; i++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                             tasks[i].name);
  *task = NULL;
  return cdl_fail(CDL_STATUS_USAGE, "no task '%s'; expected one of %s", name, names);
}

/* Splits of one file, and the parts of MNLI, whose splits `dev` and `test` join them. */

typedef struct {
  const char *task; /* NULL: any other */
  const char *split;
  data_task_file file;
} known_file;

static const known_file known_files[] = {
    {"AX", "test", {"", "AX.tsv", DATA_LABELS_WHERE_GIVEN, true}},
    {"CoLA", "train", {"", "train.tsv", DATA_LABELS_REQUIRED, false}},
    {"CoLA", "dev", {"", "dev.tsv", DATA_LABELS_REQUIRED, false}},
    {"MNLI", "dev_matched", {"matched", "dev_matched.tsv", DATA_LABELS_REQUIRED, true}},
    {"MNLI", "dev_mismatched", {"mismatched", "dev_mismatched.tsv", DATA_LABELS_REQUIRED, true}},
    {"MNLI", "test_matched", {"matched", "test_matched.tsv", DATA_LABELS_NONE, true}},
    {"MNLI", "test_mismatched", {"mismatched", "test_mismatched.tsv", DATA_LABELS_NONE, true}},
    {NULL, "train", {"", "train.tsv", DATA_LABELS_REQUIRED, true}},
    {NULL, "dev", {"", "dev.tsv", DATA_LABELS_REQUIRED, true}},
    {NULL, "test", {"", "test.tsv", DATA_LABELS_NONE, true}},
};

static const data_task_file *find_file(const char *task, const char *split)
{
  for (size_t i = 0; i < sizeof known_files / sizeof known_files[0]; i++) {
    const known_file *known = &known_files[i];
    if ((known->task == NULL || strcmp(known->task, task) == 0) && strcmp(known->split, split) == 0)
      return &known->file;
  }
  return NULL;
}

cdl_status data_task_split_find(const cdl_task *task, const char *split, data_task_split *files)
{
  *files = (data_task_split){0};
  const bool is_mnli = strcmp(task->name, "MNLI") == 0, is_ax = strcmp(task->name, "AX") == 0;
  const bool is_test = strcmp(split, "test") == 0;
  if (is_mnli && (is_test || strcmp(split, "dev") == 0)) {
    files->file[0] = *find_file("MNLI", is_test ? "test_matched" : "dev_matched");
    files->file[1] = *find_file("MNLI", is_test ? "test_mismatched" : "dev_mismatched");
    files->count = 2;
    return CDL_STATUS_OK;
  }
  const data_task_file *file = find_file(task->name, split);
  if (file == NULL || (is_ax && !is_test))
    return cdl_fail(
        CDL_STATUS_USAGE, "%s has no split '%s'; expected %s", task->name, split,
        is_ax     ? "test"
        : is_mnli ? "train, dev, dev_matched, dev_mismatched, test, test_matched or test_mismatched"
                  : "train, dev or test");
  files->file[0] = *file;
  files->count = 1;
  return CDL_STATUS_OK;
}
