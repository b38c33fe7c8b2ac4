/* Curves and points over one pair of axes, with a legend below. */
#ifndef CONDLORA_TOOLS_PLOT_CHART_H
#define CONDLORA_TOOLS_PLOT_CHART_H

#include <stdbool.h>

typedef enum { PLOT_MARK_CIRCLE, PLOT_MARK_SQUARE, PLOT_MARK_TRIANGLE, PLOT_MARK_COUNT } plot_mark;

/* One curve or cloud. On a logarithmic axis what is not above 0 is left out, as NaN is on any. */
typedef struct {
  const char *name; /* in the legend; NULL: not in it */
  const double *x, *y;
  int count;
  int colour; /* a place in the palette, from 0 */
  bool line, dashed, points;
  plot_mark mark;
} plot_series;

/* Axes cover every point; a logarithmic one covers whole decades. */
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
