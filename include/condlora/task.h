/* The tasks of GLUE (Wang et al. 2019): the names of their columns, labels and metrics. */
#ifndef CONDLORA_TASK_H
#define CONDLORA_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/metrics.h"
#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char *name;           /* such as "SST-2"; also the name of the task's folder */
  const char *text_column[2]; /* the second is NULL for a task of single sentences */
  const char *label_column;
  const char *labels[3]; /* in the order of class ids */
  size_t label_count;    /* 0: a regression with one output */
  cdl_metric metrics[2]; /* the first chooses the best checkpoint */
  size_t metric_count;
} cdl_task;

/* Finds a task by name. Case, dashes and underscores do not matter: "sst2", "STS-B". The result is
 * static. Errors: USAGE; the message lists the names. */
CDL_API CDL_MUST_USE cdl_status cdl_task_find(const char *name, const cdl_task **task);

/* Returns an array of all tasks, `*count` of them; static. */
CDL_API const cdl_task *cdl_task_list(size_t *count);

static inline bool cdl_task_is_regression(const cdl_task *task)
{
  return task->label_count == 0;
}

/* Returns the number of outputs of a model for the task: the number of classes, or 1. */
static inline size_t cdl_task_outputs(const cdl_task *task)
{
  return task->label_count == 0 ? 1 : task->label_count;
}

#ifdef __cplusplus
}
#endif
#endif
