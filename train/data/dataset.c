#include "condlora/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/sized.h"
#include "condlora/log.h"
#include "train/data/dataset_windows.h"
#include "train/data/table.h"
#include "train/data/task_files.h"
#include "train/data/token_sharing.h"
#include "train/data/truth.h"

typedef struct {
  const char *name;
  data_table *table;
  size_t first, count;
} part;

/* What is read from a file. */
typedef struct {
  const char *column[DATA_TABLE_SELECTED]; /* texts, then the labels */
  size_t texts, columns;
  bool drops_rows, label_optional;
  const char *skip_label;
} reading;

/* Rows that were left out. */
typedef struct {
  size_t dropped, skipped;
} tally;

struct cdl_dataset {
  part parts[DATA_TASK_FILES_MAX];
  size_t part_count;
  data_row *rows;
  size_t count, capacity;
  bool pair;
  data_truth truth;
  tally left_out;
  data_token_store tokens;

  /* For a data set that is read in windows. */
  reading what;
  uint64_t before;         /* rows of earlier windows */
  uint64_t cut, tokenized; /* examples, of all windows */
  cdl_status failed;       /* the failure that ended a window early; the next call returns it */
  char failure[1024];
};

/* Whether all columns of labels have a field. */
static bool has_truth(const reading *what, const data_field *fields)
{
  for (size_t i = what->texts; i < what->columns; i++)
    if (fields[i].data == NULL)
      return false;
  return true;
}

static cdl_status make_row(cdl_dataset *dataset, const data_table *table, uint64_t line,
                           const reading *what, const data_field *fields, data_row *r)
{
  *r = (data_row){.line = line < UINT32_MAX ? (uint32_t)line : UINT32_MAX};
  for (size_t i = 0; i < what->texts; i++) {
    if (fields[i].list)
      return data_fail_at(table, line, "%s is an array; expected a string or a number",
                          data_quote(what->column[i], strlen(what->column[i])).text);
    if (fields[i].bytes > INT32_MAX)
      return data_fail_at(table, line, "a field of %zu bytes; at most %d can be read",
                          fields[i].bytes, INT32_MAX);
    r->text[i] = fields[i].data;
    r->bytes[i] = (uint32_t)fields[i].bytes;
  }
  if (what->columns > what->texts && has_truth(what, fields))
    return data_truth_read(&dataset->truth, table, line, fields + what->texts, r);
  data_truth_omit(&dataset->truth, r);
  return CDL_STATUS_OK;
}

