/* The report on a comparison: Markdown, HTML, plots, tables as CSV and JSON, a model card. */
#ifndef CONDLORA_TOOLS_REPORTS_REPORT_H
#define CONDLORA_TOOLS_REPORTS_REPORT_H

#include "tools/reports/comparison.h"

typedef enum { REPORT_SCORES, REPORT_SPEED, REPORT_SIMILARITY, REPORT_CONVERSION } report_content;

/* A table or figure of the paper, and what is run for it unless something else is asked for. */
typedef struct {
  const char *name;  /* "table1" */
  const char *title; /* "GLUE scores" */
  report_content content;
  const char *tasks, *methods, *seeds;
} report_kind;

/* USAGE, with the nearest, for another name. */
CDL_MUST_USE cdl_status report_kind_find(const char *name, const report_kind **kind);

/* Whether the comparison has the methods that the report is about: USAGE. */
CDL_MUST_USE cdl_status report_check(const report_kind *kind, const report_comparison *comparison);

/* All that a report is made of. */
typedef struct {
  const report_kind *kind;
  const report_comparison *comparison; /* read */
  json_t *const *recipes; /* [tasks, methods] settings as the recipes say, that change the result */
  const char *model;      /* its folder */
  const char *backend;
  int threads;
  bool no_fallback;
} report_source;

/* Writes report.md, report.html, MODEL_CARD.md, MODEL_CARD.html, plots/, table.csv, table.json,
 * runs.csv and times.csv into the comparison's folder. Only times.csv, and the report of speeds,
 * depend on how fast runs were. */
CDL_MUST_USE cdl_status report_write(const report_source *source);

#endif
