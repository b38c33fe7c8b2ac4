#include "tools/reports/run_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/visible.h"
#include "tools/reports/curves.h"
#include "tools/reports/plots.h"
#include "train/settings.h"

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the table of runs");
}

/* ---- Columns ---- */

typedef enum {
  COLUMN_NAME,
  COLUMN_STATE,
  COLUMN_METHOD,
  COLUMN_SETTING,
  COLUMN_STEP,
  COLUMN_METRIC,
  COLUMN_VALID,
  COLUMN_DEV,
  COLUMN_PACE,
  COLUMN_TIME,
  COLUMN_STARTED
} column_kind;

static const struct {
  const char *key, *title;
  bool number;
} kinds[] = {[COLUMN_NAME] = {"run", "run", false},
             [COLUMN_STATE] = {"state", "state", false},
             [COLUMN_METHOD] = {"method", "method", false},
             [COLUMN_SETTING] = {NULL, NULL, false},
             [COLUMN_STEP] = {"step", "step", true},
             [COLUMN_METRIC] = {"metric", "metric", false},
             [COLUMN_VALID] = {"valid", "valid", true},
             [COLUMN_DEV] = {"dev", "dev", true},
             [COLUMN_PACE] = {"examples_per_s", "examples/s", true},
             [COLUMN_TIME] = {"train_seconds", "seconds", true},
             [COLUMN_STARTED] = {"started", "started", false}};
enum { KINDS = sizeof kinds / sizeof kinds[0], COLUMNS_MOST = KINDS + TRAIN_SETTINGS_MAX };

typedef struct {
  column_kind kind;
  const base_option *setting; /* of COLUMN_SETTING */
} column;

/* Whether two runs have it at different values. A run whose method lacks the setting does not
 * count. */
static bool differs(const report_run_list *list, const base_option *setting)
{
  const json_t *first = NULL;
  for (size_t i = 0; i < list->count; i++) {
    const json_t *value = json_object_get(list->item[i].settings, setting->name);
    if (value != NULL && first != NULL && !json_equal(first, value))
      return true;
    first = first != NULL ? first : value;
  }
  return false;
}

static size_t list_columns(const report_run_list *list, column columns[COLUMNS_MOST])
{
  size_t settings, count = 0;
  const base_option *all = train_setting_list(&settings);
  for (int kind = 0; kind < KINDS; kind++) {
    if (kind != COLUMN_SETTING) {
      columns[count++] = (column){.kind = (column_kind)kind};
      continue;
    }
    for (size_t i = 0; i < settings; i++)
      if (all[i].kind != BASE_OPTION_SECTION && strcmp(all[i].name, "method") != 0 &&
          (all[i].traits & TRAIN_CHANGES_RESULT) != 0 && differs(list, &all[i]))
        columns[count++] = (column){COLUMN_SETTING, &all[i]};
  }
  return count;
}

/* ---- Cells ---- */

static char *number_text(double value, int places, bool exact)
{
  char text[BASE_JSON_REAL_BYTES];
  if (isnan(value))
    return strdup("");
  if (exact)
    base_json_real_text(text, value);
  else
    snprintf(text, sizeof text, "%.*f", places, value);
  return strdup(text);
}

/* A string without its quotes; everything else as JSON. */
static char *value_text(const json_t *value)
{
  if (value == NULL || json_is_null(value))
    return strdup("");
  return json_is_string(value) ? strdup(json_string_value(value)) : base_json_line(value);
}

/* "2026-02-03 04:05" for readers. */
static char *time_text(const char *time, bool exact)
{
  enum { MINUTES = 16 };
  char *text = strdup(time != NULL ? time : "");
  if (text == NULL || exact || strlen(text) < MINUTES)
    return text;
  text[MINUTES] = '\0';
  char *separator = strchr(text, 'T');
  if (separator != NULL)
    *separator = ' ';
  return text;
}

static char *cell_text(const report_listed_run *run, const column *c, bool exact)
{
  char step[24];
  switch (c->kind) {
  case COLUMN_NAME:
    return strdup(run->name);
  case COLUMN_STATE:
    return strdup(report_run_state_word(run->state));
  case COLUMN_METHOD:
    return strdup(report_run_method(run));
  case COLUMN_SETTING:
    return value_text(json_object_get(run->settings, c->setting->name));
  case COLUMN_STEP:
    snprintf(step, sizeof step, "%" PRId64, run->step);
    return strdup(step);
  case COLUMN_METRIC:
    return strdup(cdl_metric_name(run->metric));
  case COLUMN_VALID:
    return number_text(run->valid, 4, exact);
  case COLUMN_DEV:
    return number_text(run->dev, 4, exact);
  case COLUMN_PACE:
    return number_text(run->examples_per_s, 1, exact);
  case COLUMN_TIME:
    return number_text(run->train_seconds, 0, exact);
  case COLUMN_STARTED:
    return time_text(report_run_fact(run, "started"), exact);
  }
  return NULL;
}

