/* Where runs are not as in the paper. */
#ifndef CONDLORA_TOOLS_REPORTS_DEVIATIONS_H
#define CONDLORA_TOOLS_REPORTS_DEVIATIONS_H

#include "tools/reports/document.h"
#include "tools/reports/source.h"

/* "all-MiniLM: bert, 6 layers of width 384". `*as_paper`: whether it is the paper's. */
CDL_MUST_USE cdl_status report_describe_model(const report_source *source,
                                              report_described *described, bool *as_paper);
/* Where model, seeds and settings are not the paper's, by what the runs say of themselves. */
CDL_MUST_USE cdl_status report_write_deviations(const report_source *source, report_document *to);
/* "epochs 2 to 3": the values that the settings `key` of all runs have. */
report_described report_setting_values(const report_comparison *comparison, const char *key);

#endif
