#include "train/data/submission.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

cdl_status data_submission_name(const cdl_task *task, const char *part, char *name, size_t bytes)
{
  const char *suffix = strcmp(part, "matched") == 0      ? "-m"
                       : strcmp(part, "mismatched") == 0 ? "-mm"
                                                         : "";
  const int length = snprintf(name, bytes, "%s%s.tsv", task->name, suffix);
  if (length < 0 || (size_t)length >= bytes)
    return cdl_fail(CDL_STATUS_USAGE, "the name of a submission for %s needs more than %zu bytes",
                    task->name, bytes);
  return CDL_STATUS_OK;
}

static cdl_status write_score(base_output *output, size_t index, double score)
{
  if (isnan(score))
    return cdl_fail(CDL_STATUS_NUMERIC, "the score of example %zu is not a number", index);
  char digits[32];
  snprintf(digits, sizeof digits, "%.3f", fmin(5.0, fmax(0.0, score) + 0.0));
  /* One digit, the locale's decimal point, three digits. */
  base_output_printf(output, "%zu\t%c.%s\n", index, digits[0], digits + strlen(digits) - 3);
  return CDL_STATUS_OK;
}

cdl_status data_submission_write(base_output *output, const cdl_task *task, const int32_t *classes,
                                 const double *scores, size_t count)
{
  if ((cdl_task_is_regression(task) ? (const void *)scores : (const void *)classes) == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "a submission for %s without %s", task->name,
                    cdl_task_is_regression(task) ? "scores" : "classes");
  base_output_printf(output, "index\tprediction\n");
  for (size_t i = 0; i < count; i++) {
    if (cdl_task_is_regression(task)) {
      CDL_TRY(write_score(output, i, scores[i]));
      continue;
    }
    if (classes[i] < 0 || (size_t)classes[i] >= task->label_count)
      return cdl_fail(CDL_STATUS_ARGUMENT, "example %zu has class %d; %s has %zu", i, classes[i],
                      task->name, task->label_count);
    base_output_printf(output, "%zu\t%s\n", i, task->labels[classes[i]]);
  }
  return CDL_STATUS_OK;
}
