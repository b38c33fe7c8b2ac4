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

static const struct {
  const char *name, *title, *y_axis; /* y_axis NULL: the metric's name */
} kinds[] = {[REPORT_CURVE_LOSS] = {"loss", "loss in training, means of stretches", "loss"},
             [REPORT_CURVE_METRIC] = {"metric", "score at each evaluation", NULL},
             [REPORT_CURVE_RATE] = {"rate", "learning rate", "learning rate"}};

static void fill(report_curve_kind kind, const report_compared_run *run, plot_series *series,
                 double *x, double *y)
{
  if (kind == REPORT_CURVE_METRIC) {
    series->x = run->evaluated_at;
    series->y = run->evaluated;
    series->count = (int)run->evaluations;
  } else
    thin(run, kind == REPORT_CURVE_LOSS ? run->loss : run->rate, series, x, y);
}

static bool is_shown(report_curve_kind kind, const report_curve *curves, size_t count)
{
  for (size_t c = 0; c < count; c++) {
    const report_compared_run *run = curves[c].run;
    const double *values = kind == REPORT_CURVE_METRIC ? run->evaluated : run->loss;
    const size_t points = kind == REPORT_CURVE_METRIC ? run->evaluations : run->points;
    for (size_t i = 0; i < points; i++)
      if (isfinite(values[i]))
        return true;
  }
  return false;
}

static cdl_status draw(const char *path, const char *title, report_curve_kind kind,
                       const char *metric, const report_curve *curves, size_t count)
{
  plot_series *series = calloc(count + 1, sizeof *series);
  double *numbers = calloc(count * 2 * POINTS + 1, sizeof *numbers);
  cdl_status status = series != NULL && numbers != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    double *x = numbers + i * 2 * POINTS;
    series[i] = (plot_series){.name = curves[i].name,
                              .colour = curves[i].colour,
                              .line = true,
                              .dashed = curves[i].dashed,
                              .points = kind == REPORT_CURVE_METRIC,
                              .mark = (plot_mark)(curves[i].colour % PLOT_MARK_COUNT)};
    fill(kind, curves[i].run, &series[i], x, x + POINTS);
  }
  const plot_chart chart = {.title = title,
                            .x_axis = "epoch",
                            .y_axis = kinds[kind].y_axis != NULL ? kinds[kind].y_axis : metric,
                            .series = series,
                            .series_count = (int)count};
  if (status == CDL_STATUS_OK)
    status = plot_chart_write(path, &chart);
  free(series);
  free(numbers);
  return status;
}

cdl_status report_draw_curves(const char *folder, const char *what, const char *metric,
                              const report_curve *curves, size_t count, report_document *to)
{
  for (report_curve_kind kind = 0; kind < REPORT_CURVE_KINDS; kind++) {
    char name[128], title[192];
    snprintf(name, sizeof name, "plots/%.64s-%s.svg", what, kinds[kind].name);
    snprintf(title, sizeof title, "%.64s: %s", what, kinds[kind].title);
    if (!is_shown(kind, curves, count))
      continue;
    char *path = base_path_join(folder, name);
    cdl_status status = path != NULL ? draw(path, title, kind, metric, curves, count)
                                     : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
    free(path);
    if (status == CDL_STATUS_OK)
      status = report_document_image(to, name, title);
    CDL_TRY(status);
  }
  return CDL_STATUS_OK;
}

/* A colour a method, and one entry of the legend for all its seeds. */
static cdl_status draw_task(const report_comparison *c, size_t task, report_document *to)
{
  const size_t count = c->method_count * c->seed_count;
  report_curve *curves = calloc(count + 1, sizeof *curves);
  report_described *names = calloc(c->method_count + 1, sizeof *names);
  cdl_status status = curves != NULL && names != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    const size_t method = i / c->seed_count, seed = i % c->seed_count;
    names[method] = report_method_title(c->methods[method]);
    curves[i] = (report_curve){.name = seed == 0 ? names[method].text : NULL,
                               .run = report_compared_run_at(c, task, method, seed),
                               .colour = (int)method};
  }
  if (status == CDL_STATUS_OK)
    status = report_draw_curves(c->folder, c->tasks[task]->name,
                                cdl_metric_name(c->tasks[task]->metrics[0]), curves, count, to);
  free(curves);
  free(names);
  return status;
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
    CDL_TRY(draw_task(c, t, to));
  return CDL_STATUS_OK;
}
