/* A forest plot: rows of values with their intervals on one axis, with a band around 0. */
#ifndef CONDLORA_TOOLS_PLOT_INTERVALS_H
#define CONDLORA_TOOLS_PLOT_INTERVALS_H

/* NaN is not drawn. */
typedef struct {
  const char *group; /* the heading above this row; NULL: the row belongs to the group above */
  const char *label, *text;     /* at the left and at the right of the row */
  double value, low, high;      /* a mark on a thick line */
  double outer_low, outer_high; /* a thin grey line with ticks at its ends, behind the thick one */
  double margin;                /* the band reaches from -margin to margin */
  int colour;                   /* index in the palette, from 0 */
} plot_interval;

/* The axis covers 0, the bands, the values and the lines, but nothing beyond ± most. A line that
 * goes on beyond the axis ends in an arrowhead, and so does a value that lies there. The page is
 * wide enough for all texts. */
typedef struct {
  const char *title, *axis;
  const plot_interval *rows; /* [row_count], the first one at the top */
  int row_count;
  double most;                                    /* above 0 */
  const char *line_name, *outer_name, *band_name; /* in the legend */
} plot_intervals;

#endif
