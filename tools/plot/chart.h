/* Curves and points over one pair of axes, with a legend below. */
#ifndef CONDLORA_TOOLS_PLOT_CHART_H
#define CONDLORA_TOOLS_PLOT_CHART_H

#include <stdbool.h>

#include "tools/plot/cairo/canvas.h"

/* One curve or cloud. On a logarithmic axis what is not above 0 is left out, as NaN is on any. */
typedef struct {
  const char *name; /* in the legend; NULL: not in it */
  const double *x, *y;
  int count;
  int colour; /* plot_palette's */
  bool line, dashed, points;
  plot_mark mark;
} plot_series;

typedef struct {
  const char *title, *x_axis, *y_axis;
  bool log_x, log_y;
  double y_unit; /* numbers at the y axis are in this unit: 1e9 for billions; 0 counts as 1 */
  const plot_series *series;
  int series_count;
  const char *const *notes; /* lines below the legend */
  int note_count;
} plot_chart;

/* Axes cover every point; a logarithmic one covers whole decades. Errors: USAGE for a path that
 * does not end in .svg, .png or .pdf; DATA where there is nothing to show; IO; MEMORY. */
CDL_MUST_USE cdl_status plot_chart_write(const char *path, const plot_chart *chart);

#endif
