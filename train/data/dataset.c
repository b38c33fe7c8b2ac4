#include "condlora/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "base/path.h"
#include "base/sized.h"
#include "condlora/log.h"
#include "train/data/dataset_windows.h"
#include "train/data/labels.h"
#include "train/data/table.h"
#include "train/data/task_files.h"
#include "train/data/token_store.h"

typedef struct {
  const char *text[2];
  uint32_t bytes[2];
  uint32_t line;
  union {
    int32_t label;
    double target;
  } truth;
} row;

typedef struct {
  const char *name;
  data_table *table;
  size_t first, count;
} part;

/* What is read from a file. */
typedef struct {
  const char *column[DATA_TABLE_SELECTED]; /* texts, then the label */
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
  row *rows;
  size_t count, capacity;
  bool pair, regression;
  bool infers_labels; /* takes names from the rows */
  bool labels_optional;
  data_labels labels;
  size_t unlabelled;
  tally left_out;
  data_token_store tokens;

  /* For a data set that is read in windows. */
  reading what;
  uint64_t before;         /* rows of earlier windows */
  uint64_t cut, tokenized; /* examples, of all windows */
  cdl_status failed;       /* the failure that ended a window early; the next call returns it */
  char failure[1024];
};

static cdl_status fail_at(const data_table *table, uint64_t line, const char *format, ...)
    CDL_PRINTF(3, 4);
static cdl_status fail_at(const data_table *table, uint64_t line, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  const cdl_status status = cdl_fail_v(CDL_STATUS_DATA, format, arguments);
  va_end(arguments);
  return cdl_context(status, "%s:%llu", data_table_name(table), (unsigned long long)line);
}

static bool is_text(data_field field, const char *text)
{
  return field.data != NULL && strlen(text) == field.bytes &&
         memcmp(field.data, text, field.bytes) == 0;
}

static cdl_status unknown_label(const cdl_dataset *dataset, const data_table *table, uint64_t line,
                                data_field field)
{
  char list[512] = "";
  size_t used = 0, i = 0;
  for (; i < dataset->labels.count && used < sizeof list - sizeof(data_quoted) - 8; i++) {
    const char *name = dataset->labels.names[i];
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ",
                             data_quote(name, strlen(name)).text);
  }
  const bool unmarked = !dataset->labels_optional && (is_text(field, "-1") || is_text(field, "-"));
  return fail_at(
      table, line, "unknown label %s; expected %s%s%s%s", data_quote(field.data, field.bytes).text,
      dataset->labels.count == 1 ? "" : "one of ", list, i < dataset->labels.count ? ", …" : "",
      unmarked ? "; --skip-label leaves rows without a label out" : "");
}

static cdl_status read_truth(cdl_dataset *dataset, const data_table *table, uint64_t line,
                             data_field field, row *r)
{
  if (dataset->regression) {
    if (!base_number_parse(field.data, field.bytes, &r->truth.target))
      return fail_at(table, line, "%s is not a number; expected a finite decimal such as 3.25",
                     data_quote(field.data, field.bytes).text);
    return CDL_STATUS_OK;
  }
  r->truth.label = data_labels_find(&dataset->labels, field.data, field.bytes);
  if (r->truth.label >= 0)
    return CDL_STATUS_OK;
  if (!dataset->infers_labels)
    return unknown_label(dataset, table, line, field);
  if (field.bytes == 0)
    return fail_at(table, line, "the label is empty; expected the name of a class");
  r->truth.label = (int32_t)dataset->labels.count;
  return cdl_context(data_labels_add(&dataset->labels, field.data, field.bytes), "%s:%llu",
                     data_table_name(table), (unsigned long long)line);
}

