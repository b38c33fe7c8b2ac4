/* The files of a GLUE task's splits, and how they differ. */
#ifndef CONDLORA_TRAIN_DATA_TASK_FILES_H
#define CONDLORA_TRAIN_DATA_TASK_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"
#include "condlora/task.h"

typedef enum {
  DATA_LABELS_REQUIRED,
  DATA_LABELS_WHERE_GIVEN, /* AX: some copies have them */
  DATA_LABELS_NONE         /* official test files */
} data_task_labels;

/* One file of a split. */
typedef struct {
  const char *part; /* "matched", "mismatched"; "" if a split is one file */
  const char *name; /* "dev.tsv", in the folder of the task */
  data_task_labels labels;
  bool has_header;
} data_task_file;

enum { DATA_TASK_FILES_MAX = 2 };

typedef struct {
  data_task_file file[DATA_TASK_FILES_MAX];
  size_t count;
} data_task_split;

/* Finds the files of the split "train", "dev" or "test" (MNLI: also "dev_matched",
 * "dev_mismatched", "test_matched", "test_mismatched"; AX: only "test"), in the order in which
 * their examples are counted. Errors: USAGE, listing the splits. */
CDL_MUST_USE cdl_status data_task_split_find(const cdl_task *task, const char *split,
                                             data_task_split *files);

/* Names of the columns of a file without a header line: CoLA's train and dev. */
enum { DATA_TASK_HEADERLESS_COLUMNS = 4 };
extern const char *const data_task_headerless[DATA_TASK_HEADERLESS_COLUMNS];

#endif
