#include <math.h>
#include <stdio.h>

#include "tools/plot/cairo/canvas.h"
#include "tools/plot/cairo/draw.h"

enum {
  LEFT = 56,
  TOP = 44,
  BOTTOM = 50,
  GAP = 18,
  BAR = 16,
  BAR_STEPS = 64,
  SCALE_GAP = 5,
  MARGIN = 12
};

static const plot_colour ink = {0.1, 0.1, 0.1, 1};
static const double title_size = 13, scale_size = 10;

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

/* Returns a cell size that fits the widest number at a readable font size. */
static double cell_size(const plot_heatmap *m)
{
  char low[32], high[32];
  const int a = snprintf(low, sizeof low, "%.*f", m->decimals, m->low),
            b = snprintf(high, sizeof high, "%.*f", m->decimals, m->high);
  return fmax(30, 6.5 * (a > b ? a : b) + 6);
}

static void draw_cells(plot_canvas *c, const plot_heatmap *m, double cell)
{
  char text[64];
  for (int i = 0; i < m->rows; i++)
    for (int j = 0; j < m->columns; j++) {
      const double value = m->values[(size_t)i * (size_t)m->columns + (size_t)j];
      if (!isfinite(value))
        continue;
      const double share = (value - m->low) / (m->high - m->low), x = LEFT + j * cell,
                   y = TOP + i * cell;
      plot_canvas_box(c, x, y, cell, cell, shade(share));
      number_text(text, sizeof text, value, m->decimals);
      const plot_colour colour = share > 0.55 ? ink : (plot_colour){1, 1, 1, 1};
      plot_canvas_text(c, x + cell / 2, y + cell / 2 + 3.5, 9.5, PLOT_ALIGN_MIDDLE, false, colour,
                       text);
    }
}

static void draw_axes(plot_canvas *c, const plot_heatmap *m, double cell)
{
  char text[16];
  const double right = LEFT + m->columns * cell, bottom = TOP + m->rows * cell;
  plot_canvas_frame(c, LEFT, TOP, right - LEFT, bottom - TOP, ink);
  for (int i = 0; i < m->rows; i++) {
    snprintf(text, sizeof text, "%d", m->numbers != NULL ? m->numbers[i] : i);
    plot_canvas_text(c, LEFT - 6, TOP + (i + 0.5) * cell + 4, 11, PLOT_ALIGN_RIGHT, false, ink,
                     text);
  }
  for (int j = 0; j < m->columns; j++) {
    snprintf(text, sizeof text, "%d", m->numbers != NULL ? m->numbers[j] : j);
    plot_canvas_text(c, LEFT + (j + 0.5) * cell, bottom + 16, 11, PLOT_ALIGN_MIDDLE, false, ink,
                     text);
  }
  if (m->row_axis != NULL)
    plot_canvas_text(c, 20, (TOP + bottom) / 2, 12, PLOT_ALIGN_MIDDLE, true, ink, m->row_axis);
  if (m->column_axis != NULL)
    plot_canvas_text(c, (LEFT + right) / 2, bottom + 36, 12, PLOT_ALIGN_MIDDLE, false, ink,
                     m->column_axis);
}

/* Draws the colour scale at the right. */
static void draw_scale(plot_canvas *c, const plot_heatmap *m, double x, double height)
{
  char text[64];
  for (int i = 0; i < BAR_STEPS; i++)
    plot_canvas_box(c, x, TOP + height * (BAR_STEPS - 1 - i) / BAR_STEPS, BAR,
                    height / BAR_STEPS + 0.5, shade((i + 0.5) / BAR_STEPS));
  plot_canvas_frame(c, x, TOP, BAR, height, ink);
  number_text(text, sizeof text, m->high, m->decimals);
  plot_canvas_text(c, x + BAR + SCALE_GAP, TOP + 8, scale_size, PLOT_ALIGN_LEFT, false, ink, text);
  number_text(text, sizeof text, m->low, m->decimals);
  plot_canvas_text(c, x + BAR + SCALE_GAP, TOP + height, scale_size, PLOT_ALIGN_LEFT, false, ink,
                   text);
}

/* Returns the page's width, which fits the title and the numbers beside the scale. */
static double page_width(const plot_heatmap *m, double cell)
{
  char low[64], high[64];
  number_text(low, sizeof low, m->low, m->decimals);
  number_text(high, sizeof high, m->high, m->decimals);
  const double numbers = fmax(plot_text_width(scale_size, low), plot_text_width(scale_size, high)),
               map = LEFT + m->columns * cell + GAP + BAR + SCALE_GAP + numbers + MARGIN,
               title = m->title != NULL ? LEFT + plot_text_width(title_size, m->title) + MARGIN : 0;
  return ceil(fmax(map, title));
}

cdl_status plot_draw_heatmap(const plot_heatmap *m, plot_page *page)
{
  if (m->rows < 1 || m->columns < 1 || !(m->low < m->high) || m->decimals < 0)
    return plot_fault(page, CDL_STATUS_ARGUMENT, "a map needs rows, columns and a scale");
  const double cell = cell_size(m), width = page_width(m, cell),
               height = TOP + m->rows * cell + BOTTOM;
  plot_canvas *c;
  CDL_TRY(plot_canvas_begin(page, width, height, &c));
  if (m->title != NULL)
    plot_canvas_text(c, LEFT, 26, title_size, PLOT_ALIGN_LEFT, false, ink, m->title);
  draw_cells(c, m, cell);
  draw_axes(c, m, cell);
  draw_scale(c, m, LEFT + m->columns * cell + GAP, m->rows * cell);
  return plot_canvas_commit(c);
}
