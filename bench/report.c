#include "bench/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/commit.h"
#include "base/machine.h"

void bench_report_begin(bench_report *r)
{
  *r = (bench_report){.facts = json_object(), .backend = BENCH_REPORT_NO_BACKEND};
  r->out_of_memory = r->facts == NULL;
}

static void release_table(bench_report_table *t)
{
  for (size_t i = 0; i < t->row_count; i++) {
    for (size_t c = 0; t->rows[i].cell != NULL && c < t->column_count; c++)
      free(t->rows[i].cell[c].text);
    free(t->rows[i].cell);
    free(t->rows[i].samples);
  }
  free(t->rows);
  free(t->title);
}

void bench_report_release(bench_report *r)
{
  for (size_t i = 0; i < r->table_count; i++)
    release_table(&r->tables[i]);
  free(r->tables);
  free(r->backends);
  json_decref(r->facts);
  *r = (bench_report){0};
}

void bench_report_fact(bench_report *r, const char *key, const char *text)
{
  if (json_object_set_new(r->facts, key, json_string(text)) != 0)
    r->out_of_memory = true;
}

void bench_report_fact_number(bench_report *r, const char *key, double number)
{
  json_t *value = number == floor(number) && fabs(number) < 1e15 ? json_integer((json_int_t)number)
                                                                 : json_real(number);
  if (json_object_set_new(r->facts, key, value) != 0)
    r->out_of_memory = true;
}

double bench_report_machine(bench_report *r)
{
  const base_machine m = base_machine_look();
  bench_report_fact(r, "date", base_time_now().text);
  bench_report_fact(r, "commit", base_commit()[0] != '\0' ? base_commit() : "unknown");
  bench_report_fact(r, "host", m.host);
  bench_report_fact(r, "system", m.system);
  bench_report_fact(r, "processor", m.processor[0] != '\0' ? m.processor : "unknown");
  bench_report_fact_number(r, "processors", m.processors);
  bench_report_fact(r, "governor", m.governor[0] != '\0' ? m.governor : "unknown");
  if (m.load >= 0)
    bench_report_fact_number(r, "load", m.load);
  return m.busy;
}

const char *bench_report_key(const bench_report *r, const char *key, char text[BENCH_REPORT_KEY])
{
  const size_t length = strlen(key);
  if (!r->counts_instructions || length < 2 || strcmp(key + length - 2, "_s") != 0)
    return key;
  snprintf(text, BENCH_REPORT_KEY, "%.*s_instructions", (int)length - 2, key);
  return text;
}

bool bench_report_has_column(const bench_report *r, const bench_report_column *column)
{
  static const char rate[] = "_per_s";
  const size_t length = strlen(column->key), ending = sizeof rate - 1;
  return !r->counts_instructions ||
         (column->unit != BENCH_REPORT_OPERATIONS_PER_S &&
          column->unit != BENCH_REPORT_BYTES_PER_S && column->unit != BENCH_REPORT_SHARE &&
          strcmp(column->key, "device_s") != 0 &&
          (length < ending || strcmp(column->key + length - ending, rate) != 0));
}

void bench_report_use_backend(bench_report *r, const char *label)
{
  r->backend = BENCH_REPORT_NO_BACKEND;
  if (label == NULL)
    return;
  for (size_t i = 0; i < r->backend_count; i++)
    if (strcmp(r->backends[i], label) == 0) {
      r->backend = (int)i;
      return;
    }
  const char **backends = realloc(r->backends, (r->backend_count + 1) * sizeof *backends);
  if (backends == NULL) {
    r->out_of_memory = true;
    return;
  }
  r->backends = backends;
  r->backend = (int)r->backend_count;
  backends[r->backend_count++] = label;
}

