#include "tools/plot/cairo/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS_A_POINT = 2, PALETTE = 8 };

struct plot_canvas {
  plot_page *page;
  FILE *memory; /* collects an SVG until it is complete */
  char *text;
  size_t bytes;
  cairo_surface_t *surface;
  cairo_t *cairo;
};

/* ---- Colours ---- */

plot_colour plot_palette(int index)
{
  static const unsigned char shades[PALETTE][3] = {{0, 114, 178},   {213, 94, 0},  {0, 158, 115},
                                                   {204, 121, 167}, {230, 159, 0}, {86, 180, 233},
                                                   {0, 0, 0},       {150, 140, 20}};
  const unsigned char *s = shades[index % PALETTE];
  return (plot_colour){s[0] / 255.0, s[1] / 255.0, s[2] / 255.0, 1};
}

static void use_colour(plot_canvas *c, plot_colour colour)
{
  cairo_set_source_rgba(c->cairo, colour.red, colour.green, colour.blue, colour.alpha);
}

/* ---- The page ---- */

cdl_status plot_fault(plot_page *page, cdl_status status, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(page->fault, sizeof page->fault, format, arguments);
  va_end(arguments);
  return status;
}

static cairo_status_t take_bytes(void *user, const unsigned char *bytes, unsigned count)
{
  const plot_page *page = user;
  page->write(page->user, bytes, count);
  return CAIRO_STATUS_SUCCESS;
}

static cairo_status_t keep_bytes(void *memory, const unsigned char *bytes, unsigned count)
{
  return fwrite(bytes, 1, count, memory) == count ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_NO_MEMORY;
}

/* Writes the SVG without the number in the page's id. cairo names the page "surface57" after the
 * number of surfaces in the process, and nothing refers to the name. */
static void write_svg(plot_canvas *c)
{
  static const char name[] = "<g id=\"surface";
  const char *at = c->text, *page = strstr(at, name);
  if (page != NULL) {
    const char *digits = page + sizeof name - 1;
    c->page->write(c->page->user, at, (size_t)(digits - at));
    at = digits + strspn(digits, "0123456789");
  }
  c->page->write(c->page->user, at, strlen(at));
}

static cairo_surface_t *make_surface(const plot_canvas *c, double width, double height)
{
  switch (c->page->format) {
  case PLOT_SVG:
    return cairo_svg_surface_create_for_stream(keep_bytes, c->memory, width, height);
  case PLOT_PDF:
    return cairo_pdf_surface_create_for_stream(take_bytes, c->page, width, height);
  default:
    return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width) * PIXELS_A_POINT,
                                      (int)ceil(height) * PIXELS_A_POINT);
  }
}

static void release(plot_canvas *c)
{
  cairo_destroy(c->cairo);
  cairo_surface_destroy(c->surface);
  if (c->memory != NULL)
    fclose(c->memory);
  free(c->text);
  free(c);
}

/* Turns hinting off, so that the page is the same in all formats. */
static void use_plain_fonts(cairo_t *cairo)
{
  cairo_font_options_t *options = cairo_font_options_create();
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(cairo, options);
  cairo_font_options_destroy(options);
  cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
}

cdl_status plot_canvas_begin(plot_page *page, double width, double height, plot_canvas **canvas)
{
  *canvas = NULL;
  plot_canvas *c = calloc(1, sizeof *c);
  if (c == NULL || (c->memory = open_memstream(&c->text, &c->bytes)) == NULL) {
    free(c);
    return plot_fault(page, CDL_STATUS_MEMORY, "out of memory");
  }
  c->page = page;
  c->surface = make_surface(c, width, height);
  c->cairo = cairo_create(c->surface);
  if (c->page->format == PLOT_PDF) /* a creation time would make every file different */
    cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
  if (c->page->format == PLOT_PNG)
    cairo_scale(c->cairo, PIXELS_A_POINT, PIXELS_A_POINT);
  use_plain_fonts(c->cairo);
  cairo_set_source_rgb(c->cairo, 1, 1, 1);
  cairo_paint(c->cairo);
  *canvas = c;
  return CDL_STATUS_OK;
}

cdl_status plot_canvas_commit(plot_canvas *c)
{
  cairo_status_t drawn = cairo_status(c->cairo);
  if (drawn == CAIRO_STATUS_SUCCESS && c->page->format == PLOT_PNG)
    drawn = cairo_surface_write_to_png_stream(c->surface, take_bytes, c->page);
  cairo_surface_finish(c->surface);
  if (drawn == CAIRO_STATUS_SUCCESS)
    drawn = cairo_surface_status(c->surface);
  if (drawn == CAIRO_STATUS_SUCCESS && fflush(c->memory) != 0)
    drawn = CAIRO_STATUS_NO_MEMORY;
  if (drawn == CAIRO_STATUS_SUCCESS && c->page->format == PLOT_SVG)
    write_svg(c);
  plot_page *page = c->page;
  release(c);
  return drawn == CAIRO_STATUS_SUCCESS
             ? CDL_STATUS_OK
             : plot_fault(page, drawn == CAIRO_STATUS_NO_MEMORY ? CDL_STATUS_MEMORY : CDL_STATUS_IO,
                          "cannot be drawn: %s", cairo_status_to_string(drawn));
}

