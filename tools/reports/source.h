/* What a report is made from. */
#ifndef CONDLORA_TOOLS_REPORTS_SOURCE_H
#define CONDLORA_TOOLS_REPORTS_SOURCE_H

#include "tools/reports/comparison.h"

typedef enum { REPORT_SCORES, REPORT_SPEED, REPORT_SIMILARITY, REPORT_CONVERSION } report_content;

/* A table or figure of the paper, and what is run for it unless something else is asked for. */
typedef struct {
  const char *name;  /* "table1" */
  const char *title; /* "GLUE scores" */
  report_content content;
  const char *tasks, *methods, *seeds;
} report_kind;

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

#endif
