/* The folder of a report's plots, and whether plots can be drawn. */
#ifndef CONDLORA_TOOLS_REPORTS_PLOTS_H
#define CONDLORA_TOOLS_REPORTS_PLOTS_H

#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

/* Makes FOLDER/plots and removes what a stopped call left in it. Warns if plots cannot be drawn. */
CDL_MUST_USE cdl_status report_plots_begin(const char *folder);
/* Returns whether plots can be drawn; if not, it writes the reason into the report. */
bool report_can_draw(report_document *to);

#endif
