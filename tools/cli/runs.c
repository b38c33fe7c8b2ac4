/* condlora runs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/cli/command.h"
#include "tools/console/output.h"
#include "tools/reports/run_table.h"

enum { FOLDERS_MOST = 64 };

typedef struct {
  const char *folders[FOLDERS_MOST + 1];
  const char *metric, *format, *output, *page;
  int sort; /* report_run_order */
} request;

static cdl_status make_text(const request *r, const report_run_list *list, char **text)
{
  if (strcmp(r->format, "json") != 0)
    return report_run_list_text(list, r->format, text);
  json_t *array = report_run_list_json(list);
  *text = base_json_text(array);
  json_decref(array);
  return *text != NULL ? CDL_STATUS_OK
                       : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the table of runs");
}

static cdl_status write(const request *r, report_run_list *list)
{
  console_output output;
  char *text;
  if (r->page != NULL)
    CDL_TRY(report_run_page_write(list, r->page));
  CDL_TRY(make_text(r, list, &text));
  cdl_status status = console_output_begin(&output, r->output);
  if (status == CDL_STATUS_OK) {
    console_output_printf(&output, "%s", text);
    status = console_output_finish(&output, CDL_STATUS_OK);
  }
  free(text);
  return status;
}

static cdl_status run(void *command, console_notices *notices)
{
  const request *r = command;
  report_run_list list;
  size_t count = 0;
  while (r->folders[count] != NULL)
    count++;
  if (count == 0)
    return cdl_fail(CDL_STATUS_USAGE, "expected folders with runs in them, or a run");
  cdl_metric metric;
  if (r->metric != NULL)
    CDL_TRY(cdl_context(cdl_metric_find(r->metric, &metric), "--metric"));
  CDL_TRY(report_run_list_read(r->folders, count, r->metric != NULL ? &metric : NULL, &list));
  console_notices_release(notices);
  report_run_list_sort(&list, (report_run_order)r->sort);
  const cdl_status status = write(r, &list);
  report_run_list_release(&list);
  return status;
}

cdl_status cli_runs(int count, char **arguments)
{
  request r = {.format = "text", .sort = REPORT_RUN_BY_VALID};
  const base_option options[] = {
      BASE_OPTION(STRING, "metric", &r.metric, "NAME",
                  "metric of the scores: accuracy, macro_f1, loss, … [the one that chose each "
                  "run's best checkpoint]"),
      BASE_OPTION(CHOICE, "sort", &r.sort, REPORT_RUN_ORDERS,
                  "order: by name, by the score on valid or dev, the best first, by training time, "
                  "or by start [valid]"),
      BASE_OPTION(WORD, "format", &r.format, "text|json|csv|markdown",
                  "format of the table; json has every setting [text]"),
      BASE_OPTION(STRING, "output", &r.output, "FILE", "file for the table [standard output]"),
      BASE_OPTION(STRING, "page", &r.page, "DIR",
                  "also write a page with the table and the runs' curves: DIR/runs.html, and "
                  "runs.md with plots")};
  const base_command_line line = {
      .usage = "condlora runs DIR … [--metric NAME] [--sort valid] [--page DIR]",
      .summary = "Lists the runs in folders and below them side by side: state, method, the "
                 "settings that differ, scores and times. A run that is under way or was stopped "
                 "has the best score of its last checkpoint.",
      .options = BASE_OPTIONS(options),
      .operands = r.folders,
      .operands_most = FOLDERS_MOST};
  return cli_run(&line, count, arguments, run, &r);
}
