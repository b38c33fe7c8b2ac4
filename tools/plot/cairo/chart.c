#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/plot/cairo/axis.h"
#include "tools/plot/cairo/canvas.h"
#include "tools/plot/cairo/draw.h"

enum { WIDTH = 820, LEFT = 78, RIGHT = 24, TOP = 46, HEIGHT = 400, BELOW = 56, LINE = 19 };

static const plot_colour ink = {0.15, 0.15, 0.15, 1}, strong = {0.80, 0.80, 0.80, 1},
                         faint = {0.93, 0.93, 0.93, 1};
static const double title_size = 14, text_size = 12, mark_radius = 3.6;

static double page_x(const plot_axis *a, double value)
{
  return LEFT + plot_axis_along(a, value) * (WIDTH - LEFT - RIGHT);
}

static double page_y(const plot_axis *a, double value)
{
  return TOP + (1 - plot_axis_along(a, value)) * HEIGHT;
}

/* Returns `size`, or a smaller size at which the text fits in `room`. */
static double fitting_size(double size, const char *text, double room)
{
  const double width = plot_text_width(size, text);
  return width > room ? size * room / width : size;
}

/* ---- Axes ---- */

static void widen(plot_axis *a, const plot_axis *other, const double *values, const double *others,
                  int count)
{
  for (int i = 0; i < count; i++)
    if (plot_axis_shows(a, values[i]) && plot_axis_shows(other, others[i]))
      plot_axis_widen(a, values[i]);
}

typedef struct {
  plot_page *page;
  plot_canvas *canvas;
  const plot_chart *chart;
  plot_axis x, y;
} drawing;

static void grid_x(const void *user, double value, bool labelled)
{
  const drawing *d = user;
  char text[32];
  const double x = page_x(&d->x, value);
  plot_canvas_line(d->canvas, x, TOP, x, TOP + HEIGHT, 0.8, labelled ? strong : faint);
  snprintf(text, sizeof text, "%g", value);
  if (labelled)
    plot_canvas_text(d->canvas, x, TOP + HEIGHT + 17, text_size, PLOT_ALIGN_MIDDLE, false, ink,
                     text);
}

static void grid_y(const void *user, double value, bool labelled)
{
  const drawing *d = user;
  char text[32];
  const double y = page_y(&d->y, value);
  plot_canvas_line(d->canvas, LEFT, y, WIDTH - RIGHT, y, 0.8, labelled ? strong : faint);
  snprintf(text, sizeof text, "%g", value / (d->chart->y_unit > 0 ? d->chart->y_unit : 1));
  if (labelled)
    plot_canvas_text(d->canvas, LEFT - 7, y + 4, text_size, PLOT_ALIGN_RIGHT, false, ink, text);
}

static void draw_axes(const drawing *d)
{
  const plot_chart *chart = d->chart;
  plot_axis_each(&d->x, grid_x, d);
  plot_axis_each(&d->y, grid_y, d);
  plot_canvas_frame(d->canvas, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT, ink);
  plot_canvas_text(d->canvas, LEFT, TOP - 18,
                   fitting_size(title_size, chart->title, WIDTH - LEFT - RIGHT), PLOT_ALIGN_LEFT,
                   false, ink, chart->title);
  plot_canvas_text(d->canvas, (LEFT + WIDTH - RIGHT) / 2.0, TOP + HEIGHT + 40, text_size + 1,
                   PLOT_ALIGN_MIDDLE, false, ink, chart->x_axis);
  plot_canvas_text(d->canvas, 22, TOP + HEIGHT / 2.0, text_size + 1, PLOT_ALIGN_MIDDLE, true, ink,
                   chart->y_axis);
}

/* ---- Series ---- */

/* Draws the line in segments, interrupted at gaps. */
static void draw_line(const drawing *d, const plot_series *s, double *x, double *y)
{
  int run = 0;
  for (int i = 0; i <= s->count; i++) {
    if (i < s->count && plot_axis_shows(&d->x, s->x[i]) && plot_axis_shows(&d->y, s->y[i])) {
      x[run] = page_x(&d->x, s->x[i]);
      y[run++] = page_y(&d->y, s->y[i]);
      continue;
    }
    if (run > 1)
      plot_canvas_path(d->canvas, x, y, run, 1.6, s->dashed, plot_palette(s->colour));
    run = 0;
  }
}

