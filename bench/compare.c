#include "bench/compare.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "bench/measure.h"

/* ---- Mann and Whitney ---- */

typedef struct {
  double value;
  bool of_x;
} ranked;

static int by_value(const void *a, const void *b)
{
  const double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
  return (x > y) - (x < y);
}

/* Counts the ways to choose n of n + m ranks with a U of at most `u`, by the recursion of Mann and
 * Whitney (1947) for exactly u: count(u; n, m) = count(u − m; n − 1, m) + count(u; n, m − 1). */
static double ways(int u, int n, int m)
{
  if (u < 0)
    return 0;
  if (n == 0 || m == 0)
    return u == 0;
  return ways(u - m, n - 1, m) + ways(u, n, m - 1);
}

static double exact_p(double u, size_t n, size_t m)
{
  double tail = 0, all = 1;
  const double least = fmin(u, (double)(n * m) - u);
  for (int k = 0; k <= (int)least; k++)
    tail += ways(k, (int)n, (int)m);
  for (size_t k = 1; k <= n; k++)
    all *= (double)(m + k) / (double)k;
  return fmin(1, 2 * tail / all);
}

double bench_mann_whitney(const double *x, size_t n, const double *y, size_t m)
{
  enum { EXACT_MOST = 20 };
  const size_t count = n + m;
  ranked *all = n > 0 && m > 0 ? malloc(count * sizeof *all) : NULL;
  if (all == NULL)
    return 1;
  for (size_t i = 0; i < count; i++)
    all[i] = (ranked){i < n ? x[i] : y[i - n], i < n};
  qsort(all, count, sizeof *all, by_value);
  double ranks = 0, ties = 0;
  for (size_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && !(all[end].value > all[i].value); end++)
      ;
    const double t = (double)(end - i), rank = ((double)(i + 1) + (double)end) / 2;
    for (size_t k = i; k < end; k++)
      ranks += all[k].of_x ? rank : 0;
    ties += t * t * t - t;
  }
  free(all);
  const double dn = (double)n, dm = (double)m, total = dn + dm, u = ranks - dn * (dn + 1) / 2;
  if (count <= EXACT_MOST && !(ties > 0))
    return exact_p(u, n, m);
  const double variance = dn * dm / 12 * (total + 1 - ties / (total * (total - 1)));
  const double distance = fmax(0, fabs(u - dn * dm / 2) - 0.5);
  return variance > 0 ? erfc(distance / sqrt(2 * variance)) : 1;
}

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

