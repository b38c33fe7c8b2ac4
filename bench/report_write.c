/* The four formats. */
#include "bench/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/backend.h"

enum { CELL_BYTES = 256 };

/* ---- For readers ----------------------------------------------------------------------------- */

static void show_seconds(double s, char *text)
{
  if (s >= 1)
    snprintf(text, CELL_BYTES, "%.3f s", s);
  else if (s >= 1e-3)
    snprintf(text, CELL_BYTES, "%.*f ms", s < 1e-2 ? 3 : s < 1e-1 ? 2 : 1, s * 1e3);
  else
    snprintf(text, CELL_BYTES, "%.*f µs", s < 1e-5 ? 2 : s < 1e-4 ? 1 : 0, s * 1e6);
}

static void show(const report_cell *cell, report_unit unit, char *text)
{
  text[0] = '\0';
  if (!cell->present)
    return;
  const double x = cell->number;
  switch (unit) {
  case REPORT_TEXT:
    snprintf(text, CELL_BYTES, "%s", cell->text);
    break;
  case REPORT_COUNT:
    snprintf(text, CELL_BYTES, "%.0f", x);
    break;
  case REPORT_SECONDS:
    show_seconds(x, text);
    break;
  case REPORT_BYTES:
    snprintf(text, CELL_BYTES, "%.1f MB", x / 1e6);
    break;
  case REPORT_OPERATIONS:
  case REPORT_OPERATIONS_PER_S:
  case REPORT_BYTES_PER_S:
    snprintf(text, CELL_BYTES, "%.*f", x < 1e10 ? 2 : 1, x / 1e9);
    break;
  case REPORT_NUMBER:
    snprintf(text, CELL_BYTES, "%.*f", fabs(x) < 10 ? 3 : fabs(x) < 1000 ? 1 : 0, x);
    break;
  case REPORT_SHARE:
    snprintf(text, CELL_BYTES, "%.1f %%", 100 * x);
    break;
  }
}

/* Columns on a screen: one a character, continuation bytes of UTF-8 none. */
static size_t width_of(const char *text)
{
  size_t width = 0;
  for (; *text != '\0'; text++)
    width += ((unsigned char)*text & 0xC0u) != 0x80u;
  return width;
}

static void pad(FILE *f, const char *text, size_t width, bool right)
{
  const size_t used = width_of(text), missing = used < width ? width - used : 0;
  if (right)
    fprintf(f, "%*s%s", (int)missing, "", text);
  else
    fprintf(f, "%s%*s", text, (int)missing, "");
}

static bool column_used(const report_table *t, size_t c)
{
  for (size_t i = 0; i < t->row_count; i++)
    if (t->rows[i].cell[c].present)
      return true;
  return false;
}

static size_t column_width(const report_table *t, size_t c)
{
  char text[CELL_BYTES];
  size_t width = width_of(t->columns[c].title);
  for (size_t i = 0; i < t->row_count; i++) {
    show(&t->rows[i].cell[c], t->columns[c].unit, text);
    const size_t w = width_of(text);
    width = w > width ? w : width;
  }
  return width;
}

static void write_cell(FILE *f, const report_table *t, size_t c, const char *text, bool markdown)
{
  fputs(markdown ? " " : "  ", f);
  pad(f, text, column_width(t, c), t->columns[c].unit != REPORT_TEXT);
  fputs(markdown ? " |" : "", f);
}

static void write_titles(FILE *f, const report_table *t, bool markdown)
{
  fputs(markdown ? "|" : "", f);
  for (size_t c = 0; c < t->column_count; c++)
    if (column_used(t, c))
      write_cell(f, t, c, t->columns[c].title, markdown);
  fputc('\n', f);
}

static void write_row(FILE *f, const report_table *t, const report_row *row, bool markdown)
{
  char text[CELL_BYTES];
  fputs(markdown ? "|" : "", f);
  for (size_t c = 0; c < t->column_count; c++) {
    if (!column_used(t, c))
      continue;
    show(&row->cell[c], t->columns[c].unit, text);
    write_cell(f, t, c, text, markdown);
  }
  fputc('\n', f);
}

static void write_table(FILE *f, const report_table *t, bool markdown)
{
  fprintf(f, markdown ? "\n### %s\n\n" : "\n%s\n", t->title);
  write_titles(f, t, markdown);
  if (markdown) {
    fputc('|', f);
    for (size_t c = 0; c < t->column_count; c++)
      if (column_used(t, c))
        fputs(t->columns[c].unit == REPORT_TEXT ? " :-- |" : " --: |", f);
    fputc('\n', f);
  }
  for (size_t i = 0; i < t->row_count; i++)
    write_row(f, t, &t->rows[i], markdown);
}

