#include "tools/reports/verdict_plots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "tools/plot/plot.h"
#include "tools/reports/halving.h"

/* ---- Differences ---- */

/* The title of the method that all tasks compare with, or "the baseline" if they differ. */
static report_described baseline_title(const report_verdict *v)
{
  const report_compared_method *first = NULL;
  for (size_t i = 0; i < v->count; i++)
    for (size_t t = 0; t < v->tables[i].task_count; t++) {
      const report_verdict_task *task = &v->tables[i].tasks[t];
      const report_compared_method *method = task->cells[task->baseline].method;
      if (first != NULL && first != method)
        return (report_described){"the baseline"};
      first = method;
    }
  return first != NULL ? report_method_title(first) : (report_described){"the baseline"};
}

/* Returns the word and the colour of a row, which say the same. */
static const char *outcome_word(report_outcome outcome, int *colour)
{
  enum { BLUE = 0, ORANGE = 1, GREEN = 2, BLACK = 6 };
  switch (outcome) {
  case REPORT_LEVEL:
    *colour = GREEN;
    break;
  case REPORT_AHEAD:
    *colour = BLUE;
    break;
  case REPORT_BEHIND:
    *colour = ORANGE;
    break;
  case REPORT_MORE_SEEDS:
  case REPORT_DEV_TOO_SMALL:
  case REPORT_NO_SPREAD:
    *colour = BLACK;
    return "undecided";
  default:
    *colour = BLACK;
  }
  return report_outcome_name(outcome);
}

/* The rows of the figure with their texts. */
typedef struct {
  plot_interval *row; /* [count] */
  report_described *group, *label, *text;
  size_t count;
} rows;

static void rows_free(rows *r)
{
  free(r->row);
  free(r->group);
  free(r->label);
  free(r->text);
}

static bool rows_allocate(const report_verdict *v, rows *r)
{
  size_t most = 1;
  for (size_t i = 0; i < v->count; i++)
    for (size_t t = 0; t < v->tables[i].task_count; t++)
      most += v->tables[i].tasks[t].cell_count;
  *r = (rows){.row = calloc(most, sizeof *r->row),
              .group = calloc(most, sizeof *r->group),
              .label = calloc(most, sizeof *r->label),
              .text = calloc(most, sizeof *r->text)};
  return r->row != NULL && r->group != NULL && r->label != NULL && r->text != NULL;
}

/* Adds a cell; the first cell of a task has its heading. */
static void add_row(const report_verdict *v, const report_verdict_table *table,
                    const report_verdict_task *t, const report_cell *cell, bool first, rows *r)
{
  const size_t i = r->count++;
  int colour;
  const char *word = outcome_word(cell->outcome, &colour);
  if (v->count > 1)
    snprintf(r->group[i].text, sizeof r->group[i].text, "%.300s: %s, %s",
             report_verdict_title(table).text, t->task->name, report_verdict_metric(t));
  else
    snprintf(r->group[i].text, sizeof r->group[i].text, "%s, %s", t->task->name,
             report_verdict_metric(t));
  r->label[i] = report_method_title(cell->method);
  if (isnan(cell->test.mean))
    snprintf(r->text[i].text, sizeof r->text[i].text, "%s", word);
  else
    snprintf(r->text[i].text, sizeof r->text[i].text, "%+.2f  %s", 100 * cell->test.mean, word);
  r->row[i] = (plot_interval){.group = first ? r->group[i].text : NULL,
                              .label = r->label[i].text,
                              .text = r->text[i].text,
                              .value = 100 * cell->test.mean,
                              .low = 100 * cell->difference.low,
                              .high = 100 * cell->difference.high,
                              .outer_low = 100 * cell->examples.low,
                              .outer_high = 100 * cell->examples.high,
                              .margin = 100 * t->margin,
                              .colour = colour};
}

/* Adds all cells, and returns whether one of them has a difference. */
static bool add_rows(const report_verdict *v, rows *r)
{
  bool any = false;
  for (size_t i = 0; i < v->count; i++)
    for (size_t t = 0; t < v->tables[i].task_count; t++) {
      const report_verdict_task *task = &v->tables[i].tasks[t];
      const size_t before = r->count;
      for (size_t c = 0; c < task->cell_count; c++)
        if (c != task->baseline) {
          add_row(v, &v->tables[i], task, &task->cells[c], r->count == before, r);
          any = any || isfinite(task->cells[c].test.mean);
        }
    }
  return any;
}

