#include <math.h>
#include <stdio.h>

#include "tools/plot/cairo/axis.h"
#include "tools/plot/cairo/canvas.h"
#include "tools/plot/cairo/draw.h"

enum {
  MARGIN = 18,
  TOP = 46,
  ROW = 21,
  HEADING = 27,
  INDENT = 12,
  GAP = 12,
  WIDTH = 430,
  LINE = 19
};
enum { KEY = 34 }; /* width of the signs in the legend */

static const plot_colour ink = {0.15, 0.15, 0.15, 1}, grid = {0.87, 0.87, 0.87, 1},
                         grey = {0.60, 0.60, 0.60, 1}, band = {0.84, 0.92, 0.86, 1};
static const double title_size = 14, text_size = 12, heading_size = 13,
                    overlap = 0.5; /* so that no seam shows between the bands of two rows */

typedef struct {
  plot_canvas *canvas;
  const plot_intervals *plot;
  plot_axis axis;
  double left;   /* of the axis; labels are at its left */
  double bottom; /* of the last row */
  double width;  /* of the page */
} drawing;

static double page_x(const drawing *d, double value)
{
  return d->left + plot_axis_along(&d->axis, value) * WIDTH;
}

/* ---- Sizes ---- */

static void cover(drawing *d, double value)
{
  if (isfinite(value))
    plot_axis_widen(&d->axis, fmin(fmax(value, -d->plot->most), d->plot->most));
}

/* Sets the axis, and returns whether it has anything to show. */
static bool plan_axis(drawing *d)
{
  bool any = false;
  d->axis = plot_axis_empty(false);
  cover(d, 0);
  for (int i = 0; i < d->plot->row_count; i++) {
    const plot_interval *r = &d->plot->rows[i];
    const double values[] = {r->value, r->low, r->high, r->outer_low, r->outer_high};
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
      cover(d, values[k]);
      any = any || isfinite(values[k]);
    }
    cover(d, -r->margin);
    cover(d, r->margin);
  }
  plot_axis_settle(&d->axis, true);
  return any;
}

static void plan_page(drawing *d)
{
  const plot_intervals *p = d->plot;
  double labels = 0, texts = 0;
  d->bottom = TOP;
  for (int i = 0; i < p->row_count; i++) {
    const plot_interval *r = &p->rows[i];
    if (r->group != NULL)
      labels = fmax(labels, plot_text_width(heading_size, r->group));
    labels = fmax(labels, INDENT + plot_text_width(text_size, r->label));
    texts = fmax(texts, plot_text_width(text_size, r->text));
    d->bottom += ROW + (r->group != NULL ? HEADING : 0);
  }
  d->left = MARGIN + labels + GAP;
  const double rows = d->left + WIDTH + GAP + texts,
               title = MARGIN + plot_text_width(title_size, p->title),
               axis = d->left + WIDTH / 2.0 + plot_text_width(text_size, p->axis) / 2;
  const char *const names[] = {p->line_name, p->outer_name, p->band_name};
  d->width = fmax(fmax(rows, title), axis);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    d->width = fmax(d->width, d->left + KEY + plot_text_width(text_size, names[i]));
  d->width = ceil(d->width + MARGIN);
}

/* ---- Rows ---- */

static void draw_grid_line(const void *user, double value, bool labelled)
{
  const drawing *d = user;
  const double x = page_x(d, value);
  char text[32];
  plot_canvas_line(d->canvas, x, TOP, x, d->bottom, 0.8, grid);
  snprintf(text, sizeof text, value == 0 ? "0" : "%+g", value);
  if (labelled)
    plot_canvas_text(d->canvas, x, d->bottom + 17, text_size, PLOT_ALIGN_MIDDLE, false, ink, text);
}

static void draw_arrowhead(const drawing *d, bool right, double y, plot_colour colour)
{
  const double tip = right ? d->left + WIDTH : d->left, back = tip + (right ? -6 : 6),
               x[] = {back, tip, back}, edge[] = {y - 5, y, y + 5};
  plot_canvas_path(d->canvas, x, edge, 3, 1.6, false, colour);
}

static void draw_tick(const drawing *d, double x, double y, plot_colour colour)
{
  plot_canvas_line(d->canvas, x, y - 5, x, y + 5, 1.2, colour);
}

/* Draws the part of a line that lies on the axis; `ticks` marks the ends that do. */
static void draw_range(const drawing *d, double low, double high, double y, double width,
                       bool ticks, plot_colour colour)
{
  const double from = fmax(low, d->axis.low), to = fmin(high, d->axis.high);
  if (!isfinite(low) || !isfinite(high))
    return;
  if (from < to)
    plot_canvas_line(d->canvas, page_x(d, from), y, page_x(d, to), y, width, colour);
  if (low < d->axis.low)
    draw_arrowhead(d, false, y, colour);
  else if (ticks && low <= d->axis.high)
    draw_tick(d, page_x(d, low), y, colour);
  if (high > d->axis.high)
    draw_arrowhead(d, true, y, colour);
  else if (ticks && high >= d->axis.low)
    draw_tick(d, page_x(d, high), y, colour);
}

