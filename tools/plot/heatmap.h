/* A table of numbers as a map of colours, each cell with its number. */
#ifndef CONDLORA_TOOLS_PLOT_HEATMAP_H
#define CONDLORA_TOOLS_PLOT_HEATMAP_H

/* The first row is at the top. */
typedef struct {
  const char *title; /* the page is as wide as it needs */
  int rows, columns;
  const double *values;               /* [rows, columns], row-major; NaN: blank */
  const char *row_axis, *column_axis; /* may be NULL */
  double low, high;                   /* of the scale of colours; low < high */
  int decimals;                       /* of the numbers in the cells */
  const int *numbers; /* [rows and columns] what both are called; NULL: their place, from 0 */
} plot_heatmap;

#endif