static cdl_status add_row(cdl_dataset *dataset, const data_row *r)
{
  if (dataset->count == INT32_MAX)
    return cdl_fail(CDL_STATUS_DATA, "more than %d rows", INT32_MAX);
  if (dataset->count == dataset->capacity) {
    const size_t capacity =
        dataset->capacity == 0 ? 1024 : dataset->capacity + dataset->capacity / 2;
    data_row *rows =
        capacity > SIZE_MAX / sizeof *rows ? NULL : realloc(dataset->rows, capacity * sizeof *rows);
    if (rows == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu rows", capacity);
    dataset->rows = rows;
    dataset->capacity = capacity;
  }
  dataset->rows[dataset->count++] = *r;
  return CDL_STATUS_OK;
}

/* Returns the first required column that the row lacks; NULL if it is complete. */
static const char *lacking(const reading *what, const data_field *fields, bool *is_null)
{
  for (size_t i = 0; i < what->columns; i++)
    if (fields[i].data == NULL && (i < what->texts || !what->label_optional)) {
      *is_null = fields[i].null;
      return what->column[i];
    }
  return NULL;
}

static cdl_status no_field(const data_table *table, uint64_t line, const char *name, bool is_null)
{
  const char *others = data_table_row_fields(table);
  const data_quoted quoted = data_quote(name, strlen(name));
  if (is_null)
    return data_fail_at(table, line, "the field %s is null; expected a string or a number",
                        quoted.text);
  return data_fail_at(table, line, "no field %s%s%s", quoted.text,
                      others[0] != '\0' ? "; the object has " : "", others);
}

/* Reads the next row and adds it, or counts it as left out. */
static cdl_status read_row(cdl_dataset *dataset, part *p, const reading *what, tally *left_out,
                           bool *more)
{
  data_field fields[DATA_TABLE_SELECTED] = {{0}};
  uint64_t line;
  bool is_null = false;
  CDL_TRY(data_table_next(p->table, fields, &line, more));
  if (!*more)
    return CDL_STATUS_OK;
  const char *missing = lacking(what, fields, &is_null);
  if (missing != NULL && what->drops_rows) {
    left_out->dropped++;
    return CDL_STATUS_OK;
  }
  if (missing != NULL)
    return no_field(p->table, line, missing, is_null);
  if (what->skip_label != NULL && what->columns > what->texts &&
      data_field_is(fields[what->texts], what->skip_label)) {
    left_out->skipped++;
    return CDL_STATUS_OK;
  }
  data_row r;
  CDL_TRY(make_row(dataset, p->table, line, what, fields, &r));
  return cdl_context(add_row(dataset, &r), "%s", data_table_name(p->table));
}

/* Reports what there is to report after `kept` rows have been read and no more come. */
static cdl_status finish_rows(const data_table *table, const reading *what, uint64_t kept,
                              const tally *left_out)
{
  const size_t dropped = left_out->dropped, skipped = left_out->skipped;
  const data_quoted label = what->skip_label != NULL
                                ? data_quote(what->skip_label, strlen(what->skip_label))
                                : (data_quoted){0};
  if (kept == 0 && skipped > 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: every row has the label %s, which --skip-label leaves out",
                    data_table_name(table), label.text);
  if (kept == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: no rows%s; expected at least one", data_table_name(table),
                    dropped > 0 ? " that have every column that is needed" : " after the header");
  if (skipped > 0)
    cdl_log(CDL_LOG_NOTICE, "%s: %zu of %llu rows have the label %s and were left out",
            data_table_name(table), skipped, (unsigned long long)kept + skipped, label.text);
  else if (what->skip_label != NULL)
    cdl_log(CDL_LOG_NOTICE, "%s: no row has the label %s, which --skip-label leaves out",
            data_table_name(table), label.text);
  if (dropped > 0)
    cdl_log(CDL_LOG_NOTICE, "%s: %zu of %llu rows lack a column that is needed and were dropped",
            data_table_name(table), dropped, (unsigned long long)kept + dropped);
  return CDL_STATUS_OK;
}

static cdl_status read_rows(cdl_dataset *dataset, part *p, const reading *what)
{
  CDL_TRY(data_table_select(p->table, what->column, what->columns));
  p->first = dataset->count;
  tally left_out = {0};
  for (bool more = true; more;)
    CDL_TRY(read_row(dataset, p, what, &left_out, &more));
  p->count = dataset->count - p->first;
  CDL_TRY(finish_rows(p->table, what, p->count, &left_out));
  dataset->left_out.dropped += left_out.dropped;
  dataset->left_out.skipped += left_out.skipped;
  data_table_discard(p->table);
  return CDL_STATUS_OK;
}

/* ---- A user's file ---- */

/* The columns of labels: several, one or none. */
typedef struct {
  const char *const *name;
  size_t count;
} label_columns;

static label_columns columns_of(const cdl_dataset_source *source)
{
  if (source->label_column_count > 0)
    return (label_columns){source->label_columns, source->label_column_count};
  return (label_columns){&source->label_column, source->label_column != NULL};
}

static cdl_status check_several(const cdl_dataset_source *source, label_columns columns)
{
  if (columns.count > DATA_TABLE_SELECTED - 2)
    return cdl_fail(CDL_STATUS_USAGE, "%s: %zu columns of labels; at most %d can be read",
                    source->path, columns.count, DATA_TABLE_SELECTED - 2);
  if (!source->multi_label && !source->regression)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: %zu columns of labels (--label-column) go with --multi-label or "
                    "--regression; one label of several classes has one column",
                    source->path, columns.count);
  bool same = source->labels == NULL || source->label_count == columns.count;
  for (size_t i = 0; same && source->labels != NULL && i < columns.count; i++)
    same = strcmp(source->labels[i], columns.name[i]) == 0;
  return same ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_USAGE,
                         "%s: with several columns of labels the columns' names are the labels; "
                         "the list of labels (--labels) differs",
                         source->path);
}

