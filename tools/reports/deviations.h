/* The section of deviations from the paper. */
#ifndef CONDLORA_TOOLS_REPORTS_DEVIATIONS_H
#define CONDLORA_TOOLS_REPORTS_DEVIATIONS_H

#include "tools/reports/document.h"
#include "tools/reports/source.h"

/* Describes the model: "all-MiniLM: bert, 6 layers of width 384". `*as_paper` says whether it is
 * the paper's. Errors: those of files. */
CDL_MUST_USE cdl_status report_describe_model(const report_source *source,
                                              report_described *described, bool *as_paper);
/* Lists where model, seeds and settings differ from the paper's, according to the runs' files. */
CDL_MUST_USE cdl_status report_write_deviations(const report_source *source, report_document *to);
/* Returns the values of the setting `key` in all runs, as text. */
report_described report_setting_values(const report_comparison *comparison, const char *key);

#endif
