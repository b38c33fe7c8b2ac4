#include "bench/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/plot/plot.h"

enum { NAME_BYTES = 256, ROOF_POINTS = 3, ROOFS_A_BACKEND = 2 };

/* One series with the memory that it uses. */
typedef struct {
  char name[2 * NAME_BYTES], fastest[NAME_BYTES];
  double *x, *y; /* flop per byte, flop per second; owned */
} drawn;

typedef struct {
  plot_series *series;
  drawn *drawn;
  size_t count;
  double x_low, x_high, y_low; /* bounds of all points, in decades */
} plan;

static bool is_known(bench_peak peak)
{
  return peak.flop_per_s > 0 && peak.bytes_per_s > 0;
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

static int backend_of(const bench_report *r, const bench *b)
{
  for (size_t i = 0; i < r->backend_count; i++)
    if (strcmp(r->backends[i], b->label) == 0)
      return (int)i;
  return 0;
}

/* ---- Points ---- */

static bool read_point(const bench_report_table *t, const bench_report_row *row, int backend,
                       double *intensity, double *rate)
{
  const bench_report_cell *x = bench_report_find(t, row, "flop_per_byte"),
                          *y = bench_report_find(t, row, "flop_per_s");
  if (row->backend != backend || x == NULL || y == NULL || !(x->number > 0) || !(y->number > 0))
    return false;
  *intensity = x->number;
  *rate = y->number;
  return true;
}

/* Makes a row's name, such as "linear forward 512x768x768". */
static void name_row(const bench_report_table *t, const bench_report_row *row, char *name)
{
  static const char *const keys[] = {"name", "direction", "shape"};
  name[0] = '\0';
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const bench_report_cell *cell = bench_report_find(t, row, keys[i]);
    const size_t used = strlen(name);
    if (cell != NULL && cell->text != NULL)
      snprintf(name + used, NAME_BYTES - used, "%s%.80s", used > 0 ? " " : "", cell->text);
  }
}

static void widen(plan *p, double x, double y)
{
  p->x_low = fmin(p->x_low, floor(log10(x)));
  p->x_high = fmax(p->x_high, floor(log10(x)) + 1);
  p->y_low = fmin(p->y_low, floor(log10(y)));
}

