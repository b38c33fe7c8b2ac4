/* An axis: the range that it covers, and where its grid lines are. */
#ifndef CONDLORA_TOOLS_PLOT_CAIRO_AXIS_H
#define CONDLORA_TOOLS_PLOT_CAIRO_AXIS_H

#include <stdbool.h>

/* Numbers are in units of the drawing: the value, or its decimal logarithm. */
typedef struct {
  bool logarithmic;
  double low, high, step; /* step is 1 on a logarithmic axis */
} plot_axis;

/* Returns an axis that covers nothing. */
plot_axis plot_axis_empty(bool logarithmic);
/* Returns whether the axis has a place for the value. */
bool plot_axis_shows(const plot_axis *axis, double value);
/* Widens the range to a value that the axis shows. */
void plot_axis_widen(plot_axis *axis, double value);
/* Sets the ends and the step of an axis that covers something. With `edges`, the axis ends on round
 * numbers, otherwise at its last value. */
void plot_axis_settle(plot_axis *axis, bool edges);
/* Returns the value's place: 0 at the low end, 1 at the high end. */
double plot_axis_along(const plot_axis *axis, double value);
/* Calls `draw` for each grid line, from the lowest. */
void plot_axis_each(const plot_axis *axis,
                    void (*draw)(const void *user, double value, bool labelled), const void *user);

#endif
