/* A list of runs as a table, and as a page with their curves. */
#ifndef CONDLORA_TOOLS_REPORTS_RUN_TABLE_H
#define CONDLORA_TOOLS_REPORTS_RUN_TABLE_H

#include "tools/reports/document.h"
#include "tools/reports/run_list.h"

/* Cells as texts; the first row has the titles. A number that there is not is empty. */
typedef struct {
  char **cell;  /* [rows, columns]; owned */
  bool *number; /* [columns] whether cells are numbers */
  size_t rows, columns;
} report_run_cells;

/* Makes the table: name, state, method, each setting that differs between the runs, step, scores,
 * pace and times. `exact` gives keys as titles and all digits; otherwise numbers are rounded for
 * readers. */
CDL_MUST_USE cdl_status report_run_cells_make(const report_run_list *list, bool exact,
                                              report_run_cells *cells);
void report_run_cells_release(report_run_cells *cells);

/* Returns the runs with all settings as a JSON array; NULL if memory is out. */
json_t *report_run_list_json(const report_run_list *list);
/* Returns the table as text, "csv" or "markdown", which the caller frees. */
CDL_MUST_USE cdl_status report_run_list_text(const report_run_list *list, const char *format,
                                             char **text);

/* Writes FOLDER/runs.html and FOLDER/runs.md: the table, and the curves of the first 16 runs. Reads
 * their curves. */
CDL_MUST_USE cdl_status report_run_page_write(report_run_list *list, const char *folder);

#endif