static cdl_status make_row(cdl_dataset *dataset, const data_table *table, uint64_t line,
                           const reading *what, const data_field *fields, row *r)
{
  *r = (row){.line = line < UINT32_MAX ? (uint32_t)line : UINT32_MAX};
  for (size_t i = 0; i < what->texts; i++) {
    if (fields[i].bytes > INT32_MAX)
      return fail_at(table, line, "a field of %zu bytes; at most %d can be read", fields[i].bytes,
                     INT32_MAX);
    r->text[i] = fields[i].data;
    r->bytes[i] = (uint32_t)fields[i].bytes;
  }
  if (what->columns > what->texts && fields[what->texts].data != NULL)
    return read_truth(dataset, table, line, fields[what->texts], r);
  if (dataset->regression)
    r->truth.target = (double)NAN;
  else
    r->truth.label = -1;
  dataset->unlabelled++;
  return CDL_STATUS_OK;
}

static cdl_status add_row(cdl_dataset *dataset, const row *r)
{
  if (dataset->count == INT32_MAX)
    return cdl_fail(CDL_STATUS_DATA, "more than %d rows", INT32_MAX);
  if (dataset->count == dataset->capacity) {
    const size_t capacity =
        dataset->capacity == 0 ? 1024 : dataset->capacity + dataset->capacity / 2;
    row *rows =
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
    return fail_at(table, line, "the field %s is null; expected a string or a number", quoted.text);
  return fail_at(table, line, "no field %s%s%s", quoted.text,
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
      is_text(fields[what->texts], what->skip_label)) {
    left_out->skipped++;
    return CDL_STATUS_OK;
  }
  row r;
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

static cdl_status sort_labels(cdl_dataset *dataset)
{
  if (dataset->labels.count == 1)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: every row has the label %s; expected at least two classes",
                    data_table_name(dataset->parts[0].table),
                    data_quote(dataset->labels.names[0], strlen(dataset->labels.names[0])).text);
  int32_t *renumbered = calloc(dataset->labels.count + 1, sizeof *renumbered);
  if (renumbered == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu labels", dataset->labels.count);
  const cdl_status status = data_labels_sort(&dataset->labels, renumbered);
  for (size_t i = 0; status == CDL_STATUS_OK && i < dataset->count; i++)
    if (dataset->rows[i].truth.label >= 0)
      dataset->rows[i].truth.label = renumbered[dataset->rows[i].truth.label];
  free(renumbered);
  return status;
}

/* The marks for "no label", -1 in GLUE's files and - in SNLI's, are not accepted as a class among
 * inferred ones. With both - and +, or a label below -1, they may be real labels. */
static cdl_status check_marks(const cdl_dataset *dataset)
{
  const data_labels *labels = &dataset->labels;
  bool from_0 = true, plus = false;
  for (size_t i = 0; i < labels->count; i++) {
    const char *name = labels->names[i];
    from_0 = from_0 && ((data_label_is_whole(name) && name[0] != '-') || strcmp(name, "-1") == 0);
    plus = plus || strcmp(name, "+") == 0;
  }
  const char *mark = from_0 && data_labels_find(labels, "-1", 2) >= 0 ? "-1"
                     : !plus && data_labels_find(labels, "-", 1) >= 0 ? "-"
                                                                      : NULL;
  if (mark == NULL)
    return CDL_STATUS_OK;
  const int32_t id = data_labels_find(labels, mark, strlen(mark));
  size_t rows = 0, first = 0;
  for (size_t i = dataset->count; i-- > 0;)
    if (dataset->rows[i].truth.label == id) {
      rows++;
      first = i;
    }
  return fail_at(dataset->parts[0].table, dataset->rows[first].line,
                 "the label %s, in %zu of %zu rows, stands for no label in %s data; "
                 "--skip-label %s leaves these rows out, --labels with all labels in their order "
                 "takes it for a class",
                 mark, rows, dataset->count, mark[1] == '1' ? "GLUE's" : "SNLI's", mark);
}

static cdl_status add_labels(cdl_dataset *dataset, const char *const *names, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const size_t bytes = strlen(names[i]);
    if (data_labels_find(&dataset->labels, names[i], bytes) >= 0)
      return cdl_fail(CDL_STATUS_USAGE, "the label %s is listed twice",
                      data_quote(names[i], bytes).text);
    CDL_TRY(data_labels_add(&dataset->labels, names[i], bytes));
  }
  return CDL_STATUS_OK;
}

/* ---- A user's file ---- */

static cdl_status check_source(const cdl_dataset_source *source)
{
  const bool columns = source->text_column[0] != NULL;
  if (source->path == NULL || (source->unnamed == NULL && columns == source->plain_lines))
    return cdl_fail(CDL_STATUS_USAGE, "a data file needs a path and the name of a column of text");
  if (source->regression && source->label_count > 0)
    return cdl_fail(CDL_STATUS_USAGE, "%s: a regression has no classes; expected no list of labels",
                    source->path);
  if (!source->regression && source->labels != NULL && source->label_count < 2)
    return cdl_fail(CDL_STATUS_USAGE, "%s: %zu label%s listed (--labels); expected at least two",
                    source->path, source->label_count, source->label_count == 1 ? " is" : "s are");
  return CDL_STATUS_OK;
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

/* `windows`: as data_table_open_windows, with its `stop`. */
static cdl_status open_source(cdl_dataset *dataset, const cdl_dataset_source *source, bool windows,
                              const volatile int *stop, reading *what)
{
  dataset->regression = source->regression;
  dataset->labels_optional = source->label_optional;
  dataset->pair = source->text_column[1] != NULL;
  dataset->infers_labels =
      source->label_column != NULL && source->labels == NULL && !source->regression;
  if (source->labels != NULL)
    CDL_TRY(add_labels(dataset, source->labels, source->label_count));

  part *p = &dataset->parts[0];
  p->name = "";
  static const char *const line_columns[] = {"first text", "second text"};
  data_table_options options = {.format = source->format, .strict = true};
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
  if (source->label_column != NULL &&
      (!source->label_optional || data_table_has_column(p->table, source->label_column)))
    what->column[what->columns++] = source->label_column;
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
  if (!dataset->infers_labels)
    return CDL_STATUS_OK;
  CDL_TRY(check_marks(dataset));
  return sort_labels(dataset);
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
  if (source->label_column != NULL && source->labels == NULL && !source->regression)
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
  dataset->count = dataset->unlabelled = 0;
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
  CDL_TRY(data_token_store_build(&store, dataset, t->tokenizer, t->max_length, t->threads));
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
  dataset->regression = cdl_task_is_regression(task);
  dataset->pair = task->text_column[1] != NULL;
  CDL_TRY(add_labels(dataset, task->labels, task->label_count));
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
  data_labels_release(&dataset->labels);
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
  const row *r = &dataset->rows[index];
  return (cdl_example){
      .text = {r->text[0], r->text[1]},
      .bytes = {r->bytes[0], r->bytes[1]},
      .label = dataset->regression ? -1 : r->truth.label,
      .target = dataset->regression ? r->truth.target : (double)NAN,
      .index = (uint32_t)index,
      .line = r->line,
  };
}

bool cdl_dataset_is_regression(const cdl_dataset *dataset)
{
  return dataset->regression;
}

bool cdl_dataset_is_pair(const cdl_dataset *dataset)
{
  return dataset->pair;
}

bool cdl_dataset_has_labels(const cdl_dataset *dataset)
{
  return dataset->unlabelled == 0;
}

size_t cdl_dataset_label_count(const cdl_dataset *dataset)
{
  return dataset->labels.count;
}

const char *cdl_dataset_label_name(const cdl_dataset *dataset, int32_t label)
{
  return label >= 0 && (size_t)label < dataset->labels.count ? dataset->labels.names[label] : NULL;
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
  CDL_TRY(data_token_store_build(&store, dataset, tokenizer, max_length, threads));
  data_token_store_release(&dataset->tokens);
  dataset->tokens = store;
  for (size_t i = 0; i < dataset->part_count; i++)
    data_table_discard(dataset->parts[i].table);
  dataset->cut = store.truncated;
  dataset->tokenized = store.count;
  dataset_note_cut(dataset, max_length);
  return CDL_STATUS_OK;
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
