#include "train/data/truth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

cdl_status data_fail_at(const data_table *table, uint64_t line, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  const cdl_status status = cdl_fail_v(CDL_STATUS_DATA, format, arguments);
  va_end(arguments);
  return cdl_context(status, "%s:%llu", data_table_name(table), (unsigned long long)line);
}

bool data_field_is(data_field field, const char *text)
{
  return field.data != NULL && strlen(text) == field.bytes &&
         memcmp(field.data, text, field.bytes) == 0;
}

cdl_status data_truth_add_names(data_truth *t, const char *const *names, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const size_t bytes = strlen(names[i]);
    if (data_labels_find(&t->names, names[i], bytes) >= 0)
      return cdl_fail(CDL_STATUS_USAGE, "the label %s is listed twice",
                      data_quote(names[i], bytes).text);
    CDL_TRY(data_labels_add(&t->names, names[i], bytes));
  }
  return CDL_STATUS_OK;
}

/* ---- One label ---- */

static cdl_status unknown_label(const data_truth *t, const data_table *table, uint64_t line,
                                data_field field)
{
  char list[512] = "";
  size_t used = 0, i = 0;
  for (; i < t->names.count && used < sizeof list - sizeof(data_quoted) - 8; i++) {
    const char *name = t->names.names[i];
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ",
                             data_quote(name, strlen(name)).text);
  }
  const bool unmarked = t->problem == CDL_PROBLEM_SINGLE_LABEL && !t->optional &&
                        (data_field_is(field, "-1") || data_field_is(field, "-"));
  return data_fail_at(table, line, "unknown label %s; expected %s%s%s%s",
                      data_quote(field.data, field.bytes).text,
                      t->names.count == 1 ? "" : "one of ", list, i < t->names.count ? ", …" : "",
                      unmarked ? "; --skip-label leaves rows without a label out" : "");
}

/* Finds the id of a name, or adds the name. */
static cdl_status find_label(data_truth *t, const data_table *table, uint64_t line,
                             data_field field, int32_t *id)
{
  *id = data_labels_find(&t->names, field.data, field.bytes);
  if (*id >= 0)
    return CDL_STATUS_OK;
  if (!t->infers)
    return unknown_label(t, table, line, field);
  if (field.bytes == 0)
    return data_fail_at(table, line, "the label is empty; expected the name of a class");
  *id = (int32_t)t->names.count;
  return cdl_context(data_labels_add(&t->names, field.data, field.bytes), "%s:%llu",
                     data_table_name(table), (unsigned long long)line);
}

/* ---- Several labels ---- */

