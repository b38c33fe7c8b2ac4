/* A chart: curves and points on one pair of axes, with a legend below. */
#ifndef CONDLORA_TOOLS_PLOT_CHART_H
#define CONDLORA_TOOLS_PLOT_CHART_H

#include <stdbool.h>

typedef enum { PLOT_MARK_CIRCLE, PLOT_MARK_SQUARE, PLOT_MARK_TRIANGLE, PLOT_MARK_COUNT } plot_mark;

/* One curve or set of points. NaN is not drawn; a logarithmic axis also omits values that are not
 * above 0. */
typedef struct {
  const char *name; /* in the legend; NULL: no entry */
  const double *x, *y;
  int count;
  int colour; /* index in the palette, from 0 */
  bool line, dashed, points;
  plot_mark mark;
} plot_series;

/* The axes cover every point; a logarithmic axis covers whole decades. */
typedef struct {
  const char *title, *x_axis, *y_axis;
  bool log_x, log_y;
  double y_unit; /* numbers at the y axis are in this unit: 1e9 for billions; 0 counts as 1 */
  const plot_series *series;
  int series_count;
  const char *const *notes; /* lines below the legend */
  int note_count;
} plot_chart;

#endif
