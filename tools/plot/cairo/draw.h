/* The functions in the table of libcondlora-plot.so. */
#ifndef CONDLORA_TOOLS_PLOT_CAIRO_DRAW_H
#define CONDLORA_TOOLS_PLOT_CAIRO_DRAW_H

#include "tools/plot/table.h"

CDL_MUST_USE cdl_status plot_draw_chart(const plot_chart *chart, plot_page *page);
CDL_MUST_USE cdl_status plot_draw_heatmap(const plot_heatmap *map, plot_page *page);
CDL_MUST_USE cdl_status plot_draw_intervals(const plot_intervals *intervals, plot_page *page);

#endif
