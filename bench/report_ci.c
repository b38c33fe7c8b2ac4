/* Reports for services that watch the speed of commits.
 *
 * Bencher Metric Format: {"CASE": {"MEASURE": {"value", "lower_value", "upper_value"}}}, with the
 * measures latency (ns) and throughput (per second)
 * (https://bencher.dev/docs/reference/bencher-metric-format).
 *
 * github-action-benchmark, customSmallerIsBetter: [{"name", "unit", "value", "range", "extra"}]
 * (https://github.com/benchmark-action/github-action-benchmark). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "bench/report.h"

enum { NAME_BYTES = 512 };

/* Gives "cpu/gemm/query, MiniLM/16x384x384": what tells a case from others, in words that stay. */
static void name_case(const bench_report *r, const bench_report_table *t,
                      const bench_report_row *row, char name[NAME_BYTES])
{
  size_t used = (size_t)snprintf(name, NAME_BYTES, "%.64s/%.64s",
                                 row->backend >= 0 ? r->backends[row->backend] : "", t->name);
  for (size_t c = 0; c < t->column_count; c++)
    if (t->columns[c].unit == BENCH_REPORT_TEXT && strcmp(t->columns[c].key, "path") != 0 &&
        row->cell[c].present)
      used += (size_t)snprintf(name + used, NAME_BYTES - used, "/%.64s", row->cell[c].text);
}

static double number_in(const bench_report_table *t, const bench_report_row *row, const char *key)
{
  const bench_report_cell *cell = bench_report_find(t, row, key);
  return cell != NULL ? cell->number : (double)NAN;
}

/* Seconds as nanoseconds, in which both services have time; instructions as what they are. The same
 * factor serves both. */
static json_t *nanoseconds(double seconds)
{
  return base_json_rounded(seconds * BENCH_MEASURE_PER_SECOND, 3);
}

typedef json_t *(*case_json)(const bench_report *r, const bench_report_table *t,
                             const bench_report_row *row);

/* Writes what `make` makes of each timed row; takes `all` over, an object or an array. */
static cdl_status write_cases(const bench_report *r, FILE *file, json_t *all, case_json make)
{
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t k = 0; k < r->tables[i].row_count; k++) {
      const bench_report_table *t = &r->tables[i];
      const bench_report_row *row = &t->rows[k];
      char name[NAME_BYTES];
      if (row->sample_count == 0 || all == NULL)
        continue;
      name_case(r, t, row, name);
      if (json_is_array(all)) {
        json_t *named = json_pack("{ss}", "name", name);
        base_json_update(&named, make(r, t, row));
        base_json_append(&all, named);
      } else
        base_json_set(&all, name, make(r, t, row));
    }
  char *text = base_json_text(all);
  json_decref(all);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the report");
  fputs(text, file);
  free(text);
  return CDL_STATUS_OK;
}

static json_t *bmf_case(const bench_report *r, const bench_report_table *t,
                        const bench_report_row *row)
{
  const double examples = number_in(t, row, "examples_per_s"), joules = number_in(t, row, "joules");
  json_t *measures = json_object(), *time = json_object();
  base_json_set(&time, "value", nanoseconds(number_in(t, row, "median_s")));
  base_json_set(&time, "lower_value", nanoseconds(number_in(t, row, "min_s")));
  base_json_set(&time, "upper_value", nanoseconds(number_in(t, row, "p95_s")));
  base_json_set(&measures, r->counts_instructions ? "instructions" : "latency", time);
  if (!isnan(examples) && !r->counts_instructions)
    base_json_set(&measures, "throughput", json_pack("{so}", "value", base_json_number(examples)));
  if (!isnan(joules))
    base_json_set(&measures, "joules", json_pack("{so}", "value", base_json_number(joules)));
  return measures;
}

static json_t *github_case(const bench_report *r, const bench_report_table *t,
                           const bench_report_row *row)
{
  char range[64], extra[160];
  const char *unit = r->counts_instructions ? "instructions" : "ns";
  snprintf(range, sizeof range, "± %.3g",
           number_in(t, row, "interval95_s") * BENCH_MEASURE_PER_SECOND);
  snprintf(extra, sizeof extra, "runs: %zu\nleast: %.6g %s\n95th percentile: %.6g %s",
           row->sample_count, number_in(t, row, "min_s") * BENCH_MEASURE_PER_SECOND, unit,
           number_in(t, row, "p95_s") * BENCH_MEASURE_PER_SECOND, unit);
  json_t *object = json_object();
  base_json_set_text(&object, "unit", unit);
  base_json_set(&object, "value", nanoseconds(number_in(t, row, "median_s")));
  base_json_set_text(&object, "range", range);
  base_json_set_text(&object, "extra", extra);
  return object;
}

cdl_status bench_report_write_bmf(const bench_report *r, FILE *file)
{
  return write_cases(r, file, json_object(), bmf_case);
}

cdl_status bench_report_write_github(const bench_report *r, FILE *file)
{
  return write_cases(r, file, json_array(), github_case);
}