static void draw_points(const drawing *d, const plot_series *s)
{
  plot_colour colour = plot_palette(s->colour);
  colour.alpha = 0.8;
  for (int i = 0; i < s->count; i++)
    if (plot_axis_shows(&d->x, s->x[i]) && plot_axis_shows(&d->y, s->y[i]))
      plot_canvas_mark(d->canvas, s->mark, page_x(&d->x, s->x[i]), page_y(&d->y, s->y[i]),
                       mark_radius, colour);
}

static cdl_status draw_series(const drawing *d)
{
  int longest = 1;
  for (int i = 0; i < d->chart->series_count; i++)
    longest = d->chart->series[i].count > longest ? d->chart->series[i].count : longest;
  double *x = malloc(2 * (size_t)longest * sizeof *x);
  if (x == NULL)
    return plot_fault(d->page, CDL_STATUS_MEMORY, "out of memory: a curve of %d points", longest);
  plot_canvas_clip(d->canvas, LEFT - 5, TOP - 5, WIDTH - LEFT - RIGHT + 10, HEIGHT + 10);
  for (int i = 0; i < d->chart->series_count; i++) {
    const plot_series *s = &d->chart->series[i];
    if (s->line)
      draw_line(d, s, x, x + longest);
  }
  for (int i = 0; i < d->chart->series_count; i++)
    if (d->chart->series[i].points)
      draw_points(d, &d->chart->series[i]);
  plot_canvas_unclip(d->canvas);
  free(x);
  return CDL_STATUS_OK;
}

/* ---- The legend ---- */

/* Draws the entries one after another and returns the number of lines. Without a canvas, it only
 * counts them. */
static int legend(const drawing *d, double top)
{
  const double gap = 26, mark = 24;
  double x = LEFT;
  int lines = 0;
  for (int i = 0; i < d->chart->series_count; i++) {
    const plot_series *s = &d->chart->series[i];
    if (s->name == NULL)
      continue;
    const double width = mark + plot_text_width(text_size, s->name) + gap;
    if (lines == 0 || x + width - gap > WIDTH - RIGHT) {
      lines++;
      x = LEFT;
    }
    const double y = top + LINE * (lines - 1), at[] = {x, x + mark - 6}, level[] = {y - 4, y - 4};
    if (d->canvas != NULL && s->line)
      plot_canvas_path(d->canvas, at, level, 2, 2, s->dashed, plot_palette(s->colour));
    if (d->canvas != NULL && s->points)
      plot_canvas_mark(d->canvas, s->mark, x + (mark - 6) / 2, y - 4, mark_radius,
                       plot_palette(s->colour));
    if (d->canvas != NULL)
      plot_canvas_text(d->canvas, x + mark, y,
                       fitting_size(text_size, s->name, WIDTH - RIGHT - LEFT - mark),
                       PLOT_ALIGN_LEFT, false, ink, s->name);
    x += width;
  }
  return lines;
}

static cdl_status plan_axes(drawing *d)
{
  const plot_chart *chart = d->chart;
  d->x = plot_axis_empty(chart->log_x);
  d->y = plot_axis_empty(chart->log_y);
  for (int i = 0; i < chart->series_count; i++) {
    const plot_series *s = &chart->series[i];
    widen(&d->x, &d->y, s->x, s->y, s->count);
    widen(&d->y, &d->x, s->y, s->x, s->count);
  }
  if (!isfinite(d->x.low))
    return plot_fault(d->page, CDL_STATUS_DATA, "%s: there is nothing to show", chart->title);
  plot_axis_settle(&d->x, false);
  plot_axis_settle(&d->y, true);
  return CDL_STATUS_OK;
}

cdl_status plot_draw_chart(const plot_chart *chart, plot_page *page)
{
  drawing d = {.page = page, .chart = chart};
  CDL_TRY(plan_axes(&d));
  const int lines = legend(&d, 0);
  const double top = TOP + HEIGHT + BELOW + LINE;
  CDL_TRY(plot_canvas_begin(page, WIDTH, top + LINE * (lines + chart->note_count), &d.canvas));
  draw_axes(&d);
  const cdl_status status = draw_series(&d);
  if (status != CDL_STATUS_OK) {
    plot_canvas_abort(d.canvas);
    return status;
  }
  (void)legend(&d, top);
  for (int i = 0; i < chart->note_count; i++)
    plot_canvas_text(d.canvas, LEFT, top + LINE * (lines + i), text_size, PLOT_ALIGN_LEFT, false,
                     ink, chart->notes[i]);
  return plot_canvas_commit(d.canvas);
}