static cdl_status draw_rows(const char *path, const report_verdict *v, const char *title,
                            const char *axis, const rows *r)
{
  report_described whole;
  snprintf(whole.text, sizeof whole.text, v->count == 1 ? "%.200s: %.300s" : "%.200s", title,
           report_verdict_title(&v->tables[0]).text);
  const plot_intervals plot = {
      .title = whole.text,
      .axis = axis,
      .rows = r->row,
      .row_count = (int)r->count,
      .most = 10, /* so that a method far behind leaves the margin visible */
      .line_name = "mean difference, with its 95 % interval over seeds",
      .outer_name = "95 % interval when the examples of dev are drawn anew",
      .band_name = "margin of equivalence: one point, or one example of dev if that is more"};
  return plot_intervals_write(path, &plot);
}

cdl_status report_verdict_draw_differences(const char *folder, const report_verdict *v,
                                           report_document *to)
{
  static const char name[] = "plots/verdict-differences.svg";
  rows r;
  report_described title, axis;
  char *path = base_path_join(folder, name);
  cdl_status status = rows_allocate(v, &r) && path != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (status == CDL_STATUS_OK && add_rows(v, &r)) {
    const report_described baseline = baseline_title(v);
    snprintf(title.text, sizeof title.text, "Difference from %.200s", baseline.text);
    snprintf(axis.text, sizeof axis.text,
             "points; at the right of 0 the method is better than %.200s", baseline.text);
    status = draw_rows(path, v, title.text, axis.text, &r);
    if (status == CDL_STATUS_OK)
      status = report_document_image(to, name, title.text);
  }
  rows_free(&r);
  free(path);
  return status;
}

/* ---- Score against rate ---- */

/* The best score on the held-out part within the first rung, where every rate has trained as long.
 */
static double first_rung_score(const report_record *r, int64_t epochs)
{
  double best = NAN;
  for (size_t i = 0; i < r->evaluation_count; i++)
    if (r->evaluations[i].epoch <= (double)report_rung_epochs(epochs, 0) + 1e-6 &&
        cdl_metric_better(r->evaluations[i].score, best))
      best = r->evaluations[i].score;
  return best;
}

static cdl_status draw_rates(const report_verdict_table *table, const report_verdict_task *t,
                             const char *path)
{
  size_t points = 0;
  for (size_t c = 0; c < t->cell_count; c++)
    points += t->cells[c].search_count;
  double *numbers = calloc(2 * points + 1, sizeof *numbers);
  plot_series *series = calloc(t->cell_count + 1, sizeof *series);
  report_described *names = calloc(t->cell_count + 1, sizeof *names);
  const bool complete = numbers != NULL && series != NULL && names != NULL;
  double *x = numbers;
  for (size_t c = 0; complete && c < t->cell_count; c++) {
    const report_cell *cell = &t->cells[c];
    double *y = x + cell->search_count;
    for (size_t i = 0; i < cell->search_count; i++) {
      x[i] = report_record_number(cell->search[i], "lr", NAN);
      y[i] = first_rung_score(cell->search[i], report_verdict_epochs(table));
    }
    names[c] = report_method_title(cell->method);
    series[c] = (plot_series){.name = names[c].text,
                              .x = x,
                              .y = y,
                              .count = (int)cell->search_count,
                              .colour = (int)c,
                              .line = true,
                              .points = true,
                              .mark = (plot_mark)(c % PLOT_MARK_COUNT)};
    x = y + cell->search_count;
  }
  report_described title;
  snprintf(title.text, sizeof title.text, "%s, %.200s: after a quarter of the epochs",
           t->task->name, report_document_foreign(table->any->model).text);
  char axis[64];
  snprintf(axis, sizeof axis, "%s, held-out part of train", report_verdict_metric(t));
  const plot_chart chart = {.title = title.text,
                            .x_axis = "learning rate",
                            .y_axis = axis,
                            .log_x = true,
                            .series = series,
                            .series_count = (int)t->cell_count};
  const cdl_status status = complete ? plot_chart_write(path, &chart)
                                     : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  free(numbers);
  free(series);
  free(names);
  return status;
}

static bool has_search(const report_verdict_task *t)
{
  for (size_t c = 0; c < t->cell_count; c++)
    for (size_t i = 0; i < t->cells[c].search_count; i++)
      if (t->cells[c].search[i]->evaluation_count > 0)
        return true;
  return false;
}

cdl_status report_verdict_draw_rates(const char *folder, const report_verdict_table *table,
                                     size_t number, const report_verdict_task *t,
                                     report_document *to)
{
  if (!has_search(t))
    return CDL_STATUS_OK;
  char *name, *path, *text;
  if (asprintf(&name, "plots/verdict-%zu-%s-rates.svg", number, t->task->name) < 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  path = base_path_join(folder, name);
  if (asprintf(&text, "%s: score against learning rate", t->task->name) < 0)
    text = NULL;
  cdl_status status = path != NULL && text != NULL
                          ? draw_rates(table, t, path)
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (status == CDL_STATUS_OK)
    status = report_document_image(to, name, text);
  free(name);
  free(path);
  free(text);
  return status;
}
