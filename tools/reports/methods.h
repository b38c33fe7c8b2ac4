/* The methods that reports compare, with their names in the paper's tables. */
#ifndef CONDLORA_TOOLS_REPORTS_METHODS_H
#define CONDLORA_TOOLS_REPORTS_METHODS_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

/* A method: settings that are added to one of a task's recipes. */
typedef struct {
  const char *name;     /* "condlora-reference" */
  const char *title;    /* "CondLoRA" */
  const char *form;     /* "orientation reference"; NULL */
  const char *recipe;   /* "lora": the task's recipe is "rte-lora" */
  bool has_recipe;      /* the recipe is this method's own */
  const char *settings; /* "method=adalora compat=none"; "" */
} report_compared_method;

/* Returns all methods; static. */
const report_compared_method *report_compared_methods(size_t *count);
/* Finds a method by name. Errors: USAGE, with the nearest name. */
CDL_MUST_USE cdl_status report_compared_method_find(const char *name,
                                                    const report_compared_method **method);

/* A text for readers. */
typedef struct {
  char text[512];
} report_described;

/* Returns the title with the form: "CondLoRA (orientation reference)". */
report_described report_method_title(const report_compared_method *method);

#endif
