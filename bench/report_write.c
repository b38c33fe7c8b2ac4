/* Writes reports in the four formats. */
#include "bench/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/visible.h"
#include "condlora/backend.h"

enum { CELL_BYTES = 1024 };

/* ---- For readers ---- */

static void show(const bench_report_cell *cell, bench_report_unit unit, char *text)
{
  text[0] = '\0';
  if (!cell->present)
    return;
  const double x = cell->number;
  switch (unit) {
  case BENCH_REPORT_TEXT:
    snprintf(text, CELL_BYTES, "%s", cell->text);
    break;
  case BENCH_REPORT_COUNT:
    snprintf(text, CELL_BYTES, "%.0f", x);
    break;
  case BENCH_REPORT_SECONDS:
    bench_measure_show(x, bench_measure_in_use(), text);
    break;
  case BENCH_REPORT_BYTES:
    snprintf(text, CELL_BYTES, "%.1f MB", x / 1e6);
    break;
  case BENCH_REPORT_OPERATIONS:
  case BENCH_REPORT_OPERATIONS_PER_S:
  case BENCH_REPORT_BYTES_PER_S:
    snprintf(text, CELL_BYTES, "%.*f", x < 1e10 ? 2 : 1, x / 1e9);
    break;
  case BENCH_REPORT_NUMBER:
    snprintf(text, CELL_BYTES, "%.*f", fabs(x) < 10 ? 3 : fabs(x) < 1000 ? 1 : 0, x);
    break;
  case BENCH_REPORT_SHARE:
    snprintf(text, CELL_BYTES, "%.1f %%", 100 * x);
    break;
  }
}

/* Counts the columns on a screen: one for each character; UTF-8 continuation bytes count none. */
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

/* The printed part of a table: some of its columns and rows, or cells of several backends in one
 * row. */
typedef struct {
  char title[64];
  const char *group; /* the backend above the title; "" for none */
  bench_report_unit unit;
} shown_column;

typedef struct {
  shown_column *columns;
  size_t column_count, column_capacity;
  const bench_report_cell **cells; /* [rows, column_capacity]; NULL: empty */
  size_t row_count;
} shown_table;

static bool begin_shown(shown_table *s, size_t rows, size_t columns)
{
  *s = (shown_table){.columns = calloc(columns + 1, sizeof *s->columns),
                     .cells = calloc(rows * columns + 1, sizeof *s->cells),
                     .column_capacity = columns};
  return s->columns != NULL && s->cells != NULL;
}

static void end_shown(shown_table *s)
{
  free(s->columns);
  free(s->cells);
}

static const bench_report_cell **shown_cell(const shown_table *s, size_t row, size_t column)
{
  return &s->cells[row * s->column_capacity + column];
}

/* Appends a column unless all its cells are empty. */
static void keep_column(shown_table *s, const bench_report *r, const bench_report_column *column,
                        const char *group)
{
  bool used = false;
  for (size_t i = 0; i < s->row_count; i++)
    used = used || *shown_cell(s, i, s->column_count) != NULL;
  if (!used || !bench_report_has_column(r, column))
    return;
  shown_column *c = &s->columns[s->column_count++];
  snprintf(c->title, sizeof c->title, "%s", column->title);
  c->group = group;
  c->unit = column->unit;
}

static void show_cell(const shown_table *s, size_t row, size_t column, char *text)
{
  const bench_report_cell *cell = *shown_cell(s, row, column);
  text[0] = '\0';
  if (cell != NULL)
    show(cell, s->columns[column].unit, text);
}

static size_t column_width(const shown_table *s, size_t c)
{
  char text[CELL_BYTES];
  size_t width = width_of(s->columns[c].title);
  for (size_t i = 0; i < s->row_count; i++) {
    show_cell(s, i, c, text);
    const size_t w = width_of(text);
    width = w > width ? w : width;
  }
  return width;
}

/* Writes a line that names each backend above its first column. */
static void write_groups(FILE *f, const shown_table *s)
{
  bool any = false;
  for (size_t c = 0; c < s->column_count; c++)
    any = any || s->columns[c].group[0] != '\0';
  for (size_t c = 0, end; any && c < s->column_count; c = end) {
    size_t width = 0;
    for (end = c; end < s->column_count && s->columns[end].group == s->columns[c].group; end++)
      width += column_width(s, end) + 2;
    fputs("  ", f);
    pad(f, s->columns[c].group, width - 2, false);
  }
  if (any)
    fputc('\n', f);
}

