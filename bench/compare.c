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

static double *samples_of(const json_t *row, size_t *count)
{
  const json_t *list = json_object_get(row, "samples_s");
  *count = json_array_size(list);
  double *samples = *count > 0 ? malloc(*count * sizeof *samples) : NULL;
  for (size_t i = 0; samples != NULL && i < *count; i++)
    samples[i] = json_number_value(json_array_get(list, i));
  return samples;
}

typedef struct {
  FILE *file;
  bool wide; /* several backends: a column names the backend */
  size_t cases, slower, faster, alone;
} comparison;

static bool is_timed(const json_t *row)
{
  return json_array_size(json_object_get(row, "samples_s")) > 0;
}

static void compare_rows(comparison *c, const char *table, const json_t *before,
                         const json_t *after)
{
  const double significant = 0.01, worth = 0.03;
  size_t n, m;
  double *x = samples_of(before, &n), *y = samples_of(after, &m);
  if (x != NULL && y != NULL) {
    const double p = bench_mann_whitney(x, n, y, m);
    const double old = bench_measure_median(x, n), new = bench_measure_median(y, m),
                 change = new / old - 1;
    const bool differs = p < significant && fabs(change) > worth;
    c->cases++;
    c->slower += differs && change > 0;
    c->faster += differs && change < 0;
    const char *shape = text_of(after, "shape");
    const char *was = text_of(before, "path"), *is = text_of(after, "path");
    if (c->wide)
      fprintf(c->file, "%-10s ", text_of(after, "backend"));
    fprintf(c->file, "%-12s %-36s %-20s %11.3f µs %11.3f µs %+7.1f %%  p %.2g  %s", table,
            text_of(after, "name"), shape[0] != '\0' ? shape : text_of(after, "direction"),
            old * 1e6, new * 1e6, 100 * change, p,
            !differs     ? "same"
            : change > 0 ? "SLOWER"
                         : "faster");
    if (strcmp(was, is) != 0)
      fprintf(c->file, ", was %s, is %s", was, is);
    fputc('\n', c->file);
  }
  free(x);
  free(y);
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
static void compare_tables(comparison *c, const json_t *before, const json_t *after)
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
        compare_rows(c, text_of(table, "name"), old, row);
      else
        c->alone++;
    }
  }
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
  static const char *const facts[] = {"version", "clock", "precision", "shapes", "caches", "quick"};
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
  c->wide = has_several_backends(after);
  say_conditions(c, before, after);
  compare_tables(c, before, after);
  fprintf(c->file,
          "%zu cases: %zu slower, %zu faster; in one report alone: %zu before, %zu after\n",
          c->cases, c->slower, c->faster, count_cases(before) - c->cases, c->alone);
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
