/* The interface between a program and libcondlora-plot.so, which draws its plots. The object
 * exports one function, named PLOT_ENTRY. It contains the code that uses cairo and no other code of
 * this project: it returns bytes and a status, and the program writes files and messages. */
#ifndef CONDLORA_TOOLS_PLOT_TABLE_H
#define CONDLORA_TOOLS_PLOT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"
#include "tools/plot/chart.h"
#include "tools/plot/heatmap.h"
#include "tools/plot/intervals.h"

/* The version is incremented with every change of a type in this header or in those that it
 * includes. */
enum { PLOT_MAGIC = 0x706c6f74, PLOT_VERSION = 3 };

typedef enum { PLOT_SVG, PLOT_PNG, PLOT_PDF, PLOT_FORMAT_COUNT } plot_format;

/* One page to draw. */
typedef struct {
  plot_format format;
  /* Receives the page's bytes, in order. The program records its own failures. */
  void (*write)(void *user, const void *bytes, size_t count);
  void *user;
  char fault[256]; /* one line that says what is wrong, if the status is not OK */
} plot_page;

/* Magic and version have the same place in every version; a program reads nothing else of another
 * version's table. The functions return DATA for a chart or a forest plot with nothing to show,
 * ARGUMENT for a map without cells or with an empty scale and for a forest plot without a limit,
 * MEMORY, and IO if cairo fails. */
typedef struct {
  uint32_t magic, version;
  cdl_status (*draw_chart)(const plot_chart *chart, plot_page *page);
  cdl_status (*draw_heatmap)(const plot_heatmap *map, plot_page *page);
  cdl_status (*draw_intervals)(const plot_intervals *intervals, plot_page *page);
} plot_table;

#define PLOT_ENTRY "condlora_plot"
typedef const plot_table *plot_entry(void);

#endif