static void write_as_text(FILE *f, const shown_table *s)
{
  char text[CELL_BYTES];
  write_groups(f, s);
  for (size_t row = 0; row <= s->row_count; row++) { /* the titles first */
    for (size_t c = 0; c < s->column_count; c++) {
      if (row > 0)
        show_cell(s, row - 1, c, text);
      fputs("  ", f);
      pad(f, row == 0 ? s->columns[c].title : text, column_width(s, c),
          s->columns[c].unit != BENCH_REPORT_TEXT);
    }
    fputc('\n', f);
  }
}

static void write_as_markdown(FILE *f, const shown_table *s)
{
  char text[CELL_BYTES];
  fputc('|', f);
  for (size_t c = 0; c < s->column_count; c++)
    fprintf(f, " %s%s%s |", s->columns[c].group, s->columns[c].group[0] != '\0' ? " " : "",
            s->columns[c].title);
  fputs("\n|", f);
  for (size_t c = 0; c < s->column_count; c++)
    fputs(s->columns[c].unit == BENCH_REPORT_TEXT ? " :-- |" : " --: |", f);
  fputc('\n', f);
  for (size_t row = 0; row < s->row_count; row++) {
    fputc('|', f);
    for (size_t c = 0; c < s->column_count; c++) {
      show_cell(s, row, c, text);
      fprintf(f, " %s |", text);
    }
    fputc('\n', f);
  }
}

static const bench_report_cell *present(const bench_report_cell *cell)
{
  return cell->present ? cell : NULL;
}

static bool is_identity(const bench_report_column *c)
{
  return c->unit == BENCH_REPORT_TEXT && strcmp(c->key, "path") != 0;
}