static cdl_status check_labels(const cdl_dataset_source *source)
{
  const label_columns columns = columns_of(source);
  if (source->regression && source->multi_label)
    return cdl_fail(CDL_STATUS_USAGE, "%s: labels are names or numbers, not both", source->path);
  if (source->label_separator != NULL) {
    const size_t bytes = strlen(source->label_separator);
    size_t characters = 0;
    for (size_t i = 0; i < bytes; i++)
      characters += ((unsigned char)source->label_separator[i] & 0xC0) != 0x80;
    if (!source->multi_label || characters != 1 || bytes > 4)
      return cdl_fail(CDL_STATUS_USAGE,
                      source->multi_label ? "%s: --label-separator is one character, not '%s'"
                                          : "%s: --label-separator goes with --multi-label, not "
                                            "with one label of several classes ('%s')",
                      source->path, source->label_separator);
  }
  if (source->multi_label && source->skip_label != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: --skip-label goes with one label for each row, not with --multi-label",
                    source->path);
  if (columns.count > 1)
    return check_several(source, columns);
  if (source->regression && source->label_count > 0)
    return cdl_fail(CDL_STATUS_USAGE, "%s: a regression has no classes; expected no list of labels",
                    source->path);
  if (!source->regression && !source->multi_label && source->labels != NULL &&
      source->label_count < 2)
    return cdl_fail(CDL_STATUS_USAGE, "%s: %zu label%s listed (--labels); expected at least two",
                    source->path, source->label_count, source->label_count == 1 ? " is" : "s are");
  return CDL_STATUS_OK;
}

static cdl_status check_source(const cdl_dataset_source *source)
{
  const bool columns = source->text_column[0] != NULL;
  if (source->path == NULL || (source->unnamed == NULL && columns == source->plain_lines))
    return cdl_fail(CDL_STATUS_USAGE, "a data file needs a path and the name of a column of text");
  return check_labels(source);
}

/* A first line that names the columns of training beside others is the header of a table, not a
 * text. */
static cdl_status check_first_line(const data_table *table, const cdl_dataset_source *source)
{
  size_t bytes, fields = 0, named = 0, wanted = 0;
  const char *line = data_table_first_line(table, &bytes), *end = line + bytes;
  for (const char *at = line, *to; source->text_column[0] != NULL && at <= end; at = to + 1) {
    for (to = at; to < end && *to != ',' && *to != '\t';)
      to++;
    fields++;
    for (size_t i = 0; i < 2; i++) {
      const char *name = source->text_column[i];
      named += name != NULL && strlen(name) == (size_t)(to - at) &&
               memcmp(name, at, (size_t)(to - at)) == 0;
    }
  }
  for (size_t i = 0; i < 2; i++)
    wanted += source->text_column[i] != NULL;
  base_json_fault fault;
  json_t *object = bytes > 0 && line[0] == '{' ? base_json_load(line, bytes, &fault) : NULL;
  if (object != NULL)
    cdl_log(CDL_LOG_NOTICE,
            "%s: line 1 is a JSON object, and is read as text; a name that ends in .jsonl has its "
            "fields read",
            data_table_name(table));
  json_decref(object);
  return wanted == 0 || named < wanted || fields < 2
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA,
                        "%s:1: the header of a table, not a text; give %s (for CSV a file whose "
                        "name ends in .csv)",
                        data_table_name(table), source->unnamed);
}

static cdl_status prepare_truth(data_truth *t, const cdl_dataset_source *source)
{
  const label_columns columns = columns_of(source);
  t->problem = source->regression    ? CDL_PROBLEM_REGRESSION
               : source->multi_label ? CDL_PROBLEM_MULTI_LABEL
                                     : CDL_PROBLEM_SINGLE_LABEL;
  t->optional = source->label_optional;
  t->columns = columns.count;
  if (source->label_separator != NULL)
    snprintf(t->separator, sizeof t->separator, "%s", source->label_separator);
  if (columns.count > 1)
    return data_truth_add_names(t, columns.name, columns.count);
  t->infers = columns.count == 1 && source->labels == NULL && !source->regression;
  return source->labels != NULL ? data_truth_add_names(t, source->labels, source->label_count)
                                : CDL_STATUS_OK;
}

/* Adds the columns of labels, which may be missing if labels are optional. */
static void add_label_columns(const data_table *table, const cdl_dataset_source *source,
                              reading *what)
{
  const label_columns columns = columns_of(source);
  for (size_t i = 0; source->label_optional && i < columns.count; i++)
    if (!data_table_has_column(table, columns.name[i]))
      return;
  for (size_t i = 0; i < columns.count; i++)
    what->column[what->columns++] = columns.name[i];
}

