/* A run of the verdict, and its record. */
#ifndef CONDLORA_TOOLS_STUDY_VERDICT_RUN_H
#define CONDLORA_TOOLS_STUDY_VERDICT_RUN_H

#include "tools/reports/matrix_records.h"
#include "tools/reports/record.h"
#include "tools/study/reproduce_settings.h"

/* What all runs of a verdict share. */
typedef struct {
  const study_reproduction *r;
  char *folder;           /* of records; owned */
  report_records records; /* those that there are */
  report_matrices_list matrices;
  uint64_t model_hash;
  uint64_t *data_hash; /* [tasks]; owned */
} study_verdict;

/* A run, trained up to `epochs`. */
typedef struct {
  size_t task, method; /* places in the lists */
  report_role role;
  double rate;
  int64_t seed, epochs;
} study_verdict_part;

/* Returns the record of a run if it was trained so far already, or NULL. The pointer is valid until
 * the next run. Errors: those of study_reproduce_settings. */
CDL_MUST_USE cdl_status study_verdict_find(study_verdict *v, const study_verdict_part *part,
                                           const report_record **record);
/* Trains a run up to the end of an epoch, or goes on with it, and writes its record. A run that
 * reaches its last epoch also predicts dev. */
CDL_MUST_USE cdl_status study_verdict_train(study_verdict *v, const study_verdict_part *part);

/* Returns whether the matrices of a method's adapters are recorded: LoRA's and CondLoRA's are. */
bool study_verdict_has_matrices(const report_compared_method *method);
/* Writes the record of a finished run's matrices, unless it exists or this machine does not have
 * the adapter. `baseline` is LoRA's run with the same seed, which may be the same part; without its
 * adapter nothing is written either. Matrices that cannot be measured are left out with a warning.
 */
CDL_MUST_USE cdl_status study_verdict_measure(study_verdict *v, const study_verdict_part *part,
                                              const study_verdict_part *baseline);

#endif
