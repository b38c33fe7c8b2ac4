/* The methods that are compared, as the paper's tables name them. */
#ifndef CONDLORA_TOOLS_REPORTS_METHODS_H
#define CONDLORA_TOOLS_REPORTS_METHODS_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

/* Settings on top of one of a task's recipes. */
typedef struct {
  const char *name;     /* "condlora-reference" */
  const char *title;    /* "CondLoRA" */
  const char *form;     /* "orientation reference"; NULL */
  const char *recipe;   /* "lora": the task's recipe is "rte-lora" */
  bool has_recipe;      /* the recipe is this method's own */
  const char *settings; /* "method=adalora compat=none"; "" */
} report_compared_method;

/* All of them; static. */
const report_compared_method *report_compared_methods(size_t *count);
/* By name. USAGE, with the nearest. */
CDL_MUST_USE cdl_status report_compared_method_find(const char *name,
                                                    const report_compared_method **method);

/* A text for readers. */
typedef struct {
  char text[512];
} report_described;

/* "CondLoRA (orientation reference)". */
report_described report_method_title(const report_compared_method *method);

#endif
