/* The section of training curves. */
#ifndef CONDLORA_TOOLS_REPORTS_CURVES_H
#define CONDLORA_TOOLS_REPORTS_CURVES_H

#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

/* Draws loss, metric and learning rate of each task into FOLDER/plots, and shows them. Errors:
 * those of plots and files. */
CDL_MUST_USE cdl_status report_write_curves(const report_comparison *comparison,
                                            report_document *to);

#endif
