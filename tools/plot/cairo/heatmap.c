#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "tools/plot/cairo/canvas.h"
#include "tools/plot/cairo/draw.h"

enum {
  LEFT = 56,
  TOP = 44,
  MAP_TITLE = 24,
  BETWEEN = 30, /* maps */
  MAPS_MOST = 800,
  CELL_LEAST = 14,
  LABEL_LEAST = 20,
  BOTTOM = 50,
  GAP = 18,
  BAR = 16,
  BAR_STEPS = 64,
  SCALE_GAP = 5,
  MARGIN = 12
};

static const plot_colour ink = {0.1, 0.1, 0.1, 1};
static const double title_size = 13, map_title_size = 12, scale_size = 10;

/* Returns the colour of a share in [0, 1], from dark blue over green to light yellow. Lightness
 * grows evenly, so that the map is readable in grey. */
static plot_colour shade(double share)
{
  static const double stops[][3] = {{0.13, 0.10, 0.33}, {0.19, 0.31, 0.52}, {0.16, 0.51, 0.54},
                                    {0.31, 0.70, 0.43}, {0.69, 0.83, 0.29}, {0.99, 0.95, 0.60}};
  const int last = (int)(sizeof stops / sizeof stops[0]) - 1;
  const double at = fmin(fmax(share, 0), 1) * last;
  const int i = at >= last ? last - 1 : (int)at;
  const double t = at - i;
  return (plot_colour){stops[i][0] + t * (stops[i + 1][0] - stops[i][0]),
                       stops[i][1] + t * (stops[i + 1][1] - stops[i][1]),
                       stops[i][2] + t * (stops[i + 1][2] - stops[i][2]), 1};
}

static void number_text(char *text, size_t size, double value, int decimals)
{
  snprintf(text, size, "%.*f", decimals, value);
}

/* A page with its measures. */
typedef struct {
  plot_canvas *canvas;
  const plot_heatmap *plot;
  double cell;               /* the side of a cell */
  double pitch;              /* from the left of a map to that of the next */
  double top, height, width; /* of the maps, and of the page */
  bool has_numbers;
} drawing;

/* Returns a cell size that fits the widest number at a readable font size. */
static double cell_of_numbers(const plot_heatmap *m)
{
  char low[32], high[32];
  const int a = snprintf(low, sizeof low, "%.*f", m->decimals, m->low),
            b = snprintf(high, sizeof high, "%.*f", m->decimals, m->high);
  return fmax(30, 6.5 * (a > b ? a : b) + 6);
}

static double scale_left(const drawing *d)
{
  return LEFT + (d->plot->map_count - 1) * d->pitch + d->plot->columns * d->cell + GAP;
}

/* Sets all measures: a page whose maps would be wider than MAPS_MOST with numbers has none. */
static void plan(drawing *d)
{
  const plot_heatmap *m = d->plot;
  const int columns = m->map_count * m->columns;
  double title = 0, last_title = 0;
  char low[64], high[64];
  d->cell = cell_of_numbers(m);
  d->has_numbers = columns * d->cell <= MAPS_MOST;
  if (!d->has_numbers)
    d->cell = fmax(CELL_LEAST, floor((double)MAPS_MOST / columns));
  for (int i = 0; i < m->map_count; i++)
    if (m->maps[i].title != NULL)
      title = fmax(title, last_title = plot_text_width(map_title_size, m->maps[i].title));
  d->pitch = fmax(m->columns * d->cell, title) + BETWEEN;
  d->top = TOP + (title > 0 ? MAP_TITLE : 0);
  d->height = m->rows * d->cell;
  number_text(low, sizeof low, m->low, m->decimals);
  number_text(high, sizeof high, m->high, m->decimals);
  const double numbers = fmax(plot_text_width(scale_size, low), plot_text_width(scale_size, high));
  d->width = scale_left(d) + BAR + SCALE_GAP + numbers;
  d->width = fmax(d->width, LEFT + (m->map_count - 1) * d->pitch + last_title);
  if (m->title != NULL)
    d->width = fmax(d->width, LEFT + plot_text_width(title_size, m->title));
  d->width = ceil(d->width + MARGIN);
}

