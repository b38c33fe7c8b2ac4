/* Records of trained matrices: how similar an adapter's matrices are to the frozen weights, to the
 * baseline's, and from layer to layer. They are small, and stay when the adapters are gone. The
 * folder "matrices" in the folder of records holds them, a file for each run. */
#ifndef CONDLORA_TOOLS_REPORTS_MATRIX_RECORDS_H
#define CONDLORA_TOOLS_REPORTS_MATRIX_RECORDS_H

#include "model/encoder/encoder.h"
#include "tools/reports/record.h"

/* φ (equation 2) of the layers of one kind. */
typedef enum {
  REPORT_MEASURE_SIMILARITY,  /* beside the baseline's adapter (Table 3): "A", "B", "BA" */
  REPORT_MEASURE_CORRELATION, /* of W and BA (Section 2): "left", "right" */
  REPORT_MEASURE_CONVERSION,  /* of two layers' conversion matrices (Figure 1): "paper A" */
  REPORT_MEASURE_KIND_COUNT
} report_measure_kind;

typedef struct {
  report_measure_kind kind;
  char name[24];                 /* the matrix or the side */
  char target[MODEL_NAME_BYTES]; /* "attention.self.query" */
  int *layers;                   /* [count] numbers of blocks; owned */
  size_t count;
  double *values;  /* [count], or [count, count] of a conversion; owned */
  double random;   /* the mean of random matrices that were drawn; NaN for pairs of one layer */
  double expected; /* the expectation of random matrices */
} report_measure;

typedef struct {
  const cdl_task *task;
  const report_compared_method *method;
  uint64_t run;             /* report_record_key of the run that trained them */
  int64_t vectors;          /* i and j of equation 2 */
  report_measure *measures; /* [count]; owned */
  size_t count;
} report_matrices;

typedef struct {
  report_matrices *item; /* [count], in the order of their files' names; owned */
  size_t count;
} report_matrices_list;

/* Adds a measure of `layers` blocks, with numbers and values to be filled in; NULL when memory is
 * out. The pointer is valid until the next call. */
report_measure *report_measure_add(report_matrices *matrices, report_measure_kind kind,
                                   const char *name, const char *target, size_t layers);
/* Returns the number of values. */
size_t report_measure_values(report_measure_kind kind, size_t layers);
/* Returns the mean over layers; of a conversion, that above the diagonal. */
double report_measure_mean(const report_measure *measure);
/* Returns a conversion's mean over the pairs of the deeper half of the layers; NaN without any. */
double report_measure_deeper_mean(const report_measure *measure);

/* Reads FOLDER/matrices; a missing folder holds none. The caller releases the list, also after a
 * failure. Errors: DATA, naming the file and what was expected; IO; MEMORY. */
CDL_MUST_USE cdl_status report_matrices_read(const char *folder, report_matrices_list *list);
void report_matrices_list_release(report_matrices_list *list);
void report_matrices_release(report_matrices *matrices);

/* Return NULL if there is none. */
const report_matrices *report_matrices_find(const report_matrices_list *list, uint64_t run);
const report_measure *report_measure_find(const report_matrices *matrices, report_measure_kind kind,
                                          const char *name, const char *target);

/* Writes the file of a run. Values have four decimals. Errors: IO, MEMORY. */
CDL_MUST_USE cdl_status report_matrices_write(const char *folder, const report_matrices *matrices);

#endif
