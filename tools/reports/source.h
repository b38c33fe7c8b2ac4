/* The input of a report. */
#ifndef CONDLORA_TOOLS_REPORTS_SOURCE_H
#define CONDLORA_TOOLS_REPORTS_SOURCE_H

#include "tools/reports/comparison.h"

typedef enum {
  REPORT_SCORES,
  REPORT_SPEED,
  REPORT_SIMILARITY,
  REPORT_CONVERSION,
  REPORT_VERDICT /* written from records: tools/reports/verdict.h */
} report_content;

/* A table or figure of the paper, with its default tasks, methods and seeds. */
typedef struct {
  const char *name;  /* "table1" */
  const char *title; /* "GLUE scores" */
  report_content content;
  const char *tasks, *methods, *seeds;
} report_kind;

/* The input of a report. */
typedef struct {
  const report_kind *kind;
  const report_comparison *comparison; /* already read */
  json_t *const *recipes; /* [tasks, methods] the recipes' settings that change results */
  const char *model;      /* as the user named it: a folder, or a name of the hub */
  const char *folder;     /* its folder */
  const char *backend;
  int threads;
  bool no_fallback;
} report_source;

#endif