cdl_status bench_ratio_interval(const double *x, size_t n, const double *y, size_t m, double *low,
                                double *high)
{
  const double z = 2.5758293035489; /* of 99 %, two-sided */
  const double pairs = (double)n * (double)m,
               rank = floor(pairs / 2 - z * sqrt(pairs * (double)(n + m + 1) / 12));
  *low = 0;
  *high = (double)INFINITY;
  if (rank < 1)
    return CDL_STATUS_OK;
  double *ratios = malloc(n * m * sizeof *ratios);
  if (ratios == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu ratios", n * m);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < m; k++)
      ratios[i * m + k] = y[k] / x[i];
  qsort(ratios, n * m, sizeof *ratios, ascending);
  *low = ratios[(size_t)rank - 1];
  *high = ratios[n * m - (size_t)rank];
  free(ratios);
  return CDL_STATUS_OK;
}

/* ---- Reports ---- */

cdl_status bench_report_read(const char *path, json_t **root)
{
  CDL_TRY(base_json_read(path, root));
  if (json_is_array(json_object_get(*root, "tables")))
    return CDL_STATUS_OK;
  json_decref(*root);
  *root = NULL;
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: no report of bench-condlora in JSON: it has no list of tables", path);
}

/* Returns whether two rows are the same case: the same backend and shape; their paths may
 * differ. */
static bool same_case(const json_t *a, const json_t *b)
{
  static const char *const keys[] = {"backend", "name", "shape", "direction"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
    if ((x == NULL) != (y == NULL) || (x != NULL && !json_equal(x, y)))
      return false;
  }
  return true;
}

static const char *text_of(const json_t *row, const char *key)
{
  const char *text = json_string_value(json_object_get(row, key));
  return text != NULL ? text : "";
}

static const json_t *find_table(const json_t *root, const char *name, const char *title)
{
  size_t i;
  json_t *table;
  json_array_foreach(json_object_get(root, "tables"), i, table)
  {
    if (strcmp(text_of(table, "name"), name) == 0 && strcmp(text_of(table, "title"), title) == 0)
      return table;
  }
  return NULL;
}

/* Returns the times of single runs, or counts of instructions: an array. */
static const json_t *samples_in(const json_t *row)
{
  const json_t *seconds = json_object_get(row, "samples_s");
  return seconds != NULL ? seconds : json_object_get(row, "samples_instructions");
}

static double *samples_of(const json_t *row, size_t *count)
{
  const json_t *list = samples_in(row);
  const double unit = json_object_get(row, "samples_s") != NULL ? 1 : 1 / BENCH_MEASURE_PER_SECOND;
  *count = json_array_size(list);
  double *samples = *count > 0 ? malloc(*count * sizeof *samples) : NULL;
  for (size_t i = 0; samples != NULL && i < *count; i++)
    samples[i] = json_number_value(json_array_get(list, i)) * unit;
  return samples;
}

typedef struct {
  FILE *file;
  bool wide; /* several backends: a column names the backend */
  bench_measure_clock clock;
  size_t cases, slower, faster, same, alone;
} comparison;

static bool is_timed(const json_t *row)
{
  return json_array_size(samples_in(row)) > 0;
}

/* Counts the case too. */
static cdl_status judge(comparison *c, const double *x, size_t n, const double *y, size_t m,
                        double change, double p, const char **verdict)
{
  const double significant = 0.01, worth = 0.03;
  double low, high;
  CDL_TRY(bench_ratio_interval(x, n, y, m, &low, &high));
  c->cases++;
  if (p < significant && fabs(change) > worth) {
    c->slower += change > 0;
    c->faster += change < 0;
    *verdict = change > 0 ? "SLOWER" : "faster";
  } else if (low > 1 - worth && high < 1 + worth) {
    c->same++;
    *verdict = "same";
  } else
    *verdict = "undecided";
  return CDL_STATUS_OK;
}

static void write_case(const comparison *c, const char *table, const json_t *before,
                       const json_t *after, double old, double new, double p, const char *verdict)
{
  char was_shown[BENCH_MEASURE_TEXT], is_shown[BENCH_MEASURE_TEXT];
  const char *shape = text_of(after, "shape");
  const char *was = text_of(before, "path"), *is = text_of(after, "path");
  /* Room for the second byte of µ, which takes no column. */
  bench_measure_show(old, c->clock, was_shown);
  bench_measure_show(new, c->clock, is_shown);
  const int more_was = strstr(was_shown, "µ") != NULL, more_is = strstr(is_shown, "µ") != NULL;
  if (c->wide)
    fprintf(c->file, "%-10s ", text_of(after, "backend"));
  fprintf(c->file, "%-12s %-36s %-20s %*s %*s %+7.1f %%  p %.2g  %s", table, text_of(after, "name"),
          shape[0] != '\0' ? shape : text_of(after, "direction"), 11 + more_was, was_shown,
          11 + more_is, is_shown, 100 * (new / old - 1), p, verdict);
  if (strcmp(was, is) != 0)
    fprintf(c->file, ", was %s, is %s", was, is);
  fputc('\n', c->file);
}

static cdl_status compare_rows(comparison *c, const char *table, const json_t *before,
                               const json_t *after)
{
  size_t n, m;
  cdl_status status = CDL_STATUS_OK;
  double *x = samples_of(before, &n), *y = samples_of(after, &m);
  if (x != NULL && y != NULL) {
    const char *verdict;
    const double p = bench_mann_whitney(x, n, y, m);
    const double old = bench_measure_median(x, n), new = bench_measure_median(y, m);
    status = judge(c, x, n, y, m, new / old - 1, p, &verdict);
    if (status == CDL_STATUS_OK)
      write_case(c, table, before, after, old, new, p, verdict);
  }
  free(x);
  free(y);
  return status;
}

/* Finds the row of the same case in the other report, or NULL. */
static const json_t *find_row(const json_t *table, const json_t *like)
{
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(table, "rows"), i, row)
  {
    if (is_timed(row) && same_case(row, like))
      return row;
  }
  return NULL;
}

/* Calls compare_rows for cases of both reports, and counts those of `after` only. */
static cdl_status compare_tables(comparison *c, const json_t *before, const json_t *after)
{
  size_t i, k;
  json_t *table, *row;
  json_array_foreach(json_object_get(after, "tables"), i, table)
  {
    const json_t *other = find_table(before, text_of(table, "name"), text_of(table, "title"));
    json_array_foreach(json_object_get(table, "rows"), k, row)
    {
      if (!is_timed(row))
        continue;
      const json_t *old = find_row(other, row);
      if (old != NULL)
        CDL_TRY(compare_rows(c, text_of(table, "name"), old, row));
      else
        c->alone++;
    }
  }
  return CDL_STATUS_OK;
}

static size_t count_cases(const json_t *root)
{
  size_t i, k, count = 0;
  json_t *table, *row;
  json_array_foreach(json_object_get(root, "tables"), i, table)
  {
    json_array_foreach(json_object_get(table, "rows"), k, row) count += is_timed(row);
  }
  return count;
}