static void draw_cells(const drawing *d, const plot_map *map, double left)
{
  const plot_heatmap *m = d->plot;
  char text[64];
  for (int i = 0; i < m->rows; i++)
    for (int j = 0; j < m->columns; j++) {
      const double value = map->values[(size_t)i * (size_t)m->columns + (size_t)j];
      if (!isfinite(value))
        continue;
      const double share = (value - m->low) / (m->high - m->low), x = left + j * d->cell,
                   y = d->top + i * d->cell;
      plot_canvas_box(d->canvas, x, y, d->cell, d->cell, shade(share));
      if (!d->has_numbers)
        continue;
      number_text(text, sizeof text, value, m->decimals);
      const plot_colour colour = share > 0.55 ? ink : (plot_colour){1, 1, 1, 1};
      plot_canvas_text(d->canvas, x + d->cell / 2, y + d->cell / 2 + 3.5, 9.5, PLOT_ALIGN_MIDDLE,
                       false, colour, text);
    }
}

/* Draws the numbers of the columns, or with `rows` those of the rows; of small cells, every second
 * one. */
static void draw_numbers(const drawing *d, double left, bool rows)
{
  const plot_heatmap *m = d->plot;
  char text[16];
  for (int i = 0; i < (rows ? m->rows : m->columns); i += d->cell < LABEL_LEAST ? 2 : 1) {
    const double middle = (i + 0.5) * d->cell;
    snprintf(text, sizeof text, "%d", m->numbers != NULL ? m->numbers[i] : i);
    if (rows)
      plot_canvas_text(d->canvas, left - 6, d->top + middle + 4, 11, PLOT_ALIGN_RIGHT, false, ink,
                       text);
    else
      plot_canvas_text(d->canvas, left + middle, d->top + d->height + 16, 11, PLOT_ALIGN_MIDDLE,
                       false, ink, text);
  }
}

/* The first map has the numbers of the rows for all. */
static void draw_map(const drawing *d, int number)
{
  const plot_heatmap *m = d->plot;
  const plot_map *map = &m->maps[number];
  const double left = LEFT + number * d->pitch, width = m->columns * d->cell;
  draw_cells(d, map, left);
  plot_canvas_frame(d->canvas, left, d->top, width, d->height, ink);
  if (map->title != NULL)
    plot_canvas_text(d->canvas, left, d->top - 8, map_title_size, PLOT_ALIGN_LEFT, false, ink,
                     map->title);
  if (number == 0)
    draw_numbers(d, left, true);
  draw_numbers(d, left, false);
  if (number == 0 && m->row_axis != NULL)
    plot_canvas_text(d->canvas, 20, d->top + d->height / 2, 12, PLOT_ALIGN_MIDDLE, true, ink,
                     m->row_axis);
  if (m->column_axis != NULL)
    plot_canvas_text(d->canvas, left + width / 2, d->top + d->height + 36, 12, PLOT_ALIGN_MIDDLE,
                     false, ink, m->column_axis);
}

/* Draws the colour scale at the right. */
static void draw_scale(const drawing *d)
{
  const plot_heatmap *m = d->plot;
  const double x = scale_left(d), height = d->height;
  char text[64];
  for (int i = 0; i < BAR_STEPS; i++)
    plot_canvas_box(d->canvas, x, d->top + height * (BAR_STEPS - 1 - i) / BAR_STEPS, BAR,
                    height / BAR_STEPS + 0.5, shade((i + 0.5) / BAR_STEPS));
  plot_canvas_frame(d->canvas, x, d->top, BAR, height, ink);
  number_text(text, sizeof text, m->high, m->decimals);
  plot_canvas_text(d->canvas, x + BAR + SCALE_GAP, d->top + 8, scale_size, PLOT_ALIGN_LEFT, false,
                   ink, text);
  number_text(text, sizeof text, m->low, m->decimals);
  plot_canvas_text(d->canvas, x + BAR + SCALE_GAP, d->top + height, scale_size, PLOT_ALIGN_LEFT,
                   false, ink, text);
}

cdl_status plot_draw_heatmap(const plot_heatmap *m, plot_page *page)
{
  drawing d = {.plot = m};
  if (m->map_count < 1 || m->rows < 1 || m->columns < 1 || !(m->low < m->high) || m->decimals < 0)
    return plot_fault(page, CDL_STATUS_ARGUMENT, "a map needs rows, columns and a scale");
  plan(&d);
  CDL_TRY(plot_canvas_begin(page, d.width, d.top + d.height + BOTTOM, &d.canvas));
  if (m->title != NULL)
    plot_canvas_text(d.canvas, LEFT, 26, title_size, PLOT_ALIGN_LEFT, false, ink, m->title);
  for (int i = 0; i < m->map_count; i++)
    draw_map(&d, i);
  draw_scale(&d);
  return plot_canvas_commit(d.canvas);
}