/* `windows`: as data_table_open_windows, with its `stop`. */
static cdl_status open_source(cdl_dataset *dataset, const cdl_dataset_source *source, bool windows,
                              const volatile int *stop, reading *what)
{
  CDL_TRY(prepare_truth(&dataset->truth, source));
  dataset->pair = source->text_column[1] != NULL;

  part *p = &dataset->parts[0];
  p->name = "";
  static const char *const line_columns[] = {"first text", "second text"};
  data_table_options options = {
      .format = source->format, .strict = true, .lists = source->multi_label};
  if (source->plain_lines) {
    options.header = line_columns;
    options.header_count = 2;
    options.header_as_row_1 = true;
  }
  CDL_TRY(windows ? data_table_open_windows(source->path, &options, stop, &p->table)
                  : data_table_open(source->path, &options, &p->table));
  dataset->part_count = 1;

  const bool lines = source->plain_lines && !data_table_is_json(p->table);
  const char *const *columns = lines ? line_columns : source->text_column;
  if (lines)
    dataset->pair = data_table_has_column(p->table, line_columns[1]);
  *what = (reading){.column = {columns[0], columns[1]},
                    .texts = dataset->pair ? 2 : 1,
                    .label_optional = source->label_optional,
                    .skip_label = source->skip_label};
  what->columns = what->texts;
  add_label_columns(p->table, source, what);
  if (lines)
    return check_first_line(p->table, source);
  return source->unnamed == NULL
             ? CDL_STATUS_OK
             : data_table_expect(p->table, what->column,
                                 source->text_column[0] != NULL ? what->columns : 0,
                                 source->unnamed);
}

static cdl_status read_source(cdl_dataset *dataset, const cdl_dataset_source *source)
{
  reading what;
  CDL_TRY(open_source(dataset, source, false, NULL, &what));
  CDL_TRY(read_rows(dataset, &dataset->parts[0], &what));
  return dataset->truth.infers ? data_truth_sort(&dataset->truth, dataset->parts[0].table,
                                                 dataset->rows, dataset->count)
                               : CDL_STATUS_OK;
}

static cdl_status finish(cdl_status status, cdl_dataset *made, cdl_dataset **dataset)
{
  if (status == CDL_STATUS_OK)
    *dataset = made;
  else
    cdl_dataset_close(made);
  return status;
}

