/* The report on a comparison: Markdown, HTML, plots, tables as CSV and JSON, a model card. */
#ifndef CONDLORA_TOOLS_REPORTS_REPORT_H
#define CONDLORA_TOOLS_REPORTS_REPORT_H

#include "tools/reports/source.h"

/* Finds a kind of report by name. Errors: USAGE, with the nearest name. */
CDL_MUST_USE cdl_status report_kind_find(const char *name, const report_kind **kind);

/* Checks that the comparison has the methods that the report needs. Errors: USAGE. */
CDL_MUST_USE cdl_status report_check(const report_kind *kind, const report_comparison *comparison);

/* Writes report.md, report.html, MODEL_CARD.md, MODEL_CARD.html, plots/, table.csv, table.json,
 * runs.csv and times.csv into the comparison's folder. Only times.csv, and the report of speeds,
 * depend on how fast runs were. */
CDL_MUST_USE cdl_status report_write(const report_source *source);

#endif