void plot_canvas_abort(plot_canvas *c)
{
  cairo_surface_finish(c->surface);
  release(c);
}

/* ---- Shapes ---- */

void plot_canvas_path(plot_canvas *c, const double *x, const double *y, int count, double width,
                      bool dashed, plot_colour colour)
{
  static const double dashes[] = {7, 4};
  use_colour(c, colour);
  cairo_set_line_width(c->cairo, width);
  cairo_set_line_join(c->cairo, CAIRO_LINE_JOIN_ROUND);
  cairo_set_dash(c->cairo, dashes, dashed ? 2 : 0, 0);
  cairo_new_path(c->cairo); /* text leaves a current point */
  for (int i = 0; i < count; i++)
    cairo_line_to(c->cairo, x[i], y[i]);
  cairo_stroke(c->cairo);
  cairo_set_dash(c->cairo, dashes, 0, 0);
}

void plot_canvas_line(plot_canvas *c, double x1, double y1, double x2, double y2, double width,
                      plot_colour colour)
{
  const double x[] = {x1, x2}, y[] = {y1, y2};
  plot_canvas_path(c, x, y, 2, width, false, colour);
}

void plot_canvas_box(plot_canvas *c, double x, double y, double width, double height,
                     plot_colour colour)
{
  use_colour(c, colour);
  cairo_rectangle(c->cairo, x, y, width, height);
  cairo_fill(c->cairo);
}

void plot_canvas_frame(plot_canvas *c, double x, double y, double width, double height,
                       plot_colour colour)
{
  use_colour(c, colour);
  cairo_set_line_width(c->cairo, 1);
  cairo_rectangle(c->cairo, x, y, width, height);
  cairo_stroke(c->cairo);
}

void plot_canvas_clip(plot_canvas *c, double x, double y, double width, double height)
{
  cairo_save(c->cairo);
  cairo_rectangle(c->cairo, x, y, width, height);
  cairo_clip(c->cairo);
}

void plot_canvas_unclip(plot_canvas *c)
{
  cairo_restore(c->cairo);
}

void plot_canvas_mark(plot_canvas *c, plot_mark mark, double x, double y, double radius,
                      plot_colour colour)
{
  switch (mark) {
  case PLOT_MARK_SQUARE:
    cairo_rectangle(c->cairo, x - radius, y - radius, 2 * radius, 2 * radius);
    break;
  case PLOT_MARK_TRIANGLE:
    cairo_move_to(c->cairo, x, y - 1.2 * radius);
    cairo_line_to(c->cairo, x - 1.2 * radius, y + radius);
    cairo_line_to(c->cairo, x + 1.2 * radius, y + radius);
    cairo_close_path(c->cairo);
    break;
  default:
    cairo_new_sub_path(c->cairo);
    cairo_arc(c->cairo, x, y, radius, 0, 2 * M_PI);
  }
  use_colour(c, colour);
  cairo_fill_preserve(c->cairo);
  use_colour(c, (plot_colour){1, 1, 1, colour.alpha});
  cairo_set_line_width(c->cairo, 0.7);
  cairo_stroke(c->cairo);
}

/* ---- Text ---- */

static double width_on(cairo_t *cairo, double size, const char *text)
{
  cairo_text_extents_t extents;
  cairo_set_font_size(cairo, size);
  cairo_text_extents(cairo, text, &extents);
  return extents.x_advance;
}

double plot_text_width(double size, const char *text)
{
  cairo_surface_t *nowhere = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
  cairo_t *cairo = cairo_create(nowhere);
  use_plain_fonts(cairo);
  const double width = width_on(cairo, size, text);
  cairo_destroy(cairo);
  cairo_surface_destroy(nowhere);
  return width;
}

void plot_canvas_text(plot_canvas *c, double x, double y, double size, plot_align align,
                      bool upwards, plot_colour colour, const char *text)
{
  const double width = width_on(c->cairo, size, text);
  use_colour(c, colour);
  cairo_save(c->cairo);
  cairo_translate(c->cairo, x, y);
  if (upwards)
    cairo_rotate(c->cairo, -M_PI / 2);
  cairo_move_to(c->cairo,
                -width * (align == PLOT_ALIGN_LEFT     ? 0
                          : align == PLOT_ALIGN_MIDDLE ? 0.5
                                                       : 1),
                0);
  cairo_show_text(c->cairo, text);
  cairo_restore(c->cairo);
}
