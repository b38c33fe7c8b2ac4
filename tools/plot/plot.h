/* Writes charts, heat maps and forest plots as SVG, PNG or PDF, by the extension of the path. On
 * one machine, the same plot gives the same bytes. A shared object, libcondlora-plot.so, draws
 * them. It is opened for the first plot, so that programs start without cairo and run if cairo is
 * absent. */
#ifndef CONDLORA_TOOLS_PLOT_PLOT_H
#define CONDLORA_TOOLS_PLOT_PLOT_H

#include "condlora/status.h"
#include "tools/plot/chart.h"
#include "tools/plot/heatmap.h"
#include "tools/plot/intervals.h"

/* Checks that a path ends in .svg, .png or .pdf. Errors: USAGE, listing them. */
CDL_MUST_USE cdl_status plot_check_path(const char *path);

/* Opens the object that draws plots, which is found as plug-ins are and then stays open. Errors:
 * ABSENT if it or a library that it needs is missing, with a line that names Debian's package;
 * UNSUPPORTED for another version and for one that others could have changed (base/trust.h). One
 * thread at a time may call this and the functions below. */
CDL_MUST_USE cdl_status plot_open(void);

/* Write a plot completely or not at all. Errors: those of plot_check_path and plot_open; DATA for a
 * chart or a forest plot with nothing to show; ARGUMENT for a map without cells or with an empty
 * scale, and for a forest plot without a limit; IO; MEMORY. */
CDL_MUST_USE cdl_status plot_chart_write(const char *path, const plot_chart *chart);
CDL_MUST_USE cdl_status plot_heatmap_write(const char *path, const plot_heatmap *map);
CDL_MUST_USE cdl_status plot_intervals_write(const char *path, const plot_intervals *intervals);

#endif
