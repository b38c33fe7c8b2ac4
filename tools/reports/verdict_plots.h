/* The plots of the verdict. */
#ifndef CONDLORA_TOOLS_REPORTS_VERDICT_PLOTS_H
#define CONDLORA_TOOLS_REPORTS_VERDICT_PLOTS_H

#include "tools/reports/document.h"
#include "tools/reports/verdict.h"

/* Draw into FOLDER/plots and show the plot in the document. Errors: those of plots and of files. */

/* Draws verdict-differences.svg: the difference from the baseline of every cell, with its intervals
 * and the margin of equivalence. Does nothing while no cell has a difference. */
CDL_MUST_USE cdl_status report_verdict_draw_differences(const char *folder,
                                                        const report_verdict *verdict,
                                                        report_document *to);
/* Draws verdict-NUMBER-TASK-rates.svg: the score of each method against the learning rate. Does
 * nothing while no run of the search has been evaluated. */
CDL_MUST_USE cdl_status report_verdict_draw_rates(const char *folder,
                                                  const report_verdict_table *table, size_t number,
                                                  const report_verdict_task *task,
                                                  report_document *to);

#endif
