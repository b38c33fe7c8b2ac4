/* The verdict's section on trained matrices, from their records. */
#ifndef CONDLORA_TOOLS_REPORTS_VERDICT_MATRICES_H
#define CONDLORA_TOOLS_REPORTS_VERDICT_MATRICES_H

#include "tools/reports/document.h"
#include "tools/reports/matrix_records.h"
#include "tools/reports/verdict.h"

/* Writes the measures of a table's runs, of one seed for each task and method, with Figure 1's maps
 * if `drawn`: plots/verdict-NUMBER-TASK-FORM-TARGET.svg. Writes nothing if no run has any. Errors:
 * those of plots and of files. */
CDL_MUST_USE cdl_status report_verdict_write_matrices(const char *folder,
                                                      const report_matrices_list *matrices,
                                                      const report_verdict_table *table,
                                                      size_t number, bool drawn,
                                                      report_document *to);

#endif
