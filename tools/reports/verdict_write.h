/* The verdict as documents. */
#ifndef CONDLORA_TOOLS_REPORTS_VERDICT_WRITE_H
#define CONDLORA_TOOLS_REPORTS_VERDICT_WRITE_H

#include "tools/reports/matrix_records.h"
#include "tools/reports/record.h"

/* Writes FOLDER/verdict.md, verdict.html, verdict.json and plots/verdict-*.svg. The same records
 * give the same bytes. Errors: those of report_verdict_make and of files. */
CDL_MUST_USE cdl_status report_verdict_write(const char *folder, const report_records *records,
                                             const report_matrices_list *matrices);

#endif
