/* Curves of training. */
#ifndef CONDLORA_TOOLS_REPORTS_CURVES_H
#define CONDLORA_TOOLS_REPORTS_CURVES_H

#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

typedef enum {
  REPORT_CURVE_LOSS,
  REPORT_CURVE_METRIC,
  REPORT_CURVE_RATE,
  REPORT_CURVE_KINDS
} report_curve_kind;

typedef struct {
  const char *name; /* in the legend; NULL: no entry */
  const report_compared_run *run;
  int colour; /* index in the palette, from 0 */
  bool dashed;
} report_curve;

/* Draws loss, metric and learning rate of runs as FOLDER/plots/WHAT-….svg, and shows them in a
 * document of this folder. A kind without a point is left out. Errors: those of plots and files. */
CDL_MUST_USE cdl_status report_draw_curves(const char *folder, const char *what, const char *metric,
                                           const report_curve *curves, size_t count,
                                           report_document *to);

/* The section of a comparison. Draws loss, metric and learning rate of each task into FOLDER/plots,
 * and shows them. Errors: those of plots and files. */
CDL_MUST_USE cdl_status report_write_curves(const report_comparison *comparison,
                                            report_document *to);

#endif
