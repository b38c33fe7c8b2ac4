/* Records: what a training run left, small enough to be kept beside a report. A folder of records
 * is enough to write the report again; adapters and logs are not needed. */
#ifndef CONDLORA_TOOLS_REPORTS_RECORD_H
#define CONDLORA_TOOLS_REPORTS_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/task.h"
#include "tools/reports/methods.h"
#include "tools/reports/record_file.h"

/* Runs of a search choose the learning rate by the held-out part of train. Runs of the report
 * measure the chosen rate on dev, with other seeds. */
typedef enum { REPORT_ROLE_SEARCH, REPORT_ROLE_REPORT } report_role;

/* An evaluation on the held-out part of train. */
typedef struct {
  double epoch, score, loss; /* score: the task's first metric */
} report_evaluation;

/* A run. Texts and arrays are owned. */
typedef struct {
  /* What distinguishes the run. Two runs with equal values compute the same, up to rounding. */
  report_role role;
  const cdl_task *task;
  const report_compared_method *method;
  uint64_t model_hash; /* fingerprint of the base model's weights */
  uint64_t data_hash;  /* of the task's files */
  json_t *settings;    /* those that change the result and differ from their defaults */

  char *model;             /* name of the base model's folder */
  char *version, *kernels; /* what computed it */
  int64_t adapter_parameters, head_parameters;
  double seconds; /* of training and evaluations */

  report_evaluation *evaluations; /* [evaluation_count], in order */
  size_t evaluation_count;

  /* Of a run that reached its last epoch; 0 and NULL before. */
  double kept_epoch;
  cdl_scores dev;      /* of the kept adapter */
  double *predictions; /* [examples] of dev: places of classes, or values of a regression */
  size_t examples;
} report_record;

/* Labels of a task's dev set: places of classes, or values of a regression. Stored once for all
 * records of the task. */
typedef struct {
  const cdl_task *task;
  uint64_t data_hash;
  double *label; /* [count]; owned */
  size_t count;
} report_labels;

typedef struct {
  report_record *item; /* [count], in the order of their files' names; owned */
  size_t count;
  report_labels *labels; /* [label_count]; owned */
  size_t label_count;
} report_records;

/* Returns 64 bits over what distinguishes the run; they are part of its file's name. */
uint64_t report_record_key(const report_record *record);
/* Returns a setting of the record that is a number, or `otherwise` if it has its default. */
double report_record_number(const report_record *record, const char *setting, double otherwise);
static inline bool report_record_finished(const report_record *record)
{
  return record->predictions != NULL;
}

/* Reads a folder; a missing folder holds no records. The caller releases `records`, also after a
 * failure. Errors: DATA, naming the file and what was expected; IO; MEMORY. */
CDL_MUST_USE cdl_status report_records_read(const char *folder, report_records *records);
void report_records_release(report_records *records);
void report_record_release(report_record *record);

/* Return NULL if there is none. */
const report_record *report_records_find(const report_records *records, uint64_t key);
const report_labels *report_records_labels(const report_records *records, const cdl_task *task,
                                           uint64_t data_hash);

/* Writes a file of the folder, in place of an earlier one of the same run. Errors: IO, MEMORY. */
CDL_MUST_USE cdl_status report_record_write(const char *folder, const report_record *record);
CDL_MUST_USE cdl_status report_labels_write(const char *folder, const report_labels *labels);

#endif
