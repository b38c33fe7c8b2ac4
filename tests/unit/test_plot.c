/* Pictures: formats by name, the same bytes for the same drawing, colours that say the values. */
#include <cairo.h>
#include <math.h>

#include "tests/unit/scratch.h"
#include "tools/plot/plot.h"

static const char *const ends[] = {"svg", "png", "pdf"};
enum { ENDS = sizeof ends / sizeof ends[0] };

static const char *named(const char *name, const char *end)
{
  char file[64];
  snprintf(file, sizeof file, "%s.%s", name, end);
  return scratch_path(file);
}

static plot_heatmap maps_of(const plot_map *maps, int count, int rows, int columns)
{
  return (plot_heatmap){.title = "C_A <query> & value: ä",
                        .maps = maps,
                        .map_count = count,
                        .rows = rows,
                        .columns = columns,
                        .row_axis = "layer",
                        .column_axis = "layer",
                        .low = 0,
                        .high = 1,
                        .decimals = 2};
}

static plot_chart chart_of(const plot_series *series, int count)
{
  return (plot_chart){.title = "loss",
                      .x_axis = "epoch",
                      .y_axis = "loss",
                      .series = series,
                      .series_count = count};
}

static plot_intervals intervals_of(const plot_interval *rows, int count)
{
  return (plot_intervals){.title = "Difference from LoRA",
                          .axis = "points",
                          .rows = rows,
                          .row_count = count,
                          .most = 10,
                          .line_name = "over seeds",
                          .outer_name = "over examples",
                          .band_name = "margin"};
}

/* A row that shows nothing. */
static plot_interval blank_row(void)
{
  return (plot_interval){.label = "CondLoRA (orientation reference)",
                         .text = "+0.10  level",
                         .value = NAN,
                         .low = NAN,
                         .high = NAN,
                         .outer_low = NAN,
                         .outer_high = NAN};
}

static void check_same(const char *a, const char *b)
{
  size_t bytes;
  uint8_t *content = scratch_get(a, &bytes);
  expect_content(b, content, bytes);
  free(content);
}

static bool are_same(const char *a, const char *b)
{
  size_t bytes, other_bytes;
  uint8_t *content = scratch_get(a, &bytes), *other = scratch_get(b, &other_bytes);
  const bool same = bytes == other_bytes && memcmp(content, other, bytes) == 0;
  free(content);
  free(other);
  return same;
}

START_TEST(a_format_by_the_end_of_the_name)
{
  static const char *const beginnings[ENDS] = {"<?xml", "\x89PNG", "%PDF-"};
  const double values[] = {0, 0.25, 1, NAN};
  const double x[] = {1, 2, 3}, y[] = {0.7, NAN, 0.2};
  const plot_series series = {
      .name = "lora", .x = x, .y = y, .count = 3, .line = true, .points = true};
  for (int i = 0; i < ENDS; i++) {
    size_t bytes;
    const plot_map values_map = {.values = values};
    const plot_heatmap map = maps_of(&values_map, 1, 2, 2);
    expect_ok(plot_heatmap_write(named("a", ends[i]), &map));
    expect_ok(plot_heatmap_write(named("b", ends[i]), &map));
    check_same(named("a", ends[i]), named("b", ends[i]));
    const plot_chart chart = chart_of(&series, 1);
    expect_ok(plot_chart_write(named("c", ends[i]), &chart));
    expect_ok(plot_chart_write(named("d", ends[i]), &chart));
    check_same(named("c", ends[i]), named("d", ends[i]));
    plot_interval row = blank_row();
    row.group = "RTE <accuracy> & so on";
    row.value = 1;
    const plot_intervals intervals = intervals_of(&row, 1);
    expect_ok(plot_intervals_write(named("e", ends[i]), &intervals));
    expect_ok(plot_intervals_write(named("f", ends[i]), &intervals));
    check_same(named("e", ends[i]), named("f", ends[i]));
    uint8_t *content = scratch_get(named("c", ends[i]), &bytes);
    ck_assert_int_eq(memcmp(content, beginnings[i], strlen(beginnings[i])), 0);
    free(content);
  }
}
END_TEST

/* Counts the pixels of a colour, of 255, give or take rounding. `middle`, unless NULL, gets their
 * mean column. */
