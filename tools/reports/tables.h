/* Tables for other programs. */
#ifndef CONDLORA_TOOLS_REPORTS_TABLES_H
#define CONDLORA_TOOLS_REPORTS_TABLES_H

#include "tools/reports/source.h"

/* Writes table.csv, table.json, runs.csv and times.csv. */
CDL_MUST_USE cdl_status report_write_tables(const report_source *source);

#endif
