#include "tools/reports/curves.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "tools/plot/plot.h"
#include "tools/reports/plots.h"

enum { POINTS = 60 }; /* points of a curve, each the mean over a range of steps */

typedef struct {
  const char *name, *title, *y_axis; /* "loss" */
  void (*fill)(const report_compared_run *run, plot_series *series, double *x, double *y);
  bool points;
} curve_kind;

/* Makes a series of the means of `values` over ranges of equal length, placed at each range's
 * end. */
static void thin(const report_compared_run *run, const double *values, plot_series *series,
                 double *x, double *y)
{
  const size_t count = run->points < POINTS ? run->points : POINTS;
  for (size_t i = 0; i < count; i++) {
    const size_t first = i * run->points / count, end = (i + 1) * run->points / count;
    double sum = 0;
    for (size_t k = first; k < end; k++)
      sum += values[k];
    x[i] = run->epoch[end - 1];
    y[i] = sum / (double)(end - first);
  }
  series->x = x;
  series->y = y;
  series->count = (int)count;
}

static void fill_loss(const report_compared_run *run, plot_series *series, double *x, double *y)
{
  thin(run, run->loss, series, x, y);
}

static void fill_rate(const report_compared_run *run, plot_series *series, double *x, double *y)
{
  thin(run, run->rate, series, x, y);
}

static void fill_metric(const report_compared_run *run, plot_series *series, double *x, double *y)
{
  (void)x;
  (void)y;
  series->x = run->evaluated_at;
  series->y = run->evaluated;
  series->count = (int)run->evaluations;
}

static const curve_kind kinds[] = {
    {"loss", "loss in training, means of stretches", "loss", fill_loss, false},
    {"metric", "score at each evaluation", NULL, fill_metric, true},
    {"rate", "learning rate", "learning rate", fill_rate, false}};

static cdl_status draw(const report_comparison *c, size_t task, const curve_kind *kind,
                       const char *path)
{
  const size_t runs = c->method_count * c->seed_count;
  plot_series *series = calloc(runs, sizeof *series);
  report_described *names = calloc(c->method_count, sizeof *names);
  double *numbers = calloc(runs * 2 * POINTS, sizeof *numbers);
  cdl_status status = series != NULL && names != NULL && numbers != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (size_t m = 0; status == CDL_STATUS_OK && m < c->method_count; m++) {
    names[m] = report_method_title(c->methods[m]);
    for (size_t s = 0; s < c->seed_count; s++) {
      const size_t place = m * c->seed_count + s;
      double *x = numbers + place * 2 * POINTS;
      series[place] = (plot_series){.name = s == 0 ? names[m].text : NULL,
                                    .colour = (int)m,
                                    .line = true,
                                    .points = kind->points,
                                    .mark = (plot_mark)(m % PLOT_MARK_COUNT)};
      kind->fill(report_compared_run_at(c, task, m, s), &series[place], x, x + POINTS);
    }
  }
  char title[128];
  snprintf(title, sizeof title, "%s: %s", c->tasks[task]->name, kind->title);
  const plot_chart chart = {
      .title = title,
      .x_axis = "epoch",
      .y_axis = kind->y_axis != NULL ? kind->y_axis : cdl_metric_name(c->tasks[task]->metrics[0]),
      .series = series,
      .series_count = (int)runs};
  if (status == CDL_STATUS_OK)
    status = plot_chart_write(path, &chart);
  free(series);
  free(names);
  free(numbers);
  return status;
}

/* Returns whether any point can be drawn. */
static bool is_shown(const report_comparison *c, size_t task, const curve_kind *kind)
{
  for (size_t m = 0; m < c->method_count; m++)
    for (size_t s = 0; s < c->seed_count; s++) {
      const report_compared_run *run = report_compared_run_at(c, task, m, s);
      const double *values = kind->points ? run->evaluated : run->loss;
      const size_t count = kind->points ? run->evaluations : run->points;
      for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
          return true;
    }
  return false;
}

static cdl_status draw_and_show(const report_comparison *c, size_t task, const curve_kind *kind,
                                report_document *to)
{
  char name[96], text[128];
  snprintf(name, sizeof name, "plots/%s-%s.svg", c->tasks[task]->name, kind->name);
  snprintf(text, sizeof text, "%s: %s", c->tasks[task]->name, kind->title);
  if (!is_shown(c, task, kind))
    return CDL_STATUS_OK;
  char *path = base_path_join(c->folder, name);
  cdl_status status = path != NULL ? draw(c, task, kind, path)
                                   : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
  free(path);
  return status == CDL_STATUS_OK ? report_document_image(to, name, text) : status;
}

cdl_status report_write_curves(const report_comparison *c, report_document *to)
{
  report_document_heading(to, "Curves");
  report_document_paragraph(to,
                            "A line a run, a colour a method. A method's penalty is part of its "
                            "loss. Scores are those that chose the best epoch: on the part of "
                            "train that was held out, or on dev where none was.");
  if (!report_can_draw(to))
    return CDL_STATUS_OK;
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
      CDL_TRY(draw_and_show(c, t, &kinds[k], to));
  return CDL_STATUS_OK;
}