void bench_report_use_table(bench_report *r, const char *name, const char *title,
                            const bench_report_column *columns, size_t count)
{
  if (r->out_of_memory)
    return;
  for (r->current = 0; r->current < r->table_count; r->current++)
    if (strcmp(r->tables[r->current].name, name) == 0 &&
        strcmp(r->tables[r->current].title, title) == 0)
      return;
  bench_report_table *tables = realloc(r->tables, (r->table_count + 1) * sizeof *tables);
  if (tables == NULL) {
    r->out_of_memory = true;
    return;
  }
  r->tables = tables;
  tables[r->table_count++] = (bench_report_table){
      .name = name, .title = strdup(title), .columns = columns, .column_count = count};
  r->out_of_memory = tables[r->current].title == NULL;
}

void bench_report_add_row(bench_report *r)
{
  if (r->out_of_memory)
    return;
  bench_report_table *t = &r->tables[r->current];
  bench_report_row *rows = realloc(t->rows, (t->row_count + 1) * sizeof *rows);
  if (rows == NULL) {
    r->out_of_memory = true;
    return;
  }
  t->rows = rows;
  rows[t->row_count] = (bench_report_row){.backend = r->backend,
                                          .cell = calloc(t->column_count, sizeof *rows->cell)};
  r->out_of_memory = rows[t->row_count].cell == NULL;
  t->row_count++;
}

static bench_report_row *last_row(const bench_report *r)
{
  const bench_report_table *t = &r->tables[r->current];
  return &t->rows[t->row_count - 1];
}

static bench_report_cell *cell_in(const bench_report_table *t, const bench_report_row *row,
                                  const char *key)
{
  for (size_t c = 0; c < t->column_count; c++)
    if (strcmp(t->columns[c].key, key) == 0)
      return &row->cell[c];
  return NULL;
}

static bench_report_cell *cell_of(const bench_report *r, const char *key)
{
  return cell_in(&r->tables[r->current], last_row(r), key);
}

const bench_report_cell *bench_report_find(const bench_report_table *t, const bench_report_row *row,
                                           const char *key)
{
  const bench_report_cell *cell = cell_in(t, row, key);
  return cell != NULL && cell->present ? cell : NULL;
}

bool bench_report_set(const bench_report_table *t, bench_report_row *row, const char *key,
                      double number)
{
  bench_report_cell *cell = cell_in(t, row, key);
  if (cell == NULL || !isfinite(number))
    return false;
  cell->number = number;
  cell->present = true;
  return true;
}

void bench_report_text(bench_report *r, const char *key, const char *text)
{
  bench_report_cell *cell = r->out_of_memory ? NULL : cell_of(r, key);
  if (cell == NULL)
    return;
  cell->text = strdup(text);
  cell->present = cell->text != NULL;
  r->out_of_memory = cell->text == NULL;
}

void bench_report_number(bench_report *r, const char *key, double number)
{
  bench_report_cell *cell = r->out_of_memory ? NULL : cell_of(r, key);
  if (cell == NULL || !isfinite(number))
    return;
  cell->number = number;
  cell->present = true;
}

void bench_report_timing(bench_report *r, const bench_measurement *m)
{
  bench_report_number(r, "n", (double)m->count);
  bench_report_number(r, "min_s", m->minimum);
  bench_report_number(r, "median_s", m->median);
  bench_report_number(r, "p95_s", m->p95);
  bench_report_number(r, "mean_s", m->mean);
  bench_report_number(r, "interval95_s", m->interval);
  bench_report_number(r, "outliers", (double)m->outliers);
  if (m->joules > 0)
    bench_report_number(r, "joules", m->joules);
  if (m->has_device)
    bench_report_number(r, "device_s", m->device_median);
  if (r->out_of_memory)
    return;
  bench_report_row *row = last_row(r);
  row->samples = malloc((m->count + 1) * sizeof *row->samples);
  if (row->samples == NULL) {
    r->out_of_memory = true;
    return;
  }
  memcpy(row->samples, m->samples, m->count * sizeof *row->samples);
  row->sample_count = m->count;
}
