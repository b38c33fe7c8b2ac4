#include "bench/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  WIDTH = 960,
  LEFT = 90,
  RIGHT = 30,
  TOP = 50,
  HEIGHT = 460, /* of the plot itself */
  LINE = 20,    /* of the legend */
  COLOURS = 6
};

/* Okabe and Ito's palette, which the colour-blind can tell apart. */
static const char *const colours[COLOURS] = {"#0072B2", "#D55E00", "#009E73",
                                             "#CC79A7", "#E69F00", "#56B4E9"};

/* Decades shown, and where they lie. */
typedef struct {
  double x_low, x_high, y_low, y_high; /* log10 */
} axes;

static double at_x(const axes *a, double intensity)
{
  return LEFT + (log10(intensity) - a->x_low) / (a->x_high - a->x_low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const axes *a, double rate)
{
  return TOP + (a->y_high - log10(rate)) / (a->y_high - a->y_low) * HEIGHT;
}

static void write_escaped(FILE *f, const char *text)
{
  for (; *text != '\0'; text++)
    switch (*text) {
    case '&':
      fputs("&amp;", f);
      break;
    case '<':
      fputs("&lt;", f);
      break;
    case '>':
      fputs("&gt;", f);
      break;
    default:
      if ((unsigned char)*text >= 0x20)
        fputc(*text, f);
    }
}

/* ---- Points ---------------------------------------------------------------------------------- */

typedef struct {
  const report_table *table;
  const report_row *row;
  double intensity, rate; /* flop a byte, flop a second */
} point;

static bool read_point(const report_table *t, const report_row *row, point *p)
{
  const report_cell *intensity = report_find(t, row, "flop_per_byte"),
                    *rate = report_find(t, row, "flop_per_s");
  if (row->backend < 0 || intensity == NULL || rate == NULL || !(intensity->number > 0) ||
      !(rate->number > 0))
    return false;
  *p = (point){t, row, intensity->number, rate->number};
  return true;
}

typedef void (*on_point)(void *user, const point *p);

static void each_point(const report *r, on_point each, void *user)
{
  point p;
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t k = 0; k < r->tables[i].row_count; k++)
      if (read_point(&r->tables[i], &r->tables[i].rows[k], &p))
        each(user, &p);
}

static void widen(axes *a, double intensity, double rate)
{
  a->x_low = fmin(a->x_low, log10(intensity));
  a->x_high = fmax(a->x_high, log10(intensity));
  a->y_low = fmin(a->y_low, log10(rate));
  a->y_high = fmax(a->y_high, log10(rate));
}

static void widen_for_point(void *user, const point *p)
{
  widen(user, p->intensity, p->rate);
}

/* A mark's shape says the workload. */
static void write_mark(FILE *f, const char *workload, double x, double y, const char *colour)
{
  const double r = 4.5;
  if (strcmp(workload, "gemm") == 0)
    fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"", x, y, r);
  else if (strcmp(workload, "elementwise") == 0)
    fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", x - r, y - r, 2 * r,
            2 * r);
  else
    fprintf(f, "<path d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fZ\"", x, y - r - 1, x - r - 1, y + r,
            x + r + 1, y + r);
  fprintf(f, " fill=\"%s\" fill-opacity=\"0.75\" stroke=\"white\" stroke-width=\"0.8\"", colour);
}

typedef struct {
  FILE *file;
  const axes *axes;
  const report *report;
} plot;

static void write_point(void *user, const point *p)
{
  const plot *of = user;
  FILE *f = of->file;
  write_mark(f, p->table->name, at_x(of->axes, p->intensity), at_y(of->axes, p->rate),
             colours[p->row->backend % COLOURS]);
  fputs("><title>", f);
  write_escaped(f, of->report->backends[p->row->backend]);
  static const char *const keys[] = {"name", "direction", "shape"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const report_cell *cell = report_find(p->table, p->row, keys[i]);
    fputs(cell != NULL ? ", " : "", f);
    write_escaped(f, cell != NULL ? cell->text : "");
  }
  fprintf(f, ": %.4g GFLOP/s at %.3g flop/byte</title>%s\n", p->rate / 1e9, p->intensity,
          strcmp(p->table->name, "gemm") == 0          ? "</circle>"
          : strcmp(p->table->name, "elementwise") == 0 ? "</rect>"
                                                       : "</path>");
}

/* ---- Axes and roofs -------------------------------------------------------------------------- */

static void write_text(FILE *f, double x, double y, const char *anchor, const char *text)
{
  fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  write_escaped(f, text);
  fputs("</text>\n", f);
}

static void write_line(FILE *f, double x1, double y1, double x2, double y2, const char *style)
{
  fprintf(f, "<path d=\"M%.1f %.1fL%.1f %.1f\" %s/>\n", x1, y1, x2, y2, style);
}

static void write_axes(FILE *f, const axes *a)
{
  static const char *const major = "stroke=\"#cccccc\"", *const minor = "stroke=\"#eeeeee\"";
  const double right = WIDTH - RIGHT, bottom = TOP + HEIGHT;
  char label[32];
  for (int d = (int)a->x_low; d <= (int)a->x_high; d++)
    for (int k = 1; k <= (d < (int)a->x_high ? 9 : 1); k++) {
      const double x = at_x(a, k * pow(10, d));
      write_line(f, x, TOP, x, bottom, k == 1 ? major : minor);
      snprintf(label, sizeof label, "%g", pow(10, d));
      if (k == 1)
        write_text(f, x, bottom + 18, "middle", label);
    }
  for (int d = (int)a->y_low; d <= (int)a->y_high; d++)
    for (int k = 1; k <= (d < (int)a->y_high ? 9 : 1); k++) {
      const double y = at_y(a, k * pow(10, d));
      write_line(f, LEFT, y, right, y, k == 1 ? major : minor);
      snprintf(label, sizeof label, "%g", pow(10, d - 9));
      if (k == 1)
        write_text(f, LEFT - 8, y + 4, "end", label);
    }
  fprintf(f,
          "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#444444\"/>\n",
          LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT);
  write_text(f, (LEFT + right) / 2, bottom + 40, "middle",
             "arithmetic intensity, floating-point operations a byte");
  fprintf(
      f, "<text transform=\"translate(24 %d) rotate(-90)\" text-anchor=\"middle\">GFLOP/s</text>\n",
      TOP + HEIGHT / 2);
}