static void draw_row(const drawing *d, const plot_interval *r, double y)
{
  const plot_colour colour = plot_palette(r->colour);
  draw_range(d, r->outer_low, r->outer_high, y, 1.2, true, grey);
  draw_range(d, r->low, r->high, y, 3, false, colour);
  if (r->value < d->axis.low || r->value > d->axis.high)
    draw_arrowhead(d, r->value > d->axis.high, y, colour);
  else if (isfinite(r->value))
    plot_canvas_mark(d->canvas, PLOT_MARK_CIRCLE, page_x(d, r->value), y, 4.5, colour);
  plot_canvas_text(d->canvas, MARGIN + INDENT, y + 4, text_size, PLOT_ALIGN_LEFT, false, ink,
                   r->label);
  plot_canvas_text(d->canvas, d->left + WIDTH + GAP, y + 4, text_size, PLOT_ALIGN_LEFT, false, ink,
                   r->text);
}

static void draw_band(const drawing *d, double margin, double top, double height)
{
  const double from = page_x(d, fmax(-margin, d->axis.low)),
               to = page_x(d, fmin(margin, d->axis.high));
  plot_canvas_box(d->canvas, from, top, to - from, height, band);
}

static bool continues(const plot_intervals *p, int row)
{
  return row + 1 < p->row_count && p->rows[row + 1].group == NULL;
}

/* Bands lie below the grid, and the grid below the lines, so there are two passes. */
static void draw_rows(const drawing *d, bool bands)
{
  double top = TOP;
  for (int i = 0; i < d->plot->row_count; i++) {
    const plot_interval *r = &d->plot->rows[i];
    if (r->group != NULL && !bands)
      plot_canvas_text(d->canvas, MARGIN, top + HEADING - 8, heading_size, PLOT_ALIGN_LEFT, false,
                       ink, r->group);
    top += r->group != NULL ? HEADING : 0;
    if (!bands)
      draw_row(d, r, top + ROW / 2.0);
    else if (r->margin > 0)
      draw_band(d, r->margin, top, ROW + (continues(d->plot, i) ? overlap : 0));
    top += ROW;
  }
}

/* ---- Around the rows ---- */

static void draw_legend(const drawing *d, double top)
{
  const double from = d->left, to = d->left + KEY - 10, x = d->left + KEY;
  plot_canvas_line(d->canvas, from, top - 4, to, top - 4, 3, ink);
  plot_canvas_mark(d->canvas, PLOT_MARK_CIRCLE, (from + to) / 2, top - 4, 4.5, ink);
  plot_canvas_line(d->canvas, from, top + LINE - 4, to, top + LINE - 4, 1.2, grey);
  draw_tick(d, from, top + LINE - 4, grey);
  draw_tick(d, to, top + LINE - 4, grey);
  plot_canvas_box(d->canvas, from, top + 2 * LINE - 10, to - from, 12, band);
  const char *const names[] = {d->plot->line_name, d->plot->outer_name, d->plot->band_name};
  for (int i = 0; i < 3; i++)
    plot_canvas_text(d->canvas, x, top + i * LINE, text_size, PLOT_ALIGN_LEFT, false, ink,
                     names[i]);
}

cdl_status plot_draw_intervals(const plot_intervals *plot, plot_page *page)
{
  drawing d = {.plot = plot};
  if (!(plot->most > 0))
    return plot_fault(page, CDL_STATUS_ARGUMENT, "a forest plot needs a limit above 0");
  if (!plan_axis(&d))
    return plot_fault(page, CDL_STATUS_DATA, "%s: there is nothing to show", plot->title);
  plan_page(&d);
  const double legend = d.bottom + 68;
  CDL_TRY(plot_canvas_begin(page, d.width, legend + 2 * LINE + MARGIN, &d.canvas));
  plot_canvas_text(d.canvas, MARGIN, TOP - 18, title_size, PLOT_ALIGN_LEFT, false, ink,
                   plot->title);
  draw_rows(&d, true);
  plot_axis_each(&d.axis, draw_grid_line, &d);
  plot_canvas_line(d.canvas, page_x(&d, 0), TOP, page_x(&d, 0), d.bottom, 1.2, ink);
  plot_canvas_frame(d.canvas, d.left, TOP, WIDTH, d.bottom - TOP, ink);
  draw_rows(&d, false);
  plot_canvas_text(d.canvas, d.left + WIDTH / 2.0, d.bottom + 38, text_size, PLOT_ALIGN_MIDDLE,
                   false, ink, plot->axis);
  draw_legend(&d, legend);
  return plot_canvas_commit(d.canvas);
}
