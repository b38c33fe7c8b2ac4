/* A page to draw on, by cairo. */
#ifndef CONDLORA_TOOLS_PLOT_CAIRO_CANVAS_H
#define CONDLORA_TOOLS_PLOT_CAIRO_CANVAS_H

#include <stdbool.h>

#include "tools/plot/table.h"

/* Lengths are points of the page, from the left and from the top. A PNG has two pixels a point. */
typedef struct plot_canvas plot_canvas;

typedef struct {
  double red, green, blue, alpha; /* 0 to 1 */
} plot_colour;

/* Returns a colour of Okabe and Ito's palette, which colour-blind readers can distinguish. `index`
 * is any integer from 0. */
plot_colour plot_palette(int index);

/* Writes the message to the page's `fault` and returns `status`. */
cdl_status plot_fault(plot_page *page, cdl_status status, const char *format, ...) CDL_PRINTF(3, 4);

/* Begins a white page of the format of `page`. Sizes are in points. Errors: MEMORY, with the page's
 * fault set. */
CDL_MUST_USE cdl_status plot_canvas_begin(plot_page *page, double width, double height,
                                          plot_canvas **canvas);
/* Passes the bytes to the page and destroys `canvas`. Returns the first failure of all drawing. */
CDL_MUST_USE cdl_status plot_canvas_commit(plot_canvas *canvas);
/* Destroys `canvas`; bytes that the page has received are incomplete. */
void plot_canvas_abort(plot_canvas *canvas);

void plot_canvas_line(plot_canvas *canvas, double x1, double y1, double x2, double y2, double width,
                      plot_colour colour);
/* Draws a line through all points (x[i], y[i]). */
void plot_canvas_path(plot_canvas *canvas, const double *x, const double *y, int count,
                      double width, bool dashed, plot_colour colour);
void plot_canvas_box(plot_canvas *canvas, double x, double y, double width, double height,
                     plot_colour colour);
/* Draws the outline of a box. */
void plot_canvas_frame(plot_canvas *canvas, double x, double y, double width, double height,
                       plot_colour colour);
/* Clips later drawing to the box, until plot_canvas_unclip. */
void plot_canvas_clip(plot_canvas *canvas, double x, double y, double width, double height);
void plot_canvas_unclip(plot_canvas *canvas);

void plot_canvas_mark(plot_canvas *canvas, plot_mark mark, double x, double y, double radius,
                      plot_colour colour);

typedef enum { PLOT_ALIGN_LEFT, PLOT_ALIGN_MIDDLE, PLOT_ALIGN_RIGHT } plot_align;
/* Draws UTF-8 text on the base line y; `upwards` rotates it by 90° to read from bottom to top. */
void plot_canvas_text(plot_canvas *canvas, double x, double y, double size, plot_align align,
                      bool upwards, plot_colour colour, const char *text);
/* Returns the width of a text on any page, in points. */
double plot_text_width(double size, const char *text);

#endif