static bool is_known(bench_peak peak)
{
  return peak.flop_per_s > 0 && peak.bytes_per_s > 0;
}

/* min(peak, intensity · bandwidth) across the plot. */
static void write_roof(FILE *f, const axes *a, bench_peak peak, const char *colour, bool dashed)
{
  const double low = fmax(pow(10, a->x_low), pow(10, a->y_low) / peak.bytes_per_s),
               high = pow(10, a->x_high), ridge = peak.flop_per_s / peak.bytes_per_s;
  fprintf(f,
          "<path d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1f\" fill=\"none\" stroke=\"%s\" "
          "stroke-width=\"1.8\"%s/>\n",
          at_x(a, low), at_y(a, low * peak.bytes_per_s), at_x(a, ridge), at_y(a, peak.flop_per_s),
          at_x(a, high), at_y(a, peak.flop_per_s), colour,
          dashed ? " stroke-dasharray=\"7 4\"" : "");
}

static bench_peak measured_peak(const bench *b)
{
  return (bench_peak){b->best_gemm, b->copy_rate};
}

static bench_peak sheet_peak(const bench *b)
{
  const char *source;
  return bench_sheet_peak(cdl_backend_description(b->backend), b->options.precision, false,
                          &source);
}

static const char *colour_of(const report *r, const bench *b)
{
  for (size_t i = 0; i < r->backend_count; i++)
    if (strcmp(r->backends[i], b->label) == 0)
      return colours[i % COLOURS];
  return colours[0];
}

/* ---- The legend ------------------------------------------------------------------------------ */

static void write_legend(FILE *f, const report *r, const bench_list *list, double top)
{
  static const char *const marks[] = {"gemm", "elementwise", "attention"};
  for (int i = 0; i < 3; i++) {
    write_mark(f, marks[i], LEFT + 8 + 130 * i, top - 4, "#666666");
    fputs("/>\n", f);
    write_text(f, LEFT + 20 + 130 * i, top, "start", marks[i]);
  }
  for (size_t i = 0; i < list->count; i++) {
    const bench *b = &list->item[i];
    const bench_peak measured = measured_peak(b), sheet = sheet_peak(b);
    const double y = top + (double)LINE * (double)(2 * i + 1);
    char style[96], text[256];
    snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"3\"", colour_of(r, b));
    write_line(f, LEFT, y - 4, LEFT + 16, y - 4, style);
    snprintf(text, sizeof text, "%.40s: %.100s", b->label, cdl_backend_description(b->backend));
    write_text(f, LEFT + 24, y, "start", text);
    int used = snprintf(text, sizeof text, "measured %.4g GFLOP/s, %.4g GB/s (solid)",
                        measured.flop_per_s / 1e9, measured.bytes_per_s / 1e9);
    if (is_known(sheet))
      snprintf(text + used, sizeof text - (size_t)used,
               "; data sheet %.4g GFLOP/s, %.4g GB/s (dashed)", sheet.flop_per_s / 1e9,
               sheet.bytes_per_s / 1e9);
    write_text(f, LEFT + 24, y + LINE, "start", text);
  }
}

cdl_status bench_roofline_write(const report *r, const bench_list *list, FILE *f)
{
  axes a = {INFINITY, -INFINITY, INFINITY, -INFINITY};
  each_point(r, widen_for_point, &a);
  if (!isfinite(a.x_low))
    return cdl_fail(CDL_DATA, "a roofline plot wants cases of gemm, elementwise or attention");
  for (size_t i = 0; i < list->count; i++) {
    const bench_peak peaks[] = {measured_peak(&list->item[i]), sheet_peak(&list->item[i])};
    for (int k = 0; k < 2; k++)
      if (is_known(peaks[k]))
        widen(&a, peaks[k].flop_per_s / peaks[k].bytes_per_s, peaks[k].flop_per_s);
  }
  a = (axes){floor(a.x_low), floor(a.x_high) + 1, floor(a.y_low), floor(a.y_high) + 1};
  const int height = TOP + HEIGHT + 60 + LINE * (int)(2 * list->count + 2);
  fprintf(
      f,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n"
      "<title>Roofline of bench-condlora %s</title>\n"
      "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
      WIDTH, height, WIDTH, height, cdl_version(), WIDTH, height);
  char title[160];
  snprintf(title, sizeof title, "bench-condlora %s: %s, caches %s", cdl_version(),
           json_string_value(json_object_get(r->facts, "precision")),
           json_string_value(json_object_get(r->facts, "caches")));
  write_text(f, LEFT, TOP - 20, "start", title);
  write_axes(f, &a);
  for (size_t i = 0; i < list->count; i++) {
    const bench *b = &list->item[i];
    if (is_known(measured_peak(b)))
      write_roof(f, &a, measured_peak(b), colour_of(r, b), false);
    if (is_known(sheet_peak(b)))
      write_roof(f, &a, sheet_peak(b), colour_of(r, b), true);
  }
  plot p = {f, &a, r};
  each_point(r, write_point, &p);
  write_legend(f, r, list, TOP + HEIGHT + 66);
  fputs("</svg>\n", f);
  return CDL_OK;
}
