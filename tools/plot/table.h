/* What a program and the object that draws its plots, libcondlora-plot.so, have in common. The object
 * exports one function, whose name is PLOT_ENTRY. It holds cairo and nothing of this project's other
 * code: it gives bytes and a status, and the program writes files and messages. */
#ifndef CONDLORA_TOOLS_PLOT_TABLE_H
#define CONDLORA_TOOLS_PLOT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"
#include "tools/plot/chart.h"
#include "tools/plot/heatmap.h"

/* The version goes up with every change of a type in this header or in those that it includes. */
enum { PLOT_MAGIC = 0x706c6f74, PLOT_VERSION = 1 };

typedef enum { PLOT_SVG, PLOT_PNG, PLOT_PDF, PLOT_FORMAT_COUNT } plot_format;

/* One page to be drawn. */
typedef struct {
  plot_format format;
  /* Takes the page's bytes, in order. What it cannot take it notes for the program itself. */
  void (*write)(void *user, const void *bytes, size_t count);
  void *user;
  char fault[256]; /* filled in where the status is not OK: what is wrong, a line */
} plot_page;

/* Magic and version stay where they are in every version; a program reads no more of another's. The
 * functions return DATA for a chart with nothing to show, ARGUMENT for a map without cells or scale,
 * MEMORY, and IO where cairo fails. */
typedef struct {
  uint32_t magic, version;
  cdl_status (*draw_chart)(const plot_chart *chart, plot_page *page);
  cdl_status (*draw_heatmap)(const plot_heatmap *map, plot_page *page);
} plot_table;

#define PLOT_ENTRY "condlora_plot"
typedef const plot_table *plot_entry(void);

#endif