static cdl_status grow(data_truth *t, size_t count)
{
  if (t->used + count <= t->capacity)
    return CDL_STATUS_OK;
  const size_t capacity = (t->used + count) * 2 + 64,
               bytes = t->problem == CDL_PROBLEM_REGRESSION ? sizeof *t->values : sizeof *t->ids;
  void *memory = t->problem == CDL_PROBLEM_REGRESSION ? (void *)t->values : (void *)t->ids;
  void *grown = capacity > SIZE_MAX / bytes ? NULL : realloc(memory, capacity * bytes);
  if (grown == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the labels of the rows");
  if (t->problem == CDL_PROBLEM_REGRESSION)
    t->values = grown;
  else
    t->ids = grown;
  t->capacity = capacity;
  return CDL_STATUS_OK;
}

/* Adds a label to the row whose ids begin at `at`; one that the row has already is not added. */
static cdl_status add_label(data_truth *t, size_t at, int32_t id)
{
  for (int32_t i = 1; i <= t->ids[at]; i++)
    if (t->ids[at + (size_t)i] == id)
      return CDL_STATUS_OK;
  CDL_TRY(grow(t, 1));
  t->ids[t->used++] = id;
  t->ids[at]++;
  return CDL_STATUS_OK;
}

static data_field trimmed(const char *from, const char *to)
{
  while (from < to && *from == ' ')
    from++;
  while (to > from && to[-1] == ' ')
    to--;
  return (data_field){.data = from, .bytes = (size_t)(to - from)};
}

static cdl_status add_name(data_truth *t, const data_table *table, uint64_t line, data_field name,
                           size_t at)
{
  int32_t id;
  if (name.bytes == 0)
    return data_fail_at(table, line, "an empty label among others; expected the name of a label");
  CDL_TRY(find_label(t, table, line, name, &id));
  return add_label(t, at, id);
}

/* An array of JSON: strings with a NUL behind each. */
static cdl_status read_array(data_truth *t, const data_table *table, uint64_t line,
                             data_field field, size_t at)
{
  const char *end = field.data + field.bytes;
  for (const char *item = field.data; item < end; item += strlen(item) + 1)
    CDL_TRY(add_name(t, table, line, (data_field){.data = item, .bytes = strlen(item)}, at));
  return CDL_STATUS_OK;
}

static cdl_status read_separated(data_truth *t, const data_table *table, uint64_t line,
                                 data_field field, size_t at)
{
  const size_t width = strlen(t->separator);
  const char *from = field.data, *end = field.data + field.bytes;
  if (trimmed(from, end).bytes == 0)
    return CDL_STATUS_OK;
  for (;;) {
    const char *to = memmem(from, (size_t)(end - from), t->separator, width);
    CDL_TRY(add_name(t, table, line, trimmed(from, to != NULL ? to : end), at));
    if (to == NULL)
      return CDL_STATUS_OK;
    from = to + width;
  }
}

static cdl_status read_list(data_truth *t, const data_table *table, uint64_t line, data_field field,
                            size_t at)
{
  if (field.list)
    return read_array(t, table, line, field, at);
  if (t->separator[0] != '\0')
    return read_separated(t, table, line, field, at);
  return data_fail_at(table, line, "%s is one text; expected a JSON array of labels%s",
                      data_quote(field.data, field.bytes).text,
                      data_table_is_json(table)
                          ? ", or --label-separator"
                          : " in a .jsonl file, or --label-separator with the sign between labels");
}

/* A column for each label: 0 or 1. */
static cdl_status read_flags(data_truth *t, const data_table *table, uint64_t line,
                             const data_field *fields, size_t at)
{
  for (size_t c = 0; c < t->columns; c++) {
    const bool yes = data_field_is(fields[c], "1") || data_field_is(fields[c], "true");
    if (!yes && !data_field_is(fields[c], "0") && !data_field_is(fields[c], "false"))
      return data_fail_at(table, line, "the label %s is %s; expected 0 or 1",
                          data_quote(t->names.names[c], strlen(t->names.names[c])).text,
                          data_quote(fields[c].data, fields[c].bytes).text);
    if (yes)
      CDL_TRY(add_label(t, at, (int32_t)c));
  }
  return CDL_STATUS_OK;
}

static cdl_status read_labels(data_truth *t, const data_table *table, uint64_t line,
                              const data_field *fields, data_row *row)
{
  CDL_TRY(grow(t, 1));
  const size_t at = t->used;
  t->ids[t->used++] = 0;
  row->truth.at = at;
  return t->columns > 1 ? read_flags(t, table, line, fields, at)
                        : read_list(t, table, line, fields[0], at);
}

/* ---- Numbers ---- */

static cdl_status read_number(const data_table *table, uint64_t line, data_field field,
                              double *number)
{
  if (base_number_parse(field.data, field.bytes, number))
    return CDL_STATUS_OK;
  return data_fail_at(table, line, "%s is not a number; expected a finite decimal such as 3.25",
                      data_quote(field.data, field.bytes).text);
}

static cdl_status read_numbers(data_truth *t, const data_table *table, uint64_t line,
                               const data_field *fields, data_row *row)
{
  CDL_TRY(grow(t, t->columns));
  row->truth.at = t->used;
  for (size_t c = 0; c < t->columns; c++)
    CDL_TRY(read_number(table, line, fields[c], &t->values[t->used + c]));
  t->used += t->columns;
  return CDL_STATUS_OK;
}

/* ---- A row ---- */

cdl_status data_truth_read(data_truth *t, const data_table *table, uint64_t line,
                           const data_field *fields, data_row *row)
{
  switch (t->problem) {
  case CDL_PROBLEM_SINGLE_LABEL:
    return find_label(t, table, line, fields[0], &row->truth.label);
  case CDL_PROBLEM_MULTI_LABEL:
    return read_labels(t, table, line, fields, row);
  default:
    return t->columns > 1 ? read_numbers(t, table, line, fields, row)
                          : read_number(table, line, fields[0], &row->truth.target);
  }
}

void data_truth_omit(data_truth *t, data_row *row)
{
  t->unlabelled++;
  if (t->problem == CDL_PROBLEM_SINGLE_LABEL)
    row->truth.label = -1;
  else if (t->problem == CDL_PROBLEM_REGRESSION && t->columns <= 1)
    row->truth.target = (double)NAN;
  else
    row->truth.at = DATA_NO_TRUTH;
}

size_t data_truth_outputs(const data_truth *t)
{
  return t->problem != CDL_PROBLEM_REGRESSION ? t->names.count : t->columns > 1 ? t->columns : 1;
}

void data_truth_targets(const data_truth *t, const data_row *row, double *targets)
{
  const size_t outputs = data_truth_outputs(t);
  const bool single = t->problem == CDL_PROBLEM_SINGLE_LABEL,
             number = t->problem == CDL_PROBLEM_REGRESSION && t->columns <= 1;
  if (number) {
    targets[0] = row->truth.target;
    return;
  }
  const bool missing = single ? row->truth.label < 0 : row->truth.at == DATA_NO_TRUTH;
  for (size_t c = 0; c < outputs; c++)
    targets[c] = missing                                ? (double)NAN
                 : t->problem == CDL_PROBLEM_REGRESSION ? t->values[row->truth.at + c]
                                                        : 0;
  if (missing || t->problem == CDL_PROBLEM_REGRESSION)
    return;
  if (single)
    targets[row->truth.label] = 1;
  else
    for (int32_t i = 1; i <= t->ids[row->truth.at]; i++)
      targets[t->ids[row->truth.at + (size_t)i]] = 1;
}

/* ---- After the last row ---- */

/* With both - and +, or a label below -1, the marks for "no label" may be real labels. */
static cdl_status check_marks(const data_truth *t, const data_table *table, const data_row *rows,
                              size_t count)
{
  const data_labels *labels = &t->names;
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
  size_t marked = 0, first = 0;
  for (size_t i = count; i-- > 0;)
    if (rows[i].truth.label == id) {
      marked++;
      first = i;
    }
  return data_fail_at(
      table, rows[first].line,
      "the label %s, in %zu of %zu rows, stands for no label in %s data; "
      "--skip-label %s leaves these rows out, --labels with all labels in their order "
      "takes it for a class",
      mark, marked, count, mark[1] == '1' ? "GLUE's" : "SNLI's", mark);
}

static void renumber(data_truth *t, data_row *rows, size_t count, const int32_t *renumbered)
{
  if (t->problem == CDL_PROBLEM_SINGLE_LABEL) {
    for (size_t i = 0; i < count; i++)
      if (rows[i].truth.label >= 0)
        rows[i].truth.label = renumbered[rows[i].truth.label];
    return;
  }
  for (size_t at = 0; at < t->used; at += (size_t)t->ids[at] + 1)
    for (int32_t i = 1; i <= t->ids[at]; i++)
      t->ids[at + (size_t)i] = renumbered[t->ids[at + (size_t)i]];
}

cdl_status data_truth_sort(data_truth *t, const data_table *table, data_row *rows, size_t count)
{
  if (t->problem == CDL_PROBLEM_SINGLE_LABEL)
    CDL_TRY(check_marks(t, table, rows, count));
  if (t->problem == CDL_PROBLEM_SINGLE_LABEL && t->names.count == 1)
    return cdl_fail(
        CDL_STATUS_DATA, "%s: every row has the label %s; expected at least two classes",
        data_table_name(table), data_quote(t->names.names[0], strlen(t->names.names[0])).text);
  if (t->problem == CDL_PROBLEM_MULTI_LABEL && t->names.count == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: no row has a label; expected at least one label",
                    data_table_name(table));
  int32_t *renumbered = calloc(t->names.count + 1, sizeof *renumbered);
  if (renumbered == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu labels", t->names.count);
  const cdl_status status = data_labels_sort(&t->names, renumbered);
  if (status == CDL_STATUS_OK)
    renumber(t, rows, count, renumbered);
  free(renumbered);
  return status;
}

void data_truth_forget(data_truth *t)
{
  t->used = t->unlabelled = 0;
}

void data_truth_release(data_truth *t)
{
  data_labels_release(&t->names);
  free(t->ids);
  free(t->values);
  *t = (data_truth){0};
}
