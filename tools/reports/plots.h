/* The folder of a report's plots, whether plots can be drawn, and the plot that two reports share.
 */
#ifndef CONDLORA_TOOLS_REPORTS_PLOTS_H
#define CONDLORA_TOOLS_REPORTS_PLOTS_H

#include "tools/analysis/conversion.h"
#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

/* Makes FOLDER/plots and removes what a stopped call left in it. Warns if plots cannot be drawn. */
CDL_MUST_USE cdl_status report_plots_begin(const char *folder);
/* Returns whether plots can be drawn; if not, it writes the reason into the report. */
bool report_can_draw(report_document *to);

/* The maps of Figure 1 for one kind of layer. */
typedef struct {
  const char *task, *target, *form; /* "RTE", "attention.self.query", "paper" */
  const int *layers;                /* [count] numbers of blocks */
  int count;
  const double *values[ANALYSIS_CONVERSION_COUNT]; /* each [count, count] */
  double means[ANALYSIS_CONVERSION_COUNT];         /* above the diagonal */
} report_conversion_maps;

/* Draws the maps side by side as FOLDER/NAME and shows them in the report. */
CDL_MUST_USE cdl_status report_draw_conversion(const char *folder, const char *name,
                                               const report_conversion_maps *maps,
                                               report_document *to);

#endif
