/* Charts and heat maps as files: SVG, PNG or PDF by the end of the path. The same plot gives the same
 * bytes on the same machine. A shared object draws them, libcondlora-plot.so. It is opened when the
 * first plot is asked for; so programs start without cairo and run where there is none. */
#ifndef CONDLORA_TOOLS_PLOT_PLOT_H
#define CONDLORA_TOOLS_PLOT_PLOT_H

#include "condlora/status.h"
#include "tools/plot/chart.h"
#include "tools/plot/heatmap.h"

/* Whether a path ends in .svg, .png or .pdf: USAGE, listing them, otherwise. */
CDL_MUST_USE cdl_status plot_check_path(const char *path);

/* Opens the object that draws, found as plug-ins are; once open it stays. ABSENT where it or a
 * library that it needs is not there, with a line that names Debian's package; UNSUPPORTED for one of
 * another version and for one that others could have changed (base/trust.h). One thread at a time,
 * as for the functions below. */
CDL_MUST_USE cdl_status plot_open(void);

/* Write a plot, whole or not at all. Errors: those of plot_check_path and plot_open; DATA for a chart
 * where there is nothing to show; ARGUMENT for a map without cells or scale; IO; MEMORY. */
CDL_MUST_USE cdl_status plot_chart_write(const char *path, const plot_chart *chart);
CDL_MUST_USE cdl_status plot_heatmap_write(const char *path, const plot_heatmap *map);

#endif