void report_run_cells_release(report_run_cells *t)
{
  for (size_t i = 0; t->cell != NULL && i < t->rows * t->columns; i++)
    free(t->cell[i]);
  free(t->cell);
  free(t->number);
  *t = (report_run_cells){0};
}

cdl_status report_run_cells_make(const report_run_list *list, bool exact, report_run_cells *t)
{
  column columns[COLUMNS_MOST];
  *t = (report_run_cells){.rows = list->count + 1, .columns = list_columns(list, columns)};
  t->cell = calloc(t->rows * t->columns + 1, sizeof *t->cell);
  t->number = calloc(t->columns + 1, sizeof *t->number);
  bool whole = t->cell != NULL && t->number != NULL;
  for (size_t c = 0; whole && c < t->columns; c++) {
    const bool setting = columns[c].kind == COLUMN_SETTING;
    const base_option_kind kind = setting ? columns[c].setting->kind : BASE_OPTION_STRING;
    const char *title = setting ? columns[c].setting->name
                        : exact ? kinds[columns[c].kind].key
                                : kinds[columns[c].kind].title;
    t->number[c] =
        kinds[columns[c].kind].number || kind == BASE_OPTION_INT || kind == BASE_OPTION_FLOAT;
    t->cell[c] = strdup(title);
    whole = t->cell[c] != NULL;
    for (size_t i = 0; whole && i < list->count; i++) {
      char **cell = &t->cell[(i + 1) * t->columns + c];
      *cell = cell_text(&list->item[i], &columns[c], exact);
      whole = *cell != NULL;
    }
  }
  if (whole)
    return CDL_STATUS_OK;
  report_run_cells_release(t);
  return no_memory();
}

/* ---- Formats ---- */

static json_t *run_json(const report_listed_run *run)
{
  const char *error = run->state == REPORT_RUN_FAILED ? report_run_fact(run, "error") : NULL;
  json_t *object = json_object();
  base_json_set_text(&object, "run", run->name);
  base_json_set_text(&object, "folder", run->folder);
  base_json_set_text(&object, "state", report_run_state_word(run->state));
  base_json_set_text(&object, "error", error);
  base_json_set_text(&object, "method", report_run_method(run));
  base_json_set(&object, "settings", json_incref(run->settings));
  base_json_set(&object, "step", json_integer((json_int_t)run->step));
  base_json_set_text(&object, "metric", cdl_metric_name(run->metric));
  base_json_set(&object, "valid", base_json_number(run->valid));
  base_json_set(&object, "dev", base_json_number(run->dev));
  base_json_set(&object, "examples_per_s", base_json_number(run->examples_per_s));
  base_json_set(&object, "train_seconds", base_json_number(run->train_seconds));
  base_json_set_text(&object, "started", report_run_fact(run, "started"));
  return object;
}

json_t *report_run_list_json(const report_run_list *list)
{
  json_t *array = json_array();
  for (size_t i = 0; i < list->count; i++)
    base_json_append(&array, run_json(&list->item[i]));
  return array;
}

static void put_csv(FILE *to, const char *text)
{
  if (strpbrk(text, ",\"\n\r") == NULL) {
    fputs(text, to);
    return;
  }
  fputc('"', to);
  for (; *text != '\0'; text++) {
    if (*text == '"')
      fputc('"', to);
    fputc(*text, to);
  }
  fputc('"', to);
}

static void put_markdown(FILE *to, const char *text)
{
  const base_visible_text visible = base_visible(text);
  for (const char *c = visible.text; *c != '\0'; c++) {
    if (strchr("|*_`[]<>\\&", *c) != NULL)
      fputc('\\', to);
    fputc(*c, to);
  }
}

static void write_csv(FILE *to, const report_run_cells *t)
{
  for (size_t i = 0; i < t->rows * t->columns; i++) {
    put_csv(to, t->cell[i]);
    fputc((i + 1) % t->columns == 0 ? '\n' : ',', to);
  }
}

