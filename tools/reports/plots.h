/* Where a report's plots lie, and whether there are any. */
#ifndef CONDLORA_TOOLS_REPORTS_PLOTS_H
#define CONDLORA_TOOLS_REPORTS_PLOTS_H

#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

/* Makes FOLDER/plots and clears what a stopped call left there. A warning where nothing draws plots. */
CDL_MUST_USE cdl_status report_plots_begin(const report_comparison *comparison);
/* Whether plots can be drawn; where they cannot, the report says why. */
bool report_can_draw(report_document *to);

#endif
