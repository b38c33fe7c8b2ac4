/* The section of curves. */
#ifndef CONDLORA_TOOLS_REPORTS_CURVES_H
#define CONDLORA_TOOLS_REPORTS_CURVES_H

#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

/* Loss, metric and rate of each task, drawn into FOLDER/plots and shown. */
CDL_MUST_USE cdl_status report_write_curves(const report_comparison *comparison,
                                            report_document *to);

#endif
