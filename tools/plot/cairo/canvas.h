/* A page to draw on with cairo: SVG, PNG or PDF by the end of its path. The same drawing gives the
 * same bytes on the same machine. */
#ifndef CONDLORA_TOOLS_PLOT_CAIRO_CANVAS_H
#define CONDLORA_TOOLS_PLOT_CAIRO_CANVAS_H

#include <stdbool.h>

#include "condlora/status.h"

/* Lengths are points of the page, from the left and from the top. A PNG has two pixels a point. */
typedef struct plot_canvas plot_canvas;

typedef struct {
  double red, green, blue, alpha; /* 0 to 1 */
} plot_colour;

/* Okabe and Ito's palette, which the colour-blind can tell apart; any whole number from 0. */
plot_colour plot_palette(int index);

/* Whether a path ends in one of them: USAGE, listing them, otherwise. */
CDL_MUST_USE cdl_status plot_canvas_check_path(const char *path);

/* A white page. Errors: USAGE for another end than .svg, .png or .pdf; IO; MEMORY. */
CDL_MUST_USE cdl_status plot_canvas_begin(const char *path, double width, double height,
                                          plot_canvas **canvas);
/* Puts the file in its place, whole, and destroys `canvas`. The first failure of all drawing. */
CDL_MUST_USE cdl_status plot_canvas_commit(plot_canvas *canvas);
/* Leaves no file, and destroys `canvas`. */
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

typedef enum { PLOT_MARK_CIRCLE, PLOT_MARK_SQUARE, PLOT_MARK_TRIANGLE, PLOT_MARK_COUNT } plot_mark;
void plot_canvas_mark(plot_canvas *canvas, plot_mark mark, double x, double y, double radius,
                      plot_colour colour);

typedef enum { PLOT_ALIGN_LEFT, PLOT_ALIGN_MIDDLE, PLOT_ALIGN_RIGHT } plot_align;
/* UTF-8 on the base line y; `upwards` turns it by a quarter to run from below. */
void plot_canvas_text(plot_canvas *canvas, double x, double y, double size, plot_align align,
                      bool upwards, plot_colour colour, const char *text);
/* How wide a text will be on any page. */
double plot_text_width(double size, const char *text);

#endif
