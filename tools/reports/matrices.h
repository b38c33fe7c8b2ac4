/* The sections on the adapters' matrices, and the records of them. */
#ifndef CONDLORA_TOOLS_REPORTS_MATRICES_H
#define CONDLORA_TOOLS_REPORTS_MATRICES_H

#include "tools/reports/document.h"
#include "tools/reports/matrix_records.h"
#include "tools/reports/source.h"

/* Writes Table 3: compares LoRA's adapter of each task and seed with every CondLoRA's. */
CDL_MUST_USE cdl_status report_write_similarity(const report_source *source, report_document *to);
/* Writes Figure 1 for every LoRA adapter. */
CDL_MUST_USE cdl_status report_write_conversion(const report_source *source, report_document *to);

/* Measures the adapter of a run, in the folder `adapter`, into `matrices`, which has the run and no
 * measures: its correlation with W, and its similarity to the adapter in the folder `baseline`, or
 * for the baseline itself (NULL) its conversion matrices. `seed` is that of the random matrices.
 * `source` says with which model and backend; it needs no comparison. */
CDL_MUST_USE cdl_status report_matrices_measure(const report_source *source, const char *adapter,
                                                const char *baseline, int64_t seed,
                                                report_matrices *matrices);

#endif