/* Prints conditions that may explain a difference besides the code: another device or another way
 * of measuring. */
static void say_conditions(const comparison *c, const json_t *a, const json_t *b)
{
  static const char *const facts[] = {"version", "commit",    "clock",   "precision",
                                      "shapes",  "caches",    "quick",   "host",
                                      "system",  "processor", "governor"};
  for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
    if (strcmp(text_of(a, facts[i]), text_of(b, facts[i])) != 0)
      fprintf(c->file, "%s: was %s, is %s\n", facts[i], text_of(a, facts[i]), text_of(b, facts[i]));
  const json_t *before = find_table(a, "backends", "backends"),
               *after = find_table(b, "backends", "backends");
  size_t i, k;
  json_t *x, *y;
  json_array_foreach(json_object_get(before, "rows"), i, x)
  {
    json_array_foreach(json_object_get(after, "rows"), k, y)
    {
      if (strcmp(text_of(x, "name"), text_of(y, "name")) == 0 &&
          strcmp(text_of(x, "device"), text_of(y, "device")) != 0)
        fprintf(c->file, "%s: was %s, is %s\n", text_of(x, "name"), text_of(x, "device"),
                text_of(y, "device"));
    }
  }
}

/* Times of two machines, or of a busy one, say little about the code. */
static void warn_of_machines(const comparison *c, const json_t *a, const json_t *b)
{
  static const char *const facts[] = {"host", "processor"};
  const json_t *const reports[] = {a, b};
  const double busy = 0.5;
  bool other = json_number_value(json_object_get(a, "processors")) !=
               json_number_value(json_object_get(b, "processors"));
  for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
    other = other || strcmp(text_of(a, facts[i]), text_of(b, facts[i])) != 0;
  if (other)
    fprintf(c->file, "warning: the reports are of two machines; a difference need not be the "
                     "code's\n");
  for (size_t i = 0; i < 2; i++) {
    const double load = json_number_value(json_object_get(reports[i], "load")),
                 processors = json_number_value(json_object_get(reports[i], "processors"));
    if (processors > 0 && load > busy * processors && c->clock == BENCH_MEASURE_WALL)
      fprintf(c->file,
              "warning: the machine of the %s report was busy: load %.3g on %g processors\n",
              i == 0 ? "first" : "second", load, processors);
  }
}

static bool has_several_backends(const json_t *root)
{
  size_t i, k;
  json_t *table, *row;
  const char *first = NULL;
  json_array_foreach(json_object_get(root, "tables"), i, table)
  {
    json_array_foreach(json_object_get(table, "rows"), k, row)
    {
      const char *backend = json_string_value(json_object_get(row, "backend"));
      first = first != NULL ? first : backend;
      if (backend != NULL && strcmp(backend, first) != 0)
        return true;
    }
  }
  return false;
}

static cdl_status compare_roots(comparison *c, const json_t *before, const json_t *after)
{
  const bool instructions = strcmp(text_of(after, "clock"), "instructions") == 0;
  if (instructions != (strcmp(text_of(before, "clock"), "instructions") == 0))
    return cdl_fail(CDL_STATUS_DATA, "one counts instructions, the other seconds");
  c->wide = has_several_backends(after);
  c->clock = instructions                                        ? BENCH_MEASURE_INSTRUCTIONS
             : strcmp(text_of(after, "clock"), "processor") == 0 ? BENCH_MEASURE_PROCESSOR
                                                                 : BENCH_MEASURE_WALL;
  say_conditions(c, before, after);
  warn_of_machines(c, before, after);
  CDL_TRY(compare_tables(c, before, after));
  fprintf(c->file,
          "%zu cases: %zu slower, %zu faster, %zu the same, %zu undecided; in one report alone: "
          "%zu before, %zu after\n",
          c->cases, c->slower, c->faster, c->same, c->cases - c->slower - c->faster - c->same,
          count_cases(before) - c->cases, c->alone);
  return c->cases > 0 ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_DATA, "no measured case in common");
}

cdl_status bench_compare_reports(const char *before, const char *after, FILE *file, bool *slower)
{
  json_t *a = NULL, *b = NULL;
  char *text = NULL;
  size_t bytes = 0;
  comparison c = {.file = open_memstream(&text, &bytes)};
  if (c.file == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a comparison");
  cdl_status status = bench_report_read(before, &a);
  if (status == CDL_STATUS_OK)
    status = bench_report_read(after, &b);
  if (status == CDL_STATUS_OK)
    status = cdl_context(compare_roots(&c, a, b), "%s and %s", before, after);
  if (fclose(c.file) != 0 && status == CDL_STATUS_OK)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: a comparison");
  if (status == CDL_STATUS_OK)
    fwrite(text, 1, bytes, file);
  free(text);
  json_decref(a);
  json_decref(b);
  *slower = c.slower > 0;
  return status;
}
