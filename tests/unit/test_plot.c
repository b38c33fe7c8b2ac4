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

static plot_heatmap map_of(const double *values, int rows, int columns)
{
  return (plot_heatmap){.title = "C_A <query> & value: ä",
                        .rows = rows,
                        .columns = columns,
                        .values = values,
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

static void check_same(const char *a, const char *b)
{
  size_t bytes;
  uint8_t *content = scratch_get(a, &bytes);
  expect_content(b, content, bytes);
  free(content);
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
    const plot_heatmap map = map_of(values, 2, 2);
    expect_ok(plot_heatmap_write(named("a", ends[i]), &map));
    expect_ok(plot_heatmap_write(named("b", ends[i]), &map));
    check_same(named("a", ends[i]), named("b", ends[i]));
    const plot_chart chart = chart_of(&series, 1);
    expect_ok(plot_chart_write(named("c", ends[i]), &chart));
    expect_ok(plot_chart_write(named("d", ends[i]), &chart));
    check_same(named("c", ends[i]), named("d", ends[i]));
    uint8_t *content = scratch_get(named("c", ends[i]), &bytes);
    ck_assert_int_eq(memcmp(content, beginnings[i], strlen(beginnings[i])), 0);
    free(content);
  }
}
END_TEST

/* Pixels of a colour, of 255, give or take rounding. */
static int count_pixels(const char *path, int red, int green, int blue)
{
  cairo_surface_t *image = cairo_image_surface_create_from_png(path);
  ck_assert_int_eq(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
  cairo_surface_flush(image);
  const int width = cairo_image_surface_get_width(image),
            height = cairo_image_surface_get_height(image),
            stride = cairo_image_surface_get_stride(image);
  const unsigned char *data = cairo_image_surface_get_data(image);
  int count = 0;
  for (int row = 0; row < height; row++)
    for (int column = 0; column < width; column++) {
      uint32_t pixel;
      memcpy(&pixel, data + (size_t)row * (size_t)stride + 4 * (size_t)column, sizeof pixel);
      count += abs((int)(pixel >> 16 & 255) - red) <= 1 &&
               abs((int)(pixel >> 8 & 255) - green) <= 1 && abs((int)(pixel & 255) - blue) <= 1;
    }
  cairo_surface_destroy(image);
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
    const plot_heatmap map = map_of(four, 2, 2);
    expect_ok(plot_heatmap_write(scratch_path("map.png"), &map));
    for (int c = 0; c < 3; c++)
      found[v][c] =
          count_pixels(scratch_path("map.png"), colours[c][0], colours[c][1], colours[c][2]);
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
  plot_heatmap narrow = map_of(values, 1, 1), wide = map_of(values, COLUMNS, COLUMNS);
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
}
END_TEST

START_TEST(rows_are_called_by_their_numbers)
{
  static const double values[] = {0, 1, 1, 0};
  static const int places[] = {0, 1}, others[] = {3, 11};
  plot_heatmap map = map_of(values, 2, 2);
  expect_ok(plot_heatmap_write(scratch_path("a.svg"), &map));
  map.numbers = places;
  expect_ok(plot_heatmap_write(scratch_path("b.svg"), &map));
  check_same(scratch_path("a.svg"), scratch_path("b.svg"));
  map.numbers = others;
  expect_ok(plot_heatmap_write(scratch_path("c.svg"), &map));
  size_t bytes, other_bytes;
  uint8_t *content = scratch_get(scratch_path("a.svg"), &bytes),
          *other = scratch_get(scratch_path("c.svg"), &other_bytes);
  ck_assert(bytes != other_bytes || memcmp(content, other, bytes) != 0);
  free(content);
  free(other);
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

START_TEST(what_cannot_be_drawn_leaves_nothing)
{
  const double values[] = {0.5}, none[] = {NAN};
  plot_heatmap map = map_of(values, 1, 1);
  expect_failure(plot_heatmap_write(scratch_path("map.gif"), &map), CDL_STATUS_USAGE, "map.gif");
  expect_failure(plot_heatmap_write(scratch_path("svg"), &map), CDL_STATUS_USAGE, "svg");
  expect_failure(plot_heatmap_write(scratch_path("no/map.svg"), &map), CDL_STATUS_IO, "no/map.svg");
  map.high = map.low;
  expect_failure(plot_heatmap_write(scratch_path("map.svg"), &map), CDL_STATUS_ARGUMENT, "map.svg");
  const plot_series series = {.x = none, .y = none, .count = 1, .points = true};
  const plot_chart chart = chart_of(&series, 1);
  expect_failure(plot_chart_write(scratch_path("chart.svg"), &chart), CDL_STATUS_DATA, "loss");
  ck_assert_uint_eq(scratch_count_entries(), 0);
}
END_TEST

int main(void)
{
  return scratch_run("plot", (const TTest *[]){a_format_by_the_end_of_the_name, colours_say_values,
                                               charts_show_what_can_be_shown,
                                               a_page_is_as_wide_as_its_texts,
                                               rows_are_called_by_their_numbers,
                                               what_cannot_be_drawn_leaves_nothing, NULL});
}
