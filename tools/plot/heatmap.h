/* Heat maps: tables of numbers as coloured cells, side by side on one colour scale. */
#ifndef CONDLORA_TOOLS_PLOT_HEATMAP_H
#define CONDLORA_TOOLS_PLOT_HEATMAP_H

/* The first row is at the top. */
typedef struct {
  const char *title;    /* above the map; NULL: none */
  const double *values; /* [rows, columns], row-major; NaN: blank */
} plot_map;

/* The page is wide enough for all titles. Many columns make the cells small; then the cells have no
 * numbers. */
typedef struct {
  const char *title; /* of the page; NULL: none */
  const plot_map *maps;
  int map_count;
  int rows, columns;                  /* of every map */
  const char *row_axis, *column_axis; /* may be NULL */
  double low, high;                   /* ends of the colour scale; low < high */
  int decimals;                       /* of the numbers in the cells */
  const int *numbers; /* [rows and columns] names of both; NULL: their index from 0 */
} plot_heatmap;

#endif
