/* Runs in folders, whatever wrote them: what each one is, how far it is, and how good. */
#ifndef CONDLORA_TOOLS_REPORTS_RUN_LIST_H
#define CONDLORA_TOOLS_REPORTS_RUN_LIST_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/reports/comparison.h"

typedef enum {
  REPORT_RUN_FINISHED,
  REPORT_RUN_RUNNING, /* a process holds the lock of its folder */
  REPORT_RUN_STOPPED, /* by a signal, or killed */
  REPORT_RUN_FAILED
} report_run_state;

/* What there is not is NaN or NULL. JSON values are owned. */
typedef struct {
  char *folder, *name; /* path; path below the folder that was searched */
  report_run_state state;
  json_t *settings;  /* as run.json has them */
  json_t *processes; /* the processes that worked on it */
  json_t *evaluations;
  cdl_metric metric; /* of valid and dev */
  int64_t step;
  double valid, dev; /* of the kept adapter, or of the best evaluation so far */
  double examples_per_s, train_seconds;
  report_compared_run curves; /* read by report_run_list_read_curves */
} report_listed_run;

typedef struct {
  report_listed_run *item;
  size_t count;
} report_run_list;

/* The word of a state: "finished", …; static. */
const char *report_run_state_word(report_run_state state);
/* Returns a text of the last process of a run: "started", "error"; NULL if there is none. */
const char *report_run_fact(const report_listed_run *run, const char *key);
const char *report_run_method(const report_listed_run *run);

/* Lists the runs in `folders` [count] and in folders below them, by name. `metric` is the metric to
 * show, or NULL for that of each run. Release with report_run_list_release. Errors: those of
 * files; ABSENT if a folder is missing; DATA if there is no run at all. */
CDL_MUST_USE cdl_status report_run_list_read(const char *const *folders, size_t count,
                                             const cdl_metric *metric, report_run_list *list);
void report_run_list_release(report_run_list *list);

/* Orders of a list. By a score the best come first, and those without one last. */
#define REPORT_RUN_ORDERS "name|valid|dev|time|started"
typedef enum {
  REPORT_RUN_BY_NAME,
  REPORT_RUN_BY_VALID,
  REPORT_RUN_BY_DEV,
  REPORT_RUN_BY_TIME,
  REPORT_RUN_BY_START
} report_run_order;
void report_run_list_sort(report_run_list *list, report_run_order order);

/* Reads the steps and evaluations of a run for its curves. */
CDL_MUST_USE cdl_status report_run_read_curves(report_listed_run *run);

#endif
