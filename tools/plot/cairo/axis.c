#include "tools/plot/cairo/axis.h"

#include <math.h>

plot_axis plot_axis_empty(bool logarithmic)
{
  return (plot_axis){logarithmic, INFINITY, -INFINITY, 0};
}

bool plot_axis_shows(const plot_axis *a, double value)
{
  return isfinite(value) && (!a->logarithmic || value > 0);
}

void plot_axis_widen(plot_axis *a, double value)
{
  const double v = a->logarithmic ? log10(value) : value;
  a->low = fmin(a->low, v);
  a->high = fmax(a->high, v);
}

/* Returns 1, 2 or 5 times a power of ten, so that about six steps cover `range`. */
static double round_step(double range)
{
  const double rough = range / 6, ten = pow(10, floor(log10(rough))), times = rough / ten;
  return ten * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

void plot_axis_settle(plot_axis *a, bool edges)
{
  if (a->logarithmic) {
    const double slack = 1e-9; /* for rounding of a power of ten */
    *a = (plot_axis){true, floor(a->low + slack), ceil(a->high - slack), 1};
    a->high = fmax(a->high, a->low + 1);
    return;
  }
  if (!(a->high > a->low)) {
    const double around = a->low != 0 ? fabs(a->low) / 10 : 1;
    a->low -= around;
    a->high += around;
  }
  a->step = round_step(a->high - a->low);
  if (edges) {
    a->low = floor(a->low / a->step) * a->step;
    a->high = ceil(a->high / a->step) * a->step;
  }
}

double plot_axis_along(const plot_axis *a, double value)
{
  return ((a->logarithmic ? log10(value) : value) - a->low) / (a->high - a->low);
}

void plot_axis_each(const plot_axis *a, void (*draw)(const void *user, double value, bool labelled),
                    const void *user)
{
  if (a->logarithmic) {
    for (int decade = (int)a->low; decade <= (int)a->high; decade++)
      for (int k = 1; k <= (decade < (int)a->high ? 9 : 1); k++)
        draw(user, k * pow(10, decade), k == 1);
    return;
  }
  const double first = ceil(a->low / a->step - 1e-9);
  for (int i = 0; (first + i) * a->step <= a->high + 1e-9 * a->step; i++)
    draw(user, (first + i) * a->step + 0.0, true);
}