/* Returns whether a column is shown for each backend when several are side by side. */
static bool is_side(const bench_report_column *c)
{
  static const char *const keys[] = {"path",        "median_s", "interval95_s", "flop_per_s",
                                     "bytes_per_s", "of_roof",  "of_sheet",     "examples_per_s"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (strcmp(keys[i], c->key) == 0)
      return true;
  return false;
}

static bool same_case(const bench_report_table *t, const bench_report_row *a,
                      const bench_report_row *b)
{
  for (size_t c = 0; c < t->column_count; c++)
    if (is_identity(&t->columns[c]) && a->cell[c].present && b->cell[c].present &&
        strcmp(a->cell[c].text, b->cell[c].text) != 0)
      return false;
  return true;
}

static const bench_report_row *row_of_case(const bench_report_table *t,
                                           const bench_report_row *like, int backend)
{
  for (size_t i = 0; i < t->row_count; i++)
    if (t->rows[i].backend == backend && same_case(t, like, &t->rows[i]))
      return &t->rows[i];
  return NULL;
}

/* Selects the rows of one backend with all columns. */
static bool show_backend(const bench_report *r, const bench_report_table *t, int backend,
                         shown_table *s)
{
  if (!begin_shown(s, t->row_count, t->column_count))
    return false;
  for (size_t i = 0; i < t->row_count; i++)
    s->row_count += t->rows[i].backend == backend;
  for (size_t c = 0; c < t->column_count; c++) {
    size_t row = 0;
    for (size_t i = 0; i < t->row_count; i++)
      if (t->rows[i].backend == backend)
        *shown_cell(s, row++, s->column_count) = present(&t->rows[i].cell[c]);
    keep_column(s, r, &t->columns[c], "");
  }
  return true;
}

/* Selects one row for each case: its description, then the chosen columns of each backend. */
static bool show_side_by_side(const bench_report *r, const bench_report_table *t, shown_table *s)
{
  const bench_report_row **first = calloc(t->row_count + 1, sizeof *first);
  if (first == NULL || !begin_shown(s, t->row_count, (r->backend_count + 1) * t->column_count)) {
    free(first);
    return false;
  }
  for (size_t i = 0; i < t->row_count; i++) {
    size_t k = 0;
    while (k < s->row_count && !same_case(t, first[k], &t->rows[i]))
      k++;
    if (k == s->row_count)
      first[s->row_count++] = &t->rows[i];
  }
  for (size_t c = 0; c < t->column_count; c++) {
    for (size_t i = 0; is_identity(&t->columns[c]) && i < s->row_count; i++)
      *shown_cell(s, i, s->column_count) = present(&first[i]->cell[c]);
    if (is_identity(&t->columns[c]))
      keep_column(s, r, &t->columns[c], "");
  }
  for (size_t b = 0; b < r->backend_count; b++)
    for (size_t c = 0; c < t->column_count; c++) {
      if (!is_side(&t->columns[c]))
        continue;
      for (size_t i = 0; i < s->row_count; i++) {
        const bench_report_row *row = row_of_case(t, first[i], (int)b);
        *shown_cell(s, i, s->column_count) = row != NULL ? present(&row->cell[c]) : NULL;
      }
      keep_column(s, r, &t->columns[c], r->backends[b]);
    }
  free(first);
  return true;
}

static void write_shown(FILE *f, const shown_table *s, const char *title, const char *where,
                        bool markdown)
{
  fprintf(f, markdown ? "\n### %s%s%s\n\n" : "\n%s%s%s\n", title, where[0] != '\0' ? ", on " : "",
          base_visible(where).text);
  (markdown ? write_as_markdown : write_as_text)(f, s);
}

static bool has_rows_of(const bench_report_table *t, int backend)
{
  for (size_t i = 0; i < t->row_count; i++)
    if (t->rows[i].backend == backend)
      return true;
  return false;
}

static bool is_timed(const bench_report_table *t)
{
  for (size_t c = 0; c < t->column_count; c++)
    if (strcmp(t->columns[c].key, "median_s") == 0)
      return true;
  return false;
}

static bool write_table(FILE *f, const bench_report *r, const bench_report_table *t, bool markdown)
{
  shown_table s = {0};
  bool complete = true;
  size_t sharing = 0;
  for (size_t b = 0; b < r->backend_count; b++)
    sharing += has_rows_of(t, (int)b);
  if (sharing > 1 && is_timed(t)) {
    complete = show_side_by_side(r, t, &s);
    if (complete)
      write_shown(f, &s, t->title, "", markdown);
    end_shown(&s);
  }
  for (int b = BENCH_REPORT_NO_BACKEND; complete && b < (int)r->backend_count; b++) {
    if (!has_rows_of(t, b))
      continue;
    complete = show_backend(r, t, b, &s);
    if (complete)
      write_shown(f, &s, t->title, b >= 0 && r->backend_count > 1 ? r->backends[b] : "", markdown);
    end_shown(&s);
  }
  return complete;
}

static cdl_status write_for_readers(const bench_report *r, FILE *f, bool markdown)
{
  const char *key;
  json_t *value;
  json_object_foreach(r->facts, key, value)
  {
    fprintf(f, markdown ? "- %s: " : "%-12s", key);
    if (json_is_string(value))
      fprintf(f, "%s\n", base_visible(json_string_value(value)).text);
    else
      fprintf(f, "%.4g\n", json_number_value(value));
  }
  for (size_t i = 0; i < r->table_count; i++)
    if (!write_table(f, r, &r->tables[i], markdown))
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a table of the report");
  return CDL_STATUS_OK;
}

/* ---- For programs ---- */

static json_t *cell_json(const bench_report *r, const bench_report_cell *cell,
                         bench_report_unit unit)
{
  if (unit == BENCH_REPORT_TEXT)
    return json_string(cell->text);
  if (unit == BENCH_REPORT_SECONDS && r->counts_instructions)
    return json_integer((json_int_t)llround(cell->number * BENCH_MEASURE_PER_SECOND));
  return unit == BENCH_REPORT_COUNT || unit == BENCH_REPORT_BYTES || unit == BENCH_REPORT_OPERATIONS
             ? json_integer((json_int_t)cell->number)
             : json_real(cell->number);
}

static json_t *row_json(const bench_report *r, const bench_report_table *t,
                        const bench_report_row *row)
{
  char key[BENCH_REPORT_KEY];
  json_t *object = json_object();
  if (row->backend >= 0)
    base_json_set(&object, "backend", json_string(r->backends[row->backend]));
  for (size_t c = 0; c < t->column_count; c++)
    if (row->cell[c].present && bench_report_has_column(r, &t->columns[c]))
      base_json_set(&object, bench_report_key(r, t->columns[c].key, key),
                    cell_json(r, &row->cell[c], t->columns[c].unit));
  if (row->samples != NULL) {
    json_t *samples = json_array();
    for (size_t i = 0; i < row->sample_count; i++)
      base_json_append(&samples, r->counts_instructions
                                     ? json_integer((json_int_t)llround(row->samples[i] *
                                                                        BENCH_MEASURE_PER_SECOND))
                                     : json_real(row->samples[i]));
    base_json_set(&object, bench_report_key(r, "samples_s", key), samples);
  }
  return object;
}

static cdl_status write_json(const bench_report *r, FILE *f)
{
  json_t *root = json_object(), *tables = json_array();
  base_json_update(&root, json_incref(r->facts));
  for (size_t i = 0; i < r->table_count; i++) {
    const bench_report_table *t = &r->tables[i];
    json_t *rows = json_array();
    for (size_t k = 0; k < t->row_count; k++)
      base_json_append(&rows, row_json(r, t, &t->rows[k]));
    base_json_append(&tables,
                     json_pack("{ss ss so}", "name", t->name, "title", t->title, "rows", rows));
  }
  base_json_set(&root, "tables", tables);
  char *text = base_json_text(root);
  json_decref(root);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the report as JSON");
  const int written = fputs(text, f);
  free(text);
  return written >= 0 ? CDL_STATUS_OK
                      : cdl_fail(CDL_STATUS_IO, "the report could not be written as JSON");
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

static const bench_report_column *column_named(const bench_report_table *t, const char *key,
                                               size_t *at)
{
  for (size_t c = 0; c < t->column_count; c++)
    if (strcmp(t->columns[c].key, key) == 0) {
      *at = c;
      return &t->columns[c];
    }
  return NULL;
}

/* Collects the distinct keys of all tables, in their order. */
static cdl_status union_of_keys(const bench_report *r, const char ***keys, size_t *count)
{
  size_t all = 0;
  *count = 0;
  for (size_t i = 0; i < r->table_count; i++)
    all += r->tables[i].column_count;
  *keys = calloc(all + 1, sizeof **keys);
  if (*keys == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the columns of the report");
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t c = 0; c < r->tables[i].column_count; c++) {
      const char *key = r->tables[i].columns[c].key;
      size_t k = 0;
      if (!bench_report_has_column(r, &r->tables[i].columns[c]))
        continue;
      while (k < *count && strcmp((*keys)[k], key) != 0)
        k++;
      if (k == *count)
        (*keys)[(*count)++] = key;
    }
  return CDL_STATUS_OK;
}

/* Writes CSV as in RFC 4180, except for the line ends, with one set of columns for all tables. The
 * facts are columns too, the same in each row. */
static cdl_status write_csv(const bench_report *r, FILE *f)
{
  const char **keys;
  size_t count;
  CDL_TRY(union_of_keys(r, &keys, &count));
  fputs("table,backend", f);
  const char *fact;
  json_t *value;
  char key[BENCH_REPORT_KEY];
  for (size_t k = 0; k < count; k++)
    fprintf(f, ",%s", bench_report_key(r, keys[k], key));
  json_object_foreach(r->facts, fact, value) fprintf(f, ",%s", fact);
  fputc('\n', f);
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t row = 0; row < r->tables[i].row_count; row++) {
      const int backend = r->tables[i].rows[row].backend;
      fprintf(f, "%s,", r->tables[i].name);
      write_quoted(f, backend >= 0 ? r->backends[backend] : "");
      for (size_t k = 0; k < count; k++) {
        size_t c;
        fputc(',', f);
        const bench_report_column *column = column_named(&r->tables[i], keys[k], &c);
        const bench_report_cell *cell = column != NULL ? &r->tables[i].rows[row].cell[c] : NULL;
        if (cell == NULL || !cell->present)
          continue;
        if (column->unit == BENCH_REPORT_TEXT)
          write_quoted(f, cell->text);
        else
          fprintf(f, "%.9g",
                  column->unit == BENCH_REPORT_SECONDS && r->counts_instructions
                      ? cell->number * BENCH_MEASURE_PER_SECOND
                      : cell->number);
      }
      json_object_foreach(r->facts, fact, value)
      {
        fputc(',', f);
        if (json_is_string(value))
          write_quoted(f, json_string_value(value));
        else
          fprintf(f, "%.9g", json_number_value(value));
      }
      fputc('\n', f);
    }
  free(keys);
  return CDL_STATUS_OK;
}

cdl_status bench_report_write(const bench_report *r, const char *format, FILE *file)
{
  if (r->out_of_memory)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the report");
  cdl_status status = CDL_STATUS_OK;
  if (strcmp(format, "json") == 0)
    status = write_json(r, file);
  else if (strcmp(format, "csv") == 0)
    status = write_csv(r, file);
  else if (strcmp(format, "bmf") == 0)
    status = bench_report_write_bmf(r, file);
  else if (strcmp(format, "github") == 0)
    status = bench_report_write_github(r, file);
  else
    status = write_for_readers(r, file, strcmp(format, "markdown") == 0);
  return status;
}

/* ---- Output ---- */

static cdl_status write_text(const char *path, const char *text, size_t bytes)
{
  if (path == NULL) {
    return fwrite(text, 1, bytes, stdout) == bytes && fflush(stdout) == 0
               ? CDL_STATUS_OK
               : cdl_fail(CDL_STATUS_IO, "standard output: %s", strerror(errno));
  }
  base_output *output;
  CDL_TRY(base_output_begin_named(path, &output));
  base_output_write(output, text, bytes);
  return base_output_commit(output);
}

cdl_status bench_report_save(const bench_report *r, const char *format, const char *path)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  if (memory == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the report");
  cdl_status status = bench_report_write(r, format, memory);
  if (fclose(memory) != 0 && status == CDL_STATUS_OK)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: the report");
  if (status == CDL_STATUS_OK)
    status = write_text(path, text, bytes);
  free(text);
  return status;
}
