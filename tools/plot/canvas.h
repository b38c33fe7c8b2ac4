/* A page to draw on with cairo: SVG, PNG or PDF by the end of its path. The same drawing gives the
 * same bytes on the same machine. */
#ifndef CONDLORA_TOOLS_PLOT_CANVAS_H
#define CONDLORA_TOOLS_PLOT_CANVAS_H

#include <stdbool.h>

#include "condlora/status.h"

/* Lengths are points of the page, from the left and from the top. A PNG has two pixels a point. */
typedef struct cdl_canvas cdl_canvas;

typedef struct {
  double red, green, blue, alpha; /* 0 to 1 */
} cdl_colour;

/* Okabe and Ito's palette, which the colour-blind can tell apart; any whole number from 0. */
cdl_colour cdl_palette(int index);

/* Whether a path ends in one of them: USAGE, listing them, otherwise. */
CDL_MUST_USE cdl_status cdl_canvas_check_path(const char *path);

/* A white page. Errors: USAGE for another end than .svg, .png or .pdf; IO; MEMORY. */
CDL_MUST_USE cdl_status cdl_canvas_begin(const char *path, double width, double height,
                                         cdl_canvas **canvas);
/* Puts the file in its place, whole, and destroys `canvas`. The first failure of all drawing. */
CDL_MUST_USE cdl_status cdl_canvas_commit(cdl_canvas *canvas);
/* Leaves no file, and destroys `canvas`. */
void cdl_canvas_abort(cdl_canvas *canvas);

void cdl_canvas_line(cdl_canvas *canvas, double x1, double y1, double x2, double y2, double width,
                     cdl_colour colour);
/* Through all points (x[i], y[i]). */
void cdl_canvas_path(cdl_canvas *canvas, const double *x, const double *y, int count, double width,
                     bool dashed, cdl_colour colour);
void cdl_canvas_box(cdl_canvas *canvas, double x, double y, double width, double height,
                    cdl_colour colour);
/* Its outline alone. */
void cdl_canvas_frame(cdl_canvas *canvas, double x, double y, double width, double height,
                      cdl_colour colour);
/* What is drawn from here on shows inside the box alone, until cdl_canvas_unclip. */
void cdl_canvas_clip(cdl_canvas *canvas, double x, double y, double width, double height);
void cdl_canvas_unclip(cdl_canvas *canvas);

typedef enum { CDL_MARK_CIRCLE, CDL_MARK_SQUARE, CDL_MARK_TRIANGLE, CDL_MARK_COUNT } cdl_mark;
void cdl_canvas_mark(cdl_canvas *canvas, cdl_mark mark, double x, double y, double radius,
                     cdl_colour colour);

typedef enum { CDL_ALIGN_LEFT, CDL_ALIGN_MIDDLE, CDL_ALIGN_RIGHT } cdl_align;
/* UTF-8 on the base line y; `upwards` turns it by a quarter to run from below. */
void cdl_canvas_text(cdl_canvas *canvas, double x, double y, double size, cdl_align align,
                     bool upwards, cdl_colour colour, const char *text);
/* How wide a text will be on any page. */
double cdl_text_width(double size, const char *text);

#endif