cdl_status cdl_dataset_read_file(const cdl_dataset_source *given, cdl_dataset **dataset)
{
  cdl_dataset_source whole;
  const cdl_dataset_source *source = &whole;
  *dataset = NULL;
  CDL_TRY(base_sized_read(&whole, sizeof whole, given, "cdl_dataset_source"));
  CDL_TRY(check_source(source));
  cdl_dataset *made = calloc(1, sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", source->path);
  return finish(read_source(made, source), made, dataset);
}

/* ---- A user's file, in windows ---- */

cdl_status dataset_open_windows(const cdl_dataset_source *source, const volatile int *stop,
                                cdl_dataset **dataset)
{
  *dataset = NULL;
  CDL_TRY(check_source(source));
  if (columns_of(source).count == 1 && source->labels == NULL && !source->regression)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: the labels of a window are not those of all",
                    source->path);
  cdl_dataset *made = calloc(1, sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", source->path);
  cdl_status status = open_source(made, source, true, stop, &made->what);
  if (status == CDL_STATUS_OK)
    status = data_table_select(made->parts[0].table, made->what.column, made->what.columns);
  return finish(status, made, dataset);
}

static cdl_status read_window(cdl_dataset *dataset, size_t most)
{
  part *p = &dataset->parts[0];
  bool any = true;
  while (any && dataset->count == 0) { /* all rows of a window may be left out */
    CDL_TRY(data_table_next_window(p->table));
    any = false;
    for (bool more = true; more && dataset->count < most; any = any || more)
      CDL_TRY(read_row(dataset, p, &dataset->what, &dataset->left_out, &more));
  }
  return dataset->count > 0
             ? CDL_STATUS_OK
             : finish_rows(p->table, &dataset->what, dataset->before, &dataset->left_out);
}

/* If there are rows, keeps the failure for the next call. */
static cdl_status put_off(cdl_dataset *dataset, cdl_status status)
{
  if (status == CDL_STATUS_OK || dataset->count == 0)
    return status;
  dataset->failed = status;
  snprintf(dataset->failure, sizeof dataset->failure, "%s", cdl_error_message());
  return CDL_STATUS_OK;
}

cdl_status dataset_next_window(cdl_dataset *dataset, size_t most)
{
  if (dataset->failed != CDL_STATUS_OK)
    return cdl_fail(dataset->failed, "%s", dataset->failure);
  dataset->before += dataset->count;
  dataset->count = 0;
  data_truth_forget(&dataset->truth);
  const cdl_status status = put_off(dataset, read_window(dataset, most));
  dataset->parts[0].count = dataset->count;
  return status;
}

uint64_t dataset_rows_before(const cdl_dataset *dataset)
{
  return dataset->before;
}

/* Makes the tokens of the first `count` rows. */
static cdl_status tokenize_front(cdl_dataset *dataset, const data_window_tokenizer *t, size_t count)
{
  data_token_store store;
  dataset->count = dataset->parts[0].count = count;
  CDL_TRY(
      data_token_store_build(&store, dataset, 0, count, t->tokenizer, t->max_length, t->threads));
  data_token_store_release(&dataset->tokens);
  dataset->tokens = store;
  return t->check != NULL ? t->check(t->user, dataset) : CDL_STATUS_OK;
}

cdl_status dataset_tokenize_window(cdl_dataset *dataset, const data_window_tokenizer *t)
{
  size_t good = 0, bad = dataset->count;
  cdl_status status = tokenize_front(dataset, t, bad);
  if (status == CDL_STATUS_DATA || status == CDL_STATUS_UNSUPPORTED) {
    while (bad - good > 1) { /* `bad` rows fail, `good` rows do not */
      const size_t middle = good + (bad - good) / 2;
      if (tokenize_front(dataset, t, middle) == CDL_STATUS_OK)
        good = middle;
      else
        bad = middle;
    }
    status = tokenize_front(dataset, t, bad);
    dataset->count = good;
    status = put_off(dataset, status);
    if (status == CDL_STATUS_OK)
      status = tokenize_front(dataset, t, good);
  }
  if (status == CDL_STATUS_OK) {
    dataset->cut += dataset->tokens.truncated;
    dataset->tokenized += dataset->count;
  }
  return status;
}

/* ---- A split of GLUE ---- */

static cdl_status read_task_file(cdl_dataset *dataset, const cdl_task *task, const char *folder,
                                 const data_task_file *file)
{
  part *p = &dataset->parts[dataset->part_count];
  p->name = file->part;
  data_table_options options = {.format = CDL_DATA_TSV};
  if (!file->has_header) {
    options.header = data_task_headerless;
    options.header_count = DATA_TASK_HEADERLESS_COLUMNS;
  }
  char *in_folder = base_path_join(folder, task->name);
  char *path = in_folder != NULL ? base_path_join(in_folder, file->name) : NULL;
  const cdl_status opened = path != NULL ? data_table_open(path, &options, &p->table)
                                         : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(in_folder);
  free(path);
  CDL_TRY(opened);
  dataset->part_count++;

  reading what = {.column = {task->text_column[0], task->text_column[1]},
                  .texts = dataset->pair ? 2 : 1,
                  .drops_rows = true};
  what.columns = what.texts;
  if (file->labels == DATA_LABELS_REQUIRED || (file->labels == DATA_LABELS_WHERE_GIVEN &&
                                               data_table_has_column(p->table, task->label_column)))
    what.column[what.columns++] = task->label_column;
  return read_rows(dataset, p, &what);
}

static cdl_status read_split(cdl_dataset *dataset, const cdl_task *task, const char *folder,
                             const char *split)
{
  data_task_split files;
  CDL_TRY(data_task_split_find(task, split, &files));
  if (cdl_task_is_regression(task))
    dataset->truth.problem = CDL_PROBLEM_REGRESSION;
  dataset->truth.columns = 1;
  dataset->pair = task->text_column[1] != NULL;
  CDL_TRY(data_truth_add_names(&dataset->truth, task->labels, task->label_count));
  for (size_t i = 0; i < files.count; i++)
    CDL_TRY(read_task_file(dataset, task, folder, &files.file[i]));
  return CDL_STATUS_OK;
}

cdl_status cdl_dataset_read_task(const cdl_task *task, const char *folder, const char *split,
                                 cdl_dataset **dataset)
{
  *dataset = NULL;
  cdl_dataset *made = calloc(1, sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", task->name);
  return finish(read_split(made, task, folder, split), made, dataset);
}

void cdl_dataset_close(cdl_dataset *dataset)
{
  if (dataset == NULL)
    return;
  for (size_t i = 0; i < DATA_TASK_FILES_MAX; i++)
    data_table_close(dataset->parts[i].table);
  data_truth_release(&dataset->truth);
  data_token_store_release(&dataset->tokens);
  free(dataset->rows);
  free(dataset);
}

/* ---- Access ---- */

size_t cdl_dataset_count(const cdl_dataset *dataset)
{
  return dataset->count;
}

cdl_example cdl_dataset_get(const cdl_dataset *dataset, size_t index)
{
  const data_row *r = &dataset->rows[index];
  return (cdl_example){
      .text = {r->text[0], r->text[1]},
      .bytes = {r->bytes[0], r->bytes[1]},
      .label = dataset->truth.problem == CDL_PROBLEM_SINGLE_LABEL ? r->truth.label : -1,
      .target = dataset->truth.problem == CDL_PROBLEM_REGRESSION && dataset->truth.columns <= 1
                    ? r->truth.target
                    : (double)NAN,
      .index = (uint32_t)index,
      .line = r->line,
  };
}

cdl_problem cdl_dataset_problem(const cdl_dataset *dataset)
{
  return dataset->truth.problem;
}

bool cdl_dataset_is_regression(const cdl_dataset *dataset)
{
  return dataset->truth.problem == CDL_PROBLEM_REGRESSION;
}

size_t cdl_dataset_output_count(const cdl_dataset *dataset)
{
  return data_truth_outputs(&dataset->truth);
}

const char *cdl_dataset_output_name(const cdl_dataset *dataset, size_t output)
{
  return output < dataset->truth.names.count ? dataset->truth.names.names[output] : NULL;
}

void cdl_dataset_targets(const cdl_dataset *dataset, size_t index, double *targets)
{
  data_truth_targets(&dataset->truth, &dataset->rows[index], targets);
}

bool cdl_dataset_is_pair(const cdl_dataset *dataset)
{
  return dataset->pair;
}

bool cdl_dataset_has_labels(const cdl_dataset *dataset)
{
  return dataset->truth.unlabelled == 0;
}

size_t cdl_dataset_label_count(const cdl_dataset *dataset)
{
  return cdl_dataset_is_regression(dataset) ? 0 : dataset->truth.names.count;
}

const char *cdl_dataset_label_name(const cdl_dataset *dataset, int32_t label)
{
  return label >= 0 && (size_t)label < cdl_dataset_label_count(dataset)
             ? dataset->truth.names.names[label]
             : NULL;
}

size_t cdl_dataset_dropped(const cdl_dataset *dataset)
{
  return dataset->left_out.dropped;
}

size_t cdl_dataset_skipped(const cdl_dataset *dataset)
{
  return dataset->left_out.skipped;
}

size_t cdl_dataset_part_count(const cdl_dataset *dataset)
{
  return dataset->part_count;
}

cdl_dataset_part cdl_dataset_get_part(const cdl_dataset *dataset, size_t index)
{
  const part *p = &dataset->parts[index];
  return (cdl_dataset_part){
      .name = p->name, .path = data_table_name(p->table), .first = p->first, .count = p->count};
}

/* ---- Tokens ---- */

cdl_status cdl_dataset_tokenize(cdl_dataset *dataset, const cdl_tokenizer *tokenizer,
                                size_t max_length, unsigned threads)
{
  data_token_store store;
  CDL_TRY(
      data_token_store_build(&store, dataset, 0, dataset->count, tokenizer, max_length, threads));
  dataset_take_tokens(dataset, &store, max_length);
  return CDL_STATUS_OK;
}

void dataset_take_tokens(cdl_dataset *dataset, const data_token_store *store, size_t max_length)
{
  data_token_store_release(&dataset->tokens);
  dataset->tokens = *store;
  for (size_t i = 0; i < dataset->part_count; i++)
    data_table_discard(dataset->parts[i].table);
  dataset->cut = store->truncated;
  dataset->tokenized = store->count;
  dataset_note_cut(dataset, max_length);
}

void dataset_note_cut(const cdl_dataset *dataset, size_t max_length)
{
  if (dataset->cut > 0)
    cdl_log(CDL_LOG_NOTICE, "%s: %llu of %llu examples were cut to %zu tokens",
            data_table_name(dataset->parts[0].table), (unsigned long long)dataset->cut,
            (unsigned long long)dataset->tokenized, max_length);
}

cdl_tokens cdl_dataset_tokens(const cdl_dataset *dataset)
{
  const data_token_store *store = &dataset->tokens;
  return (cdl_tokens){.ids = store->ids,
                      .type_ids = store->type_ids,
                      .offsets = store->offsets,
                      .count = store->count,
                      .longest = store->longest,
                      .truncated = store->truncated};
}