static void write_for_readers(const report *r, FILE *f, bool markdown)
{
  const char *key;
  json_t *value;
  json_object_foreach(r->facts, key, value)
  {
    fprintf(f, markdown ? "- %s: " : "%-22s", key);
    if (json_is_string(value))
      fprintf(f, "%s\n", json_string_value(value));
    else
      fprintf(f, "%.4g\n", json_number_value(value));
  }
  for (size_t i = 0; i < r->table_count; i++)
    if (r->tables[i].row_count > 0)
      write_table(f, &r->tables[i], markdown);
}

/* ---- For programs ---------------------------------------------------------------------------- */

static json_t *cell_json(const report_cell *cell, report_unit unit)
{
  if (unit == REPORT_TEXT)
    return json_string(cell->text);
  return unit == REPORT_COUNT || unit == REPORT_BYTES || unit == REPORT_OPERATIONS
             ? json_integer((json_int_t)cell->number)
             : json_real(cell->number);
}

static json_t *row_json(const report_table *t, const report_row *row)
{
  json_t *object = json_object();
  for (size_t c = 0; c < t->column_count; c++)
    if (row->cell[c].present)
      json_object_set_new(object, t->columns[c].key, cell_json(&row->cell[c], t->columns[c].unit));
  if (row->samples != NULL) {
    json_t *samples = json_array();
    for (size_t i = 0; i < row->sample_count; i++)
      json_array_append_new(samples, json_real(row->samples[i]));
    json_object_set_new(object, "samples_s", samples);
  }
  return object;
}

static cdl_status write_json(const report *r, FILE *f)
{
  json_t *root = json_object(), *tables = json_array();
  json_object_update(root, r->facts);
  for (size_t i = 0; i < r->table_count; i++) {
    const report_table *t = &r->tables[i];
    json_t *rows = json_array();
    for (size_t k = 0; k < t->row_count; k++)
      json_array_append_new(rows, row_json(t, &t->rows[k]));
    json_array_append_new(
        tables, json_pack("{ss ss so}", "name", t->name, "title", t->title, "rows", rows));
  }
  json_object_set_new(root, "tables", tables);
  const int failed = json_dumpf(root, f, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
  json_decref(root);
  fputc('\n', f);
  return failed == 0 ? CDL_OK : cdl_fail(CDL_IO, "the report could not be written as JSON");
}

static void write_quoted(FILE *f, const char *text)
{
  if (strpbrk(text, ",\"\n\r") == NULL) {
    fputs(text, f);
    return;
  }
  fputc('"', f);
  for (; *text != '\0'; text++) {
    if (*text == '"')
      fputc('"', f);
    fputc(*text, f);
  }
  fputc('"', f);
}

static const report_column *column_named(const report_table *t, const char *key, size_t *at)
{
  for (size_t c = 0; c < t->column_count; c++)
    if (strcmp(t->columns[c].key, key) == 0) {
      *at = c;
      return &t->columns[c];
    }
  return NULL;
}

/* Keys of all tables, each once, in the order they come. */
static cdl_status union_of_keys(const report *r, const char ***keys, size_t *count)
{
  size_t all = 0;
  *count = 0;
  for (size_t i = 0; i < r->table_count; i++)
    all += r->tables[i].column_count;
  *keys = calloc(all + 1, sizeof **keys);
  if (*keys == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: the columns of the report");
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t c = 0; c < r->tables[i].column_count; c++) {
      const char *key = r->tables[i].columns[c].key;
      size_t k = 0;
      while (k < *count && strcmp((*keys)[k], key) != 0)
        k++;
      if (k == *count)
        (*keys)[(*count)++] = key;
    }
  return CDL_OK;
}

/* RFC 4180, but for the line ends; one set of columns for all tables. */
static cdl_status write_csv(const report *r, FILE *f)
{
  const char **keys;
  size_t count;
  CDL_TRY(union_of_keys(r, &keys, &count));
  fputs("table", f);
  for (size_t k = 0; k < count; k++)
    fprintf(f, ",%s", keys[k]);
  fputc('\n', f);
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t row = 0; row < r->tables[i].row_count; row++) {
      fputs(r->tables[i].name, f);
      for (size_t k = 0; k < count; k++) {
        size_t c;
        fputc(',', f);
        const report_column *column = column_named(&r->tables[i], keys[k], &c);
        const report_cell *cell = column != NULL ? &r->tables[i].rows[row].cell[c] : NULL;
        if (cell == NULL || !cell->present)
          continue;
        if (column->unit == REPORT_TEXT)
          write_quoted(f, cell->text);
        else
          fprintf(f, "%.9g", cell->number);
      }
      fputc('\n', f);
    }
  free(keys);
  return CDL_OK;
}

cdl_status report_write(const report *r, const char *format, FILE *file)
{
  if (r->out_of_memory)
    return cdl_fail(CDL_MEMORY, "out of memory: the report");
  cdl_status status = CDL_OK;
  if (strcmp(format, "json") == 0)
    status = write_json(r, file);
  else if (strcmp(format, "csv") == 0)
    status = write_csv(r, file);
  else
    write_for_readers(r, file, strcmp(format, "markdown") == 0);
  return status;
}