static int count_pixels(const char *path, int red, int green, int blue, double *middle)
{
  cairo_surface_t *image = cairo_image_surface_create_from_png(path);
  ck_assert_int_eq(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
  cairo_surface_flush(image);
  const int width = cairo_image_surface_get_width(image),
            height = cairo_image_surface_get_height(image),
            stride = cairo_image_surface_get_stride(image);
  const unsigned char *data = cairo_image_surface_get_data(image);
  int count = 0;
  double columns = 0;
  for (int row = 0; row < height; row++)
    for (int column = 0; column < width; column++) {
      uint32_t pixel;
      memcpy(&pixel, data + (size_t)row * (size_t)stride + 4 * (size_t)column, sizeof pixel);
      if (abs((int)(pixel >> 16 & 255) - red) > 1 || abs((int)(pixel >> 8 & 255) - green) > 1 ||
          abs((int)(pixel & 255) - blue) > 1)
        continue;
      count++;
      columns += column;
    }
  cairo_surface_destroy(image);
  if (middle != NULL)
    *middle = columns / count;
  return count;
}

/* The two ends of the scale, and white where there is no value. Numbers take a part of a cell. */
START_TEST(colours_say_values)
{
  enum { CELL_LEAST = 30 * 30 * 4, MOST_OF = 2 };
  static const double values[] = {1, 0, NAN};
  static const int colours[][3] = {{252, 242, 153}, {33, 26, 84}, {255, 255, 255}};
  int found[3][3];
  for (int v = 0; v < 3; v++) {
    const double four[] = {values[v], values[v], values[v], values[v]};
    const plot_map four_map = {.values = four};
    const plot_heatmap map = maps_of(&four_map, 1, 2, 2);
    expect_ok(plot_heatmap_write(scratch_path("map.png"), &map));
    for (int c = 0; c < 3; c++)
      found[v][c] =
          count_pixels(scratch_path("map.png"), colours[c][0], colours[c][1], colours[c][2], NULL);
  }
  for (int v = 0; v < 3; v++)
    for (int c = 0; c < 3; c++)
      if (c != v) /* four cells more of its own colour than the others have of it */
        ck_assert_int_gt(found[v][v], found[c][v] + 4 * CELL_LEAST / MOST_OF);
}
END_TEST

/* Pixels of text's ink, nearly black, in the first `rows` rows; and the last column that has
 * one. */
static int count_ink(const char *path, int rows, int *last_column, int *width)
{
  cairo_surface_t *image = cairo_image_surface_create_from_png(path);
  ck_assert_int_eq(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
  cairo_surface_flush(image);
  *width = cairo_image_surface_get_width(image);
  const int height = cairo_image_surface_get_height(image),
            stride = cairo_image_surface_get_stride(image);
  const unsigned char *data = cairo_image_surface_get_data(image);
  int count = 0;
  *last_column = 0;
  for (int row = 0; row < (rows > 0 ? rows : height); row++)
    for (int column = 0; column < *width; column++) {
      uint32_t pixel;
      memcpy(&pixel, data + (size_t)row * (size_t)stride + 4 * (size_t)column, sizeof pixel);
      if ((pixel & 255) < 128) {
        count++;
        *last_column = column > *last_column ? column : *last_column;
      }
    }
  cairo_surface_destroy(image);
  return count;
}

/* A title above a single cell has all the ink that it has above forty columns, and nothing is drawn
 * up to the right edge. */
START_TEST(a_page_is_as_wide_as_its_texts)
{
  enum { TITLE_ROWS = 2 * 40, COLUMNS = 40 };
  static const double values[COLUMNS * COLUMNS] = {0};
  const plot_map map = {.values = values};
  plot_heatmap narrow = maps_of(&map, 1, 1, 1), wide = maps_of(&map, 1, COLUMNS, COLUMNS);
  narrow.title = wide.title =
      "C_BA, attention.output.dense.of.a.long.name (reference): mean 0.1234, WWWWWWWW";
  expect_ok(plot_heatmap_write(scratch_path("narrow.png"), &narrow));
  expect_ok(plot_heatmap_write(scratch_path("wide.png"), &wide));
  int last, width;
  const int ink_narrow = count_ink(scratch_path("narrow.png"), TITLE_ROWS, &last, &width);
  ck_assert_int_lt(last, width - 8);
  ck_assert_int_eq(ink_narrow, count_ink(scratch_path("wide.png"), TITLE_ROWS, &last, &width));

  narrow.title = NULL;
  narrow.decimals = 12; /* the numbers beside the scale are long then */
  expect_ok(plot_heatmap_write(scratch_path("narrow.png"), &narrow));
  ck_assert_int_gt(count_ink(scratch_path("narrow.png"), 0, &last, &width), 0);
  ck_assert_int_lt(last, width - 8);

  const double x[] = {1, 2}, y[] = {1, 2};
  char name[200];
  memset(name, 'W', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  const plot_series series = {.name = name, .x = x, .y = y, .count = 2, .line = true};
  plot_chart chart = chart_of(&series, 1);
  chart.title = name;
  expect_ok(plot_chart_write(scratch_path("chart.png"), &chart));
  ck_assert_int_gt(count_ink(scratch_path("chart.png"), 0, &last, &width), 0);
  ck_assert_int_lt(last, width - 8);

  plot_interval row = blank_row();
  row.value = 1;
  const char **const texts[] = {&row.group, &row.label, &row.text};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    const char *const before = *texts[i];
    *texts[i] = name;
    const plot_intervals intervals = intervals_of(&row, 1);
    expect_ok(plot_intervals_write(scratch_path("intervals.png"), &intervals));
    ck_assert_int_gt(count_ink(scratch_path("intervals.png"), 0, &last, &width), 0);
    ck_assert_int_lt(last, width - 8);
    *texts[i] = before;
  }
}
END_TEST

/* Cells of 1 are light, cells of 0 dark. The scale at the right has both. */
START_TEST(maps_stand_side_by_side)
{
  enum { SIDE = 6 };
  double zeros[SIDE * SIDE] = {0}, ones[SIDE * SIDE], dark[2];
  for (int i = 0; i < SIDE * SIDE; i++)
    ones[i] = 1;
  const plot_map maps[] = {{"C_A: mean 0.1234", zeros}, {"C_B", ones}, {"C_BA", zeros}};
  for (int first = 0; first < 2; first++) {
    const plot_heatmap plot = maps_of(maps + first, 2, SIDE, SIDE);
    expect_ok(plot_heatmap_write(scratch_path("maps.png"), &plot));
    ck_assert_int_gt(count_pixels(scratch_path("maps.png"), 33, 26, 84, &dark[first]), 0);
  }
  ck_assert_double_gt(dark[1], dark[0] + SIDE * 30 * 2); /* to the right by a map at least */

  int found[2], last, width;
  for (int count = 1; count <= 2; count++) {
    const plot_map same[] = {{"", zeros}, {"", zeros}};
    const plot_heatmap plot = maps_of(same, count, SIDE, SIDE);
    expect_ok(plot_heatmap_write(scratch_path("maps.png"), &plot));
    found[count - 1] = count_pixels(scratch_path("maps.png"), 33, 26, 84, NULL);
  }
  ck_assert_int_gt(found[1], 2 * found[0] - 1000); /* the scale has the colour once */

  /* The title of a map makes room for itself. */
  const plot_map titled[] = {{"WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW", zeros}, {"WWWWWWWWWWWWWW", zeros}};
  const plot_heatmap plot = maps_of(titled, 2, 1, 1);
  expect_ok(plot_heatmap_write(scratch_path("titled.png"), &plot));
  ck_assert_int_gt(count_ink(scratch_path("titled.png"), 0, &last, &width), 0);
  ck_assert_int_lt(last, width - 8);
}
END_TEST

/* White numbers take a part of dark cells; three maps of twelve columns have no room for them. */
START_TEST(small_cells_have_no_numbers)
{
  enum { SIDE = 12, LARGE = 32, SMALL = 22 }; /* points of a cell */
  static const double zeros[SIDE * SIDE] = {0};
  const plot_map maps[] = {{NULL, zeros}, {NULL, zeros}, {NULL, zeros}};
  for (int count = 1; count <= 3; count += 2) {
    const plot_heatmap plot = maps_of(maps, count, SIDE, SIDE);
    expect_ok(plot_heatmap_write(scratch_path("maps.png"), &plot));
    const double side = SIDE * (count == 1 ? LARGE : SMALL) * 2,
                 filled = count_pixels(scratch_path("maps.png"), 33, 26, 84, NULL) /
                          (count * side * side);
    if (count == 1)
      ck_assert_double_lt(filled, 0.97);
    else
      ck_assert_double_gt(filled, 0.98);
  }
}
END_TEST

START_TEST(rows_are_called_by_their_numbers)
{
  static const double values[] = {0, 1, 1, 0};
  static const int places[] = {0, 1}, others[] = {3, 11};
  const plot_map values_map = {.values = values};
  plot_heatmap map = maps_of(&values_map, 1, 2, 2);
  expect_ok(plot_heatmap_write(scratch_path("a.svg"), &map));
  map.numbers = places;
  expect_ok(plot_heatmap_write(scratch_path("b.svg"), &map));
  check_same(scratch_path("a.svg"), scratch_path("b.svg"));
  map.numbers = others;
  expect_ok(plot_heatmap_write(scratch_path("c.svg"), &map));
  ck_assert(!are_same(scratch_path("a.svg"), scratch_path("c.svg")));
}
END_TEST

/* A logarithmic axis leaves out what has no logarithm, and lines break at gaps. */
START_TEST(charts_show_what_can_be_shown)
{
  const double x[] = {0, 1, 10, 100, 1000}, y[] = {1, -1, 0.5, NAN, 0.25}, shown_x[] = {10, 1000},
               shown_y[] = {0.5, 0.25};
  const plot_series all = {.x = x, .y = y, .count = 5, .points = true},
                    some = {.x = shown_x, .y = shown_y, .count = 2, .points = true};
  plot_chart chart = chart_of(&all, 1);
  chart.log_x = chart.log_y = true;
  expect_ok(plot_chart_write(scratch_path("all.svg"), &chart));
  chart.series = &some;
  expect_ok(plot_chart_write(scratch_path("some.svg"), &chart));
  check_same(scratch_path("all.svg"), scratch_path("some.svg"));

  const double one[] = {3};
  const plot_series single = {.x = one, .y = one, .count = 1, .line = true, .points = true};
  chart = chart_of(&single, 1);
  expect_ok(plot_chart_write(scratch_path("one.svg"), &chart));
}
END_TEST

/* Blue pixels of a value or a line on an axis from -10 to 10 whose page has 430 points for it. */
enum { BLUE = 0, POINTS = 430, PIXELS_A_POINT = 2, AXIS_PIXELS = POINTS * PIXELS_A_POINT };

static int blue_of(const plot_interval *row, double *middle)
{
  plot_interval rows[] = {*row, blank_row()};
  rows[0].colour = BLUE;
  rows[1].outer_low = -10; /* so that the axis is the same for all rows */
  rows[1].outer_high = 10;
  const plot_intervals intervals = intervals_of(rows, 2);
  expect_ok(plot_intervals_write(scratch_path("intervals.png"), &intervals));
  return count_pixels(scratch_path("intervals.png"), 0, 114, 178, middle);
}

START_TEST(values_and_intervals_lie_where_the_axis_says)
{
  double at[3];
  plot_interval row = blank_row();
  for (int i = 0; i < 3; i++) {
    row.value = 5.0 * (i - 1);
    ck_assert_int_gt(blue_of(&row, &at[i]), 100);
  }
  /* The line at 0 hides no part of the mark; half of the axis is 10. */
  ck_assert_double_eq_tol(at[1] - at[0], AXIS_PIXELS / 4.0, 1);
  ck_assert_double_eq_tol(at[2] - at[1], AXIS_PIXELS / 4.0, 1);

  row.value = NAN;
  row.low = -2;
  row.high = 6; /* 8 of 20 along, 3 points high; two pixels less where edges are smoothed */
  double middle;
  const int pixels = blue_of(&row, &middle);
  const double length = AXIS_PIXELS * 8 / 20.0, height = 3 * PIXELS_A_POINT;
  ck_assert_double_eq_tol(middle - at[1], AXIS_PIXELS * 2 / 20.0, 1);
  ck_assert_double_eq_tol(pixels, length * height, 2 * (length + height));

  plot_interval margins = blank_row();
  margins.value = 0;
  margins.margin = 1;
  const plot_interval other = blank_row();
  int band[2];
  for (int i = 0; i < 2; i++, margins.margin *= 2) {
    plot_interval rows[] = {margins, other};
    rows[1].outer_low = -10;
    rows[1].outer_high = 10;
    const plot_intervals intervals = intervals_of(rows, 2);
    expect_ok(plot_intervals_write(scratch_path("band.png"), &intervals));
    band[i] = count_pixels(scratch_path("band.png"), 214, 235, 219, NULL);
  }
  /* A row is 21 points high. The second band is a point wider at each side. */
  const double more = AXIS_PIXELS * 2 / 20.0 * 21 * PIXELS_A_POINT;
  ck_assert_double_eq_tol(band[1] - band[0], more, 0.05 * more);
}
END_TEST

/* How far a line or a value lies beyond the axis changes nothing; that it does so is shown. */
START_TEST(what_lies_beyond_an_axis_ends_in_an_arrowhead)
{
  static const double ends_at[] = {10, 50, 500};
  static const char *const files[] = {"at.svg", "beyond.svg", "far.svg"};
  for (int value = 0; value < 2; value++) {
    for (int i = 0; i < 3; i++) {
      plot_interval row = blank_row();
      row.low = -10;
      row.high = value ? 10 : ends_at[i];
      row.value = value ? ends_at[i] : 1;
      const plot_intervals intervals = intervals_of(&row, 1);
      expect_ok(plot_intervals_write(scratch_path(files[i]), &intervals));
    }
    ck_assert(!are_same(scratch_path(files[0]), scratch_path(files[1])));
    check_same(scratch_path(files[1]), scratch_path(files[2]));
  }
  plot_interval row = blank_row();
  double left, right;
  row.value = -500;
  ck_assert_int_gt(blue_of(&row, &left), 0);
  row.value = 500;
  ck_assert_int_gt(blue_of(&row, &right), 0);
  ck_assert_double_eq_tol(right - left, AXIS_PIXELS, 6 * PIXELS_A_POINT);
}
END_TEST

START_TEST(what_cannot_be_drawn_leaves_nothing)
{
  const double values[] = {0.5}, none[] = {NAN};
  const plot_map values_map = {.values = values};
  plot_heatmap map = maps_of(&values_map, 1, 1, 1);
  expect_failure(plot_heatmap_write(scratch_path("map.gif"), &map), CDL_STATUS_USAGE, "map.gif");
  expect_failure(plot_heatmap_write(scratch_path("svg"), &map), CDL_STATUS_USAGE, "svg");
  expect_failure(plot_heatmap_write(scratch_path("no/map.svg"), &map), CDL_STATUS_IO, "no/map.svg");
  map.high = map.low;
  expect_failure(plot_heatmap_write(scratch_path("map.svg"), &map), CDL_STATUS_ARGUMENT, "map.svg");
  const plot_series series = {.x = none, .y = none, .count = 1, .points = true};
  const plot_chart chart = chart_of(&series, 1);
  expect_failure(plot_chart_write(scratch_path("chart.svg"), &chart), CDL_STATUS_DATA, "loss");
  const plot_interval row = blank_row();
  plot_intervals intervals = intervals_of(&row, 1);
  expect_failure(plot_intervals_write(scratch_path("rows.svg"), &intervals), CDL_STATUS_DATA,
                 "Difference");
  intervals.most = 0;
  expect_failure(plot_intervals_write(scratch_path("rows.svg"), &intervals), CDL_STATUS_ARGUMENT,
                 "rows.svg");
  ck_assert_uint_eq(scratch_count_entries(), 0);
}
END_TEST

int main(void)
{
  return scratch_run("plot", (const TTest *[]){a_format_by_the_end_of_the_name, colours_say_values,
                                               charts_show_what_can_be_shown,
                                               a_page_is_as_wide_as_its_texts,
                                               rows_are_called_by_their_numbers,
                                               maps_stand_side_by_side, small_cells_have_no_numbers,
                                               values_and_intervals_lie_where_the_axis_says,
                                               what_lies_beyond_an_axis_ends_in_an_arrowhead,
                                               what_cannot_be_drawn_leaves_nothing, NULL});
}
