/* A page to draw on with cairo. */
#ifndef CONDLORA_TOOLS_PLOT_CAIRO_CANVAS_H
#define CONDLORA_TOOLS_PLOT_CAIRO_CANVAS_H

#include <stdbool.h>

#include "tools/plot/table.h"

/* Lengths are points of the page, from the left and from the top. A PNG has two pixels a point. */
typedef struct plot_canvas plot_canvas;

typedef struct {
  double red, green, blue, alpha; /* 0 to 1 */
} plot_colour;

/* Okabe and Ito's palette, which the colour-blind can tell apart; any whole number from 0. */
plot_colour plot_palette(int index);

/* Notes what is wrong in `page`, and returns `status`. */
cdl_status plot_fault(plot_page *page, cdl_status status, const char *format, ...) CDL_PRINTF(3, 4);

/* A white page, in the format that `page` names. Errors: MEMORY, as a fault of the page. */
CDL_MUST_USE cdl_status plot_canvas_begin(plot_page *page, double width, double height,
                                          plot_canvas **canvas);
/* Gives the page its bytes, and destroys `canvas`. The first failure of all drawing. */
CDL_MUST_USE cdl_status plot_canvas_commit(plot_canvas *canvas);
/* Destroys `canvas`; what the page got of it is of no use. */
void plot_canvas_abort(plot_canvas *canvas);

void plot_canvas_line(plot_canvas *canvas, double x1, double y1, double x2, double y2, double width,
                      plot_colour colour);
/* Through all points (x[i], y[i]). */
void plot_canvas_path(plot_canvas *canvas, const double *x, const double *y, int count,
                      double width, bool dashed, plot_colour colour);
void plot_canvas_box(plot_canvas *canvas, double x, double y, double width, double height,
                     plot_colour colour);
/* Its outline alone. */
void plot_canvas_frame(plot_canvas *canvas, double x, double y, double width, double height,
                       plot_colour colour);
/* What is drawn from here on shows inside the box alone, until plot_canvas_unclip. */
void plot_canvas_clip(plot_canvas *canvas, double x, double y, double width, double height);
void plot_canvas_unclip(plot_canvas *canvas);

void plot_canvas_mark(plot_canvas *canvas, plot_mark mark, double x, double y, double radius,
                      plot_colour colour);

typedef enum { PLOT_ALIGN_LEFT, PLOT_ALIGN_MIDDLE, PLOT_ALIGN_RIGHT } plot_align;
/* UTF-8 on the base line y; `upwards` turns it by a quarter to run from below. */
void plot_canvas_text(plot_canvas *canvas, double x, double y, double size, plot_align align,
                      bool upwards, plot_colour colour, const char *text);
/* How wide a text will be on any page. */
double plot_text_width(double size, const char *text);

#endif
