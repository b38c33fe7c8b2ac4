/* A heat map: a table of numbers as coloured cells, each with its number. */
#ifndef CONDLORA_TOOLS_PLOT_HEATMAP_H
#define CONDLORA_TOOLS_PLOT_HEATMAP_H

/* The first row is at the top. */
typedef struct {
  const char *title; /* the page is wide enough for it */
  int rows, columns;
  const double *values;               /* [rows, columns], row-major; NaN: blank */
  const char *row_axis, *column_axis; /* may be NULL */
  double low, high;                   /* ends of the colour scale; low < high */
  int decimals;                       /* of the numbers in the cells */
  const int *numbers; /* [rows and columns] names of both; NULL: their index from 0 */
} plot_heatmap;

#endif
