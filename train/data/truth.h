/* What the rows of a data set should give: a class, any number of labels, or numbers. */
#ifndef CONDLORA_TRAIN_DATA_TRUTH_H
#define CONDLORA_TRAIN_DATA_TRUTH_H

#include "condlora/problem.h"
#include "train/data/labels.h"
#include "train/data/table.h"

/* The truth of one row: a class, -1 without one; a number, NaN without one; or, for several labels
 * or numbers, where they are in the data set's memory, DATA_NO_TRUTH without them. */
typedef union {
  int32_t label;
  double target;
  uint64_t at;
} data_row_truth;
#define DATA_NO_TRUTH UINT64_MAX

typedef struct {
  const char *text[2];
  uint32_t bytes[2];
  uint32_t line;
  data_row_truth truth;
} data_row;

typedef struct {
  cdl_problem problem;
  data_labels names; /* classes or labels by id; of a regression with several outputs the columns */
  bool infers;       /* takes names from the rows */
  bool optional;     /* of a row, where its table has the column */
  char separator[8]; /* between labels in one field; "": none */
  size_t columns;    /* that hold the truth of a row */
  size_t unlabelled; /* rows without truth */
  int32_t *ids;      /* for each row its number of labels and their ids, one row after another */
  double *values;    /* [rows, columns] of a regression with several outputs */
  size_t used, capacity;
} data_truth;

/* Adds names that are known before the first row. Errors: USAGE for one that is listed twice. */
CDL_MUST_USE cdl_status data_truth_add_names(data_truth *truth, const char *const *names,
                                             size_t count);
/* Reads the fields [columns] of a row. Errors: DATA, naming file and line; MEMORY. */
CDL_MUST_USE cdl_status data_truth_read(data_truth *truth, const data_table *table, uint64_t line,
                                        const data_field *fields, data_row *row);
/* Marks a row that has no truth. */
void data_truth_omit(data_truth *truth, data_row *row);
/* Sorts the names that were taken from the rows. The marks for "no label", -1 in GLUE's files and -
 * in SNLI's, are not accepted as a class. Errors: DATA, also for names too few to classify. */
CDL_MUST_USE cdl_status data_truth_sort(data_truth *truth, const data_table *table, data_row *rows,
                                        size_t count);
/* Returns the number of a row's targets, and writes them: 0 or 1 for each label, 1 for the class
 * and 0 for others, or the numbers. NaN without truth. */
size_t data_truth_outputs(const data_truth *truth);
void data_truth_targets(const data_truth *truth, const data_row *row, double *targets);
/* Forgets the rows, not the names. */
void data_truth_forget(data_truth *truth);
void data_truth_release(data_truth *truth);

/* DATA, with file and line before the message. */
cdl_status data_fail_at(const data_table *table, uint64_t line, const char *format, ...)
    CDL_PRINTF(3, 4);
/* Returns whether a field has exactly this text. */
bool data_field_is(data_field field, const char *text);

#endif