static void write_markdown(FILE *to, const report_run_cells *t)
{
  for (size_t row = 0; row < t->rows; row++) {
    fputc('|', to);
    for (size_t c = 0; c < t->columns; c++) {
      fputc(' ', to);
      put_markdown(to, t->cell[row * t->columns + c]);
      fputs(" |", to);
    }
    fputs(row == 0 ? "\n|" : "\n", to);
    for (size_t c = 0; row == 0 && c < t->columns; c++)
      fputs(t->number[c] ? "---:|" : "---|", to);
    if (row == 0)
      fputc('\n', to);
  }
}

/* Counts the characters of UTF-8. */
static size_t width_of(const char *text)
{
  size_t width = 0;
  for (; *text != '\0'; text++)
    width += ((unsigned char)*text & 0xC0u) != 0x80u;
  return width;
}

static void write_text(FILE *to, const report_run_cells *t)
{
  for (size_t row = 0; row < t->rows; row++) {
    for (size_t c = 0; c < t->columns; c++) {
      size_t most = 0;
      for (size_t k = 0; k < t->rows; k++) {
        const size_t width = width_of(base_visible(t->cell[k * t->columns + c]).text);
        most = width > most ? width : most;
      }
      const base_visible_text cell = base_visible(t->cell[row * t->columns + c]);
      const int missing = (int)(most - width_of(cell.text));
      const bool last = c + 1 == t->columns;
      fprintf(to, "%s%*s%s%*s", c > 0 ? "  " : "", t->number[c] ? missing : 0, "", cell.text,
              t->number[c] || last ? 0 : missing, "");
    }
    fputc('\n', to);
  }
}

cdl_status report_run_list_text(const report_run_list *list, const char *format, char **text)
{
  report_run_cells cells;
  size_t bytes;
  const bool csv = strcmp(format, "csv") == 0;
  *text = NULL;
  CDL_TRY(report_run_cells_make(list, csv, &cells));
  FILE *to = open_memstream(text, &bytes);
  if (to != NULL)
    (csv ? write_csv : strcmp(format, "markdown") == 0 ? write_markdown : write_text)(to, &cells);
  report_run_cells_release(&cells);
  bool whole = to != NULL && ferror(to) == 0;
  whole = to != NULL && fclose(to) == 0 && *text != NULL && whole;
  if (whole)
    return CDL_STATUS_OK;
  free(*text);
  *text = NULL;
  return no_memory();
}

/* ---- The page ---- */

enum { CURVES_MOST = 16, COLOURS = 8 };

static cdl_status put_table(const report_run_list *list, report_document *to)
{
  report_run_cells cells;
  CDL_TRY(report_run_cells_make(list, false, &cells));
  report_document_table_begin(to, (int)cells.columns);
  for (size_t i = 0; i < cells.rows * cells.columns; i++)
    report_document_cell(to, "%s", report_document_foreign(cells.cell[i]).text);
  report_document_table_end(to);
  report_run_cells_release(&cells);
  return CDL_STATUS_OK;
}

/* The axis of the scores has a name if all runs are measured alike. */
static const char *common_metric(const report_run_list *list, size_t count)
{
  for (size_t i = 1; i < count; i++)
    if (list->item[i].metric != list->item[0].metric)
      return "score";
  return cdl_metric_name(list->item[0].metric);
}

static cdl_status put_curves(report_run_list *list, const char *folder, report_document *to)
{
  const size_t count = list->count < CURVES_MOST ? list->count : CURVES_MOST;
  report_curve curves[CURVES_MOST];
  report_document_heading(to, "Curves");
  if (count < list->count)
    report_document_paragraph(to, "Of the first %zu runs.", count);
  if (!report_can_draw(to))
    return CDL_STATUS_OK;
  for (size_t i = 0; i < count; i++) {
    CDL_TRY(report_run_read_curves(&list->item[i]));
    curves[i] = (report_curve){.name = list->item[i].name,
                               .run = &list->item[i].curves,
                               .colour = (int)(i % COLOURS),
                               .dashed = i >= COLOURS};
  }
  return report_draw_curves(folder, "runs", common_metric(list, count), curves, count, to);
}

cdl_status report_run_page_write(report_run_list *list, const char *folder)
{
  report_document *to;
  CDL_TRY(report_plots_begin(folder));
  CDL_TRY(report_document_begin(folder, "runs", "Runs", NULL, &to));
  cdl_status status = put_table(list, to);
  if (status == CDL_STATUS_OK)
    status = put_curves(list, folder, to);
  if (status == CDL_STATUS_OK)
    return report_document_commit(to);
  report_document_abort(to);
  return status;
}