/* Adds the rows of a table that belong to a backend; the mark's shape identifies the workload. */
static cdl_status add_cloud(plan *p, const bench_report *r, const bench_report_table *t,
                            int backend)
{
  drawn *d = &p->drawn[p->count];
  plot_series *s = &p->series[p->count];
  d->x = calloc(2 * t->row_count + 1, sizeof *d->x);
  if (d->x == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the plot");
  d->y = d->x + t->row_count;
  *s = (plot_series){.x = d->x, .y = d->y, .colour = backend, .points = true};
  s->mark = strcmp(t->name, "gemm") == 0          ? PLOT_MARK_CIRCLE
            : strcmp(t->name, "elementwise") == 0 ? PLOT_MARK_SQUARE
                                                  : PLOT_MARK_TRIANGLE;
  double fastest = 0;
  for (size_t i = 0; i < t->row_count; i++) {
    if (!read_point(t, &t->rows[i], backend, &d->x[s->count], &d->y[s->count]))
      continue;
    widen(p, d->x[s->count], d->y[s->count]);
    if (d->y[s->count] > fastest) {
      fastest = d->y[s->count];
      name_row(t, &t->rows[i], d->fastest);
    }
    s->count++;
  }
  snprintf(d->name, sizeof d->name, "%.60s, %s; fastest: %s", r->backends[backend], t->name,
           d->fastest);
  s->name = d->name;
  if (s->count > 0)
    p->count++;
  else
    free(d->x);
  return CDL_STATUS_OK;
}

/* ---- Roofs ---- */

/* Adds min(peak, intensity · bandwidth) across the plot. */
static cdl_status add_roof(plan *p, bench_peak peak, int backend, bool dashed)
{
  drawn *d = &p->drawn[p->count];
  d->x = calloc(2 * (size_t)ROOF_POINTS, sizeof *d->x);
  if (d->x == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the plot");
  d->y = d->x + ROOF_POINTS;
  d->x[0] = fmax(pow(10, p->x_low), pow(10, p->y_low) / peak.bytes_per_s);
  d->x[1] = peak.flop_per_s / peak.bytes_per_s;
  d->x[2] = pow(10, p->x_high);
  for (int i = 0; i < ROOF_POINTS; i++)
    d->y[i] = fmin(peak.flop_per_s, d->x[i] * peak.bytes_per_s);
  p->series[p->count++] = (plot_series){.x = d->x,
                                        .y = d->y,
                                        .count = ROOF_POINTS,
                                        .colour = backend,
                                        .line = true,
                                        .dashed = dashed};
  return CDL_STATUS_OK;
}

static cdl_status add_roofs(plan *p, const bench_report *r, const bench_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    const bench_peak peaks[ROOFS_A_BACKEND] = {measured_peak(&list->item[i]),
                                               sheet_peak(&list->item[i])};
    for (int k = 0; k < ROOFS_A_BACKEND; k++)
      if (is_known(peaks[k]))
        widen(p, peaks[k].flop_per_s / peaks[k].bytes_per_s, peaks[k].flop_per_s);
  }
  for (size_t i = 0; i < list->count; i++) {
    const bench *b = &list->item[i];
    const int backend = backend_of(r, b);
    if (is_known(measured_peak(b)))
      CDL_TRY(add_roof(p, measured_peak(b), backend, false));
    if (is_known(sheet_peak(b)))
      CDL_TRY(add_roof(p, sheet_peak(b), backend, true));
  }
  return CDL_STATUS_OK;
}

/* Writes "cpu: vector set …: measured 80 GFLOP/s, 12 GB/s (solid)". */
static void describe(const bench *b, char *text)
{
  const bench_peak measured = measured_peak(b), sheet = sheet_peak(b);
  const int used = snprintf(text, NAME_BYTES, "%.40s: measured %.4g GFLOP/s, %.4g GB/s (solid)",
                            b->label, measured.flop_per_s / 1e9, measured.bytes_per_s / 1e9);
  if (is_known(sheet))
    snprintf(text + used, NAME_BYTES - (size_t)used,
             "; data sheet %.4g GFLOP/s, %.4g GB/s (dashed)", sheet.flop_per_s / 1e9,
             sheet.bytes_per_s / 1e9);
}

/* ---- The chart ---- */

static cdl_status write_chart(const plan *p, const bench_report *r, const bench_list *list,
                              const char *path)
{
  char(*lines)[NAME_BYTES] = calloc(2 * list->count + 1, sizeof *lines);
  const char **notes = calloc(2 * list->count + 1, sizeof *notes);
  if (lines == NULL || notes == NULL) {
    free(lines);
    free(notes);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the plot");
  }
  for (size_t i = 0; i < list->count; i++) {
    snprintf(lines[2 * i], NAME_BYTES, "%.40s: %.120s", list->item[i].label,
             cdl_backend_description(list->item[i].backend));
    describe(&list->item[i], lines[2 * i + 1]);
    notes[2 * i] = lines[2 * i];
    notes[2 * i + 1] = lines[2 * i + 1];
  }
  char title[160];
  snprintf(title, sizeof title, "bench-condlora %s: %s, caches %s", cdl_version(),
           json_string_value(json_object_get(r->facts, "precision")),
           json_string_value(json_object_get(r->facts, "caches")));
  const plot_chart chart = {.title = title,
                            .x_axis = "arithmetic intensity, floating-point operations a byte",
                            .y_axis = "GFLOP/s",
                            .log_x = true,
                            .log_y = true,
                            .y_unit = 1e9,
                            .series = p->series,
                            .series_count = (int)p->count,
                            .notes = notes,
                            .note_count = (int)(2 * list->count)};
  const cdl_status status = plot_chart_write(path, &chart);
  free(lines);
  free(notes);
  return status;
}

static cdl_status fill(plan *p, const bench_report *r, const bench_list *list)
{
  for (size_t i = 0; i < r->backend_count; i++)
    for (size_t k = 0; k < r->table_count; k++)
      CDL_TRY(add_cloud(p, r, &r->tables[k], (int)i));
  if (p->count == 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "a roofline plot wants cases of gemm, elementwise or attention");
  return add_roofs(p, r, list);
}

cdl_status bench_roofline_write(const bench_report *r, const bench_list *list, const char *path)
{
  const size_t most = r->backend_count * r->table_count + ROOFS_A_BACKEND * list->count + 1;
  plan p = {.series = calloc(most, sizeof *p.series),
            .drawn = calloc(most, sizeof *p.drawn),
            .x_low = INFINITY,
            .x_high = -INFINITY,
            .y_low = INFINITY};
  cdl_status status = p.series != NULL && p.drawn != NULL
                          ? fill(&p, r, list)
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the plot");
  if (status == CDL_STATUS_OK)
    status = write_chart(&p, r, list, path);
  for (size_t i = 0; i < p.count; i++)
    free(p.drawn[i].x);
  free(p.series);
  free(p.drawn);
  return status;
}
